"""Rules and titles of panels, and the rectangles that `layout` gives them. Rules take fewer cells than boxes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from dfmon.tui.render.formatting import Row, Run, fit, linked, row_width

Edge = Literal["none", "rule", "divided"]


class Rect(NamedTuple):
    """Place and kind of border. A "divided" panel ends in the line that parts it from its right neighbour.

    `joint` is the character in which that line meets the rule of the title.
    """

    x: int
    y: int
    width: int
    height: int
    edge: Edge = "none"
    joint: str = "┬"


def inner_size(rect: Rect) -> tuple[int, int]:
    """Columns and rows inside the border."""
    return rect.width - (rect.edge == "divided"), rect.height - (rect.edge != "none")


def bordered_panel(
    rect: Rect, title: Sequence[Run], body: Sequence[Row], *, focus: bool, tail: Sequence[Run] = ()
) -> list[Row]:
    """Title and body cut or padded to the rectangle; `tail` stands at the right end of the title where it fits."""
    width, height = inner_size(rect)
    rows = [fit(row, width) for row in body[:height]]
    rows += [fit((), width)] * (height - len(rows))
    if rect.edge == "none":
        return rows
    edge_style = "edge.focus" if focus else "edge"
    focus_styles = {"title": "title.focus"} if focus else {}
    mark = "▸" if focus else " "
    head = ((f"─{mark}", edge_style), *((text, focus_styles.get(style, style)) for text, style in title))
    top = _rule(head, tail, width, edge_style)
    if rect.edge == "rule":
        return [top, *rows]
    return [(*top, (rect.joint, "edge")), *((*row, ("│", "edge")) for row in rows)]


def divider(title: Sequence[Run], tail: Sequence[Run], width: int) -> Row:
    """A rule inside a panel."""
    return _rule((("─ ", "edge"), *title), tail, width, "edge")


def scrolled_panel(rect: Rect, title: str, rows: Sequence[Row], scroll: int, keys: tuple[str, str]) -> list[Row]:
    """Lines under a title, with the visible range in it where they do not all fit.

    `keys` are the labels of those that close the panel and that scroll it.
    """
    height = inner_size(rect)[1]
    first = max(0, min(scroll, len(rows) - height))
    position_text = f"   {first + 1}-{first + height} of {len(rows)}, {keys[1]}" if len(rows) > height else ""
    close = linked([(f"  {keys[0]} closes", "dim")], "app.back")
    head = [(title, "title"), *close, (position_text, "dim")]
    return bordered_panel(rect, head, rows[first : first + height], focus=False)


def _rule(head: Sequence[Run], tail: Sequence[Run], width: int, edge_style: str) -> Row:
    """Runs laid into a horizontal line, at its left and its right end; the right ones only where both fit."""
    left = [*head, (" ", edge_style)]
    right: list[Run] = [(" ", edge_style), *tail, (" ─", edge_style)] if tail else []
    available = width - row_width(left) - row_width(right)
    if available < 1:
        right, available = [], width - row_width(left)
    return fit((*left, ("─" * max(0, available), edge_style), *right), width)
