import json
import math
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from dfmon.model.events import (
    Delisted,
    Event,
    FeedState,
    FeedStatus,
    Listed,
    ListingComplete,
    OptionMarks,
    OptionTicker,
    OptionTrade,
    PrintsLost,
    Rejected,
    TradeHistoryComplete,
)
from dfmon.model.units import HOUR, MINUTE, SECOND
from dfmon.venues.deribit.protocol import DeribitProtocol
from dfmon.venues.deribit.trades.sequencer import MAX_SEQUENCE_JUMP, PAGE_SIZE, TradeSequencer
from dfmon.venues.deribit.wire import Trade
from dfmon.venues.protocol import RestCall, VenueProtocol
from tests.event_types import as_type, of_type
from tests.venues.venue_golden import NOW, Golden, assert_finite, body, goldens, mutations, plain

SESSION = goldens("deribit/session.jsonl")
CALL, PUT, LINEAR = "BTC-27NOV26-95000-C", "BTC-27NOV26-88000-P", "BTC_USDC-27NOV26-94000-C"
T_MS = 1_794_830_405_123


def golden_named(name: str) -> Golden:
    return next(golden for golden in SESSION if golden.name.startswith(name))


def connected() -> DeribitProtocol:
    protocol = DeribitProtocol()
    protocol.connection_made(NOW)
    return protocol


def listed_protocol() -> DeribitProtocol:
    """A connection whose BTC and USDC listings have been read and whose queues are empty."""
    protocol = connected()
    for golden in SESSION:
        if golden.tag.startswith("instruments"):
            golden.play(protocol)
    protocol.data_to_send()
    protocol.rest_calls()
    return protocol


def sent(protocol: VenueProtocol) -> list[dict[str, Any]]:
    return [json.loads(text) for text in protocol.data_to_send()]


def acknowledge_subscriptions(protocol: DeribitProtocol, at_ms: int = 0) -> list[RestCall]:
    """Every subscription acknowledged at the venue's `at_ms`; the fills by time that are asked for thereupon."""
    for request in sent(protocol):
        if request["method"] == "public/subscribe":
            reply = {"jsonrpc": "2.0", "id": request["id"], "result": request["params"]["channels"]}
            protocol.frame_received(body({**reply, "usOut": at_ms * 1000}))
    return [call for call in protocol.rest_calls() if call.tag.startswith("trades:BTC")]


def push(channel: str, data: object) -> bytes:
    return body({"jsonrpc": "2.0", "method": "subscription", "params": {"channel": channel, "data": data}})


def trade(number: int, seq: int, name: str = CALL, **more: object) -> dict[str, Any]:
    return {
        "trade_seq": seq, "trade_id": str(number), "timestamp": T_MS + number, "price": 0.05, "iv": 55.0,
        "instrument_name": name, "index_price": 91000.0, "direction": "buy", "amount": 1.0, **more,
    }  # fmt: skip


def trades(*rows: dict[str, Any], currency: str = "BTC") -> bytes:
    return push(f"trades.option.{currency}.100ms", list(rows))


def answer(result: object, at_ms: int = 0) -> bytes:
    us = at_ms * 1000
    return body({"jsonrpc": "2.0", "result": result, "usIn": us + 1, "usOut": us + 2, "usDiff": 1, "testnet": False})


def seqs(events: Sequence[Event]) -> list[int]:
    """The numbers of prints, which all of `events` must be."""
    return [as_type(OptionTrade, event).seq for event in events]


def tags(calls: Sequence[RestCall]) -> list[str]:
    return [call.tag for call in calls]


# ---- golden frames ---------------------------------------------------------------------------------------------------


def test_the_golden_session_gives_exactly_these_events() -> None:
    protocol = connected()
    for golden in SESSION:
        assert plain(golden.play(protocol)) == golden.events, golden.name


@pytest.mark.parametrize("golden", SESSION, ids=lambda golden: golden.name)
def test_damaged_frames_become_events_or_rejections(golden: Golden) -> None:
    protocol = listed_protocol()
    for damaged in mutations(golden.body):
        assert_finite(Golden("", damaged, [], golden.tag).play(protocol))


