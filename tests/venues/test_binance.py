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
from dfmon.venues.binance import protocol as binance
from dfmon.venues.binance.protocol import BinanceProtocol
from tests.event_types import as_type, of_type
from tests.venues.venue_golden import NOW, Golden, assert_finite, body, goldens, mutations, plain

BUILD = {"market": binance.market, "public": binance.public, "spot": binance.spot}
LINES = [(name, golden) for name in BUILD for golden in goldens(f"binance/{name}.jsonl")]
T_MS = 1_794_830_405_123


def connected(name: str) -> BinanceProtocol:
    protocol = BUILD[name]()
    protocol.connection_made(NOW)
    return protocol


def spot(first: int, last: int, bid: float = 100.0) -> bytes:
    data = {"e": "depthUpdate", "E": T_MS, "s": "BTCUSDT", "U": first, "u": last, "b": [[str(bid), "1"]], "a": []}
    return body({"stream": "btcusdt@depth@100ms", "data": data})


def perp(first: int, last: int, before: int) -> bytes:
    data = {"E": T_MS, "T": T_MS, "U": first, "u": last, "pu": before, "b": [["100", "1"]], "a": []}
    return body({"stream": "btcusdt@depth@100ms", "data": data})


def book(last: int) -> bytes:
    return body({"lastUpdateId": last, "bids": [["100", "5"]], "asks": [["101", "5"]]})


def kinds(events: Sequence[Event]) -> list[type]:
    return [type(event) for event in events if not isinstance(event, FeedStatus)]


@pytest.mark.parametrize("name", BUILD)
def test_the_golden_session_gives_exactly_these_events(name: str) -> None:
    protocol = connected(name)
    for golden in goldens(f"binance/{name}.jsonl"):
        assert plain(golden.play(protocol)) == golden.events, golden.name


@pytest.mark.parametrize(("name", "golden"), LINES, ids=lambda value: getattr(value, "name", value))
def test_damaged_frames_become_events_or_rejections(name: str, golden: Golden) -> None:
    protocol = connected(name)
    for damaged in mutations(golden.body):
        protocol.frame_received(spot(1, 2) if name == "spot" else perp(1, 2, 0))
        assert_finite(Golden("", damaged, [], golden.tag).play(protocol))


def test_streams_stand_on_the_route_that_serves_them() -> None:
    assert binance.spot(["BTC"]).path == "/stream?streams=btcusdt@aggTrade/btcusdt@ticker/btcusdt@depth@100ms"
    assert binance.public(["BTC", "ETH"]).path == "/public/stream?streams=btcusdt@depth@100ms/ethusdt@depth@100ms"
    path = binance.market(["BTC"]).path
    assert path == "/market/stream?streams=btcusdt@aggTrade/btcusdt@markPrice@1s/btcusdt@ticker/btcusdt@forceOrder"
    assert binance.market().timeouts.first_data_s <= 10.0


def test_the_first_data_make_the_feed_live_and_only_once() -> None:
    protocol = connected("spot")
    golden = goldens("binance/market.jsonl")[0]
    assert golden.play(protocol)[0] == FeedStatus("binance.spot", FeedState.LIVE)
    assert kinds(goldens("binance/market.jsonl")[1].play(protocol)) == [MarketTrade]
    assert golden.play(protocol) == [], "two connections that overlap bring a print twice"


def test_only_the_underlyings_asked_for_are_mapped() -> None:
    protocol = binance.market(["ETH"])
    protocol.connection_made(NOW)
    (event,) = goldens("binance/market.jsonl")[0].play(protocol)
    assert as_type(Rejected, event).what == "channel"


# ---- books -----------------------------------------------------------------------------------------------------------


def test_a_book_is_asked_for_when_there_is_something_to_continue_it_with() -> None:
    protocol = connected("spot")
    assert protocol.rest_calls() == []
    protocol.frame_received(spot(1, 5))
    protocol.frame_received(spot(6, 9))
    (call,) = protocol.rest_calls()
    assert (call.path, dict(call.params)) == ("/api/v3/depth", {"symbol": "BTCUSDT", "limit": "5000"})


