"""Paces a source into the hub: pause, step either way, seek by time, speed.

Comes after `timeline`, which knows the way; here is the clock, and the wishes of the screen.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Final

from dfmon.engine.hub import Request, Runtime, SnapshotHub
from dfmon.model.errors import DfmonError, UsageError
from dfmon.model.units import HOUR, SECOND
from dfmon.replay.sources import Move, Recording, Source
from dfmon.replay.time_spec import moment
from dfmon.replay.timeline import Goal, Scout, Timeline
from dfmon.sinks.base import Sink, supervise

_SLICE_S: Final = 0.05  # on the way to a goal, between two looks at the wishes
_BREATH_S: Final = 0.01  # between two ticks of the scout: the screen has a thread of its own, but not a core
_AHEAD_NS: Final = 2 * HOUR  # how far the scout goes


class ReplaySession:
    """A replay as a session: `run` plays, `wish` is heard. `from_ns` and `until_ns` are times of the market."""

    def __init__(
        self,
        source: Source,
        hub: SnapshotHub,
        *,
        speed: float = 1.0,
        sinks: Sequence[Sink] = (),
        paused: bool = False,
        from_ns: int | None = None,
        until_ns: int | None = None,
        scouting: bool = False,
    ) -> None:
        """`scouting`: idle time is used to go ahead and make checkpoints, for a screen whose user may seek."""
        self.hub = hub
        self._sinks = sinks
        self._timeline = Timeline(source, hub.publish, end_ns=until_ns)
        scouted = scouting and isinstance(source, Recording)  # boards have few ticks, and captures are short
        self._scout = Scout(source, self._timeline.checkpoints, until_ns) if scouted else None
        self._speed, self._paused, self._finished = speed, paused, False
        self._goal: Goal | None = Goal(ts_ns=from_ns) if from_ns is not None else None
        self._model: str | None = None  # to show the tick on screen with, once more
        self._start_ns = self._end_ns = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._woken = asyncio.Event()
        self._note = ""

    async def run(self, stop: asyncio.Event) -> None:
        """Play to the end, then stay on the last snapshot until `stop`."""
        with suppress(DfmonError):  # a source without a span says why when it is played
            self._start_ns, self._end_ns = self._timeline.source.span()
        self._loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as tasks:
            for sink in self._sinks:
                tasks.create_task(supervise(sink, self.hub, stop))
            tasks.create_task(self._play(stop))

    async def _play(self, stop: asyncio.Event) -> None:
        clock = _ReplayClock()
        while not stop.is_set():
            if self._goal is not None or self._model is not None:
                await self._travel(stop)
                clock.stop()
            elif (move := self._timeline.peek()) is None:
                await self._at_end(stop)
            elif await self._is_time(clock, move, stop):
                self._timeline.step()

    async def _travel(self, stop: asyncio.Event) -> None:
        """To the goal, or to the tick on screen under another model; a newer wish ends the way."""
        goal, model = self._goal, self._model
        self._finished = False
        way: Iterator[None]
        if goal is not None:
            way = self._timeline.towards(goal)
        else:
            way, self._model = self._timeline.again(model or ""), None
        rested = time.monotonic()
        for _ in way:
            if time.monotonic() - rested > _SLICE_S:
                self._describe()
                await asyncio.sleep(0)
                rested = time.monotonic()
            if stop.is_set() or self._goal is not goal:
                return
        if self._goal is goal:
            self._goal = None
        self._describe()

    async def _is_time(self, clock: _ReplayClock, move: Move, stop: asyncio.Event) -> bool:
        """Wait until it is time for `move`; False where something else came first."""
        if not move.ticks and not self._paused:
            return True  # only ticks are paced: what lies between them is applied with the next one
        self._finished = False
        self._describe()
        delay = None if self._paused else clock.delay(move.at_ns, self._speed)
        if delay is not None and delay <= 0.0:
            await asyncio.sleep(0)
            return self._goal is None and self._model is None
        await self._sleep(delay, stop)
        if self._paused:
            clock.stop()
        return False

    async def _at_end(self, stop: asyncio.Event) -> None:
        self._finished = True
        self._note = self._timeline.trouble or self._note
        self._describe()
        await self._sleep(None, stop)

    async def _sleep(self, seconds: float | None, stop: asyncio.Event) -> None:
        """Until the time is over, a wish came, or the stop."""
        seconds = await self._look_ahead(seconds, stop)
        waits = [asyncio.ensure_future(self._woken.wait()), asyncio.ensure_future(stop.wait())]
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
                with suppress(asyncio.CancelledError):
                    await wait
        self._woken.clear()

    async def _look_ahead(self, seconds: float | None, stop: asyncio.Event) -> float | None:
        """Use idle time for the scout, in short slices; what is left of it."""
        end = None if seconds is None else time.monotonic() + seconds
        until_ns = (self._timeline.now_ns or self._start_ns) + _AHEAD_NS
        while self._scout is not None and not self._woken.is_set() and not stop.is_set():
            if end is not None and end - time.monotonic() < _SLICE_S:
                break
            if not self._scout.advance(until_ns):
                break
            await asyncio.sleep(_BREATH_S)
        return None if end is None else max(end - time.monotonic(), 0.0)

    # ---- wishes --------------------------------------------------------------------------------------------------

    @property
    def is_running(self) -> bool:
        """Whether wishes are heard."""
        return self._loop is not None

    def wish(self, request: Request) -> None:
        """Take a wish from any thread."""
        loop = self._loop
        if loop is not None:
            loop.call_soon_threadsafe(self._apply, request)

    def _apply(self, request: Request) -> None:
        self._note = ""
        match request.kind:
            case "replay.pause":
                self._paused = not self._paused
            case "replay.step":
                self._paused = True
                self._goal = Goal(tick=max(self._ticks_wanted() + int(request.value), 1))
            case "replay.seek":
                self._seek(request.value)
            case "positions":
                self._model = request.value
            case "replay.speed":
                self._speed = float("inf") if request.value == "max" else float(request.value)
        self._describe()
        self._woken.set()

    def _ticks_wanted(self) -> int:
        """Two steps in a row are two steps, however long the way to the first one is."""
        on_the_way = self._goal.tick if self._goal is not None else None
        return self._timeline.ticks if on_the_way is None else on_the_way

    def _seek(self, value: str) -> None:
        """Seconds count from the tick on screen, or from where the last seek is still going."""
        on_the_way = self._goal.ts_ns if self._goal is not None else None
        here = on_the_way or self._timeline.now_ns or self._start_ns
        try:
            goal_ns = moment(value, here, here)
        except UsageError as exc:
            self._note = str(exc)
            return
        last = max(self._end_ns, here)
        self._goal = Goal(ts_ns=min(max(goal_ns, self._start_ns), last))

    def _describe(self) -> None:
        now, span = self._timeline.now_ns, self._end_ns - self._start_ns
        self.hub.runtime = Runtime(
            replay_position=min(max((now - self._start_ns) / span, 0.0), 1.0) if now and span > 0 else None,
            replay_speed=self._speed,
            paused=self._paused,
            finished=self._finished,
            note=self._note,
        )


class _ReplayClock:
    """Maps the times of the moves to the wall, from the last stop or change of speed on."""

    def __init__(self) -> None:
        self._from_ns: int | None = None
        self._from_s = 0.0
        self._speed = 1.0

    def stop(self) -> None:
        """The next move is due at once, and those after it at their distance from it."""
        self._from_ns = None

    def delay(self, at_ns: int, speed: float) -> float:
        if self._from_ns is None or speed != self._speed:
            self._from_ns, self._from_s, self._speed = at_ns, time.monotonic(), speed
        return (at_ns - self._from_ns) / SECOND / speed - (time.monotonic() - self._from_s)
