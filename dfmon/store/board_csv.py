"""Reads boards in CSV, plain or gzip, into rows in the order of their boards; the header decides the kind of board.

Comes after `board_cells` (rules) and before `boards` (events). Files are small, one to a few boards, and their rows
need not be in order of time: a file is read completely before the first row is returned.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path
from statistics import median_low
from typing import Final

from dfmon.model.errors import SourceError, UsageError
from dfmon.model.units import HOUR, MILLISECOND, iso, sanitize
from dfmon.store import board_cells as cells
from dfmon.store.board_cells import SNAPSHOT_FORMAT, TICKER_FORMAT, BadCell, BadRow, BoardFormat, BoardRow, RowValues

_GZIP: Final = b"\x1f\x8b"
_MAX_LINE_BYTES: Final = 1 << 20
_CONTRACT_SIZE: Final = cells.NumericColumn("contract_size", 1e9, zero_is_missing=True)


def rows(path: Path) -> list[BoardRow | BadRow]:
    """Every row, ordered by the time of its board. Raises UsageError or SourceError."""
    lines = _numbered_lines(path)
    header = _header(path, next(lines, (1, ""))[1])
    board_format = _detect_format(header)
    if board_format is None:
        raise UsageError(_unknown_format_message(path, header))
    rows = [_parse_line(board_format, header, line, text) for line, text in lines if text.strip()]
    if not rows:
        raise UsageError(f"{_display_path(path)} is a {board_format.title} without rows: at least one option is needed")
    usable = _assign_snapshot_times(rows) if board_format is SNAPSHOT_FORMAT else _assign_ticker_times(rows)
    if not any(isinstance(entry, BoardRow) for entry in usable):
        raise UsageError(
            f"{_display_path(path)} is a {board_format.title} without a usable row: {_first_error(usable)}"
        )
    return usable


def _first_error(rows: list[BoardRow | BadRow]) -> str:
    return next(f"line {row.line}: {row.detail}" for row in rows if isinstance(row, BadRow))


# ---- the file ----------------------------------------------------------------------------------------------------


def _display_path(path: Path) -> str:
    return sanitize(str(path))


def _numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines of text. Raises SourceError for a damaged gzip file, UsageError for a file of another kind."""
    line_count = 0
    try:
        with path.open("rb") as raw_file:
            is_gzip = raw_file.read(2) == _GZIP
            raw_file.seek(0)
            with gzip.open(raw_file) if is_gzip else raw_file as handle:
                while line := handle.readline(_MAX_LINE_BYTES):
                    if len(line) == _MAX_LINE_BYTES:
                        raise UsageError(
                            f"{_display_path(path)} is not a board: line {line_count + 1} is longer than a megabyte"
                        )
                    yield line_count + 1, line.decode("utf-8-sig" if not line_count else "utf-8").rstrip("\r\n")
                    line_count += 1
    except UnicodeDecodeError:
        raise UsageError(f"{_display_path(path)} is not a board: line {line_count + 1} is not UTF-8 text") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as exc:
        raise SourceError(
            f"{_display_path(path)} is damaged: {max(line_count - 1, 0)} rows were readable before "
            f"the gzip data ended ({exc})"
        ) from None
    except OSError as exc:
        raise UsageError(f"cannot read {_display_path(path)}: {(exc.strerror or str(exc)).lower()}") from None


def _header(path: Path, text: str) -> list[str]:
    if not text.strip():
        raise UsageError(f"{_display_path(path)} is empty: a board in CSV or parquet is expected")
    try:
        return [column.strip() for column in _split_cells(text)]
    except BadCell as exc:
        raise UsageError(f"{_display_path(path)} is not a board: {exc}") from None


def _detect_format(header: list[str]) -> BoardFormat | None:
    return next(
        (
            board_format
            for board_format in (TICKER_FORMAT, SNAPSHOT_FORMAT)
            if not set(board_format.required) - set(header)
        ),
        None,
    )


def _unknown_format_message(path: Path, header: list[str]) -> str:
    """The error for a file that is not an option board: its contents, and the columns it lacks."""
    if "future_type" in header:
        description = "it contains futures, not options"
    else:
        listed_names = ", ".join(header[:6]) + (", …" if len(header) > 6 else "")
        description = f"its columns are {sanitize(listed_names)}"
    lacking_columns = (
        f"a {board_format.title} needs {', '.join(c for c in board_format.required if c not in header)}"
        for board_format in (TICKER_FORMAT, SNAPSHOT_FORMAT)
    )
    return f"{_display_path(path)} is neither kind of option board: {description}; {'; '.join(lacking_columns)} as well"


