"""The simulated exchange on loopback: Deribit, Binance and OKX over real sockets, driven by one market clock.

Each venue has one port for websocket and REST; Binance has two, since spot and futures are separate
hosts. A client only swaps base URLs.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import msgspec
from websockets.asyncio.server import Server

from dfmon.aio import run_until_set
from dfmon.model.units import SECOND
from dfmon.sim.binance.venue import BinanceVenue
from dfmon.sim.deribit.venue import DeribitVenue
from dfmon.sim.faults import Faults
from dfmon.sim.market.simulated_market import SimulatedMarket
from dfmon.sim.okx.venue import OkxVenue
from dfmon.sim.transport import Venue, bound_port, start_venue_server

TICK_S: Final = 0.1
_MIN_TICK_S: Final = 0.005
_ABNORMAL_CLOSURE: Final = 1006
_CLOSE_TIMEOUT_S: Final = 1.2  # for closing handshakes
_MAX_CATCH_UP_NS: Final = (
    5 * SECOND
)  # market time per tick at most, beyond its normal pace: a stall must not block the loop


@dataclass(frozen=True)
class SimConfig:
    """Parameters of the simulation and its addresses.

    `port` is that of the first of `VENUE_SERVERS`, the others follow; 0 takes free ones.
    `start_ns` None starts the market at the present time. `history` scales the prints before the start (15,000).
    `timer_speedup` divides the protocols' timers and the publishing interval, for tests;
    `binance_connection_lifetime_s` is how long Binance keeps a connection, before that division. `faults` are the
    initial ones.
    """

    seed: int = 7
    currencies: tuple[str, ...] = ("BTC", "ETH")
    speed: float = 1.0
    host: str = "127.0.0.1"
    port: int = 0
    start_ns: int | None = None
    timer_speedup: float = 1.0
    history: float = 1.0
    binance_connection_lifetime_s: float = 86_400.0
    faults: Faults = field(default_factory=Faults)

    def __post_init__(self) -> None:
        if not 0.0 < self.speed <= 100.0:
            raise ValueError(f"speed: found {self.speed}, allowed are values above 0 up to 100")
        if not 0 <= self.port <= 65_532:
            raise ValueError(f"port: found {self.port}, allowed are 0 to 65532")


@dataclass(frozen=True)
class SimAddress:
    """Base URLs of a source, shaped like the real ones and without a trailing slash."""

    ws: str
    rest: str


SimAddresses = dict[str, SimAddress]  # by source


@dataclass(frozen=True)
class VenueServer:
    """A port of the exchange: its venue, and the URL paths of websocket and REST for each source that it serves."""

    build: Callable[[SimServer], Venue]
    paths: dict[str, tuple[str, str]]


def _deribit(sim: SimServer) -> DeribitVenue:
    return DeribitVenue(sim.market, sim.clock, sim.faults, sim.config.timer_speedup)


def _binance(sim: SimServer, *, futures: bool) -> BinanceVenue:
    config = sim.config
    lifetime_s = config.binance_connection_lifetime_s / config.timer_speedup
    return BinanceVenue(sim.market, sim.clock, sim.faults, lifetime_s, config.timer_speedup, futures=futures)


def _okx(sim: SimServer) -> OkxVenue:
    return OkxVenue(sim.market, sim.clock, sim.faults, sim.config.timer_speedup)


VENUE_SERVERS: Final = (
    VenueServer(_deribit, {"deribit": ("/ws/api/v2", "/api/v2")}),
    VenueServer(partial(_binance, futures=False), {"binance.spot": ("", "")}),
    VenueServer(partial(_binance, futures=True), {"binance.public": ("", ""), "binance.market": ("", "")}),
    VenueServer(_okx, {"okx": ("/ws/v5/public", "")}),
)


class SimServer:
    """The venues, their sockets and the task that moves the market."""

    def __init__(
        self,
        config: SimConfig | None = None,
        faults: Faults | None = None,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.config = config or SimConfig()
        self.faults = faults or msgspec.structs.replace(self.config.faults)  # a config may be used twice
        self._monotonic_ns = monotonic_ns
        self._started_ns = monotonic_ns()  # before the market is built, or its clock would lag by that
        start_ns = time.time_ns() if self.config.start_ns is None else self.config.start_ns
        self.market = SimulatedMarket(self.config.seed, start_ns, self.config.currencies, self.config.history)
        self._venues: tuple[Venue, ...] = tuple(row.build(self) for row in VENUE_SERVERS)
        self._servers: list[Server] = []
        self._market_task: asyncio.Task[None] | None = None

    def clock(self) -> int:
        """Market time, ns since the epoch: wall time since the start, times `speed`, plus the clock's error."""
        elapsed_ns = int((self._monotonic_ns() - self._started_ns) * self.config.speed)
        return self.market.start_ns + elapsed_ns + int(self.faults.skew_s * SECOND)

    async def start(self) -> SimAddresses:
        """Opens the ports and starts the market."""
        host, first = self.config.host, self.config.port
        try:
            for n, venue in enumerate(self._venues):
                self._servers.append(await start_venue_server(venue, self.faults, host, first + n if first else 0))
        except OSError:
            await self.stop()
            raise
        self._market_task = asyncio.create_task(self._run_market())
        hosts = (f"{host}:{bound_port(server)}" for server in self._servers)
        return {
            source: SimAddress(f"ws://{at}{ws_path}", f"http://{at}{rest_path}")
            for row, at in zip(VENUE_SERVERS, hosts)
            for source, (ws_path, rest_path) in row.paths.items()
        }

    def venue(self, source: str) -> Venue:
        return next(venue for row, venue in zip(VENUE_SERVERS, self._venues) if source in row.paths)

    async def wait_stopped(self) -> None:
        """Waits while the market runs. Raises the error that stopped it."""
        if self._market_task is not None:
            await self._market_task

    async def stop(self) -> None:
        """Closes every connection and port."""
        if self._market_task is not None:
            self._market_task.cancel()
            await asyncio.gather(self._market_task, return_exceptions=True)
        for server in self._servers:
            server.close()
        closed = asyncio.gather(*(server.wait_closed() for server in self._servers))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(closed), _CLOSE_TIMEOUT_S)
        for venue in self._venues:  # a client that neither reads nor closes must not hold the exit
            for session in list(venue.sessions):
                session.abort()
        await closed
        self._servers.clear()

    async def _run_market(self) -> None:
        loop = asyncio.get_running_loop()
        tick_number, next_tick_at = 0, loop.time()
        tick_s = max(TICK_S / self.config.timer_speedup, _MIN_TICK_S)
        max_step_ns = int(tick_s * SECOND * self.config.speed) + _MAX_CATCH_UP_NS
        while True:
            tick_number += 1
            self._apply_one_shots()
            if self.faults.frozen:
                self.market.refresh_books()
            else:
                self.market.advance(min(self.clock(), self.market.now_ns + max_step_ns))
            events = self.market.drain_events()
            for venue in self._venues:
                venue.publish(tick_number, events)
            self.faults.lose_books = max(self.faults.lose_books - 1, 0)
            next_tick_at = max(next_tick_at + tick_s, loop.time())
            await asyncio.sleep(next_tick_at - loop.time())

    def _apply_one_shots(self) -> None:
        one_shots = self.faults.pop_one_shots()
        self.market.apply_one_shots(one_shots)
        for venue in self._venues:
            venue.apply_one_shots(one_shots)
            if one_shots.close is None:
                continue
            for session in list(venue.sessions):
                if one_shots.close.code == _ABNORMAL_CLOSURE:
                    session.abort()
                else:
                    session.close(one_shots.close.code, one_shots.close.reason)


