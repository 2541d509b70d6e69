"""A curve of volatilities through known points, joined by straight lines; the term structure and the smile."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from dfmon.tui.render.formatting import Row, fit
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.plot import Canvas

_AXIS_WIDTH: Final = 8
Points = Sequence[tuple[float, float]]


def curve_rows(points: Points, labels: Sequence[str], width: int, height: int, frame: Frame) -> list[Row]:
    """Volatility by the square root of the hours, with the expiries below."""
    curve = [(math.sqrt(max(0.0, hours)), value) for hours, value in points]
    columns = width - _AXIS_WIDTH - 2
    canvas, places = draw_curve(curve, columns, height - 1, frame)
    cells, free = [" "] * columns, 0
    for x, label in zip(places, labels):
        start = min(max(0, x - 2), columns - len(label))
        if start >= free:
            cells[start : start + len(label)] = label
            free = start + len(label) + 1
    return [*with_vol_axis(canvas, width), fit(((" ", "text"), ("".join(cells), "axis")), width)]


def draw_curve(curve: Points, columns: int, rows: int, frame: Frame) -> tuple[Canvas, list[int]]:
    """The joined curve with a dot at each point, and the columns of the points."""
    values = [value for _, value in curve]
    low, high = min(values), max(values)
    space = 0.05 * (high - low) or 0.01
    canvas = Canvas(columns, max(3, rows), low - space, high + space)
    start, end = curve[0][0], curve[-1][0]
    span = (end - start) or 1.0
    steps = 2 * columns
    xs = [start + span * i / max(1, steps - 1) for i in range(steps)]
    line = [_value_at(curve, x) for x in xs]
    if frame.view.icons == "braille":
        canvas.draw_braille(line, frame.dim_if_stale("spot"))
    else:
        canvas.draw_line(line[::2], frame.dim_if_stale("spot"))
    places = [min(columns - 1, round((x - start) / span * (columns - 1))) for x, _ in curve]
    for x, (_, value) in zip(places, curve):
        canvas.set_cell(x, canvas.row_of(value, 4) // 4, "●", "strong")
    return canvas, places


def _value_at(curve: Points, x: float) -> float:
    for (x0, y0), (x1, y1) in pairwise(curve):
        if x <= x1:
            return y0 if x1 <= x0 else y0 + (y1 - y0) * max(0.0, x - x0) / (x1 - x0)
    return curve[-1][1]


def with_vol_axis(canvas: Canvas, width: int) -> list[Row]:
    """The rows of a canvas with volatilities at the right, on three of them."""
    labelled = {0, canvas.height // 2, canvas.height - 1}
    rows = []
    for y, cells in enumerate(canvas.rows()):
        label = f"{100.0 * canvas.value_of(y):.1f}%" if y in labelled else ""
        rows.append(fit(((" ", "text"), *cells, (f"{label:>{_AXIS_WIDTH}}", "axis")), width))
    return rows
