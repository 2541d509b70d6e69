"""History for gauges and charts: one MetricRow a tick and underlying, for weeks, in an embedded database.

Filled from snapshots through a buffer (see `buffered_writer`); read by the screen and the sinks. Rows of the current
hour are rows of a table; each full hour is folded into one blob per column, so a week of a column is about 160 reads.
An hour that is folded is rolled up as well, by minute and as a whole; roll-ups are kept longer than ticks. Scenario and
threshold changes, alerts and hourly positions are rows of tables of their own (`history_tables`).
The database is SQLite in WAL mode, `synchronous=normal`: a crash of the process loses the last second, a power failure
may lose the last few. Without a usable database the monitor runs without a history and shows the reason.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
from msgspec.structs import astuple

from dfmon.model.snapshot import MetricRow
from dfmon.model.units import DAY, HOUR, sanitize
from dfmon.store import history_file, history_rollups
from dfmon.store.buffered_writer import FLUSH_INTERVAL_S, BufferedWriter
from dfmon.store.database import DamagedRowsError
from dfmon.store.history_file import COLUMNS, HISTORY_SCHEMA, Column, HistoryError, HistoryRow
from dfmon.store.history_records import Record
from dfmon.store.history_rollups import MAX_NS, RollUps, next_start
from dfmon.store.history_tables import ROLLED_COLUMNS, SPAN_NS, TICKS, Span
from dfmon.store.writer_locks import WriterLocks

__all__ = ["History", "HistoryError", "HistoryReader"]

_MAX_PENDING: Final = 20_000  # rows in memory while another process locks the database
_ROLLED_UP_HOURS: Final = 4  # a flush, of those folded before there were roll-ups


class HistoryReader:
    """Reads a history, beside its writer or alone. Opens the file read-only; use it from one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db = HISTORY_SCHEMA.open_read_only(path)

    def underlyings(self) -> tuple[str, ...]:
        with HISTORY_SCHEMA.translate_errors(self._path):
            return history_file.underlyings(self._db)

    def columns(
        self, underlying: str, since_ns: int, names: Sequence[str] = COLUMNS, until_ns: int = MAX_NS
    ) -> dict[str, Column]:
        """Columns of the rows in [since_ns, until_ns), ordered by time; `ts_ns` is always among them.

        `ts_ns` and `bucket` are int64, the others float64 with NaN where a snapshot had no value.
        """
        check_names(names, COLUMNS)
        names = ("ts_ns", *(name for name in names if name != "ts_ns"))
        with HISTORY_SCHEMA.translate_errors(self._path):
            return history_file.columns(self._db, underlying, since_ns, names, until_ns)

    def rollups(
        self,
        underlying: str,
        span: Span,
        since_ns: int,
        names: Sequence[str] = ROLLED_COLUMNS,
        until_ns: int = MAX_NS,
    ) -> RollUps:
        """Roll-ups of minutes or hours that begin in [since_ns, until_ns), ordered by time, with those still growing.

        `start_ns` is when each begins; a column is an array of AGGREGATES, one row each.
        """
        check_names(names, ROLLED_COLUMNS)
        with HISTORY_SCHEMA.translate_errors(self._path):
            stored = history_rollups.read(self._db, underlying, span, since_ns, until_ns, names)
        starts = stored["start_ns"]
        recent_ns = max(next_start(since_ns, span), int(starts[-1]) + SPAN_NS[span] if len(starts) else 0)
        ticks = self.columns(underlying, recent_ns, names, next_start(until_ns, span))
        recent = history_rollups.roll_up_ticks(ticks, span, names)
        return {name: np.concatenate([cells, recent[name]]) for name, cells in stored.items()}

    def records(
        self, table: str, underlying: str, since_ns: int = 0, until_ns: int = MAX_NS
    ) -> Iterator[tuple[Any, ...]]:
        """Rows of a table of `history_tables` in [since_ns, until_ns), ordered by time, in the order of its columns."""
        with HISTORY_SCHEMA.translate_errors(self._path):
            yield from history_file.records(self._db, table, underlying, since_ns, until_ns)

    def time_range(self, table: str, underlying: str) -> tuple[int, int] | None:
        """Times of the first and last row of a table, to the hour where they are folded; None where it is empty."""
        with HISTORY_SCHEMA.translate_errors(self._path):
            return history_file.time_range(self._db, table, underlying)

    def rows_since(self, underlying: str, ts_ns: int) -> list[MetricRow]:
        """Rows at or after `ts_ns`, ordered by time."""
        found = self.columns(underlying, ts_ns)
        return [MetricRow(*row) for row in zip(*(found[name].tolist() for name in COLUMNS))]

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


