"""State that all books of an underlying share: scale of the hourly moves, volume profile, liquidations, feeds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from dfmon.core.scenario.features import HourMarket
from dfmon.core.scenario.feed_incidents import FeedWatch, watch_feeds
from dfmon.core.scenario.hpp_score import remembered_sign
from dfmon.core.scenario.move_scale import MEAN_SIZE_OF_NORMAL, MoveScale, update_move_scale
from dfmon.core.scenario.rules import MIN_LIQUIDATIONS
from dfmon.core.scenario.thresholds import Levels, ThresholdSeries, update_thresholds, with_prior
from dfmon.core.scenario.tick_result import BoardTick
from dfmon.core.scenario.volume_profile import VolumeProfile, track_volume
from dfmon.model.units import HOUR, MINUTE, NAN, SECOND, YEAR

LIQUIDATIONS_PHASE_NS: Final = 59 * MINUTE  # of the hour: its thresholds are re-read at another tick than the books'


@dataclass(frozen=True, slots=True)
class HourState:
    """`ds_sign` is the sign of the last move of spot that left its dead band."""

    scale: MoveScale
    ds_sign: int
    profile: VolumeProfile
    liquidations: ThresholdSeries
    feeds: FeedWatch

    @classmethod
    def initial(cls) -> HourState:
        floor = Levels(MIN_LIQUIDATIONS, MIN_LIQUIDATIONS, MIN_LIQUIDATIONS)
        liquidations = ThresholdSeries.initial(floor)
        return cls(MoveScale.initial(), 0, VolumeProfile.initial(), liquidations, FeedWatch.initial())


def update_hour(
    state: HourState, tick: BoardTick, mean_points_prior: float, liquidations_prior: float
) -> tuple[HourState, HourMarket]:
    """The state after this tick, and the market of the hour. Stale inputs add no sample.

    `mean_points_prior` is the mean size of an hourly volatility move before it is measured, points.
    """
    ts_ns, moves = tick.chain.ts_ns, tick.spot_moves
    is_fresh = not tick.freshness.stale
    sigma_pct = 100.0 * tick.sigma * math.sqrt(HOUR / YEAR)
    ret_pct = None if moves.ret_1h is None else 100.0 * moves.ret_1h
    points = tick.moves.points_1h
    scale = update_move_scale(
        state.scale,
        ts_ns,
        sigma_pct,
        ret_pct if is_fresh else None,
        points if is_fresh else None,
        mean_points_prior / MEAN_SIZE_OF_NORMAL,
    )
    ds_sign = remembered_sign(state.ds_sign, moves.ret_15m, tick.sigma, moves.span_s * SECOND / YEAR)
    flows = [market.flow for market in tick.market.markets]
    traded_usd = math.fsum(flow.buy_usd + flow.sell_usd for flow in flows)
    profile = track_volume(state.profile, ts_ns, traded_usd, max((flow.since_ns for flow in flows), default=0))
    market = _hour_market(tick, profile, scale, sigma_pct)
    prior = Levels(liquidations_prior, liquidations_prior, liquidations_prior)
    share = (market.liquidated_up + market.liquidated_down) / market.volume
    liquidations = update_thresholds(
        with_prior(state.liquidations, prior),
        ts_ns,
        share if is_fresh and math.isfinite(share) else None,
        LIQUIDATIONS_PHASE_NS,
    )
    return HourState(scale, ds_sign, profile, liquidations, watch_feeds(state.feeds, tick.feeds, ts_ns)), market


def _hour_market(tick: BoardTick, profile: VolumeProfile, scale: MoveScale, sigma_pct: float) -> HourMarket:
    adv, depth, z = tick.liquidity.adv_usd, tick.liquidity.depth_usd, tick.spot_moves.z_1h
    points = tick.moves.points_1h
    return HourMarket(
        # below a dollar an hour is no volume: shares of it would overflow
        volume=adv / 24.0 * profile.factor(tick.chain.ts_ns) if adv and adv >= 24.0 else NAN,
        depth=depth or NAN,
        sigma_pct=sigma_pct,
        z=NAN if z is None else z,
        points=NAN if points is None else points,
        mean_z=scale.mean_return / sigma_pct if sigma_pct > 0.0 else NAN,
        mean_points=scale.mean_points if scale.set_ns else NAN,
        liquidated_up=tick.market.short_liquidated_usd,
        liquidated_down=tick.market.long_liquidated_usd,
    )
