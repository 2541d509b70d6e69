"""Primitives of the compiled loops: numba's options, the exponential, the logarithm, the closed forms.

What makes them vector loops: exponential and logarithm stand inline as polynomials, a choice is one of two values that
are both computed, and inputs and outputs are contiguous. The machine code that numba keeps on disk is that of the file
a loop stands in: after a change here, in `normal` or in `closed_forms` it has to be deleted (`__pycache__/*.nb?`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final, TypeAlias, TypeVar

import numpy as np
from numba import float64, njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from dfmon.core.pricing.black import F64
from dfmon.core.pricing.normal import TAIL_DENOMINATOR, TAIL_NUMERATOR
from dfmon.core.pricing.workspace import MAX_SIGMA

_Function = TypeVar("_Function", bound=Callable[..., object])
_Result = TypeVar("_Result")
Index: TypeAlias = NDArray[np.intp]

ROW_TYPE: Final = types.Array(float64, 1, "C")
COLUMN_TYPE: Final = types.Array(float64, 1, "C", readonly=True)
INDEX_TYPE: Final = types.Array(types.intp, 1, "C", readonly=True)

_ROUND: Final = 1.5 * 2.0**52  # added to a double, it leaves the nearest whole number in the last bits
_ROUND_BITS: Final = 0x4338000000000000
_LOG2_E: Final = 1.0 / math.log(2.0)
_LN2_HIGH: Final = float.fromhex("0x1.62e42feep-1")  # times a whole number up to 2^11 it is exact
_LN2_LOW: Final = 1.9082149292705877e-10
# Chebyshev fits: e^r for |r| <= ln 2 / 2 to 4e-18; (ln((1 + s)/(1 - s)) - 2s) / s^3 in s^2 for s^2 <= 0.042 to 1e-17
_EXP: Final = (
    2.5110049204818658e-08, 2.763265472252779e-07, 2.755724088722987e-06, 2.4801485441561313e-05,
    0.00019841269890076403, 0.0013888888952352863, 0.008333333333319589, 0.04166666666648795, 0.1666666666666668,
    0.5000000000000019, 1.0, 1.0,
)  # fmt: skip
_LOG: Final = (
    0.13704730459834605, 0.13196949535420088, 0.1538953213369331, 0.18181720592617626, 0.22222223270693162,
    0.2857142856590786, 0.4000000000001106, 0.6666666666666666,
)  # fmt: skip
_TAIL_ABOVE: Final = tuple(value for value in reversed(TAIL_NUMERATOR) if value)
_TAIL_BELOW: Final = TAIL_DENOMINATOR[::-1]
INV_ROOT_PI: Final = 1.0 / math.sqrt(math.pi)
_ROOT_2: Final = math.sqrt(2.0)
ROOT_HALF: Final = math.sqrt(0.5)
_SERIES_BELOW: Final = 0.035  # of t = v / sqrt(8): v below 0.1


# ---- how loops are compiled ----------------------------------------------------------------------------------------


def inline(function: _Function) -> _Function:
    """A part of a loop."""
    jitted: _Function = njit(fastmath={"contract"}, error_model="numpy", forceinline=True)(function)
    return jitted


def sum_inline(function: _Function) -> _Function:
    """A part that sums over options, in whichever order is fast."""
    jitted: _Function = njit(fastmath={"contract", "reassoc", "nsz"}, error_model="numpy", forceinline=True)(function)
    return jitted


def loop(signature: object) -> Callable[[_Function], _Function]:
    """Decorator of kernels called from Python: compiled when this module is imported, unless an earlier run has left
    it on disk.
    """

    def compiled(function: _Function) -> _Function:
        jitted: _Function = njit(signature, cache=True, fastmath={"contract"}, error_model="numpy")(function)
        return jitted

    return compiled


def _wide_vectors(_typing_context: object) -> tuple[object, Callable[..., object]]:
    """See `wide_vectors`."""

    def add_attribute(context: Any, builder: Any, _signature: object, _arguments: object) -> object:
        # llvmlite knows only attributes without a value, so the name goes past its check
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        return context.get_dummy_value()

    return types.void(), add_attribute


wide_vectors: Callable[[], None] = intrinsic(_wide_vectors)
"""Statement of a loop, or of a part with one: it takes registers of 512 bits where the processor has them, not 256."""


def call_with_contiguous(kernel: Callable[..., _Result], columns: tuple[F64, ...], *extra: object) -> _Result:
    """Calls a kernel; columns it does not take as they are (strided ones, other numbers) are copied."""
    try:
        return kernel(*columns, *extra)
    except TypeError:
        return kernel(*(np.ascontiguousarray(column, dtype=np.float64) for column in columns), *extra)


# ---- elements ------------------------------------------------------------------------------------------------------


@inline
def _polynomial(coefficients: tuple[float, ...], x: float) -> float:
    """From the highest power down, even and odd ones apart: half as many operations wait for each other."""
    squared = x * x
    even, odd = coefficients[0], coefficients[1]
    for c in coefficients[2::2]:
        even = even * squared + c
    for c in coefficients[3::2]:
        odd = odd * squared + c
    return even + odd * x if len(coefficients) % 2 else even * x + odd


@inline
def exp(x: float) -> float:
    """e^x for x < 700, to a unit in the last place; 0 below -745."""
    x = max(x, -760.0)
    shifted = x * _LOG2_E + _ROUND
    exponent = shifted - _ROUND
    r = (x - exponent * _LN2_HIGH) - exponent * _LN2_LOW
    p = _polynomial(_EXP, r)
    subnormal = exponent < -1000.0  # 2^whole is no normal number: made in two steps
    bias = np.int64(1151) if subnormal else np.int64(1023)
    power = np.int64((np.float64(shifted).view(np.int64) + bias) << 52).view(np.float64)
    return p * power * (2.0**-128 if subnormal else 1.0)


@inline
def scale_strike_to_forward(forward: float, strike: float) -> tuple[float, float]:
    """2^n K, of the whole n that brings it nearest to F, and n: their difference has no rounding."""
    bits = np.float64(forward).view(np.int64) - np.float64(strike).view(np.int64)
    exponent = np.int64((bits + np.int64(0x3FF8000000000000)) >> 52)
    n = np.int64(exponent + np.int64(_ROUND_BITS - 1023)).view(np.float64) - _ROUND
    return strike * np.int64(exponent << 52).view(np.float64), n


@inline
def log(s: float, n: float) -> float:
    """Sum of n ln 2 and ln((1 + s)/(1 - s)), to three units in the last place."""
    squared = s * s
    p = _polynomial(_LOG, squared)
    return n * _LN2_HIGH + (2.0 * s + (s * squared * p + n * _LN2_LOW))


@inline
def two_tails(s: float, t: float) -> tuple[float, float]:
    """`tail` of both with one division; 30 and above count as 30, where the density has long been 0."""
    s, t = min(s, 30.0), min(t, 30.0)
    below_s, below_t = _polynomial(_TAIL_BELOW, s), _polynomial(_TAIL_BELOW, t)
    quotient = 1.0 / (below_s * below_t)
    return _polynomial(_TAIL_ABOVE, s) * (quotient * below_t), _polynomial(_TAIL_ABOVE, t) * (quotient * below_s)


@inline
def tail(t: float) -> float:
    """N(-|d|) over exp(-t^2) / sqrt(pi), t = |d| / sqrt(2): as normal.tail_ratio."""
    return _polynomial(_TAIL_ABOVE, t) / _polynomial(_TAIL_BELOW, t)


@inline
def row_symmetric(forward: float, strike: float, sigma: float, tau: float) -> tuple[float, ...]:
    """Gamma, vega, theta, vanna, charm and volga, then d1, ln(F/K), whether the row is in order, density, h and t.

    The last three, and the formulas, are those of closed_forms. One quotient serves for all that is divided by F, sigma
    and T.
    """
    root = math.sqrt(tau)
    total_sd = sigma * root
    scaled_strike, n = scale_strike_to_forward(forward, strike)
    quotient = 1.0 / (total_sd * forward)
    per_sd = quotient * forward
    x = log((forward - scaled_strike) / (forward + scaled_strike), n)
    h, t = ROOT_HALF * x * per_sd, 0.5 * ROOT_HALF * total_sd
    d1, minus_d2 = h + t, t - h
    density = INV_ROOT_PI * exp(-d1 * d1)
    phi = ROOT_HALF * density
    vega = forward * root * phi
    decay = -0.5 * (sigma * per_sd) * (sigma * per_sd)
    density_d2 = density * minus_d2
    vanna = density_d2 * root * per_sd
    volga = -_ROOT_2 * forward * root * vanna * d1
    in_domain = (
        (forward > 1e-100) & (forward < 1e100) & (abs(x) + total_sd < 200.0) & (sigma <= MAX_SIGMA) & (total_sd > 1e-20)
    )  # a NaN fails each of these, a strike out of order the third
    theta, charm = vega * decay * sigma, density_d2 * decay
    return phi * quotient, vega, theta, vanna, charm, volga, d1, x, in_domain, density, h, t


@inline
def row_closed_forms(forward: float, strike: float, sigma: float, tau: float) -> tuple[float, ...]:
    """N(-|d1|), gamma, vega, theta, vanna, charm, volga, d1, ln(F/K), and whether the row is in order."""
    gamma, vega, theta, vanna, charm, volga, d1, x, in_domain, density, _, _ = row_symmetric(
        forward, strike, sigma, tau
    )
    return tail(abs(d1)) * density, gamma, vega, theta, vanna, charm, volga, d1, x, in_domain


@inline
def row_tail_and_otm_price(
    forward: float, strike: float, d1: float, density: float, h: float, t: float
) -> tuple[float, float]:
    """N(-|d1|) and the price of the out-of-the-money side, as black.otm_price.

    Both expressions of the price are computed: for a short time or a low volatility the tails nearly cancel, and their
    difference is a series in t.
    """
    short, minus_d2 = t < _SERIES_BELOW, t - h
    ratio_1, ratio = two_tails(abs(d1), abs(h) if short else abs(minus_d2))
    tail_probability, scale = ratio_1 * density, forward * density
    far = scale * ratio
    exercised = tail_probability if d1 < 0.0 else 1.0 - tail_probability
    call = forward * exercised - far
    put = (far if minus_d2 < 0.0 else strike - far) - forward * tail_probability

    z, step = -_ROOT_2 * abs(h), 2.0 * t * t
    even = _ROOT_2 * ratio
    odd = 1.0 + z * even
    series, weight = odd, 1.0
    for k in (2.0, 4.0, 6.0, 8.0):
        even = z * odd + (k - 1.0) * even
        odd = z * even + k * odd
        weight *= step * (1.0 / (k * (k + 1.0)))
        series += weight * odd
    price = scale * (2.0 * t) * series if short else (call if h < 0.0 else put)
    return tail_probability, max(price, 0.0)
