"""The primary endpoint: does the return of the next minute answer the last one by -psi?

Hedging one bar late with linear impact gives r(t+1) = e(t+1) - psi(t) r(t). The slope of z(t+1) on z(t) psi(t) is -1 if
psi is right and 0 if it is noise; it has no unit, and the level of volatility does not enter.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from dfmon.core.pricing.black import F64
from dfmon.evidence.minute_series import MinuteSeries
from dfmon.evidence.regression import I64, BlockSums, Estimate, block_sums, estimate, solve

WINSOR: Final = 4.0
TARGET: Final = 2  # column of z psi
_TREND_MINUTES: Final = (5, 30)
_DAY_MINUTES: Final = 1_440


def interaction(
    series: MinuteSeries, psi: F64 | None = None, *, controlled: bool = True, seed: int = 0
) -> Estimate | None:
    """The coefficient of z psi; `psi` replaces that of the series."""
    return estimate(interaction_sums(series, psi, controlled=controlled), TARGET, seed)


def interaction_sums(series: MinuteSeries, psi: F64 | None = None, *, controlled: bool = True) -> BlockSums:
    """Cross products by day of the regression of z(t+1).

    The target is winsorised at 4. A minute whose own z is beyond 4 is left out instead: a clipped regressor would bias
    the coefficient, a missing one does not.
    """
    target, columns = _design(series, series.psi if psi is None else psi, controlled)
    return block_sums(target, columns, series.day[1:])


def instrumented(series: MinuteSeries, *, seed: int = 0) -> Estimate | None:
    """The coefficient of z psi with z psi of the positions of 24 hours before in its place: what this minute's market
    did to the positions cannot be in it.
    """
    target, columns = _design(series, series.psi, controlled=True)
    moments = columns.copy()
    moments[:, TARGET] = columns[:, 1] * series.psi_stale[:-1]
    return estimate(block_sums(target, columns, series.day[1:], moments), TARGET, seed)


class DayPairs:
    """Cross products of the returns of each day with psi of every other: a draw of the days of psi costs nothing then.

    The regression has no controls; a minute without psi counts as psi = 0.
    """

    def __init__(self, series: MinuteSeries) -> None:
        target, columns = _design(series, np.nan_to_num(series.psi), controlled=False)
        self.days = target.size // _DAY_MINUTES
        known = np.isfinite(target) & np.isfinite(columns[:, 1])
        one, z, y, psi = (
            column[: self.days * _DAY_MINUTES].reshape(self.days, _DAY_MINUTES)
            for column in (
                known.astype(np.float64), np.where(known, columns[:, 1], 0.0), np.where(known, target, 0.0),
                np.nan_to_num(series.psi[:-1]),
            )
        )  # fmt: skip
        self._own = [(a * b).sum(axis=1) for a, b in ((one, one), (one, z), (z, z), (one, y), (z, y))]
        self._crossed = [z @ psi.T, (z * z) @ psi.T, (z * z) @ (psi * psi).T, (z * y) @ psi.T]

    def t_of(self, order: I64) -> float:
        """The t of z psi, by days, with the days of psi in this order."""
        n, z, zz, y, zy = self._own
        zp, zzp, zzpp, zyp = (pairs[np.arange(self.days), order] for pairs in self._crossed)
        products = np.stack([n, z, zp, z, zz, zzp, zp, zzp, zzpp], axis=1).reshape(-1, 3, 3)
        sums = BlockSums(products, np.stack([y, zy, zyp], axis=1), np.arange(self.days), int(n.sum()))
        beta = solve(sums)
        if beta is None:
            return 0.0
        influence = (sums.targets - products @ beta) @ np.linalg.inv(products.sum(axis=0))[TARGET]
        return float(beta[TARGET] / np.sqrt(influence @ influence))


def _design(series: MinuteSeries, psi: F64, controlled: bool) -> tuple[F64, F64]:
    """Target and regressors: 1, z, z psi, and the controls."""
    scale = series.scale[:-1]
    z, following = series.log_return[:-1] / scale, np.clip(series.log_return[1:] / scale, -WINSOR, WINSOR)
    z = np.where(np.abs(z) > WINSOR, np.nan, z)
    columns = [np.ones(z.size), z, z * psi[:-1]]
    if controlled:
        columns += _controls(series, psi, z, scale)
    return following, np.stack(columns, axis=1)


def _controls(series: MinuteSeries, psi: F64, z: F64, scale: F64) -> list[F64]:
    """Levels that psi depends on, forced orders of this minute and the next, order flow and trend before."""
    gross, iv = series.gross[:-1], np.log(series.implied_vol[:-1])
    forced, forced_next = series.forced[:-1] / scale, series.forced[1:] / scale
    running = np.where(np.isfinite(series.forced), series.forced != 0.0, np.nan)
    nearness = 1.0 / np.sqrt(series.hours_to_expiry[:-1] + 1.0)
    sensitivities = [z * _centred(x) for x in (gross, iv, nearness, running[:-1], running[1:])]
    levels = [_centred(x) for x in (psi[:-1], iv)]
    flows = [forced, forced_next, series.imbalance[:-1] / scale]
    trends = [_trend(series.log_return, minutes) / scale for minutes in _TREND_MINUTES]
    return [column for column in (*sensitivities, *levels, *flows, *trends) if _varies(column)]


def _varies(column: F64) -> bool:
    return bool(np.isfinite(column).any() and np.nanstd(column) > 0.0)


def _centred(column: F64) -> F64:
    return column - np.nanmean(column) if np.isfinite(column).any() else column


def _trend(log_return: F64, minutes: int) -> F64:
    """Mean return of the minutes before each but the last one."""
    sums = np.cumsum(np.concatenate([[0.0], np.nan_to_num(log_return)]))[: log_return.size]
    last = np.arange(log_return.size - 1)
    return np.asarray((sums[last] - sums[np.maximum(last - minutes, 0)]) / minutes)
