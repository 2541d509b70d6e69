"""The forward map: what dealers must trade from now until an hour ahead at another spot, expiries dropping out.

Hours run to the right, spot upward. To each cell belongs a sentence with its band, that of the cursor is written out.
"""

from __future__ import annotations

import math
from typing import Final

from dfmon.core.exposure.forward_map import ForwardMap
from dfmon.model.hedging import hedge_verb, holds_zero, with_doubt
from dfmon.model.snapshot import FlowSnapshot
from dfmon.model.units import HOUR
from dfmon.tui.render.box import Rect, bordered_panel, inner_size
from dfmon.tui.render.formatting import (
    Row,
    Run,
    fit,
    format_level,
    format_percent,
    format_signed,
    format_time,
    format_usd,
    linked,
    short_expiry,
)
from dfmon.tui.render.frame import Frame
from dfmon.tui.themes import SIDE_STEPS

_HOURS: Final = (*range(24), 26, 28, 30, 32, 36, 40, 44, 48)
_NARROW_HOURS: Final = (0, 1, 2, 4, 6, 8, 10, 12, 16, 20, 24, 30, 36, 48)
_LABEL_WIDTH: Final = 18
_CELL_WIDTH: Final = 4
_STEPS: Final = (0.0005, 0.001, 0.002, 0.0025, 0.004, 0.005, 0.01, 0.02, 0.04)
_LONG_TITLE: Final = "  what dealers must trade from now until then, "
_SIGMAS: Final = 3.5  # of a day, from spot to either end


