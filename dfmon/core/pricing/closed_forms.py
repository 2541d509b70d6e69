"""The seven Black-76 closed forms of an orderly chain, each array operation paid for once.

Comes between settlement_terms (strike and time) and greek_calc, which masks what is out of the ordinary and prices it
row by row kind. What depends on strike and time only is prepared once a tick and serves every repricing within it.

All is written in units of sqrt(2): with t = sigma sqrt(T / 8) and h = ln(F/K) / (sigma sqrt(2 T)),

    d1 = sqrt(2) (h + t),   -d2 = sqrt(2) (t - h),   N(-|d1|) = exp(-(h + t)^2) / sqrt(pi) x R(|h + t|),

so that the density and the tail of the distribution share one exponential.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Final

import numpy as np

from dfmon.core.pricing.black import F64, MIN_SIMPLE_MONEYNESS
from dfmon.core.pricing.normal import LOG_ROOT_PI, SQRT_2, SQRT_HALF, TailScratch, tail_ratio

MAX_SIGMA: Final = 20.0
MIN_CLAMP, MAX_CLAMP = 1e-100, 1e200  # sigma and time beyond these change no digit, but their products overflow

_MIN_TOTAL_SD: Final = 1e-20  # a total deviation below it takes the powers of d1 out of the doubles
_EIGHTH: Final = math.sqrt(0.125)

# Constants as arrays: numpy would make one of a Python number at each call.
_ZERO: Final = np.array(0.0)
_ONE: Final = np.array(1.0)
_LOG_SCALE: Final = np.array(-LOG_ROOT_PI)


def aligned_rows(rows: int, n: int) -> F64:
    """Uninitialised rows for numpy's vector loops: each on a cache line, an odd number of lines after the one before.

    So no load is split over two lines, and no two neighbours stand a page apart, where a load would wait for an
    unrelated store whose address ends in the same 12 bits.


    Shapes: -> (rows, n).
    Domain: rows, n >= 0.
    Source: Intel 64 Optimization Reference Manual, "4-KByte aliasing".
    """
    cache_line = 8  # in float64
    width = (-(-n // cache_line) | 1) * cache_line
    storage = np.empty(rows * width + cache_line)
    start = (-storage.ctypes.data // 8) % cache_line
    return storage[start : start + rows * width].reshape(rows, width)[:, :n]


class StrikeTimeTerms:
    """Multiples of sqrt(T), of 1/T and of 1/K for one chain at one time; memory that `fill` may use again each tick."""

    __slots__ = ("columns", "in_domain", "strike")
    ROWS: ClassVar = 6

    def __init__(self, n: int, rows: F64 | None = None) -> None:
        self.columns = tuple(aligned_rows(self.ROWS, n) if rows is None else rows)
        self.strike = np.empty(0)
        self.in_domain = False

    def fill(self, strike: F64, tau: F64) -> StrikeTimeTerms:
        """Take over strikes and times (those of settlement_terms, where it applies).

        Units: any currency; years ACT/365.
        Shapes: (n,), (n,).
        Domain: any floats; `in_domain` becomes False if any is no positive number of a size that can be.
        Source: definition.

        >>> StrikeTimeTerms(2).fill(np.array([90.0, 100.0]), np.array([0.1, 0.0])).in_domain
        False
        """
        inv_strike, decay, root_eighth_tau, root_half_tau, neg_root_two_tau, inv_root_two_tau = self.columns
        self.strike = strike
        self.in_domain = bool(
            strike.shape[0]
            and np.minimum.reduce(strike) > 0.0
            and np.minimum.reduce(tau) >= MIN_CLAMP
            and np.maximum.reduce(tau) <= MAX_CLAMP
        )
        if self.in_domain:
            np.divide(1.0, strike, inv_strike)
            np.divide(-0.5, tau, decay)
            np.sqrt(tau, neg_root_two_tau)
            np.multiply(neg_root_two_tau, _EIGHTH, root_eighth_tau)
            np.multiply(neg_root_two_tau, SQRT_HALF, root_half_tau)
            neg_root_two_tau *= -SQRT_2
            np.divide(-1.0, neg_root_two_tau, inv_root_two_tau)
        return self

    def slice_rows(self, at: slice) -> StrikeTimeTerms:
        """The same for a run of the options.

        Units, source: as `fill`.
        Shapes: a slice of the columns.
        Domain: after `fill`.
        """
        sliced = StrikeTimeTerms.__new__(StrikeTimeTerms)
        sliced.columns = tuple(column[at] for column in self.columns)
        sliced.strike, sliced.in_domain = self.strike[at], self.in_domain
        return sliced


class Workspace:
    """Scratch of the closed forms. Afterwards x = ln(F/K), d1 = h + t, minus_d2 = t - h, tail = N(-|d1|).

    `domain_rows` are the rows whose least value says whether all options are in order: F/K - 1, t and 1/sigma.
    """

    __slots__ = (
        "d1",
        "density",
        "domain_rows",
        "minus_d2",
        "per_sd",
        "per_sigma",
        "relative",
        "scratch",
        "spare",
        "t",
        "tail",
        "x",
    )  # fmt: skip
    ROWS: ClassVar = 9 + TailScratch.ROWS

    def __init__(self, rows: F64) -> None:
        self.domain_rows = rows[:3]
        self.relative, self.t, self.per_sigma, self.x, self.per_sd, self.d1, self.minus_d2, self.density, self.spare = (
            rows[:9]
        )
        self.tail = self.relative
        self.scratch = TailScratch(rows[9:])


def fill_log_moneyness(forward: F64, strike_time: StrikeTimeTerms, work: Workspace) -> None:
    """Put ln(F/K) into the scratch.

    Units: forward in the currency of the strikes.
    Shapes: (n,).
    Domain: `strike_time.in_domain`; any forward. An infinite one gets through and ends in gamma.
    Source: F - K is exact near the money, where the logarithm of a rounded quotient has lost its digits.
    """
    relative = work.relative
    np.subtract(forward, strike_time.strike, relative)
    np.multiply(relative, strike_time.columns[0], relative)
    np.log1p(relative, work.x)


def fill_distances(sigma: F64, strike_time: StrikeTimeTerms, work: Workspace) -> None:
    """Put h + t and t - h into the scratch, from ln(F/K) there.

    d2 is h - t, not d1 less the total deviation: one rounding less where vanna and charm change sign.

    Units: decimal.
    Shapes: (n,).
    Source: the module's first lines.
    """
    multiply = np.multiply
    _, _, root_eighth_tau, _, _, inv_root_two_tau = strike_time.columns
    t, h = work.t, work.spare
    multiply(sigma, root_eighth_tau, t)
    np.divide(_ONE, sigma, work.per_sigma)
    multiply(work.per_sigma, inv_root_two_tau, work.per_sd)
    multiply(work.x, work.per_sd, h)
    np.add(h, t, work.d1)
    np.subtract(t, h, work.minus_d2)


def inputs_in_domain(work: Workspace) -> bool:
    """True where every F/K is large enough for log1p, and every sigma is in (0, 20].


    Shapes: scalar.
    Domain: after `fill_log_moneyness` and `fill_distances`, before `tail`.
    Source: definition.
    """
    excess, t, per_sigma = np.minimum.reduce(work.domain_rows, axis=1).tolist()
    return bool(excess > MIN_SIMPLE_MONEYNESS and t > _MIN_TOTAL_SD and per_sigma >= 1.0 / MAX_SIGMA)


def fill_sensitivities(
    forward: F64, sigma: F64, strike_time: StrikeTimeTerms, work: Workspace, columns: Sequence[F64]
) -> None:
    """Fill gamma, vega, theta, vanna, charm and volga, the last six rows of `columns`, from the distances.

    The density here is exp(-(h + t)^2) / sqrt(pi) = sqrt(2) phi(d1): with it no form needs a further constant.

    Units: as greeks.
    Shapes: (n,) -> eight of (n,).
    Domain: orderly rows.
    Source: Black (1976); volga = -vanna d1 F sqrt(T), theta = -vega sigma / 2T.
    """
    multiply = np.multiply
    _, decay, _, root_half_tau, neg_root_two_tau, _ = strike_time.columns
    _, _, gamma, vega, theta, vanna, charm, volga = columns
    density, spare = work.density, work.spare
    _density(work)
    multiply(density, work.per_sd, gamma)  # phi / (F v)
    np.divide(gamma, forward, gamma)
    multiply(forward, root_half_tau, vega)
    multiply(vega, density, vega)  # F phi sqrt T
    multiply(vega, decay, theta)  # -vega sigma / 2T
    multiply(theta, sigma, theta)
    multiply(density, work.minus_d2, spare)  # -phi d2
    multiply(spare, decay, charm)  # phi d2 / 2T
    multiply(work.per_sigma, spare, vanna)  # -phi d2 / sigma
    multiply(forward, neg_root_two_tau, volga)  # vega d1 d2 / sigma
    multiply(volga, vanna, volga)
    multiply(volga, work.d1, volga)


def _density(work: Workspace) -> None:
    """exp(-(h + t)^2) / sqrt(pi), and the square on the way."""
    density, squared = work.density, work.scratch.squared
    np.multiply(work.d1, work.d1, squared)
    np.subtract(_LOG_SCALE, squared, density)
    np.exp(density, density)


def fill_tail(work: Workspace) -> None:
    """Put N(-|d1|) into the scratch, which keeps its digits however small; needs the density of `fill_sensitivities`.

    Units: probability.
    Shapes: -> (n,).
    Domain: distances below 1e20.
    Source: the module's first lines.
    """
    _ratio(work)
    np.multiply(work.tail, work.density, work.tail)


def _ratio(work: Workspace) -> None:
    np.abs(work.d1, work.scratch.t)
    tail_ratio(work.scratch, work.tail)


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
    Domain: distances below 1e20 and the density of `fill_sensitivities` in the scratch.
    Source: N(-d) = 1 - N(d).
    """
    signed = work.tail
    _ratio(work)
    np.copysign(signed, work.d1, signed)
    np.ceil(signed, call)
    np.floor(signed, put)
    np.multiply(signed, work.density, signed)
    np.subtract(call, signed, call)
    np.subtract(put, signed, put)


def fill_delta(option_type: F64, work: Workspace, delta: F64) -> None:
    """Delta th N(th d1) from the distances alone.

    Units: option type +1 call, -1 put.
    Shapes: (n,), (n,).
    Domain: distances in the scratch, below 1e20.
    Source: Black (1976).
    """
    _density(work)
    fill_tail(work)
    fill_one_sided_delta(option_type, work, delta)