def test_marks_are_fractions_and_everything_else_is_percent() -> None:
    protocol = listed_protocol()
    (marks,) = of_type(OptionMarks, golden_named("markprice").play(protocol))
    (ticker,) = of_type(OptionTicker, golden_named("ticker of an option").play(protocol))
    (summary,) = of_type(OptionTicker, golden_named("book summary").play(protocol))
    assert marks.mark_iv[0] == ticker.mark_iv == summary.mark_iv == pytest.approx(0.5706)


def test_a_side_without_quote_has_neither_price_nor_volatility() -> None:
    (ticker,) = of_type(OptionTicker, golden_named("ticker without").play(listed_protocol()))
    assert all(math.isnan(value) for value in (ticker.bid, ticker.ask, ticker.bid_iv, ticker.ask_iv))
    assert ticker.mark == 0.0012


def test_a_channel_in_another_spelling_of_the_json_is_read_too() -> None:
    spaced = json.dumps(json.loads(golden_named("index").body)).encode()
    assert b'"channel": ' in spaced
    assert connected().frame_received(spaced) == golden_named("index").play(connected())


# ---- the connection --------------------------------------------------------------------------------------------------


def test_the_greeting_sets_a_heartbeat_and_subscribes_kinds_not_options() -> None:
    protocol = connected()
    requests = sent(protocol)
    greeting = ["public/hello", "public/set_heartbeat", "public/subscribe", "public/get_time"]
    assert [request["method"] for request in requests] == greeting
    channels = requests[2]["params"]["channels"]
    assert len(channels) == len(set(channels))
    assert {"trades.option.USDC.100ms", "markprice.options.eth_usd", "deribit_volatility_index.btc_usd"} <= set(
        channels
    )
    assert not [channel for channel in channels if channel.startswith(("ticker.", "incremental_ticker."))]
    assert protocol.data_to_send() == []


def test_futures_are_subscribed_when_the_listing_names_them_and_again_after_a_reconnect() -> None:
    protocol = connected()
    protocol.data_to_send()
    golden_named("listing BTC futures").play(protocol)
    expected = ["incremental_ticker.BTC-PERPETUAL", "incremental_ticker.BTC-27NOV26"]
    assert sent(protocol)[0]["params"]["channels"] == expected
    protocol.connection_lost("x")
    protocol.connection_made(NOW + MINUTE)
    assert set(expected) <= set(sent(protocol)[2]["params"]["channels"])
    golden_named("listing BTC futures").play(protocol)
    assert sent(protocol) == []


def test_a_future_that_left_the_listing_is_unsubscribed() -> None:
    protocol = listed_protocol()
    rows = json.loads(golden_named("listing BTC futures").body)["result"]
    protocol.response_received("instruments:BTC:future", answer(rows[:1]))
    (request,) = sent(protocol)
    assert request["method"] == "public/unsubscribe"
    assert request["params"]["channels"] == ["incremental_ticker.BTC-27NOV26"]


def test_a_coin_with_futures_of_its_own_needs_none_in_dollars() -> None:
    protocol = DeribitProtocol(("BTC", "SOL"))
    protocol.connection_made(NOW)
    golden_named("listing BTC futures").play(protocol)
    protocol.data_to_send()
    row = json.loads(golden_named("listing BTC futures").body)["result"][0] | {"instrument_type": "linear"}
    rows = [
        row | {"instrument_name": f"{coin}_USDC-PERPETUAL", "base_currency": coin, "settlement_currency": "USDC"}
        for coin in ("BTC", "SOL", "XRP")
    ]
    for _ in range(2):
        protocol.response_received("instruments:USDC:future", answer(rows))
        golden_named("listing BTC futures").play(protocol)
    (request,) = sent(protocol)
    assert request["params"]["channels"] == ["incremental_ticker.SOL_USDC-PERPETUAL"]


@pytest.mark.parametrize("spoilt", [{"strike": "x"}, {"expiration_timestamp": 0, "settlement_period": "week"}])
def test_a_bad_row_of_a_future_ends_no_future(spoilt: dict[str, Any]) -> None:
    protocol = listed_protocol()
    rows = json.loads(golden_named("listing BTC futures").body)["result"]
    events = protocol.response_received("instruments:BTC:future", answer([rows[0], rows[1] | spoilt]))
    assert [event.what for event in of_type(Rejected, events)] == ["row"]
    assert sent(protocol) == []
    assert "BTC-27NOV26" in protocol.listings.futures


