"""Writes the journal of a running session to segment files without ever delaying the market.

`driver` offers every record before it applies it; `replayer` reads the files back. `offer` only appends the record to a
bounded mailbox; a thread writes the mailbox as compressed blocks twice a second, or at a megabyte, and
`segment_files` merges small blocks into large ones.

Safety: a block reaches the operating system as soon as it is written, so a killed process loses at most the last
second. It is forced to the disk every ten seconds and when it is merged, so a power failure costs at most that.
When the disk is full or fails, recording pauses with the reason in `failure`, monitoring continues, and a new segment
is tried with back-off; the records missed meanwhile are one GAP record at its beginning.
"""

from __future__ import annotations

import os
import struct
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from dfmon.engine.journal import Record, RecordKind, encode
from dfmon.model.backoff import backoff_delay
from dfmon.model.errors import UsageError
from dfmon.model.units import sanitize
from dfmon.store.segment_files import SegmentFiles, Write

_BATCH_S: Final = 0.5  # half of what a kill may cost, so that a loaded machine keeps to it
_BATCH_BYTES: Final = 1 << 20
_SYNC_S: Final = 10.0
_RETRY_S: Final = 5.0  # after a failed write; doubled with every further failure
_MAX_RETRY_S: Final = 60.0
_RECORD_OVERHEAD_BYTES: Final = 120  # memory of a record besides its payload


