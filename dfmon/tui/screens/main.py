"""The one screen: a grid for every panel, placed by `layout`. Help, feeds and zoom are other layouts of it.

One screen instead of a stack: strip and state line stay live around a sheet, and opening one repaints only the cells
that change.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from textual.app import ComposeResult
from textual.events import Click, Key, MouseScrollDown, MouseScrollUp, Paste, Resize
from textual.screen import Screen

from dfmon.tui.layout import Layout, layout
from dfmon.tui.mouse import MousePlace
from dfmon.tui.palette import Appearance
from dfmon.tui.render.box import Rect
from dfmon.tui.render.context_strip import context_strip
from dfmon.tui.render.formatting import Row, fit
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.headline import headline
from dfmon.tui.render.small_screen import small_screen
from dfmon.tui.render.status_line import footer_line, status_line
from dfmon.tui.row_grid import RowGrid
from dfmon.tui.sheets import SPECS_BY_NAME, Renderer

RENDERERS: Final[dict[str, Renderer]] = {
    "headline": lambda frame, rect: headline(frame, rect.width),
    "context": lambda frame, rect: context_strip(frame, rect.width),
    **{name: spec.draw for name, spec in SPECS_BY_NAME.items()},
    "state": lambda frame, rect: status_line(frame, rect.width),
    "keys": lambda frame, rect: footer_line(frame, rect.width),
    "small": lambda frame, rect: small_screen(frame, rect.width, rect.height),
}


class MainScreen(Screen[None], inherit_bindings=False):
    """The grids. `render` decides their content, `layout` their places."""

    AUTO_FOCUS = None
    ALLOW_SELECT = False  # a click is an action; shift leaves the selection to the terminal

    def __init__(
        self,
        redraw: Callable[[], None],
        handle_key: Callable[[str, str | None], bool],
        handle_paste: Callable[[str], None],
        handle_click: Callable[[MousePlace, bool, bool], None],
        handle_wheel: Callable[[MousePlace, int], None],
    ) -> None:
        super().__init__()
        self._redraw, self._handle_key, self._handle_paste = redraw, handle_key, handle_paste
        self._handle_click, self._handle_wheel = handle_click, handle_wheel
        self._panel_layout: Layout = {}
        self.grids = {name: RowGrid(name) for name in RENDERERS}
        self.faults: dict[str, str] = {}

    def compose(self) -> ComposeResult:
        yield from self.grids.values()

    def on_resize(self, event: Resize) -> None:
        self._redraw()

    def on_key(self, event: Key) -> None:
        """Handles the key before the next one is read: Textual would run a binding only after a whole burst of keys."""
        if self._handle_key(event.key, event.character):
            event.stop()
            event.prevent_default()

    def on_paste(self, event: Paste) -> None:
        self._handle_paste(event.text)
        event.stop()

    def on_click(self, event: Click) -> None:
        place = self._place_at(event.screen_x, event.screen_y)
        self._handle_click(place, event.button != 1, event.chain == 2)
        event.stop()

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        self._handle_wheel(self._place_at(event.screen_x, event.screen_y), 1)
        event.stop()

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        self._handle_wheel(self._place_at(event.screen_x, event.screen_y), -1)
        event.stop()

    def _place_at(self, x: int, y: int) -> MousePlace:
        for name, rect in self._panel_layout.items():
            if rect.x <= x < rect.x + rect.width and rect.y <= y < rect.y + rect.height:
                return MousePlace(name, self.grids[name].link_at(x - rect.x, y - rect.y))
        return MousePlace("")

    def draw(self, frame: Frame, appearance: Appearance, *, skip: frozenset[str] = frozenset()) -> int:
        """Places and fills the panels; returns the number of rows that changed."""
        view, snapshot_detail = frame.view, frame.detail
        view.size = self.size.width, self.size.height
        expiries = len(snapshot_detail.heatmap.expiries) if snapshot_detail else 8
        new_layout = layout(
            self.size.width, self.size.height, panel=view.panel, zoom=view.zoom, sheet=view.sheet, expiries=expiries
        )
        layout_changed = new_layout != self._panel_layout
        if layout_changed:
            self._place_panels(new_layout)
        changed = 0
        for name, rect in new_layout.items():
            if layout_changed or name not in skip:
                changed += self.grids[name].show_rows(self._panel_rows(name, frame, rect), appearance)
        return changed

    def text_lines(self) -> list[str]:
        """The screen as plain text."""
        return [strip.text.rstrip() for strip in self._compositor.render_strips()]

    def _panel_rows(self, name: str, frame: Frame, rect: Rect) -> list[Row]:
        """The rows of a panel; one that fails shows a message in its place and leaves the others running."""
        try:
            return RENDERERS[name](frame, rect)
        except Exception as error:
            self.faults[name] = f"{type(error).__name__}: {error}"
            self.log.error(f"panel {name}: {self.faults[name]}")
            return [fit(((f" {name} failed, see feeds (f)", "bad"),), rect.width)]

    def _place_panels(self, new_layout: Layout) -> None:
        for name, grid in self.grids.items():
            rect = new_layout.get(name)
            old_rect = self._panel_layout.get(name)
            if rect is None:
                grid.display = False
            elif rect != old_rect:
                grid.display = True
                grid.styles.offset = (rect.x, rect.y)
                grid.styles.width, grid.styles.height = rect.width, rect.height
        self._panel_layout = new_layout
