"""NGI by spot and volatility, around the what-if."""

from __future__ import annotations

import math
from typing import Final

from dfmon.engine.what_if_results import NgiGrid
from dfmon.tui.render.box import divider
from dfmon.tui.render.formatting import Row, Run, cell_text, fit, format_signed
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.heatmap_grid import step_of_share

_CELL_WIDTH: Final = 8
_LABEL_WIDTH: Final = 11


def grid_rows(frame: Frame, width: int) -> list[Row]:
    """Title, moves, and a line for each volatility; the moves nearest to spot that fit."""
    found = frame.computed("what-if grid")
    if found is None or not isinstance(found.value, NgiGrid) or not found.value.points:
        text = "computing ..." if found is None else cell_text(found.error, 200) or "no grid"
        return [divider([("GRID", "title")], (), width), fit(((f" {text}", "dim"),), width)]
    grid, at = found.value, _place_of(frame)
    largest = max((abs(v) for v in grid.ngi.ravel().tolist() if not math.isnan(v)), default=0.0)
    unit, letter = (1e6, "M") if largest >= 1e6 else (1e3, "K")
    title: list[Run] = [
        ("GRID", "title"),
        (f"  NGI ${letter} per +1%, spot across, vol down, [ ] = the what-if", "dim"),
    ]
    columns = _columns(grid, at[1], (width - _LABEL_WIDTH) // _CELL_WIDTH)
    head = "".join(f"{'spot' if not grid.moves[j] else f'{100 * grid.moves[j]:+g}%':>{_CELL_WIDTH}}" for j in columns)
    rows = [divider(title, (), width), fit(((" " * _LABEL_WIDTH + head, "head"),), width)]
    for i, points in enumerate(grid.points):
        label = " vol now" if not points else f" vol {points:+g}"
        runs: list[Run] = [(f"{label:<{_LABEL_WIDTH}}", "strong" if not points else "label")]
        runs += [_cell(float(grid.ngi[i, j]), (points, grid.moves[j]) == at, unit, largest) for j in columns]
        rows.append(fit(runs, width))
    return rows


def _place_of(frame: Frame) -> tuple[float, float]:
    """Points and move of the what-if."""
    points, move = (float(frame.view.what_if.get(name, "0").removesuffix("%")) for name in ("vol", "spot"))
    return points, move / 100.0


def _columns(grid: NgiGrid, move: float, count: int) -> list[int]:
    ranked = sorted(range(len(grid.moves)), key=lambda j: (grid.moves[j] != move, abs(grid.moves[j])))
    return sorted(ranked[: max(1, count)])


def _cell(value: float, is_cursor: bool, unit: float, largest: float) -> Run:
    if math.isnan(value):
        return f"{'n/a':>{_CELL_WIDTH}}", "absent"
    text = format_signed(value / unit, 1 if largest / unit < 1_000.0 else 0)
    step = step_of_share(abs(value) / largest if largest else 0.0)
    style = f"heat{math.copysign(step, value):+.0f}" if step else "heat+0"
    return (f"[{text}]".rjust(_CELL_WIDTH), f"{style}.cursor") if is_cursor else (f"{text:>{_CELL_WIDTH}}", style)
