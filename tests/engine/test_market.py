import math

import pytest

from dfmon.engine.market import MarketState
from dfmon.model.events import (
    BookLost,
    BookSnapshot,
    BookUpdate,
    Event,
    FutureTicker,
    Liquidation,
    Market,
    MarketTicker,
    MarketTrade,
)
from dfmon.model.frames import MarketFrame, VenueMarket
from dfmon.model.units import HOUR, MINUTE, NAN, SECOND
from tests.chains import NOW, SPOT

PERP = ("binance", Market.PERP, "BTC")


def book(
    bids: tuple[tuple[float, float], ...], asks: tuple[tuple[float, float], ...], kind: type = BookSnapshot
) -> Event:
    event: Event = kind(*PERP, NOW, bids, asks)
    return event


def freeze_after(*events: Event, ts_ns: int = NOW, recv_ns: int = NOW) -> MarketFrame:
    state = MarketState(("BTC",))
    for event in events:
        state.apply(event, recv_ns)
    return state.freeze("BTC", ts_ns)


def only_market(*events: Event, ts_ns: int = NOW) -> VenueMarket:
    (row,) = freeze_after(*events, ts_ns=ts_ns).markets
    return row


def test_snapshot_replaces_the_book_and_update_changes_single_levels() -> None:
    first = book(((99.0, 5.0), (98.0, 5.0)), ((101.0, 5.0),))
    second = book(((97.0, 1.0),), ((103.0, 1.0),))
    delta = book(((98.0, 2.0),), ((102.0, 2.0),), BookUpdate)
    assert only_market(first, second).mid == 100.0
    assert only_market(first, second, delta).mid == 100.0
    assert only_market(second, delta).mid == (98.0 + 102.0) / 2


def test_a_market_without_a_book_adds_its_volume_and_no_depth() -> None:
    linear = book(((99.5, 5.0),), ((100.5, 5.0),))
    inverse = MarketTicker("binance", Market.INVERSE, "BTC", NOW, last=100.0, volume_usd=7.0, funding_8h=1e-4)
    rows = freeze_after(linear, inverse).markets
    assert [(row.market.value, row.mid) for row in rows] == [("inverse", 100.0), ("perp", 100.0)]
    assert math.isnan(rows[0].depth_usd)
    assert (rows[0].volume_usd, rows[1].depth_usd) == (7.0, 500.0)


def test_size_zero_removes_a_level_also_one_that_was_never_there() -> None:
    delta = book(((99.0, 0.0), (90.0, 0.0)), (), BookUpdate)
    assert only_market(book(((99.0, 5.0), (97.0, 5.0)), ((101.0, 5.0),)), delta).mid == 99.0


@pytest.mark.parametrize(
    "crossed",
    [book(((101.0, 1.0),), ((100.0, 1.0),)), book(((100.0, 1.0),), ((100.0, 1.0),)), book((), ((100.0, 1.0),))],
)
def test_crossed_locked_or_one_sided_book_has_no_depth_and_leaves_the_mid_to_the_mark(crossed: Event) -> None:
    row = only_market(crossed, MarketTicker(*PERP, NOW, mark=77.0))
    assert math.isnan(row.depth_usd)
    assert row.mid == 77.0


def test_lost_book_is_not_used_until_the_next_snapshot() -> None:
    full_book = book(((99.0, 5.0),), ((101.0, 5.0),))
    assert math.isnan(only_market(full_book, BookLost(*PERP)).depth_usd)
    assert only_market(full_book, BookLost(*PERP), full_book).mid == 100.0


def test_losing_a_book_does_not_make_its_market_look_fresh() -> None:
    state = MarketState(("BTC",))
    state.apply(MarketTicker(*PERP, NOW, volume_usd=1.0), NOW)
    state.apply(BookLost(*PERP), NOW + 50 * SECOND)
    assert state.freeze("BTC", NOW + 60 * SECOND).markets[0].age_s == 60.0


def test_depth_is_the_mean_of_the_dollars_within_one_percent_on_both_sides() -> None:
    row = only_market(
        book(((999.0, 2.0), (990.0, 3.0), (989.0, 100.0)), ((1001.0, 1.0), (1010.0, 4.0), (1011.0, 100.0)))
    )
    assert row.mid == 1000.0
    assert row.depth_usd == pytest.approx((999.0 * 2 + 990.0 * 3 + 1001.0 * 1 + 1010.0 * 4) / 2)


def test_slow_facts_come_alone_and_stay() -> None:
    row = only_market(
        MarketTicker(*PERP, NOW, volume_usd=5e9), MarketTicker(*PERP, NOW, funding_8h=1e-4, open_interest_usd=1e9)
    )
    assert (row.volume_usd, row.funding_8h, row.open_interest_usd) == (5e9, 1e-4, 1e9)
    assert math.isnan(row.mid)


