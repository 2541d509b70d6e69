"""Actions: key bindings, footer, help and command palette come from these rows and from those of `sheets`.

`keys` are Textual's names, `key_label` is printed. An action without `help` shares the line of the one before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

GROUPS: Final = ("SHEETS", "SCREEN", "PANELS", "HEAT-MAP", "POSITIONS", "WHAT-IF", "REPLAY")
PANEL_GROUPS: Final = ("PANELS", "HEAT-MAP")  # not offered while a sheet covers the panels


@dataclass(frozen=True, slots=True)
class Action:
    """One action. `available_in` is the mode or sheet it works in, "" for all; `footer_rank` 0 is not in the footer."""

    id: str
    keys: tuple[str, ...]
    key_label: str
    text: str
    help: str = ""
    group: str = "SCREEN"
    available_in: str = ""
    footer_rank: int = 0
    footer_label: str = ""


def focus_action(number: int, title: str) -> Action:
    """The action of a panel's number; all of them share the help and the footer entry of the first."""
    help_text, footer_rank = ("focus panel, again: zoom", 4) if number == 1 else ("", 0)
    text = f"Panel {number}, {title.lower()}"
    return Action(f"panel.focus.{number}", (str(number),), "1-6", text, help_text, "PANELS", "", footer_rank, "panel")


_POSITIONS_SHEET: Final = ("POSITIONS", "positions")  # group, and `available_in`
_WHAT_IF_SHEET: Final = ("WHAT-IF", "what-if")
_REPLAY_MODE: Final = ("REPLAY", "replay")

SCREEN_ACTIONS: Final[tuple[Action, ...]] = (
    Action("app.quit", ("q",), "q", "Quit", "quit (also ctrl+c)", footer_rank=1, footer_label="quit"),
    Action("app.interrupt", ("ctrl+c",), "ctrl+c", "Quit as interrupted"),
    Action("app.back", ("escape",), "esc", "Back", "close, leave zoom", footer_rank=3, footer_label="back"),
    Action(
        "app.pause",
        ("space",),
        "space",
        "Pause or resume",
        "pause (live: the screen only)",
        footer_rank=3,
        footer_label="pause",
    ),
    Action("app.currency", ("c",), "c", "Next currency", "next currency", footer_rank=9, footer_label="currency"),
    Action("view.model", ("b",), "b", "Next position model", "position model", footer_rank=7, footer_label="model"),
    Action(
        "list.filter",
        ("/",),
        "/",
        "Filter the list, search the lines",
        "filter a list, search lines",
        footer_rank=9,
        footer_label="filter",
    ),
    Action(
        "app.command",
        (":",),
        ":",
        "Command line",
        "command line (tab completes)",
        footer_rank=14,
        footer_label="command",
    ),
    Action("app.alerts", ("a",), "a", "List of alerts", "alerts", "SHEETS", "", 11, "alerts"),
    Action("list.next", ("n",), "n N", "Next match or new alert", "next, previous match or alert"),
    Action("list.prev", ("N",), "N", "Previous match or alert"),
    Action(
        "app.colours",
        ("p",),
        "p",
        "Next palette",
        "next colour palette",
        footer_rank=13,
        footer_label="palette",
    ),
    Action("app.icons", ("i",), "i", "Next set of glyphs", "glyphs: unicode, ascii, braille"),
    Action(
        "app.snapshot",
        ("s",),
        "s",
        "Save the screen",
        "save screen as SVG and text",
        footer_rank=12,
        footer_label="save",
    ),
    Action("app.suspend", ("ctrl+z",), "ctrl+z", "Suspend to the shell"),
    Action("app.redraw", ("ctrl+l",), "ctrl+l", "Redraw the screen", "redraw the screen"),
    Action("app.palette", ("ctrl+p",), "ctrl+p", "Command palette", "find an action by name"),
)

