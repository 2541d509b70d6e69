"""Black-76 greeks of a whole chain in one pass over columns: price, delta, gamma, vega, theta, vanna, charm, volga.

Comes after the chain's columns (forward, strike, sigma, time, type) and before every roll-up. Greeks are per one
option on one unit of underlying, in the quote currency, r = 0. A bad row is masked and counted, never raised.
Above 300 % volatility nothing changes: all is written in h = ln(F/K)/v and t = v/2, with v = sigma sqrt(T).
"""

from __future__ import annotations

import math
from typing import Final, Literal, NamedTuple, TypeAlias

import numpy as np
from scipy.special import ndtr

from dfmon.core.black import F64, INV_SQRT_2PI, Mask, black_price, log_moneyness
from dfmon.core.settlement import EUROPEAN_ABOVE, Settlement, settlement_terms

Numeraire: TypeAlias = Literal["usd", "coin"]

COLUMNS: Final = ("price", "delta", "gamma", "vega", "theta", "vanna", "charm", "volga")
MAX_SIGMA: Final = 20.0

_LEAST_EXCESS: Final = -0.98  # below F = K/50 the quotient rounds too coarsely for log1p(F/K - 1)
_LEAST, _MOST = 1e-100, 1e200  # sigma and time beyond these change no digit, but their products overflow


class Greeks(NamedTuple):
    """One column per greek; NaN in every column of a masked row.

    vega and vanna per 1.00 of sigma; theta and charm are calendar derivatives per year; price is NaN unless asked for.
    """

    price: F64
    delta: F64
    gamma: F64
    vega: F64
    theta: F64
    vanna: F64
    charm: F64
    volga: F64
    valid: Mask
    invalid: int


class GreekBuffers:
    """Memory for the greeks of n options, owned by the caller and overwritten at each refresh."""

    __slots__ = ("columns", "result", "scratch", "valid")

    def __init__(self, n: int) -> None:
        self.columns = aligned(len(COLUMNS), n)
        self.scratch = tuple(aligned(6, n))
        self.valid = np.ones(n, dtype=np.bool_)
        price, delta, gamma, vega, theta, vanna, charm, volga = self.columns
        self.result = Greeks(price, delta, gamma, vega, theta, vanna, charm, volga, self.valid, 0)


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


def greeks(
    forward: F64,
    strike: F64,
    sigma: F64,
    tau: F64,
    option_type: F64,
    *,
    with_price: bool = True,
    settlement: Settlement = "instant",
    average: F64 | None = None,
    numeraire: Numeraire = "usd",
    inverse: Mask | None = None,
    out: GreekBuffers | None = None,
) -> Greeks:
    """Price and seven greeks of n options on their forwards.

    T = 0 is settled: intrinsic price, delta th where in the money, th/2 at F = K, the rest 0. Masked and counted: NaN,
    inf, F or K <= 0, sigma outside (0, 20], T < 0, an option type that is no sign, a result too large for a double.
    "average" replaces strike and time by their settlement equivalents (both settlements agree from 6 h up).
    "coin" makes the delta of inverse options (default: all) premium-adjusted, delta - V/F, with gamma, vanna and charm
    its derivatives; price, vega, theta and volga stay. Without `with_price` the common case is four times as fast.

    Units: forward, strike in quote currency; sigma 1.00 = 100 %; tau in years ACT/365; option type +1 call, -1 put.
    Shapes: (n,) float64 each -> columns (n,); with `out` they are views that the next call overwrites.
    Domain: any floats.
    Source: Black (1976); Haug, The Complete Guide to Option Pricing Formulas (2007), ch. 2; premium adjustment:
    Wystup, FX Options and Structured Products (2017), section 1.5.

    >>> one = np.ones(1)
    >>> g = greeks(1e5 * one, 1e5 * one, 0.5 * one, 7 / 365 * one, one)
    >>> round(float(g.gamma[0] * 1e5**2 * 0.01), 2), round(float(g.theta[0] / 365), 2)
    (5758.07, -197.19)
    """
    n = forward.shape[0]
    buffers = GreekBuffers(n) if out is None else out
    if buffers.valid.shape[0] != n:
        raise ValueError(f"buffers hold {buffers.valid.shape[0]} options, the chain has {n}")
    if not n:
        return buffers.result
    with np.errstate(all="ignore"):
        european = settlement == "instant" or bool(np.minimum.reduce(tau) >= EUROPEAN_ABOVE)
        terms = None if european else settlement_terms(forward, strike, tau, average)
        K, T = (strike, tau) if terms is None else (terms.strike, terms.tau)
        simple = numeraire == "usd" and not with_price
        result = buffers.result
        if not (simple and _in_one_pass(forward, K, sigma, T, option_type, buffers)):
            np.copyto(buffers.valid, _valid_rows(forward, strike, sigma, tau, option_type))
            rows = None if numeraire == "usd" else np.ones(n, dtype=np.bool_) if inverse is None else inverse
            _by_kind_of_row(forward, K, sigma, T, option_type, rows, with_price, buffers)
            result = result._replace(invalid=n - int(np.count_nonzero(buffers.valid)))
        if terms is not None and np.minimum.reduce(terms.share) < 1.0:
            buffers.columns *= terms.share
    return result


