"""A canvas of cells and the lines drawn on it: box-drawing, ASCII stars or braille dots.

Gaps in the data stay gaps: two values are joined only when their columns are neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence

from dfmon.tui.render.text import Row, fit

Values = Sequence[float | None]
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))


class Canvas:
    """Rows of (character, style); row 0 is the top and stands for `hi`."""

    def __init__(self, width: int, height: int, lo: float, hi: float) -> None:
        self.width, self.height, self.lo, self.hi = width, height, lo, hi
        self._cells: list[list[tuple[str, str]]] = [[(" ", "text")] * width for _ in range(height)]

    def row_of(self, value: float, steps: int = 1) -> int:
        """The row of a value, in `steps` parts of a cell; beyond the edges it stays on them."""
        last = self.height * steps - 1
        share = (self.hi - value) / (self.hi - self.lo) if self.hi > self.lo else 0.5
        return min(last, max(0, round(share * last)))

    def inside(self, value: float | None) -> bool:
        return value is not None and self.lo <= value <= self.hi

    def put(self, x: int, y: int, char: str, style: str, *, over: bool = True) -> None:
        if 0 <= x < self.width and 0 <= y < self.height and (over or self._cells[y][x][0] == " "):
            self._cells[y][x] = (char, style)

    def write(self, x: int, y: int, text: str, style: str) -> None:
        for i, char in enumerate(text):
            self.put(x + i, y, char, style)

    def level(self, value: float | None, char: str, style: str) -> None:
        """A horizontal line where nothing else is drawn; nothing where the value is out of sight."""
        if value is not None and self.inside(value):
            y = self.row_of(value)
            for x in range(self.width):
                self.put(x, y, char, style, over=False)

    def dashes(self, values: Values, char: str, style: str) -> None:
        """One mark per column, without joints: for levels that jump."""
        for x, value in enumerate(values):
            if value is not None and self.inside(value):
                self.put(x, self.row_of(value), char, style)

    def line(self, values: Values, style: str) -> None:
        """A joined line in box-drawing characters."""
        last: int | None = None
        for x, value in enumerate(values):
            if value is None:
                last = None
                continue
            y = self.row_of(value)
            if last is None or last == y:
                self.put(x, y, "─", style)
            else:
                self.put(x, last, "╮" if y > last else "╯", style)
                self.put(x, y, "╰" if y > last else "╭", style)
                for between in range(min(y, last) + 1, max(y, last)):
                    self.put(x, between, "│", style)
            last = y

    def dots(self, values: Values, style: str) -> None:
        """A line in braille: two points across and four down in each cell; `values` has two per column."""
        masks: dict[tuple[int, int], int] = {}
        last: int | None = None
        for i, value in enumerate(values):
            if value is None:
                last = None
                continue
            y = self.row_of(value, 4)
            low, high = (y, y) if last is None else (min(y, last + (y > last)), max(y, last - (y < last)))
            for dot in range(low, high + 1):
                at = (i // 2, dot // 4)
                masks[at] = masks.get(at, 0) | _DOTS[dot % 4][i % 2]
            last = y
        for (x, y), mask in masks.items():
            self.put(x, y, chr(0x2800 + mask), style)

    def rows(self) -> list[Row]:
        return [fit(row, self.width) for row in self._cells]


def nice(size: float) -> float:
    """The next of 1, 2, 5 times a power of ten.

    >>> nice(0.7), nice(3.0), nice(200.0)
    (1.0, 5.0, 200.0)
    """
    if size <= 0:
        return 1.0
    power = 1.0
    while power > size:
        power /= 10
    while power * 10 <= size:
        power *= 10
    return next(power * k for k in (1, 2, 5, 10) if power * k >= size * 0.999999)


def bar(value: float | None, scale: float, half: int) -> tuple[str, str, str]:
    """A bar from the centre: left part, right part, and the style of its sign. `?` where there is no value."""
    if value is None:
        return "?" * half, "?" * half, "absent"
    cells = 0 if scale <= 0 else min(half, round(abs(value) / scale * half))
    if cells == 0 and value and scale > 0 and abs(value) > 0.1 * scale / half:
        cells = 1
    full, free = "█" * cells, "·" * (half - cells)
    return (free + full, "·" * half, "neg") if value < 0 else ("·" * half, full + free, "pos")


def spark(values: Values, width: int) -> str:
    """History as one row of eighths, scaled to itself; a space where there is nothing."""
    known = [v for v in values if v is not None]
    if not known:
        return " " * width
    low, high = min(known), max(known)
    blocks = "▁▂▃▄▅▆▇█"
    span = high - low
    tail = list(values)[-width:]
    text = "".join(" " if v is None else blocks[3 if span <= 0 else round((v - low) / span * 7)] for v in tail)
    return text.rjust(width)
