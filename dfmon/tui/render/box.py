"""Borders and titles: a panel's rows put into the rectangle the plan gave it."""

from __future__ import annotations

from collections.abc import Sequence

from dfmon.tui.layout import Rect
from dfmon.tui.render.text import Row, Run, fit, width_of


def inner(rect: Rect) -> tuple[int, int]:
    """Columns and rows left for content."""
    if rect.edge == "box":
        return rect.width - 2, rect.height - 2
    if rect.edge == "divided":
        return rect.width - 1, rect.height - 1
    return rect.width, rect.height - (rect.edge == "rule")


def framed(
    rect: Rect, title: Sequence[Run], body: Sequence[Row], *, focus: bool, foot: Sequence[Run] = (), joint: str = "┬"
) -> list[Row]:
    """Title, content cut or padded to the rectangle, and where there is a box its foot."""
    width, height = inner(rect)
    line = "edge.focus" if focus else "edge"
    rows = [fit(row, width) for row in body[:height]]
    rows += [fit((), width)] * (height - len(rows))
    mark = "▸" if focus else " "
    bright = {"title": "title.focus"} if focus else {}
    head = ((mark, "title.focus"), *((text, bright.get(style, style)) for text, style in title))
    if rect.edge == "none":
        return rows
    if rect.edge == "box":
        first = (("┌", line), *_line(head, width, line), ("┐", line))
        last = (("└", line), *_line(foot, width, line, right=True), ("┘", line))
        wall: Run = ("│", line)
        return [first, *((wall, *row, wall) for row in rows), last]
    top = tuple(_line((("─", line), *head), width, line))
    if rect.edge == "rule":
        return [top, *rows]
    return [(*top, (joint, "edge")), *((*row, ("│", "edge")) for row in rows)]


def scrolled(rows: Sequence[Row], height: int, scroll: int) -> tuple[Sequence[Row], str]:
    """The rows in sight, and where they are when that is not all of them."""
    if len(rows) <= height:
        return rows, ""
    first = max(0, min(scroll, len(rows) - height))
    return rows[first : first + height], f"   {first + 1}-{first + height} of {len(rows)}, j k"


def _line(runs: Sequence[Run], width: int, line: str, right: bool = False) -> list[Run]:
    """Runs laid into a horizontal line, at its left or right end."""
    runs = list(runs)
    if runs and not right:
        runs.append((" ", line))
    elif runs:
        runs.append(("─", line))
    room = width - width_of(runs)
    if room < 0:
        return list(fit(runs, width))
    fill: Run = ("─" * room, line)
    return [fill, *runs] if right else [*runs, fill]
