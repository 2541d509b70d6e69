"""Every trap that is known of the venues, and the test that holds it.

`TRAPS` is the list: `F` are the facts recorded feeds taught, `R` the rules that decide whether the product is right,
`P` the pitfalls other clients fell into, `D`, `B` and `O` the traps in the notes on Deribit, Binance and OKX. The tests
in this module are of traps that no other test held.
"""

import ast
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dfmon.core.step import FlowParams
from dfmon.engine.chain import ChainState
from dfmon.engine.driver import Driver
from dfmon.model.events import (
    BookSnapshot,
    Event,
    FeedStatus,
    FutureTicker,
    IndexPrice,
    Liquidation,
    Listed,
    MarketTicker,
    MarketTrade,
    OptionMarks,
    OptionTicker,
    OptionTrade,
    Rejected,
)
from dfmon.model.snapshot import FlowSnapshot
from dfmon.model.units import SECOND
from dfmon.venues.binance import protocol as binance
from dfmon.venues.deribit.protocol import DeribitProtocol
from dfmon.venues.okx.protocol import OkxProtocol
from dfmon.venues.protocol import VenueProtocol
from tests.chains import NOW as BOARD_NOW
from tests.chains import index, listing, ticker
from tests.event_types import as_type, of_type
from tests.venues.test_deribit import CALL, PUT, answer, golden_named, listed_protocol, push, trade, trades
from tests.venues.venue_golden import NOW, Golden, body, goldens, plain, plain_value, read

