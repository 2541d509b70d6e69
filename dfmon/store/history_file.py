"""The tables of a history and what is done with them: insert, fold, read, forget. `history` decides when.

meta   the schema version
ticks  one row a second and underlying, of hours that are not folded yet; NULL where there is no value
hours  one blob a column, hour and underlying: int64 or float64, little-endian, in the order of time
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dfmon.model.errors import DfmonError
from dfmon.model.snapshot import MetricRow
from dfmon.model.units import HOUR, NAN, clean
from dfmon.store.database import Layout

COLUMNS: Final = MetricRow._fields
SCHEMA: Final = 1

Row = tuple[Any, ...]  # underlying, then the fields of a MetricRow
Column = NDArray[Any]  # int64 or float64

_WHOLE: Final = frozenset(("ts_ns", "bucket"))
_NAMES: Final = ", ".join(COLUMNS)
_INSERT: Final = f"INSERT OR REPLACE INTO ticks VALUES ({', '.join('?' * (len(COLUMNS) + 1))})"
_CREATE: Final = f"""
    CREATE TABLE ticks (
        underlying TEXT, {", ".join(f"{c} {'INTEGER' if c in _WHOLE else 'REAL'}" for c in COLUMNS)},
        PRIMARY KEY (underlying, ts_ns)
    ) WITHOUT ROWID;
    CREATE TABLE hours (
        underlying TEXT, name TEXT, hour INTEGER, cells BLOB, UNIQUE (underlying, name, hour)
    );
"""


class HistoryError(DfmonError):
    """The history cannot be used; the monitor goes on without it."""


LAYOUT: Final = Layout("history", 0x64666D6E, SCHEMA, _CREATE, HistoryError)  # "dfmn"


# ---- writing, inside the caller's transaction ----------------------------------------------------------------------


def insert(db: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """SQLite stores NaN as NULL by itself."""
    db.executemany(_INSERT, rows)


def fold(db: sqlite3.Connection, underlying: str, hour: int) -> None:
    """Move the ticks of hours before `hour` into blobs. A late tick is merged with the hour it belongs to."""
    ends_ns = hour * HOUR
    query = f"SELECT {_NAMES} FROM ticks WHERE underlying = ? AND ts_ns < ? ORDER BY ts_ns"
    rows = db.execute(query, (underlying, ends_ns)).fetchall()
    if not rows:
        return
    ticks = _of_rows(rows, COLUMNS)
    hours = ticks["ts_ns"] // HOUR
    for each in np.unique(hours).tolist():
        found = {name: values[hours == each] for name, values in ticks.items()}
        folded = _of_hours(db, underlying, each, each, COLUMNS)
        for name, values in _merged(folded, found).items():
            cells = values.astype(_stored(name)).tobytes()
            db.execute("INSERT OR REPLACE INTO hours VALUES (?, ?, ?, ?)", (underlying, name, each, cells))
    db.execute("DELETE FROM ticks WHERE underlying = ? AND ts_ns < ?", (underlying, ends_ns))


def forget(db: sqlite3.Connection, before_ns: int) -> None:
    """Remove the hours that ended before `before_ns`, and single ticks older than it."""
    db.execute("DELETE FROM hours WHERE hour < ?", (before_ns // HOUR,))
    db.execute("DELETE FROM ticks WHERE ts_ns < ?", (before_ns,))


# ---- reading -----------------------------------------------------------------------------------------------------


def underlyings(db: sqlite3.Connection) -> tuple[str, ...]:
    query = "SELECT underlying FROM ticks UNION SELECT underlying FROM hours ORDER BY 1"
    return tuple(name for (name,) in db.execute(query))


def columns(db: sqlite3.Connection, underlying: str, since_ns: int, names: tuple[str, ...]) -> dict[str, Column]:
    """Columns from `since_ns` on, of one moment of the database: a fold between two reads would hide an hour."""
    query = f"SELECT {', '.join(names)} FROM ticks WHERE underlying = ? AND ts_ns >= ? ORDER BY ts_ns"
    db.execute("BEGIN")
    try:
        folded = _of_hours(db, underlying, since_ns // HOUR, None, names)
        ticks = _of_rows(db.execute(query, (underlying, since_ns)).fetchall(), names)
    finally:
        db.rollback()
    merged = _merged(folded, ticks)
    start = int(np.searchsorted(merged["ts_ns"], since_ns))
    return {name: values[start:] for name, values in merged.items()}


def _stored(name: str) -> str:
    return "<i8" if name in _WHOLE else "<f8"


def _of_rows(rows: list[tuple[Any, ...]], names: tuple[str, ...]) -> dict[str, Column]:
    if not rows:
        return {name: np.empty(0, _stored(name)) for name in names}
    return {
        name: np.array(values if name in _WHOLE else [NAN if v is None else v for v in values], _stored(name))
        for name, values in zip(names, zip(*rows))
    }


def _of_hours(
    db: sqlite3.Connection, underlying: str, first: int, last: int | None, names: tuple[str, ...]
) -> dict[str, list[Column]]:
    """The blobs of each column, one array an hour."""
    query = "SELECT cells FROM hours WHERE underlying = ? AND name = ? AND hour BETWEEN ? AND ? ORDER BY hour"
    until = 1 << 62 if last is None else last
    found = {
        name: [np.frombuffer(cells, _stored(name)) for (cells,) in db.execute(query, (underlying, name, first, until))]
        for name in names
    }
    lengths = {tuple(map(len, hours)) for hours in found.values()}
    if len(lengths) > 1 or 0 in min(lengths):
        raise ValueError(f"the hours of {clean(underlying)} are damaged: columns differ in length")
    return found


def _merged(hours: dict[str, list[Column]], ticks: dict[str, Column]) -> dict[str, Column]:
    """Both in the order of time; where both have a moment, the tick counts."""
    joined = {name: np.concatenate((*hours[name], values)) for name, values in ticks.items()}
    older, newer = hours["ts_ns"], ticks["ts_ns"]
    if not older or not len(newer) or older[-1][-1] < newer[0]:
        return joined
    ts_ns = joined["ts_ns"]
    order = np.argsort(ts_ns, kind="stable")
    last_of_moment = np.append(np.diff(ts_ns[order]) != 0, True)
    return {name: values[order[last_of_moment]] for name, values in joined.items()}
