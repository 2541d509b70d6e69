"""Least squares whose errors are grouped by days and by weeks, its bootstrap, and the least effect it could find."""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import NormalDist
from typing import Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from dfmon.core.pricing.black import F64

I64 = NDArray[np.int64]
MIN_WEEKS: Final = 20
INSUFFICIENT: Final = "too few blocks"
MDE_FACTOR: Final = 2.8  # two-sided 5 %, power 80 %: 1.960 + 0.842
DAYS_A_WEEK: Final = 7
_RESAMPLES: Final = 2_000
_MEAN_BLOCK_DAYS: Final = 7.0
_NORMAL: Final = NormalDist()


class Estimate(msgspec.Struct, frozen=True):
    """One coefficient. `low` to `high` is the 95 % interval by the wider of the errors by day and by week, `boot_low`
    to `boot_high` the 90 % interval of the stationary bootstrap of days; `mde` the least effect found with power 80 %.
    """

    value: float
    se: float
    low: float
    high: float
    boot_low: float
    boot_high: float
    mde: float
    rows: int
    days: int
    weeks: int

    @property
    def t(self) -> float:
        """Estimate over its standard error."""
        return self.value / self.se

    @property
    def rejects_zero(self) -> bool:
        """True where the 95 % interval leaves out 0, however few the blocks are."""
        return self.low > 0.0 or self.high < 0.0

    @property
    def verdict(self) -> str:
        """Significant, null, or too few blocks for either."""
        if self.weeks < MIN_WEEKS:
            return INSUFFICIENT
        return "significant" if self.rejects_zero else "null"


class BlockSums(NamedTuple):
    """Cross products of instruments with regressors and with the target, one for each day that has rows."""

    products: F64
    """(days, k, k)."""
    targets: F64
    """(days, k)."""
    days: I64
    rows: int


def block_sums(target: F64, regressors: F64, day: I64, instruments: F64 | None = None) -> BlockSums:
    """The sums by day. Rows with a number that is not finite are left out; `day` ascends."""
    moments = regressors if instruments is None else instruments
    finite = np.isfinite(target) & np.isfinite(regressors).all(axis=1) & np.isfinite(moments).all(axis=1)
    y, x, z, at = target[finite], regressors[finite], moments[finite], day[finite]
    days, starts = np.unique(at, return_index=True)
    bounds = [*starts.tolist(), at.size]
    k = x.shape[1]
    products, targets = np.empty((days.size, k, k)), np.empty((days.size, k))
    for n, (first, last) in enumerate(pairwise(bounds)):
        products[n], targets[n] = z[first:last].T @ x[first:last], z[first:last].T @ y[first:last]
    return BlockSums(products, targets, days, at.size)


def solve(sums: BlockSums) -> F64 | None:
    """The coefficients; None where the columns depend on one another or there are fewer than three days."""
    product = sums.products.sum(axis=0)
    unit = 1.0 / np.sqrt(np.maximum(np.abs(np.diag(product)), np.finfo(float).tiny))
    if sums.days.size < 3 or np.linalg.matrix_rank(product * np.outer(unit, unit)) < product.shape[0]:
        return None
    return np.asarray(np.linalg.solve(product, sums.targets.sum(axis=0)))


def estimate(sums: BlockSums, column: int, seed: int = 0) -> Estimate | None:
    """One coefficient with its errors; None where it cannot be estimated."""
    beta = solve(sums)
    if beta is None:
        return None
    inverse = np.linalg.inv(sums.products.sum(axis=0))
    scores = sums.targets - sums.products @ beta
    influence = scores @ inverse[column]
    weeks, by_week = np.unique(sums.days // DAYS_A_WEEK, return_inverse=True)
    errors = [_spread(influence)]
    if weeks.size > 2:
        errors.append(_spread(np.bincount(by_week, influence).astype(np.float64)))
    half, se = max((t_quantile(df) * se, se) for se, df in errors)
    value = float(beta[column])
    boot = bootstrap(sums, column, seed)
    low, high = np.quantile(boot, (0.05, 0.95)).tolist()
    return Estimate(
        value, se, value - half, value + half, low, high, MDE_FACTOR * se, sums.rows, sums.days.size, weeks.size
    )


def _spread(influence: F64) -> tuple[float, int]:
    """Standard error from the influence of each block, and its degrees of freedom."""
    blocks = influence.size
    return math.sqrt(float(influence @ influence) * blocks / (blocks - 1.0)), blocks - 1


def bootstrap(sums: BlockSums, column: int, seed: int = 0, resamples: int = _RESAMPLES) -> F64:
    """The coefficient in resamples of days by the stationary bootstrap of Politis and Romano (1994)."""
    counts = resample_counts(sums.days.size, seed, resamples)
    k = sums.targets.shape[1]
    products = (counts @ sums.products.reshape(-1, k * k)).reshape(-1, k, k)
    products += 1e-12 * np.trace(sums.products.sum(axis=0)) / k * np.eye(k)  # a resample without variation
    return np.asarray(np.linalg.solve(products, (counts @ sums.targets)[:, :, None])[:, column, 0])


def resample_counts(days: int, seed: int, resamples: int = _RESAMPLES) -> F64:
    """Times that each day is drawn in each resample: blocks of a geometric length, a week in the mean."""
    rng = np.random.default_rng(seed)
    counts = np.zeros((resamples, days))
    at = rng.integers(days, size=resamples)
    rows = np.arange(resamples)
    for _ in range(days):
        counts[rows, at] += 1.0
        jump = rng.random(resamples) < 1.0 / min(_MEAN_BLOCK_DAYS, days)
        at = np.where(jump, rng.integers(days, size=resamples), (at + 1) % days)
    return counts


def t_quantile(df: int, p: float = 0.975) -> float:
    """Quantile of Student's t by its expansion in 1/df, to 1e-3 from 5 degrees of freedom on.

    Source: Abramowitz and Stegun, 26.7.5.
    """
    z = _NORMAL.inv_cdf(p)
    terms = (
        (z**3 + z) / 4.0,
        (5.0 * z**5 + 16.0 * z**3 + 3.0 * z) / 96.0,
        (3.0 * z**7 + 19.0 * z**5 + 17.0 * z**3 - 15.0 * z) / 384.0,
        (79.0 * z**9 + 776.0 * z**7 + 1482.0 * z**5 - 1920.0 * z**3 - 945.0 * z) / 92160.0,
    )
    return z + sum(term / float(df) ** (n + 1) for n, term in enumerate(terms))
