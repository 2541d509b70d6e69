"""What the actions do to the view: pure changes of what the user chose, by action id.

What actions ask of the market is in `wishes`; those that reach outside (quit, save, copy) are in `app`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from dfmon.tui.filters import Filter
from dfmon.tui.layout import SHEETS, plan
from dfmon.tui.render.box import inner
from dfmon.tui.render.feeds import feed_rows
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.heatmap import Grid, current, cursor_of
from dfmon.tui.render.help import help_rows
from dfmon.tui.render.options import ORDER_WORDS, listed, place
from dfmon.tui.render.tape import FIXED_ROWS, prints
from dfmon.tui.settings import ICONS, PALETTES
from dfmon.tui.view import MERGES, METRICS, ORDERS, PANELS, PARTS, SPANS, View, cycle

Deed = Callable[[View, Frame], None]
_LAYOUT: Final = (
    "panel", "zoom", "sheet", "below", "metric", "span", "strike", "expiry", "merge", "scroll",
    "order", "part", "option", "only", "filters",
)  # fmt: skip


def back(view: View, frame: Frame) -> None:
    """Close what was opened last: a filter first, then detail or sheet, then the zoom."""
    shown = view.sheet == "positions" or (not view.sheet and (view.panel == "tape" or not view.zoom))
    if shown and view.filters[view.filtered].text:
        view.filters[view.filtered] = Filter()
    elif view.sheet:
        toggle(view.sheet, view, frame)
    elif view.zoom:
        view.zoom = False
        if view.panel == "alerts":
            _read_all(view, frame)


def toggle(sheet: str, view: View, frame: Frame) -> None:
    """Open a sheet, or close it; help goes back to the sheet it was opened over."""
    if view.sheet == sheet:
        view.sheet, view.below = view.below, ""
    else:
        view.below = view.sheet if sheet == "help" and view.sheet in SHEETS else ""
        view.sheet = sheet
    view.scroll = 0


def focus(panel: str, view: View, frame: Frame) -> None:
    """Focus a panel; again: zoom it; again: back."""
    if view.sheet != "detail":
        view.sheet = view.below = ""
    if view.zoom and view.panel == "alerts":
        _read_all(view, frame)
    view.zoom = not view.zoom if view.panel == panel else view.zoom
    view.panel, view.scroll = panel, 0


def step_panel(step: int, view: View, frame: Frame) -> None:
    """The next panel; on the positions sheet its other part."""
    if view.sheet == "positions":
        view.part = cycle(PARTS, view.part, step)
        return
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


def order(step: int, view: View, frame: Frame) -> None:
    view.order = cycle(ORDERS, view.order, step)
    view.option = ""
    view.say(f"options by {ORDER_WORDS[view.order]}", frame.now_ns)


def only(step: int, view: View, frame: Frame) -> None:
    """One expiry alone, then the next, then all."""
    labels = ("", *(row.label for row in frame.snapshot.by_expiry)) if frame.snapshot else ("",)
    view.only = cycle(labels, view.only, step)
    view.option = ""


def ask(sign: str, view: View, frame: Frame) -> None:
    """Open the line that is typed into, with what holds now."""
    view.prompt, view.wrong = sign, ""
    view.typed = view.filters[view.filtered].text if sign == "/" else ""


def reset(view: View, frame: Frame) -> None:
    """Panels, cursor, orders and filters as at the start; colours, glyphs and what was read stay."""
    fresh = View(view.underlying, tape_min=view.tape_min)
    for name in _LAYOUT:
        setattr(view, name, getattr(fresh, name))
    view.say("layout as at the start", frame.now_ns)


def move(rows: int, columns: int, view: View, frame: Frame) -> None:
    """The cursor of the heat-map or of a list, or the place in a text; up is towards higher strikes."""
    if view.sheet == "positions":
        _to_option(view, frame, -rows, columns)
        return
    if _scrolls(view):
        view.scroll = max(0, min(view.scroll - rows, _furthest(view, frame)))
        return
    grid = current(frame)
    if grid is None:
        return
    row, column = cursor_of(grid, view)
    if rows:
        _to(view, grid, row + rows)
    view.expiry = max(0, min(column + columns, len(grid.expiries) - 1))


def _to_option(view: View, frame: Frame, rows: int, columns: int) -> None:
    """Down or up the options; left and right change the expiry, as does moving in the table of expiries."""
    if columns or view.part == "expiries":
        only(columns or rows, view, frame)
        return
    have = listed(frame)
    if have:
        view.option = have[max(0, min(place(have, view) + rows, len(have) - 1))].name


def first(view: View, frame: Frame) -> None:
    view.strike, view.scroll, view.option = None, 0, ""


def last(view: View, frame: Frame) -> None:
    if view.sheet == "positions":
        _to_option(view, frame, len(listed(frame)), 0)
    elif _scrolls(view):
        view.scroll = _furthest(view, frame)
    elif grid := current(frame):
        _to(view, grid, 0)


def _to(view: View, grid: Grid, row: int) -> None:
    view.strike = grid.strikes[max(0, min(row, len(grid.strikes) - 1))]


def _scrolls(view: View) -> bool:
    """Whether up and down move through lines instead of moving a cursor."""
    return view.sheet in {"help", "feeds"} or (view.zoom and view.panel in {"tape", "alerts"})


def _furthest(view: View, frame: Frame) -> int:
    """The scroll at which the last line comes into sight."""
    name = view.sheet if view.sheet in SHEETS else view.panel
    rects = plan(*view.size, panel=view.panel, zoom=view.zoom, sheet=view.sheet)
    width, height = inner(rects[name]) if name in rects else view.size
    match name:
        case "help":
            lines = len(help_rows(frame, width))
        case "feeds":
            lines = len(feed_rows(frame, width))
        case "tape":
            lines = len(prints(frame)) + FIXED_ROWS
        case _:
            lines = len(frame.alerts)
    return max(0, lines - height)


DEEDS: Final[dict[str, Deed]] = {
    "app.help": partial(toggle, "help"),
    "app.back": back,
    "app.feeds": partial(toggle, "feeds"),
    "app.positions": partial(toggle, "positions"),
    "list.filter": partial(ask, "/"),
    "app.command": partial(ask, ":"),
    "replay.goto": partial(ask, "@"),
    "panel.reset": reset,
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
    "view.order": partial(order, 1),
    "view.order.prev": partial(order, -1),
    "view.only": partial(only, 1),
    "view.only.prev": partial(only, -1),
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