TRAPS: dict[str, str] = {
    # ---- what real feeds do
    "F1 underlying_index has five forms": "test_the_forward_is_the_price_whatever_the_underlying_is_called",
    "F2 settlement is an average and greeks shrink": "test_gamma_dies_with_the_square_root_of_the_time_left",
    "F3 published gamma has five decimals": "test_the_venues_greeks_change_no_number",
    "F4 the mark is unbounded and may lie outside the quotes": "test_a_mark_is_taken_as_it_is",
    "F5 a missing quote is null, 0.0 or an iv of 0": "test_no_quote_in_any_spelling_is_nan",
    "F6 an expired ticker is still open": "test_a_ticker_after_expiry_brings_nothing_back",
    "F7 last price and stats are null, futures have no greeks": "test_nulls_in_any_field_cost_that_field_only",
    "F8 units differ by channel and by kind": "test_open_interest_and_amounts_in_coins_and_dollars",
    "F9 names that do not parse": "test_strike_and_kind_are_the_records_whatever_the_name",
    "F10 combo tickers and prints count the legs twice": "test_a_combos_own_ticker_is_counted_and_used_for_nothing",
    "F11 blocks and their odd volatilities": "test_a_block_keeps_what_marks_it_and_its_odd_volatility",
    "F12 prints at intrinsic, of one moment, repeated, unordered":
        "test_a_print_seen_before_is_dropped_and_order_does_not_matter",
    "F13 data before the acknowledgement, which has another order":
        "test_data_that_comes_before_the_acknowledgement_is_used",
    "F14 latency is negative, a first tick is old":
        "test_latency_is_smoothed_may_be_negative_and_starts_anew_with_a_connection",
    "F15 quotes are pulled in masses": "test_a_board_without_quotes_is_priced_by_its_marks",
    "F16 the set of expiries changes at eight": "test_the_roll_at_eight_names_what_came_and_what_went",
    "F17 fields appear unannounced": "test_a_new_field_anywhere_changes_nothing",
    "F18 no event time, numbers as text, a funding rate that is missing": "test_nothing_said_is_nan",
    "F19 call and put of a strike need not share a volatility": "test_a_pair_is_one_point_while_its_columns_agree",
    "F20 open interest falls without trades": "test_open_interest_that_falls_without_trades_is_no_flow_and_no_error",
    # ---- five rules
    "R1 marks are a fraction, all else percent": "test_marks_are_fractions_and_everything_else_is_percent",
    "R2 amounts: coins, dollars, contracts": "test_open_interest_and_amounts_in_coins_and_dollars",
    "R3 combos and blocks are printed leg by leg": "test_a_combo_is_counted_leg_by_leg_and_once",
    "R4 futures streams need their route": "test_streams_stand_on_the_route_that_serves_them",
    "R5 who the taker is": "test_the_side_is_the_takers_at_every_venue",
    # ---- pitfalls of others
    "P1 a wrong route connects and stays silent":
        "test_silence_after_connecting_and_silence_later_both_end_the_connection",
    "P2 alive but silent for hours": "test_heartbeats_do_not_count_as_data",
    "P3 a subscription message per symbol": "test_one_message_subscribes_everything",
    "P4 too many requests end the session": "test_subscriptions_are_sent_as_fast_as_deribits_credits_come_back",
    "P5 an unsubscription too large": "test_many_channels_are_sent_in_frames_the_venue_accepts",
    "P6 two sets of subscriptions after a reconnect":
        "test_futures_are_subscribed_when_the_listing_names_them_and_again_after_a_reconnect",
    "P7 a chain that goes on after expiry":
        "test_expired_instruments_leave_at_their_time_even_if_the_venue_never_says_so",
    "P8 expired names are refused": "test_a_question_about_an_expired_name_is_dropped",
    "P9 null last price and stats": "test_nulls_in_any_field_cost_that_field_only",
    "P10 decimal strikes": "test_strike_and_kind_are_the_records_whatever_the_name",
    "P11 0.0 for no quote": "test_no_quote_in_any_spelling_is_nan",
    "P12 the checksum is 0": "test_the_checksum_is_not_read",
    "P13 a notice of the end": "test_a_notice_of_the_end_asks_for_another_connection",
    "P14 aggregated prints: sums compare, counts do not":
        "test_the_number_of_fills_of_a_print_changes_nothing",
    "P15 a typo in a channel gives no error":
        "test_channels_left_out_of_the_acknowledgement_are_named_optional_ones_are_not",
    "P16 subscribing again brings no snapshot":
        "test_a_broken_book_is_subscribed_anew_and_not_more_than_twice_a_minute",
    "P17 changes race with snapshots": "test_a_change_before_its_snapshot_is_no_state",
    "P18 a cached answer to another question": "test_an_answer_to_another_question_ends_no_option",
    "P19 clocks differ": "test_latency_is_smoothed_may_be_negative_and_starts_anew_with_a_connection",
    "P20 frames over a megabyte": "test_a_frame_larger_than_the_librarys_limit_is_taken",
    "P21 a platform state that says nothing": "test_only_a_change_of_the_venues_own_state_is_told",
    "P22 open interest of two units in one sum": "test_open_interest_and_amounts_in_coins_and_dollars",
    "P23 remove on state and time, not on values": "test_a_ticker_after_expiry_brings_nothing_back",
    # ---- Deribit
    "D1 numbers in scientific notation": "test_numbers_in_scientific_notation_are_numbers",
    "D2 ids are texts with and without a coin, combo ids numbers": "test_ids_are_texts_or_numbers",
    "D3 equal trade ids in two currencies": "test_equal_ids_of_two_currencies_are_two_prints",
    "D4 a jump of trade_seq": "test_a_jump_of_the_sequence_asks_for_the_missing_prints_once",
    "D5 the legs of a request describe the structure":
        "test_a_request_that_was_sold_turns_its_legs_round_and_matches_its_prints",
    "D6 a request adds no volume": "test_a_request_adds_no_volume",
    "D7 currency means the settlement currency":
        "test_the_listing_is_complete_when_both_settlement_currencies_are_read",
    "D8 state names of before and after January 2026": "test_final_states_delist",
    "D9 an unknown state is not an end": "test_an_unknown_state_is_counted_and_a_pause_is_not",
    "D10 an incremental ticker says what changed only": "test_an_options_change_keeps_what_it_does_not_name",
    "D11 the last page's prints come twice":
        "test_the_first_connection_reads_the_past_page_by_page_and_says_when_it_is_whole",
    "D12 a test request unanswered ends the session": "test_a_test_request_is_answered_at_once_a_heartbeat_is_not",
    "D13 settlement refuses for some seconds": "test_a_subscription_refused_by_the_settlement_is_sent_again_later",
    "D14 the estimate is an average in the last half hour only":
        "test_running_settlement_counts_only_inside_the_last_half_hour",
    "D15 records of older schemas": "test_records_of_2021_say_less_and_are_understood",
    "D16 a poll is older than the stream": "test_late_poll_never_overwrites_newer_quotes_interest_or_forward",
    "D17 no future of the expiry: the forward is carried": "test_forward_is_carried_by_the_index_since_it_was_said",
    # ---- Binance
    "B1 a spot book joins at U <= id + 1 <= u": "test_spot_ids_follow_each_other",
    "B2 a futures book chains by pu": "test_futures_ids_name_the_one_before",
    "B3 a snapshot older than the first difference":
        "test_a_spot_book_older_than_the_first_difference_is_asked_for_again",
    "B4 errors in two envelopes, acknowledgements of anything": "test_binances_errors_are_told_in_either_envelope",
    "B5 contracts of the coin-margined side": "test_a_symbol_that_was_not_asked_for_is_counted",
    "B6 fills that nobody took": "test_only_market_fills_are_prints",
    "B7 no stream of open interest": "test_open_interest_is_polled_every_fifteen_seconds_on_one_connection_only",
    # ---- OKX
    "O1 sequence ids stand still and fall": "test_the_chain_is_the_link_and_not_the_order_of_ids",
    "O2 sizes are contracts, fractions of them too":
        "test_the_size_of_a_contract_is_the_listings_and_the_documented_one_before",
    "O3 text ping and pong": "test_a_silent_connection_is_pinged_and_a_busy_one_is_not",
    "O4 an acknowledgement per argument": "test_what_okx_did_not_acknowledge_is_named_after_ten_seconds",
    "O5 volumes in coins or in quote currency": "test_okx_volumes_of_spot_and_swap_are_both_dollars",
    "O6 a funding period that is not eight hours": "test_funding_is_said_for_eight_hours",
    "O7 liquidations of all swaps in any order": "test_liquidations_of_other_swaps_are_passed_over",
}  # fmt: skip
TESTS = Path(__file__).parents[1]
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def cases(path: Path) -> set[str]:
    """The tests of a module."""
    functions = (node for node in ast.parse(path.read_text()).body if isinstance(node, FUNCTIONS))
    return {node.name for node in functions if node.name.startswith("test_")}


