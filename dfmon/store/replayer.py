"""Reads the records of a segment, or of a directory of segments, as they were offered to the recorder.

Damage is skipped up to the next intact block and reported by its bytes. A gap in the numbering is an error unless the
caller allows it: a replay across a gap is not what was seen.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from dfmon.engine.journal import Record, RecordKind
from dfmon.model.errors import SourceError
from dfmon.model.units import sanitize
from dfmon.store import blocks, segment
from dfmon.store.blocks import Block, Damage


class RecordCursor(NamedTuple):
    """Position in a recording: the session, and the number of the record in it."""

    started_ns: int
    seq: int


BEGINNING: Final = RecordCursor(-(1 << 63), -1)


def is_recording(path: Path) -> bool:
    """True if `path` is a segment, or a directory that contains one."""
    try:
        if path.is_dir():
            return any(blocks.is_segment(file) for file in path.glob(f"*{segment.SUFFIX}") if file.is_file())
        return path.is_file() and blocks.is_segment(path)
    except OSError:
        return False


def session_info(session_record: Record) -> dict[str, Any]:
    """The JSON object of a SESSION record."""
    try:
        found = json.loads(session_record.payload)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise SourceError("the session record of the recording is not a JSON object")
    return found


class RecordingReader:
    """The recording at `path`, indexed once. Raises UsageError where `path` is not a recording."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.index_damage: list[Damage] = []  # found by the index; damaged block bodies are found when they are read
        self.blocks = blocks.block_index(path, self.index_damage)

    def session_info(self) -> dict[str, Any]:
        """The JSON object of the session, from the first segment that still has it."""
        first_blocks = [block for block in self.blocks if not block.is_continuation]
        for _, records in blocks.unpack_blocks(first_blocks, []):
            if records and records[0].kind is RecordKind.SESSION:
                return session_info(records[0])
        raise SourceError(f"{sanitize(str(self.path))} has no readable session record")

    def span(self) -> tuple[int, int]:
        """Receive times of the first and the last readable record, ns. Raises SourceError if there is none."""
        first, last = self._edge_record(self.blocks, 0), self._edge_record(self.blocks[::-1], -1)
        if first is None or last is None:
            raise SourceError(f"{sanitize(str(self.path))} has no readable record")
        return first.recv_ns, last.recv_ns

    @staticmethod
    def _edge_record(ordered: list[Block], at: int) -> Record | None:
        for _, records in blocks.unpack_blocks(ordered, []):
            if timed_records := [record for record in records if record.kind is not RecordKind.SESSION]:
                return timed_records[at]
        return None

    def records(
        self, *, after: RecordCursor = BEGINNING, allow_gaps: bool = False, damage: list[Damage] | None = None
    ) -> Iterator[tuple[Record, int]]:
        """Every readable record in order with the start of its session; the first one of each session is its SESSION.

        Reading starts behind `after`. Damage is appended to `damage`, or without it raised as a SourceError after the
        last record. With `allow_gaps` a gap is a GAP record whose seq is the first missing one and whose payload is the
        number of missing records; without, it is a SourceError where it occurs.
        """
        found: list[Damage] = [] if damage is None else damage
        found += self.index_damage
        tracker = _SequenceTracker(after)
        for block, records in blocks.unpack_blocks(self._blocks_after(after), found):
            tracker.enter_session(block.started_ns)
            if not block.is_continuation and records and records[0].kind is RecordKind.SESSION:
                session_record = records.pop(0)
                if tracker.is_new_session(session_record.seq):
                    yield session_record, block.started_ns
            if records and tracker.is_block_already_read(records[-1]):
                if (block.started_ns, records[-1].seq) > after:  # else all of it is before `after`
                    found.append(_repeat(block, records))
                continue
            for record in records:
                if tracker.is_already_read(record):
                    continue
                gap = tracker.gap(record, damaged=bool(found))
                if gap is not None:
                    yield self._check_gap(gap, block, allow_gaps, found), block.started_ns
                yield self._check_gap(record, block, allow_gaps, found), block.started_ns
                tracker.advance(record)
        if damage is None and found:
            more_places = f" (and {len(found) - 1} more places)" if len(found) > 1 else ""
            raise SourceError(f"{found[0]}{more_places}")

    def _blocks_after(self, after: RecordCursor) -> list[Block]:
        """The blocks that can have records behind `after`: the one that contains it, and those behind."""
        at = bisect_right(self.blocks, after, key=lambda block: RecordCursor(block.started_ns, block.first_seq))
        return [block for block in self.blocks[max(at - 1, 0) :] if block.started_ns >= after.started_ns]

    @staticmethod
    def _check_gap(record: Record, block: Block, allow_gaps: bool, damage: list[Damage]) -> Record:
        """The record; raises SourceError for a gap that is not allowed."""
        if allow_gaps or record.kind is not RecordKind.GAP:
            return record
        cause = next((d for d in reversed(damage) if d.path == block.path and d.end <= block.offset), None)
        cause = cause or (damage[-1] if damage else None)
        cause_text = f": {cause.reason} at bytes {cause.start} to {cause.end}" if cause else ""
        count = missing_count(record)
        what = f"{count} records from number {record.seq} are missing" if count else "record numbers run backwards"
        raise SourceError(f"{sanitize(str(block.path))} has a gap: {what}{cause_text}; --across-gaps replays across it")


