"""Reads snapshot boards in parquet: months of boards in one file, a batch at a time, in the order of their time.

Comes after `board_cells` (rules) and before `boards` (events). pyarrow is an extra and is imported only when such a
file is read. Checks run on entire columns; only a bad row is examined by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dfmon.model.errors import SourceError, UsageError
from dfmon.model.events import Listed
from dfmon.model.units import MILLISECOND, NAN, SECOND, sanitize
from dfmon.store import board_cells as cells
from dfmon.store.board_cells import SNAPSHOT_FORMAT, BadCell, BadRow, BoardRow, RowValues

MAGIC: Final = b"PAR1"
_BATCH_ROWS: Final = 8192
_TEXT_COLUMNS: Final = ("instrument_name", "currency", "option_type")
_TIME_COLUMNS: Final = ("timestamp", "expiry_datetime")
_NUMERIC_COLUMNS: Final = (SNAPSHOT_FORMAT.strike, *SNAPSHOT_FORMAT.fields)

_NS_PER_UNIT: Final = {"s": SECOND, "ms": MILLISECOND, "us": 1000, "ns": 1}

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


def is_parquet(path: Path) -> bool:
    try:
        with path.open("rb") as handle:
            return handle.read(4) == MAGIC
    except OSError:
        return False


def _pyarrow() -> tuple[ModuleType, ModuleType]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise UsageError(
            "reading a parquet board needs pyarrow, which is not installed: pip install 'dfmon[parquet]'"
        ) from None
    return pyarrow, parquet


class ParquetBoardReader:
    """An open parquet file of boards: its currencies, and its rows in the order of time."""

    def __init__(self, path: Path) -> None:
        self._arrow, parquet = _pyarrow()
        self._path, self._display_path = path, sanitize(str(path))
        try:
            self._file: Any = parquet.ParquetFile(path)
        except (self._arrow.ArrowException, OSError) as exc:
            raise SourceError(
                f"{self._display_path} is damaged: its parquet footer is unreadable ({_first_line(exc)})"
            ) from None
        schema = self._file.schema_arrow
        if missing := [column for column in SNAPSHOT_FORMAT.required if column not in schema.names]:
            raise UsageError(f"{self._display_path} is not a parquet board: it lacks {', '.join(missing)}")
        self._check_column_types(schema)
        self._columns = [
            c for c in (*_TIME_COLUMNS, *_TEXT_COLUMNS, *(f.column for f in _NUMERIC_COLUMNS)) if c in schema.names
        ]
        self._listed: dict[tuple[str, str, float, int, str], Listed] = {}
        if not self._file.metadata.num_rows:
            raise UsageError(f"{self._display_path} is a parquet board without rows: at least one option is needed")

    def _check_column_types(self, schema: Any) -> None:
        types = self._arrow.types
        for column in schema.names:
            kind = schema.field(column).type
            if column in _TIME_COLUMNS and not types.is_timestamp(kind):
                raise UsageError(f"{self._display_path}: column {column} is {kind}, a timestamp is expected")
            numeric = types.is_floating(kind) or types.is_integer(kind) or types.is_null(kind)
            if column in {f.column for f in _NUMERIC_COLUMNS} and not numeric:
                raise UsageError(f"{self._display_path}: column {column} is {kind}, numbers are expected")

    def currencies(self) -> tuple[str, ...]:
        try:
            column = self._file.read(columns=["currency"]).column(0)
            return tuple(sorted(str(value) for value in column.unique().to_pylist() if value))
        except (self._arrow.ArrowException, OSError) as exc:
            raise SourceError(
                f"{self._display_path} is damaged: column currency is unreadable ({_first_line(exc)})"
            ) from None

    def rows(self) -> Iterator[BoardRow | BadRow]:
        """Rows in the order of time. Raises SourceError at a damaged part, after the rows before it."""
        rows_read = 0
        try:
            times, has_time = self._times()
            order = None if (np.diff(times) >= 0).all() else np.argsort(times, kind="stable")
            for batch in self._batches(order):
                batch_slice = slice(rows_read, rows_read + batch.num_rows)
                row_indices = np.arange(batch_slice.start, batch_slice.stop) if order is None else order[batch_slice]
                yield from self._parse_batch(batch, row_indices, times[row_indices], has_time[row_indices])
                rows_read = batch_slice.stop
        except (self._arrow.ArrowException, OSError) as exc:
            raise SourceError(
                f"{self._display_path} is damaged: {rows_read} of {self._file.metadata.num_rows} rows "
                f"were readable ({_first_line(exc)})"
            ) from None

    def _times(self) -> tuple[I64, NDArray[np.bool_]]:
        """Time of every row, and a mask of the rows that have one; a row without takes that of the row above."""
        times = self._nanoseconds(self._file.read(columns=["timestamp"]).column(0))
        has_time = times > 0
        if not has_time.all():
            source = np.maximum.accumulate(np.where(has_time, np.arange(len(times)), 0))
            times = times[np.where(source, source, int(np.argmax(has_time)))]
        return times, has_time

    def _batches(self, order: I64 | None) -> Iterator[Any]:
        if order is None:
            yield from self._file.iter_batches(batch_size=_BATCH_ROWS, columns=self._columns)
        else:
            table = self._file.read(columns=self._columns).take(self._arrow.array(order))
            yield from table.to_batches(max_chunksize=_BATCH_ROWS)

    def _parse_batch(
        self, batch: Any, row_numbers: I64, times: I64, has_time: NDArray[np.bool_]
    ) -> Iterator[BoardRow | BadRow]:
        names, currencies, kinds = (self._text(batch, column) for column in _TEXT_COLUMNS)
        expiries = self._nanoseconds(batch.column("expiry_datetime")).tolist()
        strikes, *fields = (self._numbers(batch, field.column) for field in _NUMERIC_COLUMNS)
        invalid = _invalid_rows(strikes, fields) | ~has_time
        values = zip(*(_scaled_values(v, field) for v, field in zip(fields, SNAPSHOT_FORMAT.fields)))
        rows = zip(
            row_numbers.tolist(),
            times.tolist(),
            names,
            currencies,
            kinds,
            strikes.tolist(),
            expiries,
            values,
            invalid.tolist(),
        )
        for at, (line, ts_ns, name, currency, kind, strike, expiry_ns, numbers, is_invalid) in enumerate(rows):
            try:
                if is_invalid:
                    raise BadCell(_row_error(at, strikes, fields, has_time))
                listed = self._listing(name, currency, kind, strike, expiry_ns)
            except BadCell as exc:
                yield BadRow(line + 1, ts_ns, sanitize(currency, 16), str(exc))
                continue
            row_values = RowValues(*numbers)
            yield BoardRow(
                line + 1, ts_ns, currency, row_values.spot, listed, cells.ticker_event(name, ts_ns, row_values)
            )

    def _listing(self, name: str, currency: str, kind: str, strike: float, expiry_ns: int) -> Listed:
        """The listing of an option, one object for all boards: an option is on hundreds of them."""
        key = (name, currency, strike, expiry_ns, kind)
        listed = self._listed.get(key)
        if listed is None:
            if not expiry_ns:
                raise BadCell("expiry_datetime is empty or out of range, a time between 2009 and 2100 is expected")
            settlement_kind = cells.parse_settlement("", name)
            name, currency = cells.name(name, "instrument_name"), cells.name(currency, "currency", 16)
            listed = cells.listed_event(
                name, currency, cells.parse_option_type(kind), strike, expiry_ns, settlement_kind
            )
            self._listed[key] = listed
        return listed

    # ---- columns -------------------------------------------------------------------------------------------------

    def _text(self, batch: Any, column: str) -> list[str]:
        return [value or "" for value in batch.column(column).cast(self._arrow.string()).to_pylist()]

    def _nanoseconds(self, column: Any) -> I64:
        """Times as nanoseconds; 0 for an empty one or one out of range, which might not fit 64 bits."""
        ns_per_tick = _NS_PER_UNIT[column.type.unit]
        ticks = np.asarray(column.cast(self._arrow.int64()).fill_null(0), dtype=np.int64)
        in_range = (ticks >= cells.EARLIEST_NS // ns_per_tick) & (ticks <= cells.LATEST_NS // ns_per_tick)
        return np.where(in_range, ticks, 0) * ns_per_tick

    def _numbers(self, batch: Any, column: str) -> F64:
        """A column as float64, NaN for empty cells; all NaN if the file does not have it."""
        if column not in self._columns:
            return np.full(batch.num_rows, NAN)
        values = batch.column(column).cast(self._arrow.float64(), safe=False).fill_null(NAN)
        return np.asarray(values, dtype=np.float64)


def _first_line(exc: Exception) -> str:
    return sanitize(str(exc).splitlines()[0] if str(exc) else type(exc).__name__, 120)


def _scaled_values(values: F64, field: cells.NumericColumn) -> list[float]:
    scaled = values / field.divisor
    if field.zero_is_missing:
        scaled = np.where(values == 0.0, NAN, scaled)
    listed: list[float] = scaled.tolist()
    return listed


def _invalid_rows(strikes: F64, fields: list[F64]) -> NDArray[np.bool_]:
    """Mask of the rows with a number out of range; NaN is a missing one and valid."""
    invalid = ~(strikes > 0.0) | (strikes > SNAPSHOT_FORMAT.strike.max_value)
    for values, field in zip(fields, SNAPSHOT_FORMAT.fields):
        invalid |= (values < 0.0) | (values > field.max_value)
    return invalid


def _row_error(at: int, strikes: F64, fields: list[F64], has_time: NDArray[np.bool_]) -> str:
    """The first error of one row."""
    if not has_time[at]:
        return "timestamp is empty or out of range, a time between 2009 and 2100 is expected"
    if not strikes[at] > 0.0:
        return f"strike is {strikes[at]:g}, a number above 0 is expected"
    errors = (
        f"{field.column} is {values[at]:g}, {error}"
        for values, field in zip((strikes, *fields), _NUMERIC_COLUMNS)
        if (error := cells.range_error(values[at], field.max_value))
    )
    return next(errors, "a value is out of range")
