"""The normal distribution to the last digits in both tails, from the exponential that its density takes anyway.

With t = |d| / sqrt(2), N(-|d|) = exp(-t^2) / sqrt(pi) x R(t), where R is a
smooth function that falls like 1 / 2t: one quotient of polynomials gives it for every t, without cases, so that a
whole chain takes a handful of array operations.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

SQRT_2: Final = math.sqrt(2.0)
SQRT_HALF: Final = math.sqrt(0.5)
LOG_ROOT_PI: Final = 0.5 * math.log(math.pi)
INV_SQRT_2PI: Final = 0.3989422804014327

# All coefficients are positive, so that no digit is lost in the sums. The quotient is off by less than 6e-17 of its
# value for 0 <= t <= 28, past which the density is zero.
TAIL_NUMERATOR: Final = (
    0.886226925452758, 1.9427216828743419, 2.1066337607160093, 1.4512765490863762, 0.6931477520123311,
    0.2370491168894072, 0.05804197528063112, 0.009845383227325082, 0.0010578178374349646, 5.564952472420407e-05,
)  # fmt: skip
TAIL_DENOMINATOR: Final = (
    1.0, 3.320505841515642, 5.123871264077825, 4.851006749485368, 3.1298969185286944, 1.4432795963456728,
    0.4838879708101841, 0.11714176827557216, 0.019746415982456755, 0.0021156356748235697, 0.00011129904944872224,
)  # fmt: skip
_HALF_DEGREE: Final = 5
_POLYNOMIAL_HALVES: Final = np.array(
    [
        [*TAIL_NUMERATOR[_HALF_DEGREE:], 0.0],
        [*TAIL_DENOMINATOR[_HALF_DEGREE:]],
        [*TAIL_NUMERATOR[:_HALF_DEGREE], 0.0],
        [*TAIL_DENOMINATOR[:_HALF_DEGREE], 0.0],
    ]
)
"""Upper and lower half of each polynomial, both in the powers of t up to the fifth."""
_SUM_ROWS, _POWER_ROWS = _POLYNOMIAL_HALVES.shape
_MAX_T: Final = 1e20  # its tenth power is still a double; the density ended long before


class TailScratch:
    """Memory of `tail_ratio`; the caller puts t = |d| / sqrt(2) and its square into it."""

    __slots__ = ("high", "low", "powers", "rows", "squared", "sums", "t")
    ROWS: Final = _POWER_ROWS + _SUM_ROWS

    def __init__(self, rows: F64) -> None:
        rows[0] = 1.0
        self.powers, self.sums = rows[:_POWER_ROWS], rows[_POWER_ROWS:]
        self.rows = tuple(rows)[1:]
        half = self.sums.shape[0] // 2
        self.high, self.low = contiguous_view(self.sums[:half]), contiguous_view(self.sums[half:])
        self.t, self.squared = self.rows[:2]


def contiguous_view(rows: F64) -> F64:
    """Rows that lie in one piece of memory as a single column, with what lies between them.

    Shapes: (k, n) -> (at least k n,).
    Domain: rows one after the other; what lies between them is read and written too.
    """
    count, n = rows.shape
    length = (count - 1) * (rows.strides[0] // rows.itemsize) + n if n else 0
    return np.lib.stride_tricks.as_strided(rows, (length,), rows.strides[1:])


def tail_ratio(scratch: TailScratch, ratio: F64) -> None:
    """R(t) = sqrt(pi)/2 exp(t^2) erfc(t), for the t that the scratch holds with its square.

    Units: t = |d| / sqrt(2).
    Shapes: scratch of n, (n,).
    Domain: 0 <= t <= 1e20.
    Source: rational fit of degrees 9 and 10 by reweighted least squares (Sanathanan & Koerner, 1963) at 50 digits;
    the function: Cody (1969).
    """
    multiply = np.multiply
    t, second, third, fourth, fifth, high_numerator, high_denominator, numerator, denominator = scratch.rows
    multiply(t, second, third)
    multiply(second, second, fourth)
    multiply(second, third, fifth)
    np.matmul(_POLYNOMIAL_HALVES, scratch.powers, scratch.sums)
    multiply(high_numerator, fifth, high_numerator)
    multiply(high_denominator, fifth, high_denominator)
    np.add(scratch.low, scratch.high, scratch.low)  # both polynomials in one run over memory
    np.divide(numerator, denominator, ratio)


def mills_ratio(d: F64) -> F64:
    """N(-d) / phi(d), the ratio of the upper tail to the density.

    Units: standard deviations.
    Domain: d >= 0; inf gives about 0.
    Source: Mills (1926).

    >>> mills_ratio(np.array([0.0, 2.0, 40.0])).round(12).tolist()
    [1.253314137316, 0.421369229288, 0.024984404206]
    """
    return SQRT_2 * _ratio(np.minimum(SQRT_HALF * d, _MAX_T))


def density(d: F64) -> F64:
    """phi(d) = exp(-d^2/2) / sqrt(2 pi).

    Units: per standard deviation.
    """
    return np.asarray(INV_SQRT_2PI * np.exp(-0.5 * d * d))


def cdf(d: F64) -> F64:
    """N(d), with as many digits in the lower tail as in the middle.

    Units: probability.
    Domain: any floats; NaN stays.
    Source: the module's first lines; N(d) = 1 - N(-d).

    >>> cdf(np.array([-1.0, 0.0, 1.0, np.inf])).round(12).tolist()
    [0.158655253931, 0.5, 0.841344746069, 1.0]
    """
    t = np.minimum(np.abs(SQRT_HALF * d), _MAX_T)
    tail = np.exp(-LOG_ROOT_PI - t * t) * _ratio(t)
    return np.where(d > 0.0, 1.0 - tail, tail)


def _ratio(t: F64) -> F64:
    flat = np.ravel(t)
    scratch = TailScratch(np.empty((TailScratch.ROWS, flat.shape[0])))
    scratch.t[:] = flat
    np.multiply(flat, flat, scratch.squared)
    ratio = np.empty_like(flat)
    tail_ratio(scratch, ratio)
    return ratio.reshape(np.shape(t))
