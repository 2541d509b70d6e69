"""The cell under the cursor in full: its exposures, its strike and its expiry."""

from __future__ import annotations

from dfmon.tui.layout import Rect
from dfmon.tui.render.box import framed, inner
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.heatmap import cell_facts, current, cursor_of
from dfmon.tui.render.text import Row, Run, duration, foreign, level, money, percent, spread


def detail(frame: Frame, rect: Rect) -> list[Row]:
    """The panel at any size; takes the tape's place."""
    width, height = inner(rect)
    grid, s = current(frame), frame.snapshot
    if grid is None or s is None:
        return framed(rect, [("CELL", "title")], [(), ((f" {frame.waiting()}", "dim"),)], focus=True)
    row, col = cursor_of(grid, frame.view)
    strike, expiry = grid.strikes[row], grid.expiries[col]
    title: list[Run] = [(f"CELL {level(strike)} x {foreign(expiry, 9)}", "title")]
    facts: list[tuple[str, str]] = cell_facts(frame, grid, row, col)
    at = next((r for r in s.by_strike if r.strike == strike), None)
    if at is not None:
        facts.append(("strike OI C, P", f"{at.call_open_interest:,.0f}, {at.put_open_interest:,.0f}"))
    due = next((e for e in s.by_expiry if expiry in (e.label, e.expiry)), None)
    if due is not None:
        facts += [
            ("expires in", duration(due.hours * 3600)),
            ("forward", level(due.forward)),
            ("ATM vol", percent(due.atm_iv, 1, plus=False)),
            ("expiry NGI", money(due.ngi)),
        ]
    if at is not None:
        facts.append(("strike NGI", money(at.ngi)))
    body = [spread([(f" {name}", "dim")], [(text, "text"), (" ", "text")], width) for name, text in facts[:height]]
    return framed(rect, title, body, focus=True)
