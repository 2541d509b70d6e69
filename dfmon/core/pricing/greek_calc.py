"""Black-76 greeks of a whole chain in one pass over columns: price, delta, gamma, vega, theta, vanna, charm, volga.

Greeks are per one option on one unit of underlying, in the quote currency, r = 0. A bad row is masked and counted,
never raised. Above 300 % volatility nothing changes: all is written in h = ln(F/K)/v and t = v/2, with
v = sigma sqrt(T).
"""

from __future__ import annotations

from typing import Literal, TypeAlias, TypeVar

import numpy as np

from dfmon.core.pricing import compiled
from dfmon.core.pricing.black import F64, Mask, black_price, log_moneyness
from dfmon.core.pricing.closed_forms import (
    MAX_CLAMP,
    MIN_CLAMP,
    fill_delta,
    fill_density,
    fill_distances,
    fill_log_moneyness,
    fill_sensitivities,
)
from dfmon.core.pricing.greek_buffers import GreekBuffers, Greeks
from dfmon.core.pricing.normal import SQRT_2, cdf
from dfmon.core.pricing.orderly_chain import fill_orderly, valid_option_types
from dfmon.core.pricing.settlement import EUROPEAN_ABOVE, Settlement, settlement_terms
from dfmon.core.pricing.workspace import MAX_SIGMA, sizes_in_domain

Numeraire: TypeAlias = Literal["usd", "coin"]
_ChainColumns: TypeAlias = tuple[F64, F64, F64, F64, F64]
_Column = TypeVar("_Column", F64, Mask)


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
    its derivatives; price, vega, theta and volga stay. Where calls and puts alternate or stand half a chain apart and
    all agree, each pair is priced once.

    Units: forward, strike in quote currency; sigma 1.00 = 100 %; tau in years ACT/365; option type +1 call, -1 put.
    Shapes: (n,) float64 each -> columns (n,); with `out` they are views that the next call overwrites.
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
    columns = forward, strike, sigma, tau, option_type
    if not buffers.tiles:
        return _tile(*columns, with_price, settlement, average, numeraire, inverse, buffers)
    invalid = 0
    for tile in buffers.tiles:
        at = tile.at
        tile_chain, tile_average = _slice_chain(columns, at), _slice_column(average, at)
        rows = _slice_column(inverse, at)
        invalid += _tile(*tile_chain, with_price, settlement, tile_average, numeraire, rows, tile).invalid
    return buffers.result._replace(invalid=invalid)


def _tile(
    forward: F64,
    strike: F64,
    sigma: F64,
    tau: F64,
    option_type: F64,
    with_price: bool,
    settlement: Settlement,
    average: F64 | None,
    numeraire: Numeraire,
    inverse: Mask | None,
    buffers: GreekBuffers,
) -> Greeks:
    """`greeks` of so many options as have scratch: by the compiled loop, in one pass of numpy, or by kind of row."""
    european = settlement == "instant" or bool(np.minimum.reduce(tau) >= EUROPEAN_ABOVE)
    terms = None if european else settlement_terms(forward, strike, tau, average)
    K, T = (strike, tau) if terms is None else (terms.strike, terms.tau)
    result = buffers.result
    buffers.single_pass = numeraire == "usd" and _fill_single_pass(
        forward, K, sigma, T, option_type, with_price, buffers
    )
    if not buffers.single_pass:
        np.copyto(buffers.valid, _valid_rows(forward, strike, sigma, tau, option_type))
        rows = None if numeraire == "usd" else np.ones(tau.shape, dtype=np.bool_) if inverse is None else inverse
        _fill_by_row_kind(forward, K, sigma, T, option_type, rows, with_price, buffers)
        result = result._replace(invalid=tau.shape[0] - int(np.count_nonzero(buffers.valid)))
    if terms is not None and np.minimum.reduce(terms.share) < 1.0:
        buffers.columns *= terms.share
    return result


def _slice_chain(chain: _ChainColumns, at: slice) -> _ChainColumns:
    forward, strike, sigma, tau, option_type = chain
    return forward[at], strike[at], sigma[at], tau[at], option_type[at]


def _slice_column(column: _Column | None, at: slice) -> _Column | None:
    return None if column is None else column[at]


