"""A replayed market: the same driver, fed from a recording or from recorded boards, at any speed.

Sibling of `session`. Records keep their own times; pacing only decides when they are handed over, so speed, pause and
step cannot change a number. A board has no clock of its own: one board a second is shown at speed 1.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from dfmon.core.step import FlowParams
from dfmon.engine.driver import Driver
from dfmon.engine.hub import Request, Runtime, SnapshotHub
from dfmon.engine.journal import Record, RecordKind
from dfmon.model.errors import DfmonError, UsageError
from dfmon.model.snapshot import FlowSnapshot
from dfmon.model.units import SECOND, clean
from dfmon.sinks.base import Sink, supervise
from dfmon.store import boards, replayer
from dfmon.venues import registry

BOARD_NS: Final = SECOND


@dataclass(frozen=True, slots=True)
class Move:
    """One thing to apply at `at_ns` of the replay's clock. `ticks` is True where it publishes snapshots."""

    at_ns: int
    apply: Callable[[Driver], None]
    ticks: bool


class Source(Protocol):
    """What can be replayed: its underlyings, a fresh driver for it, and its moves in order, any number of times."""

    underlyings: tuple[str, ...]

    def driver(self, publish: Callable[[FlowSnapshot], None]) -> Driver: ...
    def moves(self) -> Iterator[Move]: ...


class Recording:
    """A journal: records in, through the decoders it was made with. Damage is a SourceError after the last record."""

    def __init__(self, path: Path, params: FlowParams | None) -> None:
        self.path = path
        made: dict[str, Any] = replayer.session(path)
        try:
            self.underlyings = tuple(msgspec.convert(made.get("underlyings"), list[str]))
            self._sources = msgspec.convert(made.get("sources"), list[str])
            self._pace = registry.Pace(**msgspec.convert(made.get("pace"), dict[str, float]))
            self.params = params or msgspec.convert(made.get("params"), FlowParams)
        except (msgspec.ValidationError, TypeError) as exc:
            raise UsageError(f"{clean(str(path))}: the session record is not one of dfmon: {clean(str(exc))}") from None

    def driver(self, publish: Callable[[FlowSnapshot], None]) -> Driver:
        endpoints = registry.endpoints(self.underlyings, self._sources, pace=self._pace)  # their addresses are not used
        decoders = {endpoint.source: endpoint.protocol for endpoint in endpoints}
        return Driver(self.underlyings, self.params, decoders, publish)

    def moves(self) -> Iterator[Move]:
        for record in replayer.records(self.path):
            if record.kind is not RecordKind.SESSION:
                yield Move(record.recv_ns, _applying(record), record.kind is RecordKind.TICK)


def _applying(record: Record) -> Callable[[Driver], None]:
    def apply(driver: Driver) -> None:
        driver.apply(record)
        if record.kind in (RecordKind.TIMER, RecordKind.TICK):
            driver.hush()

    return apply


class Boards:
    """Recorded boards: events already, one tick each."""

    def __init__(self, path: Path, underlyings: tuple[str, ...], params: FlowParams) -> None:
        self.path, self.underlyings, self.params = path, underlyings, params

    def driver(self, publish: Callable[[FlowSnapshot], None]) -> Driver:
        return Driver(self.underlyings, self.params, {}, publish)

    def moves(self) -> Iterator[Move]:
        """One move a moment: the boards of all underlyings at that time."""
        together = groupby(boards.read(self.path, self.underlyings), key=lambda board: board.ts_ns)
        for place, (_, group) in enumerate(together):
            yield Move(place * BOARD_NS, _showing(tuple(group)), ticks=True)

    def newest(self) -> Iterator[Move]:
        """The last board of each underlying alone: a board is a whole listing and rests on nothing before it."""
        last = {board.underlying: board for board in boards.read(self.path, self.underlyings)}
        yield Move(0, _showing(tuple(last.values())), ticks=True)


def _showing(shown: tuple[boards.Board, ...]) -> Callable[[Driver], None]:
    def show(driver: Driver) -> None:
        for board in shown:
            driver.apply_events(board.events, board.ts_ns)
            driver.tick(board.ts_ns, board.underlying)

    return show


def open_source(path: Path, underlyings: tuple[str, ...] | None, params: FlowParams, *, own_params: bool) -> Source:
    """What stands at `path`. `own_params`: a recording keeps the parameters it was made with.

    Without `underlyings` a board file shows all it holds. Raises UsageError in one sentence.
    """
    if replayer.is_recording(path):
        return Recording(path, None if own_params else params)
    held = boards.currencies(path)  # says in words what is wrong with the file
    if underlyings is None:
        return Boards(path, tuple(held), params)
    return Boards(path, underlyings, params)


def play_through(source: Source, publish: Callable[[FlowSnapshot], None]) -> None:
    """Every snapshot of `source`, as fast as possible, in this thread."""
    driver = source.driver(publish)
    for move in source.moves():
        move.apply(driver)


