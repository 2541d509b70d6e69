from dataclasses import replace

import pytest

from dfmon.core.scenario.liquidity import DEPTH_MEDIAN_NS, DEPTH_SAMPLE_NS, MarketView, market_view
from dfmon.core.scenario.rolling import RollingWindow
from dfmon.model.events import Market
from dfmon.model.frames import MarketFrame, VenueMarket
from dfmon.model.units import MINUTE, NAN, SECOND
from tests.chains import NOW, market

EMPTY = RollingWindow.empty(DEPTH_SAMPLE_NS, DEPTH_MEDIAN_NS // DEPTH_SAMPLE_NS + 1, 1)
ROW = VenueMarket("a", Market.PERP, 100.0, 1e6, 1e9, 2e8, 1e-4, 100.0, 0.0, 0.0, 0.0)


def view(*rows: VenueMarket, depth: RollingWindow = EMPTY, ts_ns: int = NOW) -> MarketView:
    return market_view(MarketFrame(rows, 0.0, 0.0), depth, ts_ns)


def test_sums_run_over_all_markets() -> None:
    view_now = view(ROW, replace(ROW, venue="b", depth_usd=2e6, volume_usd=3e9))
    assert (view_now.depth_usd, view_now.adv_usd, view_now.markets) == (3e6, 4e9, 2)


def test_nothing_said_is_none_not_zero() -> None:
    view_now = view()
    assert (view_now.depth_usd, view_now.adv_usd, view_now.funding_8h, view_now.markets) == (None, None, None, 0)


def test_stale_market_does_not_count() -> None:
    view_now = view(ROW, replace(ROW, venue="b", age_s=61.0))
    assert (view_now.depth_usd, view_now.adv_usd, view_now.markets) == (1e6, 1e9, 1)


def test_nan_leaves_a_market_out_of_that_sum_only() -> None:
    view_now = view(ROW, replace(ROW, venue="b", depth_usd=NAN))
    assert (view_now.depth_usd, view_now.adv_usd) == (1e6, 2e9)


def test_depth_is_the_median_of_fifteen_minutes_so_a_blink_does_not_move_it() -> None:
    depth = EMPTY
    for i, usd in enumerate([1e6, 1e6, 5.0, 1e6]):
        depth = view(replace(ROW, depth_usd=usd), depth=depth, ts_ns=NOW + i * DEPTH_SAMPLE_NS).depth
    assert view(replace(ROW, depth_usd=5.0), depth=depth, ts_ns=NOW + 4 * DEPTH_SAMPLE_NS).depth_usd == 1e6


def test_less_than_a_dollar_is_no_depth() -> None:
    assert view(replace(ROW, depth_usd=1e-303)).depth_usd == 0.0
    assert view(replace(ROW, depth_usd=1.0)).depth_usd == 1.0


def test_depth_is_forgotten_after_fifteen_minutes() -> None:
    depth = view(ROW).depth
    gone = replace(ROW, depth_usd=NAN)
    assert view(gone, depth=depth, ts_ns=NOW + 15 * MINUTE).depth_usd == 1e6
    assert view(gone, depth=depth, ts_ns=NOW + 15 * MINUTE + SECOND).depth_usd is None


def test_funding_is_weighted_by_open_interest_where_all_say_it_and_plain_where_not() -> None:
    other = replace(ROW, venue="b", funding_8h=4e-4, open_interest_usd=6e8)
    spot = replace(ROW, market=Market.SPOT, funding_8h=9.0)
    assert view(ROW, other, spot).funding_8h == pytest.approx((1e-4 * 2 + 4e-4 * 6) / 8)
    assert view(ROW, replace(other, open_interest_usd=NAN)).funding_8h == pytest.approx(2.5e-4)
    assert view(ROW, replace(other, market=Market.INVERSE), spot).funding_8h == view(ROW, other).funding_8h


def test_builder_market_is_complete() -> None:
    view_now = market_view(market(depth=5.0, volume=24.0), EMPTY, NOW)
    assert (view_now.depth_usd, view_now.adv_usd) == (5.0, 24.0)
