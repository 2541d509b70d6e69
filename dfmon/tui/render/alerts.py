"""Panel 6: what changed that a trader wants to know. One line where space is short, a list when zoomed.

Wide screens say here what the model cannot see.
"""

from __future__ import annotations

from typing import Final

from dfmon.model.snapshot import Alert
from dfmon.tui.layout import Rect
from dfmon.tui.render.box import framed, inner
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.text import Row, Run, clock, cut, fit, foreign, spread, width_of

CAVEAT: Final = "a model: Deribit book only, OTC and ETF options unseen, one desk"
_GLYPH: Final = {"SCENE": "■", "FLIP": "▼", "FEED": "○"}
_STYLE: Final = {"SCENE": "scene", "FLIP": "flip", "FEED": "bad"}


def alerts(frame: Frame, rect: Rect) -> list[Row]:
    """The panel at any size."""
    width, height = inner(rect)
    focus = frame.view.panel == "alerts"
    if rect.height == 1:
        return [_one_line(frame, width, focus)]
    title: list[Run] = [("6 ALERTS", "title")]
    if frame.unread:
        title.append((f"  {frame.unread} new", "warn"))
    items = frame.alerts
    if frame.view.zoom:
        first = min(frame.view.scroll, max(0, len(items) - height))
        body = [_long(frame, a, width) for a in items[first : first + height]] or [((" none", "dim"),)]
        return framed(rect, title, body, focus=focus)
    caveat: Run = (f"{CAVEAT} ", "caveat")
    if width < 150:
        body = [_long(frame, a, width) for a in items[: height - 1]] or [((" none", "dim"),)]
        body += [fit((), width)] * (height - 1 - len(body))
        body.append(spread((), [caveat], width))
        return framed(rect, title, body, focus=focus)
    left = width // 2
    cells = [_long(frame, a, left) for a in items[: 2 * height - 1]]
    cells += [fit((), left)] * (2 * height - 1 - len(cells))
    if not items:
        cells[0] = fit(((" none", "dim"),), left)
    rest = [*cells[height:], spread((), [caveat], width - left)]
    rows = [(*a, *fit(b, width - left)) for a, b in zip(cells[:height], rest, strict=True)]
    return framed(rect, title, rows, focus=focus)


def _one_line(frame: Frame, width: int, focus: bool) -> Row:
    head: list[Run] = [
        ("─▸" if focus else "─ ", "edge"),
        ("6 ALERTS", "title.focus" if focus else "title"),
        (" ─ ", "edge"),
    ]
    items = list(frame.alerts)
    chosen = next((a for a in items if a.ts_ns == frame.view.alert_shown_ns), None)
    if chosen is not None:
        items = items[items.index(chosen) :]
    out = list(head)
    for i, alert in enumerate(items):
        new = alert.ts_ns > frame.view.alerts_read_ns
        text = f"{clock(alert.ts_ns, seconds=False)} {foreign(alert.text, 120)}"
        room = width - width_of(out) - 5
        if i and len(text) > room:
            break
        if i:
            out.append(("  ·  ", "edge"))
        out.append((cut(text, room), "strong" if new else "text"))
    if not items:
        out.append(("none", "dim"))
    out.append((" ", "edge"))
    return fit((*out, ("─" * max(0, width - width_of(out)), "edge")), width)


def _long(frame: Frame, alert: Alert, width: int) -> Row:
    kind = foreign(alert.kind, 6)
    new = alert.ts_ns > frame.view.alerts_read_ns
    runs = (
        (f" {clock(alert.ts_ns)}  ", "dim"),
        (f"{_GLYPH.get(alert.kind, '!')} {kind:<6} ", _STYLE.get(alert.kind, "warn")),
        (foreign(alert.text, 160), "strong" if new else "text"),
    )
    return (*fit(runs, width - 1), (" ", "text"))
