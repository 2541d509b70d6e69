"""The tables of a history and their statements: insert, fold, read, delete. `history` decides when.

meta   the schema version
steps  the names of the migrations that the file has taken
ticks  one row a tick and underlying, of hours that are not folded yet; NULL where there is no value
hours  one blob a column, hour and underlying: int64 or float64, little-endian, in the order of time

The tables of roll-ups are those of `history_rollups`, the others those of `history_tables`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dfmon.model.snapshot import MetricRow
from dfmon.model.units import HOUR, NAN, sanitize
from dfmon.store import history_rollups
from dfmon.store.database import DatabaseSchema, Migration, StoreError, has_table
from dfmon.store.history_rollups import MAX_NS
from dfmon.store.history_tables import POSITIONS, RECORD_TABLES, TICKS, RecordTable

COLUMNS: Final = MetricRow.__struct_fields__
FIRST_COLUMNS: Final = (
    "ts_ns", "spot", "flip", "ngi", "vss", "chl", "volg", "hpp", "psi", "bucket", "coverage",
)  # fmt: skip
"""Columns of schema 1. Each metric recorded since is a step of its own, in the order of `model.metrics`."""
ADDED_COLUMNS: Final = COLUMNS[len(FIRST_COLUMNS) :]
RETIRED_COLUMNS: Final = {"hpp": "hpp_1", "chl": "chl_1"}
"""Columns whose definition has changed since schema 1, and the names under which their first values are kept.

hpp_1 is USD of the move of 15 minutes, hpp is USD/+1%. chl_1 ran a day past a settlement, chl ends at its window.
"""

HistoryRow = tuple[Any, ...]  # underlying, then the fields of a MetricRow
Column = NDArray[Any]  # int64 or float64

_STORED_COLUMNS: Final = (*COLUMNS, *RETIRED_COLUMNS.values())
_OPTIONAL_COLUMNS: Final = frozenset((*ADDED_COLUMNS, *RETIRED_COLUMNS, *RETIRED_COLUMNS.values()))  # of an hour
_INTEGER_COLUMNS: Final = frozenset(("ts_ns", "bucket"))
_INSERT_TICKS: Final = (
    f"INSERT OR REPLACE INTO ticks (underlying, {', '.join(COLUMNS)}) VALUES ({', '.join('?' * (len(COLUMNS) + 1))})"
)
_CREATE_SQL: Final = f"""
    CREATE TABLE ticks (
        underlying TEXT, {", ".join(f"{c} {'INTEGER' if c in _INTEGER_COLUMNS else 'REAL'}" for c in FIRST_COLUMNS)},
        PRIMARY KEY (underlying, ts_ns)
    ) WITHOUT ROWID;
    CREATE TABLE hours (
        underlying TEXT, name TEXT, hour INTEGER, cells BLOB, UNIQUE (underlying, name, hour)
    );
"""


_SQL_TYPES: Final = {"text": "TEXT", "integer": "INTEGER", "real": "REAL"}


class HistoryError(StoreError):
    """The history cannot be used; the monitor runs without it."""


def _create_table(table: RecordTable) -> str:
    cells = ", ".join(f"{name} {_SQL_TYPES[kind]}" for name, kind in table.columns.items())
    return f"CREATE TABLE {table.name} ({cells}, PRIMARY KEY ({', '.join(table.key)})) WITHOUT ROWID"


HISTORY_SCHEMA: Final = DatabaseSchema(
    "history",
    0x64666D6E,  # "dfmn"
    _CREATE_SQL,
    HistoryError,
    migrations=(
        Migration(
            "retire hpp and chl of schema 1",
            tuple(
                statement
                for name, retired in RETIRED_COLUMNS.items()
                for statement in (
                    f"ALTER TABLE ticks RENAME COLUMN {name} TO {retired}",
                    f"ALTER TABLE ticks ADD COLUMN {name} REAL",
                    f"UPDATE hours SET name = '{retired}' WHERE name = '{name}'",
                )
            ),
        ),
        *(Migration(f"add {name}", (f"ALTER TABLE ticks ADD COLUMN {name} REAL",)) for name in ADDED_COLUMNS),
        Migration("create roll-ups", history_rollups.CREATE_STATEMENTS),
        *(Migration(f"create {name}", (_create_table(table),)) for name, table in RECORD_TABLES.items()),
    ),
)


# ---- writing, inside the caller's transaction ----------------------------------------------------------------------


def insert_ticks(db: sqlite3.Connection, rows: Sequence[HistoryRow]) -> None:
    """Inserts ticks. SQLite itself stores NaN as NULL."""
    db.executemany(_INSERT_TICKS, rows)


def fold_hours(db: sqlite3.Connection, underlying: str, hour: int) -> None:
    """Moves the ticks of hours before `hour` into blobs. A late tick is merged into its hour."""
    end_ns = hour * HOUR
    query = f"SELECT {', '.join(_STORED_COLUMNS)} FROM ticks WHERE underlying = ? AND ts_ns < ? ORDER BY ts_ns"
    rows = db.execute(query, (underlying, end_ns)).fetchall()
    if not rows:
        return
    ticks = _columns_from_ticks(rows, _STORED_COLUMNS)
    hours = ticks["ts_ns"] // HOUR
    for tick_hour in np.unique(hours).tolist():
        hour_ticks = {name: values[hours == tick_hour] for name, values in ticks.items()}
        merged = _merge_hours(db, underlying, tick_hour, tick_hour, hour_ticks)
        for name, values in merged.items():
            if name in RETIRED_COLUMNS.values() and np.isnan(values).all():
                continue
            cells = values.astype(_dtype(name)).tobytes()
            db.execute("INSERT OR REPLACE INTO hours VALUES (?, ?, ?, ?)", (underlying, name, tick_hour, cells))
        history_rollups.store_hour(db, underlying, tick_hour, merged)
    db.execute("DELETE FROM ticks WHERE underlying = ? AND ts_ns < ?", (underlying, end_ns))


def insert_records(db: sqlite3.Connection, name: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Inserts rows of a table of `history_tables`; one with the key of a stored row replaces it."""
    db.executemany(f"INSERT OR REPLACE INTO {name} VALUES ({', '.join('?' * len(RECORD_TABLES[name].columns))})", rows)


