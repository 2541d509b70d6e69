"""Panel 6: the alerts. One line where space is short, a list when zoomed.

The first line says why the scenario holds.
"""

from __future__ import annotations

import textwrap
from typing import Final

from dfmon.model.snapshot import Alert
from dfmon.model.units import SECOND
from dfmon.tui.render.box import Rect, bordered_panel, inner_size
from dfmon.tui.render.formatting import (
    Row,
    Run,
    cell_text,
    fit,
    format_duration,
    format_moment,
    format_time,
    linked,
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
        title.append(("  when, kind, lasted, why; + still holds", "dim"))
        rows = alert_rows(frame, width)
        first = min(frame.view.scroll, max(0, len(rows) - height))
        body = rows[first : first + height] or [((" none: alerts are kept over restarts", "dim"),)]
        return bordered_panel(rect, title, body, focus=focus)
    tail: list[Run] = [("above: ◆ flip  digit scenario  ╱ no data", "dim")] if width >= 100 else []
    body = [fit(_reason_runs(frame, width), width), *(_alert_row(frame, a, width) for a in items[: height - 1])]
    return bordered_panel(rect, title, body, focus=focus, tail=tail)


def _reason_runs(frame: Frame, width: int) -> list[Run]:
    """` why 5 SQUEEZE  NGI < 0, phi_g 0.81 >= mid`: the inputs that decided the scenario, or that are missing."""
    if frame.snapshot is None:
        return [(" none", "dim")]
    scenario = frame.snapshot.scenario
    name = f"{scenario.bucket or ''} {cell_text(scenario.name, 16)}".strip()
    reasons = cell_text(", ".join(scenario.reasons) or scenario.overlay.partition(": ")[2] or "no reason known", 400)
    return [(" why ", "dim"), (f"{name}  ", "scene"), (truncate(reasons, width - len(name) - 8), "text")]


def alert_rows(frame: Frame, width: int) -> list[Row]:
    """All alerts, newest first, in full: when, of which kind, how long it lasted, and why."""
    rows: list[Row] = []
    for i, alert in enumerate(frame.alerts):
        newer = (
            other for other in reversed(frame.alerts[:i]) if (other.kind, other.model) == (alert.kind, alert.model)
        )
        lasted = _lasted_text(frame, alert, next(newer, None))
        is_unread = alert.ts_ns > frame.view.alerts_read_ns
        head = [*_head_runs(frame, alert), (f"{lasted:>8}  ", "dim")]
        lines = textwrap.wrap(cell_text(alert.text, 300), max(20, width - row_width(head) - 1)) or [""]
        style = "strong" if is_unread else "text"
        rows.append(fit((*head, (lines[0], style)), width))
        rows += [fit(((" " * row_width(head), "text"), (line, style)), width) for line in lines[1:]]
    return rows


def _lasted_text(frame: Frame, alert: Alert, newer: Alert | None) -> str:
    """The time until the next alert of its kind, or since it while it holds; an outage has its own in the text."""
    if alert.kind not in ("SCENE", "FLIP"):
        return ""
    end_ns = frame.clock_ns if newer is None else newer.ts_ns
    return format_duration((end_ns - alert.ts_ns) / SECOND) + ("+" if newer is None else "")


def _single_row(frame: Frame, width: int, focus: bool) -> Row:
    """The newest alerts while some are unread or one is chosen, else why the scenario holds."""
    head: list[Run] = [
        ("─▸" if focus else "─ ", "edge"),
        ("6 ALERTS", "title.focus" if focus else "title"),
        *linked([(_unread_text(frame), "warn")], "list.next"),
        (" ─", "edge"),
    ]
    chosen = next((a for a in frame.alerts if a.ts_ns == frame.view.alert_shown_ns), None)
    if chosen is None and not frame.unread_alert_count:
        head += _reason_runs(frame, width - row_width(head) - 2)
    else:
        head += _alerts_in_a_row(frame, chosen, width - row_width(head) - 2)
    head.append((" ", "edge"))
    return fit((*head, ("─" * max(0, width - row_width(head)), "edge")), width)


def _unread_text(frame: Frame) -> str:
    return f" [{frame.key('list.next')}] {frame.unread_alert_count} !" if frame.unread_alert_count else ""


def _alerts_in_a_row(frame: Frame, chosen: Alert | None, width: int) -> list[Run]:
    items = list(frame.alerts)
    items = items[items.index(chosen) :] if chosen is not None else items
    out: list[Run] = [(" ", "edge")]
    for i, alert in enumerate(items):
        is_unread = alert.ts_ns > frame.view.alerts_read_ns
        text = f"{format_time(alert.ts_ns, seconds=False)} {cell_text(alert.text, 300)}"
        available = width - row_width(out) - 5
        if i and len(text) > available:
            break
        if i:
            out.append(("  ·  ", "edge"))
        out.append((truncate(text, available), "strong" if is_unread else "text"))
    return out


def _head_runs(frame: Frame, alert: Alert) -> list[Run]:
    """`11:04:41  ■ SCENE `: time, glyph and kind."""
    return [
        (f" {format_moment(alert.ts_ns, frame.clock_ns):<8}  ", "dim"),
        (f"{_KIND_GLYPHS.get(alert.kind, '!')} {cell_text(alert.kind, 6):<6} ", _KIND_STYLES.get(alert.kind, "warn")),
    ]


def _alert_row(frame: Frame, alert: Alert, width: int) -> Row:
    head = _head_runs(frame, alert)
    text = truncate(cell_text(alert.text, 300), width - 1 - row_width(head))
    style = "strong" if alert.ts_ns > frame.view.alerts_read_ns else "text"
    return (*fit((*head, (text, style)), width - 1), (" ", "text"))
