"""A place in a source, and the way to any other: checkpoints of the whole driver, taken while it passes.

Comes after `sources`; `player` moves it. A checkpoint is everything the next snapshot depends on, so that what follows
it is bit for bit what a straight replay gives; a seek goes on from the last one before its goal.
"""

from __future__ import annotations

import pickle
import zlib
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from dfmon.core.step import FlowState
from dfmon.engine.driver import DriverState
from dfmon.model.errors import DfmonError
from dfmon.model.snapshot import FlowSnapshot
from dfmon.replay.sources import START, Move, Place, Publish, Source

EVERY: Final = 32  # ticks between checkpoints at first: some tenths of a second of computing
MOST: Final = 128  # kept; beyond, every second one goes and the distance doubles
_COMPRESSION: Final = 1  # the columns have room for more options than there are: a tenth of their bytes is left


@dataclass(frozen=True, slots=True)
class Goal:
    """Where to go: to a tick by its number, or to the last tick at or before a time of the market."""

    tick: int | None = None
    ts_ns: int | None = None

    def is_before(self, ticks: int, next_ns: int) -> bool:
        """Whether it is reached after `ticks` ticks, where the next one would come at `next_ns`."""
        if self.tick is not None:
            return ticks >= self.tick
        return ticks > 0 and self.ts_ns is not None and next_ns > self.ts_ns


class Checkpoint(NamedTuple):
    """The driver after a tick, and what was on the screen then. Made and read in this process only."""

    ticks: int
    ts_ns: int
    place: Place
    flow: Mapping[str, FlowState]
    held: bytes  # the mutable part, pickled and compressed
    shown: Mapping[str, FlowSnapshot]


class Checkpoints:
    """In order of ticks, of bounded number; the distance between two grows with the length of what was passed."""

    def __init__(self, every: int = EVERY, most: int = MOST) -> None:
        self._every, self._most = every, most
        self._kept: list[Checkpoint] = []

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def last(self) -> Checkpoint | None:
        """The frontier: what lies before it has been passed."""
        return self._kept[-1] if self._kept else None

    def wants(self, ticks: int) -> bool:
        return ticks % self._every == 0 and (not self._kept or ticks > self._kept[-1].ticks)

    def add(self, checkpoint: Checkpoint) -> None:
        self._kept.append(checkpoint)
        if len(self._kept) > self._most:
            self._every *= 2
            self._kept = [kept for kept in self._kept if kept.ticks % self._every == 0]

    def before(self, goal: Goal) -> Checkpoint | None:
        """The last one at or before the goal."""
        if goal.tick is not None:
            at = bisect_right(self._kept, goal.tick, key=lambda kept: kept.ticks)
        else:
            at = bisect_right(self._kept, goal.ts_ns or 0, key=lambda kept: kept.ts_ns)
        return self._kept[at - 1] if at else None


class Scout:
    """Goes ahead in idle time and leaves checkpoints, so that a seek into what was never shown finds one near."""

    def __init__(self, source: Source, checkpoints: Checkpoints, end_ns: int | None) -> None:
        self._timeline = Timeline(source, lambda _: None, end_ns=end_ns, checkpoints=checkpoints)

    def advance(self, until_ns: int) -> bool:
        """One tick further, from the last checkpoint of anybody on; False where the end or `until_ns` is reached."""
        timeline = self._timeline
        frontier = timeline.checkpoints.last
        if frontier is not None and frontier.ticks > timeline.ticks:
            timeline.restore(frontier)
        while (move := timeline.peek()) is not None and move.ts_ns <= until_ns:
            timeline.step()
            if move.ticks:
                return True
        return False


