"""What `y` copies: one line that can be pasted into a chat and parsed by a script."""

from __future__ import annotations

from dfmon.model.units import iso
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.heatmap import cell_facts, current, cursor_of
from dfmon.tui.render.text import level, money, price


def copied(frame: Frame) -> str:
    """The cell under the cursor when the heat-map is in focus, else the headline numbers."""
    s = frame.snapshot
    if s is None:
        return f"{frame.view.underlying} no data"
    head = f"{iso(s.ts_ns)} {s.underlying}"
    grid = current(frame)
    if frame.view.panel == "heatmap" and grid is not None:
        row, col = cursor_of(grid, frame.view)
        facts = "  ".join(f"{name} {text}" for name, text in cell_facts(frame, grid, row, col))
        return f"{head} {level(grid.strikes[row])} x {grid.expiries[col]}  {facts}"
    m = s.metrics
    numbers = "  ".join(f"{n.upper()} {money(getattr(m, n).value)}" for n in ("ngi", "vss", "chl", "volg", "hpp"))
    return (
        f"{head} {price(s.spot)}  flip {level(s.flip.level)}  {numbers}  "
        f"{s.scenario.bucket} {s.scenario.name}  ({s.positions.model})"
    )
