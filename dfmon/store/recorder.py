"""Writes the journal of a running session to segment files, beside the market and never in its way.

`driver` offers every record before it applies it; `replayer` reads the files back. `offer` only puts the record into a
bounded mailbox; a thread batches the mailbox into compressed blocks about once a second, or at a megabyte.

Safety: a block reaches the operating system as soon as it is written, so a killed process loses at most the last
second. It is forced to the disk every ten seconds and when a segment ends: that is what a power failure can cost.
When the disk is full or fails, recording stops with a reason in `failed`, and monitoring goes on.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from dfmon.engine.journal import Record, RecordKind, encode
from dfmon.model.errors import DfmonError, UsageError
from dfmon.model.units import HOUR, clean, utc
from dfmon.store import segment

_BATCH_S: Final = 1.0
_BATCH_BYTES: Final = 1 << 20
_SYNC_S: Final = 10.0
_HEAD_BYTES: Final = 120  # what a record weighs in memory besides its payload


class Recorder:
    """Records offered from one thread, written by another. Counters may be read from any thread."""

    def __init__(
        self,
        directory: Path,
        session: Mapping[str, Any],
        clock: Callable[[], int] = time.time_ns,
        *,
        segment_bytes: int = 256 << 20,
        hourly: bool = False,
        mailbox_records: int = 200_000,
        mailbox_bytes: int = 64 << 20,
    ) -> None:
        """Opens the first segment, so that an unusable directory is a UsageError now and not a surprise later."""
        self.records = self.raw_bytes = self.written_bytes = self.dropped = 0
        self.failed: str | None = None
        self._most_records, self._most_bytes = mailbox_records, mailbox_bytes
        self._mail: list[Record] = []
        self._mail_bytes = 0
        self._gap: Record | None = None
        self._offered = self._settled = 0
        self._lock = threading.Lock()
        self._wake, self._done = threading.Event(), threading.Condition(self._lock)
        self._closing = False
        self._files = _Segments(directory, session, clock, segment_bytes, hourly)
        try:
            self.written_bytes += self._files.begin(0)
        except OSError as exc:
            raise UsageError(f"cannot record into {clean(str(directory))}: {_reason(exc)}") from None
        self._thread = threading.Thread(target=self._run, name="dfmon-recorder", daemon=True)
        self._thread.start()

    @property
    def path(self) -> Path:
        """The segment being written."""
        return self._files.path

    def offer(self, record: Record) -> None:
        """Take a record, or count it as dropped: never waits for the disk and never raises."""
        size = len(record.payload) + _HEAD_BYTES
        with self._lock:
            self._offered += 1
            full = len(self._mail) >= self._most_records or self._mail_bytes + size > self._most_bytes
            if full or self._closing or self.failed is not None:
                self._drop(record)
                return
            self._close_gap()
            self._mail.append(record)
            self._mail_bytes += size
            waiting = self._mail_bytes
        if waiting >= _BATCH_BYTES:
            self._wake.set()

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Wait until everything offered so far is with the operating system; False where that did not come about."""
        with self._done:
            goal = self._offered
            self._wake.set()
            self._done.wait_for(lambda: self._settled >= goal or not self._thread.is_alive(), timeout_s)
            return self._settled >= goal and self.failed is None

    def close(self, timeout_s: float = 10.0) -> None:
        """Write what is left and end the segment. Safe to call twice."""
        with self._lock:
            self._closing = True
        self._wake.set()
        self._thread.join(timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    # ---- the mailbox; the caller holds the lock --------------------------------------------------------------------

    def _drop(self, record: Record) -> None:
        """A hole is one GAP record where it happened: first missing seq, and how many are missing."""
        self.dropped += 1
        count = int(self._gap.payload) + 1 if self._gap else 1
        first = self._gap or record
        self._gap = Record(first.seq, first.recv_ns, RecordKind.GAP, "", str(count).encode())

    def _close_gap(self) -> None:
        if self._gap is not None:
            self._mail.append(self._gap)
            self._gap = None

    def _take(self) -> tuple[list[Record], int]:
        with self._lock:
            if self.failed is None:
                self._close_gap()
            mail, self._mail, self._mail_bytes = self._mail, [], 0
            return mail, self._offered

    # ---- the writing thread ----------------------------------------------------------------------------------------

    def _run(self) -> None:
        synced = time.monotonic()
        last = False
        while not last:
            self._wake.wait(_BATCH_S)
            self._wake.clear()
            last = self._closing
            mail, goal = self._take()
            before = self.records
            try:
                self._write(mail)
                if last or time.monotonic() - synced >= _SYNC_S:
                    self._files.sync()
                    synced = time.monotonic()
            except OSError as exc:
                self._fail(f"recording stopped: cannot write {clean(str(self.path))}: {_reason(exc)}", mail, before)
            except Exception as exc:  # the thread must not die without a word: `flush` would wait for it
                self._fail(f"recording stopped: {type(exc).__name__}: {clean(str(exc))}", mail, before)
            with self._done:
                self._settled = goal
                self._done.notify_all()
        self._files.end()

    def _write(self, mail: list[Record]) -> None:
        """The mail as blocks of about a megabyte."""
        parts: list[bytes] = []
        size = start = 0
        for at, record in enumerate(mail):
            parts.append(self._encoded(record))
            size += len(parts[-1])
            if size >= _BATCH_BYTES or at == len(mail) - 1:
                self._put(b"".join(parts), mail[start : at + 1])
                parts, size, start = [], 0, at + 1

    def _encoded(self, record: Record) -> bytes:
        try:
            return encode(record)
        except (struct.error, ValueError, AttributeError, TypeError):
            # Not a record the format can hold (a source of 300 letters): a hole of one, said where it is.
            self.dropped += 1
            return encode(Record(record.seq, record.recv_ns, RecordKind.GAP, "", b"1"))

    def _put(self, raw: bytes, records: list[Record]) -> None:
        if self.failed is not None:
            return
        self.written_bytes += self._files.append(raw, len(records), records[0].seq, _next_seq(records[-1]))
        self.raw_bytes += len(raw)
        self.records += len(records)

    def _fail(self, reason: str, mail: list[Record], before: int) -> None:
        with self._lock:
            self.failed = self.failed or reason
            self.dropped += len(mail) - (self.records - before)
        self._files.cut()


class _Segments:
    """The files: numbered, named by the time they begin, readable to their owner only."""

    def __init__(
        self, directory: Path, session: Mapping[str, Any], clock: Callable[[], int], most: int, hourly: bool
    ) -> None:
        self._directory, self._clock, self._most, self._hourly = directory, clock, most, hourly
        try:
            self._session = json.dumps(dict(session), sort_keys=True, allow_nan=False).encode()
        except (TypeError, ValueError) as exc:
            raise DfmonError(f"the session cannot be recorded as JSON: {exc}") from None
        self._started_ns = clock()
        self._number = -1
        self._hour = 0
        self._fd = -1
        self._whole = 0  # bytes up to the end of the last whole block
        self._named_ms = 0
        self.path = directory

    def begin(self, next_seq: int) -> int:
        """A new segment, begun with its SESSION record; returns the bytes written."""
        self.end()
        self._directory.mkdir(parents=True, exist_ok=True)
        now = self._clock()
        # Names sort in the order of the segments, whatever the clock does meanwhile.
        self._named_ms = max(now // 1_000_000, self._named_ms + 1)
        while True:
            moment = utc(self._named_ms * 1_000_000)
            name = f"dfmon-{moment:%Y%m%dT%H%M%S}.{self._named_ms % 1000:03d}Z{segment.SUFFIX}"
            self.path = self._directory / name
            try:
                self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                break
            except FileExistsError:
                self._named_ms += 1
        self._number += 1
        self._hour, self._whole = now // HOUR, 0
        opening = encode(Record(next_seq, now, RecordKind.SESSION, "", self._session))
        return self._write(
            segment.pack_segment(self._number, self._started_ns) + segment.pack_block(opening, 1, next_seq)
        )

    def append(self, raw: bytes, count: int, first_seq: int, next_seq: int) -> int:
        written = self._write(segment.pack_block(raw, count, first_seq))
        if self._whole >= self._most or (self._hourly and self._clock() // HOUR != self._hour):
            self.sync()
            written += self.begin(next_seq)
        return written

    def sync(self) -> None:
        if self._fd >= 0:
            os.fsync(self._fd)

    def cut(self) -> None:
        """After a failed write: leave the file at its last whole block, if the disk still takes that."""
        with contextlib.suppress(OSError):  # a torn block that stays is named by the reader
            if self._fd >= 0:
                os.ftruncate(self._fd, self._whole)
                if not self._whole:
                    self.path.unlink()
        self.end()

    def end(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            with contextlib.suppress(OSError):  # it could only tell of a write whose result was checked already
                os.close(fd)

    def _write(self, data: bytes) -> int:
        left = memoryview(data)
        while left:
            left = left[os.write(self._fd, left) :]
        self._whole += len(data)
        return len(data)


def _next_seq(record: Record) -> int:
    return record.seq + (int(record.payload) if record.kind is RecordKind.GAP else 1)


def _reason(exc: OSError) -> str:
    return (exc.strerror or str(exc)).lower()
