import math
from typing import Any

import msgspec
import numpy as np
import pytest

from dfmon.engine.chain import ChainState
from dfmon.model.events import (
    Delisted,
    Event,
    FutureTicker,
    Listed,
    ListingComplete,
    OptionMarks,
    SettlementPrice,
    TradeHistoryComplete,
    VolIndex,
)
from dfmon.model.instrument import Instrument
from dfmon.model.units import DAY, NAN, SECOND
from tests.chains import NOW, SPOT, index, option, ticker, trade

CALL, PUT = option(kind=1), option(kind=-1)


def chain_of(*events: Event, instruments: tuple[Instrument, ...] = (CALL, PUT), capacity: int = 4096) -> ChainState:
    chain = ChainState(("BTC", "ETH"), capacity)
    for event in (*(Listed(i) for i in instruments), *events):
        chain.apply(event, NOW)
    return chain


def future(mark: float, ns: int, expiry_ns: int = CALL.expiry_ns) -> FutureTicker:
    return FutureTicker("deribit", "F", "BTC", expiry_ns, ns, mark=mark)


def marks(ns: int, iv: float) -> OptionMarks:
    return OptionMarks("deribit", ns, [CALL.name, "NOT-LISTED"], np.array([iv, iv]), np.array([0.01, 0.01]))


def test_put_is_a_put_and_call_is_a_call_by_the_record_not_by_the_name() -> None:
    misnamed = msgspec.structs.replace(PUT, name="BTC-X-C")
    assert chain_of(instruments=(CALL, misnamed)).freeze("BTC", NOW).option_type.tolist() == [1, -1]


def test_ticker_is_the_whole_state_so_what_it_does_not_say_is_nan() -> None:
    frame = chain_of(ticker(CALL.name, bid=0.02), ticker(CALL.name, NOW + 1)).freeze("BTC", NOW)
    assert math.isnan(frame.bid[0])
    assert frame.open_interest[0] == 10.0


def test_listed_option_without_a_ticker_is_all_nan() -> None:
    frame = chain_of().freeze("BTC", NOW)
    for column in (frame.forward, frame.sigma, frame.mark, frame.bid, frame.ask, frame.open_interest, frame.volume):
        assert np.isnan(column).all()
    assert math.isnan(frame.spot)
    assert frame.spot_ns == 0


def test_late_poll_never_overwrites_a_newer_mark() -> None:
    frame = chain_of(marks(NOW + 5, 0.7), ticker(CALL.name, NOW, mark_iv=0.4)).freeze("BTC", NOW)
    assert frame.sigma[0] == 0.7
    assert frame.data_ns[0] == NOW + 5
    assert frame.open_interest[0] == 10.0


@pytest.mark.parametrize("ticks_between", [0, 1])
def test_late_poll_never_overwrites_newer_quotes_interest_or_forward(ticks_between: int) -> None:
    new = {"bid": 0.03, "ask": 0.04, "bid_iv": 0.4, "ask_iv": 0.6, "open_interest": 5.0, "volume": 2.0, "index": SPOT}
    chain = chain_of(ticker(CALL.name, NOW + 5, forward=SPOT + 7.0, **new))
    for _ in range(ticks_between):
        chain.freeze("BTC", NOW)
    chain.apply(ticker(CALL.name, NOW, bid=0.01, open_interest=99.0, mark_iv=0.1), NOW)
    frame = chain.freeze("BTC", NOW)
    columns = (frame.bid, frame.ask, frame.bid_sigma, frame.ask_sigma, frame.open_interest, frame.volume, frame.sigma)
    assert [column[0] for column in columns] == [0.03, 0.04, 0.4, 0.6, 5.0, 2.0, 0.5]
    assert frame.forward[0] == SPOT + 7.0
    assert frame.data_ns[0] == NOW + 5


def test_a_late_future_does_not_turn_its_forward_back() -> None:
    chain = chain_of(future(SPOT + 20.0, NOW + 9), future(SPOT + 10.0, NOW + 8))
    assert chain.freeze("BTC", NOW).forward[0] == SPOT + 20.0


def test_marks_of_a_name_that_is_listed_later_find_its_row() -> None:
    listed_later = option(120_000.0)
    chain = chain_of()
    rows = OptionMarks("deribit", NOW, [CALL.name, listed_later.name], np.array([0.5, 0.6]), np.array([0.01, 0.02]))
    chain.apply(rows, NOW)
    chain.apply(Listed(listed_later), NOW)
    chain.apply(rows, NOW)
    frame = chain.freeze("BTC", NOW)
    assert dict(zip(frame.names, frame.sigma.tolist(), strict=True))[listed_later.name] == 0.6


def test_marks_of_chains_that_take_turns_find_their_rows_and_none_change_nothing() -> None:
    chain = chain_of()
    chain.apply(OptionMarks("deribit", NOW, [], np.zeros(0), np.zeros(0)), NOW)
    for second, (name, iv) in enumerate([(CALL.name, 0.5), (PUT.name, 0.6), (CALL.name, 0.7), (PUT.name, 0.8)]):
        chain.apply(OptionMarks("deribit", NOW + second, [name], np.array([iv]), np.array([0.01])), NOW)
    assert chain.freeze("BTC", NOW).sigma.tolist() == [0.7, 0.8]


