"""The simulated exchange on loopback: Deribit, Binance and OKX over real sockets, driven by one market clock.

Each venue has one port for websocket and REST; Binance has two, since spot and futures are separate
hosts. A client only swaps base URLs.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Final

import msgspec
from websockets.asyncio.server import Server

from dfmon.aio import run_until_set
from dfmon.model.units import SECOND
from dfmon.sim.binance.venue import BinanceVenue
from dfmon.sim.deribit.venue import DeribitVenue
from dfmon.sim.faults import Faults
from dfmon.sim.market.dealer_feedback import check_gain
from dfmon.sim.market.script import Script
from dfmon.sim.market.simulated_market import STEP_NS, SimulatedMarket
from dfmon.sim.okx.venue import OkxVenue
from dfmon.sim.paced_clock import PacedClock
from dfmon.sim.transport import Venue, bound_port, start_venue_server

TICK_S: Final = 0.1
SCRIPT_STEP_NS: Final = 2 * SECOND  # market time between two publications of a script
_MAX_LAG_S: Final = 0.5  # of wall time that a script makes up for by stepping faster
_EVERY_CHANNEL: Final = ("",)  # as a prefix of muted channels
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
    `start_ns` None starts the market at the present time. `history` scales the prints before the start (15,000),
    `strike_spacing` the distance between two strikes: at 10 a board of BTC has 58 options;
    the market moves every `step_ns`, and is published every `publish_ticks` tenths of a second.
    `timer_speedup` divides the protocols' timers and the publishing interval, for tests;
    `binance_connection_lifetime_s` is how long Binance keeps a connection, before that division. `faults` are the
    initial ones. A `script` sets speed, start, currencies and history, and leads the market through its phases. With a
    `certificate`, a PEM file that also has its key, the ports speak TLS. `feedback` is the share of the dealers' hedges
    that acts on the price.
    """

    seed: int = 7
    currencies: tuple[str, ...] = ("BTC", "ETH")
    speed: float = 1.0
    host: str = "127.0.0.1"
    port: int = 0
    start_ns: int | None = None
    timer_speedup: float = 1.0
    history: float = 1.0
    strike_spacing: float = 1.0
    step_ns: int = STEP_NS
    publish_ticks: int = 1
    binance_connection_lifetime_s: float = 86_400.0
    faults: Faults = field(default_factory=Faults)
    script: Script | None = None
    certificate: Path | None = None
    feedback: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 < self.speed <= 100.0:
            raise ValueError(f"speed: found {self.speed}, allowed are values above 0 up to 100")
        if not 0 <= self.port <= 65_532:
            raise ValueError(f"port: found {self.port}, allowed are 0 to 65532")
        check_gain(self.feedback)


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
        self.market = SimulatedMarket(
            self.config.seed, start_ns, self.config.currencies, self.config.history, self.config.script,
            step_ns=self.config.step_ns, strike_spacing=self.config.strike_spacing, feedback=self.config.feedback,
        )  # fmt: skip
        self._paced_clock: PacedClock | None = None
        if self.config.script is not None:
            speed = self.config.script.speed
            self._paced_clock = PacedClock(self.market.start_ns, speed, SCRIPT_STEP_NS, monotonic_ns)
        self._venues: tuple[Venue, ...] = tuple(row.build(self) for row in VENUE_SERVERS)
        self._servers: list[Server] = []
        self._feeds_lost = False
        self.on_step: Callable[[int], None] = lambda _: None  # takes the market time of each step of a script
        self._market_task: asyncio.Task[None] | None = None

    def clock(self) -> int:
        """Market time, ns since the epoch: wall time since the start, times `speed`, plus the clock's error."""
        skew_ns = int(self.faults.skew_s * SECOND)
        if self._paced_clock is not None:
            return self._paced_clock.now_ns() + skew_ns
        elapsed_ns = int((self._monotonic_ns() - self._started_ns) * self.config.speed)
        return self.market.start_ns + elapsed_ns + skew_ns

    async def start(self) -> SimAddresses:
        """Opens the ports and starts the market."""
        host, first = self.config.host, self.config.port
        tls = self._tls_context()
        try:
            for n, venue in enumerate(self._venues):
                port = first + n if first else 0
                self._servers.append(await start_venue_server(venue, self.faults, host, port, tls))
        except OSError:
            await self.stop()
            raise
        script, clock = self.config.script, self._paced_clock
        run = self._run_market() if script is None or clock is None else self._run_script(script, clock)
        self._market_task = asyncio.create_task(run)
        hosts = (f"{host}:{bound_port(server)}" for server in self._servers)
        ws_scheme, rest_scheme = ("wss", "https") if tls else ("ws", "http")
        return {
            source: SimAddress(f"{ws_scheme}://{at}{ws_path}", f"{rest_scheme}://{at}{rest_path}")
            for row, at in zip(VENUE_SERVERS, hosts)
            for source, (ws_path, rest_path) in row.paths.items()
        }

    def _tls_context(self) -> ssl.SSLContext | None:
        """Raises ssl.SSLError for a file that is no certificate with its key."""
        if self.config.certificate is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.config.certificate)
        return context

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
        ticks = self.config.publish_ticks
        tick_s = max(ticks * TICK_S / self.config.timer_speedup, _MIN_TICK_S)
        max_step_ns = int(tick_s * SECOND * self.config.speed) + _MAX_CATCH_UP_NS
        while True:
            tick_number += ticks
            self._apply_one_shots()
            if self.faults.frozen:
                self.market.refresh_books()
            else:
                self.market.advance(min(self.clock(), self.market.now_ns + max_step_ns))
            self._publish(tick_number)
            next_tick_at = max(next_tick_at + tick_s, loop.time())
            await asyncio.sleep(next_tick_at - loop.time())

    async def _run_script(self, script: Script, clock: PacedClock) -> None:
        """Moves the market by equal steps at the script's speed, or slower on a slow machine."""
        loop = asyncio.get_running_loop()
        step_s = SCRIPT_STEP_NS / SECOND / script.speed
        tick_number, next_step_at = 0, loop.time()
        while True:
            tick_number += SCRIPT_STEP_NS // STEP_NS
            self._apply_one_shots()
            self.market.advance(self.market.now_ns + SCRIPT_STEP_NS)
            self._lose_feeds()
            self._publish(tick_number)
            clock.announce(self.market.now_ns)
            self.on_step(self.market.now_ns)
            next_step_at = max(next_step_at + step_s, loop.time() - _MAX_LAG_S)
            await asyncio.sleep(next_step_at - loop.time())

    def _lose_feeds(self) -> None:
        """Silences every channel and REST while the phase of the script says so."""
        phase = self.market.director.phase if self.market.director is not None else None
        lost = phase is not None and phase.feeds_lost
        if lost is not self._feeds_lost:
            self._feeds_lost = lost
            self.faults.mute = _EVERY_CHANNEL if lost else ()
            self.faults.rest_status = HTTPStatus.SERVICE_UNAVAILABLE if lost else 0

    def _publish(self, tick_number: int) -> None:
        """Publishes what is due; `tick_number` counts tenths of a second of market time."""
        events = self.market.drain_events()
        for venue in self._venues:
            venue.publish(tick_number, events)
        self.faults.lose_books = max(self.faults.lose_books - 1, 0)

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
    config: SimConfig,
    on_ready: Callable[[SimAddresses], None],
    stop: asyncio.Event,
    faults: Faults | None = None,
    on_step: Callable[[int], None] = lambda _: None,
) -> None:
    """Serves until `stop` is set; `on_ready` gets the addresses once the ports are open."""
    server = SimServer(config, faults)
    server.on_step = on_step
    on_ready(await server.start())
    try:
        await run_until_set(stop, server.wait_stopped())
    finally:
        await server.stop()
