"""Writes the journal of a running session to segment files, beside the market and never in its way.

`driver` offers every record before it applies it; `replayer` reads the files back. `offer` only puts the record into a
bounded mailbox; a thread batches the mailbox into compressed blocks about once a second, or at a megabyte, and
`segment_files` merges the small ones into large ones.

Safety: a block reaches the operating system as soon as it is written, so a killed process loses at most the last
second. It is forced to the disk every ten seconds and when it is merged: that is what a power failure can cost.
When the disk is full or fails, recording pauses with a reason in `failed`, monitoring goes on, and a new segment is
tried again and again; what was missed meanwhile is one GAP record at its beginning.
"""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from dfmon.engine.journal import Record, RecordKind, encode
from dfmon.model.errors import UsageError
from dfmon.model.units import clean
from dfmon.store.segment_files import SegmentFiles

_BATCH_S: Final = 1.0
_BATCH_BYTES: Final = 1 << 20
_SYNC_S: Final = 10.0
_RETRY_S: Final = 5.0  # after a failed write; doubled with every further failure
_LONGEST_RETRY_S: Final = 60.0
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
        keep_bytes: int = 0,
        keep_days: int = 0,
        mailbox_records: int = 200_000,
        mailbox_bytes: int = 64 << 20,
        retry_s: float = _RETRY_S,
    ) -> None:
        """Opens the first segment, so that an unusable directory is a UsageError now and not a surprise later.

        `keep_bytes` and `keep_days` bound what the directory keeps, 0 for no bound; see `SegmentFiles.retain`.
        """
        self.records = self.frames = self.raw_bytes = self.dropped = 0
        self.failed: str | None = None
        self._most_records, self._most_bytes = mailbox_records, mailbox_bytes
        self._mail: list[Record] = []
        self._mail_bytes = 0
        self._gap: Record | None = None
        self._offered = self._settled = 0
        self._lock = threading.Lock()
        self._wake, self._done = threading.Event(), threading.Condition(self._lock)
        self._closing = False
        self._retry_s, self._wait_s, self._again_at = retry_s, retry_s, 0.0
        self._files = SegmentFiles(directory, session, clock, segment_bytes, hourly, keep_bytes, keep_days)
        try:
            self._files.begin(0)
        except OSError as exc:
            raise UsageError(f"cannot record into {clean(str(directory))}: {_reason(exc)}") from None
        self._thread = threading.Thread(target=self._run, name="dfmon-recorder", daemon=True)
        self._thread.start()

    @property
    def path(self) -> Path:
        """The segment being written."""
        return self._files.path

    @property
    def files(self) -> int:
        """Segments begun so far."""
        return self._files.number + 1

    @property
    def written_bytes(self) -> int:
        """What the recording takes on the disk."""
        return self._files.size

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
        self._widen(record, 1)

    def _widen(self, record: Record, missing: int) -> None:
        first, count = (self._gap, int(self._gap.payload)) if self._gap else (record, 0)
        self._gap = Record(first.seq, first.recv_ns, RecordKind.GAP, "", str(count + missing).encode())

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
            if self.failed is not None:
                self._resume(at_once=last)
            mail, goal = self._take()
            before = self.records
            try:
                self._write(mail)
                if last or time.monotonic() - synced >= _SYNC_S:
                    self._files.sync()
                    synced = time.monotonic()
            except OSError as exc:
                self._fail(_reason(exc), mail[self.records - before :])
            except Exception as exc:  # the thread must not die without a word: `flush` would wait for it
                self._fail(f"{type(exc).__name__}: {clean(str(exc))}", mail[self.records - before :])
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
                self._put(parts, size, mail[start : at + 1])
                parts, size, start = [], 0, at + 1

    def _encoded(self, record: Record) -> bytes:
        try:
            return encode(record)
        except (struct.error, ValueError, AttributeError, TypeError):
            # Not a record the format can hold (a source of 300 letters): a hole of one, said where it is.
            self.dropped += 1
            return encode(Record(record.seq, record.recv_ns, RecordKind.GAP, "", b"1"))

    def _put(self, rows: list[bytes], size: int, records: list[Record]) -> None:
        self._files.append(rows, records[0].seq)
        self.raw_bytes += size
        self.records += len(records)
        self.frames += sum(record.kind is RecordKind.FRAME for record in records)
        self._wait_s = self._retry_s
        if self._files.full:
            self._files.begin(_next_seq(records[-1]))

    def _fail(self, reason: str, unwritten: list[Record]) -> None:
        """Pause: what could not be written and what waits behind it become one hole."""
        with self._lock:
            self.failed = f"recording paused: cannot write {clean(str(self.path))}: {reason}"
            behind, self._gap = self._gap, None
            for record in (*unwritten, *self._mail, *([behind] if behind else [])):
                if record.kind is RecordKind.GAP:  # counted when it was made
                    self._widen(record, int(record.payload))
                else:
                    self._drop(record)
            self._mail, self._mail_bytes = [], 0
        self._later()

    def _later(self) -> None:
        self._again_at = time.monotonic() + self._wait_s
        self._wait_s = min(2.0 * self._wait_s, max(_LONGEST_RETRY_S, self._retry_s))

    def _resume(self, *, at_once: bool) -> None:
        """Try a new segment; recording goes on there if it can be begun."""
        if not at_once and time.monotonic() < self._again_at:
            return
        gap = self._gap
        try:
            self._files.begin(gap.seq if gap else 0)
        except OSError:
            self._later()
            return
        with self._lock:
            self.failed = None


def _next_seq(record: Record) -> int:
    return record.seq + (int(record.payload) if record.kind is RecordKind.GAP else 1)


def _reason(exc: OSError) -> str:
    return (exc.strerror or str(exc)).lower()
