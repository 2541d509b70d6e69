"""The simulated exchange without sockets or waiting: an hour of market in as long as it takes to compute it.

The venues' own code speaks through pipes with dfmon's own protocols; only the transport and the clock are replaced.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec

from dfmon.core.step import FlowParams
from dfmon.engine.driver import Driver
from dfmon.model.snapshot import FlowSnapshot
from dfmon.model.units import HOUR, MILLISECOND, SECOND
from dfmon.sim.binance import Binance
from dfmon.sim.deribit import Deribit
from dfmon.sim.market import Market
from dfmon.sim.okx import Okx
from dfmon.store.recorder import Recorder
from dfmon.venues.protocol import Endpoint
from dfmon.venues.registry import Address, Pace, endpoints

START = 1_795_305_600 * SECOND + 12 * HOUR  # Sunday 22 November 2026, 12:00 UTC
SOURCES = ("deribit", "binance.spot", "binance.public", "binance.market", "okx")
MICROSECOND = 1_000
STEP = 100 * MILLISECOND
NOWHERE = {source: Address("ws://sim", "http://sim") for source in SOURCES} | {
    "okx": Address("ws://sim/ws/v5/public", "http://sim")
}


class Pipe:
    """Both ends of a connection: what a venue of the simulator asks of its socket, and what a client does with it."""

    def __init__(self, path: str) -> None:
        self.request = SimpleNamespace(path=path)
        self.transport = SimpleNamespace(abort=self.hang_up)
        self.closed = False
        self._said: asyncio.Queue[str | None] = asyncio.Queue()
        self._heard: list[bytes] = []

    def say(self, text: str) -> None:
        self._said.put_nowait(text)

    def take(self) -> list[bytes]:
        heard, self._heard = self._heard, []
        return heard

    def hang_up(self) -> None:
        self.closed = True
        self._said.put_nowait(None)

    async def close(self, *_why: object) -> None:
        self.hang_up()

    async def send(self, frame: bytes | str, text: bool = True) -> None:
        self._heard.append(frame.encode() if isinstance(frame, str) else frame)

    async def __aiter__(self) -> AsyncIterator[str]:
        while (said := await self._said.get()) is not None:
            yield said


class SimulatedSession:
    """Drives `driver` through market time, as connections and timer would; every call comes at a time of its own."""

    def __init__(self, currencies: tuple[str, ...], *, seed: int = 7, history: float = 0.02) -> None:
        self.currencies = currencies
        self.market = Market(seed, START, currencies, history)
        self.endpoints: list[Endpoint] = endpoints(currencies, SOURCES, NOWHERE, self.pace)
        clock = self._clock
        deribit, okx = Deribit(self.market, clock), Okx(self.market, clock)
        spot, futures = (Binance(self.market, clock, futures=futures) for futures in (False, True))
        self._venues: dict[str, Any] = dict(zip(SOURCES, (deribit, spot, futures, futures, okx)))
        self._now = START

    @property
    def pace(self) -> Pace:
        return Pace(summary_s=5.0, look_back_s=12 * 3600.0)

    @property
    def about(self) -> dict[str, Any]:
        """What a recorder says of such a session."""
        return {
            "mode": "sim",
            "underlyings": list(self.currencies),
            "sources": [endpoint.source for endpoint in self.endpoints],
            "pace": {"summary_s": self.pace.summary_s, "look_back_s": self.pace.look_back_s},
        }

    def decoders(self) -> dict[str, Any]:
        return {endpoint.source: endpoint.protocol for endpoint in self.endpoints}

    def _clock(self) -> int:
        return self.market.now_ns

    def _moment(self) -> int:
        """Later than the last, and not before the market's own time."""
        self._now = max(self._now + MICROSECOND, self.market.now_ns)
        return self._now

    async def run(self, driver: Driver, seconds: float, each_second: Callable[[int], None] = lambda _: None) -> None:
        pipes = {e.source: Pipe(e.url.removeprefix("ws://sim")) for e in self.endpoints}
        served = [asyncio.create_task(self._venues[source].connect(pipe)) for source, pipe in pipes.items()]
        await _settled()
        for endpoint in self.endpoints:
            driver.connected(endpoint.source, self._moment())
        venues = list(dict.fromkeys(self._venues.values()))
        try:
            for count in range(1, round(seconds * SECOND / STEP) + 1):
                self.market.advance(self.market.now_ns + STEP)
                happened = self.market.take()
                for venue in venues:
                    venue.tick(count, happened)
                await _settled()
                turn = count % len(self.endpoints)  # the order of arrival differs from step to step
                for endpoint in (*self.endpoints[turn:], *self.endpoints[:turn]):
                    self._exchange(driver, endpoint, pipes[endpoint.source])
                if self.market.now_ns % SECOND == 0:
                    for endpoint in self.endpoints:
                        driver.timer(endpoint.source, self._moment())
                    driver.on_timer(self._moment())
                    each_second(self.market.now_ns)
        finally:
            for pipe in pipes.values():
                pipe.hang_up()
            await asyncio.gather(*served)

    def _exchange(self, driver: Driver, endpoint: Endpoint, pipe: Pipe) -> None:
        assert not pipe.closed, f"the venue closed {endpoint.source}"
        for frame in pipe.take():
            driver.frame(endpoint.source, self._moment(), frame)
        for text in endpoint.protocol.data_to_send():
            pipe.say(text)
        for call in endpoint.protocol.rest_calls():
            prefix = "/api/v2" if endpoint.source == "deribit" else ""
            status, body = self._venues[endpoint.source].get(prefix + call.path, dict(call.params))
            driver.response(endpoint.source, self._moment(), call.tag, body if status == 200 else b"")


async def _settled(turns: int = 6) -> None:
    """Let the venues' readers and writers run until they wait again."""
    for _ in range(turns):
        await asyncio.sleep(0)


def record(
    directory: Path,
    seconds: float,
    currencies: tuple[str, ...] = ("BTC",),
    params: FlowParams | None = None,
    **options: Any,
) -> list[FlowSnapshot]:
    """Record a session of market time into `directory`; what its screen would have shown."""
    session, params = SimulatedSession(currencies), params or FlowParams()
    shown: list[FlowSnapshot] = []
    about = session.about | {"params": msgspec.to_builtins(params)}
    with Recorder(directory, about, **options) as recorder:
        driver = Driver(currencies, params, session.decoders(), shown.append, journal=recorder.offer)
        asyncio.run(session.run(driver, seconds, lambda _: recorder.flush()))
    assert recorder.dropped == 0
    return shown