@pytest.mark.slow
def test_every_trap_on_the_list_has_a_test_that_exists() -> None:
    known = {name for path in TESTS.rglob("test_*.py") for name in cases(path)}
    assert {trap: name for trap, name in TRAPS.items() if name not in known} == {}


def test_the_list_is_whole_and_every_test_here_is_on_it() -> None:
    numbers = {kind: [int(trap.split()[0][1:]) for trap in TRAPS if trap[0] == kind] for kind in "FRPDBO"}
    assert all(found == list(range(1, len(found) + 1)) for found in numbers.values())
    assert [len(numbers[kind]) for kind in "FRP"] == [20, 5, 23]
    here = {name for name in cases(Path(__file__)) if "the_list" not in name}
    assert here <= set(TRAPS.values())


# ---- Deribit: tickers ------------------------------------------------------------------------------------------------


def option_data(**overrides: object) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(golden_named("ticker of an option").body)["params"]["data"]
    return data | overrides


def option_frame(name: str = CALL, **overrides: object) -> bytes:
    return push(f"ticker.{name}.100ms", option_data(instrument_name=name, **overrides))


def ticker_of(name: str = CALL, **overrides: object) -> OptionTicker:
    (event,) = read(listed_protocol().frame_received(option_frame(name, **overrides)))
    assert isinstance(event, OptionTicker)
    return event


def without_feeds(snapshot: FlowSnapshot) -> FlowSnapshot:
    """Its numbers, with the headlines of the other models."""
    return msgspec.structs.replace(snapshot.without_views(), feeds=())


def fields_of(ticker: OptionTicker) -> dict[str, object]:
    return {name: plain_value(getattr(ticker, name)) for name in ticker.__struct_fields__}


def summary_of(**overrides: object) -> OptionTicker:
    row = {**json.loads(golden_named("book summary").body)["result"][0], **overrides}
    (event,) = of_type(OptionTicker, listed_protocol().response_received("summary:BTC", answer([row])))
    return event


@pytest.mark.parametrize("name", ["BTC-27NOV26", "SYN.BTC-1JAN26", "index_price", "SYN.EXPIRY", "", None, 7])
def test_the_forward_is_the_price_whatever_the_underlying_is_called(name: object) -> None:
    assert ticker_of(underlying_index=name, underlying_price=91240.5).forward == 91240.5
    assert summary_of(underlying_index=name, underlying_price=91240.5).forward == 91240.5


