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
from dfmon.engine.driver import Driver, Worker
from dfmon.model.snapshot import FlowSnapshot
from dfmon.model.units import HOUR, MILLISECOND, SECOND
from dfmon.replay import RecordingSource, play_through
from dfmon.sim.binance.venue import BinanceVenue
from dfmon.sim.deribit.venue import DeribitVenue
from dfmon.sim.faults import Faults
from dfmon.sim.market.currency_market import MarketEvents
from dfmon.sim.market.director import ScriptDirector
from dfmon.sim.market.script import Script
from dfmon.sim.market.simulated_market import SimulatedMarket
from dfmon.sim.okx.venue import OkxVenue
from dfmon.store.recorder import Recorder
from dfmon.venues.options import OptionsVenue
from dfmon.venues.protocol import Endpoint
from dfmon.venues.registry import endpoints, expected_markets, options_title
from dfmon.venues.spec import Address, PollSettings

ROOT = Path(__file__).resolve().parents[1]
START = 1_795_305_600 * SECOND + 12 * HOUR  # Sunday 22 November 2026, 12:00 UTC
SOURCES = ("deribit", "binance.spot", "binance.public", "binance.market", "okx")
MICROSECOND = 1_000
STEP = 100 * MILLISECOND
MAX_MARKET_STEP = 5 * SECOND  # a pull of a script lasts a minute
SIM_ADDRESSES = {source: Address("ws://sim", "http://sim") for source in SOURCES} | {
    "okx": Address("ws://sim/ws/v5/public", "http://sim")
}


class Pipe:
    """Both ends of a connection: what a venue of the simulator asks of its socket, and what a client does with it."""

    def __init__(self, path: str) -> None:
        self.request = SimpleNamespace(path=path)
        self.transport = SimpleNamespace(abort=self.close_now)
        self.closed = False
        self._outgoing: asyncio.Queue[str | None] = asyncio.Queue()
        self._incoming: list[bytes] = []

    def push(self, text: str) -> None:
        self._outgoing.put_nowait(text)

    def drain(self) -> list[bytes]:
        drained, self._incoming = self._incoming, []
        return drained

    def close_now(self) -> None:
        self.closed = True
        self._outgoing.put_nowait(None)

    async def close(self, *_reason: object) -> None:
        self.close_now()

    async def send(self, frame: bytes | str, text: bool = True) -> None:
        self._incoming.append(frame.encode() if isinstance(frame, str) else frame)

    async def __aiter__(self) -> AsyncIterator[str]:
        while (text := await self._outgoing.get()) is not None:
            yield text


