"""The smile of one expiry: marks of the out-of-the-money side, and what is held at each strike."""

from __future__ import annotations

from typing import Final

from dfmon.engine.vol_surface import ExpiryVol, SmileStrike
from dfmon.tui.render.box import divider
from dfmon.tui.render.formatting import (
    Row,
    Run,
    fit,
    format_coins,
    format_level,
    format_points,
    format_signed,
    format_usd,
    linked,
    sign_style,
)
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.plot import bar_runs
from dfmon.tui.render.vol_curve import draw_curve, with_vol_axis

_WIDE: Final = 140
_MIN_DELTA: Final = 0.005  # further out the curve is not drawn: marks there are a venue's extrapolation
_AXIS_WIDTH: Final = 8


def smile_rows(frame: Frame, row: ExpiryVol, width: int, height: int) -> list[Row]:
    """The picture and the strikes about the cursor."""
    drawn = [s for s in row.strikes if abs(s.delta) >= _MIN_DELTA] or list(row.strikes)
    curve_height = max(6, height // 2)
    columns = width - _AXIS_WIDTH - 2
    canvas, _ = draw_curve([(s.strike, s.mark) for s in drawn], columns, curve_height - 1, frame)
    low, high = drawn[0].strike, drawn[-1].strike
    for s in drawn:
        x = round((s.strike - low) / ((high - low) or 1.0) * (columns - 1))
        if s.bid is not None and s.ask is not None:
            for y in range(canvas.row_of(s.ask), canvas.row_of(s.bid) + 1):
                canvas.set_cell(x, y, "│", "dim", overwrite=False)
    if low <= row.forward <= high:
        x = round((row.forward - low) / ((high - low) or 1.0) * (columns - 1))
        for y in range(canvas.height):
            canvas.set_cell(x, y, "╎", "flip", overwrite=False)
    at = smile_cursor(frame, row)
    body = [*with_vol_axis(canvas, width), _strike_axis(low, high, columns, width)]
    body += [divider([("BY STRIKE", "title"), ("  points of volatility, coins", "dim")], (), width), _header(width)]
    available = max(1, min(height - len(body), len(row.strikes)))
    first = min(max(0, at - available // 2), len(row.strikes) - available)
    scale = max((abs(s.residual) for s in row.strikes if s.residual is not None), default=0.0)
    for i in range(first + available - 1, first - 1, -1):
        cursor = f"cursor {i - at + frame.view.smile_row}"
        body.append(tuple(linked(_strike_row(row.strikes[i], i == at, scale, width), cursor)))
    return body


def smile_cursor(frame: Frame, row: ExpiryVol) -> int:
    """The selected strike; at first the one nearest to the forward."""
    nearest = min(range(len(row.strikes)), key=lambda i: abs(row.strikes[i].strike - row.forward))
    return max(0, min(nearest + frame.view.smile_row, len(row.strikes) - 1))


def _strike_axis(low: float, high: float, columns: int, width: int) -> Row:
    cells = [" "] * columns
    labels = max(2, columns // 16)
    for k in range(labels + 1):
        text = format_level(low + (high - low) * k / labels)
        start = min(max(0, round(k / labels * (columns - 1)) - len(text) // 2), columns - len(text))
        cells[start : start + len(text)] = text
    return fit(((" ", "text"), ("".join(cells), "axis")), width)


def _header(width: int) -> Row:
    text = f"{'STRIKE':>9}{'DELTA':>7}"
    text += f"{'BID':>7}{'MARK':>7}{'ASK':>7}" if width >= 100 else f"{'MARK':>7}"
    text += f"{'1H':>6}{'OI C':>8}{'OI P':>8}{'DEALER':>9}"
    if width >= _WIDE:
        text += f"{'5-95 %':>18}{'CUST VEGA':>11}"
    return fit(((f"{text}{'RESID':>8}{'  off a quartic' if width >= 100 else ''}", "head"),), width)


def _strike_row(s: SmileStrike, selected: bool, scale: float, width: int) -> Row:
    runs: list[Run] = [
        (f"{'▶' if selected else ' '}{format_level(s.strike):>8}", "row.spot" if selected else "label"),
        (f"{format_signed(s.delta, 2):>7}", "text"),
    ]
    quotes = (s.bid, s.mark, s.ask) if width >= 100 else (s.mark,)
    runs += [(f"{format_points(value):>7}", "strong" if value == s.mark else "dim") for value in quotes]
    runs.append((f"{format_points(s.change, plus=True):>6}", sign_style(s.change)))
    runs.append((f"{s.calls:>8,.0f}{s.puts:>8,.0f}", "text"))
    runs.append((f"{format_coins(s.net):>9}", sign_style(s.net)))
    if width >= _WIDE:
        band = "" if s.lo is None or s.hi is None else f"[{format_coins(s.lo)},{format_coins(s.hi)}]"
        runs.append((f"{band:>18}{format_usd(s.customer_vega):>11}", "dim"))
    runs.append((f"{format_points(s.residual, 2, plus=True):>8}", sign_style(s.residual)))
    if width >= 100:
        runs += [("  ", "text"), *bar_runs(s.residual, scale, 12, ("bar.neg", "bar.pos"))]
    return fit(runs, width)