def delta_only(
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
    >>> delta_only(105 * one, 100 * one, 0.36 * one, 0.5 * one, one).round(4).tolist()  # Haug: 0.5946 e^(0.1/2)
    [0.6251]
    """
    buffers = GreekBuffers(forward.shape[0]) if out is None else out
    columns = forward, strike, sigma, tau, option_type
    for tile in buffers.tiles or (buffers,):
        tile_chain, rows = _slice_chain(columns, tile.at), _slice_column(inverse, tile.at)
        if numeraire != "usd" or not _fill_delta_single_pass(*tile_chain, settlement, tile):
            greeks(*tile_chain, with_price=False, settlement=settlement, numeraire=numeraire, inverse=rows, out=tile)
    return buffers.result.delta


@np.errstate(all="ignore")
def _fill_delta_single_pass(
    forward: F64, strike: F64, sigma: F64, tau: F64, option_type: F64, settlement: Settlement, buffers: GreekBuffers
) -> bool:
    """Fills the delta as if every row were in order; False if some are not, or settle already."""
    if not tau.size:
        return False
    terms = None if settlement == "instant" else settlement_terms(forward, strike, tau)
    K, T = (strike, tau) if terms is None else (terms.strike, terms.tau)
    work = buffers.work
    if terms is not None and np.minimum.reduce(terms.share) < 1.0:
        return False
    kernels = compiled.active_kernels()
    if kernels is not None and kernels.fill_delta(forward, K, sigma, T, option_type, buffers.result.delta):
        return True
    if not valid_option_types(option_type):
        return False
    fill_log_moneyness(forward, K, work)
    fill_distances(forward, sigma, T, work)
    if sizes_in_domain(sigma, work) is None:
        return False
    fill_delta(option_type, work, buffers.result.delta)
    return True


def _fill_single_pass(
    forward: F64, strike: F64, sigma: F64, tau: F64, option_type: F64, with_price: bool, buffers: GreekBuffers
) -> bool:
    """Fills the columns by the compiled loop or by numpy, as if every row were in order; False if some are not."""
    kernels, rows = compiled.active_kernels(), buffers.rows
    columns = forward, strike, sigma, tau, option_type
    if kernels is None:
        filled = False
    elif with_price:
        filled = kernels.fill_priced(*columns, rows)
    else:
        filled = kernels.fill_greeks(*columns, rows, buffers.work.x)
        buffers.result.price.fill(np.nan)
    if not (filled or fill_orderly(*columns, with_price, buffers)):
        return False
    buffers.valid.fill(True)
    return True


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


@np.errstate(all="ignore")
def _fill_by_row_kind(
    forward: F64,
    strike: F64,
    sigma: F64,
    tau: F64,
    option_type: F64,
    premium_adjusted: Mask | None,
    with_price: bool,
    buffers: GreekBuffers,
) -> None:
    """Fills the columns row kind by row kind: live, settled (no time left) and masked ones."""
    valid, columns = buffers.valid, buffers.columns
    live = valid & (tau > 0.0)
    settled = valid & ~live
    F, K = np.where(live, forward, 1.0), np.where(live, strike, 1.0)
    vol, time = np.where(live, sigma, 1.0).clip(MIN_CLAMP), np.where(live, tau, 1.0).clip(MIN_CLAMP, MAX_CLAMP)
    th = np.where(valid, option_type, 1.0)
    work = buffers.work
    work.x[:] = log_moneyness(F, K)
    fill_distances(F, vol, time, work)
    fill_density(work)
    columns[0] = black_price(F, K, vol * np.sqrt(time), th) if with_price else np.nan
    fill_sensitivities(F, vol, work, buffers.rows)
    columns[1] = th * cdf(SQRT_2 * th * work.d1)

    payoff = th * (forward - strike)
    in_the_money = 0.5 + 0.5 * np.sign(payoff)
    columns[0, settled] = np.maximum(payoff, 0.0)[settled] if with_price else np.nan
    columns[1, settled] = (th * in_the_money)[settled]
    columns[2:, settled] = 0.0
    if premium_adjusted is not None:
        exercise = np.where(settled, in_the_money, cdf(-SQRT_2 * th * work.minus_d2))
        _adjust_for_premium(forward, th * (strike / forward) * exercise, premium_adjusted, columns)
    valid &= np.isfinite(columns[0 if with_price else 1 :]).all(axis=0)
    columns[:, ~valid] = np.nan


def _adjust_for_premium(forward: F64, adjusted_delta: F64, rows: Mask, columns: F64) -> None:
    """Turns delta into delta - V/F = th (K/F) N(th d2) on the given rows, and gamma, vanna, charm with it."""
    _, delta, gamma, vega, theta, vanna, charm, _ = columns
    delta[rows] = adjusted_delta[rows]
    gamma[rows] -= (adjusted_delta / forward)[rows]
    vanna[rows] -= (vega / forward)[rows]
    charm[rows] -= (theta / forward)[rows]
