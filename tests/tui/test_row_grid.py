"""RowGrid's strips: exact width, a style on every segment, nothing a terminal would obey. And the palettes."""

from __future__ import annotations

import pytest
from rich.style import Style
from textual.geometry import Size

from dfmon.tui.palette import Appearance, styles
from dfmon.tui.row_grid import RowGrid

from . import factory
from .factory import HOSTILE


class FixedSizeGrid(RowGrid):
    """A grid that is not on any screen."""

    def __init__(self, width: int) -> None:
        super().__init__("sized")
        self._width = width

    @property
    def size(self) -> Size:
        return Size(self._width, 3)


@pytest.mark.parametrize(
    "appearance", [Appearance(), Appearance("mono", colour=False, ascii=True), Appearance("light", true_colour=False)]
)
def test_every_line_is_exactly_as_wide_as_the_grid(appearance: Appearance) -> None:
    for width in range(1, 221):
        grid = FixedSizeGrid(width)
        grid.show_rows(
            [((HOSTILE[:12], "text"), ("▲ ╌│█·" * 9, "heat+3"), ("x", "no such style")), (("short", "dim"),)],
            appearance,
        )
        for y in range(4):
            strip = grid.render_line(y)
            assert strip.cell_length == width
            for text, style, control in strip:
                assert isinstance(style, Style)
                assert control is None
                assert text.isprintable()
                assert not appearance.ascii or text.isascii()


def test_only_changed_rows_are_repainted() -> None:
    grid = FixedSizeGrid(20)
    rows = [(("a", "text"),), (("b", "text"),), (("c", "text"),)]
    assert grid.show_rows(rows) == 3
    assert grid.show_rows(list(rows)) == 0
    assert grid.show_rows([rows[0], (("B", "text"),), rows[2]]) == 1
    assert grid.show_rows(rows[:2]) == 2  # one changed back, one gone


def test_without_colour_no_style_has_any() -> None:
    for style in styles("dark", colour=False).values():
        assert style.color is None
        assert style.bgcolor is None


@pytest.mark.slow
def test_ascii_look_covers_every_glyph_of_the_screen() -> None:
    from .test_render import SIZES, frame, screen, views

    appearance = Appearance(ascii=True)
    for view in views():
        if view.icons != "braille":
            for width, height in SIZES:
                text = appearance.glyphs(screen(frame(factory.snapshot(), view), width, height))
                assert text.isascii(), {c for c in text if not c.isascii()}
