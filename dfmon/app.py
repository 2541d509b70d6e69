"""The composition root: builds every object of a run from the configuration, owns signals, threads and their end.

Without a screen the market's loop runs in the main thread. With one, Textual has the main thread and the market runs
beside it in its own; they meet only in the hub. Textual is imported here and only when a screen is drawn.
"""

from __future__ import annotations

import asyncio
import logging
import re
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal, Protocol
from urllib.parse import urlsplit

import msgspec

from dfmon import config as configuration
from dfmon.backfill import Background
from dfmon.config import Config
from dfmon.core.step import FlowParams
from dfmon.engine.hub import Request, SnapshotHub
from dfmon.engine.memory import priors_of
from dfmon.model.errors import EXIT_OK, DfmonError
from dfmon.model.snapshot import MetricRow, State, to_json
from dfmon.replay import Source, play_through
from dfmon.session import LiveSession
from dfmon.sinks.base import Sink
from dfmon.sinks.jsonl import JsonLines
from dfmon.store.history import History
from dfmon.store.history_file import HistoryError
from dfmon.store.positions_state import StateFile
from dfmon.store.recorder import Recorder
from dfmon.store.trades import TradeStore, TradeStoreError
from dfmon.venues.protocol import Endpoint
from dfmon.venues.registry import Address, Pace, endpoints
from dfmon.venues.transport import loop_factory
from dfmon.version import __version__

log = logging.getLogger("dfmon")

VENUE_PACE_S: Final = 0.25  # between two REST calls to one host: well below every venue's limit
OWN_PACE_S: Final = 0.01  # the simulated exchange is ours

Publish = Literal["", "changes", "all"]


class Session(Protocol):
    """What runs on the market's loop."""

    hub: SnapshotHub

    async def run(self, stop: asyncio.Event) -> None: ...
    def wish(self, request: Request) -> None: ...


def venue_endpoints(config: Config) -> list[Endpoint]:
    """A connection per source that is switched on, at the configured addresses."""
    sources = ["deribit"]
    if config.binance.enabled:
        sources += ["binance.spot", "binance.public", "binance.market"]
    if config.okx.enabled:
        sources.append("okx")
    futures = Address(config.binance.futures_websocket, config.binance.futures_rest)
    addresses = {
        "deribit": Address(config.deribit.websocket, config.deribit.rest),
        "binance.spot": Address(config.binance.spot_websocket, config.binance.spot_rest),
        "binance.public": futures,
        "binance.market": futures,
        "okx": Address(config.okx.websocket, config.okx.rest),
    }
    return endpoints(
        config.market.currencies,
        sources,
        addresses,
        Pace(config.deribit.summary_s, config.deribit.look_back_h * 3600.0),
    )