def check_names(names: Sequence[str], allowed: Sequence[str]) -> None:
    """Raises ValueError for a name that is not allowed."""
    if unknown := [name for name in names if name not in allowed]:
        raise ValueError(f"no column {unknown[0]!r}: one of {', '.join(allowed)} is expected")


@contextmanager
def _damage_errors() -> Iterator[None]:
    """Turns errors over stored rows, such as blobs of another length, into those of a damaged file."""
    try:
        yield
    except (ValueError, TypeError, OverflowError) as exc:
        raise DamagedRowsError(str(exc)) from None


class History(BufferedWriter[Record]):
    """The writer. Raises HistoryError where the file cannot be used; a later error is in `failure`.

    An underlying that another program writes is left to it until it ends; `ceded` counts the rows left out here.
    """

    def __init__(
        self,
        path: Path,
        *,
        retention_days: float = 35.0,
        minutes_days: float = 400.0,
        hours_days: float = 3650.0,
        clock: Callable[[], int] = time.time_ns,
        flush_interval_s: float | None = FLUSH_INTERVAL_S,
    ) -> None:
        """Ticks and positions are kept for `retention_days`, minute roll-ups for `minutes_days`, all else `hours_days`.

        `flush_interval_s` None leaves flushing to the caller: no thread is started.
        """
        self._clock = clock
        self._retention_ns = [int(days * DAY) for days in (retention_days, minutes_days, hours_days)]
        self._folded_hours: dict[str, int] = {}
        self._has_unrolled = True
        self.ceded = 0
        self._locks = WriterLocks(path)
        super().__init__(
            HISTORY_SCHEMA,
            path,
            max_pending=_MAX_PENDING,
            failure_prefix="history stopped",
            flush_interval_s=flush_interval_s,
        )

    def append_row(self, underlying: str, row: MetricRow) -> None:
        """Appends a row for the next flush. No I/O; never raises; a row without room is counted in `dropped`."""
        self._enqueue([(TICKS, (underlying, *astuple(row)))])

    def append_records(self, records: Iterable[Record]) -> None:
        """Appends rows of the tables of `history_tables`, as `append_row`."""
        self._enqueue(list(records))

    def rows_since(self, underlying: str, ts_ns: int) -> list[MetricRow]:
        """As HistoryReader, with all rows appended so far. Reads the disk: not for the market loop."""
        self.flush()
        with closing(HistoryReader(self._path)) as reader:
            return reader.rows_since(underlying, ts_ns)

    def columns(self, underlying: str, since_ns: int, names: Sequence[str] = COLUMNS) -> dict[str, Column]:
        """As HistoryReader, with all rows appended so far."""
        self.flush()
        with closing(HistoryReader(self._path)) as reader:
            return reader.columns(underlying, since_ns, names)

    # ---- behind the buffer -----------------------------------------------------------------------------------------

    def _clean_up(self) -> None:
        """Folds the hours that the last run left open, and deletes expired rows."""
        now = self._clock()
        for underlying in history_file.underlyings(self._db):
            history_file.fold_hours(self._db, underlying, now // HOUR)
        self._delete_expired(now)

    def _delete_expired(self, now_ns: int) -> None:
        history_file.delete_before(self._db, *(now_ns - retention_ns for retention_ns in self._retention_ns))

    def _write_items(self, items: list[Record]) -> None:
        rows: dict[str, list[HistoryRow]] = {}
        others = sorted({row[0] for _, row in items if not self._locks.acquire(row[0])})
        for table, row in items:
            if row[0] not in others:
                rows.setdefault(table, []).append(row)
        ticks = rows.pop(TICKS, [])
        history_file.insert_ticks(self._db, ticks)
        for table, records in rows.items():
            history_file.insert_records(self._db, table, records)
        if self._fold_full_hours(ticks):
            self._delete_expired(self._clock())
        elif self._has_unrolled:
            with _damage_errors():
                self._has_unrolled = history_file.roll_up_folded(self._db, _ROLLED_UP_HOURS)
        self.ceded += len(items) - len(ticks) - sum(map(len, rows.values()))
        place = sanitize(str(self._path))
        self._standby = (
            f"another dfmon writes {', '.join(others)} in {place}; this one only reads it" if others else None
        )

    def close(self) -> None:
        super().close()
        self._locks.release()

    def _on_rollback(self) -> None:
        self._folded_hours.clear()

    def _fold_full_hours(self, rows: list[HistoryRow]) -> bool:
        """Folds the hours that have become full. Returns False where there were none."""
        completed: dict[str, int] = {}
        for row in rows:
            underlying, hour = row[0], row[1] // HOUR
            if hour > self._folded_hours.get(underlying, -1):
                completed[underlying] = max(completed.get(underlying, -1), hour)
        for underlying, hour in completed.items():
            with _damage_errors():
                history_file.fold_hours(self._db, underlying, hour)
        self._folded_hours.update(completed)
        return bool(completed)
