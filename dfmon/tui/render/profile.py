"""Panel 5: net gamma at other spot prices. Beside the heat-map it shares the strike rows; zoomed it is a curve.

Left of zero dealers amplify moves, right of zero they damp them.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import Final

from dfmon.model.snapshot import FlowSnapshot
from dfmon.model.tables import Profile
from dfmon.tui.render.box import Rect, bordered_panel, inner_size
from dfmon.tui.render.formatting import Row, Run, cell_text, fit, format_level, format_signed, format_usd
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.heatmap_grid import current_grid, visible_rows
from dfmon.tui.render.plot import Canvas, bar_runs, nice_number
from dfmon.tui.render.regime import regime_runs

_HORIZON_LABELS: Final = {"today": "in 24 h", "week": "in a week", "all": "at all"}


def profile_at(profile: Profile, spot: float) -> float | None:
    """Net gamma at a spot, interpolated; None outside the grid."""
    x = profile.spots
    if not x or not x[0] <= spot <= x[-1]:
        return None
    i = max(1, bisect_left(x, spot)) if len(x) > 1 else 0
    if i == 0:
        return profile.ngi[0]
    share = (spot - x[i - 1]) / (x[i] - x[i - 1]) if x[i] > x[i - 1] else 0.0
    return profile.ngi[i - 1] + share * (profile.ngi[i] - profile.ngi[i - 1])


def profile(frame: Frame, rect: Rect) -> list[Row]:
    """Bars on the strike rows beside the heat-map, the curve elsewhere."""
    snapshot, detail = frame.snapshot, frame.detail
    focus = frame.view.panel == "profile"
    title: list[Run] = [("5 PROFILE", "title")]
    if snapshot is None or detail is None or not detail.profile.spots:
        message = frame.waiting_text() if snapshot is None else "no profile yet"
        return bordered_panel(rect, title, [(), ((f"  {message}", "dim"),)], focus=focus)
    if rect.x:
        title.append(("  NGI by spot, sqrt" if rect.width >= 30 else "  sqrt", "dim"))
        return bordered_panel(rect, title, _bar_rows(frame, snapshot, detail.profile, rect), focus=focus)
    model = f"   {_assumptions(snapshot)}" if rect.width >= 60 else ""
    title += [("  NGI $M per +1% v spot", "dim"), (model, "dim")]
    return bordered_panel(rect, title, _curve_rows(frame, snapshot, detail.profile, rect), focus=focus)


def _bar_rows(frame: Frame, snapshot: FlowSnapshot, profile: Profile, rect: Rect) -> list[Row]:
    """NGI if spot stood at the strike of that row of the map; the edges are written across the rows they fall in."""
    width, height = inner_size(rect)
    half = (width - 1) // 2
    left, right = ("amplify ◂ ", " ▸ damp") if width >= 20 else ("ampl ◂", "▸ damp")
    rows: list[Row] = [fit(((f"{left:>{half}}0{right}", "head"),), width)]
    grid = current_grid(frame)
    if grid is None:
        return rows
    visible = visible_rows(frame, grid, height - 2)
    values = {i: profile_at(profile, grid.strikes[i]) for i in visible}
    scale = max((abs(v) for v in values.values() if v is not None), default=0.0)
    edges = _edge_rows(snapshot, [grid.strikes[i] for i in visible])
    styles = (frame.dim_if_stale("bar.neg"), frame.dim_if_stale("bar.pos"))
    for position, i in reversed(list(enumerate(visible))):
        value = values[i]
        if (level := edges.get(position)) is not None:
            rows.append(fit(((f"╌╌edge {format_level(level)}".ljust(width, "╌"), "flip"),), width))
        elif value is None:
            rows.append(fit((("·" * half, "faint"), ("│", "axis"), ("·" * half, "faint")), width))
        else:
            root = math.copysign(math.sqrt(abs(value)), value)
            rows.append(fit(bar_runs(root, math.sqrt(scale), half, styles), width))
    rows += [fit((), width)] * (height - 1 - len(rows))
    rows.append(fit(((" now ", "dim"), (format_usd(snapshot.metrics.ngi.value), "strong")), width))
    return rows


def _edge_rows(snapshot: FlowSnapshot, strikes: list[float]) -> dict[int, float]:
    """Row of each edge of the regime: that of the strike nearest to it; none beyond the strikes shown."""
    out: dict[int, float] = {}
    for edge in (snapshot.regime.below, snapshot.regime.above):
        if edge is not None and strikes and strikes[0] <= edge.level <= strikes[-1]:
            out[min(range(len(strikes)), key=lambda k: abs(strikes[k] - edge.level))] = edge.level
    return out


def _curve_rows(frame: Frame, snapshot: FlowSnapshot, profile: Profile, rect: Rect) -> list[Row]:
    width, height = inner_size(rect)
    notes = _note_rows(snapshot, width) if height >= 9 else []
    plot_height = max(3, (height - 2 - len(notes)) // 2 * 2 + 1)  # odd, so that zero is a row
    gutter = 7
    columns = width - gutter - 1
    spots = profile.spots
    points = [spots[0] + (spots[-1] - spots[0]) * x / max(1, columns - 1) for x in range(columns)]
    values = [v / 1e6 if (v := profile_at(profile, p)) is not None else None for p in points]
    size = max((abs(v) for v in values if v is not None), default=1.0)
    y_limit = nice_number(size)
    canvas = Canvas(columns, plot_height, -y_limit, y_limit)
    canvas.draw_level(0.0, "─", "faint")
    for bound in (profile.lo, profile.hi):
        if bound is not None:
            bound_profile = Profile(spots, bound, None, None)
            bound_values = [
                v / 1e6 if x % 2 == 0 and (v := profile_at(bound_profile, p)) is not None else None
                for x, p in enumerate(points)
            ]
            canvas.draw_dashes(bound_values, "·", "dim")

    def column(price: float | None) -> int | None:
        if price is None or not spots[0] <= price <= spots[-1] or spots[-1] <= spots[0]:
            return None
        return round((price - spots[0]) / (spots[-1] - spots[0]) * (columns - 1))

    for root in snapshot.flip.roots:
        if (x := column(root.level)) is not None:
            for y in range(plot_height):
                canvas.set_cell(x, y, "╎", "flip")
    if frame.view.icons == "braille":
        braille_spots = [spots[0] + (spots[-1] - spots[0]) * x / max(1, 2 * columns - 1) for x in range(2 * columns)]
        canvas.draw_braille(
            [v / 1e6 if (v := profile_at(profile, p)) is not None else None for p in braille_spots],
            frame.dim_if_stale("spot"),
        )
    else:
        canvas.draw_line(values, frame.dim_if_stale("spot"))
    if (x := column(snapshot.spot)) is not None and snapshot.spot is not None:
        text = f"▲ spot {format_level(snapshot.spot)}" if x + 16 < columns else f"spot {format_level(snapshot.spot)} ▲"
        canvas.write_text(x if text[0] == "▲" else x - len(text) + 1, plot_height - 1, text, "strong")
    return [*_with_axis(canvas, y_limit, gutter), _price_axis(spots, columns, gutter + 1), *notes]


def _with_axis(canvas: Canvas, y_limit: float, gutter: int) -> list[Row]:
    rows: list[Row] = []
    digits = 0 if y_limit >= 10 else 1 if y_limit >= 1 else 2
    spaces = canvas.height - 1
    label_every = spaces // 4 if spaces % 4 == 0 else spaces // 2
    for y, cells in enumerate(canvas.rows()):
        value = y_limit - 2 * y_limit * y / (canvas.height - 1)
        labelled = y % label_every == 0
        rows.append(
            ((f"{format_signed(value, digits):>{gutter}}┤" if labelled else " " * gutter + "│", "axis"), *cells)
        )
    return rows


def _price_axis(spots: tuple[float, ...], columns: int, gutter: int) -> Row:
    """Round prices under the curve."""
    cells = [" "] * columns
    span = spots[-1] - spots[0]
    step = nice_number(span / max(1, columns // 12))
    price = math.ceil(spots[0] / step) * step
    while price <= spots[-1] and span > 0:
        text = format_level(price)
        x = round((price - spots[0]) / span * (columns - 1)) - len(text) // 2
        if x >= 0 and x + len(text) <= columns:
            cells[x : x + len(text)] = text
        price += step
    return ((" " * gutter, "axis"), ("".join(cells), "axis"))


def _note_rows(snapshot: FlowSnapshot, width: int) -> list[Row]:
    """The levels, then the flip or the range that has none."""
    levels = snapshot.levels
    named_levels = [("call wall", levels.call_wall, "flip"), ("put wall", levels.put_wall, "flip")]
    if width >= 60:
        named_levels += [("key gamma", levels.key_gamma, "text"), ("max pain", levels.max_pain, "text")]
    first: list[Run] = []
    for name, value, style in named_levels:
        first += [(f" {name} ", "dim"), (f"{format_level(value)}  ", style if value is not None else "absent")]
    second: list[Run] = [(" ", "text"), *regime_runs(snapshot, is_long=width >= 60, beyond=True)]
    if snapshot.flip.lo is not None and snapshot.flip.hi is not None and width >= 60:
        second.append((f"  [{format_level(snapshot.flip.lo)} .. {format_level(snapshot.flip.hi)}]", "dim"))
    if snapshot.flip.level is None and snapshot.flip.searched is not None:
        second.append(
            (
                f"  searched {format_level(snapshot.flip.searched[0])} .. {format_level(snapshot.flip.searched[1])}",
                "dim",
            )
        )
    second.append((f"   NGI{' here' if width >= 60 else ''} {format_usd(snapshot.metrics.ngi.value)}", "text"))
    third: list[Run] = [(" flips of what expires", "dim")]
    for row in snapshot.flip.by_horizon:
        level = "none" if row.level is None else f"{format_level(row.level)} {row.direction}"
        third += [(f"  {_HORIZON_LABELS[row.horizon]} ", "dim"), (level, "flip" if row.level is not None else "dim")]
    lines = [first, second, third] if snapshot.flip.by_horizon and width >= 60 else [first, second]
    return [fit(line, width) for line in lines]


def _assumptions(snapshot: FlowSnapshot) -> str:
    """The position model, and numeraire and smile dynamics where they are not the default."""
    coin = ", coin" if snapshot.numeraire == "coin" else ""
    moneyness = ", sticky moneyness" if snapshot.stickiness == "moneyness" else ""
    return f"{cell_text(snapshot.positions.model, 10)} model{coin}{moneyness}"
