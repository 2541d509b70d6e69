"""DfmonApp: one timer that pulls the hub and draws, and the actions that reach outside.

The market runs on its own thread and is only read here, so a terminal that stops reading stops nothing but this
screen. A frame is skipped while the last one is still leaving.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from textual.app import App, SystemCommand
from textual.screen import Screen

from dfmon.engine.hub import Request, SnapshotHub
from dfmon.model.errors import UsageError
from dfmon.model.snapshot import FlowSnapshot, MetricRow
from dfmon.model.units import DAY, utc
from dfmon.tui import prompt
from dfmon.tui.actions import ACTIONS, BY_ID, Action, works
from dfmon.tui.chart_history import History, Past, read_beside
from dfmon.tui.diff_driver import ThriftyDriver
from dfmon.tui.palette import Look
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.summary import copied
from dfmon.tui.request_actions import WISHES
from dfmon.tui.screens.main import MainScreen
from dfmon.tui.settings import ScreenSettings
from dfmon.tui.shutdown import CLOSED, Exit, signals, terminal_open
from dfmon.tui.view import View, cycle
from dfmon.tui.view_actions import DEEDS

_SAID: Final = {"positions": "positions:", "replay.speed": "replay speed", "replay.seek": "replay to"}
BACKLOG: Final = 2  # frames queued for the terminal above which the next one is skipped


class DfmonApp(App[None]):
    """The terminal monitor. It reads the hub and sends nothing but `Request`s."""

    CSS_PATH = "dfmon.tcss"
    TITLE = "dfmon"
    ENABLE_COMMAND_PALETTE = True

    def __init__(
        self,
        hub: SnapshotHub,
        settings: ScreenSettings,
        request: Callable[[Request], None],
        history: History | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        super().__init__(ansi_color=True, driver_class=ThriftyDriver)
        self.hub, self.settings, self.request, self.history, self.clock = hub, settings, request, history, clock
        first = settings.underlyings[0] if settings.underlyings else "BTC"
        self.view = View(first, settings.first_palette, settings.first_icons, tape_min=settings.tape_min)
        self.colour = not (settings.plain or self.no_color)
        self.animation_level = "none"
        self.leaving = Exit(self._leave)
        self.skipped = self.skipped_ns = 0
        self._past = Past(hub)
        self._held: dict[str, FlowSnapshot] | None = None
        self._held_version = 0
        self._started_ns = clock()
        self._chart_ns = 0
        self._draw_ms = 0.0
        self._main = MainScreen(self.draw, self._typing)

    # -- life

    def get_default_screen(self) -> Screen[Any]:
        return self._main

    def on_mount(self) -> None:
        self.set_interval(self.settings.frame_s, self.draw)
        self.set_interval(2.0, self.check_terminal)
        self.leaving.running(asyncio.get_running_loop())
        self.call_after_refresh(self._ask_history)

    def _leave(self, code: int) -> None:
        self.exit(return_code=code)

    def check_terminal(self) -> None:
        """A closed terminal does not always send SIGHUP; without this its end of file is read for ever."""
        if not self.is_headless and not terminal_open():
            self.leaving.guard(CLOSED)
            self._leave(CLOSED)

    def _ask_history(self) -> None:
        if self.history is not None and self.hub.mode != "replay":
            start_ns = self.clock() - 8 * DAY
            read_beside(self.history, self.settings.underlyings, start_ns, self._seed, self._complain)

    def _seed(self, name: str, rows: Sequence[MetricRow]) -> None:
        self._past.seed(name, rows)
        self.draw()

    def _complain(self, told: str) -> None:
        self.view.say(told, self.clock())

    def on_resize(self) -> None:
        """A terminal moves its text about when its size changes."""
        self._forget()

    def _forget(self) -> None:
        if isinstance(self._driver, ThriftyDriver):
            self._driver.thrift.forget()

    # -- drawing

    def draw(self) -> None:
        """Pull the hub and repaint what changed."""
        if not self._main.is_attached or not self.is_running:
            return
        if writer_backlog(self) > BACKLOG:
            self.skipped += 1
            self.skipped_ns = self.clock()
            return
        self._past.collect()
        begun = self.clock()
        late = begun - self._chart_ns >= self.settings.chart_s * 1e9
        skip = frozenset[str]() if late else frozenset({"chart"})
        if late:
            self._chart_ns = begun
        look = Look(self.view.palette, self.colour, self.view.icons == "ascii")
        with self.batch_update():
            frame = self.frame()
            if self.view.prompt:
                frame = dataclasses.replace(frame, allowed=prompt.allowed(frame))
            self._main.draw(frame, look, skip=skip)
        self._draw_ms += 0.2 * ((self.clock() - begun) / 1e6 - self._draw_ms)

    def frame(self) -> Frame:
        """Everything the next frame is drawn from."""
        name, now = self.view.underlying, self.clock()
        newest = self.hub.latest(name)
        return Frame(
            now_ns=now,
            mode=self.hub.mode,
            view=self.view,
            snapshot=newest if self._held is None else self._held.get(name, newest),
            newest=newest,
            rows=self._past.rows(name),
            runtime=self.hub.runtime,
            rate_hz=1 / self.settings.frame_s,
            waited_s=(now - self._started_ns) / 1e9,
            paused=self._held is not None,
            hidden=0 if self._held is None else self.hub.version - self._held_version,
            skipped=self.skipped,
            skipped_ns=self.skipped_ns,
            draw_ms=self._draw_ms,
            faults=tuple(f"{panel}: {fault}" for panel, fault in self._main.faults.items()),
        )

    # -- actions

    def action_do(self, name: str) -> None:
        """Run an action of the table by its id."""
        if name not in BY_ID or not works(BY_ID[name], self.hub.mode, self.view.sheet):
            return
        if (deed := DEEDS.get(name)) is not None:
            deed(self.view, self.frame())
        elif (wish := WISHES.get(name)) is not None:
            self._ask(wish(self.frame()))
        else:
            outside = getattr(self, "do_" + name.replace(".", "_"))
            outside()
        self._chart_ns = 0
        self.draw()

    def _typing(self, key: str, character: str | None) -> bool:
        """Offer a key to the prompt; False where none is open."""
        if not self.view.prompt:
            return False
        self.typed(key, character)
        return True

    def typed(self, key: str, character: str | None) -> None:
        """A key while the prompt is open; what it asks for is done on enter, or refused in its own line."""
        frame = self.frame()
        if prompt.press(self.view, frame, key, character) == "entered":
            try:
                wanted = prompt.enter(self.view, frame)
            except UsageError as error:
                self.view.wrong = str(error)
            else:
                prompt.close(self.view)
                if isinstance(wanted, Action):
                    self.action_do(wanted.id)
                elif wanted is not None:
                    self._ask(wanted)
        self.draw()

    def _ask(self, wanted: Request) -> None:
        """Send a wish, and say that it was sent: the answer comes with the next snapshot."""
        self.request(wanted)
        if wanted.kind == "replay.seek" and wanted.value[:1] in ("+", "-"):
            self.view.say(f"replay by {wanted.value} s", self.clock())
        elif text := _SAID.get(wanted.kind):
            self.view.say(f"{text} {wanted.value}", self.clock())

    def do_app_quit(self) -> None:
        self.exit(return_code=0)

    def do_app_interrupt(self) -> None:
        self.exit(return_code=130)

    def do_app_palette(self) -> None:
        self.action_command_palette()

    def do_app_redraw(self) -> None:
        """Another program wrote over the screen: send every cell again."""
        self._forget()
        self._main.refresh(layout=True)
        self.view.say("drawn anew", self.clock(), 1)

    def do_app_pause(self) -> None:
        """Freeze the drawing; a replay is itself paused."""
        if self.hub.mode == "replay":
            self.request(Request("replay.pause"))
        elif self._held is not None:
            self._held = None
        else:
            names = self.hub.underlyings()
            self._held = {n: s for n in names if (s := self.hub.latest(n)) is not None}
            self._held_version = self.hub.version

    def do_app_currency(self) -> None:
        names = tuple(dict.fromkeys((*self.settings.underlyings, *self.hub.underlyings())))
        self.view.underlying = cycle(names, self.view.underlying)
        self.view.strike, self.view.expiry, self.view.scroll = None, 0, 0
        if len(names) < 2:
            self.view.say(f"only {self.view.underlying} is followed", self.clock())

    def do_app_snapshot(self) -> None:
        """Save what is on screen as SVG and text into the current directory."""
        path = Path.cwd() / f"dfmon-{utc(self.clock()):%Y%m%dT%H%M%SZ}"
        try:
            path.with_suffix(".svg").write_text(self.export_screenshot(title="dfmon"), encoding="utf-8")
            path.with_suffix(".txt").write_text(self.screen_text(), encoding="utf-8")
        except OSError as error:
            self.view.say(f"not saved: {error.strerror or error}", self.clock(), 8)
        else:
            self.view.say(f"saved {path}.svg and .txt", self.clock(), 8)

    def screen_text(self) -> str:
        """The screen as plain text."""
        return "\n".join(self._main.lines()) + "\n"

    def do_cell_copy(self) -> None:
        text = copied(self.frame())
        self.copy_to_clipboard(text)
        self.view.say(f"copied: {text}", self.clock())

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """The palette offers the table, and only what means something now."""
        for action in ACTIONS:
            if action.id != "app.palette" and works(action, self.hub.mode, self.view.sheet):
                run = functools.partial(self.action_do, action.id)
                yield SystemCommand(action.text, f"key {action.shown}", run)


def writer_backlog(app: App[Any]) -> int:
    """Frames queued for the terminal. Private names of the pinned Textual: one place, one test."""
    thread = getattr(app._driver, "_writer_thread", None)  # noqa: SLF001
    return 0 if thread is None else int(thread._queue.qsize())  # noqa: SLF001


def run_screen(app: DfmonApp) -> int:
    """Run to the end and return the exit code: 0 after q, 128+n after signal n or a closed terminal."""
    with signals(app.leaving):
        try:
            app.run(mouse=app.settings.mouse)
        except SystemExit as ended:
            return int(ended.code or 0)
    return app.return_code or 0
