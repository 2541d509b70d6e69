"""Liquidity of the hedging venues: depth within 1 % (15-minute median), 24 h volume, funding."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from dfmon.core.scenario.rolling import RollingWindow
from dfmon.model.events import Market
from dfmon.model.frames import MarketFrame, VenueMarket
from dfmon.model.units import MINUTE, SECOND

MAX_MARKET_AGE_S: Final = 60.0  # older markets do not count
DEPTH_SAMPLE_NS: Final = 10 * SECOND
DEPTH_MEDIAN_NS: Final = 15 * MINUTE


@dataclass(frozen=True, slots=True)
class MarketView:
    """USD; None where no venue reports it. `funding_8h` is the mean of the perpetuals, weighted by open interest."""

    depth_usd: float | None
    adv_usd: float | None
    funding_8h: float | None
    markets: int
    depth: RollingWindow


def market_view(market: MarketFrame, depth: RollingWindow, ts_ns: int) -> MarketView:
    """Sums over the fresh markets of one underlying, and the depth window with this tick's sample.

    Depth is the median of fifteen minutes, since a single book can be empty for a moment.

    Units: USD. Domain: NaN of a venue leaves that venue out of that sum only.
    """
    live_markets = [row for row in market.markets if row.age_s <= MAX_MARKET_AGE_S]
    depths = [row.depth_usd for row in live_markets if math.isfinite(row.depth_usd)]
    if depths:
        total = math.fsum(depths)
        depth = depth.push(
            ts_ns, (total if total >= 1.0 else 0.0,)
        )  # depth below a dollar is none: ratios to it would overflow
    recent = depth.since(ts_ns - DEPTH_MEDIAN_NS)
    volumes = [row.volume_usd for row in live_markets if math.isfinite(row.volume_usd)]
    return MarketView(
        depth_usd=float(np.median(recent)) if recent.size else None,
        adv_usd=math.fsum(volumes) if volumes else None,
        funding_8h=_funding(live_markets),
        markets=len(live_markets),
        depth=depth,
    )


def _funding(rows: list[VenueMarket]) -> float | None:
    """Mean funding of the perpetuals; weighted by open interest where every one of them reports it."""
    with_funding = [r for r in rows if r.market is not Market.SPOT and math.isfinite(r.funding_8h)]
    if not with_funding:
        return None
    weights = [r.open_interest_usd for r in with_funding]
    if not all(w > 0.0 for w in weights):
        weights = [1.0] * len(with_funding)
    return math.fsum(w * r.funding_8h for w, r in zip(weights, with_funding)) / math.fsum(weights)
