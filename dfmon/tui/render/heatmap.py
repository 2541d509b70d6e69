"""Panel 2: strike by expiry. Every cell prints its number over one of thirteen steps of colour.

Steps and texts are rounded before rows are compared, so a quiet market repaints few rows. What does not fit is counted
and summed: expiries in a column, strikes by their largest beyond either end. A row may sum two or four strikes (`+`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from dfmon.model.metrics import METRICS, metrics_at
from dfmon.tui.render.box import Rect, bordered_panel, inner_size
from dfmon.tui.render.formatting import (
    Row,
    Run,
    fit,
    format_level,
    format_percent,
    format_signed,
    format_usd,
    linked,
    row_width,
    short_expiry,
)
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.heatmap_grid import (
    UNSIGNED_LAYERS,
    HeatmapGrid,
    change_marks,
    current_grid,
    cursor_of,
    visible_columns,
    visible_rows,
)
from dfmon.tui.render.heatmap_layers import lookback_minutes
from dfmon.tui.themes import HEAT_STEPS
from dfmon.tui.view import HEATMAP_LAYERS, LOOKBACKS, SNAPSHOT_LAYERS

CELL_WIDTH: Final = 7  # of a column of a wide map
_NARROW_CELL_WIDTH: Final = 6
_LABEL_WIDTH: Final = 9
_RULE_WIDTH: Final = 4  # of the rule about a title
_LAYER_UNITS: Final = {
    **{name: METRICS[name].unit.replace("USD", "$M").replace("/", " per ") for name in metrics_at("heatmap")},
    "oi": "coins",
    "iv": "%",
    "volume": "coins of 24 h",
    "flow": "$M NGI of the prints shown",
    "change": "$M NGI",
}
_EXPOSURES: Final = metrics_at("heatmap")
_SMOOTHED: Final = (*_EXPOSURES, "iv")


def format_cell(value: float | None, metric: str, available: int) -> str:
    """A cell's number in at most `available` characters; `·` for no option or a value too small to print."""
    if value is None:
        return "·"
    if metric in UNSIGNED_LAYERS:
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
        return bordered_panel(rect, title, [(), ((f"  {message}", "dim"),)], focus=focus)
    cell_width = CELL_WIDTH if width >= 70 else _NARROW_CELL_WIDTH
    at_row, at_col = cursor_of(grid, view)
    cols, has_rest = _columns(grid, width, cell_width, at_col)
    footer_rows = 2 if view.zoom else 1
    rows, marks = visible_rows(frame, grid, height - 1 - footer_rows), change_marks(frame, grid)
    body = [_header_row(grid, cols, cell_width, has_rest)]
    for i in reversed(rows):
        mark = _row_mark(grid, rows, i)
        place = cell_width, mark, has_rest, at_col if i == at_row else -1
        body.append(_strike_row(frame, grid, i, cols, place, {j: sign for (row, j), sign in marks.items() if row == i}))
    body += [fit((), width)] * (height - footer_rows - len(body))
    body.append(_total_row(frame, grid, cols, cell_width, has_rest))
    if view.zoom:
        body.append(cell_row(frame, grid, at_row, at_col))
    tail = _scale_runs(grid) if width >= 100 or view.zoom else ()
    return bordered_panel(rect, title, body, focus=focus, tail=tail)