def test_a_spot_book_older_than_the_first_difference_is_asked_for_again() -> None:
    protocol = connected("spot")
    protocol.frame_received(spot(10, 15))
    (call,) = protocol.rest_calls()
    assert protocol.response_received(call.tag, book(8)) == []
    (again,) = protocol.rest_calls()
    assert again.tag != call.tag
    assert kinds(protocol.response_received(again.tag, book(9))) == [BookSnapshot, BookUpdate]


def test_spot_ids_follow_each_other() -> None:
    protocol = connected("spot")
    protocol.frame_received(spot(1, 5))
    (call,) = protocol.rest_calls()
    assert kinds(protocol.response_received(call.tag, book(5))) == [BookSnapshot]
    assert kinds(protocol.frame_received(spot(4, 8))) == [BookUpdate]
    assert kinds(protocol.frame_received(spot(6, 8))) == []
    assert kinds(protocol.frame_received(spot(9, 9))) == [BookUpdate]
    assert kinds(protocol.frame_received(spot(11, 12))) == [BookLost]
    (call,) = protocol.rest_calls()
    assert kinds(protocol.response_received(call.tag, book(10))) == [BookSnapshot, BookUpdate]


def test_futures_ids_name_the_one_before() -> None:
    protocol = connected("public")
    protocol.frame_received(perp(10, 20, 8))
    (call,) = protocol.rest_calls()
    assert protocol.response_received(call.tag, book(5)) == []
    (call,) = protocol.rest_calls()
    assert kinds(protocol.response_received(call.tag, book(15))) == [BookSnapshot, BookUpdate]
    assert kinds(protocol.frame_received(perp(25, 30, 20))) == [BookUpdate]
    assert kinds(protocol.frame_received(perp(33, 40, 31))) == [BookLost]
    assert kinds(protocol.frame_received(perp(44, 50, 40))) == []
    (call,) = protocol.rest_calls()
    assert kinds(protocol.response_received(call.tag, book(38))) == [BookSnapshot, BookUpdate, BookUpdate]


def test_a_futures_book_newer_than_every_difference_waits_for_the_one_that_covers_it() -> None:
    protocol = connected("public")
    protocol.frame_received(perp(10, 20, 8))
    (call,) = protocol.rest_calls()
    assert kinds(protocol.response_received(call.tag, book(33))) == [BookSnapshot]
    assert kinds(protocol.frame_received(perp(21, 30, 20))) == []
    assert kinds(protocol.frame_received(perp(31, 40, 30))) == [BookUpdate]


def test_the_answer_to_an_earlier_connection_is_no_book() -> None:
    protocol = connected("spot")
    protocol.frame_received(spot(1, 5))
    (old,) = protocol.rest_calls()
    assert {type(event) for event in protocol.connection_lost("x")} == {FeedStatus, BookLost}
    protocol.connection_made(NOW)
    protocol.frame_received(spot(1, 5))
    assert protocol.response_received(old.tag, book(5)) == []
    (new,) = protocol.rest_calls()
    assert kinds(protocol.response_received(new.tag, book(5))) == [BookSnapshot]


@pytest.mark.parametrize("reply", [b"", b"{}", b"\xff", b'{"code":-1121,"msg":"Invalid symbol."}'])
def test_a_book_that_failed_is_asked_for_again_later(reply: bytes) -> None:
    protocol = connected("spot")
    protocol.frame_received(spot(1, 5))
    (call,) = protocol.rest_calls()
    assert kinds(protocol.response_received(call.tag, reply)) == ([Rejected] if reply else []), "nothing was received"
    protocol.on_timer(NOW + SECOND)
    assert protocol.rest_calls() == []
    protocol.on_timer(NOW + 7 * SECOND)
    assert protocol.rest_calls() == [call]
    assert kinds(protocol.response_received(call.tag, book(5))) == [BookSnapshot]


def test_a_damaged_difference_breaks_the_chain_at_the_next_one() -> None:
    protocol = connected("spot")
    protocol.frame_received(spot(1, 5))
    (call,) = protocol.rest_calls()
    protocol.response_received(call.tag, book(5))
    damaged = spot(6, 8).replace(b'"1"', b'"nan"')
    assert [as_type(Rejected, event).what for event in protocol.frame_received(damaged)] == ["frame"]
    assert kinds(protocol.frame_received(spot(9, 10))) == [BookLost]


# ---- the rest --------------------------------------------------------------------------------------------------------


