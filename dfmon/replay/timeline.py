"""Position in a source, and seeking in it by checkpoints of the driver, which are made during the replay.

A checkpoint is everything the next snapshot depends on, so that the snapshots after it equal those of a straight replay
bit for bit; a seek continues from the last one before its target.
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
from dfmon.replay.sources import BEGINNING, Publish, ReplaySource, ReplayStep, SourceCursor

CHECKPOINT_INTERVAL_TICKS: Final = 32  # ticks between checkpoints at first: some tenths of a second of computing
MAX_CHECKPOINTS: Final = 128  # beyond these every second one is dropped, and the interval doubles
_COMPRESSION: Final = 1  # level of zlib; columns are mostly unused capacity and shrink to a tenth


@dataclass(frozen=True, slots=True)
class SeekTarget:
    """Target of a seek: a tick by its number, or the last tick at or before a market time."""

    tick: int | None = None
    ts_ns: int | None = None

    def is_reached(self, ticks: int, next_ns: int) -> bool:
        """True if it is reached after `ticks` ticks, with the next one at `next_ns`."""
        if self.tick is not None:
            return ticks >= self.tick
        return ticks > 0 and self.ts_ns is not None and next_ns > self.ts_ns


class ReplayCheckpoint(NamedTuple):
    """The driver after a tick, and the snapshots shown then. Made and read in this process only."""

    ticks: int
    ts_ns: int
    cursor: SourceCursor
    flow: Mapping[str, FlowState]
    packed_state: bytes  # the mutable part, pickled and compressed
    snapshots: Mapping[str, FlowSnapshot]


class CheckpointIndex:
    """Checkpoints in order of ticks, bounded in number; their interval grows with the length of the replay."""

    def __init__(self, interval_ticks: int = CHECKPOINT_INTERVAL_TICKS, max_checkpoints: int = MAX_CHECKPOINTS) -> None:
        self._interval_ticks, self._max_checkpoints = interval_ticks, max_checkpoints
        self._checkpoints: list[ReplayCheckpoint] = []

    def __len__(self) -> int:
        return len(self._checkpoints)

    @property
    def last(self) -> ReplayCheckpoint | None:
        """The last checkpoint, the frontier of what has been replayed."""
        return self._checkpoints[-1] if self._checkpoints else None

    def is_boundary(self, ticks: int) -> bool:
        return ticks % self._interval_ticks == 0 and (not self._checkpoints or ticks > self._checkpoints[-1].ticks)

    def add_checkpoint(self, checkpoint: ReplayCheckpoint) -> None:
        self._checkpoints.append(checkpoint)
        if len(self._checkpoints) > self._max_checkpoints:
            self._interval_ticks *= 2
            self._checkpoints = [entry for entry in self._checkpoints if entry.ticks % self._interval_ticks == 0]

    def last_before(self, target: SeekTarget) -> ReplayCheckpoint | None:
        """The last checkpoint at or before the target."""
        if target.tick is not None:
            at = bisect_right(self._checkpoints, target.tick, key=lambda entry: entry.ticks)
        else:
            at = bisect_right(self._checkpoints, target.ts_ns or 0, key=lambda entry: entry.ts_ns)
        return self._checkpoints[at - 1] if at else None


class CheckpointPrefetcher:
    """Makes checkpoints ahead of the replay in idle time, so that a seek forward finds one near."""

    def __init__(self, source: ReplaySource, checkpoints: CheckpointIndex, end_ns: int | None) -> None:
        self._timeline = Timeline(source, lambda _: None, end_ns=end_ns, checkpoints=checkpoints)

    def advance(self, until_ns: int) -> bool:
        """One tick further, from the last checkpoint on; False once the end or `until_ns` is reached."""
        timeline = self._timeline
        frontier = timeline.checkpoints.last
        if frontier is not None and frontier.ticks > timeline.ticks:
            timeline.restore(frontier)
        while (step := timeline.peek()) is not None and step.ts_ns <= until_ns:
            timeline.step()
            if step.ticks:
                return True
        return False


class Timeline:
    """Applies the steps of a source one by one, or silently up to a target, until `end_ns` of market time."""

    def __init__(
        self,
        source: ReplaySource,
        publish: Publish,
        *,
        end_ns: int | None = None,
        checkpoints: CheckpointIndex | None = None,
    ) -> None:
        self.source = source
        self.error = ""  # why the source ended early
        self.model: str | None = None  # position model, if not that of the source
        self.checkpoints = CheckpointIndex() if checkpoints is None else checkpoints
        self._publish, self._end_ns = publish, end_ns
        self._publish_suppressed = False
        self._snapshots: dict[str, FlowSnapshot] = {}
        self._driver = source.driver(self._on_snapshot)
        self.ticks = self._ts_ns = 0
        self._steps: Iterator[ReplayStep] = iter(())
        self._next_step: ReplayStep | None = None
        self._cursor, self._at_end = BEGINNING, False
        self._resume_after(BEGINNING)

    @property
    def now_ns(self) -> int | None:
        """Market time of the current tick; None before the first one."""
        return self._ts_ns if self.ticks else None

    def peek(self) -> ReplayStep | None:
        """The next step; None at the end."""
        if self._next_step is None and not self._at_end:
            try:
                self._next_step = next(self._steps, None)
            except DfmonError as exc:
                self.error = str(exc)
            if self._next_step is not None and self._end_ns is not None and self._next_step.ts_ns > self._end_ns:
                self._next_step = None
            self._at_end = self._next_step is None
        return self._next_step

    def step(self) -> None:
        """Applies the next step."""
        step = self.peek()
        if step is None:
            return
        self._next_step = None
        self._driver = step.apply_to(self._driver)
        self._apply_model()
        self._cursor = step.cursor
        if step.ticks:
            self.ticks += 1
            self._ts_ns = step.ts_ns
            if self.checkpoints.is_boundary(self.ticks):
                self.checkpoints.add_checkpoint(self._make_checkpoint())

    def seek(self, target: SeekTarget) -> Iterator[None]:
        """Goes to `target` and publishes its snapshots only.

        Yields after every tick on the way, so that the caller can do other things, or give up.
        """
        self._restore_nearest(target)
        self._publish_suppressed = True
        try:
            while (step := self.peek()) is not None:
                if step.ticks and target.is_reached(self.ticks, step.ts_ns):
                    break
                self.step()
                if step.ticks:
                    yield
        finally:
            self._publish_suppressed = False
        for snapshot in self._snapshots.values():
            self._publish(snapshot)

    def replay_current_tick(self, model: str) -> Iterator[None]:
        """Publishes the current tick again under another position model, which then stays."""
        tick = self.ticks
        if tick:
            yield from self._seek_silently(SeekTarget(tick=tick - 1))
        self.model = model
        self._apply_model()
        while self.ticks < tick and self.peek() is not None:
            self.step()

    def _seek_silently(self, target: SeekTarget) -> Iterator[None]:
        publish, self._publish = self._publish, lambda _: None
        try:
            yield from self.seek(target)
        finally:
            self._publish = publish

    # ---- places --------------------------------------------------------------------------------------------------

    def _resume_after(self, cursor: SourceCursor) -> None:
        self._cursor, self._next_step, self._at_end = cursor, None, False
        self._steps = self.source.steps(cursor)
        self.error = ""

    def _restore_nearest(self, target: SeekTarget) -> None:
        """Goes to the nearest known position before the target: a checkpoint, the beginning, or the current one."""
        nearest = self.checkpoints.last_before(target)
        reachable = self.ticks <= target.tick if target.tick is not None else self._ts_ns <= (target.ts_ns or 0)
        if reachable and self.ticks and (nearest is None or nearest.ticks <= self.ticks):
            return
        self.restore(nearest)

    def restore(self, checkpoint: ReplayCheckpoint | None) -> None:
        """Goes to a checkpoint of this timeline or another of the same source; None is the beginning."""
        self._driver = self.source.driver(self._on_snapshot)
        if checkpoint is None:
            self._snapshots, self.ticks, self._ts_ns = {}, 0, 0
        else:
            driver_state = pickle.loads(zlib.decompress(checkpoint.packed_state))
            self._driver.resume(DriverState(checkpoint.flow, driver_state))
            self._snapshots, self.ticks, self._ts_ns = dict(checkpoint.snapshots), checkpoint.ticks, checkpoint.ts_ns
        self._apply_model()
        self._resume_after(checkpoint.cursor if checkpoint else BEGINNING)

    def _make_checkpoint(self) -> ReplayCheckpoint:
        state = self._driver.state()
        snapshots = {name: snapshot.without_views() for name, snapshot in self._snapshots.items()}
        attributes = zlib.compress(pickle.dumps(state.attributes, pickle.HIGHEST_PROTOCOL), _COMPRESSION)
        return ReplayCheckpoint(self.ticks, self._ts_ns, self._cursor, state.flow, attributes, snapshots)

    def _apply_model(self) -> None:
        """Sets the position model again after a recorded change of it or the beginning of another session."""
        if self.model is not None and self.model != self._driver.params.positions:
            self._driver.params = self._driver.params.with_positions(self.model)

    def _on_snapshot(self, snapshot: FlowSnapshot) -> None:
        self._snapshots[snapshot.underlying] = snapshot
        if not self._publish_suppressed:
            self._publish(snapshot)
