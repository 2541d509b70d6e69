"""Writer of a history in ClickHouse: rows go to memory, a thread sends them once a second, an outbox bridges outages.

Every row that was appended is delivered, waits in the outbox or in memory, or is counted in `dropped`. A row is sent
again after a response that was lost; its key replaces it. While ClickHouse is away, refuses or is of another schema,
`waiting` says so, rows go to the outbox in order, and after a connection it is emptied before newer rows are sent.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Self

import msgspec
import numpy as np
from msgspec.structs import astuple

from dfmon.model.backoff import backoff_delay
from dfmon.model.snapshot import MetricRow
from dfmon.model.units import MINUTE, sanitize
from dfmon.store.clickhouse import schema
from dfmon.store.clickhouse.client import ClickHouseClient, ClickHouseError
from dfmon.store.clickhouse.outbox import Batch, Outbox, OutboxError
from dfmon.store.history_file import COLUMNS
from dfmon.store.history_records import Record
from dfmon.store.history_rollups import MAX_NS
from dfmon.store.history_tables import RECORD_TABLES, SPAN_NS, TICKS

_MAX_PENDING: Final = 20_000  # rows in memory
_MAX_BATCH_ROWS: Final = 50_000
_FLUSH_INTERVAL_S: Final = 1.0
_FIRST_DELAY_S, _MAX_DELAY_S = 1.0, 30.0
_NAMES: Final = {TICKS: ("underlying", *COLUMNS)} | {name: tuple(t.columns) for name, t in RECORD_TABLES.items()}


class ClickHouseHistory:
    """The writer. `waiting` is the reason why rows wait, `failure` that of a writer that has ended."""

    def __init__(
        self,
        client: ClickHouseClient,
        variant: Callable[[tuple[int, int]], schema.Variant],
        outbox: Outbox,
        *,
        clock: Callable[[], float] = time.monotonic,
        flush_interval_s: float | None = _FLUSH_INTERVAL_S,
    ) -> None:
        """`variant` returns the form of the tables for a version. With `flush_interval_s` None the caller flushes."""
        self.appended = self.delivered = self.dropped = 0  # rows
        self.failure: str | None = None
        self.notice: str | None = None
        self.waiting: str | None = None
        self._client, self._variant, self._outbox, self._clock = client, variant, outbox, clock
        self._pending: list[Record] = []
        self._unspilled: deque[Batch] = deque()  # bounded by _MAX_PENDING rows in `_spill`
        self._buffer_lock, self._send_lock = threading.Lock(), threading.Lock()
        self._connected, self._next_try, self._attempts = False, 0.0, 0
        self._unrolled: tuple[int, int] | None = None  # times of the first and last tick that is not rolled up
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(flush_interval_s,), name="dfmon-history", daemon=True)
        if flush_interval_s is not None:
            self._thread.start()

    def append_row(self, underlying: str, row: MetricRow) -> None:
        """Appends a row for the next flush. No I/O; never raises; a row without room is counted in `dropped`."""
        self.append_records([(TICKS, (underlying, *astuple(row)))])

    def append_records(self, records: Iterable[Record]) -> None:
        """Appends rows of the tables of `history_tables`, as `append_row`."""
        rows = list(records)
        with self._buffer_lock:
            self.appended += len(rows)
            if self.failure is not None or len(self._pending) + len(rows) > _MAX_PENDING:
                self.dropped += len(rows)
            else:
                self._pending += rows

    @property
    def waiting_rows(self) -> int:
        """Rows in the outbox and in memory."""
        with self._send_lock:
            return self._outbox.rows + sum(batch.rows for batch in self._unspilled) + len(self._pending)

    def flush(self) -> None:
        """Sends what was appended, or puts it into the outbox. Never raises."""
        with self._send_lock:
            with self._buffer_lock:
                pending, self._pending = self._pending, []
            batches = [*self._unspilled, *self._encode(pending)]
            self._unspilled.clear()
            try:
                if self._is_ready():
                    while batches:
                        self._send(batches[0])
                        self.delivered += batches.pop(0).rows
                    self._roll_up_minutes()
            except (ClickHouseError, OutboxError) as exc:
                self._wait(exc)
            if batches:
                self._spill(batches)

    def _encode(self, records: Sequence[Record]) -> list[Batch]:
        """One batch a table, in the order of their first rows; a row that cannot be encoded is dropped and counted."""
        bodies: dict[str, list[bytes]] = {}
        times: dict[str, list[int]] = {}
        for table, row in records:
            try:
                body, ts_ns = _encode_row(table, row), int(row[1])
                if not 0 <= ts_ns < MAX_NS:
                    raise OverflowError(f"its time is {ts_ns}")
            except (TypeError, OverflowError) as exc:
                self.dropped += 1
                self.notice = f"a row of {table} cannot be stored: {sanitize(str(exc), 120)}"
                continue
            bodies.setdefault(table, []).append(body)
            times.setdefault(table, []).append(ts_ns)
        return [
            Batch(table, len(body), min(times[table]), max(times[table]), b"\n".join(body))
            for table, body in bodies.items()
        ]

    # ---- sending -----------------------------------------------------------------------------------------------------

    def _is_ready(self) -> bool:
        """True where the tables are there and the outbox is empty, False before the next try. Raises."""
        if not self._connected and self._clock() < self._next_try:
            return False
        if not self._connected:
            variant = self._variant(self._client.version())
            schema.migrate(self._client, variant)
            self._connected = True
            self._resume_roll_ups()
        while (found := self._outbox.oldest(_MAX_BATCH_ROWS)) is not None:
            number, batch = found
            self._send(batch)
            self._roll_up()
            self._outbox.remove_until(number)
            self.delivered += batch.rows  # not before: a roll-up that is refused has the batch sent again
        self.waiting, self._attempts = None, 0
        return True

    def _send(self, batch: Batch) -> None:
        self._client.insert(batch.table, batch.body)
        if batch.table == TICKS:
            self._extend_unrolled(batch.first_ns, batch.last_ns)

    def _wait(self, exc: Exception) -> None:
        """Delays the next try, with the tables checked again before it."""
        self._connected = False
        delay_s = backoff_delay(self._attempts, _FIRST_DELAY_S, _MAX_DELAY_S)
        self._attempts += 1
        self._next_try = self._clock() + delay_s
        self.waiting = f"{exc}; rows wait in the outbox"

    def _spill(self, batches: Sequence[Batch]) -> None:
        try:
            self.dropped += self._outbox.append(batches)
        except OutboxError as exc:
            self.waiting = f"{self.waiting or 'ClickHouse is away'}; {exc}"
            self._unspilled.extend(batches)
            while sum(batch.rows for batch in self._unspilled) > _MAX_PENDING:
                self.dropped += self._unspilled.popleft().rows

    # ---- roll-ups ----------------------------------------------------------------------------------------------------

    def _resume_roll_ups(self) -> None:
        """Rolls up again from the last minute that an earlier run has rolled up."""
        newest = int(self._client.execute("SELECT max(start_ns) FROM minutes"))
        last = int(self._client.execute(f"SELECT max(ts_ns) FROM {TICKS}"))
        if last > newest > 0:
            self._extend_unrolled(newest, last)

    def _extend_unrolled(self, first_ns: int, last_ns: int) -> None:
        first, last = self._unrolled or (first_ns, last_ns)
        self._unrolled = min(first, first_ns), max(last, last_ns)

    def _roll_up_minutes(self) -> None:
        """Rolls up once a minute has ended."""
        if self._unrolled is not None and self._unrolled[0] // MINUTE < self._unrolled[1] // MINUTE:
            self._roll_up()

    def _roll_up(self) -> None:
        """Rolls up the minutes and hours of the ticks sent; the last ones are still growing and rolled up again."""
        if self._unrolled is None:
            return
        first_ns, last_ns = self._unrolled
        for span in SPAN_NS:
            self._client.execute(schema.roll_up(span, first_ns, last_ns))
        self._unrolled = last_ns, last_ns

    # ---- the thread --------------------------------------------------------------------------------------------------

    def _run(self, flush_interval_s: float) -> None:
        while not self._closing.wait(flush_interval_s):
            self.flush()

    def close(self) -> None:
        """Flushes and closes; rows in the outbox wait for the next run. Safe to call twice."""
        if self._closing.is_set():
            return
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(10.0)
        self.flush()
        with self._send_lock, self._buffer_lock:
            if self._connected:
                with suppress(ClickHouseError):
                    self._roll_up()
            self.dropped += sum(batch.rows for batch in self._unspilled)
            self._unspilled.clear()
            self.failure = "the history is closed"
            self._outbox.close()
            self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


def _encode_row(table: str, row: tuple[Any, ...]) -> bytes:
    """A row as JSON; NaN becomes null. Raises TypeError or OverflowError for a value that no column takes."""
    return _ENCODER.encode(dict(zip(_NAMES[table], row)))


def _builtin(value: Any) -> Any:
    """A number of numpy as one of Python's."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a value of {type(value).__name__}")


_ENCODER: Final = msgspec.json.Encoder(enc_hook=_builtin)