def test_an_empty_listing_of_futures_is_not_believed() -> None:
    protocol = listed_protocol()
    events = protocol.response_received("instruments:BTC:future", answer([]))
    assert [event.what for event in of_type(Rejected, events)] == ["listing"]
    assert sent(protocol) == []


def test_many_channels_are_sent_in_frames_the_venue_accepts() -> None:
    protocol = connected()
    protocol.data_to_send()
    base = json.loads(golden_named("listing BTC futures").body)["result"][1]
    rows = [base | {"instrument_name": f"BTC-{number:04d}-a-rather-long-name"} for number in range(1000)]
    protocol.response_received("instruments:BTC:future", answer(rows))
    frames = protocol.data_to_send()
    assert len(frames) == 3
    assert max(len(frame) for frame in frames) < 32_000
    assert sum(len(json.loads(frame)["params"]["channels"]) for frame in frames) == 1000


def test_a_full_acknowledgement_in_any_order_makes_the_feed_live() -> None:
    protocol = connected()
    request = sent(protocol)[2]
    reply = body({"jsonrpc": "2.0", "id": request["id"], "result": request["params"]["channels"][::-1]})
    assert protocol.frame_received(reply) == [FeedStatus("deribit", FeedState.LIVE)]


def test_channels_left_out_of_the_acknowledgement_are_named_optional_ones_are_not() -> None:
    protocol = connected()
    request = sent(protocol)[2]
    accepted = [
        name for name in request["params"]["channels"] if name not in ("platform_state", "markprice.options.btc_usdc")
    ]
    events = protocol.frame_received(body({"jsonrpc": "2.0", "id": request["id"], "result": accepted}))
    assert events == [
        Rejected("deribit", "subscription", "platform_state"),
        FeedStatus("deribit", FeedState.LIVE, "not accepted: platform_state"),
    ]


def test_a_test_request_is_answered_at_once_a_heartbeat_is_not() -> None:
    protocol = listed_protocol()
    assert golden_named("test request").play(protocol) == []
    assert [request["method"] for request in sent(protocol)] == ["public/test"]
    golden_named("heartbeat").play(protocol)
    assert sent(protocol) == []


def test_a_subscription_refused_by_the_settlement_is_sent_again_later() -> None:
    protocol = connected()
    request = sent(protocol)[2]
    error = {"jsonrpc": "2.0", "id": request["id"], "error": {"code": 10041, "message": "settlement_in_progress"}}
    assert protocol.frame_received(body(error)) == [
        FeedStatus("deribit", FeedState.SYNCING, "settlement in progress (10041)")
    ]
    protocol.on_timer(NOW + SECOND)
    assert sent(protocol) == []
    protocol.on_timer(NOW + 5 * SECOND)
    assert sent(protocol)[0]["params"] == request["params"]


def test_a_subscription_refused_for_good_is_not_repeated() -> None:
    protocol = connected()
    request = sent(protocol)[2]
    error = {"jsonrpc": "2.0", "id": request["id"], "error": {"code": 13778, "message": "raw"}}
    events = protocol.frame_received(body(error))
    assert events[0] == FeedStatus("deribit", FeedState.SYNCING, "raw channels need an account (13778)")
    assert len(of_type(Rejected, events)) == len(request["params"]["channels"])
    for later in range(100):
        protocol.on_timer(NOW + later * SECOND)
    assert {request["method"] for request in sent(protocol)} == {"public/get_time"}


def test_foreign_words_cannot_move_the_cursor() -> None:
    (status, *_) = connected().frame_received(body({"id": 77, "error": {"code": 5, "message": "a\x1b[2Jb"}}))
    assert status == FeedStatus("deribit", FeedState.SYNCING, "a?[2Jb (5)")


# ---- the listing -----------------------------------------------------------------------------------------------------


def test_the_listing_is_complete_when_both_settlement_currencies_are_read() -> None:
    protocol = connected()
    assert of_type(ListingComplete, golden_named("listing BTC options").play(protocol)) == []
    (complete,) = of_type(ListingComplete, golden_named("listing USDC").play(protocol))
    assert complete == ListingComplete("deribit", "BTC", frozenset({CALL, PUT, LINEAR}))


