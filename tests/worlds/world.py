"""Runs a plan: the simulated exchange, the network, the machine and dfmon in one loop, and the checks all along.

Everything that is random comes from the seed of the plan, also what libraries draw. A world is run in a process of its
own (`runs`): what was killed in it stays where it was, as its coroutines must never run on.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
import re
import resource
import secrets
import shutil
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from dfmon.cli import demo
from dfmon.config import Config
from dfmon.engine.hub import Request
from dfmon.model.snapshot import FlowSnapshot
from dfmon.model.units import HOUR, SECOND
from dfmon.sim.server import SimConfig, SimServer
from tests.worlds import ending, invariants
from tests.worlds.coverage import Coverage
from tests.worlds.disk import Disk
from tests.worlds.faults import FAULTS, HOSTS, Strike
from tests.worlds.layers import Layers
from tests.worlds.loop import DeadlockError, WorldLoop
from tests.worlds.network import Line, Network
from tests.worlds.outputs import RedisServer, read_snapshots
from tests.worlds.plan import Injection, Plan
from tests.worlds.session import TOKEN, SessionRun

NOON: Final = 1_795_305_600 * SECOND + 12 * HOUR  # Sunday 22 November 2026, 12:00 UTC
MAX_RESIDENT_MB: Final = 700  # of the whole world, its exchange and recordings of libraries among it
_REDIS_PORT: Final = 6379
_MAX_FAILURES: Final = 20
_DRIFT_STEP_S: Final = 0.5
_SUMMARY_S: Final = 10.0  # between two polls of open interest
_LOOK_BACK_S: Final = 30.0  # after a fault, for what it changed


class Outcome(msgspec.Struct, frozen=True):
    """What became of a world: failures, none if all held; the digest of all snapshots; what was covered."""

    plan: Plan
    failures: tuple[str, ...]
    digest: str
    trace: str
    snapshots: int
    virtual_s: float
    cpu_s: float
    resident_mb: float
    coverage: Coverage


class World:
    """The surroundings of a session. `effects` counts what faults did, apart from those of the lines."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan, self.folder = plan, folder
        self.loop = WorldLoop(self.rng("timers"))
        self.network = Network(self.loop, self.rng("network"))
        self.disk = Disk(self.rng("disk"), self.note_disk_failure)
        self.coverage = Coverage()
        self.failures: list[str] = []
        self._failed_kinds: set[str] = set()
        self.effects = 0
        self.wall_offset_ns = 0
        self.read_cost_s = 0.0
        self.slowness = 1.0
        self.layers = Layers(self)
        self.redis = RedisServer()
        self.redis_layers = Layers(self.redis)
        self.redis_port = _REDIS_PORT
        self.runs: list[SessionRun] = []
        self.quiet_since_s = 0.0  # no fault since; infinite while there is one
        self.disk_failed = self.clock_changed = False
        self._active: list[str] = []
        self._digest = hashlib.sha256()
        self._drift, self._timer_reads = 0.0, 0
        self._main: asyncio.Task[Any] | None = None
        self._tasks: list[asyncio.Task[Any]] = []
        self._ports: dict[str, int] = {}

    def rng(self, name: str) -> random.Random:
        """Random numbers of their own, so that one use changes no other."""
        return random.Random(f"{self.plan.seed} {name}")

    # ---- the machine -----------------------------------------------------------------------------------------------

    def wall_ns(self) -> int:
        return NOON + int(self.loop.time() * SECOND) + self.wall_offset_ns

    def read_timer(self) -> float:
        """The timer of the program; reading it costs the time of a slow processor."""
        if self.read_cost_s:
            self.count_effect()
            self.loop.spend(self.read_cost_s)
        self._timer_reads += 1
        return self.loop.time() + self._timer_reads * 1e-9  # two readings differ, as those of any machine

    def step_clock(self, step_ns: int) -> None:
        self.clock_changed = True
        self.wall_offset_ns += step_ns

    def drift(self, rate: float) -> Callable[[], None]:
        self.clock_changed = True
        self._drift += rate

        def end() -> None:
            self._drift -= rate

        return end

    def drift_venues(self, rate: float) -> Callable[[], None]:
        """The clocks of the venues run faster than they should; at the end they jump back."""
        self.clock_changed = True
        start_s = self.loop.time()
        remove = self.exchange_layers.push(skew_s=0.0)

        async def run() -> None:
            nonlocal remove
            while True:
                await asyncio.sleep(_DRIFT_STEP_S)
                remove()
                remove = self.exchange_layers.push(skew_s=rate * (self.loop.time() - start_s))

        stop = self.run_beside(run())

        def end() -> None:
            stop()
            remove()

        return end

    def run_beside(self, work: Coroutine[Any, Any, None]) -> Callable[[], None]:
        """Runs work of a fault until the result is called; what it raises is a failure of the world."""
        task = self.loop.create_task(work)
        self._tasks.append(task)
        task.add_done_callback(self._on_end_of_work)

        def end() -> None:
            task.cancel()

        return end

    def _on_end_of_work(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (exc := task.exception()) is not None:
            self.fail(f"a user met {describe(exc)}")

    def count_effect(self) -> None:
        self.effects += 1

    @property
    def is_ever_slow(self) -> bool:
        """True for a world whose processor is slow for a while, by its plan."""
        return any(injection.fault in ("overload", "slow-steps") for injection in self.plan.injections)

    def note_disk_failure(self) -> None:
        self.disk_failed = True
        self.count_effect()

    async def _run_clock(self) -> None:
        while True:
            await asyncio.sleep(_DRIFT_STEP_S)
            self.wall_offset_ns += int(self._drift * _DRIFT_STEP_S * SECOND)

    # ---- hosts -----------------------------------------------------------------------------------------------------

    @property
    def redis_line(self) -> Line:
        return self.network.line(self.redis_port)

    def lines(self, host: str) -> list[Line]:
        return [self.network.line(self._ports[name]) for name in ((host,) if host else HOSTS)]

    def start_readers(self, count: int) -> Callable[[], None]:
        received: list[bytes] = []
        self.count_effect()
        rng = self.rng(f"readers {len(self._tasks)}")
        readers = [
            self.loop.create_task(read_snapshots(self.run.rest.port, TOKEN, rng, received)) for _ in range(count)
        ]
        self._tasks += readers

        def end() -> None:
            for reader in readers:
                reader.cancel()
            for text in received:
                invariants.check_text(self, text.decode(errors="replace"), "a response")

        return end

    # ---- the program -----------------------------------------------------------------------------------------------

    @property
    def run(self) -> SessionRun:
        return self.runs[-1]

    def start(self) -> None:
        before = self.runs[-1].folder if self.runs else None
        folder = self.folder / f"run-{len(self.runs)}"
        if before is not None and before.exists():
            shutil.copytree(before, folder)  # the disk as the last run left it, of which a killed one still has files
        self.runs.append(SessionRun(self, len(self.runs), folder))

    def kill(self, steps: int, down_s: float, flips: int = 0) -> None:
        """Kills the program between two of its awaits, and starts it again after a while."""
        run = self.run
        if run.process.alive:
            self.loop.after_steps(steps, run.process, lambda: self._kill(run, down_s, flips))

    def _kill(self, run: SessionRun, down_s: float, flips: int) -> None:
        if not run.process.alive or run.task.done():
            return
        self.loop.kill(run.process)
        run.forget()
        self.coverage.transitions["process: running > killed"] += 1
        self.loop.call_later(down_s, self._start_after_kill, flips)

    def _start_after_kill(self, flips: int) -> None:
        self.start()
        if flips:
            self.disk.flip_bits(self.run.folder, flips)

    def restart(self) -> None:
        """Stops the program as at a signal, and starts it again."""
        run = self.run
        if run.process.alive:
            self._tasks.append(self.loop.create_task(self._restart(run)))

    async def _restart(self, run: SessionRun) -> None:
        await self._stop(run)
        if run is self.run and run.process.alive:
            self.start()

    async def _stop(self, run: SessionRun) -> None:
        try:
            async with asyncio.timeout(60):
                await run.stop()
        except TimeoutError:
            self.fail("the session has not stopped after 60 s")

    def request_positions(self, model: str) -> None:
        if self.run.process.alive and hasattr(self.run, "session"):
            self.run.session.submit(Request("positions", model))

    # ---- checks ----------------------------------------------------------------------------------------------------

    def fail(self, text: str) -> None:
        kind = re.sub(r"[\d.,]+", "#", text)
        if kind not in self._failed_kinds and len(self.failures) < _MAX_FAILURES:
            self._failed_kinds.add(kind)
            self.failures.append(f"{self.loop.time():.3f} s [{', '.join(self._active) or 'no fault'}]: {text}")

    def on_end_of_run(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (exc := task.exception()) is not None:
            logging.getLogger("worlds").error("the session ended", exc_info=exc)
            self.fail(f"the session raised {describe(exc)}")
            if self._main is not None:
                self._main.cancel()

    def report(self, exc: Exception) -> None:
        self.fail(f"the engine raised {type(exc).__name__}: {exc}")

    def on_snapshot(self, run: SessionRun, before: FlowSnapshot | None, snapshot: FlowSnapshot, text: bytes) -> None:
        self._digest.update(run.digests[-1].encode())
        self.coverage.add_snapshot(before, snapshot)
        try:
            invariants.check_snapshot(self, run, before, snapshot, text)
        except Exception as exc:
            self.fail(f"a check raised {type(exc).__name__}: {exc}")

    def _on_loop_error(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        exc = context.get("exception")
        self.fail(f"an exception escaped: {context['message']}: {type(exc).__name__}: {exc}")

    # ---- time ------------------------------------------------------------------------------------------------------

    async def main(self) -> None:
        self._main = asyncio.current_task()
        self.loop.set_exception_handler(self._on_loop_error)
        config = SimConfig(
            seed=self.plan.seed % 2**32, start_ns=NOON, currencies=("BTC",), history=0.02, strike_spacing=10.0,
            step_ns=SECOND, publish_ticks=5,
        )  # fmt: skip
        self.server = SimServer(config, monotonic_ns=lambda: int(self.loop.time() * SECOND))
        self.exchange_layers = Layers(self.server.faults)
        addresses = await self.server.start()
        self.addresses = addresses
        ports = {source: urlsplit(address.ws).port or 0 for source, address in addresses.items()}
        self._ports = {"binance.futures": ports["binance.market"], **{name: ports[name] for name in ports}}
        base = Config(market=msgspec.structs.replace(Config().market, currencies=("BTC",)))
        at_simulator = demo.with_sim_addresses(base, addresses)
        deribit = msgspec.structs.replace(at_simulator.venue("deribit"), summary_s=_SUMMARY_S)
        self.config = msgspec.structs.replace(at_simulator, deribit=deribit)
        await asyncio.start_server(self.redis.serve, "127.0.0.1", self.redis_port)
        self._tasks += [self.loop.create_task(self._run_clock()), self.loop.create_task(self.server.wait_stopped())]
        self.start()
        for injection in self.plan.injections:
            self.loop.call_at(injection.at_s, self._begin, injection)
        await asyncio.sleep(self.plan.minutes * 60.0)
        await ending.check_end(self)
        await self._stop(self.run)
        ending.check_stores(self)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.server.stop()

    def _begin(self, injection: Injection) -> None:
        rng = self.rng(f"{injection.fault} {injection.at_s}")
        lines = self.lines(injection.host)
        before = self.effects + sum(line.effects for line in lines) + self.redis_line.effects
        self.coverage.begin(injection.fault, self._active)
        self._active.append(injection.fault)
        self.quiet_since_s = float("inf")
        transitions = self.coverage.transitions.total()
        end = FAULTS[injection.fault].begin(Strike(self, lines, rng))

        def look_back() -> None:
            self.coverage.changed[injection.fault] += self.coverage.transitions.total() > transitions

        def finish() -> None:
            if end is not None:
                end()
            self._active.remove(injection.fault)
            if not self._active:
                self.quiet_since_s = self.loop.time()
            after = self.effects + sum(line.effects for line in lines) + self.redis_line.effects
            self.coverage.end(injection.fault, after - before)
            self.loop.call_later(_LOOK_BACK_S, look_back)

        self.loop.call_later(injection.duration_s, finish)


def run_world(plan: Plan, folder: Path) -> Outcome:
    """Runs a world to its end, whatever happens in it. Changes the random numbers of this process."""
    cpu_s = time.process_time()
    random.seed(f"{plan.seed} libraries")
    bytes_rng = random.Random(f"{plan.seed} bytes")
    secrets.token_bytes = lambda nbytes=None: bytes_rng.randbytes(nbytes or 32)
    world = World(plan, folder)
    handler = invariants.LogCheck(world)
    logging.getLogger().addHandler(handler)
    try:
        world.loop.run_until_complete(world.main())  # not a Runner, which would cancel what was killed, and wait for it
    except asyncio.CancelledError:
        pass  # the session has failed
    except DeadlockError as exc:
        pending = [getattr(task.get_coro(), "__qualname__", "?") for task in asyncio.all_tasks(world.loop)]
        world.fail(f"deadlock: {exc}; there wait {', '.join(sorted(pending))}")
    except BaseExceptionGroup as group:
        world.fail(f"an exception escaped: {describe(group)}")
    except Exception as exc:
        world.fail(f"an exception escaped: {type(exc).__name__}: {exc}")
    finally:
        logging.getLogger().removeHandler(handler)
    resident_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if resident_mb > MAX_RESIDENT_MB:
        world.fail(f"{resident_mb:.0f} MB resident, allowed are {MAX_RESIDENT_MB}")
    return Outcome(
        plan, tuple(world.failures), world._digest.hexdigest(), f"{world.loop.trace:016x}",
        sum(len(run.digests) for run in world.runs), world.loop.time(), time.process_time() - cpu_s, resident_mb,
        world.coverage,
    )  # fmt: skip


def describe(exc: BaseException) -> str:
    while isinstance(exc, BaseExceptionGroup):
        exc = exc.exceptions[0]
    return f"{type(exc).__name__}: {exc}"


def count_all(outcomes: list[Outcome]) -> Counter[str]:
    return Counter(failure for outcome in outcomes for failure in outcome.failures)
