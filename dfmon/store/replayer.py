"""Reads recordings back: the records of a segment, or of a directory of segments, as they were offered.

Comes after `recorder`; its records go to the same driver that made them. What is damaged is stepped over to the next
whole block and named by its bytes, and a hole in the numbering is refused unless the caller allows it: a replay
across a hole is not what was seen.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from dfmon.engine.journal import Record, RecordKind
from dfmon.model.errors import SourceError
from dfmon.model.units import clean
from dfmon.store import blocks, segment
from dfmon.store.blocks import Block, Damage


class Place(NamedTuple):
    """A record of a recording: its session, and its number in it."""

    started_ns: int
    seq: int


START: Final = Place(-(1 << 63), -1)


def is_recording(path: Path) -> bool:
    """Whether `path` is a segment, or a directory that holds one."""
    try:
        if path.is_dir():
            return any(blocks.is_segment(file) for file in path.glob(f"*{segment.SUFFIX}") if file.is_file())
        return path.is_file() and blocks.is_segment(path)
    except OSError:
        return False


def about(opening: Record) -> dict[str, Any]:
    """What a SESSION record says: what was recorded, and how."""
    found = json.loads(opening.payload)
    if not isinstance(found, dict):
        raise SourceError("the session record of the recording is not a JSON object")
    return found


class Recorded:
    """The recording at `path`: an index of its blocks, made once. A path that is no recording is a UsageError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.misplaced: list[Damage] = []  # what the index found; broken blocks come to light when they are read
        self.blocks = blocks.index(path, self.misplaced)

    def session(self) -> dict[str, Any]:
        """The JSON object the recorder was given, from the first segment that still has it."""
        openings = [block for block in self.blocks if not block.later]
        for _, (first, *_) in blocks.unpacked(openings, []):
            if first.kind is RecordKind.SESSION:
                return about(first)
        raise SourceError(f"{clean(str(self.path))} does not say what was recorded: its session record is missing")

    def span(self) -> tuple[int, int]:
        """Receive times of the first and the last readable record, nanoseconds. SourceError where there is none."""
        first, last = self._outermost(self.blocks, 0), self._outermost(self.blocks[::-1], -1)
        if first is None or last is None:
            raise SourceError(f"{clean(str(self.path))} holds no readable record")
        return first.recv_ns, last.recv_ns

    @staticmethod
    def _outermost(ordered: list[Block], at: int) -> Record | None:
        for _, records in blocks.unpacked(ordered, []):
            if happened := [record for record in records if record.kind is not RecordKind.SESSION]:
                return happened[at]
        return None

    def records(
        self, *, after: Place = START, allow_gaps: bool = False, damage: list[Damage] | None = None
    ) -> Iterator[tuple[Record, int]]:
        """Every readable record in order with the start of its session, the first one of each a SESSION.

        `after` names a record that was read before: what follows it comes, from the middle of its block on.
        With `damage`, what is unreadable is listed there; without, it is a SourceError after the last record. With
        `allow_gaps`, a hole is a GAP record whose seq is the first missing one and whose payload says how many are
        missing; without, it is a SourceError where it occurs.
        """
        found: list[Damage] = [] if damage is None else damage
        found += self.misplaced
        numbers = _Numbering(after)
        for block, records in blocks.unpacked(self._from(after), found):
            numbers.enter(block.started_ns)
            if not block.later and records and records[0].kind is RecordKind.SESSION:
                opening = records.pop(0)
                if numbers.opened(opening.seq):
                    yield opening, block.started_ns
            if records and numbers.passed_by(records[-1]):
                if (block.started_ns, records[-1].seq) > after:  # else it is only what stands before `after`
                    found.append(Damage(block.path, block.at, block.end, _repeated(records), block.tail))
                continue
            for record in records:
                if numbers.before(record):
                    continue
                hole = numbers.hole(record, damaged=bool(found))
                if hole is not None:
                    yield self._allowed(hole, block, allow_gaps, found), block.started_ns
                yield self._allowed(record, block, allow_gaps, found), block.started_ns
                numbers.passed(record)
        if damage is None and found:
            more = f" (and {len(found) - 1} more places)" if len(found) > 1 else ""
            raise SourceError(f"{found[0]}{more}")

    def _from(self, after: Place) -> list[Block]:
        """The blocks in which something may come after a place: the one that holds it, and those behind."""
        at = bisect_right(self.blocks, after, key=lambda block: Place(block.started_ns, block.first_seq))
        return [block for block in self.blocks[max(at - 1, 0) :] if block.started_ns >= after.started_ns]

    @staticmethod
    def _allowed(record: Record, block: Block, allow_gaps: bool, damage: list[Damage]) -> Record:
        """The record, or SourceError where it is a hole that nobody has allowed."""
        if allow_gaps or record.kind is not RecordKind.GAP:
            return record
        cause = next((d for d in reversed(damage) if d.path == block.path and d.end <= block.at), None)
        cause = cause or (damage[-1] if damage else None)
        why = f": {cause.reason} at bytes {cause.start} to {cause.end}" if cause else ""
        count = missing(record)
        what = f"{count} records from number {record.seq} on are missing" if count else "its numbers run backwards"
        raise SourceError(
            f"{clean(str(block.path))} has a gap: {what}{why}; a replay across it has to be allowed (--across-gaps)"
        )


