"""The Textual app: one timer that reads the hub and draws, and the actions that reach outside the view.

The market runs on its own thread and is only read here, so a terminal that stops reading blocks nothing but this
screen. A frame is skipped while the last one is still being written.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from textual.app import App, SystemCommand
from textual.screen import Screen

from dfmon.engine.hub import Request, SnapshotHub
from dfmon.model.errors import UsageError
from dfmon.model.locator import Locator, parse_locator
from dfmon.model.snapshot import FlowSnapshot, MetricRow
from dfmon.model.units import DAY
from dfmon.tui import prompt
from dfmon.tui.actions import Action, is_available
from dfmon.tui.app_actions import APP_ACTIONS, write_output
from dfmon.tui.chart_history import ChartHistory, HistoryReader, load_in_thread
from dfmon.tui.commands import CommandResult
from dfmon.tui.computation import Computed, SheetWorker
from dfmon.tui.cursor import DIGITS, add_digit, takes_counts
from dfmon.tui.diff_driver import DiffingDriver
from dfmon.tui.heatmap_slices import HeatmapSlices
from dfmon.tui.locator_opening import show_locator
from dfmon.tui.mouse import MousePlace, click, turn_wheel
from dfmon.tui.palette import Appearance
from dfmon.tui.render.frame import Frame, snapshot_at
from dfmon.tui.request_actions import REQUEST_ACTIONS
from dfmon.tui.rule_notices import RuleNotices
from dfmon.tui.screens.main import MainScreen
from dfmon.tui.settings import ScreenSettings, SettingsChange
from dfmon.tui.sheets import ACTIONS_BY_ID, front_sheet, keymap_of
from dfmon.tui.shutdown import TERMINAL_CLOSED_CODE, GracefulExit, handle_signals, is_terminal_open
from dfmon.tui.terminal import in_browser, shows_true_colour, shows_unicode
from dfmon.tui.view import View
from dfmon.tui.view_actions import VIEW_ACTIONS
from dfmon.tui.view_output import ScreenOutput

_REQUEST_NOTICES: Final = {
    "positions": "publishing positions",
    "replay.speed": "replay speed",
    "replay.seek": "replay to",
}
MAX_WRITER_BACKLOG: Final = 2  # frames queued for the terminal above which the next one is skipped


class DfmonApp(App[None]):
    """The terminal monitor. It reads the hub and sends only `Request`s."""

    CSS_PATH = "dfmon.tcss"
    TITLE = "dfmon"
    ENABLE_COMMAND_PALETTE = True

    def __init__(
        self,
        hub: SnapshotHub,
        settings: ScreenSettings,
        send_request: Callable[[Request], None],
        history: HistoryReader | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        super().__init__(ansi_color=True, driver_class=None if in_browser() else DiffingDriver)
        self.hub, self.settings, self.send_request, self.history, self.clock = (
            hub,
            settings,
            send_request,
            history,
            clock,
        )
        first_underlying = settings.underlyings[0] if settings.underlyings else "BTC"
        self.view = View(
            first_underlying,
            settings.initial_palette,
            settings.initial_icons,
            tape_min=settings.tape_min,
            book_file=settings.book_file,
            clock_speed=settings.clock_speed,
            keys=settings.keys,
        )
        self.colour = not (settings.plain or self.no_color)
        self.draws_unicode = settings.forced_icons or shows_unicode()
        self.true_colour = shows_true_colour()
        self.animation_level = "none"
        self.graceful_exit = GracefulExit(self._exit_with_code)
        self.skipped_frames = self.last_skip_ns = 0
        self._worker = SheetWorker(self._show_result)
        self._slices = HeatmapSlices()
        self._notices = RuleNotices()
        self._chart_history = ChartHistory(hub, settings.published_model)
        self._paused_snapshots: dict[str, FlowSnapshot] | None = None
        self._paused_version = 0
        self.poll_config: Callable[[], SettingsChange | None] | None = None
        self._first_locator = parse_locator(settings.locator) if settings.locator else None
        self._started_ns = clock()
        self._chart_ns = 0
        self._draw_ms = 0.0
        self._main = MainScreen(self.draw, self._handle_key, self._handle_paste, self._handle_click, self._handle_wheel)

    # -- start and exit

    def get_default_screen(self) -> Screen[Any]:
        return self._main

    def on_mount(self) -> None:
        self._draw_timer = self.set_interval(self.settings.frame_interval_s, self.draw)
        self.set_interval(2.0, self.exit_if_terminal_closed)
        self.set_interval(1.0, self.reread_config)
        self.app_resume_signal.subscribe(self, lambda _: self.redraw_terminal())
        self.graceful_exit.attach_loop(asyncio.get_running_loop())
        self.call_after_refresh(self._load_history)

    def _exit_with_code(self, code: int) -> None:
        self.exit(return_code=code)

    def exit_if_terminal_closed(self) -> None:
        """Exits once the terminal is closed: some send no SIGHUP, and Textual would read end of file for ever."""
        if isinstance(self._driver, DiffingDriver) and not is_terminal_open():
            self.graceful_exit.force_exit_later(TERMINAL_CLOSED_CODE)
            self._exit_with_code(TERMINAL_CLOSED_CODE)

    def reread_config(self) -> None:
        """Takes over an edited configuration; a broken one is named until it is mended."""
        change = self.poll_config() if self.poll_config is not None else None
        if change is None:
            return
        self.view.config_error = change.error
        if change.settings is not None:
            self._take_over(change.settings, change.in_force)
        self.view.show_notice(f"config: {change}", self.clock(), 12)
        self._chart_ns = 0
        self.draw()

    def _take_over(self, settings: ScreenSettings, keys: Sequence[str]) -> None:
        """The changed settings alone: what the user chose by keys stays."""
        view, self.settings = self.view, settings
        view.palette = settings.initial_palette if "screen.palette" in keys else view.palette
        view.icons = settings.initial_icons if "screen.icons" in keys else view.icons
        view.tape_min = settings.tape_min if "screen.tape_min" in keys else view.tape_min
        view.keys = settings.keys
        if "screen.rate_hz" in keys:
            self._draw_timer.stop()
            self._draw_timer = self.set_interval(settings.frame_interval_s, self.draw)
        if "screen.mouse" in keys and isinstance(self._driver, DiffingDriver):
            self._driver.switch_mouse(on=settings.mouse)

    def _load_history(self) -> None:
        if self.history is not None and self.hub.mode != "replay":
            start_ns = self.clock() - 8 * DAY
            load_in_thread(
                self.history, self.settings.underlyings, start_ns, self._seed_history, self._show_history_error
            )

    def _seed_history(self, name: str, rows: Sequence[MetricRow]) -> None:
        self._chart_history.seed(name, rows)
        self.draw()

    def _show_history_error(self, message: str) -> None:
        self.view.show_notice(message, self.clock())

    def on_resize(self) -> None:
        """Forgets the cells on the terminal, which reflows its text when its size changes."""
        self._invalidate_terminal()

    def _invalidate_terminal(self) -> None:
        if isinstance(self._driver, DiffingDriver):
            self._driver.diff.invalidate()

    # -- drawing

    def draw(self) -> None:
        """Reads the hub and repaints what changed."""
        if not self._main.is_attached or not self.is_running:
            return
        if writer_backlog(self) > MAX_WRITER_BACKLOG:
            self.skipped_frames += 1
            self.last_skip_ns = self.clock()
            return
        self._chart_history.drain_pending()
        self._notices.show(self.hub, self.view, self.settings.alert_deliveries, self.clock(), self.bell, self._driver)
        draw_start_ns = self.clock()
        redraw_chart = (
            draw_start_ns - self._chart_ns >= self.settings.chart_interval_s * self.settings.clock_speed * 1e9
        )
        skip = frozenset[str]() if redraw_chart else frozenset({"chart"})
        if redraw_chart:
            self._chart_ns = draw_start_ns
        appearance = Appearance(self.view.palette, self.colour, self.view.icons == "ascii", self.true_colour)
        with self.batch_update():
            frame = self.frame()
            if self._first_locator is not None and frame.snapshot is not None:
                self._open_first(self._first_locator)
                frame = self.frame()
            self._start_work(frame)
            if self.view.prompt:
                frame = dataclasses.replace(frame, prompt_hint=prompt.prompt_hint(frame))
            self._main.draw(frame, appearance, skip=skip)
        self._draw_ms += 0.2 * ((self.clock() - draw_start_ns) / 1e6 / self.settings.clock_speed - self._draw_ms)

    def _open_first(self, locator: Locator) -> None:
        """Opens the locator of the command line, once its coin has a snapshot."""
        if self.hub.latest(locator.coin) is None and locator.coin in self.settings.underlyings:
            return
        self._first_locator = None
        try:
            self._open(locator)
        except UsageError as error:
            self.view.show_notice(str(error), self.clock(), 12)

    def _start_work(self, frame: Frame) -> None:
        """Starts the first work of the open sheet whose result is missing, else of something else."""
        for work in sorted(front_sheet(self.view).work(frame), key=lambda work: work.name in self.view.computed):
            last = self.view.computed.get(work.name)
            if last is None or last.key != work.key:
                self._worker.start(work)
                return

    def _show_result(self, name: str, result: Computed) -> None:
        self.view.computed[name] = result
        self.draw()

    def frame(self) -> Frame:
        """The input of the next frame."""
        name, now = self.view.underlying, self.clock()
        latest_snapshot, others = self._latest(name, now), (n for n in self.hub.underlyings() if n != name)
        if self._paused_snapshots is None:
            snapshot = self._latest(name, now, self.view.model)
        else:
            snapshot = self._paused_snapshots.get(name, latest_snapshot)
            snapshot = snapshot.view(self.view.model) if snapshot is not None and self.view.model else snapshot
        return Frame(
            now_ns=now,
            mode=self.hub.mode,
            view=self.view,
            snapshot=snapshot,
            latest_snapshot=latest_snapshot,
            others=tuple(s for n in others if (s := self._latest(n, now)) is not None),
            rows=() if snapshot is None else self._chart_history.rows(name, snapshot.positions.model),
            slices=self._slices.push(snapshot),
            runtime=self.hub.runtime,
            rate_hz=1 / self.settings.frame_interval_s,
            waited_s=(now - self._started_ns) / 1e9 / self.settings.clock_speed,
            clock_speed=self.settings.clock_speed,
            paused=self._paused_snapshots is not None,
            hidden_snapshots=0 if self._paused_snapshots is None else self.hub.version - self._paused_version,
            skipped_frames=self.skipped_frames,
            last_skip_ns=self.last_skip_ns,
            draw_ms=self._draw_ms,
            faults=tuple(f"{panel}: {fault}" for panel, fault in self._main.faults.items()),
        )

    def _latest(self, underlying: str, now_ns: int, model: str = "") -> FlowSnapshot | None:
        """The newest snapshot as it is now, under a position model."""
        snapshot = self.hub.latest(underlying)
        if snapshot is None:
            return None
        snapshot = snapshot.view(model) if model else snapshot
        age_s = (now_ns - snapshot.ts_ns) / 1e9 / self.settings.clock_speed
        return snapshot if self.hub.mode == "replay" else snapshot_at(snapshot, age_s, self.hub.runtime.interval_s)

    # -- actions

    def action_do(self, name: str) -> None:
        """Runs an action by its id."""
        if name not in ACTIONS_BY_ID or not is_available(ACTIONS_BY_ID[name], self.hub.mode, self.view.sheet):
            return
        if (view_action := VIEW_ACTIONS.get(name)) is not None:
            view_action(self.view, self.frame())
        elif (submit := REQUEST_ACTIONS.get(name)) is not None:
            self.submit(submit(self.frame()))
        else:
            APP_ACTIONS[name](self)
        self._chart_ns = 0
        self.draw()

    def _handle_key(self, key: str, character: str | None) -> bool:
        """Passes a key but ctrl+c and ctrl+z to the open prompt, or runs its action; False where it has none."""
        if self.view.prompt and key not in ("ctrl+c", "ctrl+z"):
            self.handle_prompt_key(key, character)
            return True
        if character is not None and character in DIGITS and takes_counts(self.view):
            add_digit(self.view, character)
            self.draw()
            return True
        if (action := keymap_of(self.view).find(key, character)) is None:
            return False
        self.action_do(action.id)
        self.view.count = ""
        return True

    def _handle_click(self, place: MousePlace, right: bool, double: bool) -> None:
        try:
            self._carry_out(click(self.view, self.frame(), place, right=right, double=double))
        except UsageError as error:
            self.view.show_notice(str(error), self.clock())
        self._chart_ns = 0
        self.draw()

    def _handle_wheel(self, place: MousePlace, step: int) -> None:
        turn_wheel(self.view, self.frame(), place, step)
        self._chart_ns = 0
        self.draw()

    def _handle_paste(self, text: str) -> None:
        """Puts pasted text into the open prompt; without one it is dropped, as its letters would be keys."""
        if self.view.prompt:
            prompt.paste(self.view, text)
            self.draw()

    def handle_prompt_key(self, key: str, character: str | None) -> None:
        """Handles a key while the prompt is open; enter carries the text out, or shows the error beside it."""
        frame = self.frame()
        if prompt.handle_key(self.view, frame, key, character) == "entered":
            try:
                result = prompt.evaluate(self.view, frame)
            except UsageError as error:
                self.view.prompt_error = str(error)
            else:
                prompt.keep_text(self.view)
                prompt.close_prompt(self.view)
                try:
                    self._carry_out(result)
                except UsageError as error:
                    self.view.show_notice(str(error), self.clock(), 8)
        self.draw()

    def _carry_out(self, result: CommandResult) -> None:
        """Carries out what a command asks of the app. Raises UsageError."""
        if isinstance(result, Action):
            self.action_do(result.id)
        elif isinstance(result, Locator):
            self._open(result)
        elif isinstance(result, ScreenOutput):
            write_output(result, self)
        elif result is not None:
            self.submit(result)

    def _open(self, locator: Locator) -> None:
        for request in show_locator(locator, self.view, self.frame):
            self.submit(request)

    def submit(self, market_request: Request) -> None:
        """Sends a request and shows a notice; its effect comes with a later snapshot."""
        self.send_request(market_request)
        if market_request.kind == "replay.seek" and market_request.value[:1] in ("+", "-"):
            self.view.show_notice(f"replay by {market_request.value} s", self.clock())
        elif text := _REQUEST_NOTICES.get(market_request.kind):
            self.view.show_notice(f"{text} {market_request.value}", self.clock())

    def redraw_terminal(self) -> None:
        """Sends every cell again, after another program wrote to the terminal."""
        self._invalidate_terminal()
        self._main.refresh(layout=True)
        self.view.show_notice("redrawn", self.clock(), 1)

    def toggle_pause(self) -> None:
        """Freezes the panels; a replay itself is paused."""
        if self.hub.mode == "replay":
            self.send_request(Request("replay.pause"))
        elif self._paused_snapshots is not None:
            self._paused_snapshots = None
        else:
            names = self.hub.underlyings()
            self._paused_snapshots = {n: s for n in names if (s := self.hub.latest(n)) is not None}
            self._paused_version = self.hub.version

    def screen_text(self) -> str:
        """The screen as plain text."""
        return "\n".join(self._main.text_lines()) + "\n"

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """The actions that are available now, for the command palette."""
        for action in keymap_of(self.view).actions:
            if action.id != "app.palette" and is_available(action, self.hub.mode, self.view.sheet):
                run = functools.partial(self.action_do, action.id)
                yield SystemCommand(action.text, f"key {action.key_label}", run)


def writer_backlog(app: App[Any]) -> int:
    """Frames queued for the terminal. Uses private names of the pinned Textual; test_app checks them."""
    thread = getattr(app._driver, "_writer_thread", None)  # noqa: SLF001
    return 0 if thread is None else int(thread._queue.qsize())  # noqa: SLF001


def run_screen(app: DfmonApp) -> int:
    """Runs the app and returns the exit code: 0 after q, 128+n after signal n or a closed terminal."""
    with handle_signals(app.graceful_exit):
        try:
            app.run(mouse=app.settings.mouse)
        except SystemExit as exc:
            return int(exc.code or 0)
    return app.return_code or 0
