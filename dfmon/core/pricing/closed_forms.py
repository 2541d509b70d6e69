"""Black-76 greeks and price of an orderly chain, each array operation paid for once.

All is written in units of sqrt(2): with w = sigma sqrt(2 T), t = w / 4 and h = ln(F/K) / w,

    d1 = sqrt(2) (h + t),   -d2 = sqrt(2) (t - h),   N(-|d1|) = exp(-(h + t)^2) / sqrt(pi) x R(|h + t|),

so that the density and the tail of the distribution share one exponential. The price of either side then follows from
its delta D, from C = K [N(d1) - N(d2)] + (F - K) D, where the bracket is an integral of the density without a
difference of neighbouring numbers: no digit is lost however short the time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from dfmon.core.pricing.black import F64
from dfmon.core.pricing.normal import LOG_ROOT_PI, tail_ratio
from dfmon.core.pricing.workspace import NODES, Workspace

MIN_CLAMP, MAX_CLAMP = 1e-100, 1e200  # sigma and time beyond these change no digit, but their products overflow

# Constants as arrays: numpy would make one of a Python number at each call.
_ZERO: Final = np.array(0.0)
_QUARTER: Final = np.array(0.25)
_HALF: Final = np.array(0.5)
_MINUS_ONE: Final = np.array(-1.0)
_LOG_SCALE: Final = np.array(-LOG_ROOT_PI)


def _quadrature(count: int) -> tuple[F64, F64]:
    """Coefficients of (h + t)^2 - (h + node t)^2 in ln(F/K) and t^2, a row a node; and the weights."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return np.stack([0.5 - 0.5 * nodes, 1.0 - nodes * nodes], axis=1), 0.25 * weights


_QUADRATURE: Final = {count: _quadrature(count) for _, _, count in NODES}


