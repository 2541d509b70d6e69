"""Hours of a market by minutes: realised variance at two frequencies, its past, and the secondary endpoints."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from dfmon.core.pricing.black import F64
from dfmon.evidence.minute_series import MinuteSeries
from dfmon.evidence.regression import I64

_MIN_MINUTES = 45


class HourlyTable(NamedTuple):
    """Rows of hours. A row's target is in the hour after it; everything else is known at its end."""

    day: I64
    log_rv: F64
    log_rv_5: F64
    half_before: F64
    half_after: F64
    psi: F64
    gross: F64
    implied_vol: F64
    hour_of_week: I64

    def endpoint(self, name: str) -> tuple[F64, F64, F64]:
        """Target, the regressors without controls (the tested one last), and the controls."""
        if name == "S2":
            scale = np.exp(0.5 * self.log_rv) / math.sqrt(2.0)
            before, after = (np.clip(x / scale, -4.0, 4.0) for x in (self.half_before, self.half_after))
            base = np.stack([np.ones(before.size), before, before * self.psi], axis=1)
            return after, base, self._present([before * _centred(self.gross), before * _centred(self.implied_vol)])
        target = _next(self.log_rv if name == "S1" else self.log_rv_5 - self.log_rv)
        base = np.stack([np.ones(target.size), self.psi], axis=1)
        return target, base, self._present(self._levels())

    def _levels(self) -> list[F64]:
        """The past of volatility over an hour, a day and a week, implied volatility, gross gamma, hour of the week."""
        past = [_mean_before(self.log_rv, hours) for hours in (1, 24, 168)]
        angle = self.hour_of_week * (2.0 * math.pi / 24.0)
        weekend = (self.hour_of_week >= 5 * 24).astype(np.float64)
        return [*past, np.log(self.implied_vol), self.gross, np.sin(angle), np.cos(angle), weekend]

    def _present(self, columns: list[F64]) -> F64:
        """Those that the source has and that vary."""
        present = [column for column in columns if np.isfinite(column).any() and np.nanstd(column) > 0.0]
        return np.stack(present, axis=1) if present else np.empty((self.psi.size, 0))


def hourly_table(series: MinuteSeries) -> HourlyTable:
    """Whole hours of a series, from its first minute on."""
    hours = series.log_return.size // 60

    def by_hour(column: F64) -> F64:
        return column[: hours * 60].reshape(hours, 60)

    returns = by_hour(series.log_return)
    known = np.isfinite(returns)
    is_covered = known.sum(axis=1) >= _MIN_MINUTES
    filled = np.where(known, returns, 0.0)
    with np.errstate(divide="ignore"):
        log_rv = np.where(is_covered, np.log((filled**2).sum(axis=1)), np.nan)
        fives = filled.reshape(hours, 12, 5).sum(axis=2)
        log_rv_5 = np.where(is_covered, np.log((fives**2).sum(axis=1)), np.nan)
    first, second = filled[:, :30].sum(axis=1), filled[:, 30:].sum(axis=1)
    ends = series.ts_ns[59 : hours * 60 : 60]
    return HourlyTable(
        series.day[59 : hours * 60 : 60], np.where(np.isinf(log_rv), np.nan, log_rv),
        np.where(np.isinf(log_rv_5), np.nan, log_rv_5), np.where(is_covered, second, np.nan),
        _next(np.where(is_covered, first, np.nan)), by_hour(series.psi)[:, -1], by_hour(series.gross)[:, -1],
        by_hour(series.implied_vol)[:, -1], np.asarray((ends // 3_600_000_000_000 + 72) % 168),
    )  # fmt: skip


def _next(column: F64) -> F64:
    return np.append(column[1:], np.nan)


def _centred(column: F64) -> F64:
    return column - np.nanmean(column) if np.isfinite(column).any() else column


def _mean_before(column: F64, hours: int) -> F64:
    """Mean of this hour and those before it."""
    known = np.isfinite(column)
    sums = np.concatenate([[0.0], np.cumsum(np.where(known, column, 0.0))])
    counts = np.concatenate([[0], np.cumsum(known)])
    last = np.arange(1, column.size + 1)
    first = np.maximum(last - hours, 0)
    n = counts[last] - counts[first]
    return np.where(n > 0, (sums[last] - sums[first]) / np.maximum(n, 1), np.nan)