def delta_alone(
    forward: F64,
    strike: F64,
    sigma: F64,
    tau: F64,
    option_type: F64,
    *,
    settlement: Settlement = "instant",
    numeraire: Numeraire = "usd",
    inverse: Mask | None = None,
    out: GreekBuffers | None = None,
) -> F64:
    """The delta column of `greeks` without the others, at half the cost; NaN in masked rows.

    Units, domain, source: as greeks.
    Shapes: (n,) each -> (n,), a view of `out`.

    >>> one = np.ones(1)
    >>> delta_alone(105 * one, 100 * one, 0.36 * one, 0.5 * one, one).round(4).tolist()  # Haug: 0.5946 e^(0.1/2)
    [0.6251]
    """
    buffers = GreekBuffers(forward.shape[0]) if out is None else out
    x, total_sd, _, d1, _, _ = buffers.scratch
    delta = buffers.result.delta
    with np.errstate(all="ignore"):
        european = settlement == "instant" or not tau.size or bool(np.minimum.reduce(tau) >= EUROPEAN_ABOVE)
        if (
            european
            and numeraire == "usd"
            and tau.size
            and _distances(forward, strike, sigma, tau, option_type, buffers)
        ):
            np.divide(x, total_sd, out=d1)
            total_sd *= 0.5
            d1 += total_sd
            if math.isfinite(d1 @ d1):
                d1 *= option_type
                ndtr(d1, out=delta)
                delta *= option_type
                return delta
    return greeks(
        forward,
        strike,
        sigma,
        tau,
        option_type,
        with_price=False,
        settlement=settlement,
        numeraire=numeraire,
        inverse=inverse,
        out=buffers,
    ).delta


def _distances(forward: F64, strike: F64, sigma: F64, tau: F64, option_type: F64, buffers: GreekBuffers) -> bool:
    """Put ln(F/K), v and sqrt(T) into the scratch; False as soon as a reduction shows a row out of the ordinary.

    Each test fails on NaN. They let an infinite price or time and a strike of 0 through: those end in d1.
    """
    x, total_sd, root = buffers.scratch[:3]
    np.sqrt(tau, out=root)
    np.multiply(sigma, root, out=total_sd)
    np.subtract(forward, strike, out=x)  # exact near the money, where ln of a rounded quotient has lost its digits
    x /= strike
    ordinary = bool(
        np.minimum.reduce(total_sd) > _LEAST
        and np.maximum.reduce(sigma) <= MAX_SIGMA
        and np.minimum.reduce(x) > _LEAST_EXCESS
        and option_type @ option_type == option_type.shape[0]
    )
    if ordinary:
        np.log1p(x, out=x)
    return ordinary


def _in_one_pass(forward: F64, strike: F64, sigma: F64, tau: F64, option_type: F64, buffers: GreekBuffers) -> bool:
    """Fill the columns as if every row were in order; False if some are not.

    What _distances lets through leaves NaN or inf in gamma or volga, and one dot product of the two shows it.
    """
    if not _distances(forward, strike, sigma, tau, option_type, buffers):
        return False
    _closed_forms(forward, sigma, tau, option_type, buffers)
    if not math.isfinite(buffers.result.gamma @ buffers.result.volga):
        return False
    buffers.result.price.fill(np.nan)
    buffers.valid.fill(True)
    return True


