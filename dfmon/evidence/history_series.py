"""The history of a running dfmon as series of minutes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

import numpy as np

from dfmon.core.pricing.black import F64
from dfmon.evidence.minute_series import MinuteSeries
from dfmon.evidence.regression import I64
from dfmon.model.errors import UsageError
from dfmon.model.units import DAY, MINUTE, iso, sanitize

_SQLITE: Final = b"SQLite format 3\0"
_MAX_DAYS: Final = 1_100
_MIN_MINUTES: Final = 2 * 1_440


class ColumnSource(Protocol):
    """A history: that of the embedded file, or another one behind the same two questions."""

    def underlyings(self) -> tuple[str, ...]: ...

    def columns(self, underlying: str, since_ns: int, names: tuple[str, ...]) -> dict[str, np.ndarray]: ...


def is_history(path: Path) -> bool:
    """True for an embedded history, by its content."""
    try:
        with path.open("rb") as file:
            return file.read(len(_SQLITE)) == _SQLITE
    except OSError:
        return False


def long_series(history: ColumnSource, shown: str) -> tuple[dict[str, MinuteSeries], list[str]]:
    """As `series_of`. Raises UsageError where no series is long enough."""
    found, skipped = series_of(history)
    if not found:
        reasons = "; ".join(skipped) or "it is empty"
        raise UsageError(f"{shown}: no underlying has two days of minutes with spot and psi: {reasons}")
    return found, skipped


def series_of(history: ColumnSource) -> tuple[dict[str, MinuteSeries], list[str]]:
    """The series of each underlying of a history, and sentences on those that are too short."""
    read = {}
    for name in history.underlyings():
        columns = history.columns(name, 0, ("ts_ns", "spot", "psi"))
        if len(columns["ts_ns"]):
            read[name] = minutes(columns["ts_ns"], columns["spot"], columns["psi"])
    return usable_series(read)


def usable_series(read: Mapping[str, MinuteSeries]) -> tuple[dict[str, MinuteSeries], list[str]]:
    """The series that are long enough, and sentences on the others."""
    found, skipped = {}, []
    for name, series in read.items():
        known = int(np.isfinite(series.log_return + series.psi).sum())
        if known < _MIN_MINUTES:
            skipped.append(f"{sanitize(name, 12)}: {known:,} minutes with spot and psi, {_MIN_MINUTES:,} are needed")
        else:
            found[name] = series
    return found, skipped


def minutes(ts_ns: I64, spot: F64, psi: F64) -> MinuteSeries:
    """The last row of each minute; a minute without a row, or without a spot, is a gap."""
    ends, by_minute = last_of_minutes(ts_ns, np.stack([spot, psi], axis=1))
    price, signal = by_minute.T
    size = ends.size
    returns = np.append(np.nan, np.diff(np.log(price)))
    absent = np.full(size, np.nan)
    stale = np.concatenate([np.full(min(1_440, size), np.nan), signal[:-1_440]])[:size]
    return MinuteSeries(ends, returns, signal, absent, stale, absent, absent, absent, stale_psi=True)


def last_of_minutes(ts_ns: I64, rows: F64) -> tuple[I64, F64]:
    """The end of each minute from the first row to the last, and the last row in it; NaN where there is none.

    Shapes: (n,) ascending, (n, columns) -> (minutes,), (minutes, columns). Raises UsageError for rows that are years
    apart, such as those of a clock that was not set.
    """
    days = int(ts_ns[-1] - ts_ns[0]) // DAY
    if days > _MAX_DAYS:
        raise UsageError(
            f"the rows are of {iso(int(ts_ns[0]))[:10]} to {iso(int(ts_ns[-1]))[:10]}, {days:,} days: at most "
            f"{_MAX_DAYS:,} are evaluated"
        )
    minute = np.asarray(ts_ns // MINUTE)
    last = np.append(np.flatnonzero(np.diff(minute)), minute.size - 1)
    size = int(minute[-1] - minute[0]) + 1
    by_minute = np.full((size, rows.shape[1]), np.nan)
    by_minute[minute[last] - minute[0]] = rows[last]
    return (minute[0] + 1 + np.arange(size)) * MINUTE, by_minute
