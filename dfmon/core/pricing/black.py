"""Black-76 building blocks: log-moneyness, standardised distances and the price, each to the last digits.

Every function takes columns of
valid options; masking of bad rows is the caller's work. Undiscounted: r = 0 on the forward.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dfmon.core.pricing.normal import INV_SQRT_2PI, density, mills_ratio

F64: TypeAlias = NDArray[np.float64]
Mask: TypeAlias = NDArray[np.bool_]

# Below this half-width the two scaled tails nearly cancel and their difference is expanded in it instead.
MIN_SIMPLE_MONEYNESS: Final = -0.98  # below F = K/50 the quotient rounds too coarsely for log1p(F/K - 1)
_SERIES_HALF_WIDTH: Final = 0.15
# Above this argument the ratio N/phi runs towards its end while the plain difference no longer cancels.
_DIRECT_DIFFERENCE_ABOVE: Final = 1.5


def log_moneyness(forward: F64, strike: F64) -> F64:
    """ln(F/K), accurate to the last digits at the money, where ln of a rounded quotient is not.

    Units: dimensionless.
    Shapes: (n,), (n,) -> (n,).
    Domain: F, K > 0 and finite.
    Source: F - K is exact within a factor of two (Sterbenz 1974, Theorem 4.3.1); log1p keeps its digits.

    >>> log_moneyness(np.array([1.0 + 2**-40, 2.0]), np.array([1.0, 1.0])).tolist()
    [9.094947017725146e-13, 0.6931471805599453]
    """
    excess = forward - strike
    relative = excess / strike
    lowest, highest = np.minimum.reduce(relative, initial=0.0), np.maximum.reduce(relative, initial=0.0)
    if lowest > MIN_SIMPLE_MONEYNESS and highest < np.inf:
        return np.asarray(np.log1p(relative))
    smaller = np.minimum(forward, strike)
    x = np.copysign(np.log1p(np.abs(excess) / smaller), excess)
    overflowed = ~np.isfinite(x)
    if overflowed.any():  # a quotient past 1e308
        x[overflowed] = np.log(forward[overflowed]) - np.log(strike[overflowed])
    return np.asarray(x)


def otm_price(x: F64, total_sd: F64) -> F64:
    """Price of the out-of-the-money side, as a share of the smaller of F and K.

    With h = -|x|/v and t = v/2 this is N(h+t) - e^|x| N(h-t) = phi(h+t) [Y(h+t) - Y(h-t)], Y = N/phi.

    Units: x = ln(F/K); v = sigma sqrt(T); result in [0, 1].
    Shapes: (n,), (n,) -> (n,).
    Domain: v > 0; both finite.
    Source: Jaeckel, Let's Be Rational (Wilmott, 2015), section 6: scaled tails, series for small v.

    >>> otm_price(np.array([0.0]), np.array([0.2])).round(6).tolist()  # 2 N(v/2) - 1
    [0.079656]
    """
    h, t = -np.abs(x) / total_sd, 0.5 * total_sd
    upper, lower = h + t, h - t
    difference = _tail_ratio(np.minimum(upper, _DIRECT_DIFFERENCE_ABOVE)) - _tail_ratio(lower)
    use_series = t < _SERIES_HALF_WIDTH
    if use_series.any():
        difference[use_series] = _tail_ratio_difference(h[use_series], t[use_series])
    price = np.exp(-0.5 * upper * upper) * (INV_SQRT_2PI * difference)
    use_direct = upper > _DIRECT_DIFFERENCE_ABOVE
    if use_direct.any():
        hi, lo = upper[use_direct], lower[use_direct]
        price[use_direct] = 1.0 - density(hi) * (mills_ratio(hi) + _tail_ratio(lo))
    return np.asarray(price)


def black_price(forward: F64, strike: F64, total_sd: F64, option_type: F64) -> F64:
    """Undiscounted Black-76 price: the out-of-the-money side, plus intrinsic value where in the money.

    Units: quote currency per unit of underlying; v = sigma sqrt(T); option type +1 call, -1 put.
    Shapes: (n,) each -> (n,).
    Domain: F, K, v > 0 and finite.
    Source: Black (1976), eq. 16 without discounting; put-call parity for the other side.

    >>> one = np.ones(1)
    >>> black_price(100 * one, 100 * one, 0.2 * one, one).round(4).tolist()
    [7.9656]
    """
    x = log_moneyness(forward, strike)
    intrinsic = np.maximum(option_type * (forward - strike), 0.0)
    return np.asarray(intrinsic + np.minimum(forward, strike) * otm_price(x, total_sd))


def _tail_ratio(z: F64) -> F64:
    """Y(z) = N(z) / phi(z)."""
    upper = mills_ratio(np.abs(z))
    above = z > 0.0
    if above.any():
        upper[above] = 1.0 / density(z[above]) - upper[above]
    return upper


def _tail_ratio_difference(h: F64, t: F64) -> F64:
    """Y(h+t) - Y(h-t) by its Taylor series in t; Y' = 1 + h Y and Y(k+1) = h Y(k) + k Y(k-1)."""
    even_term = _tail_ratio(h)
    odd_term = 1.0 + h * even_term
    total = odd_term.copy()
    weight = np.ones_like(t)
    for k in (2, 4, 6, 8, 10, 12):
        even_term = h * odd_term + (k - 1) * even_term
        odd_term = h * even_term + k * odd_term
        weight = weight * t * t / (k * (k + 1))
        total += weight * odd_term
    return np.asarray(2.0 * t * total)
