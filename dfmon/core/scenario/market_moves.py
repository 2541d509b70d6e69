"""Moves of the board over a quarter of an hour and an hour, option by option: what all position models share.

Comes after the columns and the pricing of a tick, before its books. `measure_market_moves` gives the hedge trades of
one coin (weighed by `book_history` with each book) and the fixed-strike changes of volatility. The hourly change is
what hedge pressure and the thresholds are scaled by: `points_1h` is None until an hour without a gap was seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from dfmon.core.columns import Columns
from dfmon.core.exposure.hedge_flow import HedgeUnits, LiveOptions, hedge_units
from dfmon.core.exposure.market_window import SAMPLE_NS, MarketWindow, Moment
from dfmon.core.exposure.option_window import pick
from dfmon.core.exposure.outlook import BetaEstimate, Case, OutlookUnits, outlook_cases, outlook_units
from dfmon.core.exposure.reprice import MarketState, Options
from dfmon.core.exposure.volatility_move import VolatilityMove, volatility_move
from dfmon.core.pricing.greek_calc import Numeraire
from dfmon.core.pricing.pairing import PricingPoints
from dfmon.model.frames import F64, ChainFrame
from dfmon.model.units import HOUR, MINUTE, SECOND

LOOKBACK_NS: Final = 15 * MINUTE
MIN_LOOKBACK_NS: Final = MINUTE  # no move before that


@dataclass(frozen=True, slots=True)
class MarketMoves:
    """Moves up to this tick, and trades of one coin.

    `hedge` and `quarter` are since 15 minutes ago, or since the window began if that is later. `outlook` is None for an
    empty board, `beta` the beta of volatility that it moves with.
    """

    hedge: HedgeUnits | None
    quarter: VolatilityMove | None
    hour: VolatilityMove | None
    outlook: OutlookUnits | None
    beta: BetaEstimate

    @property
    def points_15m(self) -> float | None:
        """Vega-weighted change of volatility at fixed strikes over the quarter of an hour, points."""
        return None if self.quarter is None else self.quarter.points

    @property
    def points_1h(self) -> float | None:
        """The same over a full hour."""
        return None if self.hour is None else self.hour.points


def measure_market_moves(
    window: MarketWindow,
    chain: ChainFrame,
    cols: Columns,
    vega: F64,
    points: PricingPoints,
    beta: BetaEstimate,
    sigma: float,
    numeraire: Numeraire,
) -> MarketMoves:
    """Moves of the priceable options against the samples of `window`, to which this frame was pushed.

    Units: `vega` USD per point of +1 coin at each of the `points`, `sigma` of a day decimal. Shapes: (k,) of `cols`.
    Domain: any board; an empty one does not move.
    """
    if not cols.size:
        return MarketMoves(None, None, None, None, beta)
    live = live_options(chain, cols, window, numeraire, points)
    weight = vega[points.point] * cols.open_interest
    quarter = window.moment(chain.ts_ns - LOOKBACK_NS)
    if quarter is not None and chain.ts_ns - quarter.ts_ns < MIN_LOOKBACK_NS:
        quarter = None
    hour = window.moment(chain.ts_ns - HOUR)
    if hour is not None and chain.ts_ns - hour.ts_ns < HOUR - SAMPLE_NS:
        hour = None
    return MarketMoves(
        hedge=None if quarter is None else hedge_units(live, window, quarter),
        quarter=_volatility_move(live, quarter, weight),
        hour=_volatility_move(live, hour, weight),
        outlook=_outlook_units(live, outlook_cases(sigma), beta),
        beta=beta,
    )


def _outlook_units(live: LiveOptions, cases: tuple[Case, ...], beta: BetaEstimate) -> OutlookUnits:
    """Trades of one coin of each option: a call trades as its put, so that each point is priced once."""
    at, (strike, option_type, inverse, numeraire) = live.points.option, live.options
    options = Options(strike[at], option_type[at], inverse[at], numeraire)
    units = outlook_units(options, MarketState(*(column[at] for column in live.state)), cases, beta)
    rows = (column[:, live.points.point] for column in (units.full, units.spot, units.beta_shift))
    return OutlookUnits(cases, *rows)


def live_options(
    chain: ChainFrame, cols: Columns, window: MarketWindow, numeraire: Numeraire, points: PricingPoints
) -> LiveOptions:
    """The priceable options of a tick, whose frame is the newest of `window`."""
    average = np.full(cols.size, np.nan) if cols.average is None else cols.average
    key = window.frame_key[cols.rows]
    return LiveOptions(
        ts_ns=chain.ts_ns,
        venue_ns=chain.venue_ns,
        key=key,
        printed=window.frame_printed[cols.rows],
        options=Options(cols.strike, cols.option_type, chain.inverse[cols.rows], numeraire),
        state=MarketState(cols.forward, cols.sigma, cols.tau, average),
        expiry_ns=chain.expiry_ns[cols.rows],
        is_new=chain.full_history[cols.rows],
        column=window.samples.find(key),
        points=points,
    )


def _volatility_move(live: LiveOptions, then: Moment | None, weight: F64) -> VolatilityMove | None:
    if then is None:
        return None
    before = pick(then.forward, live.column), pick(then.sigma, live.column)
    span_s = (live.ts_ns - then.ts_ns) / SECOND
    return volatility_move(before, (live.state.forward, live.state.sigma), live.state.tau, weight, span_s)
