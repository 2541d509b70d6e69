"""Hedge trades from now until a later hour at another spot, expiries dropping out on the way.

Comes after outlook, whose volatility moves with spot in the same way. An option that has expired by then has no hedge:
what is held against it has been lifted.

A map has a million deltas and is looked at in steps of colour. In dollars they are priced in single precision, calls
and puts of a strike at once, by an approximation of the normal distribution: to some millionths of the gross hedge.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dfmon.core.exposure.bands import BAND_QUANTILES
from dfmon.core.exposure.outlook import MIN_SIGMA, BetaEstimate
from dfmon.core.exposure.reprice import MarketState, Options, open_share, unit_deltas
from dfmon.core.exposure.volatility_move import tenor_of
from dfmon.core.pricing.black import F64, Mask
from dfmon.core.pricing.settlement import HOUR, settlement_terms

F32: TypeAlias = NDArray[np.float32]
HedgesAt: TypeAlias = Callable[[float], F64 | F32]

_NORMAL: Final = (0.797869713, 0.036392284, -8.78250645e-05, -3.66937682e-05, 1.42502621e-06)
"""N(d) = (1 + tanh(d p(d^2))) / 2 with these coefficients of p: to 1.5e-6, fitted for the largest error."""
_SETTLED: Final = 1e-14  # years: what is settled has the sign of its moneyness


class ForwardMap(NamedTuple):
    """Trade by move of spot and hours ahead, USD, + = dealers buy, with its 5-95 % band, NaN without members.

    `moves` (m,) are fractions of spot, `hours` (h,); `trade`, `lo` and `hi` are (m, h).
    """

    moves: F64
    hours: F64
    trade: F64
    lo: F64
    hi: F64


def forward_map(
    options: Options,
    state: MarketState,
    beta: BetaEstimate,
    book: tuple[F64, F64 | None],
    moves: F64,
    hours: F64,
) -> ForwardMap:
    """The map of a book, its mean positions and its members, in coins.

    The average of a settlement under way is taken as it is.

    Units: as the results. Shapes: (n,), positions (n,) and members (n, M). Domain: an option that cannot be priced
    has no trade. Source: delta hedging of each option on its own forward.
    """
    position, members = book
    books = position[:, None] if members is None else np.column_stack([position, members])
    average = np.where(np.isnan(state.average), state.forward, state.average)
    priced = np.flatnonzero((state.forward > 0.0) & (state.sigma > 0.0) & np.isfinite(state.sigma) & (state.tau > 0.0))
    terms = _rows(options, priced)
    market = MarketState(state.forward[priced], state.sigma[priced], state.tau[priced], average[priced])
    points, dollars = beta.value[tenor_of(market.tau)], market.forward[:, None] * books[priced]
    now = unit_deltas(terms, market.forward[None], market.sigma[None], market.tau[None], market.average)[0]
    hedge_now = np.nan_to_num(open_share(market.tau) * now) @ dollars
    hedges_at = (_approximated if options.numeraire == "usd" else _repriced)(terms, market, points, dollars, moves)
    factor = -(1.0 + moves)
    hedges = np.array([hedges_at(hour) - hedge_now.astype(np.float32) for hour in hours.tolist()])
    hedges[np.ix_(hours == 0.0, moves == 0.0)] = 0.0  # nothing has changed; single precision leaves a remainder
    trade = factor[:, None] * hedges[:, :, 0].T
    low, high = np.full(trade.shape, np.nan), np.full(trade.shape, np.nan)
    if members is not None:
        high, low = (factor[:, None] * bound.T for bound in _quantiles(hedges[:, :, 1:]))  # the factor is negative
    return ForwardMap(moves, hours, trade, low, high)


def _rows(options: Options, at: NDArray[np.intp] | Mask) -> Options:
    return Options(options.strike[at], options.option_type[at], options.inverse[at], options.numeraire)


def _quantiles(values: F64 | F32) -> tuple[F64, F64]:
    """5 and 95 % quantiles over the last axis, as `band_quantiles` has them. A sort in single precision is cheap."""
    ordered = np.sort(values.astype(np.float32), axis=-1).astype(np.float64)
    last = values.shape[-1] - 1
    out = []
    for position in (quantile * last for quantile in BAND_QUANTILES):
        below, above = ordered[..., int(position)], ordered[..., min(int(position) + 1, last)]
        out.append(below + (position - int(position)) * (above - below))
    return out[0], out[1]


def _repriced(terms: Options, market: MarketState, points: F64, dollars: F64, moves: F64) -> HedgesAt:
    """Hedge of each book by move, USD at the forwards of now, from every option's own delta."""
    forward = market.forward * (1.0 + moves[:, None])
    sigma = np.maximum(market.sigma + moves[:, None] * points, MIN_SIGMA)

    def hedges_at(hour: float) -> F64:
        tau = market.tau - hour * HOUR
        live = tau > 0.0
        alive = _rows(terms, live)
        later = np.broadcast_to(tau[live], (moves.size, int(live.sum())))
        delta = unit_deltas(alive, forward[:, live], sigma[:, live], later, market.average[live])
        hedges: F64 = np.nan_to_num(open_share(tau[live]) * delta) @ dollars[live]
        return hedges

    return hedges_at