def aligned_rows(rows: int, n: int) -> F64:
    """Uninitialised rows for numpy's vector loops: each on a cache line, an odd number of lines after the one before.
    What lies between two of them is 1.

    So no load is split over two lines, and no two neighbours stand a page apart, where a load would wait for an
    unrelated store whose address ends in the same 12 bits.

    Shapes: -> (rows, n).
    Domain: rows, n >= 0.
    Source: Intel 64 Optimization Reference Manual, "4-KByte aliasing".
    """
    cache_line = 8  # in float64
    width = (-(-n // cache_line) | 1) * cache_line
    storage = np.empty(rows * width + cache_line)
    start = (-storage.__array_interface__["data"][0] // 8) % cache_line
    lines = storage[start : start + rows * width].reshape(rows, width)
    lines[:, n:] = 1.0
    return lines[:, :n]


def fill_log_moneyness(forward: F64, strike: F64, work: Workspace) -> None:
    """Puts F - K and ln(F/K) into the scratch.

    Units: forward and strike in one currency.
    Shapes: (n,), (n,).
    Domain: any floats; `sizes_in_domain` tells if they were in order.
    Source: F - K is exact near the money, where the logarithm of a rounded quotient has lost its digits.
    """
    np.subtract(forward, strike, work.excess)
    np.divide(work.excess, strike, work.x)
    np.log1p(work.x, work.x)


def fill_distances(forward: F64, sigma: F64, tau: F64, work: Workspace) -> None:
    """Puts h + t, t - h and what they are made of into the scratch, from ln(F/K) there.

    d2 is h - t, not d1 less the total deviation: one rounding less where vanna and charm change sign.

    Units: sigma decimal; years ACT/365.
    Shapes: (n,) each.
    Domain: any floats; `sizes_in_domain` tells if they were in order.
    """
    multiply, w, h, t, root = np.multiply, work.w, work.h, work.t, work.root
    np.add(tau, tau, work.decay)
    np.sqrt(work.decay, root)
    np.divide(_MINUS_ONE, work.decay, work.decay)
    multiply(sigma, root, w)
    np.divide(work.x, w, h)
    multiply(w, _QUARTER, t)
    np.add(h, t, work.d1)
    np.subtract(t, h, work.minus_d2)
    multiply(forward, root, work.forward_root)
    np.abs(work.x, work.abs_x)
    np.abs(work.d1, work.scratch.t)


def fill_density(work: Workspace) -> None:
    """exp(-(h + t)^2) / sqrt(pi), and the square on the way."""
    density, squared = work.density, work.scratch.squared
    np.multiply(work.d1, work.d1, squared)
    np.subtract(_LOG_SCALE, squared, density)
    np.exp(density, density)


def fill_probability_between(count: int, strike: F64, work: Workspace) -> None:
    """K [N(d1) - N(d2)] into the spare row, by quadrature of the density between d2 and d1.

    Units: currency of the strike.
    Shapes: (n,).
    Domain: sizes within those of `count`; the density in the scratch.
    Source: Gauss-Legendre, on the density over that at d1: as ht = ln(F/K) / 4, its exponents are a matrix product.
    """
    multiply, spare = np.multiply, work.spare
    matrix, weights = _QUADRATURE[count]
    rows, flat = work.node_rows[:count], work.exponents[count]
    multiply(work.t, work.t, work.t_squared)
    np.matmul(matrix, work.x_and_t_squared, rows)
    np.exp(flat, flat)
    np.matmul(weights, rows, spare)
    multiply(spare, work.w, spare)
    multiply(spare, work.density, spare)
    multiply(spare, strike, spare)


def fill_sensitivities(forward: F64, sigma: F64, work: Workspace, columns: Sequence[F64]) -> None:
    """Fills gamma, vega, theta, vanna, charm and volga, the last six of `columns`, from distances and density.

    The density here is exp(-(h + t)^2) / sqrt(pi) = sqrt(2) phi(d1).

    Units: as greeks.
    Shapes: (n,) -> six of (n,).
    Domain: orderly rows.
    Source: Black (1976); volga = -vanna d1 F sqrt(T), theta = -vega sigma / 2T.
    """
    multiply, density, decay, forward_root = np.multiply, work.density, work.decay, work.forward_root
    gamma, vega, theta, vanna, charm, volga = columns[-6:]
    np.divide(density, work.w, gamma)
    np.divide(gamma, forward, gamma)  # phi / (F v)
    multiply(forward_root, density, vega)
    multiply(vega, _HALF, vega)  # F phi sqrt T
    multiply(vega, decay, theta)
    multiply(theta, sigma, theta)  # -vega sigma / 2T
    multiply(density, work.minus_d2, vanna)
    multiply(vanna, decay, charm)  # phi d2 / 2T
    np.divide(vanna, sigma, vanna)  # -phi d2 / sigma
    multiply(forward_root, work.d1, volga)
    multiply(volga, vanna, volga)
    np.negative(volga, volga)  # vega d1 d2 / sigma


def fill_ratio(work: Workspace) -> None:
    """R(|h + t|) into the tail's row; needs |h + t| and its square."""
    tail_ratio(work.scratch, work.tail)


def fill_tail(work: Workspace) -> None:
    """N(-|d1|), which keeps its digits however small; needs the density.

    Units: probability.
    Shapes: -> (n,).
    Domain: distances below 1e20.
    """
    fill_ratio(work)
    np.multiply(work.tail, work.density, work.tail)


def fill_one_sided_delta(option_type: F64, work: Workspace, delta: F64) -> None:
    """Delta th N(th d1) from the tail: |[th d1 > 0] - tail|, so that neither side is a difference of the other.

    Units: option type +1 call, -1 put.
    Shapes: (n,), (n,).
    Domain: distances and tail in the scratch.
    Source: N(-d) = 1 - N(d).
    """
    np.multiply(work.d1, option_type, delta)
    np.greater(delta, _ZERO, delta)
    np.subtract(delta, work.tail, delta)
    np.abs(delta, delta)
    np.multiply(delta, option_type, delta)


def fill_call_put_deltas(work: Workspace, call: F64, put: F64) -> None:
    """N(d1) and N(d1) - 1, each as a whole number less the one signed tail.

    The ratio R, signed like d1, lies between -1 and 1 and is never 0, however far the tail has sunk: rounded up it
    says whether the call's delta starts at 1, rounded down whether the put's starts at -1.

    Shapes: (n,), (n,).
    Domain: distances below 1e20 and the density in the scratch.
    Source: N(-d) = 1 - N(d).
    """
    signed = work.tail
    fill_ratio(work)
    np.copysign(signed, work.d1, signed)
    np.ceil(signed, call)
    np.floor(signed, put)
    np.multiply(signed, work.density, signed)
    np.subtract(call, signed, call)
    np.subtract(put, signed, put)


def fill_price(delta: F64, work: Workspace, price: F64) -> None:
    """Price of the side whose delta this is: K [N(d1) - N(d2)] + (F - K) delta.

    Units: currency of forward and strike.
    Shapes: (n,), (n,).
    Domain: after `fill_probability_between`.
    Source: Black (1976), with N(d2) = N(d1) - [N(d1) - N(d2)].
    """
    np.multiply(work.excess, delta, price)
    np.add(price, work.spare, price)


def fill_delta(option_type: F64, work: Workspace, delta: F64) -> None:
    """Delta th N(th d1) from the distances alone.

    Units: option type +1 call, -1 put.
    Shapes: (n,), (n,).
    Domain: distances in the scratch, below 1e20.
    Source: Black (1976).
    """
    fill_density(work)
    np.abs(work.d1, work.scratch.t)
    fill_tail(work)
    fill_one_sided_delta(option_type, work, delta)


def finite(columns: Sequence[F64]) -> bool:
    """True unless gamma, theta, charm or volga, of the last six columns, hold a NaN or an infinity.

    Shapes: (n,) each.
    """
    gamma, _, theta, _, charm, volga = columns[-6:]
    return math.isfinite(gamma.dot(volga) + theta.dot(charm))
