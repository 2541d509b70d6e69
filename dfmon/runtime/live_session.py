"""A running market: live from the venues, with its recorder, history and sinks.

Owns the `Driver` and publishes into the hub, as one coroutine on the market's loop: the main thread without a screen,
a thread of its own beside one. Wishes of the screen arrive as small messages through `wish`. `replay` is its sibling.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final

from msgspec.structs import replace

from dfmon.core.positions.inventory import Inventory
from dfmon.core.step import FlowParams
from dfmon.engine.checkpoint import Held, Memory, pack
from dfmon.engine.driver import Driver
from dfmon.engine.hub import Request, Runtime, SnapshotHub
from dfmon.engine.journal import RecordKind
from dfmon.model.events import OptionLife, OptionTrade
from dfmon.model.snapshot import FlowSnapshot, MetricRow
from dfmon.model.units import SECOND
from dfmon.runtime.backfill import SOURCE, Background
from dfmon.runtime.kernel_warmup import made_ready
from dfmon.sinks.base import Sink, supervise
from dfmon.store.history import History
from dfmon.store.positions_state import StateFile
from dfmon.store.recorder import Recorder
from dfmon.store.trades import Named, TradeStore
from dfmon.venues import connection
from dfmon.venues.backoff import Gate
from dfmon.venues.deribit.protocol import DeribitProtocol
from dfmon.venues.protocol import Endpoint
from dfmon.venues.rest.client import RestClient

log = logging.getLogger("dfmon")

COMPILE_AFTER_S: Final = 10.0  # a shorter session would not earn back what loading the kernels costs
SAVE_S: Final = 60.0  # between two writings of the positions
_TRIM, _LARGE = (-1, 4 << 20), (-3, 1 << 20)  # parameters of glibc's mallopt, bytes


def return_large_blocks() -> None:
    """Have the C library give blocks of a megabyte and more back to the system as soon as they are freed.

    Left alone, glibc learns to keep ever larger ones, in a heap for each thread: what the journal's compression and the
    writing of the positions need for a moment would stay resident for good. With another C library nothing happens.
    """
    with suppress(AttributeError):
        for parameter in (_TRIM, _LARGE):
            ctypes.CDLL(None).mallopt(*parameter)


class ThreadWorker:
    """Computes snapshots in one thread, so that a long step never delays the time stamp of a frame."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.busy = False
        self.last_ms = 0.0
        self._loop = loop
        self._pool = ThreadPoolExecutor(1, "step")

    def submit(self, job: Callable[[], None], done: Callable[[], None]) -> None:
        self.busy = True
        started = time.perf_counter()

        def finished(_: object) -> None:
            self.busy = False
            self.last_ms = (time.perf_counter() - started) * 1e3
            done()

        self._loop.run_in_executor(self._pool, job).add_done_callback(finished)

    def close(self) -> None:
        self._pool.shutdown(wait=True)