def _split_cells(text: str) -> list[str]:
    """Cells of one line. Each line is split by itself, so that a stray quote cannot swallow the lines after it."""
    try:
        return next(csv.reader((text,)), [])
    except csv.Error as exc:
        raise BadCell(f"the line is not CSV ({exc})") from None


# ---- its rows ----------------------------------------------------------------------------------------------------


def _parse_line(board_format: BoardFormat, header: list[str], line: int, text: str) -> BoardRow | BadRow:
    ts_ns, underlying = 0, ""
    try:
        fields = _split_cells(text)
        if len(fields) != len(header):
            raise BadCell(f"{len(fields)} cells, {len(header)} are expected")
        row = dict(zip(header, fields))
        ts_ns = _row_time(board_format, row)
        underlying = cells.name(row[board_format.underlying], board_format.underlying, 16)
        return _parse_row(board_format, row, line, ts_ns, underlying)
    except BadCell as exc:
        return BadRow(line, ts_ns, underlying, str(exc))


def _row_time(board_format: BoardFormat, row: dict[str, str]) -> int:
    if board_format is SNAPSHOT_FORMAT:
        return cells.parse_iso_time(row["timestamp"], "timestamp")
    return 0 if cells.is_missing(row["timestamp"]) else cells.parse_milliseconds(row["timestamp"], "timestamp")


def _parse_row(board_format: BoardFormat, row: dict[str, str], line: int, ts_ns: int, underlying: str) -> BoardRow:
    kind = row.get("kind", "option").strip()
    if kind != "option":
        raise BadCell(f"kind is {cells.quoted(kind)}, option is expected")
    name = cells.name(row["instrument_name"], "instrument_name")
    parse_time = cells.parse_iso_time if board_format is SNAPSHOT_FORMAT else cells.parse_milliseconds
    listed = cells.listed_event(
        name,
        underlying,
        cells.parse_option_type(row["option_type"]),
        cells.strike(row["strike"], board_format.strike),
        parse_time(row[board_format.expiry], board_format.expiry),
        cells.parse_settlement(row.get("instrument_type", ""), name),
        contract_size=_contract_size(row.get("contract_size", "")),
        price_index=sanitize(row.get("price_index", "").strip(), 32),
        listed_ns=_listed_ns(row),
    )
    numbers = RowValues(*(cells.parse_number(row.get(field.column, ""), field) for field in board_format.fields))
    return BoardRow(line, ts_ns, underlying, numbers.spot, listed, cells.ticker_event(name, ts_ns, numbers))


def _contract_size(text: str) -> float:
    size = cells.parse_number(text, _CONTRACT_SIZE)
    return 1.0 if size != size else size


def _listed_ns(row: dict[str, str]) -> int:
    """Creation time of the contract; 0 if it is missing or invalid, which does not cost the row."""
    try:
        return cells.parse_milliseconds(row.get("creation_timestamp", ""), "creation_timestamp")
    except BadCell:
        return 0


# ---- which board a row belongs to ----------------------------------------------------------------------------------


def _assign_snapshot_times(rows: list[BoardRow | BadRow]) -> list[BoardRow | BadRow]:
    """Assigns rows to boards; a row with an unreadable time belongs to the board of the row above it."""
    current_ns = next((entry.ts_ns for entry in rows if entry.ts_ns), 0)
    assigned: list[BoardRow | BadRow] = []
    for entry in rows:
        current_ns = entry.ts_ns or current_ns
        assigned.append(entry._replace(ts_ns=current_ns))
    return sorted(assigned, key=attrgetter("ts_ns"))


def _assign_ticker_times(rows: list[BoardRow | BadRow]) -> list[BoardRow | BadRow]:
    """One board per underlying, valued at its newest ticker. Tickers an hour ahead of the others are refused."""
    times = [entry.ts_ns for entry in rows if isinstance(entry, BoardRow) and entry.ts_ns]
    latest = median_low(times) + HOUR if times else 0
    checked = [
        _reject_future_row(entry) if isinstance(entry, BoardRow) and entry.ts_ns > latest else entry for entry in rows
    ]
    newest: dict[str, int] = {}
    for entry in checked:
        if isinstance(entry, BoardRow):
            newest[entry.underlying] = max(newest.get(entry.underlying, MILLISECOND), entry.ts_ns)
    fallback = min(newest.values(), default=0)
    assigned = [entry._replace(ts_ns=newest.get(entry.underlying, fallback)) for entry in checked]
    return sorted(assigned, key=attrgetter("ts_ns"))


def _reject_future_row(row: BoardRow) -> BadRow:
    detail = f"timestamp is {iso(row.ts_ns)}, within an hour of the other rows is expected"
    return BadRow(row.line, 0, row.underlying, detail)
