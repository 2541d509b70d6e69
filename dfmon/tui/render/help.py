"""The help sheet: how to read the screen, and every key."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import zip_longest
from typing import Final

from dfmon.tui.actions import GROUPS, Action
from dfmon.tui.render.formatting import Row, Run, fit, linked

_MIN_TWO_COLUMN_WIDTH: Final = 78
_LEGEND: Final = (
    "▲ ▼ ■  rising, falling, flat   ● ◐ ○  good, slow, down   K block   + c combo",
    "~ stale   ! incomplete, or a block   · too small   n/a not known   [ ] cursor",
)


def help_rows(explanation: str, actions: Sequence[Action], width: int) -> list[Row]:
    """The explanation of the open sheet or panel, the legend of glyphs, then the keys in one or two columns."""
    lines = [line for text in (explanation, *_LEGEND) for line in textwrap.wrap(text, max(10, width - 2))]
    body: list[Row] = [fit(((f" {line}", "text"),), width) for line in lines]
    if width < _MIN_TWO_COLUMN_WIDTH:
        return [*body, *(fit(row, width) for row in _key_rows(actions, GROUPS))]
    half = width // 2
    splits = [(_key_rows(actions, GROUPS[:i]), _key_rows(actions, GROUPS[i:])) for i in range(1, len(GROUPS))]
    left, right = min(splits, key=lambda columns: max(len(columns[0]), len(columns[1])))
    pairs = zip_longest(left, right, fillvalue=())
    return [*body, *((*fit(left_row, half), *fit(right_row, width - half)) for left_row, right_row in pairs)]


def _key_rows(actions: Sequence[Action], groups: Sequence[str]) -> list[list[Run]]:
    """The actions of some groups, one per line."""
    out: list[list[Run]] = []
    for group in groups:
        out.append([(f" {group}", "head")])
        of_group = [action for action in actions if action.group == group and action.help]
        out += [linked([(f" {a.key_label:<8} ", "key"), (a.help, "text")], a.id) for a in of_group]
    return out