class LiveSession:
    """Connections, driver, recorder, history and sinks of one run."""

    def __init__(
        self,
        underlyings: tuple[str, ...],
        endpoints: Sequence[Endpoint],
        params: FlowParams,
        hub: SnapshotHub,
        report: Callable[[Exception], None],
        *,
        tick_s: float = 1.0,
        rest_pace_s: float = 0.25,
        recorder: Recorder | None = None,
        history: History | None = None,
        sinks: Sequence[Sink] = (),
        backfill: Background | None = None,
        trades: TradeStore | None = None,
        state: StateFile | None = None,
        compiled: bool = False,
    ) -> None:
        self.hub = hub
        self._underlyings, self._endpoints, self._params, self._report = underlyings, endpoints, params, report
        self._tick_s, self._rest_pace_s = tick_s, rest_pace_s
        self._recorder, self._history, self._sinks = recorder, history, sinks
        self._backfill, self._trades, self._state = backfill, trades, state
        self._compiled = compiled
        self._before: Memory | None = None
        self._options = next((e.protocol for e in endpoints if isinstance(e.protocol, DeribitProtocol)), None)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._driver: Driver | None = None
        self._rows_s: dict[str, int] = {}
        self._left_out: Counter[str] = Counter()

    @property
    def recorder(self) -> Recorder | None:
        """Where the session is recorded, if it is."""
        return self._recorder

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop`; every socket, file and thread is closed on return."""
        return_large_blocks()
        loop = asyncio.get_running_loop()
        worker = ThreadWorker(loop)
        driver = Driver(
            self._underlyings,
            self._params,
            {endpoint.source: endpoint.protocol for endpoint in self._endpoints},
            self.hub.publish,
            worker,
            self._recorder.offer if self._recorder else None,
            self._report,
            self._keep if self._trades is not None else None,
        )
        self._driver, self._loop = driver, loop
        if self._history is not None:
            self.hub.listen(self._remember)
        await self._restore(driver)
        try:
            async with RestClient(pace_s=self._rest_pace_s) as rest, asyncio.TaskGroup() as tasks:
                gate = Gate()
                for endpoint in self._endpoints:
                    life = connection.run(endpoint, driver, rest, time.time_ns, stop, gate=gate, dropped=self._left_out)
                    tasks.create_task(life)
                for sink in self._sinks:
                    tasks.create_task(supervise(sink, self.hub, stop))
                tasks.create_task(self._tick(driver, worker, stop))
                if self._compiled:
                    tasks.create_task(self._compile(driver, stop))
                if self._state is not None:
                    tasks.create_task(self._save_now_and_then(driver, self._state, stop))
                if self._backfill is not None and self._options is not None:
                    tasks.create_task(self._backfill.run(driver, self._options.lives, time.time_ns, stop))
        finally:
            self._loop = None
            worker.close()
            await asyncio.sleep(0)  # the last computation hands its result over
            if self._state is not None:
                self._save(driver.inventories(), self._state)
                self._state.close()
            if self._recorder:
                self._recorder.close()
            if self._history:
                self._history.close()
            if self._trades:
                self._trades.close()

    async def _tick(self, driver: Driver, worker: ThreadWorker, stop: asyncio.Event) -> None:
        """A tick at every whole multiple of the interval, and the facts about the process beside it."""
        interval = int(self._tick_s * SECOND)
        frames, at = 0, time.monotonic()
        while not stop.is_set():
            try:
                async with asyncio.timeout((interval - time.time_ns() % interval) / SECOND):
                    await stop.wait()
            except TimeoutError:
                driver.on_timer(time.time_ns())
                now = time.monotonic()
                self.hub.runtime = self._runtime(driver, worker, (driver.frames - frames) / (now - at))
                frames, at = driver.frames, now

    def _runtime(self, driver: Driver, worker: ThreadWorker, rate: float) -> Runtime:
        recorder = self._recorder
        troubles = [part.failed for part in (recorder, self._history, self._trades) if part and part.failed]
        if self._state is not None and self._state.trouble:
            troubles.append(self._state.trouble)
        return Runtime(
            dropped=recorder.dropped if recorder else 0,
            left_out=tuple(sorted(self._left_out.items())),
            overruns=driver.overruns,
            step_ms=worker.last_ms,
            compiled=driver.params.compiled,
            frames_per_s=rate,
            recorded_bytes=recorder.written_bytes if recorder else None,
            sinks=tuple(str(sink.status()) for sink in self._sinks),
            note="; ".join(troubles),
            backfill=self._backfill.progress if self._backfill else None,
        )

    async def _compile(self, driver: Driver, stop: asyncio.Event) -> None:
        """Hand the pricing over to compiled kernels, once they are ready: numpy prices until then.

        When they took over stands in the journal, so that a replay changes over at the same tick.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(COMPILE_AFTER_S):
                await stop.wait()
        if not stop.is_set() and await made_ready(stop):
            driver.use_compiled(time.time_ns())

    async def _restore(self, driver: Driver) -> None:
        """What the last run left, or at least where its prints end."""
        if self._state is None:
            return
        self._state.take()
        memory = self._before = await asyncio.to_thread(self._state.read)
        if self._state.trouble:
            log.warning("%s", self._state.trouble)
        if memory is None and self._trades is not None:
            newest = await asyncio.to_thread(self._trades.newest_ms)
            memory = self._memory(driver.inventories(), self._state)
            memory = replace(memory, held={name: Held(b"", ms) for name, ms in newest.items()})
        if memory is not None and memory.held:
            driver.ingest(RecordKind.STATE, SOURCE, time.time_ns(), pack(memory))

    def _memory(self, inventories: Mapping[str, Inventory], file: StateFile) -> Memory:
        return Memory.of(file.exchange, file.rests_on, time.time_ns(), inventories, self._before)

    def _save(self, inventories: Mapping[str, Inventory], file: StateFile) -> None:
        file.write(self._memory(inventories, file))

    async def _save_now_and_then(self, driver: Driver, file: StateFile, stop: asyncio.Event) -> None:
        """Positions once a minute, so that a crash costs no more than that."""
        while not stop.is_set():
            try:
                async with asyncio.timeout(SAVE_S):
                    await stop.wait()
            except TimeoutError:
                await asyncio.to_thread(self._save, driver.inventories(), file)  # they never change

    def _keep(self, event: OptionTrade | OptionLife) -> None:
        """Prints and whole histories into the trade store."""
        if self._trades is None or self._options is None:
            return
        option = self._options.listings.options.get(event.name)
        if option is None:
            return
        whole = isinstance(event, OptionLife)
        trades = event.trades if isinstance(event, OptionLife) else (event,)
        self._trades.append(Named(option.name, option.underlying, option.expiry_ns), trades, time.time_ns() * whole)

    def _remember(self, snapshot: FlowSnapshot) -> None:
        """One row of history a second, however fast the ticks are."""
        second = snapshot.ts_ns // SECOND
        if self._history is None or snapshot.spot is None or self._rows_s.get(snapshot.underlying) == second:
            return
        self._rows_s[snapshot.underlying] = second
        self._history.append(snapshot.underlying, MetricRow.of(snapshot))

    def wish(self, request: Request) -> None:
        """Take a wish from any thread; it is applied on the market's loop, between two frames."""
        loop = self._loop
        if loop is not None:
            loop.call_soon_threadsafe(self._apply, request)

    def _apply(self, request: Request) -> None:
        if self._driver is not None and request.kind == "positions":
            self._driver.set_params(self._driver.params.with_positions(request.value), time.time_ns())
