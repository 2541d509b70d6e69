"""The locator of what is on screen, and the commands that show what a locator names."""

from __future__ import annotations

from typing import Final

from dfmon.model.locator import SCREENS, WHAT_IF, Locator, make_locator
from dfmon.model.units import utc
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.heatmap_grid import current_grid, cursor_of
from dfmon.tui.render.vol import vol_surface
from dfmon.tui.sheets import PANELS, covers_panels
from dfmon.tui.view import View

_PANEL_NAMES: Final = frozenset(spec.name for spec in PANELS)


def locator_of(view: View, frame: Frame) -> Locator:
    """The locator of the sheet or panel in front, at the time of its numbers.

    Raises UsageError where a name from outside cannot be in a locator.
    """
    sheet = view.sheet_under_help if view.sheet == "help" else view.sheet
    screen = sheet if covers_panels(sheet) and sheet in SCREENS else view.panel
    if screen == "vol" and view.smile:
        screen = "smile"
    elif screen == "chart" and not view.zoom:
        screen = "main"
    parameters = _parameters(screen, view, frame) | {"model": view.model}
    if frame.snapshot is not None:
        parameters["at"] = f"{utc(frame.snapshot.ts_ns):%Y-%m-%dT%H:%M:%SZ}"
    return make_locator(view.underlying, screen, parameters)


def _parameters(screen: str, view: View, frame: Frame) -> dict[str, str]:
    match screen:
        case "chart":
            return {"span": view.span_name}
        case "heatmap":
            grid = current_grid(frame)
            cell: dict[str, str] = {}
            if grid is not None:
                row, column = cursor_of(grid, view)
                cell = {"expiry": grid.expiries[column], "strike": f"{grid.strikes[row]:.10g}"}
            return {"layer": view.metric, **cell}
        case "positions":
            return {"expiry": view.expiry_filter}
        case "smile":
            surface = vol_surface(frame)
            return {"expiry": surface[view.expiry_row % len(surface)].label} if surface else {}
        case "what-if":
            return dict(view.what_if)
        case "explain":
            return {"name": view.explained}
        case _:
            return {}


def commands_of(locator: Locator, mode: str) -> list[str]:
    """The command lines that show it, in their order; each needs the frame after the one before it."""
    values = dict(locator.parameters)
    out = [f"coin {locator.coin}"]
    out += [f"model {values['model']}"] if "model" in values else []
    out += [f"goto {values['at'].rstrip('Z')}"] if "at" in values and mode == "replay" else []
    out.append(f"show {locator.screen}")
    if locator.screen == "heatmap":
        out += [f"metric {values['layer']}"] if "layer" in values else []
        if "strike" in values and "expiry" in values:
            out.append(f"cell {values['strike']} {values['expiry']}")
        else:
            cell = (("strike", "strike"), ("expiry", "exp"))
            out += [f"{command} {values[name]}" for name, command in cell if name in values]
    elif locator.screen == "what-if":
        changes = " ".join(f"{name}={values[name]}" for name in WHAT_IF if name in values)
        out += [f"what-if {changes}"] if changes else []
    else:
        places = (("span", "span"), ("expiry", "exp"), ("name", "explain"))
        out += [f"{command} {values[name]}" for name, command in places if name in values]
    return out


def show_screen(screen: str, view: View) -> None:
    """Opens a screen by its name in a locator: a sheet, or a panel on the whole screen."""
    view.scroll, view.sheet_under_help, view.smile = 0, "", screen == "smile"
    if screen == "main" or screen in _PANEL_NAMES:
        view.sheet, view.zoom = "", screen != "main"
        view.panel = screen if view.zoom else "chart"
    else:
        view.sheet = "vol" if screen == "smile" else screen