def _repeat(block: Block, records: list[Record]) -> Damage:
    first_seq = records[0].seq
    reason = f"records {first_seq} to {records[-1].seq} are repeated"
    return Damage(block.path, block.offset, block.end, reason, block.tail, len(records), first_seq)


class _SequenceTracker:
    """Tracks the next seq. Every session numbers its own records; SESSION records stand outside of the numbering."""

    def __init__(self, after: RecordCursor) -> None:
        is_resumed = after != BEGINNING
        self._started_ns = after.started_ns if is_resumed else -1
        self._expected_seq = after.seq + 1 if is_resumed else -1
        self._after_seq = after.seq if is_resumed else -1
        self._session_seq = 0
        self._awaiting_session = not is_resumed

    def enter_session(self, started_ns: int) -> None:
        """The next record is of the session begun at `started_ns` (-1: unknown, so the same session)."""
        if started_ns not in (-1, self._started_ns):
            if self._started_ns != -1:
                self._expected_seq, self._session_seq, self._awaiting_session, self._after_seq = -1, 0, True, -1
            self._started_ns = started_ns

    def is_new_session(self, seq: int) -> bool:
        """True for the first SESSION record of a session; every segment has one."""
        first, self._awaiting_session = self._awaiting_session, False
        if first and self._expected_seq < 0:
            self._session_seq = seq
        return first

    def is_already_read(self, record: Record) -> bool:
        """True for a record at or before `after`."""
        return record.seq <= self._after_seq

    def is_block_already_read(self, last: Record) -> bool:
        """True if a block up to its last record has been read already."""
        return 0 <= last.seq < self._expected_seq

    def gap(self, record: Record, *, damaged: bool) -> Record | None:
        """The GAP before a record, if any. The first record begins the numbering, unless damage precedes it."""
        expected_seq = self._expected_seq
        if expected_seq < 0:
            expected_seq = self._session_seq if damaged and record.seq > self._session_seq + 1 else record.seq
        if record.seq == expected_seq:
            return None
        return Record(expected_seq, record.recv_ns, RecordKind.GAP, "", str(max(record.seq - expected_seq, 0)).encode())

    def advance(self, record: Record) -> None:
        self._awaiting_session = False
        self._expected_seq = record.seq + (missing_count(record) if record.kind is RecordKind.GAP else 1)


def missing_count(record: Record) -> int:
    """The number of records that a GAP stands for."""
    try:
        return int(record.payload)
    except ValueError:
        raise SourceError(f"the gap at record {record.seq} does not state how many records are missing") from None


def read_session(path: Path) -> dict[str, Any]:
    """The JSON object of the first session of a recording."""
    return RecordingReader(path).session_info()


def records(path: Path, *, allow_gaps: bool = False, damage: list[Damage] | None = None) -> Iterator[Record]:
    """The records of a recording, without their sessions. Raises UsageError at once where `path` is not a recording."""
    return (record for record, _ in RecordingReader(path).records(allow_gaps=allow_gaps, damage=damage))