# of the panels, of one sheet or of a replay
CONTEXT_ACTIONS: Final[tuple[Action, ...]] = (
    Action("panel.next", ("tab",), "tab", "Next panel", "next panel, shift+tab back", "PANELS"),
    Action("panel.prev", ("shift+tab",), "shift+tab", "Previous panel", "", "PANELS"),
    Action("panel.zoom", ("z",), "z", "Zoom the panel", "zoom the panel", "PANELS", footer_rank=5, footer_label="zoom"),
    Action("panel.reset", ("R",), "R", "Reset the layout", "reset the layout", "PANELS"),
    Action(
        "view.span",
        ("t",),
        "t T",
        "Longer time span",
        "longer, shorter time span",
        "PANELS",
        footer_rank=8,
        footer_label="span",
    ),
    Action("view.span.prev", ("T",), "T", "Shorter time span", "", "PANELS"),
    Action("cursor.left", ("h", "left"), "hjkl", "Cursor left", "move cursor; 5j moves five", "HEAT-MAP"),
    Action("cursor.down", ("j", "down"), "j", "Cursor down", "", "HEAT-MAP"),
    Action("cursor.up", ("k", "up"), "k", "Cursor up", "", "HEAT-MAP"),
    Action("cursor.right", ("l", "right"), "l", "Cursor right", "", "HEAT-MAP"),
    Action("cursor.half.down", ("ctrl+d",), "ctrl+d u", "Half a page down", "half a page down, up", "HEAT-MAP"),
    Action("cursor.half.up", ("ctrl+u",), "ctrl+u", "Half a page up", "", "HEAT-MAP"),
    Action("cursor.page.down", ("pagedown", "ctrl+f"), "pgdn up", "Page down", "a page down, up", "HEAT-MAP"),
    Action("cursor.page.up", ("pageup", "ctrl+b"), "pgup", "Page up", "", "HEAT-MAP"),
    Action("cursor.first", ("g", "home"), "g G", "Spot row, top of a list", "spot row or top, last row", "HEAT-MAP"),
    Action("cursor.last", ("G", "end"), "G", "Last row", "", "HEAT-MAP"),
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
    Action("view.lookback", ("D",), "D", "Compare with an earlier slice", "against 1, 5, 15, 60 min ago", "HEAT-MAP"),
    Action("view.smoother", ("x",), "x", "Smoother of the heat-map", "smooth 3 strikes x 2 expiries", "HEAT-MAP"),
    Action("view.more", ("+",), "+ -", "Wider range of strikes", "more, fewer strikes per row", "HEAT-MAP"),
    Action("view.less", ("-",), "-", "Narrower range of strikes", "", "HEAT-MAP"),
    Action(
        "cell.detail",
        ("enter",),
        "enter",
        "Detail of the cell or row, explanation of a panel",
        "detail of the cell, or explain",
        "HEAT-MAP",
    ),
    Action("view.copy", ("y",), "y Y", "Copy the locator", "copy a locator, the numbers", "HEAT-MAP"),
    Action("cell.copy", ("Y",), "Y", "Copy the numbers", "", "HEAT-MAP"),
    Action("what-if.reset", ("0",), "0", "Reset the row", "reset the row", *_WHAT_IF_SHEET, 4, "reset row"),
    Action("view.order", ("o",), "o O", "Next sort order", "sort order", *_POSITIONS_SHEET, 4, "order"),
    Action("view.order.prev", ("O",), "O", "Previous sort order", "", *_POSITIONS_SHEET),
    Action(
        "view.only", ("e",), "e E", "Show only the next expiry", "one expiry at a time", *_POSITIONS_SHEET, 4, "expiry"
    ),
    Action("view.only.prev", ("E",), "E", "Show only the previous expiry", "", *_POSITIONS_SHEET),
    Action("replay.step", (".",), ", .", "Step forward", "step back, forward", *_REPLAY_MODE, 4, "step"),
    Action("replay.step.prev", (",",), ",", "Step back", "", *_REPLAY_MODE),
    Action(
        "replay.forward",
        ("]",),
        "[ ]",
        "One minute forward",
        "one minute back, forward",
        *_REPLAY_MODE,
        4,
        "1 min",
    ),
    Action("replay.back", ("[",), "[", "One minute back", "", *_REPLAY_MODE),
    Action(
        "replay.hour",
        ("}",),
        "{ }",
        "One hour forward",
        "one hour back, forward",
        *_REPLAY_MODE,
        4,
        "1 h",
    ),
    Action("replay.hour.back", ("{",), "{", "One hour back", "", *_REPLAY_MODE),
    Action("replay.goto", ("r",), "r", "Go to a time", "go to a time", *_REPLAY_MODE, 4, "goto"),
    Action("replay.faster", (">",), "< >", "Faster", "slower, faster", *_REPLAY_MODE, 4, "speed"),
    Action("replay.slower", ("<",), "<", "Slower", "", *_REPLAY_MODE),
)


def is_available(action: Action, mode: str, sheet: str = "") -> bool:
    """True for an action that works in this mode and on this sheet."""
    return not action.available_in or action.available_in in (mode, sheet)