def test_the_venues_greeks_change_no_number() -> None:
    venue_greeks = {"delta": 0.9, "gamma": 0.0, "vega": 0.0, "theta": 0.0, "rho": 0.0}
    snapshots = [_snapshot_of(option_frame(greeks=greeks)) for greeks in (venue_greeks, None)]
    (with_greeks, *_), (without_greeks, *_) = (snapshot.feeds for snapshot in snapshots)
    assert (with_greeks.greeks_checked, with_greeks.greeks_differing, without_greeks.greeks_checked) == (1, 1, 0)
    assert f"the venue's greeks of 1 of 1 options are not ours: {CALL} delta 0.9 there, " in with_greeks.note
    assert without_feeds(snapshots[0]).digest() == without_feeds(snapshots[1]).digest()
    assert snapshots[0].metrics.ngi.value not in (None, 0.0)
    greeks = ticker_of(greeks=venue_greeks).greeks
    assert greeks is not None
    assert greeks.delta == 0.9


@pytest.mark.parametrize("mark", [1.0105, 9.4, 0.0, 0.02])
def test_a_mark_is_taken_as_it_is(mark: float) -> None:
    event = ticker_of(PUT, mark_price=mark, best_bid_price=0.03, best_ask_price=0.031)
    assert (event.mark, event.bid, event.ask) == (mark, 0.03, 0.031)


@pytest.mark.parametrize("price", [None, 0.0, 0])
def test_no_quote_in_any_spelling_is_nan(price: object) -> None:
    event = ticker_of(best_bid_price=price, best_bid_amount=price, bid_iv=0.0, best_ask_price=price, ask_iv=500.0)
    assert all(math.isnan(value) for value in (event.bid, event.ask, event.bid_iv, event.ask_iv))
    row = summary_of(bid_price=price, ask_price=price)
    assert math.isnan(row.bid)
    assert math.isnan(row.ask)
    below = ticker_of(best_bid_price=0.01, bid_iv=0.0)  # a bid below intrinsic has a price and no volatility
    assert (below.bid, math.isnan(below.bid_iv)) == (0.01, True)


def test_a_ticker_after_expiry_brings_nothing_back() -> None:
    chain, protocol = ChainState(("BTC",)), listed_protocol()
    for golden in (golden_named("listing BTC options"), golden_named("ticker of an option")):
        _apply(chain, golden.play(protocol))
    expiry_ns = protocol.listings.options[CALL].expiry_ns
    assert CALL in chain.freeze("BTC", expiry_ns - SECOND).names
    zero = {"delta": 0.0, "gamma": 0.0, "vega": 0.0, "theta": 0.0}
    late = option_frame(
        state="open", timestamp=expiry_ns // 1_000_000 + 3000, estimated_delivery_price="expired", greeks=zero,
        mark_iv=250.0, underlying_index="SYN.EXPIRY",
    )  # fmt: skip
    assert chain.freeze("BTC", expiry_ns).size == 0
    _apply(chain, protocol.frame_received(late), expiry_ns + 3 * SECOND)
    assert chain.freeze("BTC", expiry_ns + 4 * SECOND).size == 0


def test_nulls_in_any_field_cost_that_field_only() -> None:
    baseline = fields_of(ticker_of())
    costs = {
        "mark_price": {"mark"}, "open_interest": {"open_interest"}, "mark_iv": {"mark_iv"}, "index_price": {"index"},
        "best_bid_price": {"bid", "bid_iv"}, "best_ask_price": {"ask", "ask_iv"}, "bid_iv": {"bid_iv"},
        "ask_iv": {"ask_iv"}, "underlying_price": {"forward"}, "stats": {"volume"}, "greeks": {"greeks"},
    }  # fmt: skip
    for field in option_data():
        if field in ("instrument_name", "timestamp"):
            continue
        now = fields_of(ticker_of(CALL, **{field: None}))
        assert {name for name in baseline if now[name] != baseline[name]} == costs.get(field, set()), field
    stats = dict.fromkeys(("high", "low", "price_change", "volume", "volume_usd"))
    assert math.isnan(ticker_of(stats=stats).volume)
    perpetual = json.loads(golden_named("perpetual: snapshot").body)["params"]["data"] | {
        "stats": stats,
        "last_price": None,
    }
    (state,) = listed_protocol().frame_received(push("incremental_ticker.BTC-PERPETUAL", perpetual))
    assert isinstance(state, FutureTicker)
    assert state.mark > 0.0


