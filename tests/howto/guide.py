"""Follows the code of a how-to page on a copy of the package.

A fence titled with a path is a file (any language) or an edit (`diff`): context lines, then lines added after them.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(r'^```(\w+) title="([^"]+)"\n(.*?)^```$', re.MULTILINE | re.DOTALL)


def follow_guide(page: str, tree: Path) -> dict[str, str]:
    """Copies dfmon/ to `tree` and applies docs/howto/`page` to it; the environment in which the copy is imported."""
    shutil.copytree(ROOT / "dfmon", tree / "dfmon", ignore=shutil.ignore_patterns("__pycache__"))
    steps = _FENCE.findall((ROOT / "docs" / "howto" / page).read_text(encoding="utf-8"))
    assert steps, f"{page} has no titled block of code"
    for language, name, text in steps:
        file = tree / name
        if language == "diff":
            file.write_text(_apply_diff(file.read_text(encoding="utf-8"), text, name), encoding="utf-8")
        else:
            assert not file.exists(), f"{name} is there already"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
    # PYTHONSAFEPATH: else `python -m` would find the package of the working directory first
    return {"PATH": os.environ["PATH"], "HOME": str(tree), "PYTHONPATH": str(tree), "PYTHONSAFEPATH": "1"}


def dfmon_command(*args: str | Path) -> list[str]:
    return [sys.executable, "-m", "dfmon", *map(str, args)]


def _apply_diff(source: str, diff: str, name: str) -> str:
    lines = diff.splitlines(keepends=True)
    before = "".join(line[1:] for line in lines if line[0] in " -")
    after = "".join(line[1:] for line in lines if line[0] in " +")
    assert source.count(before) == 1, f"{name} has the context {source.count(before)} times:\n{before}"
    return source.replace(before, after)