class Timeline:
    """Applies the moves of a source one by one, or silently up to a goal. Not after `end_ns` of the market's time."""

    def __init__(
        self, source: Source, publish: Publish, *, end_ns: int | None = None, checkpoints: Checkpoints | None = None
    ) -> None:
        self.source = source
        self.trouble = ""  # why the source ended early
        self.model: str | None = None  # of positions, where it is not the source's own
        self.checkpoints = Checkpoints() if checkpoints is None else checkpoints
        self._publish, self._end_ns = publish, end_ns
        self._silent = False
        self._shown: dict[str, FlowSnapshot] = {}
        self._driver = source.driver(self._take)
        self.ticks = self._ts_ns = 0
        self._moves: Iterator[Move] = iter(())
        self._next: Move | None = None
        self._place, self._ended = START, False
        self._go_on_from(START)

    @property
    def now_ns(self) -> int | None:
        """Market time of the tick on the screen; None before the first one."""
        return self._ts_ns if self.ticks else None

    def peek(self) -> Move | None:
        """The next move; None at the end."""
        if self._next is None and not self._ended:
            try:
                self._next = next(self._moves, None)
            except DfmonError as exc:
                self.trouble = str(exc)
            if self._next is not None and self._end_ns is not None and self._next.ts_ns > self._end_ns:
                self._next = None
            self._ended = self._next is None
        return self._next

    def step(self) -> None:
        """Apply the next move."""
        move = self.peek()
        if move is None:
            return
        self._next = None
        self._driver = move.apply(self._driver)
        self._use_model()
        self._place = move.place
        if move.ticks:
            self.ticks += 1
            self._ts_ns = move.ts_ns
            if self.checkpoints.wants(self.ticks):
                self.checkpoints.add(self._checkpoint())

    def towards(self, goal: Goal) -> Iterator[None]:
        """Go to `goal` without publishing what lies between; the snapshots of the tick reached are published.

        Yields after every tick on the way, so that the caller can do other things, or give up.
        """
        self._approach(goal)
        self._silent = True
        try:
            while (move := self.peek()) is not None:
                if move.ticks and goal.is_before(self.ticks, move.ts_ns):
                    break
                self.step()
                if move.ticks:
                    yield
        finally:
            self._silent = False
        for snapshot in self._shown.values():
            self._publish(snapshot)

    def again(self, model: str) -> Iterator[None]:
        """Show the tick on the screen once more, under another position model, and everything after it."""
        tick = self.ticks
        if tick:
            yield from self._silently(Goal(tick=tick - 1))
        self.model = model
        self._use_model()
        while self.ticks < tick and self.peek() is not None:
            self.step()

    def _silently(self, goal: Goal) -> Iterator[None]:
        publish, self._publish = self._publish, lambda _: None
        try:
            yield from self.towards(goal)
        finally:
            self._publish = publish

    # ---- places --------------------------------------------------------------------------------------------------

    def _go_on_from(self, place: Place) -> None:
        self._place, self._next, self._ended = place, None, False
        self._moves = self.source.moves(place)
        self.trouble = ""

    def _approach(self, goal: Goal) -> None:
        """Stand at the nearest known place before the goal: a checkpoint, the beginning, or where we are."""
        best = self.checkpoints.before(goal)
        reachable = self.ticks <= goal.tick if goal.tick is not None else self._ts_ns <= (goal.ts_ns or 0)
        if reachable and self.ticks and (best is None or best.ticks <= self.ticks):
            return
        self.restore(best)

    def restore(self, checkpoint: Checkpoint | None) -> None:
        """Stand where a checkpoint was made, of this timeline or another of the same source; None: at the beginning."""
        self._driver = self.source.driver(self._take)
        if checkpoint is None:
            self._shown, self.ticks, self._ts_ns = {}, 0, 0
        else:
            held = pickle.loads(zlib.decompress(checkpoint.held))
            self._driver.resume(DriverState(checkpoint.flow, held))
            self._shown, self.ticks, self._ts_ns = dict(checkpoint.shown), checkpoint.ticks, checkpoint.ts_ns
        self._use_model()
        self._go_on_from(checkpoint.place if checkpoint else START)

    def _checkpoint(self) -> Checkpoint:
        state = self._driver.state()
        held = zlib.compress(pickle.dumps(state.held, pickle.HIGHEST_PROTOCOL), _COMPRESSION)
        return Checkpoint(self.ticks, self._ts_ns, self._place, state.flow, held, dict(self._shown))

    def _use_model(self) -> None:
        """Also over what was recorded: a change of the model, or the beginning of another session."""
        if self.model is not None and self.model != self._driver.params.positions:
            self._driver.params = self._driver.params.with_positions(self.model)

    def _take(self, snapshot: FlowSnapshot) -> None:
        self._shown[snapshot.underlying] = snapshot
        if not self._silent:
            self._publish(snapshot)
