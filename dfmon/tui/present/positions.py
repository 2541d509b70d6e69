"""The positions sheet: what dealers probably hold, option by option, and how far that can be believed.

Coins, + where dealers are long. Three parts: the models side by side, the options, the expiries. A wide screen shows
all three, a small one the models and one of the others (tab).
"""

from __future__ import annotations

from typing import Final

from dfmon.model.snapshot import ExpiryRow, FlowSnapshot, PositionRow, Positions
from dfmon.model.units import SECOND
from dfmon.tui.plan import Rect
from dfmon.tui.present.box import framed, inner
from dfmon.tui.present.frame import Frame
from dfmon.tui.present.heatmap import window
from dfmon.tui.present.models import models
from dfmon.tui.present.text import (
    NOTHING,
    Row,
    Run,
    by_priority,
    clock,
    coins,
    covered,
    cut,
    duration,
    expiry_short,
    fit,
    foreign,
    level,
    percent,
    sign_style,
    width_of,
)
from dfmon.tui.view import View

ORDER_WORDS: Final = {"size": "|net|", "band": "band", "oi": "open interest", "expiry": "expiry"}
_WIDE: Final = 132  # from here on options stand beside models and expiries
_RIGHT: Final = 74
_GUIDE: Final = (
    "NET      what dealers hold of the option in the middle case",
    "5% 95%   nine in ten members of the ensemble lie between these",
    "P(LONG)  share of the members in which dealers are long",
    "SEEN     share of its open interest whose history was seen",
    "LAST     age of its last print; none: no print seen",
)
_SURE, _LIKELY = 0.95, 0.75

# name, cells, rank: the lowest ranks are there on any screen
_COLUMNS: Final = (
    ("OI", 9, 3), ("NET", 9, 0), ("5%", 9, 1), ("95%", 9, 1), ("P(LONG)", 8, 2), ("SEEN", 6, 4), ("LAST", 7, 5)
)  # fmt: skip
_OPTION: Final = 16
_PLOT: Final = 8  # a space and at least seven cells


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


# ---- options ---------------------------------------------------------------------------------------------------------


def listed(frame: Frame) -> list[PositionRow]:
    """The options the view asks for, in its order."""
    view, detail = frame.view, frame.detail
    chosen = view.filters["positions"]
    rows = [r for r in (detail.positions if detail else ()) if (not view.only or r.expiry == view.only) and chosen(r)]
    when = {e.label: i for i, e in enumerate(frame.snapshot.by_expiry)} if frame.snapshot else {}
    match view.order:
        case "band":
            rows.sort(key=lambda r: (-(r.hi - r.lo) if r.hi is not None and r.lo is not None else 0.0, r.name))
        case "oi":
            rows.sort(key=lambda r: (-r.open_interest, r.name))
        case "expiry":
            rows.sort(key=lambda r: (when.get(r.expiry, len(when)), r.expiry, r.strike, r.option_type))
        case _:
            rows.sort(key=lambda r: (-abs(r.net), r.name))
    return rows


def place(rows: list[PositionRow], view: View) -> int:
    """Where the option looked at stands; the first row until one is chosen, or when it is gone."""
    return next((i for i, row in enumerate(rows) if row.name == view.option), 0)


def options(frame: Frame, s: FlowSnapshot, width: int, height: int) -> list[Row]:
    """Head, the rows round the cursor, and a sentence about the row it is on."""
    rows = listed(frame)
    names, plot = _fitting(width)
    head = f" {'OPTION':<{_OPTION - 1}}" + "".join(f"{name:>{cells}}" for name, cells, _ in names)
    if plot:
        head += " " + "-OI   0   OI+".center(plot) if plot >= 13 else " " + "-OI OI+".center(plot)
    out: list[Row] = [fit(((head, "head"),), width)]
    if not rows:
        out.append(fit(((f"  {_nothing(frame)}", "dim"),), width))
        return [*out, *[fit((), width)] * (height - 2)]
    at, room = place(rows, frame.view), max(1, height - 3)
    shown = window(len(rows), room, 0, at)
    out += [_option(frame, rows[i], names, plot, width, i == at) for i in shown]
    out += [fit((), width)] * (height - 2 - len(out))
    out += [_where(frame, at, len(rows), width), _sentence(frame, s, rows[at], width)]
    return out


def _nothing(frame: Frame) -> str:
    text = frame.view.filters["positions"].text
    if frame.detail is not None and frame.detail.positions:
        return f"no option of {frame.view.only or 'any expiry'} passes the filter {foreign(text, 40)}".rstrip()
    return "no position known yet: no option has open interest and a mark price"


def _fitting(width: int) -> tuple[list[tuple[str, int, int]], int]:
    """The columns that fit, and the cells of the plot (odd), 0 for none."""
    room, kept = width - _OPTION, set[str]()
    for name, cells, _ in sorted(_COLUMNS, key=lambda c: c[2]):
        if cells > room:
            break
        room -= cells
        kept.add(name)
    plot = 0 if room < _PLOT or len(kept) < len(_COLUMNS) else min(31, room - 1)
    return [c for c in _COLUMNS if c[0] in kept], plot - (plot + 1) % 2 if plot else 0


