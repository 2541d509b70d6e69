"""A session from its start to its end: signals, threads, the exit code.

Without a screen the market's loop runs in the main thread. With one, Textual has the main thread and the market runs
beside it in its own; they meet only in the hub. Textual is imported here and only when a screen is drawn.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from dfmon.config import Config
from dfmon.engine.hub import Request, SnapshotHub
from dfmon.model.errors import EXIT_OK, DfmonError
from dfmon.model.snapshot import to_json
from dfmon.replay import Source, play_through
from dfmon.runtime.composition import Outputs
from dfmon.runtime.stores import past
from dfmon.venues.transport.opener import loop_factory

log = logging.getLogger("dfmon")


class Session(Protocol):
    """What runs on the market's loop."""

    hub: SnapshotHub

    async def run(self, stop: asyncio.Event) -> None: ...
    def wish(self, request: Request) -> None: ...


def run_headless(
    session: Session,
    out: Outputs,
    *,
    beside: Callable[[asyncio.Event], Coroutine[Any, Any, None]] | None = None,
    seconds: float | None = None,
) -> int:
    """Run until a signal, until the reader of stdout is gone, or for `seconds`. The exit code: 0, or 128 + the signal.

    `beside` runs with it, until the event it is given is set.
    """
    caught: list[int] = []

    async def main() -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()

        def leave(number: int) -> None:
            caught.append(number)
            stop.set()

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, leave, number)
        lines = out.lines
        if lines is not None:
            session.hub.listen(lambda _: stop.set() if lines.closed else None)
        if seconds is not None:
            loop.call_later(seconds, stop.set)
        watching = asyncio.create_task(beside(stop)) if beside is not None else None
        try:
            await session.run(stop)
        finally:
            stop.set()
            if watching is not None:
                await watching

    _run(main())
    return 128 + caught[0] if caught else EXIT_OK


def _run(main: Coroutine[Any, Any, None]) -> None:
    """Run the loop; of a group of errors the first one is told."""
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(main)
    except* DfmonError as group:
        raise _first(group) from None


def _first(group: BaseExceptionGroup[Any]) -> BaseException:
    exc: BaseException = group
    while isinstance(exc, BaseExceptionGroup):
        exc = exc.exceptions[0]
    return exc


class MarketThread:
    """The market's loop beside a screen. `fault` says why it ended, if it ended by itself."""

    def __init__(self, session: Session) -> None:
        self.fault: BaseException | None = None
        self._session = session
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._main, name="market", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, patience_s: float = 5.0) -> None:
        """Ask the market to end and wait for it, but not for ever."""
        if self._loop is not None and self._stop is not None:
            with suppress(RuntimeError):  # the loop ended by itself
                self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(patience_s)

    def _main(self) -> None:
        async def main() -> None:
            self._stop, self._loop = asyncio.Event(), asyncio.get_running_loop()
            await self._session.run(self._stop)

        try:
            with asyncio.Runner(loop_factory=loop_factory()) as runner:
                runner.run(main())
        except BaseException as exc:  # a thread's exception would vanish behind the screen
            self.fault = _first(exc) if isinstance(exc, BaseExceptionGroup) else exc
            log.error("the market stopped", exc_info=exc)


def run_with_screen(session: Session, config: Config, underlyings: Sequence[str], options: Mapping[str, bool]) -> int:
    """Draw the screen until the user leaves; the market runs beside it. Returns the exit code."""
    from dfmon.tui.app import DfmonApp, run_screen
    from dfmon.tui.settings import ScreenSettings

    settings = ScreenSettings(
        underlyings=tuple(underlyings),
        rate_hz=config.screen.rate_hz,
        mouse=config.screen.mouse,
        palette=config.screen.palette,
        icons=config.screen.icons,
        tape_min=config.screen.tape_min,
        plain=options.get("plain", False),
        low_bandwidth=options.get("low_bandwidth", False),
    )
    market = MarketThread(session)
    app = DfmonApp(session.hub, settings, session.wish, past(config, session.hub.mode))
    market.start()
    try:
        code = run_screen(app)
    finally:
        market.stop()
    if market.fault is not None:
        raise market.fault
    return code


def replay_headless(source: Source, from_ns: int | None = None, until_ns: int | None = None) -> int:
    """Every snapshot of a recording, or of a part of it, as a JSON line, as fast as possible."""
    out = sys.stdout.buffer
    try:
        play_through(
            source,
            lambda snapshot: _line(out.write, to_json(snapshot, "replay")),
            from_ns=from_ns,
            until_ns=until_ns,
        )
        out.flush()
    except BrokenPipeError:
        sys.stderr.close()  # the reader has seen enough
    return EXIT_OK


def _line(write: Callable[[bytes], object], line: bytes) -> None:
    write(line)
    write(b"\n")