def _closed_forms(forward: F64, sigma: F64, tau: F64, option_type: F64, buffers: GreekBuffers) -> None:
    """The seven closed forms, from ln(F/K), v and sqrt(T) in the scratch; leaves d1 and -d2 there.

    d2 is h - t, not d1 - v: one rounding less where vanna and charm change sign.
    """
    _, delta, gamma, vega, theta, vanna, charm, volga, _, _ = buffers.result
    x, total_sd, root, d1, minus_d2, density = buffers.scratch
    np.divide(1.0, total_sd, out=gamma)
    np.multiply(gamma, root, out=vanna)  # 1 / sigma
    x *= gamma  # h
    total_sd *= 0.5  # t
    np.add(x, total_sd, out=d1)
    np.subtract(total_sd, x, out=minus_d2)

    np.multiply(d1, d1, out=density)
    density *= -0.5
    np.exp(density, out=density)
    density *= INV_SQRT_2PI

    gamma *= density  # phi / (F v)
    gamma /= forward
    root *= forward
    np.multiply(root, density, out=vega)  # F phi sqrt T
    np.divide(-0.5, tau, out=theta)
    density *= minus_d2
    np.multiply(density, theta, out=charm)  # phi d2 / 2T
    theta *= vega  # -vega sigma / 2T
    theta *= sigma
    vanna *= density  # -phi d2 / sigma
    np.multiply(vanna, d1, out=volga)  # vega d1 d2 / sigma
    volga *= root
    np.negative(volga, out=volga)
    np.multiply(d1, option_type, out=delta)  # th N(th d1): the small tail of a put keeps its digits
    ndtr(delta, out=delta)
    delta *= option_type


def _valid_rows(forward: F64, strike: F64, sigma: F64, tau: F64, option_type: F64) -> Mask:
    infinite = np.inf
    return np.asarray(
        (forward > 0.0)
        & (forward < infinite)
        & (strike > 0.0)
        & (strike < infinite)
        & (sigma > 0.0)
        & (sigma <= MAX_SIGMA)
        & (tau >= 0.0)
        & (tau < infinite)
        & (np.abs(option_type) == 1.0)
    )


def _by_kind_of_row(
    forward: F64,
    strike: F64,
    sigma: F64,
    tau: F64,
    option_type: F64,
    adjusted: Mask | None,
    with_price: bool,
    buffers: GreekBuffers,
) -> None:
    """Fill the columns row kind by row kind: live, settled (no time left) and masked ones."""
    valid, columns = buffers.valid, buffers.columns
    live = valid & (tau > 0.0)
    settled = valid & ~live
    F, K = np.where(live, forward, 1.0), np.where(live, strike, 1.0)
    vol, time = np.where(live, sigma, 1.0).clip(_LEAST), np.where(live, tau, 1.0).clip(_LEAST, _MOST)
    th = np.where(valid, option_type, 1.0)
    x, total_sd, root, _, minus_d2, _ = buffers.scratch
    x[:] = log_moneyness(F, K)
    np.sqrt(time, out=root)
    np.multiply(vol, root, out=total_sd)
    columns[0] = black_price(F, K, total_sd, th) if with_price else np.nan
    _closed_forms(F, vol, time, th, buffers)

    pays = th * (forward - strike)
    in_the_money = 0.5 + 0.5 * np.sign(pays)
    columns[0, settled] = np.maximum(pays, 0.0)[settled] if with_price else np.nan
    columns[1, settled] = (th * in_the_money)[settled]
    columns[2:, settled] = 0.0
    if adjusted is not None:
        exercise = np.where(settled, in_the_money, ndtr(-th * minus_d2))
        _adjust_for_premium(forward, th * (strike / forward) * exercise, adjusted, columns)
    valid &= np.isfinite(columns[0 if with_price else 1 :]).all(axis=0)
    columns[:, ~valid] = np.nan


def _adjust_for_premium(forward: F64, adjusted_delta: F64, rows: Mask, columns: F64) -> None:
    """Turn delta into delta - V/F = th (K/F) N(th d2) on the given rows, and gamma, vanna, charm with it."""
    _, delta, gamma, vega, theta, vanna, charm, _ = columns
    delta[rows] = adjusted_delta[rows]
    gamma[rows] -= (adjusted_delta / forward)[rows]
    vanna[rows] -= (vega / forward)[rows]
    charm[rows] -= (theta / forward)[rows]