def _repeated(records: list[Record]) -> str:
    return f"records {records[0].seq} to {records[-1].seq} stand there once more"


class _Numbering:
    """Which seq comes next. Every session numbers its own records; SESSION records stand beside the numbering."""

    def __init__(self, after: Place) -> None:
        resumed = after != START
        self._started_ns = after.started_ns if resumed else -1
        self._expected = after.seq + 1 if resumed else -1
        self._after = after.seq if resumed else -1
        self._floor = 0
        self._fresh = not resumed

    def enter(self, started_ns: int) -> None:
        """A record of the session begun at `started_ns` comes (-1: the file does not say, so it is the same)."""
        if started_ns not in (-1, self._started_ns):
            if self._started_ns != -1:
                self._expected, self._floor, self._fresh, self._after = -1, 0, True, -1
            self._started_ns = started_ns

    def opened(self, seq: int) -> bool:
        """A segment's SESSION record has been read: True for the first one of a session."""
        first, self._fresh = self._fresh, False
        if first and self._expected < 0:
            self._floor = seq
        return first

    def before(self, record: Record) -> bool:
        """Whether a record was read before this reading began."""
        return record.seq <= self._after

    def passed_by(self, last: Record) -> bool:
        """Whether a whole block, up to its last record, has been read already."""
        return 0 <= last.seq < self._expected

    def hole(self, record: Record, *, damaged: bool) -> Record | None:
        """The GAP before a record, if there is one. A first record begins the numbering, unless damage precedes it."""
        expected = self._expected
        if expected < 0:
            expected = self._floor if damaged and record.seq > self._floor + 1 else record.seq
        if record.seq == expected:
            return None
        return Record(expected, record.recv_ns, RecordKind.GAP, "", str(max(record.seq - expected, 0)).encode())

    def passed(self, record: Record) -> None:
        self._fresh = False
        self._expected = record.seq + (missing(record) if record.kind is RecordKind.GAP else 1)


def missing(record: Record) -> int:
    """How many records a GAP stands for."""
    try:
        return int(record.payload)
    except ValueError:
        raise SourceError(f"the gap at record {record.seq} does not say how many records are missing") from None


def session(path: Path) -> dict[str, Any]:
    """What was recorded, and how."""
    return Recorded(path).session()


def records(path: Path, *, allow_gaps: bool = False, damage: list[Damage] | None = None) -> Iterator[Record]:
    """The records alone, for one reading. A path that is no recording is a UsageError at once."""
    return (record for record, _ in Recorded(path).records(allow_gaps=allow_gaps, damage=damage))