def pace(config: Config) -> Pace:
    """How often is polled, and how far back; a recording keeps it, since a replay must ask the same."""
    return Pace(config.deribit.summary_s, config.deribit.look_back_h * 3600.0)


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where snapshots go besides the screen."""

    sinks: tuple[Sink, ...]
    lines: JsonLines | None


def outputs(config: Config, publish: Publish) -> Outputs:
    """The sinks that were asked for. Ports are bound here, so that a port in use is said before anything starts."""
    sinks: list[Sink] = []
    lines = JsonLines(sys.stdout.buffer, publish, heartbeat_s=config.publish.every_s) if publish else None
    if lines is not None:
        sinks.append(lines)
    if config.publish.redis:
        from dfmon.sinks.redis_stream import RedisStream

        sinks.append(RedisStream(config.publish.redis, config.publish.prefix, config.publish.stream_length))
    if config.publish.rest:
        from dfmon.sinks.rest_service import RestService

        host, _, port = config.publish.rest.rpartition(":")
        rest = RestService(host or "127.0.0.1", int(port), lambda: tuple(sink.status() for sink in sinks))
        rest.bind()
        sinks.append(rest)
        log.info("serving %s/v1/snapshot", rest.url)
    return Outputs(tuple(sinks), lines)


def live_session(
    config: Config,
    mode: State,
    out: Outputs,
    report: Callable[[Exception], None],
    hub: SnapshotHub | None = None,
    *,
    keeps: bool = True,
) -> LiveSession:
    """A live session, recording and remembering as configured; without `keeps` it knows what others left, no more."""
    params, connections = configuration.flow_params(config), venue_endpoints(config)
    recorder = None
    if config.record.directory:
        about: Mapping[str, Any] = {
            "dfmon": __version__,
            "mode": mode,
            "underlyings": list(config.market.currencies),
            "sources": [connection.source for connection in connections],
            "pace": asdict(pace(config)),
            "params": msgspec.to_builtins(params),
        }
        recorder = Recorder(
            Path(config.record.directory),
            about,
            segment_bytes=config.record.rotate_mb << 20,
            keep_bytes=config.record.keep_mb << 20,
            keep_days=config.record.keep_days,
        )
    lasting = keeps and mode == "live"
    trades = open_trades(config) if lasting else None
    return LiveSession(
        config.market.currencies,
        connections,
        params,
        hub or SnapshotHub(mode=mode),
        report,
        tick_s=config.market.tick_s,
        rest_pace_s=OWN_PACE_S if mode == "sim" else VENUE_PACE_S,
        recorder=recorder,
        history=open_history(config) if lasting else None,
        sinks=out.sinks,
        backfill=Background(config.deribit.archive, config.deribit.archive_pace, trades)
        if config.deribit.backfill and keeps
        else None,
        trades=trades,
        state=open_state(config, params, keeps=keeps) if mode == "live" else None,
        compiled=config.market.compiled,
    )


def exchange(config: Config) -> str:
    """The host of the exchange whose options are watched: what is kept of one is of no use for another."""
    return urlsplit(config.deribit.rest).netloc


def market_folder(config: Config) -> Path:
    """Where prints and positions of an exchange are kept, beside the history: one folder a host, so none are mixed."""
    history = Path(config.history.path) if config.history.path else default_history()
    return history.parent / re.sub(r"[^\w.-]", "_", exchange(config))


def open_state(config: Config, params: FlowParams, *, keeps: bool = True) -> StateFile | None:
    """The file in which positions survive a restart, or None where nothing is kept."""
    if not config.history.enabled:
        return None
    path = market_folder(config) / "positions.state"
    return StateFile(path, exchange(config), priors_of(params.priors), keeps=keeps)


def open_trades(config: Config) -> TradeStore | None:
    """The store of option prints, or None where it is switched off or cannot be used."""
    if not config.history.enabled:
        return None
    try:
        return TradeStore(market_folder(config) / "trades.sqlite", keep_days=config.history.keep_days)
    except TradeStoreError as exc:
        log.warning("no trade store: %s", exc)
        return None


def open_history(config: Config) -> History | None:
    """The embedded store, or None where it is switched off or cannot be used: the monitor goes on without."""
    if not config.history.enabled:
        return None
    path = Path(config.history.path) if config.history.path else default_history()
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return History(path, retention_days=config.history.keep_days)
    except (HistoryError, OSError) as exc:
        log.warning("no history: %s", exc)
        return None


def default_history() -> Path:
    return configuration.state_folder(configuration.environment()) / "history.sqlite"


# ---- running ---------------------------------------------------------------------------------------------------------


class Faults:
    """Exceptions of the engine: the first of a kind goes to the log with its traceback, the rest are counted."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def __call__(self, exc: Exception) -> None:
        kind = f"{type(exc).__name__}: {exc}"
        self._seen[kind] = self._seen.get(kind, 0) + 1
        if self._seen[kind] == 1:
            log.error("a snapshot could not be computed; the last one stays and ages", exc_info=exc)


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


def past(config: Config, mode: State) -> Callable[[str, int], Sequence[MetricRow]] | None:
    """What the charts look back on at start: up to a day of the embedded history."""
    if mode != "live" or not config.history.enabled:
        return None
    path = Path(config.history.path) if config.history.path else default_history()

    def read(underlying: str, since_ns: int) -> Sequence[MetricRow]:
        from dfmon.store.history import HistoryReader

        try:
            with HistoryReader(path) as reader:
                return reader.since(underlying, since_ns)
        except HistoryError:
            return ()

    return read


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
