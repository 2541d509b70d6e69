"""The index about the settlement window, its running average, and the 5-95 % cone of the average to come."""

from __future__ import annotations

import math
from typing import Final

from dfmon.core.exposure.bands import NORMAL_95
from dfmon.engine.next_settlement import WINDOW_NS, Settlement
from dfmon.model.units import MINUTE, YEAR
from dfmon.tui.metric_series import rows_since
from dfmon.tui.render.box import divider
from dfmon.tui.render.chart import bin_values
from dfmon.tui.render.formatting import Row, Run, fit, format_level, format_time
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.plot import Canvas, Values

_LEAD_NS: Final = 10 * MINUTE  # of the index shown before the window, or before now where that is sooner
_AXIS_WIDTH: Final = 9
_LABEL_NS: Final = 5 * MINUTE


def chart_rows(frame: Frame, found: Settlement, width: int, height: int) -> list[Row]:
    """Title, picture and times."""
    title: list[Run] = [("INDEX AND RUNNING AVERAGE", "title"), ("  index, ", "dim"), ("average", "flip")]
    title.append((" and its 5-95 % to the end", "dim"))
    columns, opens_ns, now_ns = width - _AXIS_WIDTH - 1, found.expiry_ns - WINDOW_NS, frame.clock_ns
    start_ns = min(opens_ns, now_ns) - _LEAD_NS
    bin_ns = max(1, (found.expiry_ns - start_ns) // columns)
    history = rows_since(frame.rows, start_ns)
    index = bin_values(history, "spot", start_ns, bin_ns, columns) if history else [None] * columns
    average, low, high = _averages(found, index, start_ns, bin_ns, now_ns)
    shown = [v for v in (*index, *average, *low, *high) if v is not None]
    if not shown:
        return [divider(title, (), width), fit(((" no index yet", "dim"),), width)]
    canvas = Canvas(columns, max(3, height - 2), min(shown), max(shown))
    for bound in (low, high):
        canvas.draw_dashes(bound, "┈", "dim")
    canvas.draw_dashes(average, "─", "flip")
    if frame.view.icons == "braille":
        canvas.draw_braille([v for value in index for v in (value, value)], "spot")
    else:
        canvas.draw_line(index, "spot")
    rows: list[Row] = [divider(title, (), width)]
    for y, cells in enumerate(canvas.rows()):
        label = format_level(canvas.value_of(y)) if y in (0, canvas.height // 2, canvas.height - 1) else ""
        rows.append(fit(((" ", "text"), *cells, (f"{label:>{_AXIS_WIDTH}}", "axis")), width))
    return [*rows, _time_row(start_ns, bin_ns, columns, width)]


def _averages(
    found: Settlement, index: Values, start_ns: int, bin_ns: int, now_ns: int
) -> tuple[list[float | None], list[float | None], list[float | None]]:
    """The mean of the index since the window opened, then the bounds of what it can become until the end."""
    opens_ns = found.expiry_ns - WINDOW_NS
    average, low, high = (list[float | None]([None] * len(index)) for _ in range(3))
    total, count = 0.0, 0
    for x, value in enumerate(index):
        t = start_ns + (x + 1) * bin_ns
        if t <= opens_ns:
            continue
        if t <= now_ns:
            if value is not None:
                total, count = total + value, count + 1
            average[x] = total / count if count else None
        else:
            low[x], high[x] = _bounds(found, t, opens_ns, now_ns)
    return average, low, high


def _bounds(found: Settlement, t: int, opens_ns: int, now_ns: int) -> tuple[float, float]:
    """5 and 95 % of the average at `t`, by the volatility of the expiry."""
    elapsed, ahead = max(0, now_ns - opens_ns), t - max(now_ns, opens_ns)
    share = ahead / (elapsed + ahead)
    mean = (1.0 - share) * (found.average or found.forward) + share * found.forward
    years = (max(0, opens_ns - now_ns) + ahead / 3.0) / YEAR
    reach = NORMAL_95 * share * found.forward * found.sigma * math.sqrt(years)
    return mean - reach, mean + reach


def _time_row(start_ns: int, bin_ns: int, columns: int, width: int) -> Row:
    cells = [" "] * columns
    t = -(-start_ns // _LABEL_NS) * _LABEL_NS
    while t <= start_ns + columns * bin_ns:
        x = (t - start_ns) // bin_ns
        if x + 5 <= columns:
            cells[x : x + 5] = format_time(t, False)
        t += _LABEL_NS
    return fit(((" ", "text"), ("".join(cells), "axis")), width)
