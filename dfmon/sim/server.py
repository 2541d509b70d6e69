"""The simulated exchange on loopback: Deribit, Binance and OKX over real sockets, driven by one market clock.

Each venue has one port for websocket and REST; Binance has two, since spot and futures differ by host on the real
thing. A client only swaps base URLs.
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
from typing import Final

import msgspec
from websockets.asyncio.server import Server

from dfmon.model.units import SECOND
from dfmon.sim.binance.server import Binance
from dfmon.sim.deribit.server import Deribit
from dfmon.sim.faults import Faults
from dfmon.sim.market.market import Market
from dfmon.sim.okx.server import Okx
from dfmon.sim.transport import Venue, listen, port_of

TICK_S: Final = 0.1
_SHORTEST_S: Final = 0.005
_NO_HANDSHAKE: Final = 1006
_FAREWELL_S: Final = 1.2  # for closing handshakes
_CATCH_UP_NS: Final = (
    5 * SECOND
)  # market time per tick at most, beyond its normal pace: a stall must not block the loop


@dataclass(frozen=True)
class SimConfig:
    """What to simulate and where to serve it.

    `port` is the first of four consecutive ones (Deribit, Binance spot, Binance futures, OKX), 0 takes free ones.
    `start_ns` None starts the market at the present time. `history` scales the tape before the start (15,000 prints).
    `hurry` divides the protocols' timers and the publishing interval, for tests; `binance_life_s` is how long Binance
    keeps a connection, before that division. `faults` is what is wrong from the beginning.
    """

    seed: int = 7
    currencies: tuple[str, ...] = ("BTC", "ETH")
    speed: float = 1.0
    host: str = "127.0.0.1"
    port: int = 0
    start_ns: int | None = None
    hurry: float = 1.0
    history: float = 1.0
    binance_life_s: float = 86_400.0
    faults: Faults = field(default_factory=Faults)

    def __post_init__(self) -> None:
        if not 0.0 < self.speed <= 100.0:
            raise ValueError(f"speed: found {self.speed}, allowed are values above 0 up to 100")
        if not 0 <= self.port <= 65_532:
            raise ValueError(f"port: found {self.port}, allowed are 0 to 65532")


@dataclass(frozen=True)
class SimAddresses:
    """Base URLs, shaped like the real ones and without a trailing slash.

    Binance websocket bases take `/stream?streams=...` (spot) and `/public/stream?...`, `/market/stream?...` (futures).
    """

    deribit_ws: str
    deribit_rest: str
    binance_spot_ws: str
    binance_spot_rest: str
    binance_futures_ws: str
    binance_futures_rest: str
    okx_ws: str
    okx_rest: str


class SimServer:
    """The venues, their sockets and the task that moves the market."""

    def __init__(self, config: SimConfig | None = None, faults: Faults | None = None) -> None:
        self.config = config or SimConfig()
        self.faults = faults or msgspec.structs.replace(self.config.faults)  # a config may be used twice
        self._began = time.monotonic_ns()  # before the market is built, or its clock would lag by that
        start_ns = time.time_ns() if self.config.start_ns is None else self.config.start_ns
        self.market = Market(self.config.seed, start_ns, self.config.currencies, self.config.history)
        faults, hurry, life_s = self.faults, self.config.hurry, self.config.binance_life_s / self.config.hurry
        self.deribit = Deribit(self.market, self.clock, faults, hurry)
        self.binance_spot = Binance(self.market, self.clock, faults, life_s, hurry, futures=False)
        self.binance_futures = Binance(self.market, self.clock, faults, life_s, hurry, futures=True)
        self.okx = Okx(self.market, self.clock, faults, hurry)
        self._venues: tuple[Venue, ...] = (self.deribit, self.binance_spot, self.binance_futures, self.okx)
        self._servers: list[Server] = []
        self._pump: asyncio.Task[None] | None = None

    def clock(self) -> int:
        """Market time, ns since the epoch: wall time since the start, times `speed`, and what the clock is wrong by."""
        passed = int((time.monotonic_ns() - self._began) * self.config.speed)
        return self.market.start_ns + passed + int(self.faults.skew_s * SECOND)

    async def start(self) -> SimAddresses:
        """Open the ports and let the market run."""
        host, first = self.config.host, self.config.port
        try:
            for n, venue in enumerate(self._venues):
                self._servers.append(await listen(venue, self.faults, host, first + n if first else 0))
        except OSError:
            await self.stop()
            raise
        self._pump = asyncio.create_task(self._run())
        deribit, spot, futures, okx = (f"{host}:{port_of(server)}" for server in self._servers)
        return SimAddresses(
            deribit_ws=f"ws://{deribit}/ws/api/v2",
            deribit_rest=f"http://{deribit}/api/v2",
            binance_spot_ws=f"ws://{spot}",
            binance_spot_rest=f"http://{spot}",
            binance_futures_ws=f"ws://{futures}",
            binance_futures_rest=f"http://{futures}",
            okx_ws=f"ws://{okx}/ws/v5/public",
            okx_rest=f"http://{okx}",
        )

    async def run(self) -> None:
        """Wait while the market runs; raises what stopped it."""
        if self._pump is not None:
            await self._pump

    async def stop(self) -> None:
        """Close every connection and port."""
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.gather(self._pump, return_exceptions=True)
        for server in self._servers:
            server.close()
        closed = asyncio.gather(*(server.wait_closed() for server in self._servers))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(closed), _FAREWELL_S)
        for venue in self._venues:  # a client that neither reads nor closes must not hold the exit
            for session in list(venue.sessions):
                session.abort()
        await closed
        self._servers.clear()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        count, due = 0, loop.time()
        tick_s = max(TICK_S / self.config.hurry, _SHORTEST_S)
        pace_ns = int(tick_s * SECOND * self.config.speed) + _CATCH_UP_NS
        while True:
            count += 1
            self._strike()
            if self.faults.frozen:
                self.market.hold()
            else:
                self.market.advance(min(self.clock(), self.market.now_ns + pace_ns))
            happened = self.market.take()
            for venue in self._venues:
                venue.tick(count, happened)
            self.faults.lose_books = max(self.faults.lose_books - 1, 0)
            due = max(due + tick_s, loop.time())
            await asyncio.sleep(due - loop.time())

    def _strike(self) -> None:
        blows = self.faults.take_blows()
        self.market.strike(blows)
        for venue in self._venues:
            venue.strike(blows)
            if blows.close is None:
                continue
            for session in list(venue.sessions):
                if blows.close.code == _NO_HANDSHAKE:
                    session.abort()
                else:
                    session.close(blows.close.code, blows.close.reason)


async def serve(
    config: SimConfig, ready: Callable[[SimAddresses], None], stop: asyncio.Event, faults: Faults | None = None
) -> None:
    """Serve until `stop` is set; `ready` gets the addresses once the ports are open."""
    server = SimServer(config, faults)
    ready(await server.start())
    waits = [asyncio.create_task(stop.wait()), asyncio.create_task(server.run())]
    try:
        done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in waits:
            task.cancel()
        await server.stop()
        await asyncio.gather(*waits, return_exceptions=True)


def run_child(config: SimConfig) -> int:
    """Serve as a child process: one JSON line of addresses on stdout; ends when stdin does, or on SIGTERM.

    The parent holds the other end of stdin, so the child cannot outlive it; each line on it is a JSON object of
    `Faults` fields to set. An interrupt typed at the terminal reaches both; it is the parent's to act on.
    """
    faults = msgspec.structs.replace(config.faults)

    async def main() -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, stop.set)
        threading.Thread(target=_follow_input, args=(loop, stop, faults), daemon=True).start()
        await serve(config, _announce, stop, faults)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(main())
    return 0


def _announce(addresses: SimAddresses) -> None:
    sys.stdout.write(msgspec.json.encode(addresses).decode() + "\n")
    sys.stdout.flush()


def _follow_input(loop: asyncio.AbstractEventLoop, stop: asyncio.Event, faults: Faults) -> None:
    def obey(line: bytes) -> None:
        try:
            faults.set(line)
        except msgspec.DecodeError as exc:
            sys.stderr.write(f"dfmon: sim: {exc}\n")

    rest = b""
    # a plain read: a buffered one would hold the interpreter's lock on stdin at exit
    with contextlib.suppress(OSError, RuntimeError):
        while more := os.read(0, 4096):
            *lines, rest = (rest + more).split(b"\n")
            for line in filter(None, lines):
                loop.call_soon_threadsafe(obey, line)
    with contextlib.suppress(RuntimeError):  # the loop has ended by another way
        loop.call_soon_threadsafe(stop.set)
