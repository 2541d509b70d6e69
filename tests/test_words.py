"""Identifiers are the field's words: no everyday words and verbs of speech, but for names on a wire or in a file.

`python -m tests.test_words [FOLDER]` prints the banned words in 1,000 identifiers of a package, this one by default.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.source_trees import nodes_of

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
        "gone",
        "begun",
        "began",
        "again",
        "here",
        "there",
        "why",
        "its",
        "enough",
        "just",
        "beside",
        "piece",
        "pieces",
        "twice",
        "around",
        "ago",
        "answering",
        "answered",
    }
)
FIXED = {
    "api/board.py": {"held": "a method of the public API"},
    "api/functions.py": {"wanted": "a parameter of the public use_compiled"},
    "cli/doctor/findings.py": {"words": "a key of the doctor's JSON"},
    "config/sections.py": {"lean": "a key of [model] in config.toml"},
    "core/scenario/rolling.py": {"is_sample_due": "a schedule's term"},
    "core/exposure/changes.py": {"gamma_gone": "of a row of the snapshot"},
    "model/tables.py": {"gamma_gone": "a field of the snapshot"},
    "sim/binance/venue.py": {"_TOO_MANY_REQUESTS": "HTTP's name of status 429"},
    "sinks/plain_text.py": {"plain_text": "the name of the format"},
    "tui/settings.py": {"plain": "a key of [screen] and an option of the command line"},
    "venues/meta_snap.py": {"due_jobs": "a schedule's term"},
    "venues/rest/fallback.py": {"poll_due": "a schedule's term"},
}
"""Banned words that a wire, a file or a term of the field fixes: by file, with the reason."""
SPEECH = re.compile(r"\b(no answer|said nothing|to be had|lives by|told of|(an|the|error|no) answers?)\b|^answer$")


@cache
def identifiers(root: Path) -> tuple[tuple[str, str], ...]:
    """Every name that the package defines, with its file: modules, functions, classes, parameters and variables."""
    return tuple(_identifiers(root))


def _identifiers(root: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(root.rglob("*.py")):
        file = path.relative_to(root).as_posix()
        yield file, path.parent.name if path.name == "__init__.py" else path.stem
        for node in nodes_of(path):
            yield from ((file, name) for name in defined_names(node) if name)


def defined_names(node: ast.AST) -> tuple[str | None, ...]:
    """The names that a node defines, `as` and the captures of `match` among them."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef() | ast.ExceptHandler():
            return (node.name,)
        case ast.MatchAs() | ast.MatchStar():
            return (node.name,)
        case ast.MatchMapping():
            return (node.rest,)
        case ast.arg():
            return (node.arg,)
        case ast.alias():
            return (node.asname,)
        case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
            return (name,)
        case _:
            return ()


def split(name: str) -> list[str]:
    """The words of a name in snake_case or CamelCase, in lower case."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().strip("_").split("_")


def banned_per_thousand(root: Path) -> tuple[float, Counter[str]]:
    """Banned words in 1,000 identifiers of a package, and their counts."""
    names = [name for _, name in identifiers(root)]
    counts = Counter(word for name in names for word in split(name) if word in BANNED)
    return 1000.0 * counts.total() / len(names), counts


def test_identifiers_have_no_everyday_words() -> None:
    found = {(file, name) for file, name in identifiers(PACKAGE) if set(split(name)) & BANNED}
    assert not found - {(file, name) for file, names in FIXED.items() for name in names}


@pytest.mark.parametrize(
    "code",
    [
        "def answer(): ...", "class Answer: ...", "def f(answer): ...", "answer = 1", "self.answer = 1",
        "import x as answer", "from x import y as answer", "(answer := 1)", "[0 for answer in x]",
        "try: ...\nexcept E as answer: ...", "with x as answer: ...", "match x:\n case [answer, *_]: ...",
        "match x:\n case [*answer]: ...", "match x:\n case {**answer}: ...", "match x:\n case int() as answer: ...",
    ],
)  # fmt: skip
def test_each_way_to_define_a_name_is_seen(code: str, tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(code, encoding="utf-8")
    assert "answer" in {name.lower() for _, name in identifiers(tmp_path)}


def test_modules_and_packages_are_names(tmp_path: Path) -> None:
    for path in ("wishes/__init__.py", "wishes/answer.py"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch()
    assert identifiers(tmp_path) == (("wishes/__init__.py", "wishes"), ("wishes/answer.py", "answer"))


def test_texts_of_the_program_have_no_everyday_phrases() -> None:
    found = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}: {node.value}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for node in nodes_of(path)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and SPEECH.search(node.value)
    ]
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
