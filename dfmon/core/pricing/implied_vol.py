"""Volatility implied by a price: columns in, sigma out, NaN and a count where no volatility gives the price.

Comes before greek_calc for venues that quote prices only, and serves the import of other venues' boards.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from dfmon.core.pricing.black import F64, Mask, log_moneyness, out_of_the_money
from dfmon.core.pricing.closed_forms import MAX_SIGMA
from dfmon.core.pricing.normal import INV_SQRT_2PI

_ITERATIONS: Final = 80
_LEAST_SD: Final = 1e-9


class Implied(NamedTuple):
    """Implied volatilities and the rows that have none."""

    sigma: F64
    failed: Mask
    failures: int


def implied_volatility(price: F64, forward: F64, strike: F64, tau: F64, option_type: F64) -> Implied:
    """Sigma at which Black-76 gives the price.

    The out-of-the-money side is solved (in the money: price less intrinsic), for ln of its price as a function of
    v = sigma sqrt(T): concave and increasing, so a tail of 1e-200 is as well behaved as the money. Halley's steps
    inside a bracket that only shrinks. No answer: a price at or below intrinsic or at or above its upper bound (F for
    calls, K for puts), sigma above 20, T <= 0 or any input that is not a positive number.

    Units: price, forward, strike in quote currency; tau in years; sigma decimal; option type +1 call, -1 put.
    Shapes: (n,) each -> (n,).
    Domain: any floats.
    Source: Jaeckel, Let's Be Rational (Wilmott, 2015), section 4 (log-price objective); start at the inflection:
    Manaster & Koehler (1982).

    >>> one = np.ones(1)
    >>> implied_volatility(7.9656 * one, 100 * one, 100 * one, one, one).sigma.round(5).tolist()
    [0.2]
    """
    sigma = np.full(price.shape, np.nan)
    with np.errstate(all="ignore"):
        smaller = np.minimum(forward, strike)
        share = (price - np.maximum(option_type * (forward - strike), 0.0)) / smaller
        solvable = (share > 0.0) & (share < 1.0) & (smaller > 0.0) & (np.maximum(forward, strike) < np.inf)
        solvable &= (tau > 0.0) & (tau < np.inf) & (np.abs(option_type) == 1.0)
        rows = np.flatnonzero(solvable)
        if rows.size:
            root = np.sqrt(tau[rows])
            x = -np.abs(log_moneyness(forward[rows], strike[rows]))
            sigma[rows] = _total_sd(share[rows], x, MAX_SIGMA * root) / root
    failed = np.isnan(sigma)
    return Implied(sigma, failed, int(np.count_nonzero(failed)))


def _total_sd(share: F64, x: F64, most: F64) -> F64:
    """Total deviation v with out_of_the_money(x, v) = share; NaN where v would pass `most`."""
    goal = np.log(share)
    low, high = np.full_like(x, _LEAST_SD), most
    v = np.clip(np.sqrt(-2.0 * x) + share, low, high)  # the inflection of the price; at the money about the price
    for _ in range(_ITERATIONS):
        value = out_of_the_money(x, v)
        excess = np.log(value) - goal
        low, high = np.where(excess < 0.0, v, low), np.where(excess < 0.0, high, v)
        h, t = x / v, 0.5 * v
        slope = INV_SQRT_2PI * np.exp(-0.5 * (h + t) ** 2) / value  # d ln(price) / dv
        newton = excess / slope
        bend = 0.5 * newton * ((h * h - t * t) / v - slope)
        step = np.where(np.abs(bend) < 0.5, newton / (1.0 - bend), newton)
        target = v - step
        inside = (target > low) & (target < high)
        target = np.where(inside, target, 0.5 * (low + high))
        settled = (excess == 0.0) | (np.abs(target - v) <= 4e-16 * v) | (high - low <= 4e-16 * v)
        v = np.where(excess == 0.0, v, target)
        if settled.all():
            break
    return np.where(v < most * (1.0 - 1e-12), v, np.nan)
