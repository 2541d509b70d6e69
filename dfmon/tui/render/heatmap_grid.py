"""The heat-map as numbers: one layer, merged and scaled, with the rows and columns that fit. Drawn by `heatmap`."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from dfmon.model.tables import HeatMap
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.heatmap_layers import DEFAULT_LOOKBACK, layer_cells, lookback_minutes, previous_cells
from dfmon.tui.render.plot import nice_number
from dfmon.tui.themes import HEAT_STEPS
from dfmon.tui.view import View

Cells = tuple[tuple[float | None, ...], ...]
UNSIGNED_LAYERS: Final = ("oi", "volume", "iv")
"""Layers without a sign: coins, and volatilities."""
_MIN_CHANGE: Final = 0.05  # of the value of then
_MIN_SHARE: Final = 0.005  # of the scale of the map
_THOUSANDS_BELOW_USD: Final = 0.5e6  # largest cell below this: the map is drawn in thousands
# shares of the scale at which the next step begins: equal in the square root, for walls and what is beside them
_STEP_THRESHOLDS: Final = (1 / 114, *((step / HEAT_STEPS) ** 2 for step in range(1, HEAT_STEPS)))
_MIN_ROWS_WITH_PINS: Final = 8


@dataclass(frozen=True, slots=True)
class HeatmapGrid:
    """The heat-map in one metric, merged and scaled: rows ascending in strike, values in display units.

    `sums` are over the expiries of a strike, `totals` over the strikes of an expiry.
    """

    strikes: tuple[float, ...]
    expiries: tuple[str, ...]
    cells: tuple[tuple[float | None, ...], ...]
    sums: tuple[float | None, ...]
    totals: tuple[float | None, ...]
    midpoint: float
    scale: float
    spot_row: int
    in_thousands: bool

    def colour_step(self, value: float | None) -> int:
        """Colour step -6..6, by the square root of the share of the scale."""
        if value is None or self.scale <= 0:
            return 0
        size = step_of_share(abs(value - self.midpoint) / self.scale)
        return size if value > self.midpoint else -size


def step_of_share(share: float) -> int:
    """Colour step 0..6 of a share of the scale, equal in the square root."""
    return bisect_right(_STEP_THRESHOLDS, share)


def build_grid(heat: HeatMap, table: Cells, metric: str, merge: int, spot: float | None) -> HeatmapGrid:
    """The cells of one layer of the heat-map, ready to draw."""
    largest = max((abs(v) for row in table for v in row if v is not None), default=0.0)
    in_thousands = metric not in UNSIGNED_LAYERS and largest < _THOUSANDS_BELOW_USD
    unit = {"oi": 1.0, "volume": 1.0, "iv": 0.01}.get(metric, 1e3 if in_thousands else 1e6)
    rows = [tuple(None if v is None else v / unit for v in row) for row in table]
    strikes = list(heat.strikes)
    if merge > 1 and metric != "iv":
        groups = [range(i, min(i + merge, len(rows))) for i in range(0, len(rows), merge)]
        strikes = [strikes[g[0]] for g in groups]
        rows = [tuple(_sum_known(rows[i][j] for i in g) for j in range(len(heat.expiries))) for g in groups]
    known_values = sorted(v for row in rows for v in row if v is not None)
    midpoint = known_values[len(known_values) // 2] if metric == "iv" and known_values else 0.0
    scale = nice_number(max((abs(v - midpoint) for v in known_values), default=0.0)) if known_values else 0.0
    sums = tuple(None if metric == "iv" else _sum_known(row) for row in rows)
    spot_row = 0
    if spot is not None and strikes:
        spot_row = min(range(len(strikes)), key=lambda i: abs(strikes[i] - spot))
        if merge > 1 and metric != "iv":
            spot_row = max((i for i in range(len(strikes)) if strikes[i] <= spot), default=0)
    columns = [tuple(row[j] for row in rows) for j in range(len(heat.expiries))]
    totals = tuple(None if metric == "iv" else _sum_known(column) for column in columns)
    return HeatmapGrid(
        tuple(strikes), heat.expiries, tuple(rows), sums, totals, midpoint, scale, spot_row, in_thousands
    )


def _sum_known(values: Iterable[float | None]) -> float | None:
    known_values = [v for v in values if v is not None]
    return sum(known_values) if known_values else None


def current_grid(frame: Frame) -> HeatmapGrid | None:
    """The grid of the chosen metric, or None without data."""
    if frame.snapshot is None or frame.detail is None or not frame.detail.heatmap.strikes:
        return None
    heat, view = frame.detail.heatmap, frame.view
    return build_grid(heat, layer_cells(frame, heat, view.metric), view.metric, view.merge, frame.snapshot.spot)


def change_marks(frame: Frame, grid: HeatmapGrid) -> dict[tuple[int, int], str]:
    """Mark of each cell that changed: `*` where its sign turned within 15 min, ▲ ▼ against the chosen slice.

    None while smoothed: the slices are of published cells.
    """
    if frame.detail is None or frame.view.smoothed or frame.view.merge > 1 or frame.view.metric in UNSIGNED_LAYERS:
        return {}
    heat, layer, unit = frame.detail.heatmap, frame.view.metric, 1e3 if grid.in_thousands else 1e6
    marks: dict[tuple[int, int], str] = {}
    if frame.view.lookback and (then := previous_cells(frame, heat, layer, lookback_minutes(frame))) is not None:
        for at, now, before in _pairs(grid.cells, then, unit):
            if abs(now - before) > max(_MIN_CHANGE * abs(before), _MIN_SHARE * grid.scale):
                marks[at] = "▲" if now > before else "▼"
    if (then := previous_cells(frame, heat, layer, DEFAULT_LOOKBACK)) is not None:
        marks |= {at: "*" for at, now, before in _pairs(grid.cells, then, unit) if now * before < 0.0}
    return marks


def _pairs(now: Cells, then: Cells, unit: float) -> Iterator[tuple[tuple[int, int], float, float]]:
    """Place, value and value of then of each cell that has both, in the unit of the map."""
    for i, (new, old) in enumerate(zip(now, then)):
        for j, (value, before) in enumerate(zip(new, old)):
            if value is not None and before is not None:
                yield (i, j), value, before / unit


def cursor_of(grid: HeatmapGrid, view: View) -> tuple[int, int]:
    """Row and column of the cursor; on the spot row until it is moved."""
    row = grid.spot_row
    if view.cursor_strike is not None:
        row = min(range(len(grid.strikes)), key=lambda i: abs(grid.strikes[i] - (view.cursor_strike or 0.0)))
    return row, min(view.cursor_column, max(0, len(grid.expiries) - 1))


def visible_range(count: int, available: int, centre: int, cursor: int) -> range:
    """The rows shown: `centre` in the middle, moved as little as possible to include the cursor."""
    available = max(1, min(available, count))
    first = centre - available // 2
    first = min(max(first, cursor - available + 1), cursor)
    first = min(max(0, first), count - available)
    return range(first, first + available)


def visible_rows(frame: Frame, grid: HeatmapGrid, available: int) -> list[int]:
    """The rows shown, ascending: those about spot, and beyond either end the largest of the rows that are left out."""
    count, cursor = len(grid.strikes), cursor_of(grid, frame.view)[0]
    pins = 2 if available >= _MIN_ROWS_WITH_PINS and count > available else 0
    shown = list(visible_range(count, available - pins, grid.spot_row, cursor))
    if pins:
        below, above = _largest(grid, range(shown[0])), _largest(grid, range(shown[-1] + 1, count))
        shown = [*below, *shown, *above]
    return shown


def _largest(grid: HeatmapGrid, rows: range) -> list[int]:
    """The row with the largest sum; none of no rows."""
    return [max(rows, key=lambda i: abs(grid.sums[i] or 0.0))] if rows else []


def visible_columns(grid: HeatmapGrid, available: int, cursor: int) -> list[int]:
    """The expiries shown, ascending: the nearest, the cursor's and those with most exposure in absolute terms."""
    columns = range(len(grid.expiries))
    size = [sum(abs(row[j] or 0.0) for row in grid.cells) for j in columns]
    ranked = sorted(columns, key=lambda j: (j != cursor, j != 0, -size[j]))
    return sorted(ranked[: max(1, available)])
