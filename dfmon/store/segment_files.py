"""The segment files of a recorder: opened, rotated, cut after a failed write, and in the end deleted.

`recorder` decides what is written and when; this module owns names, locks and limits.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dfmon.engine.journal import Record, RecordKind, encode
from dfmon.model.errors import DfmonError
from dfmon.model.units import DAY, HOUR, utc
from dfmon.store import segment


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
        self._hour = 0
        self._fd = -1
        self._whole = self._opened = 0  # bytes up to the end of the last whole block; of the head and the SESSION
        self._named_ms = 0
        self.path = directory

    @property
    def full(self) -> bool:
        """Whether the segment has reached its size or its hour is over."""
        return self._whole >= self._most or (self._hourly and self._clock() // HOUR != self._hour)

    def begin(self, next_seq: int) -> int:
        """A new segment, begun with its SESSION record; returns the bytes written."""
        self.end()
        self._directory.mkdir(parents=True, exist_ok=True)
        now = self._clock()
        # Names sort in the order of the segments, whatever the clock does meanwhile.
        self._named_ms = max(now // 1_000_000, self._named_ms + 1)
        self._open()
        if self._started_ns < 0:  # another session in this directory has another first file, hence another start
            self._started_ns = self._named_ms * 1_000_000
        self.number += 1
        self._hour, self._whole, self._opened = now // HOUR, 0, 0
        opening = encode(Record(next_seq, now, RecordKind.SESSION, "", self._session))
        head = segment.pack_segment(self.number, self._started_ns)
        self._opened = self._write(head + segment.pack_block([opening], next_seq))
        self.retain(now)
        return self._opened

    def _open(self) -> None:
        while True:
            moment = utc(self._named_ms * 1_000_000)
            name = f"dfmon-{moment:%Y%m%dT%H%M%S}.{self._named_ms % 1000:03d}Z{segment.SUFFIX}"
            self.path = self._directory / name
            try:
                self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                break
            except FileExistsError:
                self._named_ms += 1
        with contextlib.suppress(OSError):  # a file system without locks: only retention asks for them
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def append(self, rows: Sequence[bytes], first_seq: int) -> int:
        return self._write(segment.pack_block(rows, first_seq))

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
        if self._fd >= 0:
            os.fsync(self._fd)

    def cut(self) -> None:
        """After a failed write: end the file at its last whole block; one without records is deleted."""
        with contextlib.suppress(OSError):  # a torn block that stays is named by the reader
            if self._fd >= 0:
                os.ftruncate(self._fd, self._whole)
                if self._whole <= self._opened:
                    self.path.unlink()
        self.end()

    def end(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            with contextlib.suppress(OSError):  # it could only tell of a write whose result was checked already
                os.close(fd)

    def _write(self, data: bytes) -> int:
        if self._fd < 0:
            raise OSError("no segment is open")
        left = memoryview(data)
        while left:
            left = left[os.write(self._fd, left) :]
        self._whole += len(data)
        return len(data)


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
