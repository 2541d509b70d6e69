"""Liquidity of the hedging venues: depth within 1 % (15-minute median), 24 h volume, funding.

A sum names the markets in it. Where a market of a connected venue is missing the sum is partial; where most are, there
is none: the share of hedging in a tenth of the volume would look ten times as large.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from dfmon.core.exposure.bands import median
from dfmon.core.freshness import FreshnessLimits
from dfmon.core.scenario.rolling import RollingWindow
from dfmon.model.events import Market
from dfmon.model.flip import Quality
from dfmon.model.frames import MarketFrame, VenueMarket
from dfmon.model.units import DAY, MINUTE, NAN, SECOND

MAX_MARKET_AGE_S: Final = 60.0  # older markets do not count
MAX_VOLUME_AGE_S: Final = DAY / SECOND  # a volume of 24 h says nothing of a later day
MIN_SHARE: Final = 0.5  # of the expected markets
DEPTH_SAMPLE_NS: Final = 10 * SECOND
DEPTH_MEDIAN_NS: Final = 15 * MINUTE


@dataclass(frozen=True, slots=True)
class MarketSum:
    """Sum over markets, USD, None where too few of them are known; the markets in it, and those without fresh data."""

    usd: float | None
    markets: tuple[str, ...]
    missing: tuple[str, ...]
    quality: Quality
    note: str = ""


@dataclass(frozen=True, slots=True)
class DepthHistory:
    """Depth of each market, USD, a column a market; NaN while its book was not usable."""

    markets: tuple[str, ...]
    window: RollingWindow  # (k, markets)

    @classmethod
    def empty(cls) -> DepthHistory:
        return cls((), RollingWindow.empty(DEPTH_SAMPLE_NS, DEPTH_MEDIAN_NS // DEPTH_SAMPLE_NS + 1, 0))

    def push(self, ts_ns: int, depths: Mapping[str, float]) -> DepthHistory:
        """The history with this sample, or the same one while the next sample is not due."""
        if not self.window.is_sample_due(ts_ns):
            return self
        added = tuple(sorted(set(depths) - set(self.markets)))
        markets, window = (*self.markets, *added), self.window
        if added:
            unknown = np.full((window.times.size, len(added)), NAN)
            values = np.concatenate([window.values, unknown], axis=1)
            window = RollingWindow(window.step_ns, window.rows, window.times, values)
        return DepthHistory(markets, window.push(ts_ns, tuple(depths.get(name, NAN) for name in markets)))

    def medians(self, ts_ns: int) -> dict[str, float]:
        """Median of the last fifteen minutes of each market with a sample in them, USD."""
        rows = self.window.since(ts_ns - DEPTH_MEDIAN_NS)
        known = ((name, column[np.isfinite(column)]) for name, column in zip(self.markets, rows.T))
        return {name: median(column) for name, column in known if column.size}

    def span_s(self, ts_ns: int) -> float:
        """Seconds that the samples of the last fifteen minutes cover."""
        first = self.window.first_since(ts_ns - DEPTH_MEDIAN_NS)
        return 0.0 if first is None else (ts_ns - first[0]) / SECOND


@dataclass(frozen=True, slots=True)
class MarketView:
    """Liquidity at one tick. `funding_8h` is the mean of the perpetuals, weighted by open interest."""

    depth: MarketSum
    volume: MarketSum
    funding_8h: float | None
    markets: int
    depth_history: DepthHistory

    @property
    def depth_usd(self) -> float | None:
        return self.depth.usd

    @property
    def adv_usd(self) -> float | None:
        return self.volume.usd


def market_view(market: MarketFrame, history: DepthHistory, ts_ns: int, limits: FreshnessLimits) -> MarketView:
    """Sums over the markets of one underlying, and the depth history with this tick's sample.

    Depth is the median of fifteen minutes of each market, since a single book can be empty for a moment. A volume over
    its age limit stays in the sum, which is partial then: it changes slowly, and leaving it out would be a jump.

    Units: USD. Domain: NaN of a market leaves that market out of that sum only.
    """
    rows = {_label(row.venue, row.market): row for row in market.markets}
    depths = {
        name: row.depth_usd
        for name, row in rows.items()
        if math.isfinite(row.depth_usd) and row.book_age_s <= limits.depth_s
    }
    if depths:
        history = history.push(ts_ns, depths)
    volumes = {
        name: row.volume_usd
        for name, row in rows.items()
        if math.isfinite(row.volume_usd) and row.volume_age_s <= MAX_VOLUME_AGE_S
    }
    old_volumes = {name for name in volumes if not rows[name].volume_age_s <= limits.volumes_s}
    live_markets = [row for row in market.markets if row.age_s <= MAX_MARKET_AGE_S]
    books = [_label(expected.venue, expected.market) for expected in market.expected if expected.has_book]
    tickers = [_label(expected.venue, expected.market) for expected in market.expected if expected.has_volume]
    is_warming = history.span_s(ts_ns) < (DEPTH_MEDIAN_NS - 2 * DEPTH_SAMPLE_NS) / SECOND
    return MarketView(
        depth=_depth_sum(history.medians(ts_ns), books, set(depths), is_warming=is_warming),
        volume=_market_sum(volumes, tickers, set(volumes) - old_volumes),
        funding_8h=_funding(live_markets),
        markets=len(live_markets),
        depth_history=history,
    )


def _label(venue: str, market: Market) -> str:
    return f"{venue} {market}"


def _depth_sum(medians: Mapping[str, float], expected: Sequence[str], live: set[str], *, is_warming: bool) -> MarketSum:
    total = _market_sum(medians, expected, live)
    if total.usd is None:
        return total
    # depth below a dollar is none: ratios to it would overflow
    return MarketSum(
        total.usd if total.usd >= 1.0 else 0.0,
        total.markets,
        total.missing,
        "partial" if is_warming else total.quality,
        "its median is not yet of 15 minutes" if is_warming else "",
    )


def _market_sum(usd: Mapping[str, float], expected: Sequence[str], live: set[str]) -> MarketSum:
    """Sum over markets; `live` are those whose data are not too old."""
    names = tuple(sorted(usd))
    missing = tuple(name for name in sorted({*expected, *names}) if name not in live)
    reported = sum(name in usd for name in expected)
    if not usd or reported < MIN_SHARE * len(expected):
        return MarketSum(None, names, missing, "absent")
    return MarketSum(math.fsum(usd.values()), names, missing, "partial" if missing else "ok")


def _funding(rows: list[VenueMarket]) -> float | None:
    """Mean funding of the perpetuals; weighted by open interest where every one of them reports it."""
    with_funding = [r for r in rows if r.market is not Market.SPOT and math.isfinite(r.funding_8h)]
    if not with_funding:
        return None
    weights = [r.open_interest_usd for r in with_funding]
    if not all(w > 0.0 for w in weights):
        weights = [1.0] * len(with_funding)
    return math.fsum(w * r.funding_8h for w, r in zip(weights, with_funding)) / math.fsum(weights)
