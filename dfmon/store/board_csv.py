"""Boards in CSV, plain or gzip, told apart by their header: rows out, in the order of their boards.

Comes after `board_cells` (what a cell may be) and before `boards` (events). A file is small, one to a few boards, and
its rows need not be in order of time: it is read whole before anything is handed on.
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
from dfmon.model.units import HOUR, MILLISECOND, clean, iso
from dfmon.store import board_cells as cells
from dfmon.store.board_cells import SNAPSHOT, TICKER, BadCell, BadRow, Layout, Numbers, Row

_GZIP: Final = b"\x1f\x8b"
_LONGEST_LINE: Final = 1 << 20
_CONTRACT_SIZE: Final = cells.Field("contract_size", 1e9, zero_is_none=True)


def layout_of(path: Path) -> Layout | None:
    """The kind of board `path` holds, None where it is neither. Reads the header only."""
    try:
        return _layout(_header(path, next(_lines(path), (1, ""))[1]))
    except (UsageError, SourceError):
        return None


def entries(path: Path) -> list[Row | BadRow]:
    """Every row, ordered by the time of its board; UsageError or SourceError in one sentence."""
    lines = _lines(path)
    header = _header(path, next(lines, (1, ""))[1])
    layout = _layout(header)
    if layout is None:
        raise UsageError(_neither(path, header))
    found = [_entry(layout, header, line, text) for line, text in lines if text.strip()]
    if not found:
        raise UsageError(f"{_shown(path)} is a {layout.title} without rows: at least one option is needed")
    usable = _place_snapshot(found) if layout is SNAPSHOT else _place_tickers(found)
    if not any(isinstance(entry, Row) for entry in usable):
        raise UsageError(f"{_shown(path)} is a {layout.title} without a usable row: {_first_fault(usable)}")
    return usable


def _first_fault(rows: list[Row | BadRow]) -> str:
    return next(f"line {row.line}: {row.detail}" for row in rows if isinstance(row, BadRow))


# ---- the file ----------------------------------------------------------------------------------------------------


def _shown(path: Path) -> str:
    return clean(str(path))


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines of text. A damaged gzip file is told apart from a foreign one."""
    whole = 0
    try:
        with path.open("rb") as plain:
            packed = plain.read(2) == _GZIP
            plain.seek(0)
            with gzip.open(plain) if packed else plain as handle:
                while line := handle.readline(_LONGEST_LINE):
                    if len(line) == _LONGEST_LINE:
                        raise UsageError(f"{_shown(path)} is no board: line {whole + 1} is longer than a megabyte")
                    yield whole + 1, line.decode("utf-8-sig" if not whole else "utf-8").rstrip("\r\n")
                    whole += 1
    except UnicodeDecodeError:
        raise UsageError(f"{_shown(path)} is no board: line {whole + 1} is not UTF-8 text") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as exc:
        raise SourceError(
            f"{_shown(path)} is damaged: {max(whole - 1, 0)} rows were readable before the gzip data broke ({exc})"
        ) from None
    except OSError as exc:
        raise UsageError(f"cannot read {_shown(path)}: {(exc.strerror or str(exc)).lower()}") from None


def _header(path: Path, text: str) -> list[str]:
    if not text.strip():
        raise UsageError(f"{_shown(path)} is empty: a board in CSV or parquet is expected")
    try:
        return [column.strip() for column in _split(text)]
    except BadCell as exc:
        raise UsageError(f"{_shown(path)} is no board: {exc}") from None


def _layout(header: list[str]) -> Layout | None:
    return next((layout for layout in (TICKER, SNAPSHOT) if not set(layout.required) - set(header)), None)


def _neither(path: Path, header: list[str]) -> str:
    """The sentence for a file that is no board of options: what it is, what is read, what it lacks."""
    if "future_type" in header:
        what = "it holds futures, not options"
    else:
        shown = ", ".join(header[:6]) + (", …" if len(header) > 6 else "")
        what = f"its columns are {clean(shown)}"
    lacks = (f"a {k.title} needs {', '.join(c for c in k.required if c not in header)}" for k in (TICKER, SNAPSHOT))
    return f"{_shown(path)} is neither kind of option board that is read: {what}; {'; '.join(lacks)} as well"


