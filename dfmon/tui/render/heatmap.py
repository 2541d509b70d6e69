"""Panel 2: strike by expiry. Every cell prints its number over one of nine steps of colour.

Steps and texts are rounded before rows are compared, so a quiet market repaints few rows. A row may sum two or four
strikes (`+`), which widens the range without leaving a strike out.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dfmon.model.metrics import METRICS, metrics_at
from dfmon.model.tables import HeatMap
from dfmon.tui.render.box import Rect, bordered_panel, inner_size
from dfmon.tui.render.formatting import (
    Row,
    Run,
    cell_text,
    fit,
    format_level,
    format_percent,
    format_signed,
    format_usd,
    row_width,
    short_expiry,
)
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.plot import nice_number
from dfmon.tui.view import HEATMAP_LAYERS, View

CELL_WIDTH: Final = 8  # of a column inside a box; the columns of strikes and sums are as wide
Cells = Sequence[float | None]
_LAYER_UNITS: Final = {
    **{name: METRICS[name].unit.replace("USD", "$M").replace("/", " per ") for name in metrics_at("heatmap")},
    "oi": "open interest, coins",
    "iv": "implied vol, %",
}
_THOUSANDS_BELOW_USD: Final = 0.5e6  # largest cell below this: the map is drawn in thousands
_STEP_THRESHOLDS: Final = (0.03, 0.2, 0.45, 0.75)  # shares of the scale at which the next step begins


@dataclass(frozen=True, slots=True)
class HeatmapGrid:
    """The heat-map in one metric, merged and scaled: rows ascending in strike, values in display units."""

    strikes: tuple[float, ...]
    expiries: tuple[str, ...]
    cells: tuple[tuple[float | None, ...], ...]
    sums: tuple[float | None, ...]
    midpoint: float
    scale: float
    spot_row: int
    in_thousands: bool

    def colour_step(self, value: float | None) -> int:
        """Colour step -4..4, by share of the scale."""
        if value is None or self.scale <= 0:
            return 0
        size = bisect_right(_STEP_THRESHOLDS, abs(value - self.midpoint) / self.scale)
        return size if value > self.midpoint else -size


def build_grid(heat: HeatMap, metric: str, merge: int, spot: float | None) -> HeatmapGrid:
    """One metric of the heat-map, ready to draw."""
    table = heat.layer(metric)
    largest = max((abs(v) for row in table for v in row if v is not None), default=0.0)
    in_thousands = metric not in {"oi", "iv"} and largest < _THOUSANDS_BELOW_USD
    unit = {"oi": 1.0, "iv": 0.01}.get(metric, 1e3 if in_thousands else 1e6)
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
    return HeatmapGrid(tuple(strikes), heat.expiries, tuple(rows), sums, midpoint, scale, spot_row, in_thousands)


def _sum_known(values: object) -> float | None:
    known_values = [v for v in values if v is not None]  # type: ignore[attr-defined]
    return sum(known_values) if known_values else None


def current_grid(frame: Frame) -> HeatmapGrid | None:
    """The grid of the chosen metric, or None without data."""
    if frame.snapshot is None or frame.detail is None or not frame.detail.heatmap.strikes:
        return None
    return build_grid(frame.detail.heatmap, frame.view.metric, frame.view.merge, frame.snapshot.spot)


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


def visible_rows(frame: Frame, grid: HeatmapGrid, available: int) -> range:
    return visible_range(len(grid.strikes), available, grid.spot_row, cursor_of(grid, frame.view)[0])


def format_cell(value: float | None, metric: str, available: int) -> str:
    """A cell's number in at most `available` characters; `·` for no option or a value too small to print."""
    if value is None:
        return "·"
    if metric in {"oi", "iv"}:
        text = f"{value:,.1f}" if metric == "iv" or abs(value) < 9.95 else f"{value:,.0f}"
        if len(text) <= available:
            return text
        return f"{value:.0f}" if len(f"{value:.0f}") <= available else f"{value / 1000:.0f}k"
    if abs(value) < 0.05:
        return "·"
    text = format_signed(value, 1)
    if len(text) > available:
        text = f"{value:+.0f}"
    return text if len(text) <= available else f"{value / 1000:+.0f}k"


