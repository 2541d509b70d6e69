"""Options that settle on an average of the index: the equivalent European strike, time and share.

Comes before greek_calc, gamma_flip and unit_exposure, which price the equivalent option and multiply by the
share. Deribit delivers the mean of the index over the last 30 minutes before 08:00 UTC.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, TypeAlias

import numpy as np

from dfmon.core.pricing.black import F64

Settlement: TypeAlias = Literal["average", "instant"]

YEAR_HOURS: Final = 365 * 24.0
DAY: Final = 1.0 / 365.0
HOUR: Final = 1.0 / YEAR_HOURS
WINDOW: Final = 0.5 / YEAR_HOURS
"""Averaging window, 30 minutes, in years."""
EUROPEAN_ABOVE: Final = 6.0 / YEAR_HOURS
"""From six hours up the European formula is within 3 % in gamma and is used unchanged."""
BLEND_SPAN: Final = 3.0 / YEAR_HOURS
"""Over these three hours below `EUROPEAN_ABOVE` the time of the average is blended in: no step at six hours."""
AVERAGE_DELAY: Final = WINDOW * (2.0 / 3.0)
"""Time that an average over the window lacks against its end."""
_SECOND: Final = 1.0 / (YEAR_HOURS * 3600.0)


class Terms(NamedTuple):
    """The European option that stands for an averaging one: share x Black(F, strike, tau)."""

    strike: F64
    tau: F64
    share: F64


def settlement_terms(forward: F64, strike: F64, tau: F64, average: F64 | None = None) -> Terms:
    """Strike, time and share of the European option equivalent to one settled on the 30-minute average.

    With W the window: above six hours unchanged; from three hours down to W the variance time is T - W + W/3, and
    from six to three this is blended in linearly. Inside, with u = T left and A the mean of the fixings so far
    (default: the forward, i.e. no drift since the window opened), share = u/W, strike = (K - (1 - share) A) / share
    and time u/3. A strike at or below zero, or less than a second left, is settled: time 0. At T = 0 the option is its
    intrinsic value on F. NaN and negative T pass through.

    Units: years ACT/365; forward, strike, average in quote currency; share in (0, 1].
    Shapes: (n,) each -> three (n,). Columns without a row under six hours are returned as they came.
    Domain: any floats; bad rows stay bad.
    Source: variance of an average, Turnbull & Wakeman (1991) with one variance and many fixings; Levy (1992).

    >>> hours = np.array([24.0, 2.0, 0.25]) / YEAR_HOURS
    >>> k = np.full(3, 100.0)
    >>> terms = settlement_terms(k, k, hours)
    >>> (terms.tau * YEAR_HOURS * 60).round(6).tolist(), terms.share.tolist()
    ([1440.0, 100.0, 5.0], [1.0, 1.0, 0.5])
    """
    if not tau.size or np.minimum.reduce(tau) >= EUROPEAN_ABOVE:  # a NaN is looked at
        return Terms(strike, tau, np.ones(tau.shape))
    with np.errstate(invalid="ignore"):
        rows = np.flatnonzero((tau > 0.0) & (tau < EUROPEAN_ABOVE))
    if not rows.size:
        return Terms(strike, tau, np.ones(tau.shape))
    time_left, fixed_average = tau[rows], forward[rows]
    if average is not None:
        fixed_average = np.where(np.isnan(average[rows]), fixed_average, average[rows])
    inside = time_left < WINDOW
    share = np.where(inside, time_left / WINDOW, 1.0)
    with np.errstate(all="ignore"):
        level = np.where(inside, (strike[rows] - (1.0 - share) * fixed_average) / share, strike[rows])
    blend = np.minimum((EUROPEAN_ABOVE - time_left) / BLEND_SPAN, 1.0)
    time = np.where(inside, time_left / 3.0, time_left - AVERAGE_DELAY * blend)
    time[inside & ((level <= 0.0) | (time_left < _SECOND))] = 0.0
    terms = Terms(strike.copy(), tau.copy(), np.ones_like(tau))
    for column, average_values in zip(terms, (level, time, share)):
        column[rows] = average_values
    return terms


def time_at_end(tau: F64, span: float) -> F64:
    """Time left when `span` has passed, or when the option's own settlement window has begun if that is sooner.

    Inside the window time stands still: what happens there is settlement, not decay.

    Units: years ACT/365.
    Shapes: (n,) -> (n,).

    >>> (time_at_end(np.array([30.0, 24.2, 2.0, 0.2]) / YEAR_HOURS, DAY) * YEAR_HOURS).round(6).tolist()
    [6.0, 0.5, 0.5, 0.2]
    """
    return np.asarray(np.maximum(tau - span, np.minimum(tau, WINDOW)))


def delivery_price(forward: float, sigma: float, tau: float, average: float | None = None) -> tuple[float, float]:
    """Mean and standard deviation of the price that an expiry delivers.

    Inside the window the fixings so far count with their share; their mean is `average`, or the forward where it is
    not known.

    Units: USD, decimal, years. Shapes: scalars. Domain: forward, sigma >= 0, tau >= 0.
    Source: variance of an average, Turnbull & Wakeman (1991), to first order in sigma sqrt(T).

    >>> [round(x, 1) for x in delivery_price(100.0, 0.5, 365 * DAY)], delivery_price(100.0, 0.5, WINDOW / 2, 98.0)[0]
    ([100.0, 50.0], 99.0)
    """
    if tau >= WINDOW:
        return forward, forward * sigma * (tau - AVERAGE_DELAY) ** 0.5
    share = tau / WINDOW
    fixed = forward if average is None else average
    return (1.0 - share) * fixed + share * forward, share * forward * sigma * (tau / 3.0) ** 0.5
