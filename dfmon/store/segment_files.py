"""The segment files of a recorder: opened, filled, rotated, and in the end deleted.

`recorder` decides what is written and when; this module owns names, locks and limits.

What comes in a second is a small block of the recent file, which stands beside the segment. When a megabyte has come
together it is packed anew as one block of the segment, forced to the disk, and only then is the recent file deleted: a
kill at any moment leaves every record in one of the two, or in both, and `blocks` reads it once.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from dfmon.engine.journal import Record, RecordKind, encode
from dfmon.model.errors import DfmonError
from dfmon.model.units import DAY, HOUR, utc
from dfmon.store import segment
from dfmon.store.segment import Effort

_BLOCK_BYTES: Final = 1 << 20  # of a merged block, unpacked; as much at a time has others waiting behind it
_BUSY_BYTES: Final = 1 << 17  # at a time, which is about a second: longer searches would cost a tenth of a core


class SegmentFiles:
    """The files: numbered, named by the time they begin, readable to their owner only, locked while written."""

    def __init__(
        self,
        directory: Path,
        session: Mapping[str, Any],
        clock: Callable[[], int],
        most: int,
        hourly: bool,
        keep_bytes: int,
        keep_days: int,
    ) -> None:
        self._directory, self._clock, self._hourly = directory, clock, hourly
        # What retention deletes is a small part of what is kept.
        self._most = min(most, keep_bytes // 8) if keep_bytes else most
        self._keep_bytes, self._keep_days = keep_bytes, keep_days
        try:
            self._session = json.dumps(dict(session), sort_keys=True, allow_nan=False).encode()
        except (TypeError, ValueError) as exc:
            raise DfmonError(f"the session cannot be recorded as JSON: {exc}") from None
        self._started_ns = -1
        self.number = -1
        self._hour = self._named_ms = 0
        self.path = directory
        self._kept: _Written | None = None  # the segment
        self._recent: _Written | None = None
        self._small = _Small()
        self._ended_bytes = 0

    @property
    def size(self) -> int:
        """What all segments of this recorder take on the disk."""
        return self._ended_bytes + self._open_bytes

    @property
    def _open_bytes(self) -> int:
        return sum(file.size for file in (self._kept, self._recent) if file is not None)

    @property
    def full(self) -> bool:
        """Whether the segment has reached its size or its hour is over."""
        return self._open_bytes >= self._most or (self._hourly and self._clock() // HOUR != self._hour)

    def begin(self, next_seq: int) -> None:
        """A new segment, begun with its SESSION record. The one before it ends when this one stands."""
        self._directory.mkdir(parents=True, exist_ok=True)
        now = self._clock()
        # Names sort in the order of the segments, whatever the clock does meanwhile.
        self._named_ms = max(now // 1_000_000, self._named_ms + 1)
        # Another session in this directory has another first file, hence another start.
        opened, started_ns = self._open(next_seq, now)
        self.end()
        self._kept, self.path, self._started_ns = opened, opened.path, started_ns
        self.number += 1
        self._hour = now // HOUR
        self.retain(now)

    def _open(self, next_seq: int, now: int) -> tuple[_Written, int]:
        while True:
            named_ns = self._named_ms * 1_000_000
            started_ns = self._started_ns if self._started_ns >= 0 else named_ns
            name = f"dfmon-{utc(named_ns):%Y%m%dT%H%M%S}.{self._named_ms % 1000:03d}Z{segment.SUFFIX}"
            opening = self._opening(self.number + 1, started_ns, next_seq, now)
            try:
                return _Written(self._directory / name, opening), started_ns
            except FileExistsError:
                self._named_ms += 1

    def _opening(self, number: int, started_ns: int, next_seq: int, now: int) -> bytes:
        """How a file begins: its head, and the SESSION record."""
        row = encode(Record(next_seq, now, RecordKind.SESSION, "", self._session))
        return segment.pack_segment(number, started_ns) + segment.pack_block([row], next_seq, Effort.HASTE)

    def append(self, rows: Sequence[bytes], first_seq: int) -> None:
        """Write encoded records, all or, where that is an OSError, none of them."""
        if self._kept is None:
            raise OSError("no segment is open")
        came = _Small(first_seq, tuple(rows), sum(map(len, rows)), 1)
        if self._small.size + came.size >= _BLOCK_BYTES:
            self._merge(self._kept, came)
            return
        if self._recent is None:
            opening = self._opening(self.number, self._started_ns, first_seq, self._clock())
            self._recent = _Written(segment.recent(self.path), opening)
        self._recent.write(segment.pack_block(rows, first_seq, Effort.HASTE))
        self._small += came

    def _merge(self, kept: _Written, came: _Small) -> None:
        """What the recent file holds, and what `came` behind it, as one block of the segment."""
        merged = self._small + came
        effort = Effort.HASTE if came.size >= _BLOCK_BYTES else merged.effort
        kept.write(segment.pack_block(merged.rows, merged.first_seq, effort), lasting=True)
        if self._recent is not None:
            self._recent.delete()
        self._recent, self._small = None, _Small()

    def retain(self, now: int) -> None:
        """Delete the oldest segments of the directory beyond its limits, never one that is being written.

        By name, hence by age, so that what is left is the newest; a session that lost its first segments replays
        from the first listing it still has.
        """
        room = self._keep_bytes - self._most
        for file in sorted(self._directory.glob(f"dfmon-*{segment.SUFFIX}"), reverse=True):
            with contextlib.suppress(OSError):  # another recorder's retention was faster, or it is not ours to delete
                about = file.stat()
                room -= 0 if file == self.path else about.st_size
                old = self._keep_days and now - about.st_mtime_ns > self._keep_days * DAY
                if file != self.path and (old or (self._keep_bytes and room < 0)) and not _is_written(file):
                    file.unlink()

    def sync(self) -> None:
        for file in (self._kept, self._recent):
            if file is not None:
                file.sync()

    def end(self) -> None:
        """Close the segment, merged; what cannot be merged stays in the recent file, which is read as well."""
        with contextlib.suppress(OSError):
            if self._kept is not None and self._small.rows:
                self._merge(self._kept, _Small())
        if self._kept is not None and self._kept.empty and self._recent is None and self.number:
            self._kept.delete()  # begun after trouble, and trouble came again
            self._kept = None
        self._ended_bytes += self._open_bytes
        for file in (self._kept, self._recent):
            if file is not None:
                file.close()
        self._kept, self._recent, self._small = None, None, _Small()


@dataclass(frozen=True, slots=True)
class _Small:
    """Encoded records of the recent file, and in how many blocks they came."""

    first_seq: int = 0
    rows: tuple[bytes, ...] = ()
    size: int = 0
    batches: int = 0

    def __add__(self, other: _Small) -> _Small:
        first_seq = self.first_seq if self.rows else other.first_seq
        return _Small(first_seq, self.rows + other.rows, self.size + other.size, self.batches + other.batches)

    @property
    def effort(self) -> Effort:
        return Effort.BUSY if self.size >= _BUSY_BYTES * self.batches else Effort.CALM


class _Written:
    """A segment file being written: readable to its owner only, locked, and whole whatever fails."""

    def __init__(self, path: Path, opening: bytes) -> None:
        self.path = path
        self.size = 0
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with contextlib.suppress(OSError):  # a file system without locks: only retention asks for them
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            self.write(opening)
        except OSError:
            self.delete()
            raise
        self._opened = self.size

    @property
    def empty(self) -> bool:
        return self.size == self._opened

    def write(self, data: bytes, *, lasting: bool = False) -> None:
        """All of `data` or nothing; where `lasting`, it is on the disk afterwards."""
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(self._fd, left) :]
            if lasting:
                self.sync()
        except OSError:
            with contextlib.suppress(OSError):  # a torn block that stays is named by the reader
                os.lseek(self._fd, self.size, os.SEEK_SET)
                os.ftruncate(self._fd, self.size)
            raise
        self.size += len(data)

    def sync(self) -> None:
        os.fsync(self._fd)

    def delete(self) -> None:
        with contextlib.suppress(OSError):
            self.path.unlink()
        self.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):  # it could only tell of a write whose result was checked already
            os.close(self._fd)


def _is_written(file: Path) -> bool:
    """Whether a recorder, ours or of another process, has the segment open."""
    fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