def test_without_linear_options_one_currency_is_the_whole_listing() -> None:
    protocol = DeribitProtocol(("BTC",), linear=False)
    protocol.connection_made(NOW)
    assert tags(protocol.rest_calls()) == ["instruments:BTC:option", "instruments:BTC:future"]
    assert len(of_type(ListingComplete, golden_named("listing BTC options").play(protocol))) == 1


def test_a_later_reading_without_an_option_ends_it_and_the_roll_is_told() -> None:
    protocol = listed_protocol()
    rows = json.loads(golden_named("listing BTC options").body)["result"]
    new = rows[1] | {"instrument_name": "BTC-18NOV26-92000-P", "instrument_id": 650}
    (complete,) = of_type(ListingComplete, protocol.response_received("instruments:BTC:option", answer([rows[0], new])))
    assert complete.names == {CALL, "BTC-18NOV26-92000-P", LINEAR}
    roll = protocol.listings.last_roll
    assert roll is not None
    assert (roll.added, roll.removed) == (frozenset({"BTC-18NOV26-92000-P"}), frozenset({PUT}))
    assert protocol.listings.roll_map.name(602) == PUT


def test_a_bad_row_is_rejected_and_ends_no_option() -> None:
    protocol = listed_protocol()
    rows = json.loads(golden_named("listing BTC options").body)["result"]
    events = protocol.response_received("instruments:BTC:option", answer([rows[0], {"kind": "option"}]))
    assert [event.what for event in of_type(Rejected, events)] == ["row"]
    assert len(of_type(Listed, events)) == 1
    assert PUT in of_type(ListingComplete, events)[0].names


def test_an_answer_to_another_question_ends_no_option() -> None:
    protocol = listed_protocol()
    futures = json.loads(golden_named("listing BTC futures").body)["result"]
    events = protocol.response_received("instruments:BTC:option", answer(futures))
    assert of_type(ListingComplete, events) == []
    assert {event.what for event in of_type(Rejected, events)} == {"row", "listing"}


def test_an_option_without_a_strike_is_no_option() -> None:
    protocol = listed_protocol()
    rows = json.loads(golden_named("listing BTC options").body)["result"]
    events = protocol.response_received("instruments:BTC:option", answer([rows[0], rows[1] | {"strike": None}]))
    assert [event.instrument.name for event in of_type(Listed, events)] == [CALL]


def test_records_of_2021_say_less_and_are_understood() -> None:
    protocol = DeribitProtocol(("BTC",), linear=False)
    protocol.connection_made(NOW)
    old = {
        "tick_size": 0.0005, "strike": 40000.0, "settlement_period": "month", "quote_currency": "BTC", "kind": "option",
        "option_type": "put", "is_active": True, "instrument_name": "BTC-24SEP21-40000-P", "base_currency": "BTC",
        "expiration_timestamp": 1632470400000, "creation_timestamp": 1606129458000, "contract_size": 1.0,
    }  # fmt: skip
    (made, _) = protocol.response_received("instruments:BTC:option", answer([old]))
    assert isinstance(made, Listed)
    assert (made.instrument.settlement, made.instrument.strike) == ("inverse", 40000.0)


@pytest.mark.parametrize("state", ["delivered", "archivized", "inactive", "closed", "terminated"])
def test_final_states_delist(state: str) -> None:
    row = {"timestamp": T_MS, "state": state, "instrument_name": CALL}
    events = listed_protocol().frame_received(push("instrument.state.option.BTC", row))
    assert events == [Delisted("deribit", CALL, T_MS * 1_000_000)]


def test_an_unknown_state_is_counted_and_a_pause_is_not() -> None:
    protocol = listed_protocol()
    for state, expected in (("halted", []), ("dreaming", [Rejected("deribit", "state", "dreaming")])):
        row = {"timestamp": T_MS, "state": state, "instrument_name": CALL}
        assert protocol.frame_received(push("instrument.state.option.BTC", row)) == expected


# ---- trades ----------------------------------------------------------------------------------------------------------


