"""History for gauges and charts: one MetricRow a tick and underlying, for weeks, in an embedded database.

Filled from snapshots through a buffer (see `buffered_writer`); read by the screen and the sinks. Rows of the current
hour are rows of a table; each full hour is folded into one blob per column, so a week of a column is about 160 reads.
The database is SQLite in WAL mode, `synchronous=normal`: a crash of the process loses the last second, a power failure
may lose the last few. Without a usable database the monitor runs without a history and shows the reason.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from msgspec.structs import astuple

from dfmon.model.snapshot import MetricRow
from dfmon.model.units import DAY, HOUR
from dfmon.store import history_file
from dfmon.store.buffered_writer import FLUSH_INTERVAL_S, BufferedWriter
from dfmon.store.database import DamagedRowsError
from dfmon.store.history_file import COLUMNS, HISTORY_SCHEMA, Column, HistoryError, HistoryRow

__all__ = ["History", "HistoryError", "HistoryReader"]

_MAX_PENDING: Final = 20_000  # rows in memory while another process locks the database


class HistoryReader:
    """Reads a history, beside its writer or alone. Opens the file read-only; use it from one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db = HISTORY_SCHEMA.open_read_only(path)

    def underlyings(self) -> tuple[str, ...]:
        with HISTORY_SCHEMA.translate_errors(self._path):
            return history_file.underlyings(self._db)

    def columns(self, underlying: str, since_ns: int, names: Sequence[str] = COLUMNS) -> dict[str, Column]:
        """Columns of the rows at or after `since_ns`, ordered by time; `ts_ns` is always among them.

        `ts_ns` and `bucket` are int64, the others float64 with NaN where a snapshot had no value.
        """
        if unknown_columns := [name for name in names if name not in COLUMNS]:
            raise ValueError(f"no column {unknown_columns[0]!r}: one of {', '.join(COLUMNS)} is expected")
        with HISTORY_SCHEMA.translate_errors(self._path):
            return history_file.columns(self._db, underlying, since_ns, ("ts_ns", *(n for n in names if n != "ts_ns")))

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


class History(BufferedWriter[HistoryRow]):
    """The writer. Raises HistoryError where the file cannot be used; a later error is in `failure`."""

    def __init__(
        self,
        path: Path,
        *,
        retention_days: float = 35.0,
        clock: Callable[[], int] = time.time_ns,
        flush_interval_s: float | None = FLUSH_INTERVAL_S,
    ) -> None:
        """`flush_interval_s` None leaves flushing to the caller: no thread is started."""
        self._clock, self._retention_ns = clock, int(retention_days * DAY)
        self._folded_hours: dict[str, int] = {}
        super().__init__(
            HISTORY_SCHEMA,
            path,
            max_pending=_MAX_PENDING,
            failure_prefix="history stopped",
            flush_interval_s=flush_interval_s,
        )

    def append_row(self, underlying: str, row: MetricRow) -> None:
        """Appends a row for the next flush. No I/O; never raises; a row without room is counted in `dropped`."""
        self._enqueue([(underlying, *astuple(row))])

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
        history_file.delete_before(self._db, now - self._retention_ns)

    def _write_items(self, items: list[HistoryRow]) -> None:
        history_file.insert_ticks(self._db, items)
        if self._fold_full_hours(items):
            history_file.delete_before(self._db, self._clock() - self._retention_ns)

    def _on_rollback(self) -> None:
        self._folded_hours.clear()

    def _fold_full_hours(self, rows: list[HistoryRow]) -> bool:
        """Folds the hours that have become full. Returns False where there were none."""
        newest: dict[str, int] = {}
        for underlying, ts_ns, *_ in rows:
            newest[underlying] = max(newest.get(underlying, 0), int(ts_ns))
        completed = {u: ts_ns // HOUR for u, ts_ns in newest.items() if ts_ns // HOUR > self._folded_hours.get(u, -1)}
        for underlying, hour in completed.items():
            try:
                history_file.fold_hours(self._db, underlying, hour)
            except (ValueError, TypeError, OverflowError) as exc:
                raise DamagedRowsError(str(exc)) from None
        self._folded_hours.update(completed)
        return bool(completed)