class SimulatedSession:
    """Drives `driver` through market time, as connections and timer would; every call comes at a time of its own.

    The market publishes every `step_ns`, and a tick comes every `tick_ns`; a `script` leads the market.
    """

    def __init__(
        self,
        currencies: tuple[str, ...],
        *,
        seed: int = 7,
        history: float = 0.02,
        script: Script | None = None,
        step_ns: int = STEP,
        tick_ns: int = SECOND,
    ) -> None:
        self.currencies, self._step_ns, self._tick_ns = currencies, step_ns, tick_ns
        self.market = SimulatedMarket(seed, START, currencies, history, script, min(step_ns, MAX_MARKET_STEP))
        self.endpoints: list[Endpoint] = endpoints(currencies, SOURCES, SIM_ADDRESSES, self.pace)
        clock = self._clock
        faults = self._faults = Faults()
        self.on_events: Callable[[MarketEvents], None] = lambda _: None
        deribit, okx = DeribitVenue(self.market, clock, faults), OkxVenue(self.market, clock, faults)
        spot, futures = (BinanceVenue(self.market, clock, faults, futures=futures) for futures in (False, True))
        self._venues: dict[str, Any] = dict(zip(SOURCES, (deribit, spot, futures, futures, okx)))
        self._now = self.market.start_ns
        self._steps = 0

    @property
    def pace(self) -> PollSettings:
        return PollSettings(summary_s=5.0, look_back_s=12 * 3600.0)

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

    def _next_time(self) -> int:
        """Later than the last, and not before the market's own time."""
        self._now = max(self._now + MICROSECOND, self.market.now_ns)
        return self._now

    async def run(self, driver: Driver, seconds: float, each_second: Callable[[int], None] = lambda _: None) -> None:
        loop = asyncio.get_running_loop()
        # heartbeats, idle limits, credits; a client that answers at the next step must not miss the venue's time-outs
        loop.time = lambda: self._steps * min(self._step_ns, SECOND) / SECOND  # type: ignore[method-assign]
        pipes = {e.source: Pipe(e.url.removeprefix("ws://sim")) for e in self.endpoints}
        connections = [asyncio.create_task(self._venues[source].serve_client(pipe)) for source, pipe in pipes.items()]
        await _let_tasks_run()
        for endpoint in self.endpoints:
            driver.connected(endpoint.source, self._next_time())
        venues = list(dict.fromkeys(self._venues.values()))
        try:
            for count in range(1, round(seconds * SECOND / self._step_ns) + 1):
                self.market.advance(self.market.now_ns + self._step_ns)
                self._steps = count
                events = self.market.drain_events()
                self._mute(self.market.director)
                self.on_events(events)
                for venue in venues:
                    venue.publish(count * self._step_ns // STEP, events)
                await _let_tasks_run()
                start = count % len(self.endpoints)  # the order of arrival differs from step to step
                for endpoint in (*self.endpoints[start:], *self.endpoints[:start]):
                    self._exchange(driver, endpoint, pipes[endpoint.source])
                if self.market.now_ns % self._tick_ns == 0:
                    for endpoint in self.endpoints:
                        driver.timer(endpoint.source, self._next_time())
                    driver.request_tick(self._next_time())
                    each_second(self.market.now_ns)
        finally:
            for pipe in pipes.values():
                pipe.close_now()
            await asyncio.gather(*connections)

    def _mute(self, director: ScriptDirector | None) -> None:
        phase = director.phase if director is not None else None
        self._faults.mute = ("",) if phase is not None and phase.feeds_lost else ()

    def read_archive(self, driver: Driver, max_calls: int = 1_000_000) -> None:
        """Reads full trade histories of the options that are listed by now, the largest open interest first."""
        protocol = self.endpoints[0].protocol
        assert isinstance(protocol, OptionsVenue)
        calls = 0
        for name in driver.by_open_interest():
            while name not in protocol.histories.complete and name not in protocol.histories.given_up:
                if calls >= max_calls:
                    return
                calls += 1
                call = protocol.histories.next_call(name)
                response = self._venues["deribit"].get("/api/v2" + call.path, dict(call.params))
                driver.response("deribit", self._next_time(), call.tag, response.body)

    def _exchange(self, driver: Driver, endpoint: Endpoint, pipe: Pipe) -> None:
        assert not pipe.closed, f"the venue closed {endpoint.source}"
        for frame in pipe.drain():
            driver.frame(endpoint.source, self._next_time(), frame)
        for text in endpoint.protocol.data_to_send():
            pipe.push(text)
        for call in endpoint.protocol.rest_calls():
            prefix = "/api/v2" if endpoint.source == "deribit" else ""
            response = self._venues[endpoint.source].get(prefix + call.path, dict(call.params))
            driver.response(
                endpoint.source, self._next_time(), call.tag, response.body if response.status == 200 else b""
            )


async def _let_tasks_run(rounds: int = 6) -> None:
    """Lets the venues' readers and writers run until they wait again."""
    for _ in range(rounds):
        await asyncio.sleep(0)


class HesitantWorker:
    """Computes at once and is busy now and then, so that ticks are passed over; which ones, only the journal knows."""

    def __init__(self) -> None:
        self._rng = random.Random(5)

    @property
    def busy(self) -> bool:
        return self._rng.random() < 0.05

    def submit(self, job: Callable[[], None], done: Callable[[], None]) -> None:
        job()
        done()


def record(
    directory: Path,
    seconds: float,
    currencies: tuple[str, ...] = ("BTC",),
    *,
    with_faults: bool = False,
    worker: Worker | None = None,
    step_ns: int = STEP,
    **options: Any,
) -> list[FlowSnapshot]:
    """Records a session of market time into `directory`; what its screen would have shown.

    Eventful: connections break and come back, and the user changes the position model.
    """
    session, params = SimulatedSession(currencies, step_ns=step_ns), FlowParams()
    snapshots: list[FlowSnapshot] = []
    about = session.about | {"params": msgspec.to_builtins(params)}
    with Recorder(directory, about, lambda: session.market.now_ns, **options) as recorder:
        decoders = session.decoders()
        driver = Driver(
            currencies,
            params,
            decoders,
            snapshots.append,
            worker,
            recorder.offer,
            options_sources=("deribit",),
            expected_markets=expected_markets(tuple(decoders)),
            options_venue=options_title(tuple(decoders)),
        )

        def each_second(now_ns: int) -> None:
            recorder.flush()
            second = (now_ns - START) // SECOND
            if with_faults and second % 37 == 17:
                source = SOURCES[second % len(SOURCES)]
                driver.lost(source, now_ns, "connection broken off")
                driver.connected(source, now_ns + 1)
            if with_faults and second % 61 == 31:
                model = ("naive", "flow", "short-all", "flow")[second // 61 % 4]
                driver.set_params(driver.params.with_positions(model), now_ns)

        asyncio.run(session.run(driver, seconds, each_second))
    assert recorder.dropped == 0
    return snapshots


def replay(directory: Path) -> list[FlowSnapshot]:
    snapshots: list[FlowSnapshot] = []
    play_through(RecordingSource(directory, None), snapshots.append)
    return snapshots


def in_process(hash_seed: str, *args: str, timeout_s: float = 600.0) -> list[str]:
    """Digests of `record DIR SECONDS BTC,ETH` or of `replay DIR`, made by a process with a hash seed of its own."""
    env = {**os.environ, "PYTHONHASHSEED": hash_seed, "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.simulated_session", *args]
    completed = subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=timeout_s, check=True
    )
    return completed.stdout.split()


def _main(command: str, directory: str, seconds: str = "", currencies: str = "BTC") -> None:
    if command == "record":
        names, worker = tuple(currencies.split(",")), HesitantWorker()
        snapshots = record(
            Path(directory), float(seconds), names, with_faults=True, worker=worker, segment_bytes=1 << 20
        )
    else:
        snapshots = replay(Path(directory))
    print("\n".join(snapshot.digest() for snapshot in snapshots))


if __name__ == "__main__":
    _main(*sys.argv[1:])