class Recorder:
    """Takes records from one thread and writes them in another. Counters may be read from any thread."""

    def __init__(
        self,
        directory: Path,
        session: Mapping[str, Any],
        clock: Callable[[], int] = time.time_ns,
        *,
        segment_bytes: int = 256 << 20,
        rotate_hourly: bool = False,
        keep_bytes: int = 0,
        keep_days: int = 0,
        mailbox_records: int = 200_000,
        mailbox_bytes: int = 64 << 20,
        retry_s: float = _RETRY_S,
        batch_s: float | None = _BATCH_S,
        timer: Callable[[], float] = time.monotonic,
        write: Write = os.write,
    ) -> None:
        """Opens the first segment, so that an unusable directory raises UsageError at the start.

        `keep_bytes` and `keep_days` limit the directory, 0 for no limit; see `SegmentFiles.apply_retention`. `batch_s`
        None leaves writing to the caller of `write_batch`: no thread is started. `timer` gives the seconds between
        retries, `write` takes the place of the system's.
        """
        self.records = self.frames = self.raw_bytes = self.dropped = 0
        self.failure: str | None = None
        self._max_records, self._max_bytes = mailbox_records, mailbox_bytes
        self._mailbox: list[Record] = []
        self._mailbox_size_bytes = 0
        self._gap: Record | None = None
        self._offered = self._processed = 0
        self._lock = threading.Lock()
        self._wake, self._progress_made = threading.Event(), threading.Condition(self._lock)
        self._closing = False
        self._retry_s, self._failures, self._retry_at_s = retry_s, 0, 0.0
        self._timer, self._synced_s = timer, timer()
        self._files = SegmentFiles(
            directory, session, clock, segment_bytes, rotate_hourly, keep_bytes, keep_days, write
        )
        try:
            self._files.begin_segment(0)
        except OSError as exc:
            raise UsageError(f"cannot record into {sanitize(str(directory))}: {_reason(exc)}") from None
        self._thread = threading.Thread(target=self._run, args=(batch_s,), name="dfmon-recorder", daemon=True)
        if batch_s is not None:
            self._thread.start()

    @property
    def path(self) -> Path:
        """The segment being written."""
        return self._files.path

    @property
    def segment_count(self) -> int:
        """Number of segments begun so far."""
        return self._files.number + 1

    @property
    def written_bytes(self) -> int:
        """Size of the recording on disk."""
        return self._files.total_bytes

    def offer(self, record: Record) -> None:
        """Takes a record, or counts it as dropped. Never waits for the disk and never raises."""
        size = len(record.payload) + _RECORD_OVERHEAD_BYTES
        with self._lock:
            self._offered += 1
            is_full = len(self._mailbox) >= self._max_records or self._mailbox_size_bytes + size > self._max_bytes
            if is_full or self._closing or self.failure is not None:
                self._count_dropped(record)
                return
            self._enqueue_gap()
            self._mailbox.append(record)
            self._mailbox_size_bytes += size
            queued_bytes = self._mailbox_size_bytes
        if queued_bytes >= _BATCH_BYTES:
            self._wake.set()

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Waits until everything offered so far is with the operating system; False on a timeout or a failure."""
        with self._progress_made:
            target = self._offered
            self._wake.set()
            self._progress_made.wait_for(lambda: self._processed >= target or not self._thread.is_alive(), timeout_s)
            return self._processed >= target and self.failure is None

    def close(self, timeout_s: float = 10.0) -> None:
        """Writes the rest and ends the segment. Safe to call twice."""
        with self._lock:
            self._closing = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        elif self._thread.ident is None:
            self.write_batch()
            self._files.end_segment()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    # ---- the mailbox; the caller holds the lock --------------------------------------------------------------------

    def _count_dropped(self, record: Record) -> None:
        """Consecutive drops are one GAP record in their place: first missing seq, and the number missing."""
        self.dropped += 1
        self._extend_gap(record, 1)

    def _extend_gap(self, record: Record, missing_count: int) -> None:
        first, count = (self._gap, int(self._gap.payload)) if self._gap else (record, 0)
        self._gap = Record(first.seq, first.recv_ns, RecordKind.GAP, "", str(count + missing_count).encode())

    def _enqueue_gap(self) -> None:
        if self._gap is not None:
            self._mailbox.append(self._gap)
            self._gap = None

    def _drain_mailbox(self) -> tuple[list[Record], int]:
        with self._lock:
            if self.failure is None:
                self._enqueue_gap()
            records, self._mailbox, self._mailbox_size_bytes = self._mailbox, [], 0
            return records, self._offered

    # ---- the writing thread ----------------------------------------------------------------------------------------

    def _run(self, batch_s: float | None) -> None:
        is_last = False
        while not is_last:
            self._wake.wait(batch_s)
            self._wake.clear()
            is_last = self.write_batch()
        self._files.end_segment()

    def write_batch(self) -> bool:
        """Writes what was offered. Never raises: see `failure`. True for the last batch, once the recorder closes."""
        is_last = self._closing
        if self.failure is not None:
            self._retry_segment(immediately=is_last)
        records, target = self._drain_mailbox()
        written_before = self.records
        try:
            self._write_records(records)
            if is_last or self._timer() - self._synced_s >= _SYNC_S:
                self._files.sync()
                self._synced_s = self._timer()
        except OSError as exc:
            self._pause_recording(_reason(exc), records[self.records - written_before :])
        except Exception as exc:  # the thread must not die without a word: `flush` would wait for it
            self._pause_recording(
                f"{type(exc).__name__}: {sanitize(str(exc))}", records[self.records - written_before :]
            )
        with self._progress_made:
            self._processed = target
            self._progress_made.notify_all()
        return is_last

    def _write_records(self, records: list[Record]) -> None:
        """Writes records as blocks of about a megabyte."""
        rows: list[bytes] = []
        size = start = 0
        for at, record in enumerate(records):
            rows.append(self._encode_or_gap(record))
            size += len(rows[-1])
            if size >= _BATCH_BYTES or at == len(records) - 1:
                self._write_block(rows, size, records[start : at + 1])
                rows, size, start = [], 0, at + 1

    def _encode_or_gap(self, record: Record) -> bytes:
        try:
            return encode(record)
        except (struct.error, ValueError, AttributeError, TypeError):
            # The format cannot hold it (a source of 300 letters): a GAP of one record in its place.
            self.dropped += 1
            return encode(Record(record.seq, record.recv_ns, RecordKind.GAP, "", b"1"))

    def _write_block(self, rows: list[bytes], size: int, records: list[Record]) -> None:
        self._files.append_rows(rows, records[0].seq)
        self.raw_bytes += size
        self.records += len(records)
        self.frames += sum(record.kind is RecordKind.FRAME for record in records)
        self._failures = 0
        if self._files.is_full:
            self._files.begin_segment(_next_seq(records[-1]))

    def _pause_recording(self, reason: str, unwritten: list[Record]) -> None:
        """Pauses recording; unwritten and waiting records become one gap."""
        with self._lock:
            self.failure = f"recording paused: cannot write {sanitize(str(self.path))}: {reason}"
            pending_gap, self._gap = self._gap, None
            for record in (*unwritten, *self._mailbox, *([pending_gap] if pending_gap else [])):
                if record.kind is RecordKind.GAP:  # its records are counted already
                    self._extend_gap(record, int(record.payload))
                else:
                    self._count_dropped(record)
            self._mailbox, self._mailbox_size_bytes = [], 0
        self._schedule_retry()

    def _schedule_retry(self) -> None:
        delay_s = backoff_delay(self._failures, self._retry_s, max(_MAX_RETRY_S, self._retry_s))
        self._failures += 1
        self._retry_at_s = self._timer() + delay_s

    def _retry_segment(self, *, immediately: bool) -> None:
        """Tries to begin a new segment, and to resume recording there."""
        if not immediately and self._timer() < self._retry_at_s:
            return
        gap = self._gap
        try:
            self._files.begin_segment(gap.seq if gap else 0)
        except OSError:
            self._schedule_retry()
            return
        with self._lock:
            self.failure = None


def _next_seq(record: Record) -> int:
    return record.seq + (int(record.payload) if record.kind is RecordKind.GAP else 1)


def _reason(exc: OSError) -> str:
    return (exc.strerror or str(exc)).lower()