async def serve(
    config: SimConfig, on_ready: Callable[[SimAddresses], None], stop: asyncio.Event, faults: Faults | None = None
) -> None:
    """Serves until `stop` is set; `on_ready` gets the addresses once the ports are open."""
    server = SimServer(config, faults)
    on_ready(await server.start())
    try:
        await run_until_set(stop, server.wait_stopped())
    finally:
        await server.stop()


def run_child(config: SimConfig) -> int:
    """Serves as a child process: one JSON line of addresses on stdout; ends when stdin does, or on SIGTERM.

    The parent holds the other end of stdin, so the child cannot outlive it; each line on it is a JSON object of
    `Faults` fields to set. An interrupt typed at the terminal reaches both; the parent handles it.
    """
    faults = msgspec.structs.replace(config.faults)

    async def main() -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, stop.set)
        threading.Thread(target=_read_fault_lines, args=(loop, stop, faults), daemon=True).start()
        await serve(config, _print_addresses, stop, faults)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(main())
    return 0


def _print_addresses(addresses: SimAddresses) -> None:
    sys.stdout.write(msgspec.json.encode(addresses).decode() + "\n")
    sys.stdout.flush()


def _read_fault_lines(loop: asyncio.AbstractEventLoop, stop: asyncio.Event, faults: Faults) -> None:
    def apply_fault_line(line: bytes) -> None:
        try:
            faults.apply_json(line)
        except msgspec.DecodeError as exc:
            sys.stderr.write(f"dfmon: sim: {exc}\n")

    partial_line = b""
    # a plain read: a buffered one would hold the interpreter's lock on stdin at exit
    with contextlib.suppress(OSError, RuntimeError):
        while chunk := os.read(0, 4096):
            *lines, partial_line = (partial_line + chunk).split(b"\n")
            for line in filter(None, lines):
                loop.call_soon_threadsafe(apply_fault_line, line)
    with contextlib.suppress(RuntimeError):  # the loop has ended by another way
        loop.call_soon_threadsafe(stop.set)