def test_newer_marks_overwrite_and_older_marks_do_not() -> None:
    chain = chain_of(ticker(CALL.name, NOW, mark_iv=0.4), marks(NOW + 1, 0.6), marks(NOW - 1, 0.9))
    assert chain.freeze("BTC", NOW).sigma[0] == 0.6


def test_unknown_names_are_counted_by_kind() -> None:
    chain = chain_of(ticker("X"), trade("X"), marks(NOW, 0.5))
    chain.flush_tickers()
    assert chain.unlisted_counts == {"ticker": 1, "trade": 1, "mark": 1}


def test_complete_listing_removes_what_it_does_not_name_and_nothing_of_another_underlying() -> None:
    ether = option(3_000.0, underlying="ETH")
    chain = chain_of(ListingComplete("deribit", "BTC", frozenset({PUT.name})), instruments=(CALL, PUT, ether))
    assert chain.freeze("BTC", NOW).names == (PUT.name,)
    assert chain.freeze("ETH", NOW).names == (ether.name,)


def test_delisted_option_is_gone_and_comes_back_under_its_old_uid() -> None:
    chain = chain_of(ticker(CALL.name), Delisted("deribit", CALL.name))
    assert chain.freeze("BTC", NOW).names == (PUT.name,)
    chain.apply(Listed(CALL), NOW)
    frame = chain.freeze("BTC", NOW)
    assert (frame.names, frame.uid.tolist()) == ((CALL.name, PUT.name), [0, 1])
    assert frame.sigma[0] == 0.5


def test_expired_instruments_leave_at_their_time_even_if_the_venue_never_says_so() -> None:
    later = option(days=30.0)
    chain = chain_of(instruments=(CALL, later))
    assert chain.freeze("BTC", CALL.expiry_ns - 1).names == (CALL.name, later.name)
    frame = chain.freeze("BTC", CALL.expiry_ns)
    assert frame.names == (later.name,)
    assert frame.rejected == ()


def test_an_instrument_that_comes_expired_is_left_out_and_counted_once() -> None:
    chain = chain_of(instruments=(PUT,))
    chain.apply(Listed(CALL), CALL.expiry_ns)
    assert chain.freeze("BTC", CALL.expiry_ns).rejected == (("expired", 1),)
    assert chain.freeze("BTC", CALL.expiry_ns).rejected == ()


def test_columns_grow_beyond_the_capacity_and_keep_what_they_held() -> None:
    options = tuple(option(50_000.0 + 100.0 * i) for i in range(40))
    chain = chain_of(
        *(ticker(o.name, mark_iv=0.3 + i / 100) for i, o in enumerate(options)), instruments=options, capacity=3
    )
    frame = chain.freeze("BTC", NOW)
    assert frame.strike.tolist() == [o.strike for o in options]
    assert frame.sigma.tolist() == [0.3 + i / 100 for i in range(40)]
    assert np.isnan(frame.bid).all()


def test_no_spot_until_an_index_came_whatever_prices_in_coins_say() -> None:
    chain = chain_of(ticker(CALL.name, mark=0.031, bid=0.03, ask=0.032), trade(CALL.name, price=0.031))
    assert math.isnan(chain.freeze("BTC", NOW).spot)
    chain.apply(index(SPOT), NOW)
    assert chain.freeze("BTC", NOW).spot == SPOT


@pytest.mark.parametrize("price", [0.0, -1.0, NAN, math.inf])
def test_an_index_that_is_no_price_is_not_spot(price: float) -> None:
    assert math.isnan(chain_of(index(price)).freeze("BTC", NOW).spot)


def test_late_index_does_not_turn_spot_back() -> None:
    assert chain_of(index(SPOT, NOW), index(1.0, NOW - 1)).freeze("BTC", NOW).spot == SPOT


def test_forward_of_a_dated_future_wins_where_it_is_newer() -> None:
    older_future, newer_future = future(101_000.0, NOW - 1), future(102_000.0, NOW + 1)
    assert chain_of(ticker(CALL.name), older_future).freeze("BTC", NOW).forward[0] == SPOT
    assert chain_of(ticker(CALL.name), newer_future).freeze("BTC", NOW).forward[0] == 102_000.0


def test_forward_of_a_dated_future_stands_in_for_one_that_was_never_said() -> None:
    assert chain_of(future(101_000.0, NOW)).freeze("BTC", NOW).forward.tolist() == [101_000.0] * 2


def test_future_of_another_expiry_or_a_perpetual_gives_no_forward() -> None:
    events = future(1.0, NOW + 1, CALL.expiry_ns + DAY), future(2.0, NOW + 1, 0)
    assert chain_of(ticker(CALL.name), *events).freeze("BTC", NOW).forward[0] == SPOT


