"""What the actions do to the view: pure changes of what the user chose, by action id.

Actions that reach outside (quit, save, copy, requests to the market) are in `app`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from dfmon.tui.present.frame import Frame
from dfmon.tui.present.heatmap import Grid, current, cursor_of
from dfmon.tui.settings import ICONS, PALETTES
from dfmon.tui.view import MERGES, METRICS, PANELS, SPANS, View, cycle

Deed = Callable[[View, Frame], None]


def back(view: View, frame: Frame) -> None:
    """Close what was opened last: detail or sheet first, then the zoom."""
    if view.sheet:
        view.sheet = ""
    elif view.zoom:
        view.zoom = False
        if view.panel == "alerts":
            _read_all(view, frame)


def toggle(sheet: str, view: View, frame: Frame) -> None:
    view.sheet = "" if view.sheet == sheet else sheet


def focus(panel: str, view: View, frame: Frame) -> None:
    """Focus a panel; again: zoom it; again: back."""
    if view.sheet != "detail":
        view.sheet = ""
    if view.zoom and view.panel == "alerts":
        _read_all(view, frame)
    view.zoom = not view.zoom if view.panel == panel else view.zoom
    view.panel, view.scroll = panel, 0


def step_panel(step: int, view: View, frame: Frame) -> None:
    view.panel, view.scroll = cycle(PANELS, view.panel, step), 0


def zoom(view: View, frame: Frame) -> None:
    view.zoom, view.scroll = not view.zoom, 0


def alerts(view: View, frame: Frame) -> None:
    """The list of alerts, and away with it; what was listed has been read."""
    if view.zoom and view.panel == "alerts":
        view.zoom = False
        _read_all(view, frame)
    else:
        view.sheet, view.panel, view.zoom, view.scroll = "", "alerts", True, 0


def _read_all(view: View, frame: Frame) -> None:
    view.alerts_read_ns = max((a.ts_ns for a in frame.alerts), default=view.alerts_read_ns)


def next_alert(view: View, frame: Frame) -> None:
    """Bring the oldest unread alert to the front of the line and count it as read."""
    unread = [a for a in reversed(frame.alerts) if a.ts_ns > view.alerts_read_ns]
    if unread:
        view.alerts_read_ns = view.alert_shown_ns = unread[0].ts_ns
    else:
        view.alert_shown_ns = 0
        view.say("no new alerts", frame.now_ns)


def colours(view: View, frame: Frame) -> None:
    view.palette = cycle(PALETTES, view.palette)
    view.say(f"palette {view.palette}", frame.now_ns)


def icons(view: View, frame: Frame) -> None:
    view.icons = cycle(ICONS, view.icons)
    view.say(f"glyphs {view.icons}", frame.now_ns)


def metric(step: int, view: View, frame: Frame) -> None:
    view.metric = cycle(METRICS, view.metric, step)


def span(step: int, view: View, frame: Frame) -> None:
    view.span = (view.span + step) % len(SPANS)


def merge(step: int, view: View, frame: Frame) -> None:
    at = MERGES.index(view.merge) + step
    if 0 <= at < len(MERGES):
        view.merge = MERGES[at]
    words = "one strike a row" if view.merge == 1 else f"{view.merge} strikes summed in a row"
    view.say(words, frame.now_ns)


def move(rows: int, columns: int, view: View, frame: Frame) -> None:
    """The cursor of the heat-map, or the place in a zoomed list; up is towards higher strikes."""
    if view.zoom and view.panel in {"tape", "alerts"}:
        view.scroll = max(0, min(view.scroll - rows, _length(view, frame) - 1))
        return
    grid = current(frame)
    if grid is None:
        return
    row, column = cursor_of(grid, view)
    if rows:
        _to(view, grid, row + rows)
    view.expiry = max(0, min(column + columns, len(grid.expiries) - 1))


def first(view: View, frame: Frame) -> None:
    view.strike, view.scroll = None, 0


def last(view: View, frame: Frame) -> None:
    if view.zoom and view.panel in {"tape", "alerts"}:
        view.scroll = max(0, _length(view, frame) - 1)
    elif grid := current(frame):
        _to(view, grid, 0)


def _to(view: View, grid: Grid, row: int) -> None:
    view.strike = grid.strikes[max(0, min(row, len(grid.strikes) - 1))]


def _length(view: View, frame: Frame) -> int:
    detail = frame.detail
    return len(frame.alerts) if view.panel == "alerts" else len(detail.tape) if detail else 0


DEEDS: Final[dict[str, Deed]] = {
    "app.help": partial(toggle, "help"),
    "app.back": back,
    "app.feeds": partial(toggle, "feeds"),
    "app.alerts": alerts,
    "alert.next": next_alert,
    "app.colours": colours,
    "app.icons": icons,
    **{f"panel.focus.{i}": partial(focus, name) for i, name in enumerate(PANELS, start=1)},
    "panel.next": partial(step_panel, 1),
    "panel.prev": partial(step_panel, -1),
    "panel.zoom": zoom,
    "view.span": partial(span, 1),
    "view.span.prev": partial(span, -1),
    "view.metric": partial(metric, 1),
    "view.metric.prev": partial(metric, -1),
    "view.more": partial(merge, 1),
    "view.less": partial(merge, -1),
    "cursor.left": partial(move, 0, -1),
    "cursor.right": partial(move, 0, 1),
    "cursor.up": partial(move, 1, 0),
    "cursor.down": partial(move, -1, 0),
    "cursor.first": first,
    "cursor.last": last,
    "cell.detail": partial(toggle, "detail"),
}
