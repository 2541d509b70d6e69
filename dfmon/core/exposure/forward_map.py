"""Hedge trades from now until a later hour at another spot, expiries dropping out on the way.

Comes after outlook, whose volatility moves with spot in the same way. An option that has expired by then has no hedge:
what is held against it has been lifted.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dfmon.core.exposure.bands import band_quantiles
from dfmon.core.exposure.outlook import MIN_SIGMA, BetaEstimate
from dfmon.core.exposure.reprice import MarketState, Options, open_share, unit_deltas
from dfmon.core.exposure.volatility_move import tenor_of
from dfmon.core.pricing.black import F64
from dfmon.core.pricing.settlement import HOUR


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
    average = np.where(np.isnan(state.average), state.forward, state.average)
    points = beta.value[tenor_of(state.tau)]
    forward = state.forward * (1.0 + moves[:, None])
    sigma = np.maximum(state.sigma + moves[:, None] * points, MIN_SIGMA)
    now = unit_deltas(options, state.forward[None], state.sigma[None], state.tau[None], average)
    hedge_now = np.nan_to_num(open_share(state.tau) * now)
    trade, low, high = (np.full((moves.size, hours.size), np.nan) for _ in range(3))
    for j, tau in enumerate(state.tau - hours[:, None] * HOUR):
        live = tau > 0.0
        hedge = np.zeros(forward.shape)
        terms = Options(options.strike[live], options.option_type[live], options.inverse[live], options.numeraire)
        later = np.broadcast_to(tau[live], (moves.size, int(live.sum())))
        delta = unit_deltas(terms, forward[:, live], sigma[:, live], later, average[live])
        hedge[:, live] = np.nan_to_num(open_share(tau[live]) * delta)
        unit = -forward * (hedge - hedge_now)
        trade[:, j] = unit @ position
        if members is not None:
            bounds = np.array([band_quantiles(sums) for sums in unit @ members]) - (unit @ position)[:, None]
            low[:, j], high[:, j] = trade[:, j] + bounds[:, 0], trade[:, j] + bounds[:, 1]
    return ForwardMap(moves, hours, trade, low, high)
