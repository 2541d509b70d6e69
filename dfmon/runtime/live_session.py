"""A live session: connections to the venues, driver, recorder, history and sinks.

Owns the `Driver` and publishes into the hub, as one coroutine on the market's loop: in the main thread without a
screen, in a thread of its own beside one. Requests of the screen arrive through `submit`.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Final

from msgspec.structs import replace

from dfmon.aio import wait_until_set
from dfmon.core.step import FlowParams, FlowState
from dfmon.engine.checkpoint import PositionsCheckpoint, UnderlyingCheckpoint, encode_checkpoint
from dfmon.engine.driver import Driver
from dfmon.engine.hub import Request, Runtime, SnapshotHub
from dfmon.engine.journal import RecordKind
from dfmon.engine.stored_options import StoredOptions
from dfmon.model.events import OptionTrade, OptionTradeHistory
from dfmon.model.snapshot import FlowSnapshot, MetricRow
from dfmon.runtime.backfill import BackgroundBackfill
from dfmon.runtime.clock import WALL_CLOCK, SessionClock
from dfmon.runtime.conditions import ConditionLog, FeedCheck, GrowthCheck, StalenessCheck, sink_conditions
from dfmon.runtime.kernel_warmup import warm_up_kernels
from dfmon.runtime.sign_log import SignLog
from dfmon.sinks.base import Sink, supervise
from dfmon.store.history_interface import HistoryWriter
from dfmon.store.history_records import RecordCollector
from dfmon.store.positions_state import PositionsStateFile
from dfmon.store.recorder import Recorder
from dfmon.store.trades import OptionKey, TradeStore
from dfmon.venues import connection
from dfmon.venues.backoff import ConnectLimiter
from dfmon.venues.options import options_venues
from dfmon.venues.protocol import Endpoint
from dfmon.venues.registry import expected_markets, options_title
from dfmon.venues.rest.client import RestClient
from dfmon.venues.transport.base import Opener

log = logging.getLogger("dfmon")

COMPILE_DELAY_S: Final = 10.0  # a shorter session would not earn back what loading the kernels costs
SAVE_INTERVAL_S: Final = 60.0  # between two saves of the positions
_TICK_WAITS: Final = 4
_IDLE_POLL_S: Final = 0.005
_TIMER_RESOLUTION_S: Final = 0.001  # of uvloop, which does not wait at all for less than half of it
_MIN_TIMER_S: Final = 0.2  # wall time between two timers of a connection whose clock runs fast
_TRIM_THRESHOLD, _MMAP_THRESHOLD = (-1, 4 << 20), (-3, 1 << 20)  # parameters of glibc's mallopt, bytes


def limit_malloc_retention() -> None:
    """Has glibc return blocks of a megabyte and more to the system as soon as they are freed.

    By default its threshold rises with the blocks it sees, in a heap for each thread: memory that compression and the
    saving of positions need for a moment would stay resident. No effect with another C library.
    """
    with suppress(AttributeError):
        for option in (_TRIM_THRESHOLD, _MMAP_THRESHOLD):
            ctypes.CDLL(None).mallopt(*option)


class ThreadWorker:
    """Computes snapshots in one thread, so that a long step never delays the time stamp of a frame."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        pool: Executor | None = None,
        timer: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.busy = False
        self.last_step_ms = 0.0
        self._loop, self._timer = loop, timer
        self._pool = pool or ThreadPoolExecutor(1, "step")

    def submit(self, job: Callable[[], None], done: Callable[[], None]) -> None:
        self.busy = True
        started = self._timer()

        def finished(_: object) -> None:
            self.busy = False
            self.last_step_ms = (self._timer() - started) * 1e3
            done()

        self._loop.run_in_executor(self._pool, job).add_done_callback(finished)

    async def wait_idle(self) -> None:
        """Waits until the result of the last computation is delivered."""
        while self.busy:
            await asyncio.sleep(_IDLE_POLL_S)

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
        history: HistoryWriter | None = None,
        sinks: Sequence[Sink] = (),
        backfills: Mapping[str, BackgroundBackfill] | None = None,
        trades: TradeStore | None = None,
        state: PositionsStateFile | None = None,
        compiled: bool = False,
        disabled_venues: Sequence[str] = (),
        clock: SessionClock = WALL_CLOCK,
        transport: Opener | None = None,
        pool: Executor | None = None,
        timer: Callable[[], float] = time.perf_counter,
        rng: random.Random | None = None,
    ) -> None:
        """`disabled_venues` are shown with the feeds; `tick_s` is wall time, also where `clock` runs faster.

        `transport` and `rng` are those of `connection.run`; `pool` computes the snapshots, one at a time; `timer`
        measures durations, in seconds.
        """
        self.hub, self._clock = hub, clock
        self._transport, self._pool, self._timer, self._rng = transport, pool, timer, rng
        self.hub.add_listener(SignLog().on_snapshot)
        self._underlyings, self._endpoints, self._params, self._report = underlyings, endpoints, params, report
        self._tick_s, self._rest_pace_s = tick_s, rest_pace_s
        self._recorder, self._history, self._sinks = recorder, history, sinks
        self._backfills, self._trades, self._state = backfills or {}, trades, state
        self._compiled, self._disabled_venues = compiled, tuple(disabled_venues)
        self._record_collector = RecordCollector()
        self._previous_checkpoint: PositionsCheckpoint | None = None
        self._options = options_venues(endpoints)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._driver: Driver | None = None
        self._tick_ns = 0  # planned time of the last tick
        self._shed_frames: Counter[str] = Counter()
        self._condition_log, self._growth, self._staleness = ConditionLog(timer), GrowthCheck(), StalenessCheck()
        self._feed_check = FeedCheck(timer)
        self.losses: tuple[str, ...] = ()  # data that outputs and stores of this run lack; known after it

    @property
    def recorder(self) -> Recorder | None:
        """The recorder, if the session is recorded."""
        return self._recorder

    async def run(self, stop: asyncio.Event) -> None:
        """Runs until `stop`; every socket, file and thread is closed on return."""
        limit_malloc_retention()
        if self._disabled_venues:
            log.info("disabled: %s", ", ".join(self._disabled_venues))
        loop = self._loop = asyncio.get_running_loop()
        worker = ThreadWorker(loop, self._pool, self._timer)
        decoders = {endpoint.source: endpoint.protocol for endpoint in self._endpoints}
        driver = self._driver = Driver(
            self._underlyings,
            self._params,
            decoders,
            self.hub.publish,
            worker,
            self._recorder.offer if self._recorder else None,
            self._report,
            self._store_trades if self._trades is not None else None,
            options_sources=tuple(self._options),
            expected_markets=expected_markets(tuple(decoders)),
            options_venue=options_title(tuple(decoders)),
            disabled_venues=self._disabled_venues,
        )
        if self._history is not None:
            self.hub.add_listener(partial(self._append_history, self._history, driver))
        await self._restore(driver)
        try:
            async with RestClient(pace_s=self._rest_pace_s) as rest, asyncio.TaskGroup() as tasks:
                limiter, outputs_stop = ConnectLimiter(), asyncio.Event()
                for endpoint in self._endpoints:
                    connection_run = connection.run(
                        endpoint, driver, rest, self._clock.now_ns, stop,
                        limiter=limiter, dropped=self._shed_frames, tick_s=max(1.0 / self._clock.speed, _MIN_TIMER_S),
                        transport=self._transport, timer=self._timer, rng=self._rng,
                    )  # fmt: skip
                    tasks.create_task(connection_run)
                for sink in self._sinks:
                    tasks.create_task(supervise(sink, self.hub, outputs_stop))
                tasks.create_task(self._tick(driver, worker, stop, outputs_stop))
                if self._compiled:
                    tasks.create_task(self._use_compiled_kernels(driver, stop))
                if self._state is not None:
                    tasks.create_task(self._save_periodically(driver, self._state, stop))
                for source, backfill in self._backfills.items():
                    tasks.create_task(backfill.run(driver, self._options[source], self._clock.now_ns, stop))
        finally:
            self._loop = None
            worker.close()
            await asyncio.sleep(0)  # lets the last computation deliver its result
            self._close_stores(driver)

    def _close_stores(self, driver: Driver) -> None:
        """Saves the positions, closes every store, and sums up the losses."""
        if self._state is not None:
            self._save_positions(driver.flow_states(), driver.stored_options(), self._state)
            self._state.close()
        failures = self._store_conditions()
        for store in (self._recorder, self._history, self._trades):
            if store is not None:
                store.close()
        self.losses = tuple(self._describe_losses(failures))

    async def _tick(
        self, driver: Driver, worker: ThreadWorker, stop: asyncio.Event, outputs_stop: asyncio.Event
    ) -> None:
        """A tick at every whole multiple of the interval, and the facts about the process beside it.

        Outputs stop once they have the snapshot of the last tick.
        """
        frames, measured_at = 0, self._timer()
        while not await self._wait_next_tick(stop):
            driver.request_tick(self._clock.now_ns())
            now = self._timer()
            self.hub.runtime = self._runtime(driver, worker, (driver.frames - frames) / (now - measured_at))
            frames, measured_at = driver.frames, now
        await worker.wait_idle()
        outputs_stop.set()

    async def _wait_next_tick(self, stop: asyncio.Event) -> bool:
        """Waits until the next multiple of the interval. True at a stop.

        A simulated clock may lag behind its speed, which takes a second wait; one that was set back or stands still
        must not hold up the tick.
        """
        tick_ns = self._tick_ns = self._clock.next_multiple_ns(self._tick_s, self._tick_ns)
        for _ in range(_TICK_WAITS):
            wait_s = self._clock.seconds_until(tick_ns)
            if not 0.0 < wait_s <= self._tick_s:
                break
            if await wait_until_set(stop, max(wait_s, _TIMER_RESOLUTION_S)):
                return True
        return stop.is_set()

    def _runtime(self, driver: Driver, worker: ThreadWorker, rate: float) -> Runtime:
        recorder = self._recorder
        return Runtime(
            dropped=recorder.dropped if recorder else 0,
            shed_frames=tuple(sorted(self._shed_frames.items())),
            overruns=driver.overruns,
            step_ms=worker.last_step_ms,
            compiled=driver.params.compiled,
            frames_per_s=rate,
            recorded_bytes=recorder.written_bytes if recorder else None,
            sinks=tuple(str(sink.status()) for sink in self._sinks),
            degraded=self._check_conditions(),
            interval_s=self._tick_s,
            note=self._describe_stores(),
            backfill=next((b.progress for b in self._backfills.values() if b.progress), None),
        )

    def _describe_stores(self) -> str:
        """The errors and notices of the files of this run, empty for none."""
        stores = [store for store in (self._history, self._trades) if store is not None]
        errors = [self._recorder.failure] if self._recorder is not None else []
        errors += [store.failure for store in stores]
        errors += [text for store in stores for text in (store.notice, store.waiting)]
        errors += [self._state.error] if self._state is not None else []
        return "; ".join(filter(None, errors))

    def _check_conditions(self) -> tuple[str, ...]:
        """Logs conditions that begin or end. Returns those that hold now."""
        snapshots = [s for name in self._underlyings if (s := self.hub.latest(name)) is not None]
        conditions = self._store_conditions()
        for name, store in (("history", self._history), ("trades", self._trades)):
            if store is not None and store.notice:
                conditions[f"{name} damaged"] = store.notice
            if store is not None and store.waiting:
                conditions[f"{name} waiting"] = store.waiting
        conditions.update(sink_conditions([sink.status() for sink in self._sinks]))
        conditions.update(self._feed_check.conditions(snapshots[0].feeds if snapshots else ()))
        conditions.update(self._staleness.conditions(snapshots))
        if self._growth.has_grown("frames", self._shed_frames.total()):
            conditions["overload"] = f"{self._shed_frames.total():,} frames left out so far"
        for backfill in self._backfills.values():
            if backfill.progress is not None and backfill.progress.error:
                conditions["backfill"] = backfill.progress.error
        self._condition_log.update(conditions)
        return tuple(f"{key}: {text}" for key, text in conditions.items())

    def _store_conditions(self) -> dict[str, str]:
        """Stores that cannot be written, by name."""
        stores = {"recording": self._recorder, "history": self._history, "trades": self._trades}
        conditions = {name: store.failure for name, store in stores.items() if store is not None and store.failure}
        if self._state is not None and self._state.error:
            conditions["positions"] = self._state.error
        dropped = self._recorder.dropped if self._recorder is not None else 0
        if self._growth.has_grown("records", dropped) and "recording" not in conditions:
            conditions["recording"] = f"the disk is too slow, {dropped:,} records left out so far"
        return conditions

    def _describe_losses(self, failures: Mapping[str, str]) -> Iterator[str]:
        """Sentences for data that were offered to a store or an output, and are not there."""
        if self._recorder is not None and (self._recorder.dropped or self._recorder.failure):
            reason = f": {self._recorder.failure}" if self._recorder.failure else ""
            yield f"the recording lacks {self._recorder.dropped:,} records{reason}"
        for name, store in (("history", self._history), ("trades", self._trades)):
            if store is not None and (store.dropped or name in failures):
                reason = f": {failures[name]}" if name in failures else ""
                yield f"{store.dropped:,} rows of the {name} are lost{reason}"
        if "positions are not saved" in failures.get("positions", ""):
            yield failures["positions"]
        for sink in self._sinks:
            if sink.progress.lost:
                yield f"{sink.progress.lost:,} snapshots are missing in the output {sink.name}"

    async def _use_compiled_kernels(self, driver: Driver, stop: asyncio.Event) -> None:
        """Switches the pricing from numpy to compiled kernels once they are ready.

        The switch is a record of the journal, so that a replay makes it at the same tick.
        """
        if not await wait_until_set(stop, COMPILE_DELAY_S) and await warm_up_kernels(stop):
            driver.use_compiled(self._clock.now_ns())

    async def _restore(self, driver: Driver) -> None:
        """Restores the positions of the last run, or at least the time of its last prints."""
        if self._state is None:
            return
        self._state.lock()
        checkpoint = self._previous_checkpoint = await asyncio.to_thread(self._state.load)
        if checkpoint is None and self._trades is not None:
            newest_by_underlying = await asyncio.to_thread(self._trades.newest_ms)
            checkpoint = self._make_checkpoint({}, {}, self._state)
            checkpoint = replace(
                checkpoint,
                underlyings={name: UnderlyingCheckpoint(b"", ms) for name, ms in newest_by_underlying.items()},
            )
        if checkpoint is not None and checkpoint.underlyings:
            for source in self._options:
                driver.ingest(RecordKind.STATE, source, self._clock.now_ns(), encode_checkpoint(checkpoint))

    def _make_checkpoint(
        self, states: Mapping[str, FlowState], options: Mapping[str, StoredOptions], state_file: PositionsStateFile
    ) -> PositionsCheckpoint:
        return PositionsCheckpoint.from_states(
            state_file.exchange, state_file.rests_on, self._clock.now_ns(), states, self._previous_checkpoint, options
        )

    def _save_positions(
        self, states: Mapping[str, FlowState], options: Mapping[str, StoredOptions], state_file: PositionsStateFile
    ) -> None:
        state_file.save(self._make_checkpoint(states, options, state_file))

    async def _save_periodically(self, driver: Driver, state_file: PositionsStateFile, stop: asyncio.Event) -> None:
        """Saves the positions once a minute, so that a crash costs at most a minute."""
        while not await wait_until_set(stop, SAVE_INTERVAL_S):
            states, options = driver.flow_states(), driver.stored_options()  # immutable, and copies
            await asyncio.to_thread(self._save_positions, states, options, state_file)

    def _store_trades(self, event: OptionTrade | OptionTradeHistory) -> None:
        """Appends prints and full histories to the trade store."""
        option = next((o for venue in self._options.values() if (o := venue.options.get(event.name))), None)
        if self._trades is None or option is None:
            return
        is_full_history = isinstance(event, OptionTradeHistory)
        trades = event.trades if isinstance(event, OptionTradeHistory) else (event,)
        self._trades.append_trades(
            OptionKey(option.name, option.underlying, option.expiry_ns), trades, self._clock.now_ns() * is_full_history
        )

    def _append_history(self, history: HistoryWriter, driver: Driver, snapshot: FlowSnapshot) -> None:
        """Appends a row of history for each tick, and what its logs have new; a stale tick leaves a gap."""
        state = driver.flow_states()[snapshot.underlying]
        history.append_records(self._record_collector.collect(state, snapshot))
        if snapshot.spot is not None and snapshot.state != "stale":
            history.append_row(snapshot.underlying, MetricRow.from_snapshot(snapshot))

    def submit(self, request: Request) -> None:
        """Takes a request from any thread; it is applied on the market's loop, between two frames."""
        loop = self._loop
        if loop is not None:
            loop.call_soon_threadsafe(self._apply, request)

    def _apply(self, request: Request) -> None:
        if self._driver is not None and request.kind == "positions":
            self._driver.set_params(self._driver.params.with_positions(request.value), self._clock.now_ns())
