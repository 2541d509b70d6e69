"""The tables of a history and what is done with them: open, insert, fold, read, forget. `history` decides when.

meta   the schema version
ticks  one row a second and underlying, of hours that are not folded yet; NULL where there is no value
hours  one blob a column, hour and underlying: int64 or float64, little-endian, in the order of time
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from dfmon.model.errors import DfmonError
from dfmon.model.snapshot import MetricRow
from dfmon.model.units import HOUR, NAN, clean

COLUMNS: Final = MetricRow._fields
SCHEMA: Final = 1

Row = tuple[Any, ...]  # underlying, then the fields of a MetricRow
Column = NDArray[Any]  # int64 or float64

_APPLICATION: Final = 0x64666D6E  # "dfmn"
_BUSY_S: Final = 2.0
_WHOLE: Final = frozenset(("ts_ns", "bucket"))
_NAMES: Final = ", ".join(COLUMNS)
_INSERT: Final = f"INSERT OR REPLACE INTO ticks VALUES ({', '.join('?' * (len(COLUMNS) + 1))})"
_CREATE: Final = f"""
    CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
    CREATE TABLE ticks (
        underlying TEXT, {", ".join(f"{c} {'INTEGER' if c in _WHOLE else 'REAL'}" for c in COLUMNS)},
        PRIMARY KEY (underlying, ts_ns)
    ) WITHOUT ROWID;
    CREATE TABLE hours (
        underlying TEXT, name TEXT, hour INTEGER, cells BLOB, UNIQUE (underlying, name, hour)
    );
    INSERT INTO meta VALUES ('schema', {SCHEMA});
    PRAGMA application_id = {_APPLICATION};
"""


# What SQLite raises, and what it or numpy raise on a value or blob that cannot be true.
TROUBLE: Final = (sqlite3.Error, ValueError, TypeError, OverflowError)


class HistoryError(DfmonError):
    """The history cannot be used; the monitor goes on without it."""


def reason(path: Path, exc: Exception) -> str:
    """What went wrong with the database, in one sentence."""
    shown, text = clean(str(path)), clean(str(exc))
    if is_busy(exc):
        return f"{shown} is locked by another program: {text}"
    if isinstance(exc, sqlite3.DatabaseError) and ("malformed" in text or "not a database" in text):
        return f"{shown} is damaged or not a history: {text}; move it away to begin a new one"
    return f"cannot use {shown}: {text}"


def is_busy(exc: Exception) -> bool:
    code = getattr(exc, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Trouble inside becomes a HistoryError."""
    try:
        yield
    except TROUBLE as exc:
        raise HistoryError(reason(path, exc)) from None


# ---- opening -----------------------------------------------------------------------------------------------------


def open_read_write(path: Path) -> sqlite3.Connection:
    """The database, made if it is not there, readable to its owner only."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as exc:
        raise HistoryError(f"cannot write {clean(str(path))}: {(exc.strerror or str(exc)).lower()}") from None
    with explained(path):
        # One thread uses it at a time: `History` holds a lock.
        db = sqlite3.connect(path, timeout=_BUSY_S, check_same_thread=False)
        try:
            _prepare(db, path)
        except BaseException:
            db.close()
            raise
        return db


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    empty = not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if not empty:
        _check_schema(db, path)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    if empty:
        try:
            db.executescript(f"BEGIN IMMEDIATE; {_CREATE} COMMIT;")
        except sqlite3.OperationalError:
            # Another process was faster between our look and our writing.
            if db.in_transaction:
                db.rollback()
            _check_schema(db, path)


def _check_schema(db: sqlite3.Connection, path: Path) -> None:
    shown = clean(str(path))
    if db.execute("PRAGMA application_id").fetchone()[0] != _APPLICATION:
        raise HistoryError(f"{shown} is a database of another program: a file of its own is needed")
    found = db.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
    if found is None or found[0] != SCHEMA:
        version = clean(str(found[0])) if found else "no version"
        raise HistoryError(f"{shown} is a history in schema {version}: this dfmon reads {SCHEMA}")


def open_read_only(path: Path) -> sqlite3.Connection:
    if not path.is_file():
        raise HistoryError(f"{clean(str(path))} does not exist: there is no history yet")
    with explained(path):
        db = sqlite3.connect(
            f"file:{quote(str(path.absolute()))}?mode=ro", uri=True, timeout=_BUSY_S, check_same_thread=False
        )
        try:
            _check_schema(db, path)
        except BaseException:
            db.close()
            raise
        return db


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