def heatmap(frame: Frame, rect: Rect) -> list[Row]:
    """The panel at any size; zoomed it adds a line about the cursor cell."""
    width, height = inner_size(rect)
    view, focus = frame.view, frame.view.panel == "heatmap"
    grid = current_grid(frame)
    title = _title_runs(frame, rect, grid)
    if grid is None:
        message = frame.waiting_text() if frame.snapshot is None else "no options listed yet"
        return bordered_panel(rect, title, [(), ((f"  {message}", "dim"),)], focus=focus, joint="┼")
    cell_width = CELL_WIDTH if rect.edge == "box" or width >= 110 else 7 if view.zoom else 6
    label_width = max(8, cell_width)
    sum_width = cell_width if cell_width > 6 else 5
    footer_rows = 2 if view.zoom else 0
    columns = max(1, min(len(grid.expiries), (width - label_width - sum_width) // cell_width))
    at_row, at_col = cursor_of(grid, view)
    first = max(0, at_col - columns + 1)
    cols = range(first, first + columns)
    rows = visible_rows(frame, grid, height - 1 - footer_rows)
    body = [_header_row(grid, cols, label_width, cell_width, sum_width)]
    widths = (label_width, cell_width, sum_width)
    body += [_strike_row(frame, grid, i, cols, widths, at_col if i == at_row else -1) for i in reversed(rows)]
    if view.zoom:
        body += [fit((), width)] * (height - 2 - len(body))
        body += [cell_row(frame, grid, at_row, at_col), _legend_row(grid, view.metric)]
    return bordered_panel(rect, title, body, focus=focus, foot=_scale_runs(grid), joint="┼" if not view.zoom else "┬")


def _title_runs(frame: Frame, rect: Rect, grid: HeatmapGrid | None) -> list[Run]:
    view = frame.view
    model = cell_text(frame.snapshot.positions.model, 10) if frame.snapshot else ""
    venue = (frame.snapshot and cell_text(frame.snapshot.options_venue, 12)) or "one venue"
    merged = f"  {view.merge} strikes per row" if view.merge > 1 and view.metric != "iv" else ""
    name, unit = view.metric.upper(), _LAYER_UNITS[view.metric]
    if grid is not None and grid.in_thousands:
        unit = unit.replace("$M", "$K")
    if rect.width < 60:
        short_unit = unit.replace(" vol pt", "pt").replace("open interest, ", "")
        heading, tail = f"2 {name} {short_unit}", f" ─ {model or 'no'} model, {venue} only"
        if len(tail) > rect.width - 4 - len(heading):
            tail = tail.removesuffix(" only")
        return [(heading, "title"), (merged or ("" if view.metric in {"oi", "iv"} else tail), "dim")]
    metric_tabs: list[Run] = [("  ", "edge")]
    for metric in HEATMAP_LAYERS:
        chosen = metric == view.metric
        metric_tabs.append((f"[{metric.upper()}]" if chosen else f" {metric.upper()} ", "strong" if chosen else "dim"))
    head: list[Run] = [(f"2 {name} {unit}", "title"), *metric_tabs]
    book = f"{venue} book"
    tails = (f"  strike x expiry, {model} model, {book}", f"  strike x expiry, {book}", f"  {book}", "")
    available = rect.width - 4 - row_width(head)
    return [*head, (merged or next(t for t in tails if len(t) <= available or not t), "dim")]


def _header_row(grid: HeatmapGrid, cols: range, label_width: int, cell_width: int, sum_width: int) -> Row:
    is_wide = cell_width > 6
    out: list[Run] = [(f"{'STRIKE':>{label_width}}", "head")]
    out += [(f"{short_expiry(grid.expiries[j], is_wide):>{cell_width - 1}} ", "head") for j in cols]
    out.append((f"{'SUM':>{sum_width}}", "head"))
    return tuple(out)


def _strike_row(frame: Frame, grid: HeatmapGrid, i: int, cols: range, widths: tuple[int, int, int], cursor: int) -> Row:
    label_width, cell_width, sum_width = widths
    at_spot = i == grid.spot_row
    strike = format_level(grid.strikes[i])
    mark = "▶" if at_spot else " "
    out: list[Run] = [(f"{mark}{strike:>{label_width - 1}}"[:label_width], "row.spot" if at_spot else "label")]
    metric, stale = frame.view.metric, frame.stale
    for j in cols:
        value = grid.cells[i][j]
        text = format_cell(value, metric, cell_width - 2)
        if stale and text != "·" and len(text) < cell_width - 2:
            text = f"~{text}"
        colour_step = grid.colour_step(value)
        style = "heat.stale" if stale else "heat.none" if value is None else f"heat{colour_step:+d}"
        if j == cursor:
            out.append((f"[{text}]".rjust(cell_width), f"{style}.cursor"))
        else:
            out.append((f"{text:>{cell_width - 1}} ", style))
    total = grid.sums[i]
    style_name = "dim" if stale or total is None else _sum_style(total, metric)
    out.append((f"{format_cell(total, metric, min(6, sum_width)):>{sum_width}}", style_name))
    return fit(out, row_width(out))  # joins neighbours of one style: a third fewer bytes


def _sum_style(total: float, metric: str) -> str:
    return "text" if metric in {"oi", "iv"} else "pos" if total >= 0.05 else "neg" if total <= -0.05 else "dim"


def _scale_runs(grid: HeatmapGrid) -> list[Run]:
    """`-8 ▓▓▒▒░░ 0 ░░▒▒▓▓ +8`, in the colours of the cells."""
    low, high = f"-{grid.scale:g}", f"+{grid.scale:g}"
    if grid.midpoint:
        low, high = f"{grid.midpoint - grid.scale:.0f}", f"{grid.midpoint + grid.scale:.0f}"
    return [(f" {low} ", "dim"), *_swatch_runs(), (f" {high} ", "dim"), ("─", "edge")]


def _swatch_runs() -> list[Run]:
    glyphs = {4: "▓▓", 3: "▓▒", 2: "▒▒", 1: "░░", 0: " 0 "}
    return [
        (glyphs[abs(colour_step)][:: 1 if colour_step < 0 else -1], f"swatch{colour_step:+d}")
        for colour_step in range(-4, 5)
    ]


def _legend_row(grid: HeatmapGrid, metric: str) -> Row:
    small_note = "" if metric in {"oi", "iv"} else "   · |value| < 0.05"
    return ((" scale", "dim"), *_scale_runs(grid)[:-1], (f"  [ ] cursor   ▶ spot row{small_note}", "dim"))


def cell_row(frame: Frame, grid: HeatmapGrid, row: int, col: int) -> Row:
    """All metrics of the cell under the cursor in one line."""
    parts = [f"{name} {text}" for name, text in cell_facts(frame, grid, row, col)]
    label = f" {format_level(grid.strikes[row])} x {short_expiry(grid.expiries[col], is_wide=True)}"
    return ((label, "strong"), ("  " + " ".join(parts), "text"))


def cell_facts(frame: Frame, grid: HeatmapGrid, row: int, col: int) -> list[tuple[str, str]]:
    """Name and text of each metric of a cell, summed where rows are merged."""
    detail = frame.detail
    if detail is None:
        return []
    heat, merge = detail.heatmap, frame.view.merge if frame.view.metric != "iv" else 1
    merged_rows = range(row * merge, min((row + 1) * merge, len(heat.strikes)))
    out: list[tuple[str, str]] = []
    for metric in HEATMAP_LAYERS:
        layer = heat.layer(metric)
        known_values = [v for i in merged_rows if (v := layer[i][col]) is not None]
        if not known_values:
            out.append((metric.upper(), "n/a"))
        elif metric == "iv":
            out.append(("IV", format_percent(sum(known_values) / len(known_values), 1, plus=False)))
        elif metric == "oi":
            out.append(("OI", f"{sum(known_values):,.0f}"))
        else:
            total = sum(known_values)
            out.append(
                (metric.upper(), format_usd(total) if abs(total) < 99_500.0 else f"{format_signed(total / 1e6, 2)}M")
            )
    return out
