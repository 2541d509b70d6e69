"""Identifiers are the field's words: no everyday words and verbs of speech, but for names on a wire or in a file.

`python -m tests.test_words [FOLDER]` prints the banned words in 1,000 identifiers of a package, this one by default.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "dfmon"
BANNED = frozenset(
    {
        "said",
        "told",
        "tell",
        "tells",
        "held",
        "kept",
        "words",
        "word",
        "lives",
        "patience",
        "trouble",
        "wish",
        "wishes",
        "deed",
        "deeds",
        "hush",
        "heard",
        "remark",
        "thrift",
        "most",
        "least",
        "whole",
        "lean",
        "asked",
        "asking",
        "answer",
        "answers",
        "due",
        "stirred",
        "missed",
        "watched",
        "few",
        "many",
        "sure",
        "near",
        "plain",
        "want",
        "wants",
        "wanted",
        "owed",
        "fate",
        "stuff",
        "thing",
        "things",
        "riddle",
        "whose",
        "belief",
        "story",
    }
)
FIXED = {
    "held": "Board.held of the public API, a field of positions.state and of a replay's checkpoint",
    "wanted": "a parameter of the public use_compiled",
    "words": "Finding.words is in the doctor's JSON",
    "lean": "a key of [model] in config.toml",
    "plain": "a key of [screen] and an option of the command line",
    "is_sample_due": "a schedule's term",
    "due_jobs": "a schedule's term",
    "poll_due": "a schedule's term",
    "_TOO_MANY_REQUESTS": "HTTP's name of status 429",
}


def identifiers(root: Path) -> Iterator[tuple[str, str]]:
    """Every name that the package defines: functions, classes, parameters, assigned names and attributes."""
    for path in sorted(root.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield path.name, node.name
            elif isinstance(node, ast.arg):
                yield path.name, node.arg
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield path.name, node.id
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                yield path.name, node.attr


def split(name: str) -> list[str]:
    """The words of a name in snake_case or CamelCase, in lower case."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().strip("_").split("_")


def banned_per_thousand(root: Path) -> tuple[float, Counter[str]]:
    """Banned words in 1,000 identifiers of a package, and their counts."""
    names = [name for _, name in identifiers(root)]
    counts = Counter(word for name in names for word in split(name) if word in BANNED)
    return 1000.0 * counts.total() / len(names), counts


def test_identifiers_have_no_everyday_words() -> None:
    found = {
        f"{file}: {name}" for file, name in identifiers(PACKAGE) if set(split(name)) & BANNED and name not in FIXED
    }
    assert not found


def test_fixed_names_are_few() -> None:
    """An exception is for a name that a wire or a file fixes, so it stays rare."""
    rate, counts = banned_per_thousand(PACKAGE)
    assert rate < 1.4, counts


def test_names_are_split_into_words() -> None:
    assert split("OptionTradeHistory") == ["option", "trade", "history"]
    assert split("_MAX_SILENCE_S") == ["max", "silence", "s"]


if __name__ == "__main__":
    rate, counts = banned_per_thousand(Path(sys.argv[1]) if len(sys.argv) > 1 else PACKAGE)
    print(f"{rate:.1f} in 1,000 identifiers: {dict(counts.most_common())}")
