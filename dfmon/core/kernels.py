"""The seven greeks and the gamma profile as loops that numba compiles to vector instructions.

Imported by `compiled` alone, and only where numba is installed. Nothing here is called elsewhere: the functions of
greek_calc, pair_greeks and gamma_profile come here where they are told to. What makes loops vector loops: the
exponential and the logarithm stand inline as polynomials, a choice is one of two values that are both computed, and
inputs and outputs are contiguous. No sum is reordered but those over options in the profile.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, TypeAlias, TypeVar

import numpy as np
from numba import float64, njit, types
from numpy.typing import NDArray

from dfmon.core.black import F64
from dfmon.core.closed_forms import MAX_SIGMA
from dfmon.core.normal import ABOVE, BELOW

_Function = TypeVar("_Function", bound=Callable[..., object])
_Result = TypeVar("_Result")
Index: TypeAlias = NDArray[np.intp]

_ROW: Final = types.Array(float64, 1, "C")
_COLUMN: Final = types.Array(float64, 1, "C", readonly=True)
_INDEX: Final = types.Array(types.intp, 1, "C", readonly=True)
_EIGHT: Final = types.UniTuple(_ROW, 8)

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
_TAIL_ABOVE: Final = tuple(value for value in reversed(ABOVE) if value)
_TAIL_BELOW: Final = BELOW[::-1]
_INV_ROOT_PI: Final = 1.0 / math.sqrt(math.pi)
_ROOT_2: Final = math.sqrt(2.0)
_ROOT_HALF: Final = math.sqrt(0.5)

_LANES: Final = 256  # options whose bumps are carried along together: their five columns stay in the first-level cache
_FAR: Final = 9.5  # so many deviations away, what is left of a bump is 3e-20 of its height: nothing
_STRIDE: Final = 16.0  # deviations from one true exponential to the next
_LONGEST: Final = 64  # nodes likewise: the rounding of the products grows with the square of their number
_SHARP: Final = 250.0  # bumps with more deviations to a unit of log spot feel the rounding of a node's place
_SAME: Final = 1e-14  # nodes so near to a place of the lattice stand on it


# ---- how loops are compiled ----------------------------------------------------------------------------------------


def _inline(function: _Function) -> _Function:
    """A part of a loop."""
    made: _Function = njit(fastmath={"contract"}, error_model="numpy", forceinline=True)(function)
    return made


def _summed(function: _Function) -> _Function:
    """A part that sums over options, in whichever order is fast."""
    made: _Function = njit(fastmath={"contract", "reassoc", "nsz"}, error_model="numpy", forceinline=True)(function)
    return made


def _loop(signature: object) -> Callable[[_Function], _Function]:
    """What is called from Python: compiled when this module is imported, unless an earlier run has left it on disk."""

    def compiled(function: _Function) -> _Function:
        made: _Function = njit(signature, cache=True, fastmath={"contract"}, error_model="numpy")(function)
        return made

    return compiled


# ---- elements ------------------------------------------------------------------------------------------------------


@_inline
def _polynomial(coefficients: tuple[float, ...], x: float) -> float:
    """From the highest power down, even and odd ones apart: half as many operations wait for each other."""
    squared = x * x
    one, two = coefficients[0], coefficients[1]
    for c in coefficients[2::2]:
        one = one * squared + c
    for c in coefficients[3::2]:
        two = two * squared + c
    return one + two * x if len(coefficients) % 2 else one * x + two


@_inline
def _exp(x: float) -> float:
    """e^x for x < 700, to a unit in the last place; 0 below -745."""
    x = max(x, -760.0)
    shifted = x * _LOG2_E + _ROUND
    whole = shifted - _ROUND
    r = (x - whole * _LN2_HIGH) - whole * _LN2_LOW
    p = _polynomial(_EXP, r)
    tiny = whole < -1000.0  # 2^whole is no normal number: made in two steps
    up = np.int64(1151) if tiny else np.int64(1023)
    power = np.int64((np.float64(shifted).view(np.int64) + up) << 52).view(np.float64)
    return p * power * (2.0**-128 if tiny else 1.0)


@_inline
def _nearest(forward: float, strike: float) -> tuple[float, float]:
    """2^n K, of the whole n that brings it nearest to F, and n: their difference has no rounding."""
    bits = np.float64(forward).view(np.int64) - np.float64(strike).view(np.int64)
    exponent = np.int64((bits + np.int64(0x3FF8000000000000)) >> 52)
    n = np.int64(exponent + np.int64(_ROUND_BITS - 1023)).view(np.float64) - _ROUND
    return strike * np.int64(exponent << 52).view(np.float64), n


@_inline
def _log(s: float, n: float) -> float:
    """Sum of n ln 2 and ln((1 + s)/(1 - s)), to three units in the last place."""
    squared = s * s
    p = _polynomial(_LOG, squared)
    return n * _LN2_HIGH + (2.0 * s + (s * squared * p + n * _LN2_LOW))


@_inline
def _tail(t: float) -> float:
    """N(-|d|) over exp(-t^2) / sqrt(pi), t = |d| / sqrt(2): as normal.tail_ratio."""
    return _polynomial(_TAIL_ABOVE, t) / _polynomial(_TAIL_BELOW, t)


@_inline
def _forms(forward: float, strike: float, sigma: float, tau: float) -> tuple[float, ...]:
    """The closed forms of closed_forms.sensitivities, with N(-|d1|), d1 and ln(F/K); and whether the row is in order.

    One quotient serves for all that is divided by F, sigma and T.
    """
    root = math.sqrt(tau)
    total_sd = sigma * root
    near, n = _nearest(forward, strike)
    quotient = 1.0 / (total_sd * forward)
    per_sd = quotient * forward
    x = _log((forward - near) / (forward + near), n)
    h, t = _ROOT_HALF * x * per_sd, 0.5 * _ROOT_HALF * total_sd
    d1, minus_d2 = h + t, t - h
    density = _INV_ROOT_PI * _exp(-d1 * d1)
    far = _tail(abs(d1)) * density
    phi = _ROOT_HALF * density
    vega = forward * root * phi
    decay = -0.5 * (sigma * per_sd) * (sigma * per_sd)
    room = density * minus_d2
    vanna = room * root * per_sd
    volga = -_ROOT_2 * forward * root * vanna * d1
    fine = (
        (forward > 1e-100) & (forward < 1e100) & (abs(x) + total_sd < 200.0) & (sigma <= MAX_SIGMA) & (total_sd > 1e-20)
    )  # a NaN fails each of these, a strike out of order the third
    return far, phi * quotient, vega, vega * decay * sigma, vanna, room * decay, volga, d1, x, fine


# ---- greeks --------------------------------------------------------------------------------------------------------


@_loop(types.int64(*[_COLUMN] * 5, _EIGHT, _ROW))
def _seven(forward: F64, strike: F64, sigma: F64, tau: F64, option_type: F64, rows: tuple[F64, ...], x: F64) -> int:
    _, delta, gamma, vega, theta, vanna, charm, volga = rows
    wrong = 0
    for i in range(forward.shape[0]):
        far, gamma[i], vega[i], theta[i], vanna[i], charm[i], volga[i], d1, x[i], fine = _forms(
            forward[i], strike[i], sigma[i], tau[i]
        )
        side = option_type[i]
        near = 1.0 - far
        delta[i] = side * (near if side * d1 >= 0.0 else far)
        wrong |= not (fine & (abs(side) == 1.0))
    return wrong


@_loop(types.int64(*[_COLUMN] * 4, _EIGHT))
def _seven_of_pairs(forward: F64, strike: F64, sigma: F64, tau: F64, rows: tuple[F64, ...]) -> int:
    put, call, gamma, vega, theta, vanna, charm, volga = rows
    wrong = 0
    for i in range(forward.shape[0]):
        far, gamma[i], vega[i], theta[i], vanna[i], charm[i], volga[i], d1, _, fine = _forms(
            forward[i], strike[i], sigma[i], tau[i]
        )
        up = d1 >= 0.0
        near = 1.0 - far
        call[i] = near if up else far
        put[i] = -far if up else -near
        wrong |= not fine
    return wrong


@_loop(types.int64(*[_COLUMN] * 2, *[_INDEX] * 2, *[_COLUMN] * 2, _EIGHT))
def _seven_of_listing(
    forward: F64, sigma: F64, option: Index, partner: Index, strike: F64, tau: F64, rows: tuple[F64, ...]
) -> int:
    at = np.empty((2, option.shape[0]))
    apart = 0
    for i in range(option.shape[0]):
        here, there = np.uint64(option[i]), np.uint64(partner[i])
        at[0, i], at[1, i] = forward[here], sigma[here]
        apart |= (forward[there] != forward[here]) | (sigma[there] != sigma[here])
    return 1 if apart else _seven_of_pairs(at[0], strike, at[1], tau, rows)


# ---- profile -------------------------------------------------------------------------------------------------------


@_inline
def _begin(a: F64, b: F64, weight: F64, y: float, step: float, bump: F64, ratio: F64) -> int:
    """Bumps at y, and what takes each to the next node; how many of them are any there."""
    seen = 0
    for k in range(_LANES):
        d, width = a[k] * y + b[k], a[k] * step
        here, onward = weight[k] * _exp(-0.5 * d * d), _exp(-(d + 0.5 * width) * width)
        near = (d < _FAR) & (d > -_FAR - _STRIDE)
        seen += near
        bump[k] = here if near else 0.0
        ratio[k] = onward if near else 0.0
    return seen


@_summed
def _four_nodes(bump: F64, ratio: F64, square: F64) -> tuple[float, float, float, float]:
    """Sums of the bumps on this node and the three after it; leaves bumps and ratios at the next one."""
    one = two = three = four = 0.0
    for k in range(_LANES):
        g, r, q = bump[k], ratio[k], square[k]
        one += g
        g, r = g * r, r * q
        two += g
        g, r = g * r, r * q
        three += g
        g, r = g * r, r * q
        four += g
        bump[k], ratio[k] = g * r, r * q
    return one, two, three, four


@_inline
def _on_lattice(a: F64, b: F64, weight: F64, first: float, step: float, out: F64) -> None:
    """Sum the bumps on nodes at first + j step; those sharper than _SHARP are left out.

    At equal steps a Gaussian obeys g <- g r, r <- r q with a constant q: two products instead of an exponential.
    """
    nodes = out.shape[0] - 3
    wide, at, high = np.empty(_LANES), np.empty(_LANES), np.empty(_LANES)
    bump, ratio, square = np.empty(_LANES), np.empty(_LANES), np.empty(_LANES)
    for start in range(0, a.shape[0], _LANES):
        sharpest = 0.0
        for k in range(_LANES):
            i = start + k
            there = i < a.shape[0] and a[i] <= _SHARP
            wide[k], at[k], high[k] = (a[i], b[i], weight[i]) if there else (0.0, 2.0 * _FAR, 0.0)
            sharpest = max(sharpest, wide[k])
        for k in range(_LANES):
            square[k] = _exp(-(wide[k] * step) * (wide[k] * step))
        stride = max(4, int(min(_STRIDE / (sharpest * step + 1e-9), _LONGEST)) // 4 * 4)
        for base in range(0, nodes, stride):
            if not _begin(wide, at, high, first + base * step, step, bump, ratio):
                continue
            for j in range(base, min(base + stride, nodes), 4):
                one, two, three, four = _four_nodes(bump, ratio, square)
                out[j] += one
                out[j + 1] += two
                out[j + 2] += three
                out[j + 3] += four


@_summed
def _at_node(a: F64, b: F64, weight: F64, y: float, least: float) -> float:
    """The sum at one place, of the bumps that are sharper than `least`."""
    total = 0.0
    for i in range(a.shape[0]):
        d = a[i] * y + b[i]
        bump = weight[i] * _exp(-0.5 * d * d)
        total += bump if a[i] > least else 0.0
    return total


@_inline
def _sum(a: F64, b: F64, weight: F64, y: F64, places: int, step: float, out: F64) -> None:
    """By the recurrence on the nodes that stand on a lattice of so many places, one by one on those between."""
    lattice = np.zeros(places + 3)
    _on_lattice(a, b, weight, y[0], step, lattice)
    sharp = False
    for i in range(a.shape[0]):
        sharp |= a[i] > _SHARP
    for j in range(y.shape[0]):
        place = round((y[j] - y[0]) / step) if places else 0
        if places and abs(y[0] + place * step - y[j]) < _SAME:
            out[j] = lattice[place] + (_at_node(a, b, weight, y[j], _SHARP) if sharp else 0.0)
        else:
            out[j] = _at_node(a, b, weight, y[j], 0.0)


@_loop(types.void(*[_COLUMN] * 5, _ROW, _ROW))
def _both_sides(a: F64, b: F64, height: F64, exposure: F64, y: F64, long: F64, short: F64) -> None:
    """Sums over the options held long and, without their sign, over those held short."""
    nodes = y.shape[0]
    step, places = 1.0, 0
    if nodes > 8:
        span, usual = y[-1] - y[0], np.median(y[1:] - y[:-1])
        if usual > 0.0 and span < 4 * nodes * usual:
            places = round(span / usual) + 1
            step = span / (places - 1)
    few = np.empty((3, a.shape[0]))
    for side, out in ((1.0, long), (-1.0, short)):
        count = 0
        for i in range(a.shape[0]):
            few[0, count], few[1, count], few[2, count] = a[i], b[i], height[i] * exposure[i] * side
            count += exposure[i] * side > 0.0
        _sum(few[0, :count], few[1, :count], few[2, :count], y, places, step, out)


# ---- what is called ------------------------------------------------------------------------------------------------


def seven(forward: F64, strike: F64, sigma: F64, tau: F64, option_type: F64, rows: tuple[F64, ...], x: F64) -> bool:
    """Delta, gamma, vega, theta, vanna, charm and volga into the last seven `rows`, ln(F/K) into `x`.

    False if a row is out of order: what has been written is then to be priced anew.

    Units: as greeks.
    Shapes: (n,) each, eight rows of (n,).
    Domain: any floats.
    Source: closed_forms; the tail as normal.tail_ratio.
    """
    return not _on_contiguous(_seven, (forward, strike, sigma, tau, option_type), rows, x)


def seven_of_pairs(forward: F64, strike: F64, sigma: F64, tau: F64, rows: tuple[F64, ...]) -> bool:
    """The same for the call and the put of each point; the first of the rows is the put's delta.

    Units, domain, source: as `seven`.
    Shapes: (m,) each, eight rows of (m,).
    """
    return not _on_contiguous(_seven_of_pairs, (forward, strike, sigma, tau), rows)


def seven_of_listing(
    forward: F64, sigma: F64, option: Index, partner: Index, strike: F64, tau: F64, rows: tuple[F64, ...]
) -> bool:
    """The same from the columns of all options: point i lies on `option[i]`, and False too if `partner[i]` differs.

    Units, domain, source: as `seven`.
    Shapes: (n,), (n,); the others (m,), eight rows of (m,).
    """
    try:
        return not _seven_of_listing(forward, sigma, option, partner, strike, tau, rows)
    except TypeError:  # columns of another layout
        return False


def profile(a: F64, b: F64, height: F64, y: F64, exposure: F64) -> F64:
    """Sums of exposure x height x exp(-(a y + b)^2 / 2) over the options.

    Units: of exposure x height.
    Shapes: a, b, height (n,), y (m,), exposure (n, k) -> (k, m).
    Domain: finite; a > 0; fastest where y ascends in equal steps, but for a few nodes between.
    Source: gamma_profile; recurrence of a Gaussian at equal steps.
    """
    columns = np.ascontiguousarray(exposure.T)
    sums, (long, short) = np.empty((columns.shape[0], y.shape[0])), np.empty((2, y.shape[0]))
    for i, (held, total) in enumerate(zip(columns, sums)):
        if i == 1 and np.array_equal(held, np.abs(columns[0])):
            np.add(long, short, total)  # the gross comes with the net
        else:
            _on_contiguous(_both_sides, (a, b, height, held, y), long, short)
            np.subtract(long, short, total)
    return sums


def _on_contiguous(kernel: Callable[..., _Result], columns: tuple[F64, ...], *rest: object) -> _Result:
    """Call a kernel; columns it does not take as they are (strided ones, other numbers) are copied."""
    try:
        return kernel(*columns, *rest)
    except TypeError:
        return kernel(*(np.ascontiguousarray(column, dtype=np.float64) for column in columns), *rest)