def _approximated(terms: Options, market: MarketState, points: F64, dollars: F64, moves: F64) -> HedgesAt:
    """The same by the approximation. With x = ln F/K and s = sigma, both at the moved spot, d1 is x/s / sqrt T + s/2
    sqrt T, and only sqrt T changes with the hour. The delta of a put is that of its call less 1.
    """
    columns = np.array([market.tau, terms.strike, market.forward, market.sigma, market.average, points])
    distinct, code = np.unique(columns, axis=1, return_inverse=True)
    tau, strike, forward, sigma, average, points = distinct
    both, puts = (np.zeros((tau.size, dollars.shape[1])) for _ in range(2))
    np.add.at(both, code.ravel(), dollars)
    np.add.at(puts, code.ravel()[terms.option_type < 0.0], dollars[terms.option_type < 0.0])
    moved_sigma = np.maximum(sigma + moves[:, None] * points, MIN_SIGMA)
    log_forward = np.log(forward * (1.0 + moves[:, None]))
    half = (0.5 * both).astype(np.float32)
    constant = 0.5 * both - puts
    after = np.cumsum(constant[::-1], axis=0)[::-1]  # the sum of the columns from each one on
    constant_from = np.vstack([after, np.zeros(dollars.shape[1])]).astype(np.float32)
    half_sigma, x_by_sigma = (0.5 * moved_sigma).astype(np.float32), _by_sigma(log_forward, strike, moved_sigma)

    def hedges_at(hour: float) -> F32:
        first = int(np.searchsorted(tau, hour * HOUR, side="right"))  # the columns ascend in time
        live = slice(first, None)
        later = settlement_terms(forward[live], strike[live], tau[live] - hour * HOUR, average[live])
        x = x_by_sigma[:, live]
        if (
            in_window := np.flatnonzero(later.strike != strike[live])
        ).size:  # in their window: the fixings move the strike
            x = x.copy()
            x[:, in_window] = _by_sigma(
                log_forward[:, live][:, in_window], later.strike[in_window], moved_sigma[:, live][:, in_window]
            )
        root = np.sqrt(np.maximum(later.tau, _SETTLED)).astype(np.float32)
        d = half_sigma[:, live] * root
        d += x / root
        if later.share.min(initial=1.0) == 1.0:
            return np.asarray(_central_probability(d) @ half[live] + constant_from[first])
        weights = half[live] * later.share[:, None].astype(np.float32)
        return np.asarray(_central_probability(d) @ weights + (later.share @ constant[live]).astype(np.float32))

    return hedges_at


def _by_sigma(log_forward: F64, strike: F64, sigma: F64) -> F32:
    """ln(F/K) over sigma; far in the money where the fixings have passed the strike."""
    with np.errstate(divide="ignore", invalid="ignore"):
        x = np.where(strike > 0.0, log_forward - np.log(np.maximum(strike, 0.0)), np.inf)
    return np.asarray(x / sigma, np.float32)


@np.errstate(over="ignore")  # far out the polynomial is infinite, and its tanh 1
def _central_probability(d: F32) -> F32:
    """2 N(d) - 1, which is odd."""
    z = d * d
    out = np.full_like(d, _NORMAL[-1])
    for coefficient in reversed(_NORMAL[:-1]):
        out *= z
        out += np.float32(coefficient)
    out *= d
    return np.tanh(out, out)
