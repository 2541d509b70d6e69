"""Parquet as tables in the order of time: months of boards in one file, some complete runs at a time.

pyarrow is an extra and is imported only when such a file is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dfmon.model.errors import SourceError, UsageError
from dfmon.model.units import sanitize
from dfmon.store.boards.cells import F64, I64, is_missing, signed_numbers, times
from dfmon.store.boards.layouts import Matched
from dfmon.store.boards.table import Column, Table

MAGIC: Final = b"PAR1"
_BATCH_ROWS: Final = 8192
_MAX_ROWS: Final = 1_500_000  # of a file, whose times are read at once
_MAX_TAKEN_ROWS: Final = 600_000  # that are read at once where they are not in order of time
_MAX_RUN_ROWS: Final = 200_000  # of one time: no board has more than some thousands


def _pyarrow() -> tuple[ModuleType, ModuleType]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise UsageError(
            "reading a parquet board needs pyarrow, which is not installed: pip install 'dfmon[parquet]'"
        ) from None
    return pyarrow, parquet


class ParquetTables:
    """An open parquet file: its columns, and its rows as tables."""

    def __init__(self, path: Path) -> None:
        self._arrow, parquet = _pyarrow()
        self._shown = sanitize(str(path))
        try:
            self._file: Any = parquet.ParquetFile(path, page_checksum_verification=True)
            self.header = list(self._file.schema_arrow.empty_table().flatten().column_names)
            self.size = int(self._file.metadata.num_rows)
        except (self._arrow.ArrowException, OSError, ValueError) as exc:
            raise SourceError(
                f"{self._shown} is damaged: its parquet footer is unreadable ({_first_line(exc)})"
            ) from None
        self._check_rows(self.size, _MAX_ROWS, "rows")

    def _check_rows(self, rows: int, limit: int, where: str) -> None:
        """Raises UsageError for more rows than memory may take."""
        if rows > limit:
            raise UsageError(f"{self._shown} has {rows:,} {where}, at most {limit:,} are read: split it by time")

    def values(self, column: str) -> Column:
        """A whole column."""
        try:
            return _cells(self._file.read(columns=[column]).flatten().column(0), self._arrow)
        except (self._arrow.ArrowException, OSError, ValueError) as exc:
            raise SourceError(f"{self._shown} is damaged: column {column} is unreadable ({_first_line(exc)})") from None

    def codes(self, column: str) -> tuple[I64, list[Any]]:
        """A whole column of text as numbers of its distinct values, and those; -1 for an empty cell."""
        try:
            cells = self._file.read(columns=[column]).flatten().column(0).unify_dictionaries()
            if not self._arrow.types.is_dictionary(cells.type):
                cells = cells.dictionary_encode()
            found = cells.combine_chunks() if hasattr(cells, "combine_chunks") else cells
            indices = np.asarray(found.indices.cast(self._arrow.int64()).fill_null(-1), dtype=np.int64)
            return indices, list(found.dictionary.to_pylist())
        except (self._arrow.ArrowException, OSError, ValueError) as exc:
            raise SourceError(f"{self._shown} is damaged: column {column} is unreadable ({_first_line(exc)})") from None

    def is_empty(self, column: str) -> bool:
        """True for a column without a value."""
        return all(map(is_missing, self.values(column)))

    def numbers(self, column: str) -> F64:
        """A whole column of numbers, NaN where there is none."""
        return signed_numbers(self.values(column))

    def tables(self, matched: Matched, rows: I64 | None = None) -> Iterator[Table]:
        """All rows in the order of their times, or those of `rows`, as tables that end where a time ends.

        Raises SourceError at a damaged part, after the tables before it.
        """
        names = list(matched.used)
        ts_ns = self.row_times(matched)
        order = np.argsort(ts_ns, kind="stable") if rows is None else rows
        in_order = bool((np.diff(order) > 0).all()) if order.size else True
        done = 0
        try:
            source = self._in_order(names) if in_order and rows is None else self._taken(names, order)
            for batch in self._at_ends(source, ts_ns[order]):
                lines = order[done : done + batch.num_rows] + 1
                columns = {name: _cells(batch.column(at), self._arrow) for at, name in enumerate(batch.schema.names)}
                yield Table(columns, lines.tolist(), "row", container="parquet")
                done += batch.num_rows
            if done < order.size:
                raise ValueError("its footer states more")
        except (self._arrow.ArrowException, OSError, ValueError) as exc:
            raise SourceError(
                f"{self._shown} is damaged: {done} of {self.size} rows were readable ({_first_line(exc)})"
            ) from None

    def row_times(self, matched: Matched) -> I64:
        """The time of every row; a row without one takes that of the row above, and all are 0 without a column."""
        if "time" not in matched.columns or matched.layout.rows_are != "runs":
            return np.zeros(self.size, dtype=np.int64)
        ts_ns = times(self.values(matched.columns["time"]), "", {})[0]
        has_time = ts_ns > 0
        if has_time.all() or not has_time.any():
            return ts_ns
        source = np.maximum.accumulate(np.where(has_time, np.arange(ts_ns.size), 0))
        return ts_ns[np.where(has_time[source], source, int(np.argmax(has_time)))]

    def _in_order(self, names: list[str]) -> Iterator[Any]:
        for batch in self._file.iter_batches(batch_size=_BATCH_ROWS, columns=names):
            yield self._arrow.Table.from_batches([batch]).flatten()

    def _taken(self, names: list[str], rows: I64) -> Iterator[Any]:
        """The rows in the order given; only the row groups that hold them are read."""
        sizes = [self._file.metadata.row_group(at).num_rows for at in range(self._file.metadata.num_row_groups)]
        starts = np.concatenate(([0], np.cumsum(sizes)))
        group_of = np.searchsorted(starts, rows, side="right") - 1
        used = np.unique(group_of)
        offsets = np.zeros(len(sizes), dtype=np.int64)
        offsets[used] = np.concatenate(([0], np.cumsum(np.array(sizes)[used])[:-1]))
        local = rows - starts[group_of] + offsets[group_of]
        if (np.diff(local) > 0).all():
            done = 0
            for batch in self._file.iter_batches(batch_size=_BATCH_ROWS, row_groups=used.tolist(), columns=names):
                first, last = np.searchsorted(local, (done, done + batch.num_rows))
                if first < last:
                    indices = self._arrow.array(local[first:last] - done)
                    yield self._arrow.Table.from_batches([batch]).flatten().take(indices)
                done += batch.num_rows
            return
        self._check_rows(int(np.array(sizes)[used].sum()), _MAX_TAKEN_ROWS, "rows that are not in order of time")
        table = self._file.read_row_groups(used.tolist(), columns=names).flatten()
        for at in range(0, rows.size, _BATCH_ROWS):
            yield table.take(self._arrow.array(local[at : at + _BATCH_ROWS]))

    def _at_ends(self, source: Iterator[Any], ts_ns: I64) -> Iterator[Any]:
        """The tables of a source, cut where a time ends."""
        pending: list[Any] = []
        start = 0
        for table in source:
            pending.append(table)
            joined = self._arrow.concat_tables(pending, promote_options="permissive") if pending[1:] else pending[0]
            end = start + joined.num_rows
            is_last = end == ts_ns.size
            cut = end if is_last else int(np.searchsorted(ts_ns[start:end], ts_ns[end - 1], side="left")) + start
            self._check_rows(max(cut - start, end - cut), _MAX_RUN_ROWS, "rows of one time")
            if cut > start:
                yield joined.slice(0, cut - start)
            pending = [joined.slice(cut - start)] if cut < end else []
            start = cut


def _cells(column: Any, arrow: ModuleType) -> Column:
    """An Arrow column as numpy numbers or times, else as a list."""
    kind = column.type
    types = arrow.types
    if types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if types.is_floating(kind) or types.is_integer(kind):
        if types.is_integer(kind) and not column.null_count:
            return _array(column)
        return _array(column.cast(arrow.float64(), safe=False).fill_null(float("nan")))
    if types.is_timestamp(kind) or types.is_date(kind):
        unit = kind.unit if types.is_timestamp(kind) else "D" if types.is_date32(kind) else "ms"
        zoneless = arrow.timestamp(unit) if types.is_timestamp(kind) else kind
        ticks = column.cast(zoneless).cast(arrow.int32() if types.is_date32(kind) else arrow.int64())
        found = np.asarray(ticks.cast(arrow.int64()).fill_null(np.iinfo(np.int64).min), dtype=np.int64)
        return found.view(f"datetime64[{unit}]")
    cells: list[Any] = column.to_pylist()
    return cells


def _array(column: Any) -> NDArray[Any]:
    return np.asarray(column)


def _first_line(exc: Exception) -> str:
    return sanitize(str(exc).splitlines()[0] if str(exc) else type(exc).__name__, 120)


def last_runs(ts_ns: I64, codes: I64, bases: Sequence[str], requested: set[str]) -> I64:
    """The rows of the newest run of each requested underlying, in the order of the file.

    `codes` numbers the base of each row in `bases`.
    """
    newest = [
        ts_ns[codes == code].max() for code, base in enumerate(bases) if base in requested and (codes == code).any()
    ]
    return np.flatnonzero(np.isin(ts_ns, np.unique(newest)))


def read_all(path: Path) -> dict[str, list[Any]]:
    """All columns of a file as lists. Raises as ParquetTables does."""
    arrow, parquet = _pyarrow()
    file = ParquetTables(path)
    try:
        table = parquet.read_table(path)
        return {name: table.column(name).to_pylist() for name in file.header}
    except (arrow.ArrowException, OSError, ValueError) as exc:
        raise SourceError(f"{sanitize(str(path))} is damaged ({_first_line(exc)})") from None
