"""Panel 5: net gamma at other spot prices. Beside the heat-map it shares the strike rows, elsewhere it is an area.

Left of zero dealers amplify moves, right of zero they damp them.
"""

from __future__ import annotations

import math

from dfmon.model.snapshot import FlowSnapshot
from dfmon.model.tables import Profile
from dfmon.tui.render.box import Rect, bordered_panel, inner_size
from dfmon.tui.render.formatting import Row, Run, cell_text, fit, format_level, format_usd
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.heatmap_grid import current_grid, visible_rows
from dfmon.tui.render.plot import bar_runs
from dfmon.tui.render.profile_horizons import horizon_rows
from dfmon.tui.view import PROFILE_HORIZONS


def profile(frame: Frame, rect: Rect) -> list[Row]:
    """Bars on the strike rows beside the heat-map, the area elsewhere; zoomed with a horizon as a line."""
    snapshot, detail = frame.snapshot, frame.detail
    focus = frame.view.panel == "profile"
    title: list[Run] = [("5 PROFILE", "title")]
    if snapshot is None or detail is None or not detail.profile.spots:
        message = frame.waiting_text() if snapshot is None else "no profile yet"
        return bordered_panel(rect, title, [(), ((f"  {message}", "dim"),)], focus=focus)
    if rect.x:
        title.append(("  NGI by spot, sqrt" if rect.width >= 30 else "  sqrt", "dim"))
        return bordered_panel(rect, title, _bar_rows(frame, snapshot, detail.profile, rect), focus=focus)
    title.append(("  NGI by spot, sqrt", "dim"))
    if frame.view.zoom:
        for index, name in enumerate(PROFILE_HORIZONS):
            chosen = index == frame.view.profile_horizon
            title.append((f" [{name or 'now'}]" if chosen else f" {name or 'now'}", "strong" if chosen else "dim"))
    tail: list[Run] = [(_assumptions(snapshot), "dim")] if rect.width >= 60 else []
    rows = horizon_rows(frame, snapshot, detail.profile, *inner_size(rect))
    return bordered_panel(rect, title, rows, focus=focus, tail=tail)


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
    values = {i: profile.at(grid.strikes[i]) for i in visible}
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


def _assumptions(snapshot: FlowSnapshot) -> str:
    """The position model, and numeraire and smile dynamics where they are not the default."""
    coin = ", coin" if snapshot.numeraire == "coin" else ""
    moneyness = ", sticky moneyness" if snapshot.stickiness == "moneyness" else ""
    return f"{cell_text(snapshot.positions.model, 10)} model{coin}{moneyness}"