def test_forward_is_carried_by_the_index_since_it_was_said() -> None:
    chain = chain_of(ticker(CALL.name, forward=102_000.0, index=SPOT), index(1.01 * SPOT))
    assert chain.freeze("BTC", NOW).forward[0] == pytest.approx(1.01 * 102_000.0)


@pytest.mark.parametrize("index_price", [NAN, 0.0])
def test_forward_of_a_board_without_an_index_is_not_carried(index_price: float) -> None:
    chain = chain_of(ticker(CALL.name, forward=102_000.0, index=index_price), index(1.01 * SPOT))
    assert chain.freeze("BTC", NOW).forward[0] == 102_000.0


@pytest.mark.parametrize(("size", "side"), [(0.0, 1), (-1.0, 1), (NAN, 1), (1.0, 0), (1.0, 2)])
def test_trade_without_an_amount_or_a_side_is_counted_not_raised(size: float, side: int) -> None:
    frame = chain_of(trade(CALL.name, side, size)).freeze("BTC", NOW)
    assert frame.trades.uid.size == 0
    assert frame.rejected == (("trade", 1),)


def test_whole_life_is_that_of_options_listed_while_we_watched() -> None:
    listed_later = option(90_000.0, listed_ns=NOW + SECOND)
    listed_earlier = option(95_000.0, listed_ns=NOW - SECOND)
    unknown = option(97_000.0)
    assert chain_of(instruments=(unknown, listed_earlier, listed_later)).freeze("BTC", NOW).full_history.tolist() == [
        False,
        False,
        True,
    ]


def test_frame_is_read_only_and_later_events_do_not_change_it() -> None:
    chain = chain_of(ticker(CALL.name), index(), trade(CALL.name))
    frame = chain.freeze("BTC", NOW)
    chain.apply(ticker(CALL.name, NOW + 1, mark_iv=0.9, forward=1.0), NOW)
    chain.apply(Delisted("deribit", CALL.name), NOW)
    assert frame.sigma[0] == 0.5
    assert frame.forward[0] == SPOT
    assert frame.names == (CALL.name, PUT.name)
    columns = [c for source in (frame, frame.trades) for name in source.__slots__
               if isinstance(c := getattr(source, name), np.ndarray)]  # fmt: skip
    assert len(columns) > 20
    for column in columns:
        with pytest.raises(ValueError, match="read-only"):
            column[:] = 0


def test_trades_are_handed_out_once() -> None:
    chain = chain_of(trade(CALL.name))
    assert chain.freeze("BTC", NOW).trades.uid.tolist() == [0]
    assert chain.freeze("BTC", NOW).trades.uid.tolist() == []


def test_events_of_underlyings_nobody_asked_for_change_nothing() -> None:
    other_underlying = option(10.0, underlying="SOL")
    events = Listed(other_underlying), index(200.0, underlying="SOL"), VolIndex("deribit", "SOL", 0.9, NOW)
    frame = chain_of(*events).freeze("BTC", NOW)
    assert frame.size == 2
    assert math.isnan(frame.vol_index)


def test_running_settlement_counts_only_inside_the_last_half_hour() -> None:
    before_window, in_window = (SettlementPrice("deribit", "BTC", SPOT, remaining_s) for remaining_s in (3600.0, 600.0))
    assert math.isnan(chain_of(before_window).freeze("BTC", NOW).delivery_average)
    assert chain_of(before_window, in_window).freeze("BTC", NOW).delivery_average == SPOT


@pytest.mark.parametrize("changes", [{"strike": 0.0}, {"strike": NAN}, {"strike": math.inf}, {"option_type": None}])
def test_option_without_a_strike_or_a_type_is_counted_not_listed(changes: dict[str, Any]) -> None:
    frame = chain_of(instruments=(msgspec.structs.replace(CALL, **changes), PUT)).freeze("BTC", NOW)
    assert (frame.names, frame.rejected) == ((PUT.name,), (("instrument", 1),))


def test_rejected_rows_are_counted_for_the_snapshot() -> None:
    chain = chain_of()
    chain.count_rejected("BTC", "row")
    chain.count_rejected("", "row")
    assert chain.freeze("BTC", NOW).rejected == (("row", 2),)
    assert chain.freeze("ETH", NOW).rejected == (("row", 1),)


def test_an_option_listed_after_the_history_begins_has_its_whole_life_seen() -> None:
    listed_earlier, listed_later = option(90_000.0, listed_ns=NOW - 9 * DAY), option(95_000.0, listed_ns=NOW - DAY)
    chain = chain_of(instruments=(listed_earlier, listed_later))
    assert chain.freeze("BTC", NOW).full_history.tolist() == [False, False]
    chain.apply(TradeHistoryComplete("deribit", "BTC", NOW - 2 * DAY), NOW)
    assert chain.freeze("BTC", NOW).full_history.tolist() == [False, True]
    chain.apply(TradeHistoryComplete("deribit", "XRP", 0), NOW)
    assert chain.freeze("BTC", NOW).full_history.tolist() == [False, True]