def _option(frame: Frame, row: PositionRow, names: list[tuple[str, int, int]], plot: int, width: int, on: bool) -> Row:
    stale = frame.stale
    tint = "dim" if stale else sign_style(row.net)
    cells: dict[str, Run] = {
        "OI": (coins(row.open_interest, plus=False), "dim"),
        "NET": (("~" if stale else "") + coins(row.net), tint),
        "5%": _bound(row.lo),
        "95%": _bound(row.hi),
        "P(LONG)": (chance(row.p_long), _chance_style(row.p_long)),
        "SEEN": (percent(row.seen, 0, plus=False), "absent" if row.seen is None else "dim"),
        "LAST": (_ago(frame, row), "dim"),
    }
    kind = foreign(row.option_type, 4)[:1].upper()
    mark = "▶" if on else " "
    label = f"{mark}{expiry_short(row.expiry, wide=True):<5} {level(row.strike):>8}{kind}"
    out: list[Run] = [(f"{label:<{_OPTION}}"[:_OPTION], "row.spot" if on else "label")]
    out += [(f"{cells[name][0]:>{size}}", cells[name][1]) for name, size, _ in names]
    if plot:
        out += [(" ", "text"), *_plot(row, plot, tint)]
    return fit(out, width)


def _bound(value: float | None) -> Run:
    return (NOTHING, "absent") if value is None else (coins(value), "dim")


def chance(p: float | None) -> str:
    """Whole per cent; what is not quite sure never reads 0 or 100."""
    if p is None:
        return NOTHING
    if 0.0 < p < 0.005:
        return "<1%"
    return ">99%" if 0.995 <= p < 1.0 else percent(p, 0, plus=False)


def _chance_style(p: float | None) -> str:
    if p is None:
        return "absent"
    return "text" if p >= _SURE or p <= 1 - _SURE else "warn" if 1 - _LIKELY < p < _LIKELY else "dim"


def _ago(frame: Frame, row: PositionRow) -> str:
    return "none" if row.last_ns <= 0 else duration(max(0, frame.clock_ns - row.last_ns) // SECOND)


def _plot(row: PositionRow, width: int, tint: str) -> list[Run]:
    """The band as a line and the position on it as a point, from all of the open interest short to all of it long."""
    if row.open_interest <= 0:
        return [("·" * (width // 2) + "│" + "·" * (width // 2), "faint")]

    def cell(value: float) -> int:
        share = (value / row.open_interest + 1) / 2
        return min(width - 1, max(0, round(share * (width - 1))))

    cells = [("·", "faint")] * width
    cells[width // 2] = ("│", "axis")
    if row.lo is not None and row.hi is not None:
        for x in range(cell(row.lo), cell(row.hi) + 1):
            cells[x] = ("─", "axis")
    cells[cell(row.net)] = ("■", tint)
    return cells


def _where(frame: Frame, at: int, count: int, width: int) -> Row:
    """The place in the list, its order, and what keeps rows out of it."""
    view = frame.view
    text = view.filters["positions"].text
    parts: list[tuple[int, tuple[Run, ...]]] = [
        (0, ((f" {at + 1} of {count:,}", "dim"),)),
        (1, (("[o] by ", "dim"), (ORDER_WORDS[view.order], "text"))),
        (1, (("[e] ", "dim"), (foreign(view.only, 9) or "all expiries", "strong" if view.only else "text"))),
        (1, (("/", "dim"), (foreign(text, 40) or "no filter", "strong" if text else "dim"))),
    ]
    runs = by_priority(parts, width - 2, 3)
    return fit((*runs, (" ", "edge"), ("─" * max(0, width - width_of(runs) - 1), "edge")), width)


def _sentence(frame: Frame, s: FlowSnapshot, row: PositionRow, width: int) -> Row:
    """What the row says in words, and why something in it is missing; the end gives way."""
    side = "long" if row.net > 0 else "short" if row.net < 0 else "flat"
    out: list[Run] = [
        (f" dealers {side} ", "text"),
        (coins(abs(row.net), plus=False), sign_style(row.net)),
        (f" of {coins(row.open_interest, plus=False)} {foreign(s.underlying, 6)} open", "text"),
    ]
    if row.p_long is not None:
        sure = max(row.p_long, 1 - row.p_long)
        out.append((f", sign {'sure' if sure >= _SURE else 'likely' if sure >= _LIKELY else 'open'}", "text"))
    out += [(f"; {why}", "warn") for why in _reasons(s, row)]
    if row.last_ns > 0:
        out.append((f"; last print {clock(row.last_ns)}Z", "dim"))
    return fit(out, width)


def _reasons(s: FlowSnapshot, row: PositionRow) -> list[str]:
    """A sentence for each `n/a` of a row."""
    model = foreign(s.positions.model, 10)
    if model != "flow":
        return [f"{model} has no band and no history"]
    out: list[str] = []
    if row.lo is None or row.hi is None or row.p_long is None:
        out.append("no band yet")
    if row.seen is None:
        out.append("no open interest" if row.open_interest <= 0 else "share seen not known")
    if row.last_ns <= 0:
        out.append("no print seen")
    return out


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
