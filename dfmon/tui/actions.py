"""The one table of actions. Key bindings, footer, help sheet and command palette all come from it.

`keys` are Textual's names, `key_label` is what is printed. An action without `help` shares the line of the one before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dfmon.tui.layout import SHEETS

GROUPS: Final = ("SCREEN", "PANELS", "HEAT-MAP", "POSITIONS", "REPLAY")
_PANEL_GROUPS: Final = ("PANELS", "HEAT-MAP")  # not offered while a sheet covers the panels


@dataclass(frozen=True, slots=True)
class Action:
    """`available_in`: "" everywhere, else the mode or sheet it works in. `footer_rank`: place in the footer, 0 for not
    there.
    """

    id: str
    keys: tuple[str, ...]
    key_label: str
    text: str
    help: str = ""
    group: str = "SCREEN"
    available_in: str = ""
    footer_rank: int = 0
    footer_label: str = ""


def _focus_action(number: int, text: str) -> Action:
    """All six share one line of help and one place in the footer."""
    first = number == 1
    help_text = "focus panel, again: zoom" if first else ""
    return Action(
        f"panel.focus.{number}", (str(number),), "1-6", text, help_text, "PANELS", "", 4 if first else 0, "panel"
    )


_POSITIONS_SHEET: Final = ("POSITIONS", "positions")  # group, and where it works
_REPLAY_MODE: Final = ("REPLAY", "replay")

ACTIONS: Final[tuple[Action, ...]] = (
    Action("app.help", ("question_mark",), "?", "Help", "this help", footer_rank=2, footer_label="help"),
    Action("app.quit", ("q",), "q", "Quit", "quit (also ctrl+c)", footer_rank=1, footer_label="quit"),
    Action("app.interrupt", ("ctrl+c",), "ctrl+c", "Quit as interrupted"),
    Action("app.back", ("escape",), "esc", "Back", "back: close, leave zoom", footer_rank=3, footer_label="back"),
    Action(
        "app.pause",
        ("space",),
        "space",
        "Pause or go on",
        "pause (live: drawing only)",
        footer_rank=3,
        footer_label="pause",
    ),
    Action("app.currency", ("c",), "c", "Next currency", "next currency", footer_rank=9, footer_label="currency"),
    Action("view.model", ("b",), "b", "Next position model", "position model", footer_rank=7, footer_label="model"),
    Action(
        "app.positions",
        ("d",),
        "d",
        "Dealer positions",
        "dealer positions, models",
        footer_rank=6,
        footer_label="positions",
    ),
    Action(
        "list.filter",
        ("slash",),
        "/",
        "Filter the list",
        "filter options or prints",
        footer_rank=9,
        footer_label="filter",
    ),
    Action(
        "app.command",
        ("colon",),
        ":",
        "Command line",
        "command line (tab completes)",
        footer_rank=14,
        footer_label="command",
    ),
    Action("app.feeds", ("f",), "f", "Feeds and health", "feeds and health", footer_rank=10, footer_label="feeds"),
    Action(
        "app.alerts", ("a",), "a", "List of alerts", "alerts (n: next new one)", footer_rank=11, footer_label="alerts"
    ),
    Action("alert.next", ("n",), "n", "Next new alert"),
    Action(
        "app.colours",
        ("p",),
        "p",
        "Next palette",
        "palette (colour-blind sets)",
        footer_rank=13,
        footer_label="palette",
    ),
    Action("app.icons", ("i",), "i", "Next set of glyphs", "unicode, ascii, braille"),
    Action(
        "app.snapshot",
        ("s",),
        "s",
        "Save the screen",
        "save screen as SVG and text",
        footer_rank=12,
        footer_label="save",
    ),
    Action("app.redraw", ("ctrl+l",), "ctrl+l", "Draw everything anew", "draw everything anew"),
    Action("app.palette", ("ctrl+p",), "ctrl+p", "Command palette", "find an action by name"),
    _focus_action(1, "Panel 1, spot against flip"),
    _focus_action(2, "Panel 2, heat-map"),
    _focus_action(3, "Panel 3, gauges"),
    _focus_action(4, "Panel 4, flow tape"),
    _focus_action(5, "Panel 5, gamma profile"),
    _focus_action(6, "Panel 6, alerts"),
    Action("panel.next", ("tab",), "tab", "Next panel", "next panel, shift+tab back", "PANELS"),
    Action("panel.prev", ("shift+tab",), "shift+tab", "Previous panel", "", "PANELS"),
    Action("panel.zoom", ("z",), "z", "Zoom the panel", "zoom the panel", "PANELS", footer_rank=5, footer_label="zoom"),
    Action("panel.reset", ("R",), "R", "The layout of the start", "the layout of the start", "PANELS"),
    Action(
        "view.span",
        ("t",),
        "t T",
        "Longer time span",
        "longer, shorter span",
        "PANELS",
        footer_rank=8,
        footer_label="span",
    ),
    Action("view.span.prev", ("T",), "T", "Shorter time span", "", "PANELS"),
    Action("cursor.left", ("h", "left"), "hjkl", "Cursor left", "move cursor (also arrows)", "HEAT-MAP"),
    Action("cursor.down", ("j", "down"), "j", "Cursor down", "", "HEAT-MAP"),
    Action("cursor.up", ("k", "up"), "k", "Cursor up", "", "HEAT-MAP"),
    Action("cursor.right", ("l", "right"), "l", "Cursor right", "", "HEAT-MAP"),
    Action("cursor.first", ("g",), "g G", "Spot row, top of a list", "spot row or top; last row", "HEAT-MAP"),
    Action("cursor.last", ("G",), "G", "Last row", "", "HEAT-MAP"),
    Action(
        "view.metric",
        ("m",),
        "m M",
        "Next metric",
        "next, previous metric",
        "HEAT-MAP",
        footer_rank=6,
        footer_label="metric",
    ),
    Action("view.metric.prev", ("M",), "M", "Previous metric", "", "HEAT-MAP"),
    Action("view.more", ("plus",), "+ -", "Wider range of strikes", "more, fewer strikes a row", "HEAT-MAP"),
    Action("view.less", ("minus",), "-", "Narrower range of strikes", "", "HEAT-MAP"),
    Action("cell.detail", ("enter",), "enter", "Detail of the cell", "detail of the cell", "HEAT-MAP"),
    Action("cell.copy", ("y",), "y", "Copy", "copy cell or summary", "HEAT-MAP"),
    Action("view.order", ("o",), "o O", "Next order of the list", "order of the list", *_POSITIONS_SHEET, 4, "order"),
    Action("view.order.prev", ("O",), "O", "Previous order of the list", "", *_POSITIONS_SHEET),
    Action(
        "view.only", ("e",), "e E", "Next expiry alone", "one expiry, then the next", *_POSITIONS_SHEET, 4, "expiry"
    ),
    Action("view.only.prev", ("E",), "E", "Previous expiry alone", "", *_POSITIONS_SHEET),
    Action("replay.step", ("full_stop",), ", .", "Step forward", "step back, forward", *_REPLAY_MODE, 4, "step"),
    Action("replay.step.prev", ("comma",), ",", "Step back", "", *_REPLAY_MODE),
    Action(
        "replay.forward",
        ("right_square_bracket",),
        "[ ]",
        "A minute on",
        "a minute back, on",
        *_REPLAY_MODE,
        4,
        "1 min",
    ),
    Action("replay.back", ("left_square_bracket",), "[", "A minute back", "", *_REPLAY_MODE),
    Action("replay.hour", ("right_curly_bracket",), "{ }", "An hour on", "an hour back, on", *_REPLAY_MODE, 4, "1 h"),
    Action("replay.hour.back", ("left_curly_bracket",), "{", "An hour back", "", *_REPLAY_MODE),
    Action("replay.goto", ("r",), "r", "Go to a time", "go to a time", *_REPLAY_MODE, 4, "goto"),
    Action("replay.faster", ("greater_than_sign",), "< >", "Faster", "slower, faster", *_REPLAY_MODE, 4, "speed"),
    Action("replay.slower", ("less_than_sign",), "<", "Slower", "", *_REPLAY_MODE),
)

ACTIONS_BY_ID: Final = {action.id: action for action in ACTIONS}


def is_available(action: Action, mode: str, sheet: str = "") -> bool:
    """Whether an action means anything in this mode, on this sheet."""
    return not action.available_in or action.available_in in (mode, sheet)


def footer_entries(mode: str, sheet: str, zoom: bool) -> list[tuple[int, str, str]]:
    """(rank, key, word) of the ranked actions that do something now, in the order of the table."""
    can_go_back, panels_hidden = bool(sheet) or zoom, sheet in SHEETS
    out = []
    for action in ACTIONS:
        if (
            not action.footer_rank
            or not is_available(action, mode, sheet)
            or (action.id == "app.back" and not can_go_back)
        ):
            continue
        if panels_hidden and action.group in _PANEL_GROUPS:
            continue
        out.append((action.footer_rank, action.key_label, action.footer_label))
    return sorted(out, key=lambda item: item[0])
