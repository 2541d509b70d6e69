"""Writers of tables to CSV and Parquet, block by block, which appear under their name once they are complete.

pyarrow is an extra and is imported only for Parquet.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol

from numpy.typing import NDArray

from dfmon.model.errors import DfmonError, UsageError
from dfmon.model.units import SECOND, sanitize, utc
from dfmon.store.history_export import FileKind

SUFFIXES: Final = (".csv", ".parquet")
Cells = Mapping[str, Sequence[Any] | NDArray[Any]]


class TableWriter(Protocol):
    """A writer of one table."""

    def write(self, cells: Cells) -> None: ...
    def close(self) -> None: ...


class CsvWriter:
    """Comma-separated values with a header; times in ISO 8601 with nanoseconds, empty where there is no value."""

    def __init__(self, out: BinaryIO, header: Mapping[str, FileKind]) -> None:
        self._out, self._header = out, header
        self._write_rows([list(header)])

    def write(self, cells: Cells) -> None:
        columns = [_texts(cells[name], kind) for name, kind in self._header.items()]
        self._write_rows(zip(*columns))

    def _write_rows(self, rows: Any) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        self._out.write(text.getvalue().encode())

    def close(self) -> None:
        self._out.flush()


def _texts(cells: Sequence[Any] | NDArray[Any], kind: FileKind) -> list[Any]:
    values = list(cells) if isinstance(cells, Sequence) else cells.tolist()
    if kind == "time":
        return [time_text(value) for value in values]
    if kind == "real":
        return ["" if value is None or math.isnan(value) else repr(float(value)) for value in values]
    return ["" if value is None else value for value in values]


def time_text(ts_ns: int) -> str:
    """UTC with nanoseconds, so that no time loses a digit.

    >>> time_text(1769085005047000001)
    '2026-01-22T12:30:05.047000001Z'
    """
    return f"{utc(ts_ns):%Y-%m-%dT%H:%M:%S}.{ts_ns % SECOND:09d}Z"


class ParquetWriter:
    """Parquet with zstd; times are timestamps of nanoseconds in UTC, null where there is no value."""

    def __init__(
        self, out: BinaryIO, header: Mapping[str, FileKind], metadata: Mapping[str, str] | None = None
    ) -> None:
        self._arrow, parquet = _pyarrow()
        arrow = self._arrow
        types = {
            "text": arrow.string(),
            "integer": arrow.int64(),
            "real": arrow.float64(),
            "time": arrow.timestamp("ns", "UTC"),
        }
        self._schema = arrow.schema([(name, types[kind]) for name, kind in header.items()], metadata)
        self._writer = parquet.ParquetWriter(out, self._schema, compression="zstd")

    def write(self, cells: Cells) -> None:
        arrays = [self._arrow.array(cells[field.name], field.type, from_pandas=True) for field in self._schema]
        self._writer.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema))

    def close(self) -> None:
        self._writer.close()


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise UsageError(
            "writing parquet needs pyarrow, which is not installed: pip install 'dfmon[parquet]', or name a .csv file"
        ) from None
    return pyarrow, parquet


class OutputFile:
    """A file that is written beside its name, and takes its name when it is complete.

    `metadata` are texts by name, in Parquet alone.
    """

    def __init__(self, path: Path, header: Mapping[str, FileKind], metadata: Mapping[str, str] | None = None) -> None:
        self._path, self._partial = path, path.with_name(f"{path.name}.part")
        if path.suffix not in SUFFIXES:
            raise UsageError(
                f"{sanitize(str(path))} ends in {path.suffix!r}, allowed: {', '.join(SUFFIXES)}, or - for CSV"
            )
        try:
            self._file = self._partial.open("wb")
        except OSError as exc:
            raise UsageError(f"{sanitize(str(path))} cannot be written: {(exc.strerror or str(exc)).lower()}") from None
        try:
            self._writer: TableWriter = (
                ParquetWriter(self._file, header, metadata)
                if path.suffix == ".parquet"
                else CsvWriter(self._file, header)
            )
        except BaseException:
            self.discard()
            raise

    def write(self, cells: Cells) -> None:
        """Writes a block. Raises DfmonError where the disk is full."""
        try:
            self._writer.write(cells)
        except OSError as exc:
            raise self._error(exc) from None

    def complete(self) -> None:
        """Ends the file and gives it its name. Raises DfmonError where the disk is full."""
        try:
            self._writer.close()
            self._file.close()
            self._partial.replace(self._path)
        except OSError as exc:
            raise self._error(exc) from None

    def discard(self) -> None:
        """Removes what was written."""
        self._partial.unlink(missing_ok=True)
        try:
            self._file.close()
        except OSError:  # a full disk, once more
            return

    def _error(self, exc: OSError) -> DfmonError:
        return DfmonError(f"{sanitize(str(self._path))} is not written: {(exc.strerror or str(exc)).lower()}")
