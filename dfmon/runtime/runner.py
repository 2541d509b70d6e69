"""Runs a session to its end: signals, threads, the exit code.

Without a screen the market's loop runs in the main thread. With one, Textual has the main thread and the market a
thread of its own; they share only the hub. Textual is imported only when a screen is drawn.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from dfmon.aio import StopSignals, loop_factory
from dfmon.config import Config, ConfigSource, alert_rules
from dfmon.engine.hub import Request, SnapshotHub
from dfmon.model.errors import EXIT_FAILED, EXIT_OK, DfmonError, UsageError
from dfmon.model.snapshot import to_json
from dfmon.replay import ReplaySource, play_through
from dfmon.runtime.clock import WALL_CLOCK, SessionClock
from dfmon.runtime.composition import Outputs
from dfmon.runtime.rule_runner import RuleRunner
from dfmon.runtime.stores import RowLoader
from dfmon.store.positions_file import read_positions

if TYPE_CHECKING:
    from dfmon.tui.keymap import KeyChanges
    from dfmon.tui.settings import ScreenSettings

log = logging.getLogger("dfmon")


class Session(Protocol):
    """A live session or a replay, which runs on the market's loop."""

    hub: SnapshotHub

    @property
    def losses(self) -> tuple[str, ...]: ...
    async def run(self, stop: asyncio.Event) -> None: ...
    def submit(self, request: Request) -> None: ...


def run_headless(
    session: Session,
    out: Outputs,
    *,
    companion: Callable[[asyncio.Event], Coroutine[Any, Any, None]] | None = None,
    seconds: float | None = None,
    config_source: ConfigSource | None = None,
) -> int:
    """Runs until a signal, until the reader of stdout closes it, or for `seconds`. Returns 0, or 128 + the signal, or 1
    where data were lost.

    `companion` runs beside it, until the event that it is passed is set. Edits of `config_source` are taken over.
    """
    from dfmon.runtime.config_watch import ConfigWatch

    companions = [companion] if companion is not None else []
    companions += [ConfigWatch(config_source, session.hub).run] if config_source is not None else []

    async def main() -> int:
        stop = asyncio.Event()
        signals = StopSignals(stop.set)
        json_lines = out.json_lines
        if json_lines is not None:
            session.hub.add_listener(lambda _: stop.set() if json_lines.closed else None)
        if seconds is not None:
            asyncio.get_running_loop().call_later(seconds, stop.set)
        tasks = [asyncio.create_task(run(stop)) for run in companions]
        try:
            await session.run(stop)
        finally:
            stop.set()
            await asyncio.gather(*tasks)
        return signals.exit_code

    code = _run_loop(main())
    for loss in session.losses:
        log.error("%s", loss)
    return EXIT_FAILED if session.losses else code


def _run_loop(main: Coroutine[Any, Any, int]) -> int:
    """Runs the loop to the end of `main`. Of a group of errors the first is raised."""
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            return runner.run(main)
    except* DfmonError as group:
        raise _first_exception(group) from None


def _first_exception(group: BaseExceptionGroup[Any]) -> BaseException:
    exc: BaseException = group
    while isinstance(exc, BaseExceptionGroup):
        exc = exc.exceptions[0]
    return exc


