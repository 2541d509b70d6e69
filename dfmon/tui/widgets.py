"""RowGrid: draws rows of (text, style name) runs and repaints only the rows that changed.

Textual has no cell diff; repainting by row costs a fortieth of a table widget's bytes. This is the one place where
runs become segments, so it is here that every text is made safe and every segment gets a style.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from dfmon.model.units import clean
from dfmon.tui.palette import Look
from dfmon.tui.render.text import Row

_LONGEST = 2000  # cells of one run; wider than any terminal


class RowGrid(Widget):
    """One panel of the screen. It formats nothing: rows come ready from `present`."""

    def __init__(self, name: str) -> None:
        super().__init__(id=name)
        self.look = Look()
        self._rows: list[Row] = []
        self._strips: dict[int, Strip] = {}

    def show(self, rows: Sequence[Row], look: Look | None = None) -> int:
        """Take the new rows and repaint those that differ; the number of them."""
        if look is not None and look != self.look:
            self.look, self._rows = look, []
            self._strips.clear()
        old = self._rows
        changed = [y for y, row in enumerate(rows) if y >= len(old) or row != old[y]]
        changed += range(len(rows), len(old))
        self._rows = list(rows)
        for y in changed:
            self._strips.pop(y, None)
        if changed:
            self.refresh(*(Region(0, y, self.size.width, 1) for y in changed))
        return len(changed)

    def render_line(self, y: int) -> Strip:
        width, ground = self.size.width, self.look.style("text")
        if y >= len(self._rows):
            return Strip.blank(width, ground)
        strip = self._strips.get(y)
        if strip is None:
            strip = self._strips[y] = Strip([self._segment(text, name) for text, name in self._rows[y]])
        return strip.adjust_cell_length(width, ground)

    def _segment(self, text: str, name: str) -> Segment:
        style: Style = self.look.style(name)
        return Segment(self.look.glyphs(clean(text, _LONGEST)), style)
