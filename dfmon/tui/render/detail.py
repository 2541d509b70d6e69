"""The cell under the cursor in full: its exposures, strike and expiry."""

from __future__ import annotations

from dfmon.tui.render.box import Rect, bordered_panel, inner_size
from dfmon.tui.render.formatting import (
    Row,
    Run,
    cell_text,
    format_duration,
    format_level,
    format_percent,
    format_usd,
    justify,
)
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.heatmap import cell_facts
from dfmon.tui.render.heatmap_grid import current_grid, cursor_of


def detail(frame: Frame, rect: Rect) -> list[Row]:
    """The panel at any size, in the tape's place."""
    width, height = inner_size(rect)
    grid, snapshot = current_grid(frame), frame.snapshot
    if grid is None or snapshot is None:
        return bordered_panel(rect, [("CELL", "title")], [(), ((f" {frame.waiting_text()}", "dim"),)], focus=True)
    row, col = cursor_of(grid, frame.view)
    strike, expiry = grid.strikes[row], grid.expiries[col]
    title: list[Run] = [(f"CELL {format_level(strike)} x {cell_text(expiry, 9)}", "title")]
    facts: list[tuple[str, str]] = cell_facts(frame, grid, row, col)
    strike_row = next((r for r in snapshot.by_strike if r.strike == strike), None)
    if strike_row is not None:
        facts.append(("strike OI C, P", f"{strike_row.call_open_interest:,.0f}, {strike_row.put_open_interest:,.0f}"))
    expiry_row = next((e for e in snapshot.by_expiry if expiry in (e.label, e.expiry)), None)
    if expiry_row is not None:
        facts += [
            ("expires in", format_duration(expiry_row.hours * 3600)),
            ("forward", format_level(expiry_row.forward)),
            ("ATM vol", format_percent(expiry_row.atm_iv, 1, plus=False)),
            ("expiry NGI", format_usd(expiry_row.ngi)),
        ]
    if strike_row is not None:
        facts.append(("strike NGI", format_usd(strike_row.ngi)))
    body = [justify([(f" {name}", "dim")], [(text, "text"), (" ", "text")], width) for name, text in facts[:height]]
    return bordered_panel(rect, title, body, focus=True)
