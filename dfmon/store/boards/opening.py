"""Board files opened by their content: their container, their columns and their layout, or one sentence."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Final, Literal, NoReturn, Protocol, TypeVar

import numpy as np

from dfmon.model.errors import UsageError
from dfmon.model.units import sanitize
from dfmon.store.boards import json_table, parquet_table, xlsx_table
from dfmon.store.boards.cells import F64, I64, BadCell, is_missing
from dfmon.store.boards.csv_table import read_csv
from dfmon.store.boards.foreign import foreign_kind
from dfmon.store.boards.layouts import Matched, closest, detect, with_columns
from dfmon.store.boards.names import parse_option_name
from dfmon.store.boards.number_format import with_unified_numbers
from dfmon.store.boards.table import ColumnNames, Table
from dfmon.store.file_content import UnpackLimits, open_unpacked, read_head, text_lines

_EXPECTED: Final = "an option board (csv, json, xlsx or parquet, also packed)"
TEXT_LIMITS: Final = UnpackLimits(48_000_000, 200)
JSON_LIMITS: Final = UnpackLimits(10_000_000, 200)
_MAX_UNORDERED_ROWS: Final = 200_000  # of parquet whose rows have times of their own, which is read at once
_SENTENCE: Final = 190  # a prefix such as `source: ` makes it 200
_HEAD_BYTES: Final = 4096

T = TypeVar("T")


class Source(Protocol):
    """An opened file: its columns, its layout and its rows as tables in order of time."""

    header: tuple[str, ...]
    container: str
    matched: Matched
    size: int

    def tables(self, requested: Collection[str] | None, until_ns: int | None = None) -> Iterator[Table]: ...
    def iv_column(self) -> F64 | None: ...
    def currencies(self) -> tuple[str, ...] | None: ...


class Refusal:
    """Errors about one file, each a sentence of at most 190 characters that begins with its name."""

    def __init__(self, path: Path) -> None:
        self.shown = sanitize(path.name or str(path), 60)

    def raise_for(self, reason: str) -> NoReturn:
        """Raises UsageError."""
        sentence = f"{self.shown} {sanitize(reason, 1000)}"
        raise UsageError(sentence if len(sentence) <= _SENTENCE else sentence[: _SENTENCE - 1] + "…") from None

    def check_kind(self, head: bytes, packed: Literal["packed ", ""]) -> None:
        """Raises UsageError for the first bytes of a file that is no table of a kind that is read."""
        if kind := foreign_kind(head, is_packed=bool(packed)):
            self.raise_for(f"is {kind.what} and no option board: {kind.advice}")

    def translate(self, read: Callable[[], T]) -> T:
        """The result of `read`, whose BadCell becomes a UsageError."""
        try:
            return read()
        except BadCell as exc:
            self.raise_for(str(exc))


def open_source(path: Path, refusal: Refusal, has_base: bool = False) -> Source:
    """The source of a file by its content; `has_base` where the caller names the currency."""
    head = read_head(path, _EXPECTED, _HEAD_BYTES)
    refusal.check_kind(head, "")
    if head.startswith(parquet_table.MAGIC):
        return _ParquetSource(path, refusal)
    if xlsx_table.is_xlsx(path):
        table = refusal.translate(lambda: xlsx_table.read_xlsx(path))
        return TableSource(table, tuple(table.columns), refusal, has_base)
    with open_unpacked(path, _EXPECTED, TEXT_LIMITS) as stream:
        unpacked = stream.read(_HEAD_BYTES)
    if unpacked != head:
        refusal.check_kind(unpacked, "packed ")
    head = unpacked.lstrip(b"\xef\xbb\xbf\xff\xfe\0 \t\r\n")
    if head[:1] in (b"{", b"["):
        with open_unpacked(path, _EXPECTED, JSON_LIMITS) as stream:
            text = "\n".join(line for _, line in text_lines(stream, refusal.shown, JSON_LIMITS.unpacked_bytes))
        table = refusal.translate(lambda: json_table.read_json(text))
        return TableSource(table, tuple(table.columns), refusal, has_base)
    header: list[str] = []

    def used_columns(names: list[str]) -> set[str]:
        header.extend(names)
        layout = matched_layout(names, refusal, has_base).layout
        known = ColumnNames(names)
        found = (known.find((alias,)) for aliases in layout.columns.values() for alias in aliases)
        return {name for name in found if name}

    with open_unpacked(path, _EXPECTED, TEXT_LIMITS) as stream:
        lines = text_lines(stream, refusal.shown)
        table = refusal.translate(lambda: read_csv(lines, used_columns))
    return TableSource(table, tuple(header), refusal, has_base)


def matched_layout(header: Sequence[str], refusal: Refusal, has_base: bool = False) -> Matched:
    """The layout of a header; `has_base` where the caller names the currency.

    Raises UsageError that names what it seems to be and what is missing.
    """
    names = ColumnNames(header)
    matched = detect(names)
    if matched is None:
        _refuse_header(names, refusal)
    layout, columns = matched.layout, matched.columns
    if layout.refusal:
        refusal.raise_for(f"seems to be {layout.title}: {layout.refusal}")
    if "open_interest" not in columns:
        refusal.raise_for(f"seems to be {layout.phrase} without open interest, which is expected in a column")
    if not has_base and not {"name", "base"} & columns.keys():
        refusal.raise_for("has rows of options without a name or a currency: one of them is expected in a column")
    if not {"forward", "mark", "delta"} & columns.keys():
        refusal.raise_for(f"seems to be {layout.phrase} without forwards, and without marks or deltas that give them")
    return matched


def _refuse_header(names: ColumnNames, refusal: Refusal) -> NoReturn:
    if names.find(("future_type",)):
        refusal.raise_for("contains futures, not options: an option board is expected")
    listed = ", ".join(str(name)[:20] for name in names.names[:5]) + (", …" if len(names.names) > 5 else "")
    layout, lacking = closest(names)
    if len(lacking) < len(layout.identified_by):
        refusal.raise_for(
            f"is no option board, its columns are {listed}; {layout.phrase} would have {', '.join(lacking)} too"
        )
    refusal.raise_for(f"is no option board, its columns are {listed}; see docs/data.md for what is read")


class TableSource:
    """A file that is one table in memory."""

    def __init__(self, table: Table, header: tuple[str, ...], refusal: Refusal, has_base: bool = False) -> None:
        self.header, self.container, self.size = header, table.container, table.size
        self.size += len(table.ragged)
        matched = matched_layout(header, refusal, has_base)
        self.matched = with_filled_columns(
            matched, ColumnNames(tuple(table.columns)), lambda name: _is_empty(table, name)
        )
        self._table = refusal.translate(lambda: with_unified_numbers(table, self.matched))

    def tables(self, _requested: Collection[str] | None, _until_ns: int | None = None) -> Iterator[Table]:
        yield self._table

    def iv_column(self) -> F64 | None:
        return None

    def currencies(self) -> tuple[str, ...] | None:
        return None


def with_filled_columns(matched: Matched, names: ColumnNames, is_empty: Callable[[str], bool]) -> Matched:
    """The layout with another column of a field in place of one without a value: ccxt leaves its volatility to info."""
    columns = dict(matched.columns)
    for field, others in matched.others.items():
        if is_empty(columns[field]):
            columns[field] = next((name for name in others if not is_empty(name)), columns[field])
    return with_columns(matched.layout, columns, names)


def _is_empty(table: Table, column: str) -> bool:
    return column in table.columns and all(map(is_missing, table.columns[column]))


class _ParquetSource:
    """A parquet file, read a part at a time where its rows have the times of their boards."""

    container = "parquet"

    def __init__(self, path: Path, refusal: Refusal) -> None:
        self._file = parquet_table.ParquetTables(path)
        self.header = tuple(self._file.header)
        self.matched = with_filled_columns(
            matched_layout(self.header, refusal), ColumnNames(self.header), self._file.is_empty
        )
        self.size = self._file.size
        self._is_streamed = self.matched.layout.rows_are == "runs"
        if not self._is_streamed and self.size > _MAX_UNORDERED_ROWS:
            refusal.raise_for(
                f"has {self.size:,} rows with times of their own, at most {_MAX_UNORDERED_ROWS:,} are read"
            )

    def tables(self, requested: Collection[str] | None, until_ns: int | None = None) -> Iterator[Table]:
        rows = None
        if requested is not None and self._is_streamed:
            rows = self._last_rows(set(requested), until_ns)
        return (with_unified_numbers(table, self.matched) for table in self._file.tables(self.matched, rows))

    def _last_rows(self, requested: set[str], until_ns: int | None) -> I64:
        """The rows of the newest run of each requested underlying that is not later than `until_ns`."""
        codes, bases = self._bases
        ts_ns = self._file.row_times(self.matched)
        if until_ns is not None:
            codes = np.where(ts_ns <= until_ns, codes, -1)
        return parquet_table.last_runs(ts_ns, codes, bases, requested)

    @cached_property
    def _bases(self) -> tuple[I64, list[str]]:
        """The base of each row as a number, and the distinct bases."""
        columns = self.matched.columns
        codes, values = self._file.codes(columns.get("name") or columns["base"])
        bases = [_base_of(v) for v in values] if "name" in columns else [str(v or "").strip() for v in values]
        if "base" in columns and not all(bases):  # names of no known form
            codes, values = self._file.codes(columns["base"])
            bases = [str(v or "").strip() for v in values]
        distinct = sorted(set(bases))
        numbers = np.array([distinct.index(base) for base in bases] + [-1], dtype=np.int64)
        return numbers[codes], distinct

    def iv_column(self) -> F64 | None:
        return self._file.numbers(self.matched.columns["iv"]) if self._is_streamed else None

    def currencies(self) -> tuple[str, ...] | None:
        if not self._is_streamed:
            return None
        return tuple(base for base in self._bases[1] if base)


def _base_of(name: object) -> str:
    match = re.match(r"[A-Z0-9]+", str(name or "").upper())
    try:
        return match[0] if match and parse_option_name(str(name)) else ""
    except BadCell:
        return ""
