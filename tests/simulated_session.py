"""The simulated exchange without sockets or waiting: an hour of market in as long as it takes to compute it.

The venues' own code speaks through pipes with dfmon's own protocols; only the transport and the clock are replaced.
"""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec

from dfmon.core.step import FlowParams
from dfmon.engine.driver import Driver, InlineWorker
from dfmon.model.snapshot import FlowSnapshot
from dfmon.model.units import HOUR, MILLISECOND, SECOND
from dfmon.replay import Recording, play_through
from dfmon.sim.binance.server import Binance
from dfmon.sim.deribit.server import Deribit
from dfmon.sim.faults import Faults
from dfmon.sim.market.market import Market
from dfmon.sim.okx.server import Okx
from dfmon.store.recorder import Recorder
from dfmon.venues.protocol import Endpoint
from dfmon.venues.registry import Address, Pace, endpoints

ROOT = Path(__file__).resolve().parents[1]
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
        good = Faults()
        deribit, okx = Deribit(self.market, clock, good), Okx(self.market, clock, good)
        spot, futures = (Binance(self.market, clock, good, futures=futures) for futures in (False, True))
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
        loop = asyncio.get_running_loop()
        loop.time = lambda: self.market.now_ns / SECOND  # type: ignore[method-assign]  # heartbeats, idle limits, credits
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
            answer = self._venues[endpoint.source].get(prefix + call.path, dict(call.params))
            driver.response(endpoint.source, self._moment(), call.tag, answer.body if answer.status == 200 else b"")


async def _settled(turns: int = 6) -> None:
    """Let the venues' readers and writers run until they wait again."""
    for _ in range(turns):
        await asyncio.sleep(0)


class HesitantWorker(InlineWorker):
    """Busy now and then, so that ticks are passed over as on a slow machine; which ones, only the journal knows."""

    def __init__(self) -> None:
        self._rng = random.Random(5)

    @property
    def busy(self) -> bool:
        return self._rng.random() < 0.05


def record(
    directory: Path,
    seconds: float,
    currencies: tuple[str, ...] = ("BTC",),
    *,
    eventful: bool = False,
    worker: InlineWorker | None = None,
    **options: Any,
) -> list[FlowSnapshot]:
    """Record a session of market time into `directory`; what its screen would have shown.

    Eventful: connections break and come back, and the user changes the position model.
    """
    session, params = SimulatedSession(currencies), FlowParams()
    shown: list[FlowSnapshot] = []
    about = session.about | {"params": msgspec.to_builtins(params)}
    with Recorder(directory, about, lambda: session.market.now_ns, **options) as recorder:
        driver = Driver(currencies, params, session.decoders(), shown.append, worker, recorder.offer)

        def each_second(now_ns: int) -> None:
            recorder.flush()
            second = (now_ns - START) // SECOND
            if eventful and second % 37 == 17:
                source = SOURCES[second % len(SOURCES)]
                driver.lost(source, now_ns, "connection broken off")
                driver.connected(source, now_ns + 1)
            if eventful and second % 61 == 31:
                model = ("naive", "flow", "short-all", "flow")[second // 61 % 4]
                driver.set_params(driver.params.with_positions(model), now_ns)

        asyncio.run(session.run(driver, seconds, each_second))
    assert recorder.dropped == 0
    return shown


def replay(directory: Path) -> list[FlowSnapshot]:
    shown: list[FlowSnapshot] = []
    play_through(Recording(directory, None), shown.append)
    return shown


def in_process(hash_seed: str, *words: str, timeout_s: float = 600.0) -> list[str]:
    """Digests of `record DIR SECONDS BTC,ETH` or of `replay DIR`, made by a process with a hash seed of its own."""
    env = {**os.environ, "PYTHONHASHSEED": hash_seed, "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.simulated_session", *words]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=timeout_s, check=True)
    return done.stdout.split()


def _main(what: str, directory: str, seconds: str = "", currencies: str = "BTC") -> None:
    if what == "record":
        names, worker = tuple(currencies.split(",")), HesitantWorker()
        shown = record(Path(directory), float(seconds), names, eventful=True, worker=worker, segment_bytes=8 << 20)
    else:
        shown = replay(Path(directory))
    print("\n".join(snapshot.digest() for snapshot in shown))


if __name__ == "__main__":
    _main(*sys.argv[1:])
