"""Response of open interest to prints on this board: learned over all options, applied from the next hour on.

The chance that an account opens is a + B y, with y the netting index of the account's side over open interest. One
regression of u (change of open interest over size) finds a and B, another of the side how strongly customers reduce
what they hold. Two variances between options say how much the board tells: of who opens, and of which side is taken.
Contributions are rounded to a grid of 2^-28, so their sums are exact: neither the order of prints nor the numbering of
options changes a bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from dfmon.model.frames import F64

GRID: Final = 2.0**28
MIN_INTEREST_RATIO: Final = 8.0  # of open interest to size: below it the print itself bounds u
PRIOR_PRINTS, PRIOR_BASE, PRIOR_SLOPE, PRIOR_SLOPE_WEIGHT = 200.0, 0.04, 0.5, 4.0
PRIOR_REVERSION, PRIOR_SQUARES, REVERSION_FACTOR = 0.04, 100.0, 2.0
MIN_VARIANCE: Final = 0.2  # of u, for the error: a few prints may all be the same
SIGNAL_PRIOR: Final = (0.01, 0.02)
DIRECTION_PRIOR: Final = (0.008, 0.015)
"""Mean and standard deviation over simulated boards of the variance between options: of openings, and of sides."""
CLEAR_SIGNAL, CLEAR_DIRECTION = 0.1, 0.07  # standard deviations between options at which half of the doubt is gone
BASE_BOUNDS, SLOPE_BOUNDS, REVERSION_BOUNDS = (0.1, 0.9), (0.0, 0.9), (0.0, 0.5)

_COIN_GRID: Final = 1024.0
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
    standard error: they say whether a market shows who opens. `direction` and its error are those of the side: how much
    options differ in what takers do. `churn` is exp(-volume seen / open interest) and `log_strike` the mean log strike
    by open interest (None before any), both of the board.
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
    direction: float = 0.0
    direction_error: float | None = None

    @property
    def signal_sd(self) -> float:
        """The standard deviation between options, 0 where chance explains it."""
        return math.sqrt(max(self.signal, 0.0))

    @property
    def likely_signal(self) -> float:
        """The standard deviation between options of who opens, drawn to that of simulated boards by its error."""
        return _shrunk_sd(self.signal, self.signal_error, SIGNAL_PRIOR)

    @property
    def likely_direction(self) -> float:
        """The same of the side that takers take."""
        return _shrunk_sd(self.direction, self.direction_error, DIRECTION_PRIOR)

    @property
    def doubt(self) -> float:
        """1 where neither openings nor sides differ between options beyond chance: then nothing tells a sign."""
        return 1.0 / (1.0 + (self.likely_signal / CLEAR_SIGNAL) ** 2 + (self.likely_direction / CLEAR_DIRECTION) ** 2)


def _shrunk_sd(variance: float, error: float | None, prior: tuple[float, float]) -> float:
    """Root of a variance between its prior (mean, sd) and what was measured with this error.

    Of the normal posterior a positive part is taken that has no corner, so that no single hour moves it far.
    """
    mean, sd = prior
    weight = 0.0 if error is None else sd * sd / (sd * sd + error * error)
    mean += weight * (variance - mean)
    return math.sqrt(0.5 * (mean + math.sqrt(mean * mean + (1.0 - weight) * sd * sd)))


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
        direction=rates.direction,
        direction_error=rates.direction_error,
    )


def with_board(
    rates: OpeningRates, volume: F64, interest: F64, log_strike: F64, prints: F64, sides: F64
) -> OpeningRates:
    """The rates with the measures of the board that need no open interest around the prints.

    `prints` and `sides` are the number of prints of each option and the sum of their sides.

    Units: coins. Shapes: (n,) each.
    """
    direction, error = _between_options(prints, sides, 1.0)
    interest = np.rint(interest * _COIN_GRID)  # whole numbers: their sums are exact
    total = float(interest.sum())
    if total <= 0.0:
        return replace(rates, direction=direction, direction_error=error)
    traded = float(np.rint(volume * _COIN_GRID).sum())
    mean_strike = float(on_grid(interest / total * log_strike).sum())
    return replace(
        rates,
        churn=math.exp(-traded / total),
        log_strike=mean_strike,
        direction=direction,
        direction_error=error,
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
    rows = max(float(sums[ALL_ROWS]), 1.0)
    counts, sides, products = options
    variance = max(float(sums[ALL_UU]) / rows - (float(sums[ALL_U]) / rows) ** 2, 0.0)
    return _between_options(counts, products - mean_u * sides, variance)


def _between_options(counts: F64, totals: F64, variance: float) -> tuple[float, float | None]:
    """Variance between options of a mean over their prints beyond that of single prints, and its standard error.

    Shapes: (n,) prints of each option, (n,) sums over them. Domain: no error where no option has two prints.
    """
    pairs = float((counts * (counts - 1.0)).sum())  # of whole numbers: exact
    if pairs <= 0.0:
        return 0.0, None
    total = float(on_grid((totals * totals - counts * variance) * _SIGNAL_SCALE).sum()) / _SIGNAL_SCALE
    return total / pairs, max(variance, MIN_VARIANCE) * math.sqrt(2.0 / pairs)