def test_a_combo_is_counted_leg_by_leg_and_once() -> None:
    protocol = listed_protocol()
    events = [*golden_named("combo print").play(protocol), *golden_named("trades: the two legs").play(protocol)]
    legs = [event for event in of_type(OptionTrade, events) if event.combo]
    assert [(leg.name, leg.side, leg.size) for leg in legs] == [(CALL, 1, 3.0), (PUT, -1, 3.0)]
    assert {leg.event_id for leg in legs} == {"415305280"}


def test_a_print_seen_before_is_dropped_and_order_does_not_matter() -> None:
    protocol = listed_protocol()
    first = protocol.frame_received(trades(trade(2, 12), trade(1, 11), trade(2, 12)))
    again = protocol.frame_received(trades(trade(1, 11), trade(3, 13)))
    assert [event.seq for event in of_type(OptionTrade, [*first, *again])] == [11, 12, 13]
    assert protocol.rest_calls() == []


def test_a_print_of_an_options_own_channel_is_the_same_print() -> None:
    protocol = listed_protocol()
    own = push(f"trades.{CALL}.raw", [trade(1, 11)])
    events = [*protocol.frame_received(own), *protocol.frame_received(trades(trade(1, 11)))]
    assert [event.seq for event in of_type(OptionTrade, events)] == [11]


def test_equal_ids_of_two_currencies_are_two_prints() -> None:
    protocol = listed_protocol()
    events = [
        *protocol.frame_received(trades(trade(1, 11))),
        *protocol.frame_received(trades(trade(1, 5, LINEAR), currency="USDC")),
    ]
    assert len(of_type(OptionTrade, events)) == 2


def test_a_jump_of_the_sequence_asks_for_the_missing_prints_once() -> None:
    protocol = listed_protocol()
    assert seqs(protocol.frame_received(trades(trade(1, 11), trade(5, 15)))) == [11]
    assert protocol.frame_received(trades(trade(6, 16))) == []
    (call,) = protocol.rest_calls()
    assert call.path == "/public/get_last_trades_by_instrument"
    assert {"instrument_name": CALL, "start_seq": "12", "end_seq": "14"}.items() <= dict(call.params).items()
    page = {"trades": [trade(2, 12), trade(3, 13), trade(4, 14), trade(5, 15)], "has_more": False}
    assert seqs(protocol.response_received(call.tag, answer(page))) == [12, 13, 14, 15, 16]
    assert seqs(protocol.frame_received(trades(trade(7, 17)))) == [17]
    assert protocol.rest_calls() == []


def test_prints_the_venue_does_not_return_are_given_up_and_told_after_a_minute_of_its_time() -> None:
    protocol = listed_protocol()
    protocol.frame_received(trades(trade(1, 11), trade(5, 15)))
    (call,) = protocol.rest_calls()
    assert seqs(protocol.response_received(call.tag, answer({"trades": [trade(2, 12)], "has_more": False}))) == [12]
    emitted: list[Event] = []
    request_count = 0
    for second in range(90):
        protocol.on_timer(NOW + second * SECOND)
        for call in protocol.rest_calls():
            if call.tag.startswith("gap"):
                assert not emitted
                request_count += 1
                emitted += protocol.response_received(
                    call.tag, answer({"trades": [], "has_more": False}, T_MS + second * 1000)
                )
    assert request_count == 7
    assert emitted[:2] == [
        PrintsLost("deribit", CALL, 2),
        Rejected("deribit", "gap", f"{CALL}: 2 prints not returned"),
    ]
    assert [event.seq for event in of_type(OptionTrade, emitted)] == [15]


def test_the_missing_print_may_come_by_itself() -> None:
    protocol = listed_protocol()
    protocol.frame_received(trades(trade(1, 11), trade(3, 13), trade(2, 12)))
    assert protocol.rest_calls() == []


