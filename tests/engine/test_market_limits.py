"""Markets and their flow at the boundaries: levels at 1 %, the edges of the hour, a clock set back, equal times."""

from __future__ import annotations

import math

import pytest

from dfmon.engine.market import LocalBook, MarketState
from dfmon.engine.order_flow import Asks, Bids
from dfmon.model.events import BookLost, BookSnapshot, Event, Liquidation, Market, MarketTicker, MarketTrade
from dfmon.model.frames import VenueMarket
from dfmon.model.units import HOUR, NAN, SECOND
from tests.chains import NOW

PERP = ("binance", Market.PERP, "BTC")
BOOK = BookSnapshot(*PERP, NOW, ((99.0, 5.0),), ((101.0, 4.0),))


def only_market(state: MarketState, ts_ns: int) -> VenueMarket:
    (row,) = state.freeze("BTC", ts_ns).markets
    return row


def state_after(*events: tuple[Event, int]) -> MarketState:
    state = MarketState(("BTC",))
    for event, recv_ns in events:
        state.apply(event, recv_ns)
    return state


def test_a_level_at_one_percent_counts_and_one_beyond_does_not() -> None:
    book = LocalBook()
    low, high = 1024.0 * (1.0 - 0.01), 1024.0 * (1.0 + 0.01)
    beyond_low, beyond_high = math.nextafter(low, 0.0), math.nextafter(high, math.inf)
    book.replace_levels([(low, 1.0), (beyond_low, 100.0)], [(high, 1.0), (beyond_high, 100.0)])
    assert book.depth_usd(1024.0) == (low + high) / 2.0


def test_depth_needs_a_level_on_both_sides() -> None:
    book = LocalBook()
    book.replace_levels([(999.0, 1.0)], [(1500.0, 1.0)])
    assert math.isnan(book.depth_usd(1000.0))


@pytest.mark.parametrize(("age_ns", "usd"), [(-1, 0.0), (0, 5.0), (HOUR - 1, 5.0), (HOUR, 0.0)])
@pytest.mark.parametrize("side", [1, -1])
def test_a_forced_order_counts_for_an_hour_from_its_receipt(age_ns: int, usd: float, side: int) -> None:
    state = state_after((Liquidation(*PERP, NOW, side, 100.0, 5.0), NOW))
    frame = state.freeze("BTC", NOW + age_ns)
    assert (frame.short_liquidated_usd, frame.long_liquidated_usd) == ((usd, 0.0) if side > 0 else (0.0, usd))


def test_forced_orders_received_out_of_order_still_count_for_an_hour() -> None:
    state = state_after(*((Liquidation(*PERP, NOW, 1, 100.0, usd), NOW + at) for at, usd in ((9, 1.0), (0, 2.0))))
    assert state.freeze("BTC", NOW + HOUR).short_liquidated_usd == 1.0


@pytest.mark.parametrize(("bid", "mid"), [(0.0, 90.0), (1e-9, (1e-9 + 101.0) / 2.0), (101.0, 90.0)])
def test_quotes_count_while_both_are_prices_and_not_crossed(bid: float, mid: float) -> None:
    state = state_after((MarketTicker(*PERP, NOW, last=90.0, bid=bid, ask=101.0), NOW))
    assert only_market(state, NOW).mid == mid


def test_ages_count_from_the_tick_after_our_clock_was_set_back() -> None:
    state = state_after((BOOK, NOW + SECOND), (MarketTicker(*PERP, NOW, volume_usd=1.0), NOW + SECOND))
    for later_s, age_s in ((0, 0.0), (5, 5.0)):
        row = only_market(state, NOW + later_s * SECOND)
        assert (row.age_s, row.book_age_s, row.volume_age_s) == (age_s, age_s, age_s)


def test_each_age_is_of_its_own_data_and_infinite_without() -> None:
    state = state_after((MarketTicker(*PERP, NOW, volume_usd=1.0), NOW), (MarketTicker(*PERP, NOW, last=1.0), NOW + 2))
    row = only_market(state, NOW + 2 + SECOND)
    assert (row.age_s, row.book_age_s, row.volume_age_s) == (1.0, math.inf, (SECOND + 2) / SECOND)
    state.apply(BOOK, NOW + SECOND)
    assert only_market(state, NOW + 3 * SECOND).book_age_s == 2.0
    state.apply(BookLost(*PERP), NOW + 2 * SECOND)
    lost = only_market(state, NOW + 3 * SECOND)
    assert (lost.book_age_s, lost.age_s) == (math.inf, 2.0)
    assert math.isnan(lost.flow.bid)


def trade(side: int, exch_ns: int) -> MarketTrade:
    return MarketTrade(*PERP, exch_ns, 100.0, 1.0, side)


@pytest.mark.parametrize(
    ("later", "prints", "pairs", "products"),
    [
        (trade(1, NOW), 1, 0, 0),  # another fill of the same order
        (trade(-1, NOW), 2, 1, -1),  # the other side at the same time
        (trade(1, NOW + 1), 2, 1, 1),
    ],
)
def test_fills_are_one_print_where_time_and_side_agree(
    later: MarketTrade, prints: int, pairs: int, products: int
) -> None:
    flow = only_market(state_after((trade(1, NOW), NOW), (later, NOW + 5)), NOW + 9).flow
    assert (flow.prints, flow.sign_pairs, flow.sign_products) == (prints, pairs, products)
    assert flow.last_print_ns == NOW + 5  # a further fill is a print received, too


def test_prints_without_a_venue_time_are_each_counted() -> None:
    flow = only_market(state_after((trade(1, 0), NOW), (trade(1, 0), NOW)), NOW).flow
    assert (flow.prints, flow.sign_pairs, flow.sign_products) == (2, 1, 1)


def test_flow_begins_with_the_first_book_or_print_and_not_again() -> None:
    for events in ([(BOOK, 17), (trade(1, NOW), 19)], [(trade(1, NOW), 17), (BOOK, 19)]):
        state = state_after(*events, (BookLost(*PERP), 20), (BOOK, 23))
        assert only_market(state, NOW).flow.since_ns == 17


@pytest.mark.parametrize("usd", [0.0, math.inf, NAN])
def test_forced_order_without_a_finite_amount_adds_nothing_to_the_flow(usd: float) -> None:
    state = state_after((Liquidation(*PERP, NOW, 1, 100.0, usd), NOW), (Liquidation(*PERP, NOW, -1, 100.0, usd), NOW))
    flow = only_market(state, NOW).flow
    assert (flow.short_liquidated_usd, flow.long_liquidated_usd) == (0.0, 0.0)


def test_a_print_of_no_amount_is_none() -> None:
    state = state_after((MarketTrade(*PERP, NOW, 100.0, 0.0, 1), 17), (trade(1, NOW + 1), 19))
    flow = only_market(state, NOW).flow
    assert (flow.prints, flow.since_ns) == (1, 19)


@pytest.mark.parametrize("side", [Bids(), Asks()])
def test_a_level_of_size_zero_in_a_snapshot_is_no_quote(side: Bids | Asks) -> None:
    side.replace([(100.0, 0.0)])
    assert math.isnan(side.best())
    side.replace([(100.0, 0.0), (99.0, 1.0), (101.0, 1.0)])
    assert side.best() == (99.0 if isinstance(side, Asks) else 101.0)
