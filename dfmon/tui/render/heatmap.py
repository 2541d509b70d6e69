"""Panel 2: strike by expiry. Every cell prints its number; nine steps of colour only help the eye.

Steps and texts are rounded before rows are compared, so a quiet market repaints few rows. Rows may merge two or four
strikes (`+`), which widens the range without leaving anything out of the sums.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dfmon.model.snapshot import HeatMap
from dfmon.tui.layout import CELL, Rect
from dfmon.tui.render.box import framed, inner
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.plot import nice
from dfmon.tui.render.text import (
    Row,
    Run,
    expiry_short,
    fit,
    foreign,
    level,
    money,
    percent,
    signed,
    width_of,
)
from dfmon.tui.view import METRICS, View

Cells = Sequence[float | None]
UNITS: Final = {
    "ngi": "$M per +1%",
    "vss": "$M per +1 vol pt",
    "chl": "$M next 24h",
    "volg": "$M vega per vol pt",
    "oi": "open interest, coins",
    "iv": "implied vol, %",
}
_SMALL: Final = 0.5e6  # USD: below this the whole map is drawn in thousands
_SHARES: Final = (0.03, 0.2, 0.45, 0.75)  # of the scale, where a stronger step begins


@dataclass(frozen=True, slots=True)
class Grid:
    """The heat-map in one metric, merged and scaled: rows ascending in strike, values in display units."""

    strikes: tuple[float, ...]
    expiries: tuple[str, ...]
    cells: tuple[tuple[float | None, ...], ...]
    sums: tuple[float | None, ...]
    middle: float
    scale: float
    spot_row: int
    thousands: bool

    def step(self, value: float | None) -> int:
        """Colour step -4..4, by share of the scale."""
        if value is None or self.scale <= 0:
            return 0
        size = bisect_right(_SHARES, abs(value - self.middle) / self.scale)
        return size if value > self.middle else -size


def grid_of(heat: HeatMap, metric: str, merge: int, spot: float | None) -> Grid:
    """One metric of the heat-map, ready to draw."""
    table: tuple[tuple[float | None, ...], ...] = getattr(heat, metric)
    largest = max((abs(v) for row in table for v in row if v is not None), default=0.0)
    small = metric not in {"oi", "iv"} and largest < _SMALL
    unit = {"oi": 1.0, "iv": 0.01}.get(metric, 1e3 if small else 1e6)
    rows = [tuple(None if v is None else v / unit for v in row) for row in table]
    strikes = list(heat.strikes)
    if merge > 1 and metric != "iv":
        groups = [range(i, min(i + merge, len(rows))) for i in range(0, len(rows), merge)]
        strikes = [strikes[g[0]] for g in groups]
        rows = [tuple(_sum(rows[i][j] for i in g) for j in range(len(heat.expiries))) for g in groups]
    known = sorted(v for row in rows for v in row if v is not None)
    middle = known[len(known) // 2] if metric == "iv" and known else 0.0
    scale = nice(max((abs(v - middle) for v in known), default=0.0)) if known else 0.0
    sums = tuple(None if metric == "iv" else _sum(row) for row in rows)
    at = 0
    if spot is not None and strikes:
        at = min(range(len(strikes)), key=lambda i: abs(strikes[i] - spot))
        if merge > 1 and metric != "iv":
            at = max((i for i in range(len(strikes)) if strikes[i] <= spot), default=0)
    return Grid(tuple(strikes), heat.expiries, tuple(rows), sums, middle, scale, at, small)


def _sum(values: object) -> float | None:
    known = [v for v in values if v is not None]  # type: ignore[attr-defined]
    return sum(known) if known else None


def current(frame: Frame) -> Grid | None:
    """The grid the view asks for, or None before there is one."""
    if frame.snapshot is None or frame.detail is None or not frame.detail.heatmap.strikes:
        return None
    return grid_of(frame.detail.heatmap, frame.view.metric, frame.view.merge, frame.snapshot.spot)


def cursor_of(grid: Grid, view: View) -> tuple[int, int]:
    """Row and column of the cursor; on the spot row until it is moved."""
    row = grid.spot_row
    if view.strike is not None:
        row = min(range(len(grid.strikes)), key=lambda i: abs(grid.strikes[i] - (view.strike or 0.0)))
    return row, min(view.expiry, max(0, len(grid.expiries) - 1))


def window(count: int, room: int, centre: int, cursor: int) -> range:
    """Which rows are shown: spot in the middle, moved just far enough to have the cursor in sight."""
    room = max(1, min(room, count))
    first = centre - room // 2
    first = min(max(first, cursor - room + 1), cursor)
    first = min(max(0, first), count - room)
    return range(first, first + room)


def shown_rows(frame: Frame, grid: Grid, room: int) -> range:
    return window(len(grid.strikes), room, grid.spot_row, cursor_of(grid, frame.view)[0])


def number(value: float | None, metric: str, room: int) -> str:
    """A cell's number in at most `room` characters; `·` where nothing is listed or it is too small to print."""
    if value is None:
        return "·"
    if metric in {"oi", "iv"}:
        text = f"{value:,.1f}" if metric == "iv" or abs(value) < 9.95 else f"{value:,.0f}"
        if len(text) <= room:
            return text
        return f"{value:.0f}" if len(f"{value:.0f}") <= room else f"{value / 1000:.0f}k"
    if abs(value) < 0.05:
        return "·"
    text = signed(value, 1)
    if len(text) > room:
        text = f"{value:+.0f}"
    return text if len(text) <= room else f"{value / 1000:+.0f}k"


