"""Volatility implied by a price: columns in, sigma out, NaN and a count where no volatility gives the price.

For venues that quote prices only; serves the import of other venues' boards.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from dfmon.core.pricing.black import F64, Mask, log_moneyness, otm_price
from dfmon.core.pricing.normal import INV_SQRT_2PI
from dfmon.core.pricing.workspace import MAX_SIGMA

_ITERATIONS: Final = 80
_MIN_TOTAL_SD: Final = 1e-9


class ImpliedVolatility(NamedTuple):
    """Implied volatilities and the rows that have none."""

    sigma: F64
    failed: Mask
    failures: int


def implied_volatility(price: F64, forward: F64, strike: F64, tau: F64, option_type: F64) -> ImpliedVolatility:
    """Sigma at which Black-76 gives the price.

    The out-of-the-money side is solved (in the money: price less intrinsic), for ln of its price as a function of
    v = sigma sqrt(T): concave and increasing, so a tail of 1e-200 is as well behaved as the money. Halley's steps
    inside a bracket that only shrinks. No answer: a price at or below intrinsic or at or above its upper bound (F for
    calls, K for puts), sigma above 20, T <= 0 or any input that is not a positive number.

    Units: price, forward, strike in quote currency; tau in years; sigma decimal; option type +1 call, -1 put.
    Shapes: (n,) each -> (n,).
    Source: Jaeckel, Let's Be Rational (Wilmott, 2015), section 4 (log-price objective); start at the inflection:
    Manaster & Koehler (1982).

    >>> one = np.ones(1)
    >>> implied_volatility(7.9656 * one, 100 * one, 100 * one, one, one).sigma.round(5).tolist()
    [0.2]
    """
    sigma = np.full(price.shape, np.nan)
    with np.errstate(all="ignore"):
        min_forward_strike = np.minimum(forward, strike)
        share = (price - np.maximum(option_type * (forward - strike), 0.0)) / min_forward_strike
        solvable = (share > 0.0) & (share < 1.0) & (min_forward_strike > 0.0) & (np.maximum(forward, strike) < np.inf)
        solvable &= (tau > 0.0) & (tau < np.inf) & (np.abs(option_type) == 1.0)
        rows = np.flatnonzero(solvable)
        if rows.size:
            root_tau = np.sqrt(tau[rows])
            x = -np.abs(log_moneyness(forward[rows], strike[rows]))
            sigma[rows] = _solve_total_sd(share[rows], x, MAX_SIGMA * root_tau) / root_tau
    failed = np.isnan(sigma)
    return ImpliedVolatility(sigma, failed, int(np.count_nonzero(failed)))


def _solve_total_sd(share: F64, x: F64, max_sd: F64) -> F64:
    """Total deviation v with otm_price(x, v) = share; NaN where v would pass `max_sd`."""
    log_target = np.log(share)
    low, high = np.full_like(x, _MIN_TOTAL_SD), max_sd
    v = np.clip(np.sqrt(-2.0 * x) + share, low, high)  # the inflection of the price; at the money about the price
    for _ in range(_ITERATIONS):
        value = otm_price(x, v)
        excess = np.log(value) - log_target
        low, high = np.where(excess < 0.0, v, low), np.where(excess < 0.0, high, v)
        h, t = x / v, 0.5 * v
        slope = INV_SQRT_2PI * np.exp(-0.5 * (h + t) ** 2) / value  # d ln(price) / dv
        newton = excess / slope
        halley_term = 0.5 * newton * ((h * h - t * t) / v - slope)
        step = np.where(np.abs(halley_term) < 0.5, newton / (1.0 - halley_term), newton)
        target = v - step
        inside = (target > low) & (target < high)
        target = np.where(inside, target, 0.5 * (low + high))
        converged = (excess == 0.0) | (np.abs(target - v) <= 4e-16 * v) | (high - low <= 4e-16 * v)
        v = np.where(excess == 0.0, v, target)
        if converged.all():
            break
    return np.where(v < max_sd * (1.0 - 1e-12), v, np.nan)
