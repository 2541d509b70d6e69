"""Actions that change only the view, by action id.

Actions that send a request to the market are in `request_actions`; quit, save and copy are in `app`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from dfmon.tui.filters import Filter
from dfmon.tui.layout import layout
from dfmon.tui.render.box import inner_size
from dfmon.tui.render.explanation import EXPLAINABLE
from dfmon.tui.render.forward_map import drawn_map
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.heatmap_grid import HeatmapGrid, current_grid, cursor_of
from dfmon.tui.render.models import known_models
from dfmon.tui.render.options import SORT_LABELS, cursor_index, filtered_options
from dfmon.tui.render.smile import smile_cursor
from dfmon.tui.render.vol import vol_surface
from dfmon.tui.settings import ICONS, PALETTES
from dfmon.tui.sheets import PANELS, SHEETS, SPECS_BY_NAME, LineSource, covers_panels, filtered_list, front_sheet
from dfmon.tui.view import (
    HEATMAP_LAYERS,
    LOOKBACKS,
    MERGE_STEPS,
    PROFILE_HORIZONS,
    PROFILE_RANGES,
    SORT_KEYS,
    SPANS,
    TABLES,
    View,
    cycle,
)
from dfmon.tui.what_if_controls import CONTROLS, step_control

ViewAction = Callable[[View, Frame], None]
_EXPLAINED_OF_PANEL: Final = {"chart": "regime", "gauges": "ngi", "profile": "flip", "alerts": "scenario"}
_LARGE_STEP: Final = 4  # values of a slider
_LAYOUT_FIELDS: Final = (
    "panel", "zoom", "sheet", "sheet_under_help", "metric", "span", "cursor_strike", "cursor_column", "merge", "scroll",
    "sort_key", "table", "selected_option", "expiry_filter", "filters", "map_row", "map_column", "what_if",
    "what_if_row", "expiry_row", "smile", "smile_row", "profile_horizon", "profile_range", "profile_column",
    "lookback",
)  # fmt: skip


def go_back(view: View, frame: Frame) -> None:
    """Clears the filter on screen, else closes the sheet or detail, else leaves the zoom."""
    fills_screen = view.sheet or view.zoom
    filter_visible = not fills_screen or SPECS_BY_NAME[view.sheet or view.panel].list_name is not None
    if filter_visible and view.filters[filtered_list(view)].text:
        view.filters[filtered_list(view)] = Filter()
    elif view.sheet == "vol" and view.smile:
        view.smile = False
    elif view.sheet:
        toggle_sheet(view.sheet, view, frame)
    elif view.zoom:
        view.zoom = False
        if view.panel == "alerts":
            _mark_alerts_read(view, frame)


def toggle_sheet(sheet: str, view: View, frame: Frame) -> None:
    """Opens a sheet or closes it; help returns to the sheet it was opened over."""
    if view.sheet == sheet:
        view.sheet, view.sheet_under_help = view.sheet_under_help, ""
    else:
        view.sheet_under_help = view.sheet if sheet == "help" and covers_panels(view.sheet) else ""
        view.sheet = sheet
    view.scroll = 0


def focus_panel(panel: str, view: View, frame: Frame) -> None:
    """Focuses a panel; zooms it and leaves the zoom where it has the focus already."""
    if covers_panels(view.sheet):
        view.sheet = view.sheet_under_help = ""
    if view.zoom and view.panel == "alerts":
        _mark_alerts_read(view, frame)
    view.zoom = not view.zoom if view.panel == panel else view.zoom
    view.panel, view.scroll = panel, 0


def step_panel(step: int, view: View, frame: Frame) -> None:
    """Focuses the next panel; on the positions sheet the other table."""
    if view.sheet == "positions":
        view.table = cycle(TABLES, view.table, step)
        return
    view.panel, view.scroll = cycle(tuple(spec.name for spec in PANELS), view.panel, step), 0


def toggle_detail(view: View, frame: Frame) -> None:
    """Opens or closes the detail of the cell, the explanation of a panel's number, or what belongs to a sheet's row:

    the origins of an option's position, the smile of an expiry.
    """
    if view.sheet == "positions":
        view.table = "options" if view.table == "origins" else "origins"
        return
    if view.sheet == "vol":
        view.smile, view.smile_row = not view.smile, 0
        return
    if view.sheet == "explain" or view.sheet == "what-if" or (not view.sheet and view.panel in _EXPLAINED_OF_PANEL):
        view.explained = _EXPLAINED_OF_PANEL.get(view.panel, "ngi") if not view.sheet else view.explained
        toggle_sheet("explain", view, frame)
        return
    toggle_sheet("detail", view, frame)


def toggle_zoom(view: View, frame: Frame) -> None:
    view.zoom, view.scroll = not view.zoom, 0


def toggle_alerts(view: View, frame: Frame) -> None:
    """Opens the list of alerts, or closes it and marks them as read."""
    if view.zoom and view.panel == "alerts":
        view.zoom = False
        _mark_alerts_read(view, frame)
    else:
        view.sheet, view.panel, view.zoom, view.scroll = "", "alerts", True, 0


def _mark_alerts_read(view: View, frame: Frame) -> None:
    view.alerts_read_ns = max((a.ts_ns for a in frame.alerts), default=view.alerts_read_ns)


def show_next_alert(view: View, frame: Frame) -> None:
    """Shows the oldest unread alert first on its line and marks it as read."""
    unread_alerts = [a for a in reversed(frame.alerts) if a.ts_ns > view.alerts_read_ns]
    if unread_alerts:
        view.alerts_read_ns = view.alert_shown_ns = unread_alerts[0].ts_ns
    else:
        view.alert_shown_ns = 0
        view.show_notice("no new alerts", frame.now_ns)


def next_model(view: View, frame: Frame) -> None:
    """Shows the next position model. What is published stays as it is."""
    snapshot = frame.latest_snapshot
    show_model(view, frame, cycle(known_models(snapshot), view.model or (snapshot.positions.model if snapshot else "")))


def show_model(view: View, frame: Frame, model: str) -> None:
    """Shows a position model; the published one is followed when it changes."""
    published = frame.latest_snapshot.positions.model if frame.latest_snapshot is not None else ""
    view.model = "" if model == published else model
    view.show_notice(f"showing {model}" + (f", published is {published}" if view.model else ""), frame.now_ns)


def next_palette(view: View, frame: Frame) -> None:
    view.palette = cycle(PALETTES, view.palette)
    view.show_notice(f"palette {view.palette}", frame.now_ns)


def next_icons(view: View, frame: Frame) -> None:
    view.icons = cycle(ICONS, view.icons)
    view.show_notice(f"glyphs {view.icons}", frame.now_ns)


def step_metric(step: int, view: View, frame: Frame) -> None:
    view.metric = cycle(HEATMAP_LAYERS, view.metric, step)


def step_span(step: int, view: View, frame: Frame) -> None:
    """The next span of the chart; of the zoomed profile the next horizon."""
    if _is_profile(view):
        view.profile_horizon = (view.profile_horizon + step) % len(PROFILE_HORIZONS)
        return
    view.span = (view.span + step) % len(SPANS)


def step_merge(step: int, view: View, frame: Frame) -> None:
    index = MERGE_STEPS.index(view.merge) + step
    if 0 <= index < len(MERGE_STEPS):
        view.merge = MERGE_STEPS[index]
    message = "one strike per row" if view.merge == 1 else f"{view.merge} strikes summed per row"
    view.show_notice(message, frame.now_ns)


def step_sort_key(step: int, view: View, frame: Frame) -> None:
    view.sort_key = cycle(SORT_KEYS, view.sort_key, step)
    view.selected_option = ""
    view.show_notice(f"options sorted by {SORT_LABELS[view.sort_key]}", frame.now_ns)


def step_expiry_filter(step: int, view: View, frame: Frame) -> None:
    """Shows one expiry, then the next, then all."""
    labels = ("", *(row.label for row in frame.snapshot.by_expiry)) if frame.snapshot else ("",)
    view.expiry_filter = cycle(labels, view.expiry_filter, step)
    view.selected_option = ""


def open_prompt(prompt_sign: str, view: View, frame: Frame) -> None:
    """Opens the input line, with the current filter for `/`."""
    view.prompt, view.prompt_error = prompt_sign, ""
    view.prompt_text = view.filters[filtered_list(view)].text if prompt_sign == "/" else ""


def reset_layout(view: View, frame: Frame) -> None:
    """Resets panels, cursor, sort order, filters and what-if; colours, glyphs and read marks stay.

    On the what-if sheet only the what-if.
    """
    if view.sheet == "what-if":
        view.what_if = {}
        view.show_notice("what-if forgotten", frame.now_ns)
        return
    initial_view = View(view.underlying, tape_min=view.tape_min)
    for name in _LAYOUT_FIELDS:
        setattr(view, name, getattr(initial_view, name))
    view.show_notice("layout reset", frame.now_ns)


def move_cursor(rows: int, columns: int, view: View, frame: Frame) -> None:
    """Moves the cursor of the heat-map or the options, or scrolls; up is towards higher strikes."""
    if view.sheet == "positions":
        _move_option_cursor(view, frame, -rows, columns)
        return
    if view.sheet == "forward":
        _move_map_cursor(view, frame, rows, columns)
        return
    if view.sheet == "vol":
        _move_through_vol(view, frame, rows, columns)
        return
    if view.sheet == "explain" and columns:
        view.explained, view.scroll = cycle(EXPLAINABLE, view.explained, columns), 0
        return
    if _is_profile(view):
        half = view.size[0] // 2
        view.profile_column = max(-half, min(view.profile_column + columns, half))
        return
    if view.sheet == "what-if":
        _move_control(view, frame, rows, columns)
        return
    if _scrolled_lines(view) is not None:
        view.scroll = max(0, min(view.scroll - rows, _max_scroll(view, frame)))
        return
    grid = current_grid(frame)
    if grid is None:
        return
    row, column = cursor_of(grid, view)
    if rows:
        _set_cursor_strike(view, grid, row + rows)
    view.cursor_column = max(0, min(column + columns, len(grid.expiries) - 1))


def _is_profile(view: View) -> bool:
    """True for the profile on the whole screen."""
    return view.zoom and view.panel == "profile" and not covers_panels(view.sheet)


def _move_map_cursor(view: View, frame: Frame, rows: int, columns: int) -> None:
    if (drawn := drawn_map(frame)) is not None:
        half = len(drawn.moves) // 2
        view.map_row = max(-half, min(view.map_row + rows, half))
        view.map_column = max(0, min(view.map_column + columns, len(drawn.hours) - 1))


def _move_control(view: View, frame: Frame, rows: int, columns: int) -> None:
    view.what_if_row = (view.what_if_row - rows) % len(CONTROLS)
    if columns:
        step_control(view, frame, columns)


def _move_through_vol(view: View, frame: Frame, rows: int, columns: int) -> None:
    """Up and down through the expiries, or the strikes of a smile, in which left and right change the expiry."""
    surface = vol_surface(frame)
    if not surface:
        return
    if view.smile and rows:
        row = surface[view.expiry_row % len(surface)]
        at = smile_cursor(frame, row)
        view.smile_row += max(0, min(at + rows, len(row.strikes) - 1)) - at
    else:
        view.expiry_row = max(0, min(view.expiry_row + (columns or -rows), len(surface) - 1))
        view.smile_row = 0


def reset_control(view: View, frame: Frame) -> None:
    """Takes back the change of the selected row of the what-if."""
    control = CONTROLS[view.what_if_row]
    view.what_if = {name: text for name, text in view.what_if.items() if name != control.name}
    view.show_notice(f"{control.title} as it is", frame.now_ns)


def next_lookback(view: View, frame: Frame) -> None:
    """Compares the heat-map with an older slice, after the oldest with none."""
    view.lookback = (view.lookback + 1) % len(LOOKBACKS)
    minutes = LOOKBACKS[view.lookback]
    view.show_notice(f"heat-map against {minutes} min ago" if minutes else "heat-map as it is", frame.now_ns)


def step_range(step: int, view: View, frame: Frame) -> None:
    """More or fewer strikes a row of the heat-map; a larger step of the what-if; a wider or narrower profile."""
    if _is_profile(view):
        view.profile_range = max(0, min(view.profile_range + step, len(PROFILE_RANGES) - 1))
        return
    if view.sheet == "what-if":
        step_control(view, frame, step * _LARGE_STEP)
    else:
        step_merge(step, view, frame)


def _move_option_cursor(view: View, frame: Frame, rows: int, columns: int) -> None:
    """Moves through the options; left and right change the expiry, as do up and down in the table of expiries."""
    if columns or view.table == "expiries":
        step_expiry_filter(columns or rows, view, frame)
        return
    rows_listed = filtered_options(frame)
    if rows_listed:
        view.selected_option = rows_listed[
            max(0, min(cursor_index(rows_listed, view) + rows, len(rows_listed) - 1))
        ].name


def move_to_first(view: View, frame: Frame) -> None:
    view.cursor_strike, view.scroll, view.selected_option = None, 0, ""
    view.map_row = view.expiry_row = view.smile_row = view.profile_column = 0


def move_to_last(view: View, frame: Frame) -> None:
    if view.sheet == "positions":
        _move_option_cursor(view, frame, len(filtered_options(frame)), 0)
    elif _scrolled_lines(view) is not None:
        view.scroll = _max_scroll(view, frame)
    elif grid := current_grid(frame):
        _set_cursor_strike(view, grid, 0)


def _set_cursor_strike(view: View, grid: HeatmapGrid, row: int) -> None:
    view.cursor_strike = grid.strikes[max(0, min(row, len(grid.strikes) - 1))]


def _scrolled_lines(view: View) -> LineSource | None:
    """The lines that up and down move through; None where they move a cursor."""
    return front_sheet(view).lines if covers_panels(view.sheet) or view.zoom else None


def _max_scroll(view: View, frame: Frame) -> int:
    """The scroll at which the last line is visible."""
    rects = layout(*view.size, panel=view.panel, zoom=view.zoom, sheet=view.sheet)
    name, lines = front_sheet(view).name, _scrolled_lines(view)
    width, height = inner_size(rects[name]) if name in rects else view.size
    return max(0, len(lines(frame, width)) - height) if lines is not None else 0


VIEW_ACTIONS: Final[dict[str, ViewAction]] = {
    "view.model": next_model,
    "app.back": go_back,
    **{spec.action.id: partial(toggle_sheet, spec.name) for spec in SHEETS if spec.key},
    "list.filter": partial(open_prompt, "/"),
    "app.command": partial(open_prompt, ":"),
    "replay.goto": partial(open_prompt, "@"),
    "panel.reset": reset_layout,
    "what-if.reset": reset_control,
    "app.alerts": toggle_alerts,
    "alert.next": show_next_alert,
    "app.colours": next_palette,
    "app.icons": next_icons,
    **{f"panel.focus.{i}": partial(focus_panel, spec.name) for i, spec in enumerate(PANELS, start=1)},
    "panel.next": partial(step_panel, 1),
    "panel.prev": partial(step_panel, -1),
    "panel.zoom": toggle_zoom,
    "view.span": partial(step_span, 1),
    "view.span.prev": partial(step_span, -1),
    "view.metric": partial(step_metric, 1),
    "view.metric.prev": partial(step_metric, -1),
    "view.order": partial(step_sort_key, 1),
    "view.order.prev": partial(step_sort_key, -1),
    "view.only": partial(step_expiry_filter, 1),
    "view.only.prev": partial(step_expiry_filter, -1),
    "view.lookback": next_lookback,
    "view.more": partial(step_range, 1),
    "view.less": partial(step_range, -1),
    "cursor.left": partial(move_cursor, 0, -1),
    "cursor.right": partial(move_cursor, 0, 1),
    "cursor.up": partial(move_cursor, 1, 0),
    "cursor.down": partial(move_cursor, -1, 0),
    "cursor.first": move_to_first,
    "cursor.last": move_to_last,
    "cell.detail": toggle_detail,
}
