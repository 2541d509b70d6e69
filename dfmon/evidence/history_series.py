"""The history of a running dfmon as series of minutes."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Protocol

import numpy as np

from dfmon.core.pricing.black import F64
from dfmon.evidence.minute_series import MinuteSeries
from dfmon.evidence.regression import I64
from dfmon.model.errors import UsageError
from dfmon.model.units import MINUTE, sanitize
from dfmon.store.history import HistoryReader

_SQLITE: Final = b"SQLite format 3\0"
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


def read_history(path: Path) -> tuple[dict[str, MinuteSeries], list[str]]:
    """The series of each underlying, and sentences on those that are too short."""
    with HistoryReader(path) as reader:
        found, skipped = series_of(reader)
    if not found:
        reasons = "; ".join(skipped) or "it is empty"
        raise UsageError(f"{path}: no underlying has two days of minutes with spot and psi: {reasons}")
    return found, skipped


def series_of(history: ColumnSource) -> tuple[dict[str, MinuteSeries], list[str]]:
    """The series of each underlying of a history, and sentences on those that are too short."""
    found, skipped = {}, []
    for name in history.underlyings():
        columns = history.columns(name, 0, ("ts_ns", "spot", "psi"))
        series = minutes(columns["ts_ns"], columns["spot"], columns["psi"]) if len(columns["ts_ns"]) else None
        known = 0 if series is None else int(np.isfinite(series.log_return + series.psi).sum())
        if series is None or known < _MIN_MINUTES:
            skipped.append(f"{sanitize(name, 12)}: {known:,} minutes with spot and psi, {_MIN_MINUTES:,} are needed")
        else:
            found[name] = series
    return found, skipped


def minutes(ts_ns: I64, spot: F64, psi: F64) -> MinuteSeries:
    """The last row of each minute; a minute without a row, or without a spot, is a gap."""
    minute = np.asarray(ts_ns // MINUTE)
    last = np.append(np.flatnonzero(np.diff(minute)), minute.size - 1)
    size = int(minute[-1] - minute[0]) + 1
    at = minute[last] - minute[0]
    price, signal = np.full(size, np.nan), np.full(size, np.nan)
    price[at], signal[at] = spot[last], psi[last]
    returns = np.append(np.nan, np.diff(np.log(price)))
    absent = np.full(size, np.nan)
    stale = np.concatenate([np.full(min(1_440, size), np.nan), signal[:-1_440]])[:size]
    ends = (minute[0] + 1 + np.arange(size)) * MINUTE
    return MinuteSeries(ends, returns, signal, absent, stale, absent, absent, absent)