def test_open_interest_is_polled_every_fifteen_seconds_on_one_connection_only() -> None:
    protocol = connected("market")
    requested = []
    for second in range(40):
        protocol.on_timer(NOW + second * SECOND)
        for call in protocol.rest_calls():
            if call.tag != "periods":
                requested.append((second, call.tag))
            protocol.response_received(call.tag, b"")
    assert requested == [(at, f"interest:{name}") for at in (2, 17, 32) for name in ("BTC", "ETH")]
    other = connected("public")
    other.on_timer(NOW + 60 * SECOND)
    assert other.rest_calls() == []


def test_open_interest_without_a_mark_says_nothing() -> None:
    protocol = connected("market")
    reply = body({"openInterest": "10", "symbol": "BTCUSDT", "time": T_MS})
    assert protocol.response_received("interest:BTC", reply) == []


def mark_of(protocol: BinanceProtocol, symbol: str, rate: str) -> float:
    data = {"e": "markPriceUpdate", "E": T_MS, "s": symbol, "p": "100", "i": "100", "r": rate, "T": T_MS + 1}
    frame = body({"stream": f"{symbol.lower()}@markPrice@1s", "data": data})
    (ticker,) = (event for event in protocol.frame_received(frame) if isinstance(event, MarketTicker))
    return ticker.funding_8h


def test_funding_is_per_eight_hours_whatever_the_period() -> None:
    protocol = binance.market(("BTC", "SOL", "XRP", "DOGE"))
    protocol.connection_made(NOW)
    assert mark_of(protocol, "BTCUSDT", "0.0001") == 0.0001
    assert math.isnan(mark_of(protocol, "SOLUSDT", "0.0001")), "nobody has said of how many hours"
    protocol.on_timer(NOW)
    (call,) = protocol.rest_calls()
    assert (call.tag, call.path) == ("periods", "/fapi/v1/fundingInfo")
    protocol.response_received("periods", b"")
    protocol.on_timer(NOW + SECOND)
    protocol.on_timer(NOW + 7 * SECOND)
    assert "periods" in [call.tag for call in protocol.rest_calls()], "asked again"
    rows = [{"symbol": "SOLUSDT", "fundingIntervalHours": 4}, {"symbol": "XRPUSDT", "fundingIntervalHours": 1}]
    assert protocol.response_received("periods", body(rows)) == []
    rates = [mark_of(protocol, f"{name}USDT", "0.0001") for name in ("BTC", "SOL", "XRP", "DOGE")]
    assert rates == pytest.approx([0.0001, 0.0002, 0.0008, 0.0001], rel=1e-12)
    for damaged in ([{"symbol": "SOLUSDT", "fundingIntervalHours": 0}], {"code": -1}, [7]):
        (event,) = protocol.response_received("periods", body(damaged))
        assert as_type(Rejected, event).what == "response"
    assert mark_of(protocol, "SOLUSDT", "0.0001") == pytest.approx(0.0002)


def test_without_a_websocket_marks_and_funding_come_by_rest() -> None:
    protocol = connected("market")
    protocol.connection_lost("HTTP 403")
    requested = []
    for second in range(1, 32):
        protocol.on_timer(NOW + second * SECOND)
        requested += [(second, call.tag) for call in protocol.rest_calls() if call.tag.startswith("premium")]
    assert requested == [(16, "premium:BTC"), (16, "premium:ETH")], "an ordinary reconnect asks for nothing twice"
    reply = body({"symbol": "BTCUSDT", "markPrice": "91000", "lastFundingRate": "0.0001", "time": T_MS})
    status, premium = protocol.response_received("premium:BTC", reply)
    status, ticker = as_type(FeedStatus, status), as_type(MarketTicker, premium)
    assert (status.state, status.reason) == (FeedState.SYNCING, "by REST alone, every 15 s: HTTP 403")
    assert (ticker.mark, ticker.funding_8h) == (91000.0, 0.0001)
    interest = body({"openInterest": "10", "symbol": "BTCUSDT", "time": T_MS})
    (ticker,) = of_type(MarketTicker, protocol.response_received("interest:BTC", interest))
    assert ticker.open_interest_usd == 910_000.0
    assert as_type(FeedStatus, protocol.connection_lost("HTTP 403")[0]).state is FeedState.SYNCING
    (down,) = of_type(FeedStatus, protocol.response_received("premium:ETH", b""))
    assert down.state is FeedState.DOWN
    protocol.connection_made(NOW + 40 * SECOND)
    protocol.on_timer(NOW + 80 * SECOND)
    assert not [call for call in protocol.rest_calls() if call.tag.startswith("premium")]


