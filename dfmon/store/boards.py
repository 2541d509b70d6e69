"""Recorded option boards as events.

Two kinds of file are read, by content and not by name: ticker boards (get_instruments joined with ticker) and snapshot
boards (book summary, one or many runs), as CSV, gzipped CSV and, snapshots only, parquet. `board_csv` and
`board_parquet` read the rows; here they become boards, each the complete listing of one underlying at one time.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from statistics import median

from dfmon.model.errors import UsageError
from dfmon.model.events import Event, IndexPrice, ListingComplete, Rejected
from dfmon.model.units import sanitize
from dfmon.store import board_csv
from dfmon.store.board_cells import VENUE, BadRow, BoardRow
from dfmon.store.board_parquet import ParquetBoardReader, is_parquet

AnyPath = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class RecordedBoard:
    """Every option of one underlying at one time, as events in the order in which they are applied."""

    ts_ns: int
    underlying: str
    events: tuple[Event, ...]


def currencies(path: AnyPath) -> tuple[str, ...]:
    """The underlyings of a file, sorted."""
    file = _checked_path(path)
    if is_parquet(file):
        return ParquetBoardReader(file).currencies()
    return _underlyings_of(board_csv.rows(file))


def read_boards(path: AnyPath, underlyings: Collection[str] | None = None) -> Iterator[RecordedBoard]:
    """The boards of a file in order of time, one for each time and underlying.

    Raises UsageError at once if the file is not a board or lacks a requested underlying, and SourceError if it is
    damaged: at once for CSV, whose rows may be in any order; after the last complete board for parquet.
    """
    file = _checked_path(path)
    rows: Iterable[BoardRow | BadRow]
    if is_parquet(file):
        source = ParquetBoardReader(file)
        available, rows = source.currencies(), source.rows()
        row_label = "row"
    else:
        rows = board_csv.rows(file)
        available, rows = _underlyings_of(rows), rows
        row_label = "line"
    requested = {name.upper() for name in underlyings or available}
    if missing := sorted(requested - set(available)):
        listed_names = sanitize(", ".join(available)) or "none"
        raise UsageError(
            f"{sanitize(str(file))} has no options on {sanitize(', '.join(missing))}; available: {listed_names}"
        )
    return _iter_boards(rows, sorted(requested), row_label)


def _checked_path(path: AnyPath) -> Path:
    file = Path(path)
    display_path = sanitize(str(path))
    try:
        if file.is_dir():
            raise UsageError(f"{display_path} is a directory: a board file (csv, csv.gz or parquet) is expected")
        if not file.exists():
            raise UsageError(f"{display_path} does not exist: a board file (csv, csv.gz or parquet) is expected")
        if not file.is_file():
            raise UsageError(f"{display_path} is not a regular file: a board file (csv, csv.gz or parquet) is expected")
        with file.open("rb"):
            return file
    except OSError as exc:
        raise UsageError(f"cannot read {display_path}: {(exc.strerror or str(exc)).lower()}") from None


def _underlyings_of(rows: Iterable[BoardRow | BadRow]) -> tuple[str, ...]:
    return tuple(sorted({row.underlying for row in rows if isinstance(row, BoardRow)}))


def _iter_boards(rows: Iterable[BoardRow | BadRow], requested: list[str], row_label: str) -> Iterator[RecordedBoard]:
    # An incomplete board is never returned: options it lacks would look as if they were no longer listed.
    for ts_ns, group in groupby(rows, key=attrgetter("ts_ns")):
        yield from _split_by_underlying(ts_ns, list(group), requested, row_label)


def _split_by_underlying(
    ts_ns: int, entries: list[BoardRow | BadRow], requested: list[str], row_label: str
) -> Iterator[RecordedBoard]:
    """One board per underlying. A bad row of unknown underlying is counted with the first."""
    for at, underlying in enumerate(requested):
        rows = [e for e in entries if isinstance(e, BoardRow) and e.underlying == underlying]
        bad = [e for e in entries if isinstance(e, BadRow) and (e.underlying == underlying or not (at or e.underlying))]
        if rows or bad:
            yield RecordedBoard(ts_ns, underlying, tuple(_events(ts_ns, underlying, rows, bad, row_label)))


def _events(ts_ns: int, underlying: str, rows: list[BoardRow], bad: list[BadRow], row_label: str) -> Iterator[Event]:
    last_by_name: dict[str, BoardRow] = {}
    rejected: list[Rejected] = []
    for row in rows:
        name = row.ticker.name
        if name in last_by_name:
            detail = (
                f"{row_label} {row.line}: {name} repeats {row_label} {last_by_name[name].line}, the last row counts"
            )
            rejected.append(Rejected("board", "duplicate", detail))
        last_by_name[name] = row
    unique_rows = last_by_name.values()
    if unique_rows:
        yield from (row.listed for row in unique_rows)
        yield ListingComplete(VENUE, underlying, frozenset(last_by_name))
        spot = _spot(unique_rows)
        if spot is not None:
            yield IndexPrice(VENUE, underlying, spot, ts_ns)
        else:
            rejected.append(Rejected("board", "index", "no row carries an index_price: the board has no spot"))
        yield from (row.ticker for row in unique_rows)
    yield from (Rejected("board", "row", f"{row_label} {row.line}: {row.detail}") for row in bad)
    yield from rejected


def _spot(rows: Collection[BoardRow]) -> float | None:
    """The index price of the newest ticker; the median where all rows have the time of the run."""
    priced = [row for row in rows if row.spot == row.spot]
    newest = max((row.ticker.exch_ns for row in priced), default=0)
    return median(row.spot for row in priced if row.ticker.exch_ns == newest) if priced else None
