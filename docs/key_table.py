"""Writes the tables of keys in docs/keys.md from the actions of the screen: `python docs/key_table.py`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from dfmon.tui.actions import GROUPS, Action
from dfmon.tui.keymap import key_label
from dfmon.tui.sheets import ACTIONS

PAGE: Final = Path(__file__).parent / "keys.md"
_HEADER: Final = "| key | action | what it does | where |\n| --- | --- | --- | --- |\n"
_PLACES: Final = {
    "SHEETS": "everywhere",
    "SCREEN": "everywhere",
    "PANELS": "main screen",
    "HEAT-MAP": "heat-map, lists and sheets",
    "POSITIONS": "positions",
    "WHAT-IF": "what-if",
    "REPLAY": "replay",
}


def key_table() -> str:
    """A row for each action, by group."""
    rows = (_row(action) for group in GROUPS for action in ACTIONS if action.group == group)
    return _HEADER + "".join(rows)


def with_keys(page: str) -> str:
    """The page with its table of keys as of now."""
    return re.sub(re.escape(_HEADER) + r"(\|.*\n)*", lambda _: key_table(), page)


def _row(action: Action) -> str:
    keys = " ".join(f"`{key_label(key)}`" for key in action.keys)
    return f"| {keys} | `{action.id}` | {action.text} | {_PLACES[action.group]} |\n"


if __name__ == "__main__":
    PAGE.write_text(with_keys(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