def play_to_end(source: Source, publish: Callable[[FlowSnapshot], None]) -> None:
    """The last snapshots of `source`, and of a recording every one before them."""
    if not isinstance(source, Boards):
        play_through(source, publish)
        return
    driver = source.driver(publish)
    for move in source.newest():
        move.apply(driver)


class ReplaySession:
    """Paces a source into the hub: pause, step either way, speed."""

    def __init__(
        self, source: Source, hub: SnapshotHub, *, speed: float = 1.0, sinks: Sequence[Sink] = (), paused: bool = False
    ) -> None:
        self.hub = hub
        self._source, self._sinks = source, sinks
        self._speed, self._paused, self._finished = speed, paused, False
        self._steps = 0
        self._again = False  # show the tick on screen once more, under another position model
        self._model: str | None = None
        self._ticks = self._silent_before = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._woken = asyncio.Event()
        self._note = ""

    async def run(self, stop: asyncio.Event) -> None:
        """Play to the end, then stay on the last snapshot until `stop`."""
        self._loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as tasks:
            for sink in self._sinks:
                tasks.create_task(supervise(sink, self.hub, stop))
            tasks.create_task(self._play(stop))

    async def _play(self, stop: asyncio.Event) -> None:
        target: int | None = 0
        while target is not None:
            self._ticks, self._silent_before = 0, target
            driver = self._source.driver(self._publish)
            if self._model is not None:
                driver.params = driver.params.with_positions(self._model)
            target = await self._pass(driver, stop)

    def _publish(self, snapshot: FlowSnapshot) -> None:
        if self._ticks >= self._silent_before:
            self.hub.publish(snapshot)

    async def _pass(self, driver: Driver, stop: asyncio.Event) -> int | None:
        """One run through the moves. The tick to go back to, or None at the stop."""
        clock = _ReplayClock()
        try:
            for move in self._source.moves():
                if move.ticks:
                    self._ticks += 1
                behind = self._ticks <= self._silent_before  # what was shown before a step back is not waited for
                if not behind and (back := await self._wait(clock, move, stop)) is not None:
                    return back
                if stop.is_set():
                    return None
                move.apply(driver)
                if behind and self._ticks % 64 == 0:
                    await asyncio.sleep(0)
        except DfmonError as exc:
            self._note = str(exc)
        return await self._at_end(stop)

    async def _wait(self, clock: _ReplayClock, move: Move, stop: asyncio.Event) -> int | None:
        """Until it is time for `move`; the tick to go back to if a step back was asked for meanwhile."""
        if not move.ticks and not self._paused:
            return None  # only ticks are paced: what lies between them is applied with the next one
        self._describe()
        while not stop.is_set():
            if self._steps < 0 or self._again:
                return self._step_back()
            if self._steps > 0:
                self._steps -= move.ticks
                clock.restart(move.at_ns)
                return None
            delay = None if self._paused else clock.delay(move.at_ns, self._speed)
            if delay is not None and delay <= 0.0:
                await asyncio.sleep(0)
                return None
            await self._sleep(delay, stop)
            if self._paused:
                clock.restart(move.at_ns)
        return None

    async def _at_end(self, stop: asyncio.Event) -> int | None:
        self._finished = True
        self._describe()
        while not stop.is_set():
            await self._sleep(None, stop)
            if self._steps < 0 or self._again:
                self._finished = False
                self._ticks += 1
                return self._step_back()
            self._steps = 0
            self._describe()
        return None

    def _step_back(self) -> int:
        """`_ticks` is the tick about to be shown, so the one on screen is the one before it."""
        steps, self._steps = self._steps, 0
        self._paused = self._paused or not self._again
        self._again = False
        return max(self._ticks - 1 + steps, 1)

    async def _sleep(self, seconds: float | None, stop: asyncio.Event) -> None:
        """Until the time is over, a wish came, or the stop."""
        self._woken.clear()
        waits = [asyncio.ensure_future(self._woken.wait()), asyncio.ensure_future(stop.wait())]
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
                with suppress(asyncio.CancelledError):
                    await wait

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
        match request.kind:
            case "replay.pause":
                self._paused = not self._paused
            case "replay.step":
                self._paused, self._steps = True, int(request.value)
            case "positions":
                self._model, self._again = request.value, True
            case "replay.speed":
                self._speed = float("inf") if request.value == "max" else float(request.value)
        self._describe()
        self._woken.set()

    def _describe(self) -> None:
        self.hub.runtime = Runtime(
            replay_speed=self._speed, paused=self._paused, finished=self._finished, note=self._note
        )


class _ReplayClock:
    """Maps the times of the moves to the wall, from the last pause, step or change of speed on."""

    def __init__(self) -> None:
        self._from_ns: int | None = None
        self._from_s = 0.0
        self._speed = 1.0

    def restart(self, at_ns: int) -> None:
        self._from_ns, self._from_s = at_ns, time.monotonic()

    def delay(self, at_ns: int, speed: float) -> float:
        if self._from_ns is None or speed != self._speed:
            self.restart(at_ns)
            self._speed = speed
        assert self._from_ns is not None
        return (at_ns - self._from_ns) / SECOND / speed - (time.monotonic() - self._from_s)
