"""Response of open interest to prints on this board: learned over all options, applied from the next hour on.

The chance that an account opens is a + B y, with y the netting index of the account's side over open interest. One
regression of u (change of open interest over size) finds a and B, another of the side how strongly customers reduce
what they hold. Contributions are rounded to a grid of 2^-28, so their sums are exact: neither the order of prints nor
the numbering of options changes a bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from dfmon.model.frames import F64

GRID: Final = 2.0**28
MIN_INTEREST_RATIO: Final = 8.0  # of open interest to size: below it the print itself bounds u
PRIOR_PRINTS, PRIOR_BASE, PRIOR_SLOPE, PRIOR_SLOPE_WEIGHT = 200.0, 0.04, 0.5, 4.0
PRIOR_REVERSION, PRIOR_SQUARES, REVERSION_FACTOR = 0.04, 100.0, 2.0
BASE_BOUNDS, SLOPE_BOUNDS, REVERSION_BOUNDS = (0.1, 0.9), (0.0, 0.9), (0.0, 0.5)

_SCORE_SCALE: Final = 2.0**-12
_SIGNAL_SCALE: Final = 2.0**-20  # squares of sums over the prints of an option are larger than prints

ROWS, SUM_Y, SUM_YY, SUM_U, SUM_UY, SUM_UU, SUM_XX, SUM_XS, ALL_ROWS, ALL_U, ALL_UU, PRINTS = range(12)
SUMS: Final = 12
"""Board sums: of the regression of u on y, of that of the side, of u over all prints with one, and of prints."""


@dataclass(frozen=True, slots=True)
class OpeningRates:
    """Rates that are frozen within the hour.

    `base` and `slope` are a and B, `reversion` the customers' tendency to reduce. `slope_error` is the standard error
    of B from the prints alone, clustered by option (None before two hundred), `mean_u` the mean of u. `signal` is the
    variance of the mean of side times (u - mean u) between options beyond chance, signed, and `signal_error` its
    standard error: they say whether a market shows who opens. `churn` is exp(-volume seen / open interest) and
    `log_strike` the mean log strike by open interest (None before any), both of the board.
    """

    base: float = 0.5 * (1.0 + PRIOR_BASE)
    slope: float = PRIOR_SLOPE
    reversion: float = REVERSION_FACTOR * PRIOR_REVERSION
    slope_error: float | None = None
    mean_u: float = PRIOR_BASE
    signal: float = 0.0
    signal_error: float | None = None
    churn: float = 1.0
    log_strike: float | None = None

    @property
    def signal_sd(self) -> float:
        """The standard deviation between options, 0 where chance explains it."""
        return math.sqrt(max(self.signal, 0.0))


def on_grid(values: F64) -> F64:
    """Values rounded to the grid on which sums are exact.

    Shapes: as `values`. Domain: sums below 2^25 in size.
    """
    return np.asarray(np.rint(values * GRID) / GRID)


def learn(sums: F64, options: F64, rates: OpeningRates) -> OpeningRates:
    """The rates of the next hour.

    `options` are the number of prints with u, the sum of their side, and that of side times u of each option, then the
    option's part of the first five sums.

    Shapes: (SUMS,), (8, n). Source: least squares with a prior of pseudo-prints.
    """
    base, slope = _opening_regression(sums)
    reversion = (sums[SUM_XS] + PRIOR_SQUARES * PRIOR_REVERSION) / (sums[SUM_XX] + PRIOR_SQUARES)
    mean_u = (sums[ALL_U] + PRIOR_PRINTS * PRIOR_BASE) / (sums[ALL_ROWS] + PRIOR_PRINTS)
    signal, signal_error = _signal(sums, options[:3], float(mean_u))
    return OpeningRates(
        base=base,
        slope=slope,
        reversion=float(np.clip(REVERSION_FACTOR * reversion, *REVERSION_BOUNDS)),
        slope_error=_slope_error(sums, options[3:]),
        mean_u=float(mean_u),
        signal=signal,
        signal_error=signal_error,
        churn=rates.churn,
        log_strike=rates.log_strike,
    )


def _opening_regression(sums: F64) -> tuple[float, float]:
    """Both opening rates, a and B."""
    rows, y, yy = float(sums[ROWS]), float(sums[SUM_Y]), float(sums[SUM_YY])
    u, uy = float(sums[SUM_U]), float(sums[SUM_UY])
    n, yy_all = rows + PRIOR_PRINTS, yy + PRIOR_SLOPE_WEIGHT
    u_all, uy_all = u + PRIOR_PRINTS * PRIOR_BASE, uy + PRIOR_SLOPE_WEIGHT * PRIOR_SLOPE
    determinant = n * yy_all - y * y
    intercept = (yy_all * u_all - y * uy_all) / determinant
    slope = (n * uy_all - y * u_all) / determinant
    base = min(max(0.5 * (1.0 + intercept), BASE_BOUNDS[0]), BASE_BOUNDS[1])
    return base, min(max(slope, SLOPE_BOUNDS[0]), SLOPE_BOUNDS[1])


def _slope_error(sums: F64, options: F64) -> float | None:
    """Standard error of B, the prints of an option being one cluster: what makes one of them open lasts.

    Shapes: (SUMS,), (5, n). Source: the sandwich estimator of Liang & Zeger, Biometrika 1986.
    """
    rows = float(sums[ROWS])
    if rows < PRIOR_PRINTS:
        return None
    y, u = float(sums[SUM_Y]) / rows, float(sums[SUM_U]) / rows
    centred = float(sums[SUM_YY]) - rows * y * y
    if centred <= 1e-9:
        return None
    slope = (float(sums[SUM_UY]) - rows * y * u) / centred
    counts, sum_y, sum_yy, sum_u, sum_uy = options
    spread = (sum_yy - y * sum_y) - y * (sum_y - y * counts)
    scores = ((sum_uy - u * sum_y) - y * (sum_u - u * counts)) - slope * spread
    alive = float(on_grid(counts).sum()) / rows  # expired options are in the sums of the board alone
    if alive <= 0.0:
        return None
    squares = float(on_grid(scores * scores * _SCORE_SCALE).sum()) / _SCORE_SCALE
    return math.sqrt(squares / alive) / centred


def _signal(sums: F64, options: F64, mean_u: float) -> tuple[float, float | None]:
    """Variance between options of the mean of side x (u - mean u) beyond chance, and its standard error."""
    rows = float(sums[ALL_ROWS])
    counts, sides, products = options
    squared_counts = float((counts * counts).sum())  # of whole numbers: exact
    if rows < PRIOR_PRINTS or squared_counts <= 0.0:
        return 0.0, None
    variance = max(float(sums[ALL_UU]) / rows - (float(sums[ALL_U]) / rows) ** 2, 0.0)
    deviations = products - mean_u * sides
    total = float(on_grid((deviations * deviations - counts * variance) * _SIGNAL_SCALE).sum()) / _SIGNAL_SCALE
    return total / squared_counts, variance * math.sqrt(2.0 / squared_counts)
