"""The segment files of a recorder: creation, appending, rotation, retention.

`recorder` decides what is written and when; this module owns names, locks and limits.

The records of half a second are one small block of the recent file beside the segment. When a megabyte has accumulated
it is compressed again as one block of the segment and forced to the disk; only then is the recent file deleted. A kill
at any moment leaves every record in one of the two, or in both, and `blocks` reads it once.
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
from dfmon.store.segment import Compression

Write = Callable[[int, memoryview], int]  # as os.write
_BLOCK_BYTES: Final = 1 << 20  # of a merged block, uncompressed; a batch this large is behind and compressed fast
_BALANCED_BYTES: Final = 1 << 16  # per batch, half a second: BEST would take a tenth of a core beyond this rate


class SegmentFiles:
    """Segments numbered within the session, named by their start, readable by their owner only, locked while open."""

    def __init__(
        self,
        directory: Path,
        session: Mapping[str, Any],
        clock: Callable[[], int],
        max_segment_bytes: int,
        rotate_hourly: bool,
        keep_bytes: int,
        keep_days: int,
        write: Write = os.write,
    ) -> None:
        self._directory, self._clock, self._rotate_hourly = directory, clock, rotate_hourly
        # Retention deletes whole segments: small ones, so that it stays near its limit.
        self._max_segment_bytes = min(max_segment_bytes, keep_bytes // 8) if keep_bytes else max_segment_bytes
        self._keep_bytes, self._keep_days, self._write = keep_bytes, keep_days, write
        try:
            self._session = json.dumps(dict(session), sort_keys=True, allow_nan=False).encode()
        except (TypeError, ValueError) as exc:
            raise DfmonError(f"the session cannot be recorded as JSON: {exc}") from None
        self._started_ns = -1
        self.number = -1
        self._hour = self._name_time_ms = 0
        self.path = directory
        self._segment: _SegmentWriter | None = None
        self._recent_file: _SegmentWriter | None = None
        self._unmerged = _UnmergedRecords()
        self._closed_bytes = 0

    @property
    def total_bytes(self) -> int:
        """Size on disk of all segments of this recorder."""
        return self._closed_bytes + self._open_bytes

    @property
    def _open_bytes(self) -> int:
        return sum(file.size for file in (self._segment, self._recent_file) if file is not None)

    @property
    def is_full(self) -> bool:
        """True once the segment has reached its size or its hour is over."""
        return self._open_bytes >= self._max_segment_bytes or (
            self._rotate_hourly and self._clock() // HOUR != self._hour
        )

    def begin_segment(self, next_seq: int) -> None:
        """Opens a new segment with its SESSION record, then closes the one before it."""
        self._directory.mkdir(parents=True, exist_ok=True)
        now = self._clock()
        # Names sort in the order of the segments, whatever the clock does meanwhile.
        self._name_time_ms = max(now // 1_000_000, self._name_time_ms + 1)
        # The start identifies the session: another one in this directory has another first file, hence another start.
        new_segment, started_ns = self._create_segment(next_seq, now)
        self.end_segment()
        self._segment, self.path, self._started_ns = new_segment, new_segment.path, started_ns
        self.number += 1
        self._hour = now // HOUR
        self.apply_retention(now)

    def _create_segment(self, next_seq: int, now: int) -> tuple[_SegmentWriter, int]:
        while True:
            name_time_ns = self._name_time_ms * 1_000_000
            started_ns = self._started_ns if self._started_ns >= 0 else name_time_ns
            name = f"dfmon-{utc(name_time_ns):%Y%m%dT%H%M%S}.{self._name_time_ms % 1000:03d}Z{segment.SUFFIX}"
            prefix = self._file_prefix(self.number + 1, started_ns, next_seq, now)
            try:
                return _SegmentWriter(self._directory / name, prefix, self._write), started_ns
            except FileExistsError:
                self._name_time_ms += 1

    def _file_prefix(self, number: int, started_ns: int, next_seq: int, now: int) -> bytes:
        """The beginning of a file: its header and the SESSION record."""
        row = encode(Record(next_seq, now, RecordKind.SESSION, "", self._session))
        return segment.pack_segment_header(number, started_ns) + segment.compress_block(
            [row], next_seq, Compression.FAST
        )

    def append_rows(self, rows: Sequence[bytes], first_seq: int) -> None:
        """Writes encoded records. Raises OSError, after which none of them are in the file."""
        if self._segment is None:
            raise OSError("no segment is open")
        batch = _UnmergedRecords(first_seq, tuple(rows), sum(map(len, rows)), 1)
        if self._unmerged.size + batch.size >= _BLOCK_BYTES:
            self._merge_into_segment(self._segment, batch)
            return
        if self._recent_file is None:
            prefix = self._file_prefix(self.number, self._started_ns, first_seq, self._clock())
            self._recent_file = _SegmentWriter(segment.recent_file(self.path), prefix, self._write)
        self._recent_file.write(segment.compress_block(rows, first_seq, Compression.FAST))
        self._unmerged += batch

    def _merge_into_segment(self, segment_file: _SegmentWriter, batch: _UnmergedRecords) -> None:
        """Writes the records of the recent file and then of `batch` as one block of the segment."""
        merged = self._unmerged + batch
        compression = Compression.FAST if batch.size >= _BLOCK_BYTES else merged.compression
        segment_file.write(segment.compress_block(merged.rows, merged.first_seq, compression), durable=True)
        if self._recent_file is not None:
            self._recent_file.delete()
        self._recent_file, self._unmerged = None, _UnmergedRecords()

    def apply_retention(self, now: int) -> None:
        """Deletes the oldest segments of the directory beyond its limits, never one that is being written.

        The order is that of the names, which is that of age. A session without its first segments replays from the
        first listing that is left.
        """
        budget_bytes = self._keep_bytes - self._max_segment_bytes
        for file in sorted(self._directory.glob(f"dfmon-*{segment.SUFFIX}"), reverse=True):
            with contextlib.suppress(OSError):  # deleted by another recorder, or without permission
                file_stat = file.stat()
                budget_bytes -= 0 if file == self.path else file_stat.st_size
                expired = self._keep_days and now - file_stat.st_mtime_ns > self._keep_days * DAY
                if file != self.path and (expired or (self._keep_bytes and budget_bytes < 0)) and not _is_locked(file):
                    file.unlink()

    def sync(self) -> None:
        for file in (self._segment, self._recent_file):
            if file is not None:
                file.sync()

    def end_segment(self) -> None:
        """Merges and closes the segment; what cannot be merged stays in the recent file, which is read too."""
        with contextlib.suppress(OSError):
            if self._segment is not None and self._unmerged.rows:
                self._merge_into_segment(self._segment, _UnmergedRecords())
        if self._segment is not None and self._segment.is_empty and self._recent_file is None and self.number:
            self._segment.delete()  # begun after a failed write, and the next write failed too
            self._segment = None
        self._closed_bytes += self._open_bytes
        for file in (self._segment, self._recent_file):
            if file is not None:
                file.close()
        self._segment, self._recent_file, self._unmerged = None, None, _UnmergedRecords()


@dataclass(frozen=True, slots=True)
class _UnmergedRecords:
    """Encoded records of the recent file, and the number of batches they arrived in."""

    first_seq: int = 0
    rows: tuple[bytes, ...] = ()
    size: int = 0
    batch_count: int = 0

    def __add__(self, other: _UnmergedRecords) -> _UnmergedRecords:
        first_seq = self.first_seq if self.rows else other.first_seq
        return _UnmergedRecords(
            first_seq, self.rows + other.rows, self.size + other.size, self.batch_count + other.batch_count
        )

    @property
    def compression(self) -> Compression:
        return Compression.BALANCED if self.size >= _BALANCED_BYTES * self.batch_count else Compression.BEST


class _SegmentWriter:
    """A segment file open for writing: readable by its owner only, locked, truncated to whole blocks on errors."""

    def __init__(self, path: Path, prefix: bytes, write: Write) -> None:
        self.path = path
        self.size = 0
        self._write = write
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with contextlib.suppress(OSError):  # a file system without locks: only retention checks them
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            self.write(prefix)
        except OSError:
            self.delete()
            raise
        self._prefix_bytes = self.size

    @property
    def is_empty(self) -> bool:
        return self.size == self._prefix_bytes

    def write(self, data: bytes, *, durable: bool = False) -> None:
        """Writes all of `data` or nothing; `durable` forces it to the disk."""
        remaining = memoryview(data)
        try:
            while remaining:
                remaining = remaining[self._write(self._fd, remaining) :]
            if durable:
                self.sync()
        except OSError:
            with contextlib.suppress(OSError):  # else a torn block stays, which a reader reports
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
        with contextlib.suppress(OSError):  # the results of all writes were checked already
            os.close(self._fd)


def _is_locked(file: Path) -> bool:
    """True if a recorder of this or another process has the segment open."""
    fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe would wait for its other end
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
