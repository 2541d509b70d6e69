"""Snapshot boards in parquet: months of boards in one file, read a batch at a time, in the order of their time.

Comes after `board_cells` (what a value may be) and before `boards` (events). pyarrow is an extra and is imported only
when such a file is read. Checks run on whole columns; only a bad row is looked at by itself.
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
from dfmon.model.units import MILLISECOND, NAN, SECOND, clean
from dfmon.store import board_cells as cells
from dfmon.store.board_cells import SNAPSHOT, BadCell, BadRow, Numbers, Row

MAGIC: Final = b"PAR1"
_BATCH: Final = 8192
_TEXT: Final = ("instrument_name", "currency", "option_type")
_TIME: Final = ("timestamp", "expiry_datetime")
_NUMERIC: Final = (SNAPSHOT.strike, *SNAPSHOT.fields)

_NANOSECONDS: Final = {"s": SECOND, "ms": MILLISECOND, "us": 1000, "ns": 1}

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


class ParquetBoards:
    """An open parquet file of boards: its currencies, and its rows in the order of time."""

    def __init__(self, path: Path) -> None:
        self._arrow, parquet = _pyarrow()
        self._path, self._shown = path, clean(str(path))
        try:
            self._file: Any = parquet.ParquetFile(path)
        except (self._arrow.ArrowException, OSError) as exc:
            raise SourceError(f"{self._shown} is damaged: its parquet footer is unreadable ({_brief(exc)})") from None
        schema = self._file.schema_arrow
        if lacking := [column for column in SNAPSHOT.required if column not in schema.names]:
            raise UsageError(f"{self._shown} is no parquet of boards: it lacks {', '.join(lacking)}")
        self._check_types(schema)
        self._columns = [c for c in (*_TIME, *_TEXT, *(f.column for f in _NUMERIC)) if c in schema.names]
        self._listed: dict[tuple[str, str, float, int, str], Listed] = {}
        if not self._file.metadata.num_rows:
            raise UsageError(f"{self._shown} is a parquet of boards without rows: at least one option is needed")

    def _check_types(self, schema: Any) -> None:
        types = self._arrow.types
        for column in schema.names:
            kind = schema.field(column).type
            if column in _TIME and not types.is_timestamp(kind):
                raise UsageError(f"{self._shown}: column {column} is {kind}, a timestamp is expected")
            numeric = types.is_floating(kind) or types.is_integer(kind) or types.is_null(kind)
            if column in {f.column for f in _NUMERIC} and not numeric:
                raise UsageError(f"{self._shown}: column {column} is {kind}, numbers are expected")

    def currencies(self) -> tuple[str, ...]:
        try:
            column = self._file.read(columns=["currency"]).column(0)
            return tuple(sorted(str(value) for value in column.unique().to_pylist() if value))
        except (self._arrow.ArrowException, OSError) as exc:
            raise SourceError(f"{self._shown} is damaged: column currency is unreadable ({_brief(exc)})") from None

    def entries(self) -> Iterator[Row | BadRow]:
        """Rows in the order of time; what comes before a damaged part is still given."""
        done = 0
        try:
            times, dated = self._times()
            order = None if (np.diff(times) >= 0).all() else np.argsort(times, kind="stable")
            for batch in self._batches(order):
                here = slice(done, done + batch.num_rows)
                picked = np.arange(here.start, here.stop) if order is None else order[here]
                yield from self._rows(batch, picked, times[picked], dated[picked])
                done = here.stop
        except (self._arrow.ArrowException, OSError) as exc:
            raise SourceError(
                f"{self._shown} is damaged: {done} of {self._file.metadata.num_rows} rows were readable ({_brief(exc)})"
            ) from None

    def _times(self) -> tuple[I64, NDArray[np.bool_]]:
        """Time of every row, and where the row itself says it; a row without one goes with the row above it."""
        times = self._nanoseconds(self._file.read(columns=["timestamp"]).column(0))
        dated = times > 0
        if not dated.all():
            source = np.maximum.accumulate(np.where(dated, np.arange(len(times)), 0))
            times = times[np.where(source, source, int(np.argmax(dated)))]
        return times, dated

    def _batches(self, order: I64 | None) -> Iterator[Any]:
        if order is None:
            yield from self._file.iter_batches(batch_size=_BATCH, columns=self._columns)
        else:
            table = self._file.read(columns=self._columns).take(self._arrow.array(order))
            yield from table.to_batches(max_chunksize=_BATCH)

    def _rows(self, batch: Any, lines: I64, times: I64, dated: NDArray[np.bool_]) -> Iterator[Row | BadRow]:
        names, currencies, kinds = (self._text(batch, column) for column in _TEXT)
        expiries = self._nanoseconds(batch.column("expiry_datetime")).tolist()
        strikes, *fields = (self._numbers(batch, field.column) for field in _NUMERIC)
        bad = _faulty(strikes, fields) | ~dated
        values = zip(*(_shown_values(v, field) for v, field in zip(fields, SNAPSHOT.fields)))
        rows = zip(
            lines.tolist(), times.tolist(), names, currencies, kinds, strikes.tolist(), expiries, values, bad.tolist()
        )
        for at, (line, ts_ns, name, currency, kind, strike, expiry_ns, numbers, is_bad) in enumerate(rows):
            try:
                if is_bad:
                    raise BadCell(_fault_at(at, strikes, fields, dated))
                listed = self._option(name, currency, kind, strike, expiry_ns)
            except BadCell as exc:
                yield BadRow(line + 1, ts_ns, clean(currency, 16), str(exc))
                continue
            known = Numbers(*numbers)
            yield Row(line + 1, ts_ns, currency, known.spot, listed, cells.ticker(name, ts_ns, known))

    def _option(self, name: str, currency: str, kind: str, strike: float, expiry_ns: int) -> Listed:
        """The listing of an option, the same object on every board: an option is on hundreds of them."""
        key = (name, currency, strike, expiry_ns, kind)
        listed = self._listed.get(key)
        if listed is None:
            if not expiry_ns:
                raise BadCell("expiry_datetime is empty or absurd, a time between 2009 and 2100 is expected")
            pays = cells.settlement("", name)
            name, currency = cells.name(name, "instrument_name"), cells.name(currency, "currency", 16)
            listed = cells.listed_option(name, currency, cells.option_type(kind), strike, expiry_ns, pays)
            self._listed[key] = listed
        return listed

    # ---- columns -------------------------------------------------------------------------------------------------

    def _text(self, batch: Any, column: str) -> list[str]:
        return [value or "" for value in batch.column(column).cast(self._arrow.string()).to_pylist()]

    def _nanoseconds(self, column: Any) -> I64:
        """Times as nanoseconds, 0 for an empty or absurd one, which in nanoseconds might not fit 64 bits."""
        per = _NANOSECONDS[column.type.unit]
        ticks = np.asarray(column.cast(self._arrow.int64()).fill_null(0), dtype=np.int64)
        sane = (ticks >= cells.EARLIEST_NS // per) & (ticks <= cells.LATEST_NS // per)
        return np.where(sane, ticks, 0) * per

    def _numbers(self, batch: Any, column: str) -> F64:
        """A column as float64, NaN for empty; all NaN where the file does not have it."""
        if column not in self._columns:
            return np.full(batch.num_rows, NAN)
        values = batch.column(column).cast(self._arrow.float64(), safe=False).fill_null(NAN)
        return np.asarray(values, dtype=np.float64)


def _brief(exc: Exception) -> str:
    return clean(str(exc).splitlines()[0] if str(exc) else type(exc).__name__, 120)


def _shown_values(values: F64, field: cells.Field) -> list[float]:
    scaled = values / field.per
    if field.zero_is_none:
        scaled = np.where(values == 0.0, NAN, scaled)
    listed: list[float] = scaled.tolist()
    return listed


def _faulty(strikes: F64, fields: list[F64]) -> NDArray[np.bool_]:
    """Rows with a number that cannot be true; NaN is only a missing one."""
    bad = ~(strikes > 0.0) | (strikes > SNAPSHOT.strike.top)
    for values, field in zip(fields, SNAPSHOT.fields):
        bad |= (values < 0.0) | (values > field.top)
    return bad


def _fault_at(at: int, strikes: F64, fields: list[F64], dated: NDArray[np.bool_]) -> str:
    """The first fault of one row in words."""
    if not dated[at]:
        return "timestamp is empty or absurd, a time between 2009 and 2100 is expected"
    if not strikes[at] > 0.0:
        return f"strike is {strikes[at]:g}, a number above 0 is expected"
    faults = (
        f"{field.column} is {values[at]:g}, {fault}"
        for values, field in zip((strikes, *fields), _NUMERIC)
        if (fault := cells.range_fault(values[at], field.top))
    )
    return next(faults, "a value is out of range")
