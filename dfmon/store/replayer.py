"""Reads recordings back: the records of a segment, or of a directory of segments, as they were offered.

Comes after `recorder`; its records go to the same driver that made them. What is damaged is stepped over to the next
whole block and named by its bytes, and a hole in the numbering is refused unless the caller allows it: a replay
across a hole is not what was seen.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from dfmon.engine.journal import Record, RecordKind, decode
from dfmon.model.errors import SourceError, UsageError
from dfmon.model.units import clean
from dfmon.store import segment
from dfmon.store.segment import BLOCK_HEAD, BLOCK_MAGIC, SEGMENT_HEAD, SegmentHead

_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes `start` up to `end` of a segment that could not be read. `tail`: nothing readable follows in the file."""

    path: Path
    start: int
    end: int
    reason: str
    tail: bool

    def __str__(self) -> str:
        after = "; the recording ends there" if self.tail else ""
        return f"{clean(str(self.path))}: bytes {self.start} to {self.end} are unreadable: {self.reason}{after}"


def is_recording(path: Path) -> bool:
    """Whether `path` is a segment, or a directory that holds one."""
    try:
        if path.is_dir():
            return any(is_recording(file) for file in path.glob(f"*{segment.SUFFIX}") if file.is_file())
        if not path.is_file():
            return False
        with path.open("rb") as handle:
            return _opens(handle)
    except OSError:
        return False


def session(path: Path) -> dict[str, Any]:
    """What was recorded, and how: the JSON object the recorder was given, from the first segment that still has it."""
    for file in _segments(path):
        opening = next(_Segment(file, []).records(), None)
        if opening is not None and opening.kind is RecordKind.SESSION:
            found = json.loads(opening.payload)
            if isinstance(found, dict):
                return found
    raise SourceError(f"{clean(str(path))} does not say what was recorded: its session record is missing")


def records(path: Path, *, allow_gaps: bool = False, damage: list[Damage] | None = None) -> Iterator[Record]:
    """Every readable record in order, the first one a SESSION; a later SESSION begins another session.

    With `damage`, what is unreadable is listed there; without, it is a SourceError after the last record. With
    `allow_gaps`, a hole is a GAP record whose seq is the first missing one and whose payload says how many are
    missing; without, it is a SourceError where it occurs. A path that is no recording is a UsageError at once.
    """
    segments = _segments(path)
    return _checked(segments, allow_gaps, damage)


def _checked(segments: list[Path], allow_gaps: bool, damage: list[Damage] | None) -> Iterator[Record]:
    found: list[Damage] = [] if damage is None else damage
    before = len(found)
    numbers = _Numbering()
    for path in segments:
        reader = _Segment(path, found)
        for record in reader.records():
            numbers.enter(reader.started_ns)
            if reader.first and record.kind is RecordKind.SESSION:
                if numbers.opened(record.seq):
                    yield record
                continue
            hole = numbers.hole(record, damaged=len(found) > before)
            if hole is not None:
                yield _allowed(hole, path, allow_gaps, found[before:])
            yield _allowed(record, path, allow_gaps, found[before:])
            numbers.passed(record)
    if damage is None and found:
        more = f" (and {len(found) - 1} more places)" if len(found) > 1 else ""
        raise SourceError(f"{found[0]}{more}")


class _Numbering:
    """Which seq comes next. Every session numbers its own records; SESSION records stand beside the numbering."""

    def __init__(self) -> None:
        self._started_ns = self._expected = -1
        self._floor = 0
        self._fresh = True

    def enter(self, started_ns: int) -> None:
        """A record of the session begun at `started_ns` comes (-1: the file does not say, so it is the same)."""
        if started_ns not in (-1, self._started_ns):
            if self._started_ns != -1:
                self._expected, self._floor, self._fresh = -1, 0, True
            self._started_ns = started_ns

    def opened(self, seq: int) -> bool:
        """A segment's SESSION record has been read: True for the first one of a session."""
        first, self._fresh = self._fresh, False
        if first and self._expected < 0:
            self._floor = seq
        return first

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
        self._expected = record.seq + (_missing(record) if record.kind is RecordKind.GAP else 1)


def _allowed(record: Record, path: Path, allow_gaps: bool, damage: list[Damage]) -> Record:
    """The record, or SourceError where it is a hole that nobody has allowed."""
    if allow_gaps or record.kind is not RecordKind.GAP:
        return record
    why = f": {damage[-1].reason} at bytes {damage[-1].start} to {damage[-1].end}" if damage else ""
    count = _missing(record)
    what = f"{count} records from number {record.seq} on are missing" if count else "its numbers run backwards"
    raise SourceError(f"{clean(str(path))} has a gap: {what}{why}; a replay across it has to be allowed")


