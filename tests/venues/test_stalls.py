"""Channels that die on a connection that lives, the venue's clock, and the venues' limits on what we send."""

import json

import pytest

from dfmon.model.events import ClockReading, Delisted, FeedState, FeedStatus, Listed
from dfmon.model.units import DAY, HOUR, MINUTE, SECOND
from dfmon.venues.binance import protocol as binance
from dfmon.venues.deribit.protocol import DeribitProtocol
from dfmon.venues.okx.protocol import OkxProtocol
from dfmon.venues.protocol import Fate, VenueProtocol
from tests.venues.venue_golden import NOW, body, goldens


def sent(protocol: VenueProtocol) -> list[dict]:
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
    told: list[FeedStatus] = []
    for second in range(1, 76):
        protocol.frame_received(index(second))
        told += [event for event in protocol.due(NOW + second * SECOND) if "markprice" in event.reason]
        calls = [(call["method"], call["params"]) for call in sent(protocol) if "channels" in call["params"]]
        marks = [call for call in calls if "markprice.options.btc_usd" in call[1]["channels"]]
        wanted = ["public/unsubscribe", "public/subscribe"] if second == 61 else []
        assert [method for method, _ in marks] == wanted, second
    assert told[-1].state is FeedState.LIVE
    assert "markprice.options.btc_usd silent for 74 s" in told[-1].reason
    protocol.frame_received(push("markprice.options.btc_usd", []))
    assert "markprice" not in protocol.due(NOW + 76 * SECOND)[-1].reason


def test_deribits_trades_may_be_silent_and_a_dead_index_ends_the_connection() -> None:
    protocol = deribit()
    for second in range(1, 25):
        protocol.due(NOW + second * SECOND)
        assert not [call for call in sent(protocol) if "trades.option.BTC.100ms" in call["params"].get("channels", ())]
    assert protocol.broken == "deribit_price_index.btc_usd silent for 20 s"


def test_nothing_is_mended_while_the_venue_is_closed_and_it_is_asked_whether_it_still_is() -> None:
    protocol = deribit()
    protocol.frame_received(push("platform_state", {"maintenance": True}))
    told = [event for second in range(1, 200) for event in protocol.due(NOW + second * SECOND)]
    calls = sent(protocol)
    assert told == []
    assert not [call for call in calls if "channels" in call["params"]]
    asked = [call for call in calls if call["method"] == "public/status"]
    assert len(asked) == 20
    (status,) = protocol.frame_received(body({"jsonrpc": "2.0", "id": asked[-1]["id"], "result": {"locked": "false"}}))
    assert status == FeedStatus("deribit", FeedState.LIVE)
    assert protocol.broken == ""


def test_a_dead_binance_stream_is_mended_by_two_messages_then_by_a_new_connection() -> None:
    protocol = binance.market(["BTC"])
    protocol.connection_made(NOW)
    (alive,) = [golden.body for golden in goldens("binance/market.jsonl") if b"markPrice@1s" in golden.body][:1]
    calls = []
    for second in range(1, 62):
        protocol.frame_received(alive)
        told = protocol.due(NOW + second * SECOND)
        calls += sent(protocol)
        if second == 31:
            assert told[0].reason == "btcusdt@aggTrade silent for 30 s, btcusdt@ticker silent for 30 s"
    assert [(call["method"], call["params"]) for call in calls] == [
        ("UNSUBSCRIBE", ["btcusdt@aggTrade", "btcusdt@ticker"]),
        ("SUBSCRIBE", ["btcusdt@aggTrade", "btcusdt@ticker"]),
    ]
    assert protocol.broken


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
    assert protocol.due(NOW + 5 * SECOND) == []
    (status,) = protocol.due(NOW + 10 * SECOND)
    assert status.reason == "not accepted: funding-rate BTC-USDT-SWAP, funding-rate BTC-USD-SWAP"
    assert not protocol.settled


def test_okx_allows_480_subscriptions_an_hour() -> None:
    """Everything on the connection is dead but the socket: however long, the mending stays below the limit."""
    protocol = okx()
    ops = 1
    for second in range(1, 3600):
        protocol.frame_received(b"pong")
        protocol.due(NOW + second * SECOND)
        for inst in ("BTC-USDT", "BTC-USDT-SWAP"):
            protocol._books.resync[inst] = None
        ops += len(sent(protocol))
    assert 100 < ops <= 480


def test_a_notice_of_the_end_asks_for_another_connection() -> None:
    protocol = okx()
    notice = {"event": "notice", "code": "64008", "msg": "The connection will soon be closed", "connId": "x"}
    (status,) = protocol.frame_received(body(notice))
    assert protocol.leaving == status.reason == "The connection will soon be closed (64008)"
    protocol.connection_made(NOW + MINUTE)
    assert protocol.leaving == ""
    spot = binance.spot(["BTC"])
    spot.connection_made(NOW)
    spot.frame_received(body({"stream": "!serverShutdown", "data": {"e": "serverShutdown", "E": 1}}))
    assert spot.leaving == "the venue announces a restart"
    assert spot.patience.life_s < 24 * HOUR / SECOND


