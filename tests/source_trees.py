"""The syntax trees of source files, each parsed and walked once."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path


@cache
def tree_of(path: Path) -> ast.Module:
    """The tree of a file that does not change."""
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def nodes_of(path: Path) -> tuple[ast.AST, ...]:
    """All nodes of that tree, in the order of `ast.walk`."""
    return tuple(ast.walk(tree_of(path)))