def test_a_large_jump_is_asked_for_page_by_page_and_one_beyond_reason_is_damage() -> None:
    protocol = listed_protocol()
    protocol.frame_received(trades(trade(1, 11), trade(2, 11 + 2 * PAGE_SIZE)))
    (call,) = protocol.rest_calls()
    assert (dict(call.params)["start_seq"], dict(call.params)["end_seq"]) == ("12", str(11 + PAGE_SIZE))
    rows = [trade(100_000 + seq, seq) for seq in range(12, 12 + PAGE_SIZE)]
    assert len(protocol.response_received(call.tag, answer({"trades": rows, "has_more": True}))) == PAGE_SIZE
    (call,) = protocol.rest_calls()
    assert (dict(call.params)["start_seq"], dict(call.params)["end_seq"]) == (
        str(12 + PAGE_SIZE),
        str(10 + 2 * PAGE_SIZE),
    )
    damaged = protocol.frame_received(trades(trade(3, MAX_SEQUENCE_JUMP * 3)))
    assert damaged == [Rejected("deribit", "row", "1 prints with a number out of all order")]


def test_after_a_reconnect_the_outage_is_filled_by_time_before_any_hole_by_number() -> None:
    protocol = listed_protocol()
    protocol.frame_received(trades(trade(1, 11)))
    protocol.connection_lost("x")
    protocol.connection_made(NOW + HOUR)
    (fill, *_) = acknowledge_subscriptions(protocol)
    assert int(dict(fill.params)["start_timestamp"]) == T_MS + 1 - 5000
    assert int(dict(fill.params)["end_timestamp"]) == (NOW + HOUR) // 1_000_000
    protocol.frame_received(trades(trade(9, 19)))
    assert protocol.rest_calls() == []
    page = {"trades": [trade(1, 11), *(trade(number, 10 + number) for number in range(2, 6))], "has_more": True}
    assert len(protocol.response_received(fill.tag, answer(page))) == 4
    (more,) = protocol.rest_calls()
    assert int(dict(more.params)["start_timestamp"]) == T_MS + 5
    last = {"trades": [trade(number, 10 + number) for number in (5, 6, 7)], "has_more": False}
    assert len(protocol.response_received(more.tag, answer(last))) == 2
    assert tags(protocol.rest_calls()) == [f"gap:BTC:{CALL}:18:18"]


def test_the_first_connection_reads_the_past_page_by_page_and_says_when_it_is_whole() -> None:
    protocol = DeribitProtocol(("BTC",), linear=False, look_back_s=3600.0)
    protocol.connection_made(NOW)
    golden_named("listing BTC options").play(protocol)
    (fill, *_) = acknowledge_subscriptions(protocol)
    start_ms = NOW // 1_000_000 - 3_600_000
    assert int(dict(fill.params)["start_timestamp"]) == start_ms
    gone = {**trade(3, 12), "instrument_name": "BTC-1JAN20-1000-C"}
    first = {"trades": [trade(1, 11), gone], "has_more": True}
    events = protocol.response_received(fill.tag, answer(first))
    assert [type(event).__name__ for event in events] == ["OptionTrade"]
    (more,) = (call for call in protocol.rest_calls() if call.tag.startswith("trades:"))
    events = protocol.response_received(more.tag, answer({"trades": [trade(1, 11), trade(4, 12)], "has_more": False}))
    assert [type(event).__name__ for event in events] == ["OptionTrade", "TradeHistoryComplete"]
    assert events[-1] == TradeHistoryComplete("deribit", "BTC", start_ms * 1_000_000)


def test_a_first_connection_that_ends_early_reads_the_past_again() -> None:
    protocol = DeribitProtocol(("BTC",), linear=False, look_back_s=3600.0)
    protocol.connection_made(NOW)
    protocol.connection_lost("x")
    protocol.connection_made(NOW + HOUR)
    golden_named("listing BTC options").play(protocol)
    (fill, *_) = acknowledge_subscriptions(protocol)
    assert int(dict(fill.params)["start_timestamp"]) == NOW // 1_000_000 - 3_600_000


def test_a_fill_ends_where_the_channels_begin_not_where_we_connected() -> None:
    """Prints between the two would be neither in the answer nor on the channel."""
    protocol = listed_protocol()
    protocol.frame_received(trades(trade(1, 11)))
    protocol.connection_lost("x")
    protocol.connection_made(NOW + HOUR)
    assert not any(call.tag.startswith("trades:") for call in protocol.rest_calls()), "not before the channels are open"
    opened_ms = (NOW + HOUR) // 1_000_000 + 700
    (fill, *_) = acknowledge_subscriptions(protocol, opened_ms)
    assert int(dict(fill.params)["end_timestamp"]) == opened_ms


