"""The options of the positions sheet: a row an option in the order chosen, and a sentence about the one looked at.

Columns give way by rank where the screen is narrow; a wide one has a plot of each position in its open interest.
"""

from __future__ import annotations

from typing import Final

from dfmon.model.snapshot import FlowSnapshot, PositionRow
from dfmon.model.units import SECOND
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.heatmap import window
from dfmon.tui.render.text import (
    NOTHING,
    Row,
    Run,
    by_priority,
    clock,
    coins,
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
_SURE, _LIKELY = 0.95, 0.75

# name, cells, rank: the lowest ranks are there on any screen
_COLUMNS: Final = (
    ("OI", 9, 3), ("NET", 9, 0), ("5%", 9, 1), ("95%", 9, 1), ("P(LONG)", 8, 2), ("SEEN", 6, 4), ("LAST", 7, 5)
)  # fmt: skip
_OPTION: Final = 16
_PLOT: Final = 8  # a space and at least seven cells


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
