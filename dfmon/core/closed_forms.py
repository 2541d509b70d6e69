"""The seven Black-76 closed forms of an orderly chain, each array operation paid for once.

Comes between settlement_terms (strike and time) and greek_calc, which masks what is out of the ordinary and prices it
row by row kind. What depends on strike and time only is prepared once a tick and serves every repricing within it.

All is written in units of sqrt(2): with t = sigma sqrt(T / 8) and h = ln(F/K) / (sigma sqrt(2 T)),

    d1 = sqrt(2) (h + t),   -d2 = sqrt(2) (t - h),   N(-|d1|) = exp(-(h + t)^2) erfcx(|h + t|) / 2,

so that the density and the tail of the distribution share one exponential.
"""

from __future__ import annotations

import math
from typing import ClassVar, Final

import numpy as np
from scipy.special import erfcx

from dfmon.core.black import F64

MAX_SIGMA: Final = 20.0

_LEAST_EXCESS: Final = -0.98  # below F = K/50 the quotient rounds too coarsely for log1p(F/K - 1)
LEAST, MOST = 1e-100, 1e200  # sigma and time beyond these change no digit, but their products overflow
_LEAST_SD: Final = 1e-160  # below sigma sqrt(T) of the least of both

_EIGHTH: Final = math.sqrt(0.125)
_SQRT_HALF: Final = math.sqrt(0.5)
SQRT_2: Final = math.sqrt(2.0)
_LOG_ROOT_PI: Final = 0.5 * math.log(math.pi)
_HALF_ROOT_PI: Final = 0.5 * math.sqrt(math.pi)


