"""Paces a source into the hub: pause, step either way, seek by time, speed.

`timeline` moves through the source; here are the clock and the requests of the screen.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Final

from dfmon.aio import cancel_and_wait
from dfmon.engine.hub import Request, Runtime, SnapshotHub
from dfmon.model.errors import DfmonError, UsageError
from dfmon.model.units import HOUR, SECOND
from dfmon.replay.sources import RecordingSource, ReplaySource, ReplayStep
from dfmon.replay.time_spec import parse_time
from dfmon.replay.timeline import CheckpointPrefetcher, SeekTarget, Timeline
from dfmon.sinks.base import Sink, supervise

_YIELD_INTERVAL_S: Final = 0.05  # during a seek, between two checks for requests
_PREFETCH_PAUSE_S: Final = 0.01  # between two ticks of the prefetch: the screen's thread shares the core
_PREFETCH_NS: Final = 2 * HOUR  # how far the prefetch goes ahead


class ReplaySession:
    """A replay as a session: `run` plays, `submit` takes requests. `from_ns` and `until_ns` are market times."""

    def __init__(
        self,
        source: ReplaySource,
        hub: SnapshotHub,
        *,
        speed: float = 1.0,
        sinks: Sequence[Sink] = (),
        paused: bool = False,
        from_ns: int | None = None,
        until_ns: int | None = None,
        prefetch: bool = False,
        stop_at_end: bool = False,
    ) -> None:
        """A headless replay has `stop_at_end`: its run ends with the last snapshot.

        `prefetch` makes checkpoints ahead of the replay in idle time, for a screen whose user may seek.
        """
        self.hub = hub
        self._sinks = sinks
        self._timeline = Timeline(source, hub.publish, end_ns=until_ns)
        prefetches = prefetch and isinstance(source, RecordingSource)  # boards have few ticks, and captures are short
        self._prefetcher = CheckpointPrefetcher(source, self._timeline.checkpoints, until_ns) if prefetches else None
        self._speed, self._paused, self._finished = speed, paused, False
        self._target: SeekTarget | None = SeekTarget(ts_ns=from_ns) if from_ns is not None else None
        self._requested_model: str | None = None  # with which to show the current tick again
        self._start_ns = self._end_ns = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake = asyncio.Event()
        self._note = ""
        self._stop_at_end = stop_at_end

    @property
    def losses(self) -> tuple[str, ...]:
        """The error that ended the replay early, if one did."""
        return (self._timeline.error,) if self._timeline.error else ()

    async def run(self, stop: asyncio.Event) -> None:
        """Plays to the end, then stays on the last snapshot until `stop`, or sets it."""
        with suppress(DfmonError):  # a source without a span raises again when it is played
            self._start_ns, self._end_ns = self._timeline.source.span()
        self._loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as tasks:
            for sink in self._sinks:
                tasks.create_task(supervise(sink, self.hub, stop))
            tasks.create_task(self._play(stop))

    async def _play(self, stop: asyncio.Event) -> None:
        clock = _ReplayClock()
        while not stop.is_set():
            if self._target is not None or self._requested_model is not None:
                await self._go_to_target(stop)
                clock.reset()
            elif (step := self._timeline.peek()) is None:
                await self._wait_at_end(stop)
            elif await self._wait_for_step(clock, step, stop):
                self._timeline.step()

    async def _go_to_target(self, stop: asyncio.Event) -> None:
        """Seeks to the target, or shows the current tick under another model; a newer request interrupts it."""
        target, model = self._target, self._requested_model
        self._finished = False
        steps: Iterator[None]
        if target is not None:
            steps = self._timeline.seek(target)
        else:
            steps, self._requested_model = self._timeline.replay_current_tick(model or ""), None
        yielded_at_s = time.monotonic()
        for _ in steps:
            if time.monotonic() - yielded_at_s > _YIELD_INTERVAL_S:
                self._update_runtime()
                await asyncio.sleep(0)
                yielded_at_s = time.monotonic()
            if stop.is_set() or self._target is not target:
                return
        if self._target is target:
            self._target = None
        self._update_runtime()

    async def _wait_for_step(self, clock: _ReplayClock, step: ReplayStep, stop: asyncio.Event) -> bool:
        """Waits until `step` is due; False if something else came first."""
        if not step.ticks and not self._paused:
            return True  # only ticks are paced: the steps between them are applied with the next one
        self._finished = False
        self._update_runtime()
        delay = None if self._paused else clock.delay(step.at_ns, self._speed)
        if delay is not None and delay <= 0.0:
            await asyncio.sleep(0)
            return self._target is None and self._requested_model is None
        await self._wait(delay, stop)
        if self._paused:
            clock.reset()
        return False

    async def _wait_at_end(self, stop: asyncio.Event) -> None:
        self._finished = True
        self._note = self._timeline.error or self._note
        self._update_runtime()
        if self._stop_at_end:
            stop.set()
            return
        await self._wait(None, stop)

    async def _wait(self, seconds: float | None, stop: asyncio.Event) -> None:
        """Waits for the time to pass, a request, or the stop."""
        seconds = await self._prefetch_while_idle(seconds, stop)
        waiters = [asyncio.ensure_future(self._wake.wait()), asyncio.ensure_future(stop.wait())]
        try:
            await asyncio.wait(waiters, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await cancel_and_wait(*waiters)
        self._wake.clear()

    async def _prefetch_while_idle(self, seconds: float | None, stop: asyncio.Event) -> float | None:
        """Uses idle time to prefetch in short slices. Returns the time left."""
        end = None if seconds is None else time.monotonic() + seconds
        until_ns = (self._timeline.now_ns or self._start_ns) + _PREFETCH_NS
        while self._prefetcher is not None and not self._wake.is_set() and not stop.is_set():
            if end is not None and end - time.monotonic() < _YIELD_INTERVAL_S:
                break
            if not self._prefetcher.advance(until_ns):
                break
            await asyncio.sleep(_PREFETCH_PAUSE_S)
        return None if end is None else max(end - time.monotonic(), 0.0)

    # ---- requests ------------------------------------------------------------------------------------------------

    @property
    def is_running(self) -> bool:
        """True while requests are taken."""
        return self._loop is not None

    def submit(self, request: Request) -> None:
        """Takes a request from any thread."""
        loop = self._loop
        if loop is not None:
            loop.call_soon_threadsafe(self._apply_request, request)

    def _apply_request(self, request: Request) -> None:
        self._note = ""
        match request.kind:
            case "replay.pause":
                self._paused = not self._paused
            case "replay.step":
                self._paused = True
                self._target = SeekTarget(tick=max(self._target_tick() + int(request.value), 1))
            case "replay.seek":
                self._seek(request.value)
            case "positions":
                self._requested_model = request.value
            case "replay.speed":
                self._speed = float("inf") if request.value == "max" else float(request.value)
        self._update_runtime()
        self._wake.set()

    def _target_tick(self) -> int:
        """The tick that a step counts from: a pending target, so that two steps in a row are two steps."""
        pending = self._target.tick if self._target is not None else None
        return self._timeline.ticks if pending is None else pending

    def _seek(self, value: str) -> None:
        """Seeks to a time; seconds count from the current tick, or from the target of a pending seek."""
        pending = self._target.ts_ns if self._target is not None else None
        current_ns = pending or self._timeline.now_ns or self._start_ns
        try:
            goal_ns = parse_time(value, current_ns, current_ns)
        except UsageError as exc:
            self._note = str(exc)
            return
        last_ns = max(self._end_ns, current_ns)
        self._target = SeekTarget(ts_ns=min(max(goal_ns, self._start_ns), last_ns))

    def _update_runtime(self) -> None:
        now, span = self._timeline.now_ns, self._end_ns - self._start_ns
        self.hub.runtime = Runtime(
            replay_position=min(max((now - self._start_ns) / span, 0.0), 1.0) if now and span > 0 else None,
            replay_speed=self._speed,
            paused=self._paused,
            finished=self._finished,
            note=self._note,
            degraded=self.losses,
        )


class _ReplayClock:
    """Maps the times of steps to the monotonic clock, from the last pause or change of speed on."""

    def __init__(self) -> None:
        self._origin_ns: int | None = None
        self._origin_s = 0.0
        self._speed = 1.0

    def reset(self) -> None:
        """Makes the next step due at once, and later ones at their distance from it."""
        self._origin_ns = None

    def delay(self, at_ns: int, speed: float) -> float:
        if self._origin_ns is None or speed != self._speed:
            self._origin_ns, self._origin_s, self._speed = at_ns, time.monotonic(), speed
        return (at_ns - self._origin_ns) / SECOND / speed - (time.monotonic() - self._origin_s)
