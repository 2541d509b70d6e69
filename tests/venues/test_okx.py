import json
import math
from collections.abc import Sequence

import pytest

from dfmon.model.events import (
    BookLost,
    BookSnapshot,
    BookUpdate,
    Event,
    FeedState,
    FeedStatus,
    Market,
    MarketTicker,
    MarketTrade,
    Rejected,
)
from dfmon.model.units import SECOND
from dfmon.venues.okx.protocol import OkxProtocol
from tests.event_types import as_type, of_type
from tests.venues.venue_golden import NOW, Golden, assert_finite, body, goldens, mutations, plain

SESSION = goldens("okx/session.jsonl")
SWAP = "BTC-USDT-SWAP"
T_MS = "1794830405123"


def connected() -> OkxProtocol:
    protocol = OkxProtocol()
    protocol.connection_made(NOW)
    protocol.data_to_send()
    protocol.rest_calls()
    return protocol


def book(seq: int, before: int, action: str = "update", inst: str = SWAP) -> bytes:
    data = {"asks": [["101", "3", "0", "1"]], "bids": [], "ts": T_MS, "seqId": seq, "prevSeqId": before, "checksum": 0}
    return body({"arg": {"channel": "books", "instId": inst}, "action": action, "data": [data]})


def trade(size: str, inst: str = SWAP, number: str = "1") -> bytes:
    row = {"instId": inst, "tradeId": number, "px": "100", "sz": size, "side": "buy", "ts": T_MS}
    return body({"arg": {"channel": "trades", "instId": inst}, "data": [row]})


def size_of(protocol: OkxProtocol, frame: bytes) -> float:
    return as_type(MarketTrade, protocol.frame_received(frame)[-1]).size


def kinds(events: Sequence[Event]) -> list[type]:
    return [type(event) for event in events if not isinstance(event, FeedStatus)]


def test_the_golden_session_gives_exactly_these_events() -> None:
    protocol = connected()
    for golden in SESSION:
        assert plain(golden.play(protocol)) == golden.events, golden.name


@pytest.mark.parametrize("golden", SESSION, ids=lambda golden: golden.name)
def test_damaged_frames_become_events_or_rejections(golden: Golden) -> None:
    protocol = connected()
    for damaged in mutations(golden.body):
        protocol.frame_received(book(123456, -1, "snapshot"))
        assert_finite(Golden("", damaged, [], golden.tag).play(protocol))


def test_one_message_subscribes_everything() -> None:
    protocol = OkxProtocol()
    protocol.connection_made(NOW)
    (text,) = protocol.data_to_send()
    args = json.loads(text)["args"]
    assert len(text) < 64_000
    assert {"channel": "books", "instId": "ETH-USDT"} in args
    assert {"channel": "funding-rate", "instId": SWAP} in args
    assert {"channel": "liquidation-orders", "instType": "SWAP"} in args
    assert {"channel": "mark-price", "instId": "BTC-USDT"} not in args
    assert {"channel": "trades", "instId": "ETH-USD-SWAP"} in args
    assert {"channel": "books", "instId": "BTC-USD-SWAP"} not in args, "fewer than thirty books are advised"
    assert len(args) == 4 * 3 + 2 * 3 + 2 * 5 + 1


def test_the_size_of_a_contract_is_the_listings_and_the_documented_one_before() -> None:
    protocol = connected()
    assert size_of(protocol, trade("10")) == pytest.approx(0.1)
    listing = [{"instId": SWAP, "ctVal": "0.001", "ctMult": "2", "ctType": "linear"}]
    protocol.response_received("instruments", body({"code": "0", "msg": "", "data": listing}))
    assert size_of(protocol, trade("10", number="2")) == pytest.approx(0.02)
    assert protocol.frame_received(trade("10", number="2")) == [], "two connections that overlap bring a print twice"