def test_the_past_is_asked_for_when_the_listing_tells_whose_it_is() -> None:
    """The first fill drops prints of unknown names, so that a listing that failed must not cost the past."""
    protocol = DeribitProtocol(("BTC",), linear=False, look_back_s=3600.0)
    protocol.connection_made(NOW)
    assert acknowledge_subscriptions(protocol) == []
    protocol.response_received("instruments:BTC:option", b"")
    golden_named("listing BTC options").play(protocol)
    assert any(call.tag.startswith("trades:BTC") for call in protocol.rest_calls())


def test_a_hole_whose_call_was_lost_with_the_connection_is_asked_for_again() -> None:
    protocol = listed_protocol()
    protocol.frame_received(trades(trade(1, 11), trade(5, 15)))
    protocol.connection_lost("x")
    protocol.connection_made(NOW + HOUR)
    (fill, *_) = acknowledge_subscriptions(protocol)
    protocol.response_received(fill.tag, answer({"trades": [trade(5, 15)], "has_more": False}))
    assert tags(protocol.rest_calls()) == [f"gap:BTC:{CALL}:12:14"]


def test_the_memory_of_prints_is_bounded() -> None:
    sequencer = TradeSequencer(max_ids=3)
    rows = [msgspec.convert(trade(number, number), Trade) for number in range(5)]
    assert sequencer.accept("BTC", rows) == rows
    renumbered = [msgspec.structs.replace(rows[place], trade_seq=5) for place in (4, 0)]
    assert sequencer.accept("BTC", renumbered[:1]) == []
    assert sequencer.accept("BTC", renumbered[1:]) == renumbered[1:], "its id is forgotten"