class MarketThread:
    """The market's loop in a thread beside the screen. `failure` is the exception that ended it, if any."""

    def __init__(self, session: Session) -> None:
        self.failure: BaseException | None = None
        self._session = session
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._main, name="market", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Stops the market and waits for its end, at most `timeout_s`."""
        if self._loop is not None and self._stop is not None:
            with suppress(RuntimeError):  # the loop ended by itself
                self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(timeout_s)

    def _main(self) -> None:
        async def main() -> None:
            self._stop, self._loop = asyncio.Event(), asyncio.get_running_loop()
            await self._session.run(self._stop)

        try:
            with asyncio.Runner(loop_factory=loop_factory()) as runner:
                runner.run(main())
        except BaseException as exc:  # raised again after the screen is closed
            self.failure = _first_exception(exc) if isinstance(exc, BaseExceptionGroup) else exc
            log.error("the market stopped", exc_info=exc)


def run_with_screen(
    session: Session,
    config: Config,
    underlyings: Sequence[str],
    options: Mapping[str, Any],
    clock: SessionClock = WALL_CLOCK,
    load_past: RowLoader | None = None,
) -> int:
    """Draws the screen until the user quits; the market runs beside it. Returns the exit code.

    `load_past` has the rows of the charts before the start; without it they begin now.
    """
    settings = screen_settings(config, underlyings, options, clock.speed)
    from dfmon.runtime.config_watch import ConfigWatch
    from dfmon.tui.app import DfmonApp, run_screen

    market = MarketThread(session)
    app = DfmonApp(session.hub, settings, session.submit, load_past, clock.now_ns)
    if (source := options.get("config_source")) is not None:
        app.poll_config = ConfigWatch(
            source, session.hub, lambda edited: screen_settings(edited, underlyings, options, clock.speed)
        ).poll
    market.start()
    try:
        code = run_screen(app)
    finally:
        market.stop()
    if market.failure is not None:
        raise market.failure
    if session.losses and code == EXIT_OK:
        raise DfmonError("; ".join(session.losses))
    return code


def screen_settings(
    config: Config, underlyings: Sequence[str], options: Mapping[str, Any], clock_speed: float = 1.0
) -> ScreenSettings:
    """The settings of the screen. Raises UsageError for a key or an action of `[keys]` that is none."""
    source: ConfigSource | None = options.get("config_source")
    from dfmon.tui.settings import ScreenSettings

    return ScreenSettings(
        underlyings=tuple(underlyings),
        rate_hz=config.screen.rate_hz,
        mouse=config.screen.mouse,
        palette=config.screen.palette,
        icons=config.screen.icons,
        tape_min=config.screen.tape_min,
        book_file=own_book_file(options.get("book")),
        published_model=config.market.positions.partition(":")[0],
        plain=options.get("plain", False),
        low_bandwidth=options.get("low_bandwidth", False),
        clock_speed=clock_speed,
        locator=str(options.get("locator") or ""),
        keys=key_changes(config, str(source.file) if source is not None else "configuration"),
        forced_icons="icons" in options,
        alert_deliveries={rule.name: rule.to for rule in alert_rules(config.alert)},
    )


def own_book_file(path: Path | None) -> str:
    """The file of `--book`, empty without one. Raises UsageError where it cannot be read."""
    if path is None:
        return ""
    read_positions(path)
    return str(path)


def key_changes(config: Config, origin: str) -> KeyChanges:
    """`[keys]`, checked against the actions of the screen. Raises UsageError with `origin`, its file."""
    from dfmon.tui.sheets import key_map

    changes = tuple(config.keys.items())
    if changes:
        try:
            key_map(changes)
        except UsageError as error:
            raise UsageError(f"{origin}: {error}") from None
    return changes


def replay_headless(
    source: ReplaySource, rules: RuleRunner | None = None, from_ns: int | None = None, until_ns: int | None = None
) -> int:
    """Writes every snapshot of a source, or of a part of it, as a JSON line, as fast as possible."""
    out, hub = sys.stdout.buffer, SnapshotHub("replay", source.session, rules)
    hub.add_listener(lambda snapshot: _write_line(out.write, to_json(snapshot, hub.mode)))
    try:
        play_through(source, hub.publish, from_ns=from_ns, until_ns=until_ns)
        out.flush()
    except BrokenPipeError:
        sys.stderr.close()  # else the interpreter reports the broken pipe once more at exit
    return EXIT_OK


def _write_line(write: Callable[[bytes], object], line: bytes) -> None:
    write(line)
    write(b"\n")