def heatmap(frame: Frame, rect: Rect) -> list[Row]:
    """The panel at any size; zoomed it adds a line about the cursor cell."""
    width, height = inner(rect)
    view, focus = frame.view, frame.view.panel == "heatmap"
    grid = current(frame)
    title = _title(frame, rect, grid)
    if grid is None:
        words = frame.waiting() if frame.snapshot is None else "no options listed yet"
        return framed(rect, title, [(), ((f"  {words}", "dim"),)], focus=focus, joint="┼")
    cell = CELL if rect.edge == "box" or width >= 110 else 7 if view.zoom else 6
    lead = max(8, cell)
    total = cell if cell > 6 else 5
    extra = 2 if view.zoom else 0
    columns = max(1, min(len(grid.expiries), (width - lead - total) // cell))
    at_row, at_col = cursor_of(grid, view)
    first = max(0, at_col - columns + 1)
    cols = range(first, first + columns)
    rows = shown_rows(frame, grid, height - 1 - extra)
    body = [_header(grid, cols, lead, cell, total)]
    widths = (lead, cell, total)
    body += [_line(frame, grid, i, cols, widths, at_col if i == at_row else -1) for i in reversed(rows)]
    if view.zoom:
        body += [fit((), width)] * (height - 2 - len(body))
        body += [cell_line(frame, grid, at_row, at_col), _legend_row(grid, view.metric)]
    return framed(rect, title, body, focus=focus, foot=_scale(grid), joint="┼" if not view.zoom else "┬")


def _title(frame: Frame, rect: Rect, grid: Grid | None) -> list[Run]:
    view = frame.view
    model = foreign(frame.snapshot.positions.model, 10) if frame.snapshot else ""
    merged = f"  {view.merge} strikes a row" if view.merge > 1 and view.metric != "iv" else ""
    name, unit = view.metric.upper(), UNITS[view.metric]
    if grid is not None and grid.thousands:
        unit = unit.replace("$M", "$K")
    if rect.width < 60:
        short = unit.replace(" vol pt", "pt").replace("open interest, ", "")
        said, tail = f"2 {name} {short}", f" ─ {model or 'no'} model, Deribit only"
        if len(tail) > rect.width - 4 - len(said):
            tail = tail.removesuffix(" only")
        return [(said, "title"), (merged or ("" if view.metric in {"oi", "iv"} else tail), "dim")]
    picks: list[Run] = [("  ", "edge")]
    for metric in METRICS:
        chosen = metric == view.metric
        picks.append((f"[{metric.upper()}]" if chosen else f" {metric.upper()} ", "strong" if chosen else "dim"))
    head: list[Run] = [(f"2 {name} {unit}", "title"), *picks]
    book = "Deribit book"
    tails = (f"  strike x expiry, {model} model, {book}", f"  strike x expiry, {book}", f"  {book}", "")
    room = rect.width - 4 - width_of(head)
    return [*head, (merged or next(t for t in tails if len(t) <= room or not t), "dim")]


def _header(grid: Grid, cols: range, lead: int, cell: int, total: int) -> Row:
    wide = cell > 6
    out: list[Run] = [(f"{'STRIKE':>{lead}}", "head")]
    out += [(f"{expiry_short(grid.expiries[j], wide):>{cell - 1}} ", "head") for j in cols]
    out.append((f"{'SUM':>{total}}", "head"))
    return tuple(out)


def _line(frame: Frame, grid: Grid, i: int, cols: range, widths: tuple[int, int, int], cursor: int) -> Row:
    lead, cell, last = widths
    at_spot = i == grid.spot_row
    strike = level(grid.strikes[i])
    mark = "▶" if at_spot else " "
    out: list[Run] = [(f"{mark}{strike:>{lead - 1}}"[:lead], "row.spot" if at_spot else "label")]
    metric, stale = frame.view.metric, frame.stale
    for j in cols:
        value = grid.cells[i][j]
        text = number(value, metric, cell - 2)
        if stale and text != "·" and len(text) < cell - 2:
            text = f"~{text}"
        step = grid.step(value)
        style = "heat.stale" if stale else "heat.none" if value is None else f"heat{step:+d}"
        if j == cursor:
            out.append((f"[{text}]".rjust(cell), f"{style}.cursor"))
        else:
            out.append((f"{text:>{cell - 1}} ", style))
    total = grid.sums[i]
    tone = "dim" if stale or total is None else _sum_style(total, metric)
    out.append((f"{number(total, metric, min(6, last)):>{last}}", tone))
    return fit(out, width_of(out))  # neighbours of one step become one run: a third fewer bytes


def _sum_style(total: float, metric: str) -> str:
    return "text" if metric in {"oi", "iv"} else "pos" if total >= 0.05 else "neg" if total <= -0.05 else "dim"


def _scale(grid: Grid) -> list[Run]:
    """`-8 ▓▓▒▒░░ 0 ░░▒▒▓▓ +8`, in the colours of the cells."""
    low, high = f"-{grid.scale:g}", f"+{grid.scale:g}"
    if grid.middle:
        low, high = f"{grid.middle - grid.scale:.0f}", f"{grid.middle + grid.scale:.0f}"
    return [(f" {low} ", "dim"), *_swatches(), (f" {high} ", "dim"), ("─", "edge")]


def _swatches() -> list[Run]:
    glyphs = {4: "▓▓", 3: "▓▒", 2: "▒▒", 1: "░░", 0: " 0 "}
    return [(glyphs[abs(step)][:: 1 if step < 0 else -1], f"swatch{step:+d}") for step in range(-4, 5)]


def _legend_row(grid: Grid, metric: str) -> Row:
    small = "" if metric in {"oi", "iv"} else "   · |value| < 0.05"
    return ((" scale", "dim"), *_scale(grid)[:-1], (f"  [ ] cursor   ▶ spot row{small}", "dim"))


def cell_line(frame: Frame, grid: Grid, row: int, col: int) -> Row:
    """Everything known about the cell under the cursor, in one line."""
    parts = [f"{name} {text}" for name, text in cell_facts(frame, grid, row, col)]
    where = f" {level(grid.strikes[row])} x {expiry_short(grid.expiries[col], wide=True)}"
    return ((where, "strong"), ("  " + " ".join(parts), "text"))


def cell_facts(frame: Frame, grid: Grid, row: int, col: int) -> list[tuple[str, str]]:
    """Name and text of each metric of a cell, summed where rows are merged."""
    detail = frame.detail
    if detail is None:
        return []
    heat, merge = detail.heatmap, frame.view.merge if frame.view.metric != "iv" else 1
    members = range(row * merge, min((row + 1) * merge, len(heat.strikes)))
    out: list[tuple[str, str]] = []
    for metric in METRICS:
        known = [v for i in members if (v := getattr(heat, metric)[i][col]) is not None]
        if not known:
            out.append((metric.upper(), "n/a"))
        elif metric == "iv":
            out.append(("IV", percent(sum(known) / len(known), 1, plus=False)))
        elif metric == "oi":
            out.append(("OI", f"{sum(known):,.0f}"))
        else:
            total = sum(known)
            out.append((metric.upper(), money(total) if abs(total) < 99_500.0 else f"{signed(total / 1e6, 2)}M"))
    return out
