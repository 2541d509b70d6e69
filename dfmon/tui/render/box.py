"""Borders and titles of panels, and the rectangles that `layout` gives them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from dfmon.tui.render.formatting import Row, Run, fit, row_width

Edge = Literal["none", "rule", "divided", "box"]


class Rect(NamedTuple):
    """Place and kind of border. A "divided" panel ends in the line that parts it from its right neighbour."""

    x: int
    y: int
    width: int
    height: int
    edge: Edge = "none"


def inner_size(rect: Rect) -> tuple[int, int]:
    """Columns and rows inside the border."""
    if rect.edge == "box":
        return rect.width - 2, rect.height - 2
    if rect.edge == "divided":
        return rect.width - 1, rect.height - 1
    return rect.width, rect.height - (rect.edge == "rule")


def bordered_panel(
    rect: Rect, title: Sequence[Run], body: Sequence[Row], *, focus: bool, foot: Sequence[Run] = (), joint: str = "┬"
) -> list[Row]:
    """Title and body cut or padded to the rectangle; a box has a foot too."""
    width, height = inner_size(rect)
    edge_style = "edge.focus" if focus else "edge"
    rows = [fit(row, width) for row in body[:height]]
    rows += [fit((), width)] * (height - len(rows))
    mark = "▸" if focus else " "
    focus_styles = {"title": "title.focus"} if focus else {}
    head = ((mark, "title.focus"), *((text, focus_styles.get(style, style)) for text, style in title))
    if rect.edge == "none":
        return rows
    if rect.edge == "box":
        first = (("┌", edge_style), *_edge_with_runs(head, width, edge_style), ("┐", edge_style))
        last = (("└", edge_style), *_edge_with_runs(foot, width, edge_style, right=True), ("┘", edge_style))
        side_border: Run = ("│", edge_style)
        return [first, *((side_border, *row, side_border) for row in rows), last]
    top = tuple(_edge_with_runs((("─", edge_style), *head), width, edge_style))
    if rect.edge == "rule":
        return [top, *rows]
    return [(*top, (joint, "edge")), *((*row, ("│", "edge")) for row in rows)]


def scrolled_panel(rect: Rect, title: str, rows: Sequence[Row], scroll: int) -> list[Row]:
    """Lines under a title, with the visible range in it where they do not all fit."""
    height = inner_size(rect)[1]
    first = max(0, min(scroll, len(rows) - height))
    position_text = f"   {first + 1}-{first + height} of {len(rows)}, j k" if len(rows) > height else ""
    head = [(title, "title"), (f"  esc closes{position_text}", "dim")]
    return bordered_panel(rect, head, rows[first : first + height], focus=False)


def _edge_with_runs(runs: Sequence[Run], width: int, edge_style: str, right: bool = False) -> list[Run]:
    """Runs laid into a horizontal line, at its left or right end."""
    runs = list(runs)
    if runs and not right:
        runs.append((" ", edge_style))
    elif runs:
        runs.append(("─", edge_style))
    available = width - row_width(runs)
    if available < 0:
        return list(fit(runs, width))
    fill: Run = ("─" * available, edge_style)
    return [fill, *runs] if right else [*runs, fill]
