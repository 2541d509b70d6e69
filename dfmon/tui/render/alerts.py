"""Panel 6: the alerts. One line where space is short, a list when zoomed.

Wide screens also show here what the model leaves out.
"""

from __future__ import annotations

from typing import Final

from dfmon.model.snapshot import Alert
from dfmon.tui.render.box import Rect, bordered_panel, inner_size
from dfmon.tui.render.formatting import (
    Row,
    Run,
    cell_text,
    fit,
    format_time,
    justify,
    row_width,
    truncate,
)
from dfmon.tui.render.frame import Frame

_KIND_GLYPHS: Final = {"SCENE": "■", "FLIP": "▼", "FEED": "○"}
_KIND_STYLES: Final = {"SCENE": "scene", "FLIP": "flip", "FEED": "bad"}


def alerts(frame: Frame, rect: Rect) -> list[Row]:
    """The panel at any size."""
    width, height = inner_size(rect)
    focus = frame.view.panel == "alerts"
    if rect.height == 1:
        return [_single_row(frame, width, focus)]
    title: list[Run] = [("6 ALERTS", "title")]
    if frame.unread_alert_count:
        title.append((f"  {frame.unread_alert_count} new", "warn"))
    items = frame.alerts
    if frame.view.zoom:
        first = min(frame.view.scroll, max(0, len(items) - height))
        body = alert_rows(frame, width)[first : first + height] or [((" none", "dim"),)]
        return bordered_panel(rect, title, body, focus=focus)
    caveat: Run = (f"{caveat_text(frame)} ", "caveat")
    if width < 150:
        body = [_alert_row(frame, a, width) for a in items[: height - 1]] or [((" none", "dim"),)]
        body += [fit((), width)] * (height - 1 - len(body))
        body.append(justify((), [caveat], width))
        return bordered_panel(rect, title, body, focus=focus)
    left_width = width // 2
    cells = [_alert_row(frame, a, left_width) for a in items[: 2 * height - 1]]
    cells += [fit((), left_width)] * (2 * height - 1 - len(cells))
    if not items:
        cells[0] = fit(((" none", "dim"),), left_width)
    right_cells = [*cells[height:], justify((), [caveat], width - left_width)]
    rows = [(*a, *fit(b, width - left_width)) for a, b in zip(cells[:height], right_cells, strict=True)]
    return bordered_panel(rect, title, rows, focus=focus)


def caveat_text(frame: Frame) -> str:
    """Limits of the model in one line."""
    venue = frame.snapshot.options_venue if frame.snapshot is not None else ""
    return f"model: {venue or 'one venue'} only, no OTC or ETF options, all dealers as one desk"


def alert_rows(frame: Frame, width: int) -> list[Row]:
    """All alerts, newest first."""
    return [_alert_row(frame, alert, width) for alert in frame.alerts]


def _single_row(frame: Frame, width: int, focus: bool) -> Row:
    head: list[Run] = [
        ("─▸" if focus else "─ ", "edge"),
        ("6 ALERTS", "title.focus" if focus else "title"),
        (f" [n] {frame.unread_alert_count} !" if frame.unread_alert_count else "", "warn"),
        (" ─ ", "edge"),
    ]
    items = list(frame.alerts)
    chosen = next((a for a in items if a.ts_ns == frame.view.alert_shown_ns), None)
    if chosen is not None:
        items = items[items.index(chosen) :]
    out = list(head)
    for i, alert in enumerate(items):
        is_unread = alert.ts_ns > frame.view.alerts_read_ns
        text = f"{format_time(alert.ts_ns, seconds=False)} {cell_text(alert.text, 300)}"
        available = width - row_width(out) - 5
        if i and len(text) > available:
            break
        if i:
            out.append(("  ·  ", "edge"))
        out.append((truncate(text, available), "strong" if is_unread else "text"))
    if not items:
        out.append(("none", "dim"))
    out.append((" ", "edge"))
    return fit((*out, ("─" * max(0, width - row_width(out)), "edge")), width)


def _alert_row(frame: Frame, alert: Alert, width: int) -> Row:
    kind = cell_text(alert.kind, 6)
    is_unread = alert.ts_ns > frame.view.alerts_read_ns
    head: tuple[Run, ...] = (
        (f" {format_time(alert.ts_ns)}  ", "dim"),
        (f"{_KIND_GLYPHS.get(alert.kind, '!')} {kind:<6} ", _KIND_STYLES.get(alert.kind, "warn")),
    )
    text = truncate(cell_text(alert.text, 300), width - 1 - row_width(head))
    return (*fit((*head, (text, "strong" if is_unread else "text")), width - 1), (" ", "text"))
