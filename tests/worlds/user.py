"""A user of the screen: presses keys of all kinds and sees every panel. The app is the real one, without a terminal."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Final

from rich.cells import cell_len

from dfmon.tui.app import DfmonApp
from dfmon.tui.computation import compute
from dfmon.tui.layout import layout
from dfmon.tui.settings import ICONS, PALETTES, ScreenSettings
from dfmon.tui.sheets import front_sheet, keymap_of
from tests.worlds import invariants
from tests.worlds.session import SessionRun

if TYPE_CHECKING:
    from tests.worlds.world import World

_OF_THE_TERMINAL: Final = frozenset(
    f"app.{name}" for name in ("quit", "interrupt", "suspend", "palette", "redraw", "snapshot")
) | {"cell.copy"}
_SIZES: Final = ((80, 24), (120, 40), (160, 50), (60, 18), (20, 5))
_TEXTS: Final = (":positions naive\r", ":positions nothing\r", "/call strike>90k\r", ":xyz\r", "/\x15", "@12:00\r")
_NAMES: Final = {"\r": "enter", "\x15": "ctrl+u"}


class App(DfmonApp):
    """The app without the actions that reach for a terminal or a file."""

    def action_do(self, name: str) -> None:
        if name not in _OF_THE_TERMINAL:
            super().action_do(name)


class User:
    """One user before the screen of one run."""

    def __init__(self, world: World, run: SessionRun, rng: random.Random) -> None:
        settings = ScreenSettings(("BTC",), palette=rng.choice(PALETTES), icons=rng.choice(ICONS), forced_icons=True)
        self._world, self._rng = world, rng
        self._app = App(run.hub, settings, run.session.submit, clock=world.wall_ns)

    def act(self) -> None:
        """Presses some keys, waits for what is computed, and looks."""
        app, rng = self._app, self._rng
        app.view.size = rng.choice(_SIZES) if rng.random() < 0.1 else app.view.size
        if rng.random() < 0.2:
            for character in rng.choice(_TEXTS):
                app._handle_key(_NAMES.get(character, character), character)
        keys = [*keymap_of(app.view).by_key, "x", "9"]
        for _ in range(rng.randint(1, 3)):
            key = rng.choice(keys)
            app._handle_key(key, key if len(key) == 1 else None)
        for work in front_sheet(app.view).work(app.frame())[:1]:
            app.view.computed[work.name] = compute(work)
        self._look()

    def _look(self) -> None:
        app, world, frame = self._app, self._world, self._app.frame()
        view, detail = frame.view, frame.detail
        panels = layout(
            *view.size, panel=view.panel, zoom=view.zoom, sheet=view.sheet,
            expiries=len(detail.heatmap.expiries) if detail else 8,
        )  # fmt: skip
        for name, rect in panels.items():
            for row in app._main._panel_rows(name, frame, rect):
                text = "".join(run[0] for run in row)
                invariants.check_text(world, text, "the screen")
                if cell_len(text) > rect.width:
                    world.fail(f"a row of {name} has {cell_len(text)} cells of {rect.width}")
        for name, fault in app._main.faults.items():
            world.fail(f"the panel {name}: {fault}")
        world.coverage.transitions[f"screen: {front_sheet(view).name}"] += 1


async def use_screen(world: World, rng: random.Random) -> None:
    """Uses the screen of whatever run there is, until it is cancelled."""
    user, run = None, None
    while True:
        await asyncio.sleep(rng.uniform(0.3, 3.0))
        if world.run is not run:
            user, run = None, world.run
        if run.process.alive and hasattr(run, "session") and not run.task.done():
            user = user or User(world, run, rng)
            world.count_effect()
            user.act()
