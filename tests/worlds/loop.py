"""An event loop without an outside world: its time jumps to the next timer as soon as nothing can run.

It has no selector, no sockets and no threads. `network` gives it connections, `Pool` takes the place of threads, and a
process is a set of callbacks that `kill` drops without a word, as the system does. Everything it decides comes from the
random numbers of the world, so a run is a function of its seed: tasks and futures hash by their number, since asyncio
keeps them in sets.

Libraries with such loops exist (async-solipsism, looptime). They simulate time alone, or perfect sockets; the faults of
a world are in the sockets, the threads and the processes themselves.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, Future
from contextvars import Context, ContextVar, copy_context
from itertools import count
from typing import Any, Final

PROCESS: Final[ContextVar[Process | None]] = ContextVar("process", default=None)
MAX_EARLY_S: Final = 0.0005  # of a timer: uvloop counts in milliseconds, and does not wait at all for less than this
_TURN_S: Final = 0.00001  # of the loop


class Process:
    """What runs under a name until it is killed. `on_kill` are called then: the system closes its connections."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self.on_kill: list[Callable[[], object]] = []


class DeadlockError(Exception):
    """Nothing can run and no timer is set."""


class _Task(asyncio.Task[Any]):
    """A task whose place in a set does not depend on its address."""

    number = -1

    def __hash__(self) -> int:
        return self.number


class _Future(asyncio.Future[Any]):
    number = -1

    def __hash__(self) -> int:
        return self.number


class WorldLoop(asyncio.BaseEventLoop):
    """`time` is in virtual seconds from 0; `rng` draws how early or late a timer fires."""

    _scheduled: list[asyncio.TimerHandle]  # a heap

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self.handles = 0  # run so far
        self.trace = 0  # of what ran when: equal for equal interleavings
        self.steps_until: Callable[[], object] | None = None
        self._steps_left = 0
        self._rng, self._now_s = rng, 0.0
        self._numbers = count(1)
        self._pool = Pool(self, rng)
        self.set_task_factory(self._create_task)  # type: ignore[arg-type]

    def time(self) -> float:
        return self._now_s

    def spend(self, seconds: float) -> None:
        """Takes the time of a processor: everything else waits."""
        self._now_s += seconds

    # ---- processes -------------------------------------------------------------------------------------------------

    def kill(self, process: Process) -> None:
        """Ends a process at once. Its coroutines stay suspended for good: a killed program runs no `finally`."""
        process.alive = False
        for handle in (*self._ready, *self._scheduled):  # type: ignore[attr-defined]
            if handle._context.get(PROCESS) is process:
                handle.cancel()
        for close in process.on_kill:
            close()

    def after_steps(self, steps: int, process: Process, act: Callable[[], object]) -> None:
        """Calls `act` once `steps` more callbacks of `process` have run: between any two awaits."""

        def check() -> None:
            act()

        self._steps_left, self._counted, self.steps_until = steps, process, check

    # ---- asyncio ---------------------------------------------------------------------------------------------------

    def create_future(self) -> asyncio.Future[Any]:
        future = _Future(loop=self)
        future.number = next(self._numbers)
        return future

    def _create_task(
        self, loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any], context: Context | None = None
    ) -> asyncio.Task[Any]:
        task = _Task.__new__(_Task)
        task.number = next(self._numbers)
        task.__init__(coro, loop=loop, context=context)  # type: ignore[misc]
        return task

    def call_soon(  # type: ignore[override]
        self, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        process = PROCESS.get() if context is None else context.get(PROCESS)
        handle = super().call_soon(callback, *args, context=context)
        if process is not None and not process.alive:
            handle.cancel()
        return handle

    def call_at(  # type: ignore[override]
        self, when: float, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        process = PROCESS.get() if context is None else context.get(PROCESS)
        if process is not None:  # a simulated venue keeps its time exactly
            is_short = 0.0 < when - self._now_s < MAX_EARLY_S
            when = self._now_s + _TURN_S if is_short else when + self._lateness_s()
        handle = super().call_at(when, callback, *args, context=context)
        if process is not None and not process.alive:
            handle.cancel()
        return handle

    def _lateness_s(self) -> float:
        draw = self._rng.random()
        if draw < 0.2:
            return -MAX_EARLY_S * self._rng.random()
        return self._rng.random() * (0.05 if draw > 0.995 else 0.001)

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Any, *args: Any
    ) -> asyncio.Future[Any]:
        pool = executor if isinstance(executor, Pool) else self._pool
        return asyncio.wrap_future(pool.submit(func, *args), loop=self)

    def _process_events(self, event_list: object) -> None: ...

    def _write_to_self(self) -> None: ...

    def _run_once(self) -> None:
        ready, scheduled = self._ready, self._scheduled  # type: ignore[attr-defined]
        while scheduled and scheduled[0].cancelled():
            heapq.heappop(scheduled)._scheduled = False  # type: ignore[attr-defined]
        if not ready:
            if not scheduled:
                raise DeadlockError("nothing is left to run")
            self._now_s = max(self._now_s, scheduled[0].when())
        while scheduled and scheduled[0].when() <= self._now_s:
            handle = heapq.heappop(scheduled)
            handle._scheduled = False  # type: ignore[attr-defined]
            ready.append(handle)
        for _ in range(len(ready)):
            handle = ready.popleft()
            if handle.cancelled():
                continue
            self._count(handle)
            if not handle.cancelled():
                handle._run()

    def _count(self, handle: asyncio.Handle) -> None:
        self.handles += 1
        self.trace = (self.trace * 1_000_003 + int(self._now_s * 1e6)) & 0xFFFFFFFFFFFFFFFF
        if self.steps_until is not None and handle._context.get(PROCESS) is self._counted:  # type: ignore[attr-defined]
            self._steps_left -= 1
            if self._steps_left <= 0:
                act, self.steps_until = self.steps_until, None
                act()


class Pool(Executor):
    """Threads of the world: a job runs on the loop after a while, or when somebody waits for the pool to end."""

    def __init__(self, loop: WorldLoop, rng: random.Random, slowness: Callable[[], float] = lambda: 1.0) -> None:
        """`slowness` multiplies the time of jobs."""
        self._loop, self._rng, self._slowness = loop, rng, slowness
        self._pending: dict[int, Callable[[], None]] = {}
        self._numbers = count()
        self._free_at_s = 0.0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        number = next(self._numbers)

        def run() -> None:
            if self._pending.pop(number, None) is None:
                return
            try:
                result = fn(*args, **kwargs)
            except BaseException as exc:
                future.set_exception(exc)
            else:
                future.set_result(result)

        self._pending[number] = run
        self._free_at_s = max(self._free_at_s, self._loop.time()) + self._duration_s() * self._slowness()
        self._loop.call_at(self._free_at_s, run, context=copy_context())
        return future

    def _duration_s(self) -> float:
        return self._rng.uniform(0.002, 0.02) if self._rng.random() < 0.99 else self._rng.uniform(0.1, 0.7)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        for run in list(self._pending.values()):
            run()