def test_a_swap_without_a_documented_size_waits_for_the_listing() -> None:
    protocol = OkxProtocol(["SOL"])
    protocol.connection_made(NOW)
    (refused,) = protocol.frame_received(trade("1", "SOL-USDT-SWAP"))[1:]
    assert as_type(Rejected, refused).what == "instrument"
    listing = [{"instId": "SOL-USDT-SWAP", "ctVal": "1", "ctMult": "1", "ctType": "linear"}]
    protocol.response_received("instruments", body({"code": "0", "data": listing}))
    assert kinds(protocol.frame_received(trade("1", "SOL-USDT-SWAP"))) == [MarketTrade]


def test_an_inverse_contract_counts_dollars_and_is_the_listings_word() -> None:
    protocol = connected()
    inverse = "BTC-USD-SWAP"
    assert size_of(protocol, trade("3", inverse)) == pytest.approx(3 * 100 / 100)
    for mult, kind, coins in (("2", "inverse", 6.0), ("5", "linear", 6.0), ("", "inverse", 3.0)):
        listing = [{"instId": inverse, "ctVal": "100", "ctMult": mult, "ctType": kind, "ctValCcy": "USD"}]
        assert protocol.response_received("instruments", body({"code": "0", "data": listing})) == []
        (event,) = of_type(MarketTrade, protocol.frame_received(trade("3", inverse, number=f"{mult}{kind}")))
        assert event.market is Market.INVERSE
        assert event.size == pytest.approx(coins)
    (unknown,) = protocol.frame_received(trade("3", "ETH-USD-SWAP"))
    assert as_type(Rejected, unknown).what == "instrument", "its size is not documented"


def test_only_coins_with_an_inverse_swap_ask_for_one() -> None:
    assert [name for name in subscribed(("SOL", "ETH")) if name.endswith("-USD-SWAP")] == ["ETH-USD-SWAP"]


def subscribed(underlyings: Sequence[str]) -> list[str]:
    protocol = OkxProtocol(underlyings)
    protocol.connection_made(NOW)
    (text,) = protocol.data_to_send()
    return sorted({arg["instId"] for arg in json.loads(text)["args"] if "instId" in arg})


@pytest.mark.parametrize("reply", [b"", b"[]", b"\xff", b'{"code":"50011","msg":"Too Many Requests","data":[]}'])
def test_a_listing_that_failed_is_asked_for_again(reply: bytes) -> None:
    protocol = OkxProtocol()
    protocol.connection_made(NOW)
    (call,) = protocol.rest_calls()
    events = protocol.response_received(call.tag, reply)
    assert [as_type(Rejected, event).what for event in events] == ["response"] * bool(reply)
    protocol.on_timer(NOW + SECOND)
    protocol.on_timer(NOW + 10 * SECOND)
    assert protocol.rest_calls() == [call]


def test_a_silent_connection_is_pinged_and_a_busy_one_is_not() -> None:
    protocol = connected()
    pings = []
    for second in range(1, 60):
        protocol.on_timer(NOW + second * SECOND)
        if "ping" in protocol.data_to_send():
            pings.append(second)
            assert protocol.frame_received(b"pong") == []
    assert len(pings) == 2
    assert pings[0] == 20
    for second in range(60, 120):
        protocol.frame_received(trade("1"))
        protocol.on_timer(NOW + second * SECOND)
        assert "ping" not in protocol.data_to_send()


def test_the_chain_is_the_link_and_not_the_order_of_ids() -> None:
    protocol = connected()
    steps = [
        (book(10, -1, "snapshot"), [BookSnapshot]),
        (book(20, 10), [BookUpdate]),
        (book(20, 20), [BookUpdate]),
        (book(3, 20), [BookUpdate]),
        (book(9, 3), [BookUpdate]),
        (book(30, 20), [BookLost]),
        (book(40, 30), []),
        (book(50, -1, "snapshot"), [BookSnapshot]),
        (book(60, 50), [BookUpdate]),
    ]
    for frame, expected in steps:
        assert kinds(protocol.frame_received(frame)) == expected


