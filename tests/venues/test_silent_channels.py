"""Channels that die on a connection that lives, the venue's clock, and the venues' limits on what we send."""

import json
from typing import Any

import pytest

from dfmon.model.events import ClockReading, Delisted, FeedState, FeedStatus, Listed
from dfmon.model.units import DAY, HOUR, MINUTE, SECOND
from dfmon.venues.binance import protocol as binance
from dfmon.venues.deribit.protocol import DeribitProtocol
from dfmon.venues.okx.protocol import OkxProtocol
from dfmon.venues.protocol import DropPolicy, VenueProtocol
from tests.event_types import as_type, of_type
from tests.venues.venue_golden import NOW, body, goldens


def sent(protocol: VenueProtocol) -> list[dict[str, Any]]:
    return [json.loads(text) for text in protocol.data_to_send() if text != "ping"]


def push(channel: str, data: object) -> bytes:
    return body({"jsonrpc": "2.0", "method": "subscription", "params": {"channel": channel, "data": data}})


def index(second: int, name: str = "btc_usd") -> bytes:
    return push(
        f"deribit_price_index.{name}", {"timestamp": NOW // 10**6, "price": 90_000.0 + second, "index_name": name}
    )


def accept(protocol: DeribitProtocol) -> None:
    for request in sent(protocol):
        if request["method"] == "public/subscribe":
            reply = {"jsonrpc": "2.0", "id": request["id"], "result": request["params"]["channels"]}
            protocol.frame_received(body(reply))


def deribit() -> DeribitProtocol:
    protocol = DeribitProtocol(("BTC",), linear=False)
    protocol.connection_made(NOW)
    accept(protocol)
    return protocol


def test_deribits_marks_may_be_silent_for_a_minute_and_are_then_subscribed_anew() -> None:
    protocol = deribit()
    statuses: list[FeedStatus] = []
    for second in range(1, 76):
        protocol.frame_received(index(second))
        told = of_type(FeedStatus, protocol.on_timer(NOW + second * SECOND))
        statuses += [status for status in told if "markprice" in status.reason]
        calls = [(call["method"], call["params"]) for call in sent(protocol) if "channels" in call["params"]]
        marks = [call for call in calls if "markprice.options.btc_usd" in call[1]["channels"]]
        expected = ["public/unsubscribe", "public/subscribe"] if second == 61 else []
        assert [method for method, _ in marks] == expected, second
    assert statuses[-1].state is FeedState.LIVE
    assert "markprice.options.btc_usd silent for 74 s" in statuses[-1].reason
    protocol.frame_received(push("markprice.options.btc_usd", []))
    assert "markprice" not in of_type(FeedStatus, protocol.on_timer(NOW + 76 * SECOND))[-1].reason


def test_deribits_trades_may_be_silent_and_a_dead_index_ends_the_connection() -> None:
    protocol = deribit()
    for second in range(1, 25):
        protocol.on_timer(NOW + second * SECOND)
        assert not [call for call in sent(protocol) if "trades.option.BTC.100ms" in call["params"].get("channels", ())]
    assert protocol.failure_reason == "deribit_price_index.btc_usd silent for 20 s"


def test_nothing_is_mended_while_the_venue_is_closed_and_it_is_asked_whether_it_still_is() -> None:
    protocol = deribit()
    protocol.frame_received(push("platform_state", {"maintenance": True}))
    statuses = [event for second in range(1, 200) for event in protocol.on_timer(NOW + second * SECOND)]
    calls = sent(protocol)
    assert statuses == []
    assert not [call for call in calls if "channels" in call["params"]]
    requested = [call for call in calls if call["method"] == "public/status"]
    assert len(requested) == 20
    (status,) = protocol.frame_received(
        body({"jsonrpc": "2.0", "id": requested[-1]["id"], "result": {"locked": "false"}})
    )
    assert status == FeedStatus("deribit", FeedState.LIVE)
    assert protocol.failure_reason == ""


def test_a_dead_binance_stream_is_mended_by_two_messages_then_by_a_new_connection() -> None:
    protocol = binance.market(["BTC"])
    protocol.connection_made(NOW)
    (alive,) = [golden.body for golden in goldens("binance/market.jsonl") if b"markPrice@1s" in golden.body][:1]
    calls = []
    for second in range(1, 62):
        protocol.frame_received(alive)
        statuses = of_type(FeedStatus, protocol.on_timer(NOW + second * SECOND))
        calls += sent(protocol)
        if second == 31:
            assert statuses[0].reason == "btcusdt@aggTrade silent for 30 s, btcusdt@ticker silent for 30 s"
    assert [(call["method"], call["params"]) for call in calls] == [
        ("UNSUBSCRIBE", ["btcusdt@aggTrade", "btcusdt@ticker"]),
        ("SUBSCRIBE", ["btcusdt@aggTrade", "btcusdt@ticker"]),
    ]
    assert protocol.failure_reason


def okx(refuse: str = "") -> OkxProtocol:
    protocol = OkxProtocol(["BTC"])
    protocol.connection_made(NOW)
    (request,) = sent(protocol)
    for arg in request["args"]:
        if arg["channel"] != refuse:
            protocol.frame_received(body({"event": "subscribe", "arg": arg, "connId": "x"}))
    return protocol


def test_what_okx_did_not_acknowledge_is_named_after_ten_seconds() -> None:
    protocol = okx(refuse="funding-rate")
    assert protocol.on_timer(NOW + 5 * SECOND) == []
    (status,) = of_type(FeedStatus, protocol.on_timer(NOW + 10 * SECOND))
    assert status.reason == "not accepted: funding-rate BTC-USDT-SWAP, funding-rate BTC-USD-SWAP"
    assert not protocol.subscribed


def test_what_okx_did_not_acknowledge_is_requested_again_every_minute() -> None:
    protocol = okx(refuse="funding-rate")
    requested = []
    for second in range(1, 131):
        protocol.on_timer(NOW + second * SECOND)
        requested += [(second, call["op"], call["args"]) for call in sent(protocol) if "funding-rate" in str(call)]
    assert [(second, op, len(args)) for second, op, args in requested] == [(60, "subscribe", 2), (120, "subscribe", 2)]
    for arg in requested[-1][2]:
        protocol.frame_received(body({"event": "subscribe", "arg": arg, "connId": "x"}))
    statuses = of_type(FeedStatus, protocol.on_timer(NOW + 131 * SECOND))
    assert "not accepted" not in statuses[-1].reason


def test_what_deribit_did_not_accept_is_requested_again_every_minute_and_its_prints_are_read() -> None:
    protocol = DeribitProtocol(("BTC",), linear=False)
    protocol.connection_made(NOW)
    trades = "trades.option.BTC.100ms"
    (request,) = [call for call in sent(protocol) if call["method"] == "public/subscribe"]
    others = [channel for channel in request["params"]["channels"] if channel != trades]
    protocol.frame_received(body({"jsonrpc": "2.0", "id": request["id"], "result": others}))
    requested = []
    for second in range(1, 64):
        protocol.on_timer(NOW + second * SECOND)
        for call in sent(protocol):
            if call["method"] == "public/subscribe" and trades in call["params"]["channels"]:
                requested.append((second, call))
            elif call["method"] == "public/subscribe":  # of channels without data
                protocol.frame_received(
                    body({"jsonrpc": "2.0", "id": call["id"], "result": call["params"]["channels"]})
                )
    ((second, retry),) = requested
    assert (second, retry["params"]["channels"]) == (61, [trades])
    events = protocol.frame_received(body({"jsonrpc": "2.0", "id": retry["id"], "result": [trades]}))
    assert "not accepted" not in of_type(FeedStatus, events)[-1].reason


def test_okx_allows_480_subscriptions_an_hour() -> None:
    """Everything on the connection is dead but the socket: however long, the mending stays below the limit."""
    protocol = okx()
    ops = 1
    for second in range(1, 3600):
        protocol.frame_received(b"pong")
        protocol.on_timer(NOW + second * SECOND)
        for inst in ("BTC-USDT", "BTC-USDT-SWAP"):
            protocol._books.resync[inst] = None
        ops += len(sent(protocol))
    assert 100 < ops <= 480


def test_a_notice_of_the_end_asks_for_another_connection() -> None:
    protocol = okx()
    notice = {"event": "notice", "code": "64008", "msg": "The connection will soon be closed", "connId": "x"}
    (status,) = of_type(FeedStatus, protocol.frame_received(body(notice)))
    assert protocol.closing_reason == status.reason == "The connection will soon be closed (64008)"
    protocol.connection_made(NOW + MINUTE)
    assert protocol.closing_reason == ""
    spot = binance.spot(["BTC"])
    spot.connection_made(NOW)
    spot.frame_received(body({"stream": "!serverShutdown", "data": {"e": "serverShutdown", "E": 1}}))
    assert spot.closing_reason == "the venue announces a restart"
    assert spot.timeouts.max_age_s < 24 * HOUR / SECOND


def test_deribits_time_is_asked_on_connecting_and_every_minute_and_its_answer_read() -> None:
    protocol = DeribitProtocol(("BTC",))
    protocol.connection_made(NOW)
    requested = {NOW: [call["id"] for call in sent(protocol) if call["method"] == "public/get_time"]}
    for second in range(1, 400):
        protocol.on_timer(NOW + second * SECOND)
        calls = [call["id"] for call in sent(protocol) if call["method"] == "public/get_time"]
        if calls:
            requested[NOW + second * SECOND] = calls
    assert [(at - NOW) // SECOND for at in requested] == [0, *range(10, 400, 60)]
    at, (number,) = list(requested.items())[-1]
    us = at // 1000
    reply = {"jsonrpc": "2.0", "id": number, "result": us // 1000, "usIn": us + 7, "usOut": us + 9}
    assert protocol.frame_received(body(reply)) == [ClockReading("deribit", at, at + 7_000, at + 9_000)]
    assert protocol.frame_received(body(reply)) == [], "an answer is read once"


@pytest.mark.parametrize("stamps", [{}, {"usIn": 5}, {"usIn": 9, "usOut": 8}])
def test_an_answer_without_good_stamps_is_no_reading(stamps: dict[str, int]) -> None:
    protocol = DeribitProtocol(("BTC",))
    protocol.connection_made(NOW)
    (number,) = [call["id"] for call in sent(protocol) if call["method"] == "public/get_time"]
    assert protocol.frame_received(body({"jsonrpc": "2.0", "id": number, "result": 1} | stamps)) == []


def test_subscriptions_are_sent_as_fast_as_deribits_credits_come_back() -> None:
    protocol = DeribitProtocol(("BTC",))
    protocol.connection_made(NOW)
    protocol._rpc.resubscribe([f"book.X{number}.100ms" for number in range(10_000)])
    calls = [len([call for call in sent(protocol) if "channels" in call["params"]])]
    for second in range(1, 40):
        protocol.on_timer(NOW + second * SECOND)
        calls.append(len([call for call in sent(protocol) if "channels" in call["params"]]))
    assert calls[0] <= 10
    assert max(calls[1:]) <= 3
    assert sum(calls) == 1 + 2 * 25
    assert not protocol.subscribed


@pytest.mark.parametrize(
    ("protocol", "frame", "policy"),
    [
        (DeribitProtocol(), push("trades.option.BTC.100ms", []), DropPolicy.PRINT),
        (DeribitProtocol(), push("ticker.BTC-PERPETUAL.100ms", {}), DropPolicy.CONFLATE),
        (DeribitProtocol(), push("markprice.options.btc_usd", []), DropPolicy.NEVER),
        (DeribitProtocol(), push("incremental_ticker.BTC-PERPETUAL", {}), DropPolicy.NEVER),
        (DeribitProtocol(), b'{"method":"heartbeat"}', DropPolicy.NEVER),
        (binance.spot(), b'{"stream":"btcusdt@aggTrade","data":{}}', DropPolicy.PRINT),
        (binance.spot(), b'{"stream":"btcusdt@ticker","data":{}}', DropPolicy.CONFLATE),
        (binance.spot(), b'{"stream":"btcusdt@depth@100ms","data":{}}', DropPolicy.DROPPABLE),
        (binance.spot(), b'{"stream":"!serverShutdown","data":{}}', DropPolicy.NEVER),
        (OkxProtocol(), b'{"arg":{"channel":"trades","instId":"BTC-USDT"},"data":[]}', DropPolicy.PRINT),
        (OkxProtocol(), b'{"arg":{"channel":"tickers","instId":"BTC-USDT"},"data":[]}', DropPolicy.CONFLATE),
        (OkxProtocol(), b'{"arg":{"channel":"books","instId":"BTC-USDT"},"data":[]}', DropPolicy.DROPPABLE),
        (OkxProtocol(), b'{"event":"subscribe","arg":{"channel":"books","instId":"BTC-USDT"}}', DropPolicy.NEVER),
        (OkxProtocol(), b"pong", DropPolicy.NEVER),
        (OkxProtocol(), b"\xff\xfe", DropPolicy.NEVER),
    ],
)
def test_prints_and_differences_are_told_from_states(protocol: VenueProtocol, frame: bytes, policy: DropPolicy) -> None:
    found, key = protocol.classify(frame)
    assert found is policy
    assert key or policy is DropPolicy.NEVER


# ---- 08:00 UTC -------------------------------------------------------------------------------------------------------


def answer(result: object) -> bytes:
    return body({"jsonrpc": "2.0", "result": result, "usIn": 1, "usOut": 2})


def record(name: str, expiry_ns: int, at: int, kind: str = "option") -> dict[str, Any]:
    _, _, strike, side = (*name.split("-"), "", "")[:4]
    return {
        "instrument_name": name, "kind": kind, "base_currency": "BTC", "quote_currency": "BTC",
        "settlement_currency": "BTC", "settlement_period": "day", "instrument_type": "reversed",
        "option_type": "call" if side == "C" else "put", "strike": float(strike or 0), "state": "open",
        "expiration_timestamp": expiry_ns // 10**6, "creation_timestamp": at // 10**6, "is_active": True,
        "price_index": "btc_usd", "contract_size": 1.0, "instrument_id": abs(hash(name)) % 10**6,
    }  # fmt: skip


def error(code: int, number: int | None = None) -> bytes:
    return body({"jsonrpc": "2.0", "id": number, "error": {"code": code, "message": "x"}})


def test_the_roll_needs_no_new_connection_and_new_listings_are_there_within_a_minute() -> None:
    """Around 08:00 the venue refuses for seconds, the old day ends, the new one comes by two ways."""
    roll = NOW - NOW % DAY + DAY + 8 * HOUR
    old = record("BTC-17NOV26-90000-C", roll, NOW)
    protocol = deribit()
    protocol.rest_calls()
    protocol.response_received("instruments:BTC:option", answer([old]))
    protocol.connection_made(roll - MINUTE)
    accept(protocol)
    announced = record("BTC-18NOV26-91000-C", roll + DAY, roll)
    unannounced = record("BTC-18NOV26-95000-C", roll + DAY, roll)
    times: list[int] = []  # when the listing was asked for
    for second in range(-59, 330):
        at_ms = roll // 10**6 + second * 1000
        protocol.frame_received(index(second))
        protocol.frame_received(push("markprice.options.btc_usd", []))
        protocol.on_timer(roll + second * SECOND)
        protocol.data_to_send()
        if second == 1:
            state = {"timestamp": at_ms, "state": "delivered", "instrument_name": old["instrument_name"]}
            (event,) = protocol.frame_received(push("instrument.state.option.BTC", state))
            assert as_type(Delisted, event).name == old["instrument_name"]
        if second == 2:
            (event,) = protocol.frame_received(push("instrument.creation.option.BTC", announced))
            assert as_type(Listed, event).instrument.name == announced["instrument_name"]
        if second == 3:
            state = {"timestamp": at_ms, "state": "open", "instrument_name": unannounced["instrument_name"]}
            protocol.frame_received(push("instrument.state.option.BTC", state))
        for call in protocol.rest_calls():
            if call.tag == "instruments:BTC:option":
                times.append(second)
                refused = len(times) == 1
                rows = [announced, unannounced] if second > 3 else [old]
                protocol.response_received(call.tag, error(10041) if refused else answer(rows))
            elif call.tag.startswith("summary"):
                protocol.response_received(call.tag, error(-32602) if -5 < second < 5 else answer([]))
    assert protocol.failure_reason == ""
    assert "BTC-18NOV26-95000-C" in protocol.listings.options
    assert any(3 <= second <= 63 for second in times), times
    assert any(300 <= second <= 301 for second in times), "the reconciliation at 08:05"


def test_a_subscription_that_the_settlement_refuses_is_made_when_it_is_over() -> None:
    roll = NOW - NOW % DAY + DAY + 8 * HOUR
    protocol = DeribitProtocol(("BTC",), linear=False)
    protocol.connection_made(roll + SECOND)
    for second in range(2, 15):
        for call in sent(protocol):
            if call["method"] == "public/subscribe":
                if second < 9:
                    (status,) = of_type(FeedStatus, protocol.frame_received(error(10041, call["id"])))
                    assert status.reason == "settlement in progress (10041)"
                else:
                    protocol.frame_received(body({"id": call["id"], "result": call["params"]["channels"]}))
        protocol.on_timer(roll + second * SECOND)
    assert protocol.subscribed
