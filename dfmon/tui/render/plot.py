"""A canvas of cells with lines in box-drawing characters or braille dots, bars and sparklines.

A gap in the data stays a gap: two values are joined only where their columns are neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence

from dfmon.tui.render.formatting import Row, Run, fit

Values = Sequence[float | None]
_BRAILLE_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))


class Canvas:
    """Cells of (character, style); row 0 is the top, at `hi`."""

    def __init__(self, width: int, height: int, lo: float, hi: float) -> None:
        self.width, self.height, self.lo, self.hi = width, height, lo, hi
        self._cells: list[list[Run]] = [[(" ", "text")] * width for _ in range(height)]
        self._fields: list[list[str]] = [[""] * width for _ in range(height)]

    def row_of(self, value: float, steps: int = 1) -> int:
        """The row of a value, in units of 1/`steps` of a cell, clipped to the edges."""
        last = self.height * steps - 1
        share = (self.hi - value) / (self.hi - self.lo) if self.hi > self.lo else 0.5
        return min(last, max(0, round(share * last)))

    def value_of(self, y: int) -> float:
        """The value at the middle of a row."""
        return self.hi - (self.hi - self.lo) * y / max(1, self.height - 1)

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

    def set_field(self, x: int, y: int, field: str) -> None:
        """Sets the background of a cell, a suffix of the names of styles."""
        self._fields[y][x] = field

    def rows(self) -> list[Row]:
        return [
            fit(((char, style + field) for (char, style), field in zip(cells, fields, strict=True)), self.width)
            for cells, fields in zip(self._cells, self._fields, strict=True)
        ]


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


def bar_runs(
    value: float | None,
    scale: float,
    half: int,
    styles: tuple[str, str],
    band: tuple[float | None, float | None] = (None, None),
) -> list[Run]:
    """A bar of 2 `half` + 1 cells from its centre, with the band dashed beyond it; `?` for no value.

    `styles` are those of a negative and of a positive value. To the right the bar ends in eighths of a cell.
    """
    if value is None:
        return [("?" * half, "absent"), ("│", "axis"), ("?" * half, "absent")]
    unit = half / scale if scale > 0 else 0.0
    bounds = [bound * unit for bound in band if bound is not None]
    low, high = sorted(bounds) if len(bounds) == 2 else (0.0, 0.0)
    left = [_bar_cell(-value * unit, i, -high, -low, "▐", styles[0]) for i in range(half)]
    right = [_bar_cell(value * unit, i, low, high, "▏▎▍▌▋▊▉", styles[1]) for i in range(half)]
    return list(fit((*reversed(left), ("│", "axis"), *right), 2 * half + 1))


def _bar_cell(length: float, i: int, low: float, high: float, parts: str, style: str) -> Run:
    """Cell `i` from the centre outward; `low` to `high` is the band, in cells like `length`."""
    share = length - i
    if share >= 0.9375:
        return "█", style
    step = round(share * (len(parts) + 1)) if share > 0 else 0
    if step == 0 and i == 0 and length > 0.02:
        step = 1
    if step:
        return parts[min(step, len(parts)) - 1], style
    if low < i + 0.5 < high:
        return "╌", "dim"
    return "·", "faint"


def sparkline(values: Values, width: int, rows: int = 1) -> list[str]:
    """Rows of block characters, the upper one first, scaled to the values; a space for no value."""
    known_values = [v for v in values if v is not None]
    low, high = min(known_values, default=0.0), max(known_values, default=0.0)
    blocks = " ▁▂▃▄▅▆▇█"
    out = [""] * rows
    for v in list(values)[-width:]:
        eighths = 0 if v is None else 4 * rows if high <= low else 1 + round((v - low) / (high - low) * (8 * rows - 1))
        for row in range(rows):
            out[row] += blocks[min(8, max(0, eighths - 8 * (rows - 1 - row)))]
    return [text.rjust(width) for text in out]