def roll_up_folded(db: sqlite3.Connection, limit: int) -> bool:
    """Rolls up hours that were folded before there were roll-ups. False where there are none left."""
    hours = history_rollups.hours_without(db, limit)
    for underlying, hour in hours:
        history_rollups.store_hour(
            db, underlying, hour, _merge_hours(db, underlying, hour, hour, _columns_from_ticks([], COLUMNS))
        )
    return bool(hours)


def delete_before(db: sqlite3.Connection, ticks_ns: int, minutes_ns: int, hours_ns: int) -> None:
    """Deletes ticks and positions, minute roll-ups, and everything else, each of what ended before a time."""
    db.execute("DELETE FROM hours WHERE hour < ?", (ticks_ns // HOUR,))
    db.execute("DELETE FROM ticks WHERE ts_ns < ?", (ticks_ns,))
    history_rollups.delete_before(db, minutes_ns, hours_ns)
    for name in RECORD_TABLES:
        before_ns = ticks_ns if name == POSITIONS.name else hours_ns
        db.execute(f"DELETE FROM {name} WHERE ts_ns < ?", (before_ns,))


# ---- reading -----------------------------------------------------------------------------------------------------


def underlyings(db: sqlite3.Connection) -> tuple[str, ...]:
    tables = [name for name in (TICKS, "hours", "hour_rollups") if has_table(db, name)]
    query = " UNION ".join(f"SELECT underlying FROM {name}" for name in tables)
    return tuple(name for (name,) in db.execute(f"{query} ORDER BY 1"))


def time_range(db: sqlite3.Connection, name: str, underlying: str) -> tuple[int, int] | None:
    """The times of the first and the last row of a table, to the hour where it is stored by hour; None without one."""
    tables: dict[str, tuple[str, ...]] = {TICKS: (TICKS, "hours")}
    tables |= {span: (TICKS, "hours", table) for span, table in history_rollups.TABLES.items()}
    by_time, by_hour = "min(ts_ns), max(ts_ns)", f"min(hour) * {HOUR}, max(hour + 1) * {HOUR} - 1"
    ranges = []
    for table in tables.get(name, (name,)):
        if has_table(db, table):
            cells = by_time if table in (TICKS, *RECORD_TABLES) else by_hour
            ranges.append(db.execute(f"SELECT {cells} FROM {table} WHERE underlying = ?", (underlying,)).fetchone())
    ranges = [(first, last) for first, last in ranges if first is not None]
    return (min(first for first, _ in ranges), max(last for _, last in ranges)) if ranges else None


def records(
    db: sqlite3.Connection, name: str, underlying: str, since_ns: int, until_ns: int
) -> Iterator[tuple[Any, ...]]:
    """Rows of a table of `history_tables` in [since_ns, until_ns), in time order; none where the file has no such."""
    if not has_table(db, name):
        return
    table = RECORD_TABLES[name]
    query = (
        f"SELECT {', '.join(table.columns)} FROM {name} WHERE underlying = ? AND ts_ns >= ? AND ts_ns < ?"
        f" ORDER BY {', '.join(table.key)}"
    )
    yield from db.execute(query, (underlying, since_ns, until_ns))


def columns(
    db: sqlite3.Connection, underlying: str, since_ns: int, names: tuple[str, ...], until_ns: int = MAX_NS
) -> dict[str, Column]:
    """Columns in [since_ns, until_ns), read in one transaction: a fold between two reads would hide an hour."""
    db.execute("BEGIN")
    try:
        existing = {name for (name,) in db.execute("SELECT name FROM pragma_table_info('ticks')")}
        absent = _absent_columns(existing) & set(names)
        selected = ", ".join(f"NULL AS {name}" if name in absent else name for name in names)
        query = f"SELECT {selected} FROM ticks WHERE underlying = ? AND ts_ns >= ? AND ts_ns < ? ORDER BY ts_ns"
        ticks = _columns_from_ticks(db.execute(query, (underlying, since_ns, until_ns)).fetchall(), names)
        merged = _merge_hours(db, underlying, since_ns // HOUR, (until_ns - 1) // HOUR, ticks, absent)
    finally:
        db.rollback()
    start, end = np.searchsorted(merged["ts_ns"], (since_ns, until_ns)).tolist()
    return {name: values[start:end] for name, values in merged.items()}


def _absent_columns(existing: set[str]) -> set[str]:
    """Columns that a file has no values of, which only older programs have written."""
    is_migrated = existing.issuperset(RETIRED_COLUMNS.values())
    return {name for name in _STORED_COLUMNS if name not in existing or (name in RETIRED_COLUMNS and not is_migrated)}


def _dtype(name: str) -> str:
    return "<i8" if name in _INTEGER_COLUMNS else "<f8"


def _columns_from_ticks(rows: list[tuple[Any, ...]], names: tuple[str, ...]) -> dict[str, Column]:
    if not rows:
        return {name: np.empty(0, _dtype(name)) for name in names}
    return {
        name: np.array(values if name in _INTEGER_COLUMNS else [NAN if v is None else v for v in values], _dtype(name))
        for name, values in zip(names, zip(*rows))
    }


def _merge_hours(
    db: sqlite3.Connection,
    underlying: str,
    first_hour: int,
    last_hour: int,
    ticks: Mapping[str, Column],
    absent: Set[str] = frozenset(),
) -> dict[str, Column]:
    """The columns of folded hours and of ticks in time order; of two rows with equal time the tick wins.

    Each blob is copied to its place as it is read: what is read takes no more memory than what is returned. A column is
    NaN in the hours folded before it was known.
    """
    where = "WHERE underlying = ? AND name = ? AND hour BETWEEN ? AND ? ORDER BY hour"
    places, folded = {}, 0
    lengths = db.execute(f"SELECT hour, length(cells) FROM hours {where}", (underlying, "ts_ns", first_hour, last_hour))
    for hour, length in lengths:
        places[hour] = slice(folded, folded + length // 8)
        folded += length // 8
    if any(place.start == place.stop for place in places.values()):
        raise _hours_error(underlying)
    merged = {}
    for name, values in ticks.items():
        column = merged[name] = np.empty(folded + len(values), _dtype(name))
        column[folded:] = values
        missing = dict(places)
        arguments = (underlying, name, first_hour, last_hour)
        for hour, cells in () if name in absent else db.execute(f"SELECT hour, cells FROM hours {where}", arguments):
            place = missing.pop(hour, slice(0))
            if len(cells) != 8 * (place.stop - (place.start or 0)):
                raise _hours_error(underlying)
            column[place] = np.frombuffer(cells, _dtype(name))
        if missing and name not in _OPTIONAL_COLUMNS:
            raise _hours_error(underlying)
        for place in missing.values():
            column[place] = NAN
    return _in_time_order(merged, folded)


def _hours_error(underlying: str) -> ValueError:
    return ValueError(f"the hours of {sanitize(underlying)} are damaged: columns differ in length")


def _in_time_order(columns: dict[str, Column], folded: int) -> dict[str, Column]:
    """Columns whose first `folded` rows are in order, as are the others, which win where times are equal."""
    ts_ns = columns["ts_ns"]
    if not 0 < folded < len(ts_ns) or ts_ns[folded - 1] < ts_ns[folded]:
        return columns
    order = np.argsort(ts_ns, kind="stable")
    is_last_at_time = np.append(np.diff(ts_ns[order]) != 0, True)
    return {name: values[order[is_last_at_time]] for name, values in columns.items()}