def aligned(rows: int, n: int) -> F64:
    """Uninitialised rows for numpy's vector loops: each on a cache line, none at the page offset of its neighbours.

    So no load is split over two lines, and none waits for an unrelated store whose address ends in the same 12 bits.

    Units: none.
    Shapes: -> (rows, n).
    Domain: rows, n >= 0.
    Source: Intel 64 Optimization Reference Manual, "4-KByte aliasing"; a seventh off the seven greeks here.
    """
    line, page = 8, 512  # in float64
    width = -(-n // page) * page + 25 * line
    memory = np.empty(rows * width + line)
    start = (-memory.ctypes.data // 8) % line
    return memory[start : start + rows * width].reshape(rows, width)[:, :n]


class Prepared:
    """Multiples of sqrt(T), of 1/T and of 1/K for one chain at one time; memory that `fill` may use again each tick."""

    __slots__ = ("columns", "orderly", "strike")
    ROWS: ClassVar = 5

    def __init__(self, n: int, rows: F64 | None = None) -> None:
        self.columns = tuple(aligned(self.ROWS, n) if rows is None else rows)
        self.strike = np.empty(0)
        self.orderly = False

    def fill(self, strike: F64, tau: F64) -> Prepared:
        """Take over strikes and times (those of settlement_terms, where it applies).

        Units: any currency; years ACT/365.
        Shapes: (n,), (n,).
        Domain: any floats; `orderly` becomes False if any is no positive number of a size that can be.
        Source: definition.

        >>> Prepared(2).fill(np.array([90.0, 100.0]), np.array([0.1, 0.0])).orderly
        False
        """
        per_strike, decay, eighth, half, double = self.columns
        self.strike = strike
        self.orderly = bool(
            strike.shape[0]
            and np.minimum.reduce(strike) > 0.0
            and np.minimum.reduce(tau) >= LEAST
            and np.maximum.reduce(tau) <= MOST
        )
        if self.orderly:
            np.divide(1.0, strike, per_strike)
            np.divide(-0.5, tau, decay)
            np.sqrt(tau, double)
            np.multiply(double, _EIGHTH, eighth)
            np.multiply(double, _SQRT_HALF, half)
            double *= SQRT_2
        return self


class Work:
    """Scratch of the closed forms. Afterwards x = ln(F/K), d1 = h + t, minus_d2 = t - h, tail = N(-|d1|)."""

    __slots__ = ("d1", "density", "minus_d2", "per_sd", "room", "tail", "total_sd", "x")
    ROWS: ClassVar = 8

    def __init__(self, rows: F64) -> None:
        self.x, self.total_sd, self.per_sd, self.d1, self.minus_d2, self.density, self.tail, self.room = rows


def log_moneyness_of(forward: F64, prepared: Prepared, work: Work) -> bool:
    """Put ln(F/K) into the scratch; False where F/K is so small, negative or NaN that log1p would not do.

    Units: forward in the currency of the strikes.
    Shapes: (n,).
    Domain: `prepared.orderly`; any forward. An infinite one gets through and ends in gamma.
    Source: F - K is exact near the money, where the logarithm of a rounded quotient has lost its digits.
    """
    x = work.x
    np.subtract(forward, prepared.strike, x)
    x *= prepared.columns[0]
    if not np.minimum.reduce(x) > _LEAST_EXCESS:
        return False
    np.log1p(x, x)
    return True


def distances(sigma: F64, prepared: Prepared, work: Work) -> bool:
    """Put h + t and t - h into the scratch, from ln(F/K) there; False where a sigma is out of (0, 20] or NaN.

    d2 is h - t, not d1 less the total deviation: one rounding less where vanna and charm change sign.

    Units: decimal.
    Shapes: (n,).
    Domain: any floats.
    Source: the module's first lines.
    """
    t, per_sd, h = work.total_sd, work.per_sd, work.room
    np.multiply(sigma, prepared.columns[2], t)
    if not (np.minimum.reduce(t) > _LEAST_SD and np.maximum.reduce(sigma) <= MAX_SIGMA):
        return False
    np.divide(0.25, t, per_sd)
    np.multiply(work.x, per_sd, h)
    np.add(h, t, work.d1)
    np.subtract(t, h, work.minus_d2)
    return True


def sensitivities(forward: F64, sigma: F64, prepared: Prepared, work: Work, columns: F64) -> None:
    """Fill gamma, vega, theta, vanna, charm and volga, the last six rows of `columns`, from the distances.

    The density here is exp(-(h + t)^2) / sqrt(pi) = sqrt(2) phi(d1): with it no form needs a further constant.

    Units: as greeks.
    Shapes: (n,) -> (8, n).
    Domain: orderly rows.
    Source: Black (1976); volga = -vanna d1 F sqrt(T), theta = -vega sigma / 2T.
    """
    multiply = np.multiply
    _, decay, _, half, double = prepared.columns
    _, _, gamma, vega, theta, vanna, charm, volga = columns
    density, room = work.density, work.room
    multiply(work.d1, work.d1, density)
    np.subtract(-_LOG_ROOT_PI, density, density)
    np.exp(density, density)

    multiply(density, work.per_sd, gamma)  # phi / (F v)
    np.divide(gamma, forward, gamma)
    multiply(forward, half, volga)
    multiply(volga, density, vega)  # F phi sqrt T
    multiply(vega, decay, theta)  # -vega sigma / 2T
    multiply(theta, sigma, theta)
    multiply(density, work.minus_d2, room)  # -phi d2
    multiply(room, decay, charm)  # phi d2 / 2T
    multiply(work.per_sd, double, vanna)  # 1 / sigma
    multiply(vanna, room, vanna)  # -phi d2 / sigma
    multiply(volga, vanna, volga)  # vega d1 d2 / sigma
    multiply(volga, work.d1, volga)
    multiply(volga, -2.0, volga)


def tail(work: Work) -> None:
    """Put N(-|d1|) into the scratch, which keeps its digits however small; needs the density of `sensitivities`.

    Units: probability.
    Shapes: -> (n,).
    Domain: any distances; 0 where they are infinite.
    Source: N(-d) = exp(-d^2/2) erfcx(d / sqrt 2) / 2: Cody (1969).
    """
    q = work.tail
    np.abs(work.d1, q)
    erfcx(q, q)
    q *= work.density
    q *= _HALF_ROOT_PI


def one_sided_delta(option_type: F64, work: Work, delta: F64) -> None:
    """Delta th N(th d1) from the tail: |[th d1 > 0] - tail|, so that neither side is a difference of the other.

    Units: option type +1 call, -1 put.
    Shapes: (n,), (n,).
    Domain: distances and tail in the scratch.
    Source: N(-d) = 1 - N(d).
    """
    np.multiply(work.d1, option_type, delta)
    np.greater(delta, 0.0, delta)
    np.subtract(delta, work.tail, delta)
    np.abs(delta, delta)
    np.multiply(delta, option_type, delta)


def both_deltas(work: Work, call: F64, put: F64) -> None:
    """N(d1) and N(d1) - 1 from the one tail.

    Units: none.
    Shapes: (n,), (n,).
    Domain: distances and tail in the scratch.
    Source: N(-d) = 1 - N(d).
    """
    side = work.room
    np.copysign(work.tail, work.d1, put)
    np.greater(work.d1, 0.0, side)
    np.subtract(side, put, call)
    side -= 1.0
    np.subtract(side, put, put)