def test_deribits_time_is_asked_on_connecting_and_every_two_minutes_and_its_answer_read() -> None:
    protocol = DeribitProtocol(("BTC",))
    protocol.connection_made(NOW)
    asked = {NOW: [call["id"] for call in sent(protocol) if call["method"] == "public/get_time"]}
    for second in range(1, 400):
        protocol.due(NOW + second * SECOND)
        calls = [call["id"] for call in sent(protocol) if call["method"] == "public/get_time"]
        if calls:
            asked[NOW + second * SECOND] = calls
    assert [(at - NOW) // SECOND for at in asked] == [0, 10, 130, 250, 370]
    at, (number,) = list(asked.items())[-1]
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
    protocol._session.mend([f"book.X{number}.100ms" for number in range(10_000)])
    calls = [len([call for call in sent(protocol) if "channels" in call["params"]])]
    for second in range(1, 40):
        protocol.due(NOW + second * SECOND)
        calls.append(len([call for call in sent(protocol) if "channels" in call["params"]]))
    assert calls[0] <= 10
    assert max(calls[1:]) <= 3
    assert sum(calls) == 1 + 2 * 25
    assert not protocol.settled


@pytest.mark.parametrize(
    ("protocol", "frame", "fate"),
    [
        (DeribitProtocol(), push("trades.option.BTC.100ms", []), Fate.PRINT),
        (DeribitProtocol(), push("ticker.BTC-PERPETUAL.100ms", {}), Fate.STATE),
        (DeribitProtocol(), push("markprice.options.btc_usd", []), Fate.KEEP),
        (DeribitProtocol(), push("incremental_ticker.BTC-PERPETUAL", {}), Fate.KEEP),
        (DeribitProtocol(), b'{"method":"heartbeat"}', Fate.KEEP),
        (binance.spot(), b'{"stream":"btcusdt@aggTrade","data":{}}', Fate.PRINT),
        (binance.spot(), b'{"stream":"btcusdt@ticker","data":{}}', Fate.STATE),
        (binance.spot(), b'{"stream":"btcusdt@depth@100ms","data":{}}', Fate.DELTA),
        (binance.spot(), b'{"stream":"!serverShutdown","data":{}}', Fate.KEEP),
        (OkxProtocol(), b'{"arg":{"channel":"trades","instId":"BTC-USDT"},"data":[]}', Fate.PRINT),
        (OkxProtocol(), b'{"arg":{"channel":"tickers","instId":"BTC-USDT"},"data":[]}', Fate.STATE),
        (OkxProtocol(), b'{"arg":{"channel":"books","instId":"BTC-USDT"},"data":[]}', Fate.DELTA),
        (OkxProtocol(), b'{"event":"subscribe","arg":{"channel":"books","instId":"BTC-USDT"}}', Fate.KEEP),
        (OkxProtocol(), b"pong", Fate.KEEP),
        (OkxProtocol(), b"\xff\xfe", Fate.KEEP),
    ],
)
def test_prints_and_differences_are_told_from_states(protocol: VenueProtocol, frame: bytes, fate: Fate) -> None:
    found, key = protocol.sort(frame)
    assert found is fate
    assert key or fate is Fate.KEEP


# ---- 08:00 UTC -------------------------------------------------------------------------------------------------------


def answer(result: object) -> bytes:
    return body({"jsonrpc": "2.0", "result": result, "usIn": 1, "usOut": 2})


def record(name: str, expiry_ns: int, at: int, kind: str = "option") -> dict:
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
    told = record("BTC-18NOV26-91000-C", roll + DAY, roll)
    untold = record("BTC-18NOV26-95000-C", roll + DAY, roll)
    times: list[int] = []  # when the listing was asked for
    for second in range(-59, 330):
        at_ms = roll // 10**6 + second * 1000
        protocol.frame_received(index(second))
        protocol.frame_received(push("markprice.options.btc_usd", []))
        protocol.due(roll + second * SECOND)
        protocol.data_to_send()
        if second == 1:
            state = {"timestamp": at_ms, "state": "delivered", "instrument_name": old["instrument_name"]}
            (event,) = protocol.frame_received(push("instrument.state.option.BTC", state))
            assert (type(event), event.name) == (Delisted, old["instrument_name"])
        if second == 2:
            (event,) = protocol.frame_received(push("instrument.creation.option.BTC", told))
            assert (type(event), event.instrument.name) == (Listed, told["instrument_name"])
        if second == 3:
            state = {"timestamp": at_ms, "state": "open", "instrument_name": untold["instrument_name"]}
            protocol.frame_received(push("instrument.state.option.BTC", state))
        for call in protocol.rest_calls():
            if call.tag == "instruments:BTC:option":
                times.append(second)
                refused = len(times) == 1
                rows = [told, untold] if second > 3 else [old]
                protocol.response_received(call.tag, error(10041) if refused else answer(rows))
            elif call.tag.startswith("summary"):
                protocol.response_received(call.tag, error(-32602) if -5 < second < 5 else answer([]))
    assert protocol.broken == ""
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
                    (status,) = protocol.frame_received(error(10041, call["id"]))
                    assert status.reason == "settlement in progress (10041)"
                else:
                    protocol.frame_received(body({"id": call["id"], "result": call["params"]["channels"]}))
        protocol.due(roll + second * SECOND)
    assert protocol.settled