def map_axes(snapshot: FlowSnapshot, width: int, height: int) -> tuple[list[float], list[float]]:
    """Moves of spot, ascending and symmetric, and hours ahead that a terminal of this size has room for."""
    rows = max(1, (height - 9) // 2)
    volatility = snapshot.context.atm_iv or snapshot.context.dvol or 0.5
    step = min((s for s in _STEPS if s * rows >= _SIGMAS * volatility / math.sqrt(365.0)), default=_STEPS[-1])
    available = (width - _LABEL_WIDTH) // _CELL_WIDTH
    hours = _HOURS if len(_HOURS) <= available else _NARROW_HOURS[:available]
    return [step * i for i in range(-rows, rows + 1)], [float(h) for h in hours]


def forward_map_sheet(frame: Frame, rect: Rect) -> list[Row]:
    """The sheet at any size."""
    width, height = inner_size(rect)
    snapshot, drawn = frame.snapshot, drawn_map(frame)
    title: list[Run] = [
        ("FORWARD MAP", "title"),
        ("  dealers' trade until then, " if width < 100 else _LONG_TITLE, "dim"),
    ]
    if snapshot is None or snapshot.spot is None or drawn is None or frame.stale:
        text = frame.missing_text("forward", "map", "no book in this process to look ahead with")
        return bordered_panel(rect, title, [(), ((f"  {text}", "dim"),)], focus=False)
    largest = float(abs(drawn.trade).max())
    unit, letter = (1e6, "M") if largest >= 2e6 else (1e3, "K")
    title += [(f"${letter}", "dim"), ("  + buy", "buy"), ("  - sell", "sell"), ("  ? unsure", "dim")]
    cursor = _cursor(frame, drawn)
    body = [_expiry_row(snapshot, drawn), _header_row(drawn)]
    scale = (unit, largest, cursor)
    body += [_spot_row(frame, snapshot, drawn, i, scale) for i in reversed(range(len(drawn.moves)))]
    body = body[: height - 1]
    body += [fit((), width)] * (height - 1 - len(body))
    return bordered_panel(rect, title, [*body, _sentence(snapshot, drawn, cursor, width)], focus=False)


def cursor_text(frame: Frame) -> str:
    """The cell under the cursor in words; empty without a map."""
    snapshot, drawn = frame.snapshot, drawn_map(frame)
    if snapshot is None or drawn is None:
        return ""
    return "".join(text for text, _ in _sentence(snapshot, drawn, _cursor(frame, drawn), 160)).strip()


def drawn_map(frame: Frame) -> ForwardMap | None:
    """The last map of the book on screen."""
    return frame.result("forward", ForwardMap)


def _cursor(frame: Frame, drawn: ForwardMap) -> tuple[int, int]:
    """Row and column of the cursor; at first spot, an hour ahead."""
    row = min(max(0, len(drawn.moves) // 2 + frame.view.map_row), len(drawn.moves) - 1)
    return row, min(max(0, frame.view.map_column), len(drawn.hours) - 1)


def _expiry_row(snapshot: FlowSnapshot, drawn: ForwardMap) -> Row:
    """`╷23JAN` over the first hour without an expiry: the break in the map below it."""
    hours = drawn.hours.tolist()
    cells = [" "] * (_CELL_WIDTH * len(hours))
    for row in snapshot.by_expiry:
        column = next((j for j, hour in enumerate(hours) if row.hours <= hour), None)
        text = f"╷{short_expiry(row.label)}"
        start = _CELL_WIDTH * (column or 0)
        if column is not None and not "".join(cells[start : start + len(text)]).strip():
            cells[start : start + len(text)] = text[: len(cells) - start]
    return ((" " * _LABEL_WIDTH, "head"), ("".join(cells), "flip"))


def _header_row(drawn: ForwardMap) -> Row:
    cells = "".join(f"{'now' if not hours else f'+{hours:.0f}h':>{_CELL_WIDTH}}" for hours in drawn.hours.tolist())
    return ((f"{'SPOT':>10}{'%':>7} ", "head"), (cells, "head"))


def _spot_row(
    frame: Frame, snapshot: FlowSnapshot, drawn: ForwardMap, i: int, scale: tuple[float, float, tuple[int, int]]
) -> Row:
    unit, largest, (at_row, at_column) = scale
    spot = (snapshot.spot or 0.0) * (1.0 + float(drawn.moves[i]))
    detail = frame.detail
    gamma = None if detail is None else detail.profile.at(spot)
    rail: Run = (" ", "dim") if gamma is None else ("▌", "pos") if gamma > 0.0 else ("╎", "neg")
    is_spot = i == len(drawn.moves) // 2
    label = f"{'▶' if is_spot else ' '}{format_level(spot):>9}{format_signed(100.0 * float(drawn.moves[i]), 1):>7}"
    out: list[Run] = [(label, "row.spot" if is_spot else "label"), rail]
    for j in range(len(drawn.hours)):
        text, style = _cell(drawn, i, j, (unit, largest), bool(snapshot.positions.sign_caveat))
        style = f"{style}.cursor" if (i, j) == (at_row, at_column) else style
        out += linked([(f"{text:>{_CELL_WIDTH}}", style)], f"cursor {i - len(drawn.moves) // 2} {j}")
    return tuple(out)


def _cell(drawn: ForwardMap, i: int, j: int, scale: tuple[float, float], doubted: bool) -> Run:
    """`+26`, grey `12?` without a side where it is unsure, a dot for less than half a unit."""
    unit, largest = scale
    value, low, high = float(drawn.trade[i, j]), float(drawn.lo[i, j]), float(drawn.hi[i, j])
    if abs(value) < 0.5 * unit:
        return "·", "map+0"
    text = _amount(value, unit)
    if doubted or (not math.isnan(low) and holds_zero(low, high)):
        return f"{text[1:]}?", "absent"
    step = 1 + min(SIDE_STEPS - 1, int(SIDE_STEPS * math.sqrt(abs(value) / largest)))
    return text, f"map{step if value > 0.0 else -step:+d}"


def _amount(value: float, unit: float) -> str:
    """`-140` in the unit of the map; from a thousand of them on in the next one, with its letter: `-1B`."""
    if abs(value) < 999.5 * unit:
        return f"{value / unit:+.0f}"
    return f"{value / (1e3 * unit):+.0f}{'B' if unit == 1e6 else 'M'}"


def _sentence(snapshot: FlowSnapshot, drawn: ForwardMap, cursor: tuple[int, int], width: int) -> Row:
    """The cell under the cursor in words."""
    row, column = cursor
    move, hours, value = float(drawn.moves[row]), float(drawn.hours[column]), float(drawn.trade[row, column])
    low, high = float(drawn.lo[row, column]), float(drawn.hi[row, column])
    bounds = (None, None) if math.isnan(low) else (low, high)
    verb = hedge_verb(*with_doubt(snapshot.positions, value, *bounds), snapshot.liquidity.flat_usd)
    band = "" if bounds[0] is None else f" [{format_usd(low)}..{format_usd(high)}]"
    expired = [short_expiry(e.label) for e in snapshot.by_expiry if e.hours <= hours]
    dropped = f"; expired by then: {', '.join(expired[:4])}{' ..' if len(expired) > 4 else ''}" if expired else ""
    then = format_time(snapshot.ts_ns + int(hours * HOUR), seconds=False)
    spot = (snapshot.spot or 0.0) * (1.0 + move)
    amount = f" {format_usd(abs(value), plus=False)}" if verb in {"buy", "sell"} else ""
    head = f" {hours:.0f}h ahead, {then}Z, spot {format_level(spot)} ({format_percent(move)}): dealers "
    if width < 100:
        head = f" +{hours:.0f}h {then}Z at {format_level(spot)} ({format_percent(move)}): "
    return (
        (head, "text"),
        (f"{verb.upper() if amount else verb}{amount}", verb if amount else "dim"),
        (f"{band or ', a convention without a band,'} until then{dropped if width >= 100 else ''}", "dim"),
    )
