"""A widget that draws rows of (text, style name) runs and repaints only the rows that changed.

Repainting by row costs a fortieth of a table widget's bytes. This is the one place where runs become segments, so every
text is sanitized here and every segment gets its style here.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from dfmon.model.units import sanitize
from dfmon.tui.palette import Appearance
from dfmon.tui.render.formatting import Row, link_at

_MAX_RUN_CELLS = 2000  # cells of one run; wider than any terminal


class RowGrid(Widget):
    """One panel of the screen. It formats nothing: rows come ready from `render`."""

    def __init__(self, name: str) -> None:
        super().__init__(id=name)
        self.appearance = Appearance()
        self._rows: list[Row] = []
        self._strips: dict[int, Strip] = {}

    def show_rows(self, rows: Sequence[Row], appearance: Appearance | None = None) -> int:
        """Repaints the rows that differ and returns their number."""
        if appearance is not None and appearance != self.appearance:
            self.appearance, self._rows = appearance, []
            self._strips.clear()
        previous_rows = self._rows
        changed = [y for y, row in enumerate(rows) if y >= len(previous_rows) or row != previous_rows[y]]
        changed += range(len(rows), len(previous_rows))
        self._rows = list(rows)
        for y in changed:
            self._strips.pop(y, None)
        if changed:
            self.refresh(*(Region(0, y, self.size.width, 1) for y in changed))
        return len(changed)

    def link_at(self, x: int, y: int) -> str:
        """The command of a click on a cell; "" for none."""
        return link_at(self._rows[y], x) if 0 <= y < len(self._rows) else ""

    def render_line(self, y: int) -> Strip:
        width, background = self.size.width, self.appearance.style("text")
        if y >= len(self._rows):
            return Strip.blank(width, background)
        strip = self._strips.get(y)
        if strip is None:
            strip = self._strips[y] = Strip([self._segment(text, name) for text, name in self._rows[y]])
        return strip.adjust_cell_length(width, background)

    def _segment(self, text: str, name: str) -> Segment:
        style: Style = self.appearance.style(name)
        return Segment(self.appearance.glyphs(sanitize(text, _MAX_RUN_CELLS)), style)