def _columns(grid: HeatmapGrid, width: int, cell_width: int, cursor: int) -> tuple[list[int], bool]:
    """The expiries that fit, and whether others are left out into a column of their own."""
    space = width - _LABEL_WIDTH - cell_width  # beside the strikes and their sums
    if len(grid.expiries) <= space // cell_width:
        return list(range(len(grid.expiries))), False
    return visible_columns(grid, (space - _rest_width(cell_width)) // cell_width, cursor), True


def _rest_width(cell_width: int) -> int:
    return cell_width + 2


def _title_runs(frame: Frame, rect: Rect, grid: HeatmapGrid | None) -> list[Run]:
    view = frame.view
    unit = _LAYER_UNITS[view.metric]
    if view.metric == "change":
        unit = f"{unit} in {lookback_minutes(frame)} min"
    if grid is not None and grid.in_thousands:
        unit = unit.replace("$M", "$K")
    merged = f"  {view.merge} strikes a row" if view.merge > 1 and view.metric != "iv" else ""
    smoothed = view.smoothed and view.metric in _SMOOTHED
    if rect.width < 60:
        title = f"2 {view.metric.upper()} {unit.replace(' vol pt', 'pt')}"
        return [(title, "title"), (f"{merged}{'  3x2' if smoothed else ''}", "dim")]
    notes = f"  {unit}{merged}"
    if smoothed:
        notes += "  smoothed 3x2"
    elif view.lookback and view.metric in _EXPOSURES:
        notes += f"  ▲ ▼ against {LOOKBACKS[view.lookback]} min ago"
    for layers in (HEATMAP_LAYERS, (view.metric,)):
        out: list[Run] = [("2 HEAT-MAP", "title"), (" ", "dim")]
        for layer in layers:
            chosen = layer == view.metric
            text = f" [{layer.upper()}]" if chosen else f" {layer.upper()}"
            out += linked([(text, "strong" if chosen else "dim")], f"metric {layer}")
        out.append((notes, "dim"))
        if row_width(out) + _RULE_WIDTH <= rect.width:
            break
    return out


def _header_row(grid: HeatmapGrid, cols: list[int], cell_width: int, has_rest: bool) -> Row:
    out: list[Run] = [(f"{'STRIKE':>{_LABEL_WIDTH - 1}} ", "head")]
    for j in cols:
        out += linked([(f"{short_expiry(grid.expiries[j]):>{cell_width - 1}} ", "head")], f"exp {grid.expiries[j]}")
    if has_rest:
        text = f"{len(grid.expiries) - len(cols)} more▸"
        out.append((f"{text:>{_rest_width(cell_width) - 1}} ", "warn"))
    out.append((f"{'SUM':>{cell_width}}", "head"))
    return tuple(out)


def _row_mark(grid: HeatmapGrid, rows: list[int], i: int) -> str:
    """`▶` for the row of spot, `↑ ↓` for the rows that stand for those beyond either end."""
    if i == grid.spot_row:
        return "▶"
    if len(rows) > 1 and i == rows[-1] and rows[-1] - rows[-2] > 1:
        return "↑"
    if len(rows) > 1 and i == rows[0] and rows[1] - rows[0] > 1:
        return "↓"
    return " "


def _strike_row(
    frame: Frame,
    grid: HeatmapGrid,
    i: int,
    cols: list[int],
    place: tuple[int, str, bool, int],
    changed: Mapping[int, str],
) -> Row:
    """One strike. `place`: the width of a cell, the mark, whether expiries are left out, and the cursor's expiry.

    `changed` are the marks of its cells by expiry.
    """
    cell_width, mark, has_rest, cursor = place
    metric, stale = frame.view.metric, frame.stale
    label = f"{mark}{format_level(grid.strikes[i]):>{_LABEL_WIDTH - 2}} "
    strike = f"{grid.strikes[i]:.10g}"
    label_style = "row.spot" if mark == "▶" else "flip" if mark != " " else "label"
    out = linked([(label[:_LABEL_WIDTH], label_style)], f"strike {strike}")
    for j in cols:
        value = grid.cells[i][j]
        text = format_cell(value, metric, cell_width - (2 if j == cursor else 1))
        step = grid.colour_step(value) if text != "·" else 0
        style = "heat.stale" if stale else "heat.none" if text == "·" else f"heat{step:+d}"
        mark_of_cell = " " if text == "·" else changed.get(j, " ")
        cell: Run = (f"{text:>{cell_width - 1}}{mark_of_cell}", style)
        if j == cursor:
            cell = f"[{text}]".rjust(cell_width), f"{style}.cursor"
        out += linked([cell], f"cell {strike} {grid.expiries[j]}")
    if has_rest:
        rest = _rest_of(grid.cells[i], cols) if metric != "iv" else None
        out.append((f"{format_cell(rest, metric, cell_width):>{_rest_width(cell_width) - 1}} ", "dim"))
    total = grid.sums[i]
    style_name = "dim" if stale or total is None else _sum_style(total, metric)
    out.append((f"{format_cell(total, metric, cell_width - 1):>{cell_width}}", style_name))
    return fit(out, row_width(out))  # joins neighbours of one style: a third fewer bytes


def _rest_of(values: Sequence[float | None], cols: list[int]) -> float | None:
    """The sum of the expiries that have no column."""
    rest = [v for j, v in enumerate(values) if j not in cols and v is not None]
    return sum(rest) if rest else None


def _total_row(frame: Frame, grid: HeatmapGrid, cols: list[int], cell_width: int, has_rest: bool) -> Row:
    """Sums over all strikes, also those that have no row."""
    metric = frame.view.metric
    known = [v for v in grid.totals if v is not None]
    sums = [(grid.totals[j], cell_width) for j in cols]
    if has_rest:
        sums.append((_rest_of(grid.totals, cols), _rest_width(cell_width)))
    sums.append((sum(known) if known else None, cell_width + 1))
    out: list[Run] = [(f"{'TOTAL':>{_LABEL_WIDTH - 1}} ", "head")]
    for value, column_width in sums:
        style = "dim" if frame.stale or value is None else _sum_style(value, metric)
        out.append((f"{format_cell(value, metric, cell_width - 1):>{column_width - 1}} ", style))
    return fit(out, row_width(out))


def _sum_style(total: float, metric: str) -> str:
    return "text" if metric in UNSIGNED_LAYERS else "pos" if total >= 0.05 else "neg" if total <= -0.05 else "dim"


def _scale_runs(grid: HeatmapGrid) -> list[Run]:
    """`-8 ▄▄▄▄▄▄ 0 ▄▄▄▄▄▄ +8 sqrt`, in the colours of the cells."""
    low, high = f"-{grid.scale:g}", f"+{grid.scale:g}"
    if grid.midpoint:
        low, high = f"{grid.midpoint - grid.scale:.0f}", f"{grid.midpoint + grid.scale:.0f}"
    negative: list[Run] = [("▄", f"swatch-{step}") for step in range(HEAT_STEPS, 0, -1)]
    positive: list[Run] = [("▄", f"swatch+{step}") for step in range(1, HEAT_STEPS + 1)]
    return [(f"{low} ", "dim"), *negative, (" 0 ", "dim"), *positive, (f" {high} sqrt", "dim")]


def cell_row(frame: Frame, grid: HeatmapGrid, row: int, col: int) -> Row:
    """All metrics of the cell under the cursor in one line."""
    parts = [f"{name} {text}" for name, text in cell_facts(frame, grid, row, col)]
    label = f" {format_level(grid.strikes[row])} x {short_expiry(grid.expiries[col])}"
    return ((label, "strong"), ("  " + " ".join(parts), "text"))


def cell_facts(frame: Frame, grid: HeatmapGrid, row: int, col: int) -> list[tuple[str, str]]:
    """Name and text of each metric of a cell, summed where rows are merged."""
    detail = frame.detail
    if detail is None:
        return []
    heat, merge = detail.heatmap, frame.view.merge if frame.view.metric != "iv" else 1
    merged_rows = range(row * merge, min((row + 1) * merge, len(heat.strikes)))
    out: list[tuple[str, str]] = []
    for metric in SNAPSHOT_LAYERS:
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