def test_a_broken_book_is_subscribed_anew_and_not_more_than_twice_a_minute() -> None:
    protocol = connected()
    sent = []
    for second in range(60):
        protocol.frame_received(book(10, -1, "snapshot"))
        protocol.frame_received(book(30, 20))
        protocol.on_timer(NOW + second * SECOND)
        sent += [(second, json.loads(text)) for text in protocol.data_to_send()]
    assert [(second, message["op"]) for second, message in sent] == [
        (0, "unsubscribe"), (0, "subscribe"), (30, "unsubscribe"), (30, "subscribe"),
    ]  # fmt: skip
    assert sent[0][1]["args"] == [{"channel": "books", "instId": SWAP}]


def test_a_damaged_book_frame_gives_up_the_book() -> None:
    protocol = connected()
    protocol.frame_received(book(10, -1, "snapshot"))
    assert kinds(protocol.frame_received(book(20, 10).replace(b'"3"', b'"-3"')))[1:] == [BookLost]


def test_books_of_two_instruments_are_two_chains() -> None:
    protocol = connected()
    protocol.frame_received(book(10, -1, "snapshot"))
    protocol.frame_received(book(100, -1, "snapshot", "BTC-USDT"))
    assert kinds(protocol.frame_received(book(11, 10))) == [BookUpdate]
    (update,) = protocol.frame_received(book(101, 100, inst="BTC-USDT"))
    assert as_type(BookUpdate, update).asks == ((101.0, 3.0),)


def test_nothing_said_is_nan() -> None:
    row = {"instType": "SPOT", "instId": "BTC-USDT", "last": "", "volCcy24h": "", "ts": T_MS}
    frame = body({"arg": {"channel": "tickers", "instId": "BTC-USDT"}, "data": [row]})
    (ticker,) = [event for event in connected().frame_received(frame) if isinstance(event, MarketTicker)]
    assert math.isnan(ticker.last)
    assert math.isnan(ticker.volume_usd)


def test_a_lost_connection_takes_its_books_along() -> None:
    lost = connected().connection_lost("closed\x1b by the venue")
    assert as_type(FeedStatus, lost[0]).reason == "closed? by the venue"
    assert kinds(lost) == [BookLost] * 4


def test_without_a_websocket_marks_interest_and_funding_come_by_rest() -> None:
    protocol = connected()
    protocol.connection_lost("HTTP 403")
    requested: list[tuple[int, str]] = []
    for second in range(1, 62):
        protocol.on_timer(NOW + second * SECOND)
        requested += [(second, call.tag) for call in protocol.rest_calls() if call.tag != "instruments"]
    swaps = ("BTC-USDT-SWAP", "ETH-USDT-SWAP", "BTC-USD-SWAP", "ETH-USD-SWAP")
    once = ["mark-price", "open-interest", *(f"funding-rate:{inst}" for inst in swaps)]
    assert requested == [(31, tag) for tag in once], "and not again while they are open"
    answers = {golden.tag: golden for golden in SESSION if golden.tag in once}
    assert len(answers) == 3
    events = [event for golden in answers.values() for event in golden.play(protocol)]
    (status,), (mark, interest, funding) = of_type(FeedStatus, events), of_type(MarketTicker, events)
    assert (status.state, status.reason) == (FeedState.SYNCING, "by REST alone, every 30 s: HTTP 403")
    assert (mark.mark, interest.open_interest_usd, funding.funding_8h) == (91020.5, 2275500000.0, 0.0001)
    assert as_type(FeedStatus, protocol.connection_lost("HTTP 403")[0]).state is FeedState.SYNCING
    (down,) = of_type(FeedStatus, protocol.response_received("mark-price", b""))
    assert (down.state, down.reason) == (FeedState.DOWN, "HTTP 403")
    protocol.connection_made(NOW + 100 * SECOND)
    for second in range(100, 200):
        protocol.on_timer(NOW + second * SECOND)
    assert {call.tag for call in protocol.rest_calls()} == {"instruments"}
    assert protocol.data_to_send()
