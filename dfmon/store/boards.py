"""Recorded option boards as events: what `replay` and `snapshot` read besides recordings.

Two kinds of file are read, by content and not by name: ticker boards (get_instruments joined with ticker) and snapshot
boards (book summary, one or many runs), as CSV, gzipped CSV and, snapshots only, parquet. `board_csv` and
`board_parquet` give rows; here they become boards, each the complete listing of one underlying at one time.
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
from dfmon.model.units import clean
from dfmon.store import board_csv
from dfmon.store.board_cells import VENUE, BadRow, Row
from dfmon.store.board_parquet import ParquetBoards, is_parquet

AnyPath = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class Board:
    """Every option of one underlying at one moment, as events in the order in which they are applied."""

    ts_ns: int
    underlying: str
    events: tuple[Event, ...]


def is_board(path: AnyPath) -> bool:
    """Whether the content looks like a board: a known header, or any parquet file (`read` then says what it lacks)."""
    file = Path(path)
    return file.is_file() and (is_parquet(file) or board_csv.layout_of(file) is not None)


def currencies(path: AnyPath) -> tuple[str, ...]:
    """The underlyings a file holds, sorted."""
    file = _checked(path)
    if is_parquet(file):
        return ParquetBoards(file).currencies()
    return _held(board_csv.entries(file))


def read(path: AnyPath, underlyings: Collection[str] | None = None) -> Iterator[Board]:
    """The boards of a file in order of time, one per moment and underlying.

    Raises UsageError at once where the file is no board or lacks an underlying that was asked for, SourceError where it
    is damaged: at once for CSV, whose rows may be in any order; after the last whole board for parquet.
    """
    file = _checked(path)
    entries: Iterable[Row | BadRow]
    if is_parquet(file):
        source = ParquetBoards(file)
        held, entries = source.currencies(), source.entries()
        place = "row"
    else:
        rows = board_csv.entries(file)
        held, entries = _held(rows), rows
        place = "line"
    asked = {name.upper() for name in underlyings or held}
    if lacking := sorted(asked - set(held)):
        shown = clean(", ".join(held)) or "no currency at all"
        raise UsageError(f"{clean(str(file))} holds no options on {clean(', '.join(lacking))}: it holds {shown}")
    return _boards(entries, sorted(asked), place)


def _checked(path: AnyPath) -> Path:
    file = Path(path)
    shown = clean(str(path))
    try:
        if file.is_dir():
            raise UsageError(f"{shown} is a directory: a board file (csv, csv.gz or parquet) is expected")
        if not file.exists():
            raise UsageError(f"{shown} does not exist: a board file (csv, csv.gz or parquet) is expected")
        if not file.is_file():
            raise UsageError(f"{shown} is not a regular file: a board file (csv, csv.gz or parquet) is expected")
        with file.open("rb"):
            return file
    except OSError as exc:
        raise UsageError(f"cannot read {shown}: {(exc.strerror or str(exc)).lower()}") from None


def _held(rows: Iterable[Row | BadRow]) -> tuple[str, ...]:
    return tuple(sorted({row.underlying for row in rows if isinstance(row, Row)}))


def _boards(entries: Iterable[Row | BadRow], asked: list[str], place: str) -> Iterator[Board]:
    # A board whose reading broke off is never given: options it lacks would look as if they were no longer listed.
    for ts_ns, group in groupby(entries, key=attrgetter("ts_ns")):
        yield from _split(ts_ns, list(group), asked, place)


def _split(ts_ns: int, entries: list[Row | BadRow], asked: list[str], place: str) -> Iterator[Board]:
    """One board per underlying. A bad row of unknown underlying is counted with the first."""
    for at, underlying in enumerate(asked):
        rows = [e for e in entries if isinstance(e, Row) and e.underlying == underlying]
        bad = [e for e in entries if isinstance(e, BadRow) and (e.underlying == underlying or not (at or e.underlying))]
        if rows or bad:
            yield Board(ts_ns, underlying, tuple(_events(ts_ns, underlying, rows, bad, place)))


def _events(ts_ns: int, underlying: str, rows: list[Row], bad: list[BadRow], place: str) -> Iterator[Event]:
    last: dict[str, Row] = {}
    rejected: list[Rejected] = []
    for row in rows:
        name = row.ticker.name
        if name in last:
            where = f"{place} {row.line}: {name} is there since {place} {last[name].line}, the last row counts"
            rejected.append(Rejected("board", "duplicate", where))
        last[name] = row
    kept = last.values()
    if kept:
        yield from (row.listed for row in kept)
        yield ListingComplete(VENUE, underlying, frozenset(last))
        spot = _spot(kept)
        if spot is not None:
            yield IndexPrice(VENUE, underlying, spot, ts_ns)
        else:
            rejected.append(Rejected("board", "index", "no row carries an index_price: the board has no spot"))
        yield from (row.ticker for row in kept)
    yield from (Rejected("board", "row", f"{place} {row.line}: {row.detail}") for row in bad)
    yield from rejected


def _spot(rows: Collection[Row]) -> float | None:
    """The index of the newest rows: of the newest ticker, and the median where all rows have the time of the run."""
    priced = [row for row in rows if row.spot == row.spot]
    newest = max((row.ticker.exch_ns for row in priced), default=0)
    return median(row.spot for row in priced if row.ticker.exch_ns == newest) if priced else None