def test_perpetual_of_the_option_venue_is_a_market_and_its_dated_future_is_not() -> None:
    dated_future = FutureTicker("deribit", "F", "BTC", NOW + HOUR, NOW, mark=SPOT)
    perpetual = FutureTicker("deribit", "P", "BTC", 0, NOW, mark=SPOT, volume_usd=1e9, funding_8h=2e-4)
    row = only_market(dated_future, perpetual)
    assert (row.venue, row.market, row.mid, row.volume_usd, row.funding_8h) == ("deribit", "perp", SPOT, 1e9, 2e-4)


def test_markets_are_ordered_by_venue_whatever_came_first() -> None:
    events = [MarketTicker(v, m, "BTC", NOW, last=1.0) for v in ("okx", "binance") for m in (Market.SPOT, Market.PERP)]
    market_keys = [(row.venue, row.market.value) for row in freeze_after(*events).markets]
    assert market_keys == [("binance", "perp"), ("binance", "spot"), ("okx", "perp"), ("okx", "spot")]


def test_age_of_a_market_is_since_its_last_event() -> None:
    assert only_market(MarketTicker(*PERP, NOW, last=1.0), ts_ns=NOW + 90 * SECOND).age_s == 90.0


def test_liquidations_are_summed_by_side_over_the_hour_before_the_tick() -> None:
    state = MarketState(("BTC",))
    for minutes, side, usd in ((0, 1, 1e6), (1, -1, 2e6), (30, -1, 4e6), (61, 1, 8e6)):
        state.apply(Liquidation(*PERP, NOW, side, SPOT, usd), NOW + minutes * MINUTE)
    frame = state.freeze("BTC", NOW + HOUR)
    assert (frame.short_liquidated_usd, frame.long_liquidated_usd) == (0.0, 6e6)


@pytest.mark.parametrize("usd", [NAN, -1.0, math.inf])
def test_forced_order_without_an_amount_does_not_spoil_the_sums_of_the_hour(usd: float) -> None:
    events = Liquidation(*PERP, NOW, 1, SPOT, usd), Liquidation(*PERP, NOW, 1, SPOT, 5.0)
    assert freeze_after(*events).short_liquidated_usd == 5.0


def test_hours_of_forced_orders_are_kept_for_one_hour_and_sum_the_same() -> None:
    state, orders = MarketState(("BTC",)), []
    for step in range(6 * 60 * 4):  # one every fifteen seconds for six hours
        recv_ns, usd = NOW + step * MINUTE // 4, float(step % 7 + 1)
        state.apply(Liquidation(*PERP, NOW, 1, SPOT, usd), recv_ns)
        orders.append((recv_ns, usd))
        if step % 97 == 0:
            now = recv_ns + MINUTE // 8
            expected = sum(usd for recv_ns, usd in orders if now - 60 * MINUTE < recv_ns)
            assert state.freeze("BTC", now).short_liquidated_usd == expected
            assert len(state._liquidations["BTC"]) <= 240


def test_the_number_of_fills_of_a_print_changes_nothing() -> None:
    fills = [MarketTrade(*PERP, NOW, SPOT, size, 1) for size in (0.5, 1.0, 1.5)]
    assert freeze_after(*fills) == freeze_after(MarketTrade(*PERP, NOW, SPOT, 3.0, 1))


def test_markets_of_underlyings_nobody_asked_for_are_passed_over() -> None:
    assert freeze_after(MarketTicker("binance", Market.PERP, "SOL", NOW, last=1.0)).markets == ()


def test_best_quotes_stand_in_for_a_book_until_there_is_one() -> None:
    def quotes(bid: float, ask: float) -> MarketTicker:
        return MarketTicker("binance", Market.PERP, "BTC", NOW, last=90.0, bid=bid, ask=ask)

    assert only_market(quotes(99.0, 101.0)).mid == 100.0
    assert only_market(quotes(101.0, 99.0)).mid == 90.0, "crossed quotes are none"
    assert only_market(quotes(NAN, 99.0)).mid == 90.0


def test_a_quote_that_a_perpetuals_whole_state_leaves_out_is_gone() -> None:
    def state(bid: float) -> FutureTicker:
        return FutureTicker("deribit", "BTC-PERPETUAL", "BTC", 0, NOW, mark=100.5, bid=bid, ask=101.0)

    assert only_market(state(99.0)).mid == 100.0
    assert only_market(state(99.0), state(NAN)).mid == 100.5
