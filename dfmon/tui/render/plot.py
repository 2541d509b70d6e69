"""A canvas of cells with lines in box-drawing characters or braille dots, bars and sparklines.

A gap in the data stays a gap: two values are joined only where their columns are neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence

from dfmon.tui.render.formatting import Row, fit

Values = Sequence[float | None]
_BRAILLE_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))


class Canvas:
    """Cells of (character, style); row 0 is the top, at `hi`."""

    def __init__(self, width: int, height: int, lo: float, hi: float) -> None:
        self.width, self.height, self.lo, self.hi = width, height, lo, hi
        self._cells: list[list[tuple[str, str]]] = [[(" ", "text")] * width for _ in range(height)]

    def row_of(self, value: float, steps: int = 1) -> int:
        """The row of a value, in units of 1/`steps` of a cell, clipped to the edges."""
        last = self.height * steps - 1
        share = (self.hi - value) / (self.hi - self.lo) if self.hi > self.lo else 0.5
        return min(last, max(0, round(share * last)))

    def contains(self, value: float | None) -> bool:
        return value is not None and self.lo <= value <= self.hi

    def set_cell(self, x: int, y: int, char: str, style: str, *, overwrite: bool = True) -> None:
        if 0 <= x < self.width and 0 <= y < self.height and (overwrite or self._cells[y][x][0] == " "):
            self._cells[y][x] = (char, style)

    def write_text(self, x: int, y: int, text: str, style: str) -> None:
        for i, char in enumerate(text):
            self.set_cell(x + i, y, char, style)

    def draw_level(self, value: float | None, char: str, style: str) -> None:
        """Draws a horizontal line in the empty cells; nothing for a value out of range."""
        if value is not None and self.contains(value):
            y = self.row_of(value)
            for x in range(self.width):
                self.set_cell(x, y, char, style, overwrite=False)

    def draw_dashes(self, values: Values, char: str, style: str) -> None:
        """Draws one mark per column without joining them, for levels that jump."""
        for x, value in enumerate(values):
            if value is not None and self.contains(value):
                self.set_cell(x, self.row_of(value), char, style)

    def draw_line(self, values: Values, style: str) -> None:
        """Draws a joined line in box-drawing characters."""
        previous_y: int | None = None
        for x, value in enumerate(values):
            if value is None:
                previous_y = None
                continue
            y = self.row_of(value)
            if previous_y is None or previous_y == y:
                self.set_cell(x, y, "─", style)
            else:
                self.set_cell(x, previous_y, "╮" if y > previous_y else "╯", style)
                self.set_cell(x, y, "╰" if y > previous_y else "╭", style)
                for mid_y in range(min(y, previous_y) + 1, max(y, previous_y)):
                    self.set_cell(x, mid_y, "│", style)
            previous_y = y

    def draw_braille(self, values: Values, style: str) -> None:
        """Draws a line in braille, two points across and four down per cell; `values` has two per column."""
        masks: dict[tuple[int, int], int] = {}
        previous_y: int | None = None
        for i, value in enumerate(values):
            if value is None:
                previous_y = None
                continue
            y = self.row_of(value, 4)
            low, high = (
                (y, y)
                if previous_y is None
                else (min(y, previous_y + (y > previous_y)), max(y, previous_y - (y < previous_y)))
            )
            for dot in range(low, high + 1):
                cell = (i // 2, dot // 4)
                masks[cell] = masks.get(cell, 0) | _BRAILLE_DOTS[dot % 4][i % 2]
            previous_y = y
        for (x, y), mask in masks.items():
            self.set_cell(x, y, chr(0x2800 + mask), style)

    def rows(self) -> list[Row]:
        return [fit(row, self.width) for row in self._cells]


def nice_number(size: float) -> float:
    """The next larger 1, 2 or 5 times a power of ten.

    >>> nice_number(0.7), nice_number(3.0), nice_number(200.0)
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
    """A bar from the centre: left part, right part, and the style of its sign; `?` for no value."""
    if value is None:
        return "?" * half, "?" * half, "absent"
    cells = 0 if scale <= 0 else min(half, round(abs(value) / scale * half))
    if cells == 0 and value and scale > 0 and abs(value) > 0.1 * scale / half:
        cells = 1
    filled, empty = "█" * cells, "·" * (half - cells)
    return (empty + filled, "·" * half, "neg") if value < 0 else ("·" * half, filled + empty, "pos")


def sparkline(values: Values, width: int) -> str:
    """One row of block characters scaled to the values; a space for no value."""
    known_values = [v for v in values if v is not None]
    if not known_values:
        return " " * width
    low, high = min(known_values), max(known_values)
    blocks = "▁▂▃▄▅▆▇█"
    span = high - low
    tail = list(values)[-width:]
    text = "".join(" " if v is None else blocks[3 if span <= 0 else round((v - low) / span * 7)] for v in tail)
    return text.rjust(width)
