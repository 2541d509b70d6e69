"""Actions that change only the view, by action id.

Actions that send a request to the market are in `request_actions`; quit, save and copy are in `app`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from dfmon.tui.cursor import (
    is_profile,
    is_searched,
    move_cursor,
    move_page,
    move_to_first,
    move_to_last,
    step_expiry_filter,
    step_match,
    take_count,
)
from dfmon.tui.filters import Filter
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.models import known_models
from dfmon.tui.render.options import SORT_LABELS
from dfmon.tui.settings import ICONS, PALETTES
from dfmon.tui.sheets import PANELS, SHEETS, SPECS_BY_NAME, covers_panels, filtered_list, front_sheet, open_explanation
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
_EXPLAINED: Final = {  # the number or word of a panel or sheet that `enter` writes out
    "chart": "regime", "gauges": "ngi", "profile": "flip", "alerts": "scenario", "coins": "outlook", "what-if": "ngi",
    "forward": "outlook", "settlement": "unwind", "transitions": "scenario", "score": "hedge_flow", "book": "outlook",
    "feeds": "age",
}  # fmt: skip
_LARGE_STEP: Final = 4  # values of a slider
_LAYOUT_FIELDS: Final = (
    "panel", "zoom", "sheet", "sheet_under_help", "metric", "span", "cursor_strike", "cursor_column", "merge", "scroll",
    "search", "sort_key", "table", "selected_option", "expiry_filter", "filters", "map_row", "map_column", "what_if",
    "what_if_row", "expiry_row", "smile", "smile_row", "profile_horizon", "profile_range", "profile_column",
    "lookback", "smoothed", "book_row",
)  # fmt: skip


def go_back(view: View, frame: Frame) -> None:
    """Clears the count or the filter or the search on screen, else closes the sheet or detail, else leaves the zoom."""
    fills_screen = view.sheet or view.zoom
    if view.count:
        view.count = ""
        return
    filter_visible = not fills_screen or SPECS_BY_NAME[view.sheet or view.panel].list_name is not None
    if filter_visible and view.filters[filtered_list(view)].text:
        view.filters[filtered_list(view)] = Filter()
    elif view.search and is_searched(view):
        view.search = ""
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
    if view.sheet == "explain":
        toggle_sheet("explain", view, frame)
    elif (name := _EXPLAINED.get(view.sheet or view.panel)) is not None:
        open_explanation(name, view)
    else:
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


def show_previous_alert(view: View, frame: Frame) -> None:
    """Shows the alert before the one on the line, the newest one where none is shown."""
    shown_ns = view.alert_shown_ns or frame.now_ns
    earlier = [alert.ts_ns for alert in frame.alerts if alert.ts_ns < shown_ns]
    if earlier:
        view.alert_shown_ns = earlier[0]
    else:
        view.show_notice("no earlier alert", frame.now_ns)


def step_found(step: int, view: View, frame: Frame) -> None:
    """The next or previous line of a search, row of a filtered list, or else alert."""
    if is_searched(view) and view.search:
        for _ in range(take_count(view)):
            step_match(step, view, frame)
    elif front_sheet(view).list_name is not None and view.filters[filtered_list(view)].text:
        move_cursor(-step, 0, view, frame)
    else:
        (show_next_alert if step > 0 else show_previous_alert)(view, frame)


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
    if is_profile(view):
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


def open_prompt(prompt_sign: str, view: View, frame: Frame) -> None:
    """Opens the input line, with the current search or filter for `/`."""
    view.prompt, view.prompt_error = prompt_sign, ""
    view.prompt_text, view.completions = "", ()
    if prompt_sign == "/":
        view.prompt_text = view.search if is_searched(view) else view.filters[filtered_list(view)].text


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


def toggle_smoother(view: View, frame: Frame) -> None:
    """Shows the heat-map through the smoother, or its cells as they are published."""
    view.smoothed = not view.smoothed
    view.show_notice(
        "heat-map smoothed over 3 strikes x 2 expiries" if view.smoothed else "heat-map as published", frame.now_ns
    )


def step_range(step: int, view: View, frame: Frame) -> None:
    """More or fewer strikes a row of the heat-map; a larger step of the what-if; a wider or narrower profile."""
    if is_profile(view):
        view.profile_range = max(0, min(view.profile_range + step, len(PROFILE_RANGES) - 1))
        return
    if view.sheet == "what-if":
        step_control(view, frame, step * _LARGE_STEP)
    else:
        step_merge(step, view, frame)


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
    "list.next": partial(step_found, 1),
    "list.prev": partial(step_found, -1),
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
    "view.smoother": toggle_smoother,
    "view.more": partial(step_range, 1),
    "view.less": partial(step_range, -1),
    "cursor.left": partial(move_cursor, 0, -1),
    "cursor.right": partial(move_cursor, 0, 1),
    "cursor.up": partial(move_cursor, 1, 0),
    "cursor.down": partial(move_cursor, -1, 0),
    "cursor.page.up": partial(move_page, 1.0),
    "cursor.page.down": partial(move_page, -1.0),
    "cursor.half.up": partial(move_page, 0.5),
    "cursor.half.down": partial(move_page, -0.5),
    "cursor.first": move_to_first,
    "cursor.last": move_to_last,
    "cell.detail": toggle_detail,
}
