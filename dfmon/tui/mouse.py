"""The mouse: a click runs the command of what is under it, focuses a panel, and selects a cell or row; the wheel moves.

A click means what a key or a line of the command line means, so there is nothing that only the mouse can do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dfmon.tui.commands import CommandResult, run_command
from dfmon.tui.cursor import is_profile, move_cursor, scrolled_lines
from dfmon.tui.render.frame import Frame
from dfmon.tui.sheets import ACTIONS_BY_ID, PANELS, covers_panels
from dfmon.tui.view import View
from dfmon.tui.view_actions import focus_panel, step_range, step_span

_WHEEL_LINES: Final = 3
_PANEL_NAMES: Final = frozenset(spec.name for spec in PANELS)
_PLACES: Final = (
    "cell ",
    "cursor ",
    "option ",
    "exp ",
    "strike ",
)  # what they select, enter opens


@dataclass(frozen=True, slots=True)
class MousePlace:
    """The panel or sheet under the mouse, and the command of the run there, "" for none."""

    panel: str
    command: str = ""


def click(view: View, frame: Frame, place: MousePlace, *, right: bool = False, double: bool = False) -> CommandResult:
    """Focuses the panel and runs its command; a right click explains or opens what a left one selects.

    A double click zooms a panel, and opens the row of a sheet. An open input line takes no click.
    """
    if view.prompt:
        return None
    on_panel = place.panel in _PANEL_NAMES and not covers_panels(view.sheet)
    if on_panel and view.panel != place.panel:
        focus_panel(place.panel, view, frame)
    selects = place.command.startswith(_PLACES)
    if double and (on_panel or selects):
        return ACTIONS_BY_ID["panel.zoom" if on_panel else "cell.detail"]
    result = ACTIONS_BY_ID.get(place.command) or run_command(view, frame, place.command)
    if right and (selects or (on_panel and not place.command)):
        return ACTIONS_BY_ID["cell.detail"]
    return result


def turn_wheel(view: View, frame: Frame, place: MousePlace, step: int) -> None:
    """Moves through the sheet or panel under the mouse, up for 1: lines, the cursor, or the span of a chart."""
    if view.prompt:
        return
    if covers_panels(view.sheet) or view.zoom:
        if is_profile(view):
            step_range(-step, view, frame)
        elif view.panel == "chart" and not covers_panels(view.sheet):
            step_span(-step, view, frame)
        else:
            move_cursor(step * (_WHEEL_LINES if scrolled_lines(view) is not None else 1), 0, view, frame)
        return
    if place.panel in _PANEL_NAMES and view.panel != place.panel:
        focus_panel(place.panel, view, frame)
    match place.panel:
        case "heatmap":
            move_cursor(step, 0, view, frame)
        case "chart":
            step_span(-step, view, frame)
        case "tape":
            view.scroll = max(0, view.scroll - step * _WHEEL_LINES)