def _split(text: str) -> list[str]:
    """Cells of one line. Each line is split on its own, so that a stray quote cannot swallow the lines after it."""
    try:
        return next(csv.reader((text,)), [])
    except csv.Error as exc:
        raise BadCell(f"the line is not CSV ({exc})") from None


# ---- its rows ----------------------------------------------------------------------------------------------------


def _entry(layout: Layout, header: list[str], line: int, text: str) -> Row | BadRow:
    ts_ns, underlying = 0, ""
    try:
        found = _split(text)
        if len(found) != len(header):
            raise BadCell(f"{len(found)} cells, {len(header)} are expected")
        row = dict(zip(header, found))
        ts_ns = _time(layout, row)
        underlying = cells.name(row[layout.underlying], layout.underlying, 16)
        return _row(layout, row, line, ts_ns, underlying)
    except BadCell as exc:
        return BadRow(line, ts_ns, underlying, str(exc))


def _time(layout: Layout, row: dict[str, str]) -> int:
    if layout is SNAPSHOT:
        return cells.iso_time(row["timestamp"], "timestamp")
    return 0 if cells.missing(row["timestamp"]) else cells.milliseconds(row["timestamp"], "timestamp")


def _row(layout: Layout, row: dict[str, str], line: int, ts_ns: int, underlying: str) -> Row:
    kind = row.get("kind", "option").strip()
    if kind != "option":
        raise BadCell(f"kind is {cells.quoted(kind)}, option is expected")
    name = cells.name(row["instrument_name"], "instrument_name")
    moment = cells.iso_time if layout is SNAPSHOT else cells.milliseconds
    listed = cells.listed_option(
        name,
        underlying,
        cells.option_type(row["option_type"]),
        cells.strike(row["strike"], layout.strike),
        moment(row[layout.expiry], layout.expiry),
        cells.settlement(row.get("instrument_type", ""), name),
        contract_size=_contract_size(row.get("contract_size", "")),
        price_index=clean(row.get("price_index", "").strip(), 32),
        listed_ns=_listed_ns(row),
    )
    numbers = Numbers(*(cells.number(row.get(field.column, ""), field) for field in layout.fields))
    return Row(line, ts_ns, underlying, numbers.spot, listed, cells.ticker(name, ts_ns, numbers))


def _contract_size(text: str) -> float:
    size = cells.number(text, _CONTRACT_SIZE)
    return 1.0 if size != size else size


def _listed_ns(row: dict[str, str]) -> int:
    """When the contract was created, 0 where the board does not say; it is no reason to lose the row."""
    try:
        return cells.milliseconds(row.get("creation_timestamp", ""), "creation_timestamp")
    except BadCell:
        return 0


# ---- which board a row belongs to ----------------------------------------------------------------------------------


def _place_snapshot(found: list[Row | BadRow]) -> list[Row | BadRow]:
    """A row whose own time is unreadable belongs to the board of the row above it."""
    known = next((entry.ts_ns for entry in found if entry.ts_ns), 0)
    placed: list[Row | BadRow] = []
    for entry in found:
        known = entry.ts_ns or known
        placed.append(entry._replace(ts_ns=known))
    return sorted(placed, key=attrgetter("ts_ns"))


def _place_tickers(found: list[Row | BadRow]) -> list[Row | BadRow]:
    """One board per underlying, valued at its newest ticker. A clock far ahead of the others does not count."""
    times = [entry.ts_ns for entry in found if isinstance(entry, Row) and entry.ts_ns]
    latest = median_low(times) + HOUR if times else 0
    checked = [_ahead(entry) if isinstance(entry, Row) and entry.ts_ns > latest else entry for entry in found]
    newest: dict[str, int] = {}
    for entry in checked:
        if isinstance(entry, Row):
            newest[entry.underlying] = max(newest.get(entry.underlying, MILLISECOND), entry.ts_ns)
    fallback = min(newest.values(), default=0)
    placed = [entry._replace(ts_ns=newest.get(entry.underlying, fallback)) for entry in checked]
    return sorted(placed, key=attrgetter("ts_ns"))


def _ahead(row: Row) -> BadRow:
    detail = f"timestamp is {iso(row.ts_ns)}, within an hour of the other rows is expected"
    return BadRow(row.line, 0, row.underlying, detail)
