"""The line that `y` copies, fit for a chat message and for a script."""

from __future__ import annotations

from dfmon.model.units import iso
from dfmon.tui.render.formatting import format_level, format_price, format_usd
from dfmon.tui.render.forward_map import cursor_text
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.heatmap import cell_facts
from dfmon.tui.render.heatmap_grid import current_grid, cursor_of


def clipboard_text(frame: Frame) -> str:
    """The cell under the cursor of the forward map or of the heat-map in front, else the headline numbers."""
    snapshot = frame.snapshot
    if snapshot is None:
        return f"{frame.view.underlying} no data"
    head = f"{iso(snapshot.ts_ns)} {snapshot.underlying}"
    grid = current_grid(frame)
    if frame.view.sheet == "forward" and (sentence := cursor_text(frame)):
        return f"{head} {sentence}"
    if not frame.view.sheet and frame.view.panel == "heatmap" and grid is not None:
        row, col = cursor_of(grid, frame.view)
        facts = "  ".join(f"{name} {text}" for name, text in cell_facts(frame, grid, row, col))
        return f"{head} {format_level(grid.strikes[row])} x {grid.expiries[col]}  {facts}"
    m = snapshot.metrics
    numbers = "  ".join(f"{n.upper()} {format_usd(getattr(m, n).value)}" for n in ("ngi", "vss", "chl", "volg", "hpp"))
    return (
        f"{head} {format_price(snapshot.spot)}  flip {format_level(snapshot.flip.level)}  {numbers}  "
        f"{snapshot.scenario.bucket or ''} {snapshot.scenario.name}  ({snapshot.positions.model})"
    )