def _missing(record: Record) -> int:
    """How many records a GAP stands for."""
    try:
        return int(record.payload)
    except ValueError:
        raise SourceError(f"the gap at record {record.seq} does not say how many records are missing") from None


# ---- files -------------------------------------------------------------------------------------------------------


def _segments(path: Path) -> list[Path]:
    shown = clean(str(path))
    try:
        if path.is_dir():
            if files := _in_order(path):
                return files
            raise UsageError(f"{shown} holds no recording: a directory with *{segment.SUFFIX} files is expected")
        if not path.exists():
            raise UsageError(
                f"{shown} does not exist: a recording (a {segment.SUFFIX} file or a directory) is expected"
            )
        with path.open("rb") as handle:
            if not _opens(handle):
                raise UsageError(f"{shown} is not a recording of dfmon: a {segment.SUFFIX} file is expected")
        return [path]
    except OSError as exc:
        raise UsageError(f"cannot read {shown}: {(exc.strerror or str(exc)).lower()}") from None


def _in_order(directory: Path) -> list[Path]:
    """Segments that are not empty, session after session; names are in order only within one recorder's files."""
    started_ns, found = 0, []
    for file in sorted(directory.glob(f"*{segment.SUFFIX}")):
        if file.is_file() and file.stat().st_size:
            with file.open("rb") as handle:
                head = segment.unpack_segment(handle.read(SEGMENT_HEAD))
            started_ns = head.started_ns if head else started_ns  # a damaged head goes with the file before it
            found.append((started_ns, file))
    return [file for _, file in sorted(found)]


def _opens(handle: BinaryIO) -> bool:
    """Whether a file begins like a segment; one of its two heads may be damaged."""
    head = handle.read(SEGMENT_HEAD + BLOCK_HEAD)
    return head.startswith(segment.MAGIC) or segment.unpack_block(head[SEGMENT_HEAD:]) is not None


class _Segment:
    """One file, block by block. `first` holds while the records of its first block are given."""

    def __init__(self, path: Path, damage: list[Damage]) -> None:
        self._path, self._damage = path, damage
        self.started_ns = -1
        self.first = True

    def records(self) -> Iterator[Record]:
        try:
            with self._path.open("rb") as handle:
                self._size = handle.seek(0, 2)
                handle.seek(0)
                self._head(segment.unpack_segment(handle.read(SEGMENT_HEAD)))
                at = min(SEGMENT_HEAD, self._size)
                while at < self._size:
                    self.first = at == SEGMENT_HEAD
                    block, end = self._block(handle, at)
                    yield from block
                    at = end
        except OSError as exc:
            raise SourceError(f"cannot read {clean(str(self._path))}: {(exc.strerror or str(exc)).lower()}") from None

    def _head(self, head: SegmentHead | None) -> None:
        if head is None:
            end = min(SEGMENT_HEAD, self._size)
            self._damage.append(Damage(self._path, 0, end, "the head of the file is damaged", end == self._size))
        elif head.version != segment.VERSION:
            raise UsageError(
                f"{clean(str(self._path))} is a recording in format {head.version}: this dfmon reads {segment.VERSION}"
            )
        else:
            self.started_ns = head.started_ns

    def _block(self, handle: BinaryIO, at: int) -> tuple[list[Record], int]:
        """The records of the block at `at` and where the next one begins; damage is noted and stepped over."""
        handle.seek(at)
        head = segment.unpack_block(handle.read(BLOCK_HEAD))
        try:
            if head is None:
                raise ValueError(
                    "there is no block" if self._size - at >= BLOCK_HEAD else "the last block is incomplete"
                )
            return list(decode(segment.unpack_records(head, handle.read(head.packed)))), at + BLOCK_HEAD + head.packed
        except ValueError as exc:
            # An intact head knows where its block ends; behind a damaged one the next block has to be searched for.
            start = at + BLOCK_HEAD + head.packed if head else at + 1
            end = self._search(handle, start)
            self._damage.append(Damage(self._path, at, end, str(exc), end >= self._size))
            return [], end

    def _search(self, handle: BinaryIO, at: int) -> int:
        """Where the next block with an intact head begins, from `at` on; the end of the file where there is none."""
        while at < self._size:
            handle.seek(at)
            chunk = handle.read(_CHUNK + BLOCK_HEAD)
            found = chunk.find(BLOCK_MAGIC)
            while 0 <= found < _CHUNK:
                if segment.unpack_block(chunk[found : found + BLOCK_HEAD]) is not None:
                    return at + found
                found = chunk.find(BLOCK_MAGIC, found + 1)
            at += _CHUNK
        return self._size