def test_numbers_in_scientific_notation_are_numbers() -> None:
    frame = option_frame().replace(b"91240.5", b"9.12405e4").replace(b"0.0327", b"3.27e-2")
    assert plain(read(listed_protocol().frame_received(frame))) == plain([ticker_of()])
    marks = golden_named("markprice").body
    assert b"0.5706" in marks
    (event,) = listed_protocol().frame_received(marks.replace(b"0.5706", b"5.706E-1"))
    assert as_type(OptionMarks, event).mark_iv[0] == 0.5706


def test_a_combos_own_ticker_is_counted_and_used_for_nothing() -> None:
    for name in ("BTC-STRD-30SEP22-20000", "BTC-CSR12-16SEP22-21000_23000", "BTC-FS-30SEP22_PERP"):
        (event,) = listed_protocol().frame_received(
            option_frame(name, mark_iv=-12.5, mark_price=-0.004, best_bid_price=-0.01)
        )
        assert event == Rejected("deribit", "instrument", name)
    (event,) = listed_protocol().frame_received(option_frame(CALL, mark_iv=-12.5))
    assert isinstance(event, Rejected), "no number of an option is negative"


def test_an_options_change_keeps_what_it_does_not_name() -> None:
    protocol, channel = listed_protocol(), f"incremental_ticker.{CALL}"
    (first,) = of_type(OptionTicker, read(protocol.frame_received(push(channel, option_data(type="snapshot")))))
    change = {
        "type": "change", "instrument_name": CALL, "timestamp": first.exch_ns // 1_000_000 + 500,
        "mark_iv": 60.0, "best_bid_price": None, "stats": {"volume_usd": 1.0},
    }  # fmt: skip
    (second,) = of_type(OptionTicker, read(protocol.frame_received(push(channel, change))))
    assert (second.mark_iv, second.mark, second.open_interest) == (0.6, first.mark, first.open_interest)
    assert (second.volume, math.isnan(second.bid), second.greeks) == (first.volume, True, first.greeks)
    protocol.connection_made(NOW)
    (lost,) = [event for event in protocol.frame_received(push(channel, change)) if not isinstance(event, FeedStatus)]
    assert isinstance(lost, Rejected), "what an earlier connection said is not continued"


