"""A board file of any kind: what it is is found out from its content, and it is read once."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn, Protocol, TypeVar

import numpy as np

from dfmon.model.errors import UsageError
from dfmon.model.units import sanitize
from dfmon.store.boards import json_table, parquet_table, xlsx_table
from dfmon.store.boards.cells import F64, I64, BadCell
from dfmon.store.boards.csv_table import read_csv
from dfmon.store.boards.decode import Decoded
from dfmon.store.boards.events import AnyPath, EventBuilder, RecordedBoard
from dfmon.store.boards.interpreter import Findings, Interpreter
from dfmon.store.boards.layouts import Matched, closest, detect
from dfmon.store.boards.names import parse_option_name
from dfmon.store.boards.runs import BoardRows
from dfmon.store.boards.table import ColumnNames, Table
from dfmon.store.file_content import UnpackLimits, open_regular, open_unpacked, text_lines

_EXPECTED: Final = "an option board (csv, json, xlsx or parquet, also packed)"
TEXT_LIMITS: Final = UnpackLimits(48_000_000, 200)
JSON_LIMITS: Final = UnpackLimits(10_000_000, 200)
_MAX_UNORDERED_ROWS: Final = 1_000_000  # of parquet whose rows have times of their own, which is read at once
_SENTENCE: Final = 200

T = TypeVar("T")


class _Source(Protocol):
    """An opened file: its columns, its layout and its rows as tables in order of time."""

    header: tuple[str, ...]
    container: str
    matched: Matched
    size: int

    def tables(self, requested: Collection[str] | None) -> Iterator[Table]: ...
    def iv_column(self) -> F64 | None: ...
    def currencies(self) -> tuple[str, ...] | None: ...


class Documents(NamedTuple):
    """Decoded JSON in place of a file, and lists of instruments beside it."""

    documents: Sequence[Any]
    beside: Sequence[Any] = ()


class BoardFile:
    """An open board file. Its boards come in order of time; `findings` tell how it was read.

    Raises UsageError if it is no board, SourceError if it is damaged: at once for text, whose rows may be in any order;
    after the last complete board for parquet. `at_ns` is the time of a board whose rows have none.
    """

    def __init__(self, origin: AnyPath | Documents, at_ns: int | None = None) -> None:
        if isinstance(origin, Documents):
            self._refusal = Refusal(Path("it"))
            table = self._refusal.translate(lambda: json_table.table_of(origin.documents, "JSON", origin.beside))
            self._source: _Source = _TableSource(table, tuple(table.columns), self._refusal)
        else:
            self._refusal = Refusal(Path(origin))
            self._source = _open(Path(origin), self._refusal)
        if not self._source.size:
            self._refusal.raise_for(f"is {self._source.matched.layout.phrase} without rows: an option is needed")
        self._at_ns = at_ns
        self._decoded: tuple[Decoded, list[BoardRows], Table] | None = None
        self._interpreter = self._new_interpreter()
        self._currencies = self._source.currencies()
        if self._currencies is None:
            self._decoded = self._refusal.translate(lambda: self._interpret(next(self._source.tables(None))))
            self._currencies = self._underlyings(self._decoded)

    @property
    def findings(self) -> Findings:
        """Layout, units and counts of the file, as far as it was read."""
        return self._interpreter.findings

    @property
    def currencies(self) -> tuple[str, ...]:
        """The underlyings of the file, sorted."""
        return self._currencies or ()

    def boards(self, underlyings: Collection[str] | None = None) -> Iterator[RecordedBoard]:
        """The boards of the file, one for each time and underlying. Raises UsageError for one that is not in it."""
        return self._boards(self._requested(underlyings), only_last=False)

    def last_boards(self, underlyings: Collection[str] | None = None) -> tuple[RecordedBoard, ...]:
        """The newest board of each underlying."""
        requested = self._requested(underlyings)
        last = {board.underlying: board for board in self._boards(requested, only_last=True)}
        return tuple(last.values())

    def _requested(self, underlyings: Collection[str] | None) -> list[str]:
        requested = {name.upper() for name in underlyings or self.currencies}
        if missing := sorted(requested - set(self.currencies)):
            listed = ", ".join(self.currencies) or "none"
            self._refusal.raise_for(f"has no options on {', '.join(missing)}; available: {listed}")
        return sorted(requested)

    def _boards(self, requested: list[str], *, only_last: bool) -> Iterator[RecordedBoard]:
        if self._decoded is not None:
            parts = iter((self._decoded,))
            self.findings.reset_counts()
        else:
            self._interpreter = self._new_interpreter()
            parts = map(self._interpret, self._source.tables(requested if only_last else None))
        builder = EventBuilder(self.findings)
        for rows, groups, table in parts:
            if only_last:
                groups = _last_groups(groups, requested)
            yield from builder.boards(rows, groups, table.ragged, requested)

    def _new_interpreter(self) -> Interpreter:
        interpreter = Interpreter(self._source.matched, self._source.container, self._at_ns)
        interpreter.findings.header = self._source.header
        return interpreter

    def _interpret(self, table: Table) -> tuple[Decoded, list[BoardRows], Table]:
        is_first = self.findings.units is None
        column = self._source.iv_column() if is_first else None
        rows, groups = self._refusal.translate(lambda: self._interpreter.interpret(table, column))
        return rows, groups, table

    def _underlyings(self, decoded: tuple[Decoded, list[BoardRows], Table]) -> tuple[str, ...]:
        rows, groups, table = decoded
        found = tuple(sorted({group.underlying for group in groups if group.usable.size}))
        if not found:
            reasons = sorted([(rows.lines[at], reason) for at, reason in rows.errors.items()] + list(table.ragged))
            first = f"{self.findings.row_label} {reasons[0][0]}: {reasons[0][1]}" if reasons else "it is empty"
            self._refusal.raise_for(f"is {self.findings.matched.layout.phrase} without a usable row: {first}")
        return found


def _last_groups(groups: list[BoardRows], requested: list[str]) -> list[BoardRows]:
    """The groups of the newest times of the requested underlyings."""
    newest = {group.underlying: group.ts_ns for group in groups if group.usable.size}
    times = {newest[base] for base in requested if base in newest}
    return [g for g in groups if g.ts_ns in times and newest.get(g.underlying, g.ts_ns) == g.ts_ns]


# ---- opening -----------------------------------------------------------------------------------------------------


class Refusal:
    """Errors about one file, each a sentence of at most 200 characters that begins with its name."""

    def __init__(self, path: Path) -> None:
        self._shown = sanitize(path.name or str(path), 60)

    def raise_for(self, reason: str) -> NoReturn:
        """Raises UsageError."""
        sentence = f"{self._shown} {sanitize(reason, 1000)}"
        raise UsageError(sentence if len(sentence) <= _SENTENCE else sentence[: _SENTENCE - 1] + "…") from None

    def translate(self, read: Callable[[], T]) -> T:
        """The result of `read`, whose BadCell becomes a UsageError."""
        try:
            return read()
        except BadCell as exc:
            self.raise_for(str(exc))


def _open(path: Path, refusal: Refusal) -> _Source:
    """The source of a file by its content."""
    with open_regular(path, _EXPECTED) as file:
        is_parquet = file.read(4) == parquet_table.MAGIC
    if is_parquet:
        return _ParquetSource(path, refusal)
    if xlsx_table.is_xlsx(path):
        table = refusal.translate(lambda: xlsx_table.read_xlsx(path))
        return _TableSource(table, tuple(table.columns), refusal)
    with open_unpacked(path, _EXPECTED, TEXT_LIMITS) as stream:
        head = stream.read(4096).lstrip(b"\xef\xbb\xbf\xff\xfe\0 \t\r\n")
    if head[:1] in (b"{", b"["):
        with open_unpacked(path, _EXPECTED, JSON_LIMITS) as stream:
            text = "\n".join(line for _, line in text_lines(stream, sanitize(path.name), JSON_LIMITS.unpacked_bytes))
        table = refusal.translate(lambda: json_table.read_json(text))
        return _TableSource(table, tuple(table.columns), refusal)
    header: list[str] = []

    def used_columns(names: list[str]) -> set[str]:
        header.extend(names)
        return set(matched_layout(names, refusal).columns.values())

    with open_unpacked(path, _EXPECTED, TEXT_LIMITS) as stream:
        lines = text_lines(stream, sanitize(path.name))
        table = refusal.translate(lambda: read_csv(lines, used_columns))
    return _TableSource(table, tuple(header), refusal)


def matched_layout(header: Sequence[str], refusal: Refusal) -> Matched:
    """The layout of a header. Raises UsageError that names what it seems to be and what is missing."""
    names = ColumnNames(header)
    matched = detect(names)
    if matched is None:
        _refuse_header(names, refusal)
    layout, columns = matched.layout, matched.columns
    if layout.refusal:
        refusal.raise_for(f"seems to be {layout.title}: {layout.refusal}")
    if "open_interest" not in columns:
        refusal.raise_for(f"seems to be {layout.phrase} without open interest, which is expected in a column")
    if not {"name", "base"} & columns.keys():
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


class _TableSource:
    """A file that is one table in memory."""

    def __init__(self, table: Table, header: tuple[str, ...], refusal: Refusal) -> None:
        self._table, self.header, self.container, self.size = table, header, table.container, table.size
        self.size += len(table.ragged)
        self.matched = matched_layout(header, refusal)

    def tables(self, _requested: Collection[str] | None) -> Iterator[Table]:
        yield self._table

    def iv_column(self) -> F64 | None:
        return None

    def currencies(self) -> tuple[str, ...] | None:
        return None


class _ParquetSource:
    """A parquet file, read a part at a time where its rows have the times of their boards."""

    container = "parquet"

    def __init__(self, path: Path, refusal: Refusal) -> None:
        self._file = parquet_table.ParquetTables(path)
        self.header = tuple(self._file.header)
        self.matched = matched_layout(self.header, refusal)
        self.size = self._file.size
        self._is_streamed = self.matched.layout.rows_are == "runs"
        if not self._is_streamed and self.size > _MAX_UNORDERED_ROWS:
            refusal.raise_for(
                f"has {self.size:,} rows with times of their own, at most {_MAX_UNORDERED_ROWS:,} are read"
            )

    def tables(self, requested: Collection[str] | None) -> Iterator[Table]:
        rows = None
        if requested is not None and self._is_streamed:
            rows = self._last_rows(set(requested))
        return self._file.tables(self.matched, rows)

    def _last_rows(self, requested: set[str]) -> I64:
        """The rows of the newest run of each requested underlying."""
        codes, bases = self._bases
        return parquet_table.last_runs(self._file.row_times(self.matched), codes, bases, requested)

    @cached_property
    def _bases(self) -> tuple[I64, list[str]]:
        """The base of each row as a number, and the distinct bases."""
        columns = self.matched.columns
        codes, values = self._file.codes(columns.get("base") or columns["name"])
        bases = [str(v or "").strip() if "base" in columns else _base_of(v) for v in values]
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
    match = re.match(r"[A-Z0-9]+", str(name or ""))
    try:
        return match[0] if match and parse_option_name(str(name)) else ""
    except BadCell:
        return ""