def test_a_stream_name_in_another_spelling_of_the_json_is_read_too() -> None:
    golden = goldens("binance/market.jsonl")[1]
    spaced = json.dumps(json.loads(golden.body)).encode()
    assert kinds(connected("market").frame_received(spaced)) == [MarketTrade]


def test_sides_are_the_takers() -> None:
    plays = (goldens("binance/market.jsonl")[number].play(connected("market")) for number in (0, 1))
    sold, bought = (as_type(MarketTrade, events[-1]) for events in plays)
    assert (sold.side, bought.side) == (-1, 1)
    assert sold.market is Market.PERP


# ---- refused differences ---------------------------------------------------------------------------------------------


def synced(name: str, last: int = 5) -> BinanceProtocol:
    protocol = connected(name)
    protocol.frame_received(spot(1, last) if name == "spot" else perp(1, last, 0))
    (call,) = [call for call in protocol.rest_calls() if call.tag.startswith("depth:BTC")]
    assert BookSnapshot in kinds(protocol.response_received(call.tag, book(last)))
    return protocol


def run_refused(protocol: BinanceProtocol, name: str, first: int, seconds: int) -> list[tuple[int, list[type]]]:
    """Ten differences a second from id `first` on, a timer each second; events by second."""
    events = []
    for second in range(1, seconds + 1):
        for step in range(10):
            i = first + second * 10 + step
            events += [(second, kinds(protocol.frame_received(spot(i, i) if name == "spot" else perp(i, i, i - 1))))]
        events += [(second, kinds(protocol.on_timer(NOW + second * SECOND)))]
    return [(second, found) for second, found in events if found]


@pytest.mark.parametrize("name", ["spot", "public"])
def test_ids_that_start_anew_on_one_connection_cost_the_book_seconds_and_not_for_ever(name: str) -> None:
    protocol = synced(name, 1_000_000)
    assert run_refused(protocol, name, 100, 7) == [(6, [BookLost])], "five seconds from the first timer on"
    (call,) = [call for call in protocol.rest_calls() if call.tag.startswith("depth:BTC")]
    assert kinds(protocol.response_received(call.tag, book(175)))[0] is BookSnapshot


def test_a_difference_with_a_huge_id_costs_the_book_seconds_and_not_for_ever() -> None:
    protocol = synced("spot")
    assert kinds(protocol.frame_received(spot(6, 2**60))) == [BookUpdate]
    assert run_refused(protocol, "spot", 0, 7) == [(6, [BookLost])]
    (call,) = [call for call in protocol.rest_calls() if call.tag.startswith("depth:BTC")]
    assert kinds(protocol.response_received(call.tag, book(75)))[0] is BookSnapshot


def test_a_huge_id_among_the_buffered_differences_does_not_spoil_the_snapshot() -> None:
    protocol = connected("spot")
    for first, last in ((1, 5), (2**60, 2**60 + 1), (6, 7), (8, 9)):
        protocol.frame_received(spot(first, last))
    (call,) = protocol.rest_calls()
    assert kinds(protocol.response_received(call.tag, book(6))) == [BookSnapshot, BookUpdate, BookUpdate]


def test_a_moment_of_refusals_after_a_snapshot_is_normal() -> None:
    protocol = synced("spot", 1_000)
    assert run_refused(protocol, "spot", 900, 4) == []
    assert kinds(protocol.frame_received(spot(1_001, 1_001))) == [BookUpdate]
    assert run_refused(protocol, "spot", 900, 4) == []


def test_a_book_is_given_up_for_refusals_at_most_twice_a_minute() -> None:
    protocol = synced("spot", 10**9)
    lost = []
    for second in range(1, 61):
        protocol.frame_received(spot(second, second))
        lost += [second for kind in kinds(protocol.on_timer(NOW + second * SECOND)) if kind is BookLost]
        for call in protocol.rest_calls():
            if call.tag.startswith("depth:BTC"):
                protocol.response_received(call.tag, book(10**9))
    assert lost == [6, 36]