def test_a_change_before_its_snapshot_is_no_state() -> None:
    change = {"type": "change", "instrument_name": CALL, "timestamp": NOW // 1_000_000, "mark_iv": 60.0}
    (event,) = of_type(Rejected, listed_protocol().frame_received(push(f"incremental_ticker.{CALL}", change)))
    assert event.what == "frame"
    assert "before any snapshot" in event.detail


# ---- Deribit: names, amounts, prints ---------------------------------------------------------------------------------


def linear_record(coin: str, name: str, strike: float, size: float = 1.0) -> dict[str, Any]:
    row: dict[str, Any] = json.loads(golden_named("listing USDC").body)["result"][0]
    return row | {"instrument_name": name, "base_currency": coin, "strike": strike, "contract_size": size}


def test_strike_and_kind_are_the_records_whatever_the_name() -> None:
    protocol = DeribitProtocol(("XRP", "BTC"))
    protocol.connection_made(NOW)
    name = "XRP_USDC-21SEP26-1d325-C"
    combo = {"kind": "option_combo", "instrument_name": "BTC-STRD-30SEP22-20000", "base_currency": "BTC"}
    rows = [linear_record("XRP", name, 1.325, 1000.0), linear_record("BTC", "BTC_USDC-4JUN26-80000-P", 80_000.0), combo]
    rows[1] |= {"option_type": "put"}
    events = protocol.response_received("instruments:USDC:option", answer(rows))
    made = {event.instrument.name: event.instrument for event in of_type(Listed, events)}
    assert made[name].strike == 1.325
    assert made["BTC_USDC-4JUN26-80000-P"].option_type == -1
    assert "BTC-STRD-30SEP22-20000" not in made


def test_open_interest_and_amounts_in_coins_and_dollars() -> None:
    protocol = DeribitProtocol(("XRP", "BTC"))
    protocol.connection_made(NOW)
    name = "XRP_USDC-27NOV26-2d125-C"
    protocol.response_received("instruments:USDC:option", answer([linear_record("XRP", name, 2.125, 1000.0)]))
    rows = [trade(1, 1, name, amount=4000.0, contracts=4.0, price=0.05)]
    (fill,) = of_type(OptionTrade, protocol.frame_received(trades(*rows, currency="USDC")))
    assert fill.size == 4000.0, "an amount is coins already: the size of a contract is not applied"
    for golden in (golden_named("listing BTC futures"),):
        golden.play(protocol)
    (inverse,) = of_type(FutureTicker, protocol.frame_received(_future("BTC-PERPETUAL", 1_132_329_370.0)))
    assert inverse.open_interest_usd == 1_132_329_370.0, "of an inverse future: dollars"
    perpetual = json.loads(golden_named("listing BTC futures").body)["result"][0] | {
        "instrument_name": "XRP_USDC-PERPETUAL", "instrument_type": "linear", "base_currency": "XRP",
    }  # fmt: skip
    protocol.response_received("instruments:USDC:future", answer([perpetual]))
    (linear,) = of_type(FutureTicker, protocol.frame_received(_future("XRP_USDC-PERPETUAL", 1000.0, mark=2.5)))
    assert linear.open_interest_usd == 2500.0, "of a linear one: coins, at the mark"


def _future(name: str, interest: float, mark: float = 91_000.0) -> bytes:
    data = {"type": "snapshot", "timestamp": 1, "instrument_name": name, "mark_price": mark, "open_interest": interest}
    return push(f"incremental_ticker.{name}", data)


def test_a_block_keeps_what_marks_it_and_its_odd_volatility() -> None:
    row = trade(7, 1, block_trade_id="BLOCK-123", block_trade_leg_count=2, block_rfq_id=81, iv=13.35)
    (fill,) = of_type(OptionTrade, listed_protocol().frame_received(trades(row)))
    assert (fill.block, fill.rfq, fill.combo, fill.event_id, fill.iv) == (True, True, False, "BLOCK-123", 0.1335)


@pytest.mark.parametrize("number", ["403691824", "ETH-123", "ETH_USDC-16", 403691824])
@pytest.mark.parametrize("combo", ["244365193", 244365193, None])
def test_ids_are_texts_or_numbers(number: object, combo: object) -> None:
    row = trade(7, 1, combo_trade_id=combo) | {"trade_id": number}
    (fill,) = of_type(OptionTrade, listed_protocol().frame_received(trades(row)))
    assert (fill.trade_id, fill.combo, fill.event_id) == (str(number), combo is not None, str(combo or ""))


def test_data_that_comes_before_the_acknowledgement_is_used() -> None:
    protocol = DeribitProtocol()
    protocol.connection_made(NOW)
    (event,) = of_type(IndexPrice, golden_named("index").play(protocol))
    assert event.price > 0.0


def test_a_question_about_an_expired_name_is_dropped() -> None:
    protocol = listed_protocol()
    protocol.frame_received(trades(trade(1, 11), trade(5, 15)))
    (call,) = protocol.rest_calls()
    error = {"code": -32602, "message": "Invalid params", "data": {"reason": "instrument is not active"}}
    events = protocol.response_received(call.tag, body({"error": error}))
    assert not of_type(FeedStatus, events), "no word about the feed"
    for second in range(300):
        protocol.on_timer(NOW + second * SECOND)
        assert call.tag not in [again.tag for again in protocol.rest_calls()]


# ---- all venues ------------------------------------------------------------------------------------------------------

SESSIONS: dict[str, Callable[[], VenueProtocol]] = {
    "deribit/session.jsonl": DeribitProtocol,
    "binance/spot.jsonl": binance.spot,
    "binance/public.jsonl": binance.public,
    "binance/market.jsonl": binance.market,
    "okx/session.jsonl": OkxProtocol,
}


def with_more_fields(value: object) -> object:
    if isinstance(value, dict):
        grown = {key: with_more_fields(item) for key, item in value.items()}
        return {"starbase_timestamp": 1_794_830_405_123_456_789, **grown, "lot_size": {"x": [1, None]}, "is_csr": "?"}
    return [with_more_fields(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("path", SESSIONS)
def test_a_new_field_anywhere_changes_nothing(path: str) -> None:
    protocol = SESSIONS[path]()
    protocol.connection_made(NOW)
    for golden in goldens(path):
        if golden.body[:1] not in b"{[":
            continue
        grown = body(with_more_fields(json.loads(golden.body)))
        assert plain(Golden(golden.name, grown, [], golden.tag).play(protocol)) == golden.events, golden.name


def test_the_side_is_the_takers_at_every_venue() -> None:
    bought = golden_named("trade of a taker who bought").play(listed_protocol())
    assert as_type(OptionTrade, bought[0]).side == 1
    options = listed_protocol().frame_received(trades(trade(1, 1, direction="sell")))
    assert as_type(OptionTrade, options[0]).side == -1
    assert _market_trade(binance.market(), "binance/market.jsonl", "the taker sold").side == -1
    assert _market_trade(binance.market(), "binance/market.jsonl", "the taker bought").side == 1
    assert _market_trade(OkxProtocol(), "okx/session.jsonl", "swap trade").side == 1
    sold = next(golden for golden in goldens("okx/session.jsonl") if golden.name.startswith("swap trade"))
    protocol = OkxProtocol()
    protocol.connection_made(NOW)
    frame = sold.body.replace(b'"buy"', b'"sell"')
    assert as_type(MarketTrade, protocol.frame_received(frame)[-1]).side == -1


def _market_trade(protocol: VenueProtocol, path: str, name: str) -> MarketTrade:
    protocol.connection_made(NOW)
    golden = next(golden for golden in goldens(path) if name in golden.name)
    return as_type(MarketTrade, golden.play(protocol)[-1])


# ---- Binance ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reply", [{"code": 2, "msg": "Invalid request"}, {"error": {"code": 2, "msg": "Invalid request"}, "id": 1}]
)
def test_binances_errors_are_told_in_either_envelope(reply: dict[str, Any]) -> None:
    protocol = binance.market()
    protocol.connection_made(NOW)
    (status,) = protocol.frame_received(body(reply))
    assert isinstance(status, FeedStatus)
    assert "Invalid request" in status.reason
    assert protocol.frame_received(body({"result": None, "id": 1})) == []


def test_a_symbol_that_was_not_asked_for_is_counted() -> None:
    protocol = binance.market()
    protocol.connection_made(NOW)
    data = {"e": "markPriceUpdate", "E": 1, "s": "BTCUSD_PERP", "p": "1", "st": 2, "ps": "BTCUSD"}
    (event,) = protocol.frame_received(body({"stream": "btcusd_perp@markPrice@1s", "data": data}))
    assert event == Rejected("binance.market", "channel", "btcusd_perp@markPrice@1s")


@pytest.mark.parametrize(("kind", "count"), [("MARKET", 1), ("INSURANCE_FUND", 0), ("ADL", 0), ("NA", 0)])
def test_only_market_fills_are_prints(kind: str, count: int) -> None:
    protocol = binance.market()
    protocol.connection_made(NOW)
    data = {"e": "trade", "E": 1, "T": 1, "s": "BTCUSDT", "t": 5, "p": "100", "q": "1", "X": kind, "m": False}
    events = protocol.frame_received(body({"stream": "btcusdt@trade", "data": data}))
    assert len([event for event in events if not isinstance(event, FeedStatus)]) == count


# ---- OKX -------------------------------------------------------------------------------------------------------------


def okx(channel: str, row: dict[str, Any], inst: str = "BTC-USDT-SWAP", action: str = "") -> list[Event]:
    protocol = OkxProtocol()
    protocol.connection_made(NOW)
    message = {"arg": {"channel": channel, "instId": inst}, "data": [{"instId": inst, "ts": "1", **row}]}
    events = protocol.frame_received(body({**message, "action": action} if action else message))
    return [event for event in events if not isinstance(event, FeedStatus)]


@pytest.mark.parametrize("checksum", [0, -855196043, None, "x"])
def test_the_checksum_is_not_read(checksum: object) -> None:
    row = {"asks": [["8476.98", "415", "0", "13"]], "bids": [], "seqId": 5, "prevSeqId": -1, "checksum": checksum}
    (book,) = okx("books", row, action="snapshot")
    assert as_type(BookSnapshot, book).asks == ((8476.98, 4.15),)


def test_okx_volumes_of_spot_and_swap_are_both_dollars() -> None:
    row = {"last": "50000", "vol24h": "1000000", "volCcy24h": "10000"}
    (swap,) = of_type(MarketTicker, okx("tickers", row))
    assert swap.volume_usd == 10_000 * 50_000.0, "coins of the swap, at the last price"
    (spot,) = of_type(MarketTicker, okx("tickers", row, "BTC-USDT"))
    assert spot.volume_usd == 10_000.0, "quote currency of the pair"


@pytest.mark.parametrize(("hours", "rate"), [(8, 0.0001), (4, 0.0002), (1, 0.0008)])
def test_funding_is_said_for_eight_hours(hours: int, rate: float) -> None:
    row = {"fundingRate": "0.0001", "fundingTime": "1790150400000", "nextFundingRate": ""}
    (event,) = okx("funding-rate", row | {"nextFundingTime": str(1790150400000 + hours * 3_600_000)})
    assert isinstance(event, MarketTicker)
    assert event.funding_8h == pytest.approx(rate)


def test_liquidations_of_other_swaps_are_passed_over() -> None:
    protocol = OkxProtocol()
    protocol.connection_made(NOW)
    order = {"side": "sell", "posSide": "long", "bkPx": "100", "sz": "1", "bkLoss": "0", "ccy": "", "ts": "5"}
    rows = [
        {"instType": "SWAP", "instId": "DOGE-USDT-SWAP", "details": [order]},
        {"instType": "SWAP", "instId": "BTC-USDT-SWAP", "details": [order, order | {"side": "buy", "ts": "4"}]},
    ]
    frame = body({"arg": {"channel": "liquidation-orders", "instType": "SWAP"}, "data": rows})
    events = of_type(Liquidation, protocol.frame_received(frame))
    assert [(event.underlying, event.side, event.usd) for event in events] == [("BTC", -1, 1.0), ("BTC", 1, 1.0)]


# ---- the whole board -------------------------------------------------------------------------------------------------


def _apply(chain: ChainState, events: Sequence[Event], recv_ns: int = NOW) -> None:
    for event in events:
        if (apply := chain.handler(type(event))) is not None:
            apply(event, recv_ns)


def _snapshot_of(*frames: bytes) -> FlowSnapshot:
    """The snapshot of a session in which the listing was read and these frames came."""
    snapshots: list[FlowSnapshot] = []
    driver = Driver(
        ("BTC",),
        FlowParams("naive"),
        {"deribit": DeribitProtocol(("BTC",))},
        snapshots.append,
        options_sources=("deribit",),
    )
    driver.connected("deribit", NOW)
    for golden in goldens("deribit/session.jsonl"):
        if golden.tag.startswith("instruments"):
            driver.response("deribit", NOW, golden.tag, golden.body)
    for frame in (golden_named("index").body, *frames):
        driver.frame("deribit", NOW, frame)
    driver.request_tick(NOW + 5 * SECOND)
    return snapshots[-1]


def _board(*changes: Sequence[Event]) -> list[FlowSnapshot]:
    """A snapshot after each of `changes`, a second apart."""
    snapshots: list[FlowSnapshot] = []
    driver = Driver(("BTC",), FlowParams("naive"), {}, snapshots.append)
    driver.apply_events([*map(Listed, listing()), index()], BOARD_NOW)
    for number, events in enumerate(changes):
        driver.apply_events(events, BOARD_NOW + number * SECOND)
        driver.tick(BOARD_NOW + number * SECOND, "BTC")
    return snapshots


def test_a_board_without_quotes_is_priced_by_its_marks() -> None:
    names = [option.name for option in listing()]
    quoted = [ticker(name, BOARD_NOW, bid=0.01, ask=0.02, bid_iv=0.4, ask_iv=0.6, mark=0.015) for name in names]
    bare = [ticker(name, BOARD_NOW, mark=0.015) for name in names]
    with_quotes, without = (_board(events)[0] for events in (quoted, bare))
    assert with_quotes.metrics.ngi == without.metrics.ngi
    assert without.metrics.ngi.value is not None


def test_open_interest_that_falls_without_trades_is_no_flow_and_no_error() -> None:
    names = [option.name for option in listing()]
    steps = [
        [ticker(name, BOARD_NOW + n, open_interest=amount) for name in names]
        for n, amount in enumerate((9118.0, 8400.0))
    ]
    before, after = _board(*steps)
    assert before.metrics.ngi.value is not None
    assert after.metrics.ngi.value is not None
    assert after.view("flow").positions.coverage == before.view("flow").positions.coverage