@pytest.mark.slow
def test_hours_of_prints_leave_nothing_behind_but_where_each_line_ends() -> None:
    """And what a sweep brings again, long after its id is forgotten, is known by its number."""
    sequencer = TradeSequencer()
    names = [f"BTC-1DEC26-{strike}000-C" for strike in range(80, 90)]
    rows = [msgspec.convert(trade(n, n // len(names), names[n % len(names)]), Trade) for n in range(20_000)]
    sizes = []
    for start in range(0, len(rows), 500):
        batch = rows[start : start + 500]
        assert sequencer.accept("BTC", batch) == batch
        assert sequencer.accept("BTC", rows[max(0, start - 4_000) : start], from_fill=True) == [], "a late sweep"
        entry_count = sum(len(value) for value in vars(sequencer).values() if isinstance(value, dict))
        sizes.append(entry_count + sum(len(sequence.waiting) for sequence in sequencer._sequences.values()))
    assert max(sizes) == sizes[10] == sizes[-1], "flat after the first hour or so"


def test_prints_wait_for_the_listing_and_then_come_in_order() -> None:
    protocol = connected()
    assert protocol.frame_received(trades(trade(1, 11), trade(2, 12), trade(3, 9, "BTC-NOT-LISTED"))) == []
    events = golden_named("listing BTC options").play(protocol)
    assert [event.seq for event in of_type(OptionTrade, events)] == [11, 12]
    assert of_type(Rejected, events) == [Rejected("deribit", "instrument", "BTC-NOT-LISTED")]


def test_an_unknown_name_has_the_listing_read_again_but_not_every_second() -> None:
    protocol = listed_protocol()
    listing = json.loads(golden_named("listing BTC options").body)["result"]
    asked = []
    for second in range(90):
        protocol.frame_received(trades(trade(second, second, "BTC-1DEC26-90000-C")))
        protocol.on_timer(NOW + second * SECOND)
        for call in protocol.rest_calls():
            if call.tag == "instruments:BTC:option":
                asked.append(second)
                protocol.response_received(call.tag, answer(listing))
    assert asked == [0, 60]


def test_one_bad_print_does_not_cost_the_others() -> None:
    events = listed_protocol().frame_received(
        trades(trade(1, 11), {"trade_id": "x"}, trade(2, 12, amount=-1), trade(3, 13))
    )
    assert [event.seq for event in of_type(OptionTrade, events)] == [11], "13 waits for a good 12"
    assert [event.what for event in of_type(Rejected, events)] == ["row", "row"]


# ---- REST ------------------------------------------------------------------------------------------------------------


def test_the_listing_is_read_at_start_and_at_five_past_every_hour() -> None:
    protocol = connected()
    assert tags(protocol.rest_calls())[:3] == [f"instruments:{name}:option" for name in ("BTC", "ETH", "USDC")]
    for golden in SESSION[:3]:
        golden.play(protocol)
    protocol.rest_calls()
    protocol.on_timer(NOW + 4 * MINUTE)
    assert not [tag for tag in tags(protocol.rest_calls()) if tag.startswith("instruments:BTC")]
    protocol.on_timer(NOW + 5 * MINUTE)
    assert "instruments:BTC:option" in tags(protocol.rest_calls())


def test_the_summary_follows_the_listing_and_comes_every_half_minute() -> None:
    protocol = connected()
    protocol.rest_calls()
    golden_named("listing BTC options").play(protocol)
    first = tags(protocol.rest_calls())
    assert first[0] == "summary:BTC"
    golden_named("book summary").play(protocol)
    protocol.on_timer(NOW + 29 * SECOND)
    assert protocol.rest_calls() == []
    protocol.on_timer(NOW + 30 * SECOND)
    second = tags(protocol.rest_calls())
    assert second[0] == "summary:BTC"
    tickers = {tag.partition(":")[2] for tag in (*first[1:], *second[1:])}
    assert len(tickers) == 2, "the venue's greeks of another option each time"
    assert tickers <= protocol.listings.options.keys()


def test_a_ticker_of_another_option_than_was_asked_for_is_counted() -> None:
    protocol = listed_protocol()
    (event,) = protocol.response_received(f"ticker:{PUT}", golden_named("ticker asked").body)
    assert isinstance(event, Rejected)
    assert f"requested {PUT}, received {CALL}" in event.detail


def test_a_summary_row_of_somebody_else_is_skipped() -> None:
    protocol = listed_protocol()
    rows = json.loads(golden_named("book summary").body)["result"]
    other = rows[0] | {"instrument_name": "XRP_USDC-27NOV26-2d125-C"}
    assert len(protocol.response_received("summary:USDC", answer([other, *rows]))) == 1


@pytest.mark.parametrize(
    "reply", [b"", b"not json", b'{"error":{"code":-32602,"message":"Invalid params"}}', b'{"result":7}', b"\xff"]
)
def test_a_listing_that_failed_is_asked_for_again(reply: bytes) -> None:
    protocol = connected()
    protocol.rest_calls()
    events = protocol.response_received("instruments:BTC:option", reply)
    assert [event.what for event in of_type(Rejected, events)] == ["response"] * bool(reply)
    protocol.on_timer(NOW + SECOND)
    protocol.on_timer(NOW + 3 * SECOND)
    assert protocol.rest_calls() == []
    protocol.on_timer(NOW + 7 * SECOND)
    assert tags(protocol.rest_calls()) == ["instruments:BTC:option"]


def test_a_tag_of_nobody_is_rejected() -> None:
    assert listed_protocol().response_received("weather:BTC", b"{}") == [Rejected("deribit", "response", "weather:BTC")]


def test_two_protocols_fed_alike_tell_alike_whatever_their_timers_did() -> None:
    live, replayed = connected(), connected()
    for number, golden in enumerate(SESSION):
        live.on_timer(NOW + number * MINUTE)
        live.data_to_send()
        live.rest_calls()
        assert plain(golden.play(live)) == plain(golden.play(replayed))


def test_only_a_change_of_the_venues_own_state_is_told() -> None:
    protocol = listed_protocol()
    closed = push("platform_state", {"maintenance": True})
    acknowledge_subscriptions = push(
        "platform_state.public_methods_state", {"allow_unauthenticated_public_requests": True}
    )
    assert protocol.frame_received(acknowledge_subscriptions) == []
    assert protocol.frame_received(closed) == [FeedStatus("deribit", FeedState.DOWN, "maintenance")]
    assert protocol.frame_received(closed) == []
    assert protocol.frame_received(acknowledge_subscriptions) == [FeedStatus("deribit", FeedState.SYNCING)]
