"""The positions sheet: what dealers probably hold, option by option, and how far that can be believed.

Coins, + where dealers are long. Three parts: the models side by side, the options, the expiries. A wide screen shows
all three, a small one the models and one of the others (tab).
"""

from __future__ import annotations

from typing import Final

from dfmon.model.snapshot import ExpiryRow, FlowSnapshot, Positions
from dfmon.tui.layout import Rect
from dfmon.tui.render.box import framed, inner
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.heatmap import window
from dfmon.tui.render.models import models
from dfmon.tui.render.options import options
from dfmon.tui.render.text import (
    NOTHING,
    Row,
    Run,
    by_priority,
    coins,
    covered,
    cut,
    fit,
    foreign,
    percent,
    sign_style,
)

_WIDE: Final = 132  # from here on options stand beside models and expiries
_RIGHT: Final = 74
_GUIDE: Final = (
    "NET      what dealers hold of the option in the middle case",
    "5% 95%   nine in ten members of the ensemble lie between these",
    "P(LONG)  share of the members in which dealers are long",
    "SEEN     share of its open interest whose history was seen",
    "LAST     age of its last print; none: no print seen",
)


def positions(frame: Frame, rect: Rect) -> list[Row]:
    """The sheet at any size."""
    width, height = inner(rect)
    s, detail = frame.snapshot, frame.detail
    title: list[Run] = [("DEALER POSITIONS", "title"), ("  coins, + dealers are long, - short", "dim")]
    if s is None or detail is None:
        return framed(rect, title, [(), ((f"  {frame.waiting()}", "dim"),)], focus=False)
    if frame.mode == "sim" and width >= 100:
        title.append(("   of the simulated exchange", "dim"))
    parts = _beside if width >= _WIDE and height >= 20 else _stacked
    return framed(rect, title, [_summary(s.positions, width), *parts(frame, s, width, height - 1)], focus=False)


def _stacked(frame: Frame, s: FlowSnapshot, width: int, height: int) -> list[Row]:
    top = models(frame, s, width) if height >= 13 else []
    room = height - len(top)
    part = options if frame.view.part == "options" else expiries
    return [*top, *part(frame, s, width, room)]


def _beside(frame: Frame, s: FlowSnapshot, width: int, height: int) -> list[Row]:
    left = options(frame, s, width - _RIGHT - 1, height)
    right = models(frame, s, _RIGHT)
    room = height - len(right) - 1
    right += [fit((), _RIGHT), *expiries(frame, s, _RIGHT, min(room, max(2, len(s.by_expiry)) + 4))]
    if height - len(right) > len(_GUIDE):
        right += [fit((), _RIGHT), *(fit(((f" {text}", "dim"),), _RIGHT) for text in _GUIDE)]
    right += [fit((), _RIGHT)] * (height - len(right))
    return [(*one, ("│", "edge"), *other) for one, other in zip(left, right, strict=True)]


def _summary(p: Positions, width: int) -> Row:
    """On what the positions rest; each figure that is missing says so."""
    churn = "" if p.churn is None else " opening" if p.churn > 0 else " closing" if p.churn < 0 else ""
    facts: list[tuple[int, str, str | None, str]] = [
        (3, "gross", coins(p.gross_coins), ""),
        (1, "churn", None if p.churn is None else f"{p.churn:+.2f}", churn),
        (1, "residual", None if p.residual is None else percent(p.residual, 1, plus=False), ""),
        (2, "venue share", None if p.venue_share is None else percent(p.venue_share, 0, plus=False), ""),
    ]
    if p.requests_checked:
        facts.append((2, "RFQ", f"{p.requests_differing} of {p.requests_checked}", " differ"))
    text, tone = covered(p)
    parts: list[tuple[int, tuple[Run, ...]]] = [
        (0, ((f" {foreign(p.model, 10)} model", "strong"),)),
        (0, ((text, tone),)),
    ]
    for rank, name, value, more in facts:
        tone = "absent" if value is None else "warn" if name == "RFQ" and p.requests_differing else "text"
        parts.append((rank, ((f"{name} ", "dim"), (value or NOTHING, tone), (more, "dim"))))
    return fit(by_priority(parts, width, 3 if width >= 78 else 2), width)


# ---- expiries --------------------------------------------------------------------------------------------------------


def expiries(frame: Frame, s: FlowSnapshot, width: int, height: int) -> list[Row]:
    """A row an expiry: what dealers hold there, how much of it was seen, and what the prints leave unexplained."""
    cell = 10 if width >= 70 else 9
    names = ("OI", "NET", "COVER", "CHURN", "RESIDUAL")
    count = max(2, min(len(names), (width - 10) // cell))
    head = f" {'EXPIRY':<8}" + "".join(f"{name:>{cell}}" for name in names[:count])
    out: list[Row] = [fit(((head, "head"),), width)]
    rows = s.by_expiry
    if not rows:
        out.append(fit((("  no expiry listed yet", "dim"),), width))
    room = max(1, height - 3)
    at = next((i for i, row in enumerate(rows) if row.label == frame.view.only), 0)
    out += [_expiry(frame, rows[i], cell, count, width) for i in window(len(rows), room, 0, at) if rows]
    out += [fit((), width)] * (height - 2 - len(out))
    why = _missing(rows, s, width)
    return [
        *out,
        *(fit(((f" {text}", "dim"),), width) for text in ("CHURN: d(OI) / volume, + opening, - closing", why)),
    ]


def _expiry(frame: Frame, row: ExpiryRow, cell: int, count: int, width: int) -> Row:
    on = row.label == frame.view.only
    values: list[Run] = [
        (coins(row.open_interest, plus=False), "dim"),
        (NOTHING, "absent") if row.net is None else (coins(row.net), frame.shade(sign_style(row.net))),
        (percent(row.coverage, 0, plus=False), "absent" if row.coverage is None else "text"),
        (NOTHING, "absent") if row.churn is None else (f"{row.churn:+.2f}", "text"),
        (percent(row.residual, 1, plus=False), "absent" if row.residual is None else "text"),
    ]
    name = f"{'▶' if on else ' '}{foreign(row.label, 8):<8}"
    return fit(
        ((name, "row.spot" if on else "label"), *((f"{t:>{cell}}", style) for t, style in values[:count])), width
    )


def _missing(rows: tuple[ExpiryRow, ...], s: FlowSnapshot, width: int) -> str:
    """What RESIDUAL is; where a figure is missing, the snapshot's own sentence for why (whole under `f`)."""
    lost = [n for n in ("net", "coverage", "churn", "residual") if any(getattr(row, n) is None for row in rows)]
    if not lost:
        return "RESIDUAL: share of open interest that moved without a print we saw"
    said = next((text for text in s.unavailable if any(name in text.partition(":")[0] for name in lost)), "")
    text = f"n/a: {foreign(said, 300) or 'not seen yet'}"
    return text if len(text) < width else f"{cut(text, width - 12)} [f] more"
