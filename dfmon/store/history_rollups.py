"""Roll-ups of an embedded history: number, mean, lowest, highest and last value of a column, per minute and per hour.

They are computed where an hour is folded, from the whole hour, so that a late tick is in them, and outlive the ticks.

minute_rollups  one blob a column and hour: float64, little-endian, 60 minutes of AGGREGATES, NaN without a sample
hour_rollups    one row a column and hour
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dfmon.model.units import HOUR, MINUTE
from dfmon.store.database import has_table
from dfmon.store.history_tables import AGGREGATES, ROLLED_COLUMNS, SPAN_NS, Span

RollUp = NDArray[np.float64]  # (bins, AGGREGATES)
RollUps = dict[str, NDArray[Any]]  # "start_ns", then one RollUp a column
TABLES: Final[Mapping[Span, str]] = {"minutes": "minute_rollups", "hours": "hour_rollups"}
CREATE_STATEMENTS: Final = (
    """CREATE TABLE minute_rollups (
        underlying TEXT, name TEXT, hour INTEGER, cells BLOB, UNIQUE (underlying, name, hour)
    )""",
    f"""CREATE TABLE hour_rollups (
        underlying TEXT, name TEXT, hour INTEGER, {", ".join(f"{aggregate} REAL" for aggregate in AGGREGATES)},
        PRIMARY KEY (underlying, name, hour)
    ) WITHOUT ROWID""",
)
MAX_NS: Final = (1 << 63) - 1  # a time after all others
_PRESENT: Final = "spot"  # a column with a value in every tick
_MINUTES: Final = HOUR // MINUTE


def roll_up(bins: NDArray[np.int64], values: NDArray[np.float64], count: int) -> RollUp:
    """Aggregates of the values in each of `count` bins; NaN is no value, and a bin without one is NaN with 0 samples.

    Units: of the values. Shapes: (k,), (k,) -> (count, 5). Domain: `bins` ascend, from 0 to `count` - 1.
    """
    known = np.isfinite(values)
    bins, values = bins[known], values[known]
    found = np.full((count, len(AGGREGATES)), np.nan)
    found[:, 0] = 0.0
    if not len(bins):
        return found
    starts = np.flatnonzero(np.append(True, np.diff(bins) > 0))
    rows, samples = bins[starts], np.diff(np.append(starts, len(bins)))
    found[rows, 0] = samples
    found[rows, 1] = np.add.reduceat(values, starts) / samples
    found[rows, 2] = np.minimum.reduceat(values, starts)
    found[rows, 3] = np.maximum.reduceat(values, starts)
    found[rows, 4] = values[starts + samples - 1]
    return found


def roll_up_ticks(ticks: Mapping[str, NDArray[Any]], span: Span, names: Sequence[str]) -> RollUps:
    """Roll-ups of columns of ticks in time order, of the minutes or hours that have ticks."""
    starts, bins = np.unique(ticks["ts_ns"] // SPAN_NS[span], return_inverse=True)
    return {"start_ns": starts * SPAN_NS[span]} | {name: roll_up(bins, ticks[name], len(starts)) for name in names}


def next_start(at_ns: int, span: Span) -> int:
    """The first minute or hour that begins at or after a time."""
    return min(-(-at_ns // SPAN_NS[span]) * SPAN_NS[span], MAX_NS)


def store_hour(db: sqlite3.Connection, underlying: str, hour: int, ticks: Mapping[str, NDArray[Any]]) -> None:
    """Replaces the roll-ups of an hour by those of all its ticks."""
    minutes = (ticks["ts_ns"] - hour * HOUR) // MINUTE
    for name in ROLLED_COLUMNS:
        cells = roll_up(minutes, ticks[name], _MINUTES).astype("<f8").tobytes()
        (full,) = roll_up(np.zeros_like(minutes), ticks[name], 1).tolist()
        db.execute("INSERT OR REPLACE INTO minute_rollups VALUES (?, ?, ?, ?)", (underlying, name, hour, cells))
        row = (underlying, name, hour, *full)
        db.execute(f"INSERT OR REPLACE INTO hour_rollups VALUES ({', '.join('?' * len(row))})", row)


def hours_without(db: sqlite3.Connection, limit: int) -> list[tuple[str, int]]:
    """Folded hours of a history that was begun before it had roll-ups, the newest first."""
    query = """
        SELECT underlying, hour FROM hours WHERE name = 'ts_ns'
        EXCEPT SELECT underlying, hour FROM hour_rollups WHERE name = 'spot' ORDER BY hour DESC LIMIT ?
    """
    return db.execute(query, (limit,)).fetchall()


def read(
    db: sqlite3.Connection, underlying: str, span: Span, since_ns: int, until_ns: int, names: Sequence[str]
) -> RollUps:
    """Stored roll-ups that begin in [since_ns, until_ns), in time order, without those that have no tick."""
    per_hour = _MINUTES if span == "minutes" else 1
    blobs = {name: _hours(db, underlying, span, since_ns, until_ns, name) for name in {*names, _PRESENT}}
    hours = np.array(sorted(set().union(*blobs.values())), np.int64)
    starts = (hours[:, None] * HOUR + np.arange(per_hour) * MINUTE).ravel()
    empty = roll_up(np.zeros(0, np.int64), np.zeros(0), per_hour)
    found = {
        name: np.concatenate([empty[:0], *(cells.get(hour, empty) for hour in hours.tolist())])
        for name, cells in blobs.items()
    }
    in_range = (starts >= since_ns) & (starts < until_ns)
    in_range &= found[_PRESENT][:, 0] > 0
    return {"start_ns": starts[in_range]} | {name: found[name][in_range] for name in names}


def _hours(
    db: sqlite3.Connection, underlying: str, span: Span, since_ns: int, until_ns: int, name: str
) -> dict[int, RollUp]:
    if not has_table(db, TABLES[span]):
        return {}
    arguments = (underlying, name, since_ns // HOUR, -(-until_ns // HOUR))
    where = "WHERE underlying = ? AND name = ? AND hour >= ? AND hour < ?"
    if span == "hours":
        rows = db.execute(f"SELECT hour, {', '.join(AGGREGATES)} FROM hour_rollups {where}", arguments)
        return {hour: np.array([cells], np.float64) for hour, *cells in rows}
    blobs = db.execute(f"SELECT hour, cells FROM minute_rollups {where}", arguments)
    return {hour: np.frombuffer(cells, "<f8").reshape(_MINUTES, len(AGGREGATES)) for hour, cells in blobs}


def delete_before(db: sqlite3.Connection, minutes_ns: int, hours_ns: int) -> None:
    """Deletes the roll-ups of hours that ended before a time of each span."""
    db.execute("DELETE FROM minute_rollups WHERE hour < ?", (minutes_ns // HOUR,))
    db.execute("DELETE FROM hour_rollups WHERE hour < ?", (hours_ns // HOUR,))
