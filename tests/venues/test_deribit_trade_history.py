"""Whole histories from the archive's pages: whatever a page does, a history is whole and right, or given up by name."""

import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfmon.model.events import Event, OptionTrade, OptionTradeHistory, Rejected
from dfmon.venues.deribit.protocol import DeribitProtocol
from dfmon.venues.deribit.trades.sequencer import PAGE_SIZE
from dfmon.venues.protocol import RestCall
from dfmon.venues.stored_prints import encode_stored
from tests.event_types import as_type, of_type
from tests.venues.test_deribit import CALL, PUT, answer, listed_protocol, trade, trades

Archive = Callable[[int, int], dict[str, Any]]


def archive(count: int, *, name: str = CALL) -> Archive:
    rows = [trade(seq, seq, name) for seq in range(1, count + 1)]
    return lambda low, high: {"trades": rows[low - 1 : high][:PAGE_SIZE], "has_more": count > high}


def collect(protocol: DeribitProtocol, pages: Archive, name: str = CALL, max_pages: int = 50) -> list[Event]:
    """Asks page after page until the history is there or given up."""
    events: list[Event] = []
    for _ in range(max_pages):
        call = protocol.histories.next_call(name)
        params = dict(call.params)
        page = pages(int(params["start_seq"]), int(params["end_seq"]))
        events += protocol.response_received(call.tag, answer(page))
        if of_type(OptionTradeHistory, events) or name in protocol.histories.given_up:
            return events
    raise AssertionError("it asks for ever")


def numbers(trades_: Sequence[OptionTrade]) -> list[int]:
    return [trade.seq for trade in trades_]


@pytest.mark.parametrize("count", [0, 1, 999, 1000, 1001, 2500])
def test_a_life_is_every_print_from_the_first_one(count: int) -> None:
    (history,) = collect(listed_protocol(), archive(count))
    assert isinstance(history, OptionTradeHistory)
    assert history.name == CALL
    assert numbers(history.trades) == list(range(1, count + 1))


def test_the_call_is_a_window_of_numbers_in_the_archive() -> None:
    assert listed_protocol().histories.next_call(CALL) == RestCall(
        f"life:{CALL}:1",
        "/public/get_last_trades_by_instrument",
        (
            ("instrument_name", CALL), ("start_seq", "1"), ("end_seq", "1000"), ("count", "1000"), ("sorting", "asc"),
            ("include_old", "true"),
        ),
    )  # fmt: skip


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2_500), st.integers(0, 2**32))
def test_pages_may_come_unordered_repeat_stop_short_and_bring_strange_rows(count: int, seed: int) -> None:
    draw, full_page = random.Random(seed), archive(count)
    bad_pages = 0

    def damaged_page(low: int, high: int) -> dict[str, Any]:
        nonlocal bad_pages
        page = full_page(low, high)
        rows = list(page["trades"])
        chance = draw.random()
        if chance < 0.3 and bad_pages < 2:  # never three in a row that bring nothing
            bad_pages += 1
            if low > PAGE_SIZE and chance < 0.1:
                return full_page(low - PAGE_SIZE, high - PAGE_SIZE) | {"has_more": True}
            return {"trades": rows[: len(rows) // 2 if chance < 0.2 else 0], "has_more": True}
        bad_pages = 0
        rows += [trade(90_000 + n, high + 5 + n, CALL) for n in range(2)] + [trade(1, 1, PUT), *rows[:3]]
        draw.shuffle(rows)
        return {"trades": rows, "has_more": page["has_more"]}

    events = collect(listed_protocol(), damaged_page)
    (history,) = of_type(OptionTradeHistory, events)
    assert numbers(history.trades) == list(range(1, count + 1))


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        (lambda low, high: {"trades": [], "has_more": True}, "the archive stops at print 0"),
        (lambda low, high: {"trades": [trade(1, 1, PUT)], "has_more": True}, "the archive stops at print 0"),
        (lambda low, high: archive(900)(1, 700) | {"has_more": True}, "the archive stops at print 700"),
        (lambda low, high: archive(900)(2, 900), "the archive stops at print 0"),
    ],
)
def test_an_archive_that_brings_nothing_is_given_up_by_name_and_the_rest_goes_on(page: Archive, reason: str) -> None:
    protocol = listed_protocol()
    events = collect(protocol, page)
    assert of_type(OptionTradeHistory, events) == []
    assert Rejected("deribit", "life", f"{CALL}: {reason}") in events
    assert len(of_type(OptionTradeHistory, collect(protocol, archive(3, name=PUT), PUT))) == 1


def test_a_hole_in_the_archive_is_asked_for_again_before_it_is_given_up() -> None:
    protocol, requested = listed_protocol(), list[int]()

    def page_with_gap(low: int, high: int) -> dict[str, Any]:
        requested.append(low)
        page = archive(10)(low, high)
        return page | {"trades": [row for row in page["trades"] if row["trade_seq"] != 5 or len(requested) == 3]}

    (history,) = of_type(OptionTradeHistory, collect(protocol, page_with_gap))
    assert requested == [1, 5, 5]
    assert numbers(history.trades) == list(range(1, 11))


def test_a_life_reaches_what_was_seen_live_and_drops_what_it_holds() -> None:
    protocol = listed_protocol()
    protocol.frame_received(trades(trade(1, 1), trade(2, 2), trade(3, 3)))
    partial = collect(protocol, archive(2), max_pages=5)
    assert of_type(OptionTradeHistory, partial) == []
    assert protocol.histories.given_up[CALL] == "the archive stops at print 2 of 3"
    (history,) = of_type(OptionTradeHistory, collect(protocol, archive(5)))
    assert numbers(history.trades) == [1, 2, 3, 4, 5]
    assert CALL not in protocol.histories.given_up
    assert protocol.frame_received(trades(trade(4, 4), trade(5, 5))) == []
    assert numbers(of_type(OptionTrade, protocol.frame_received(trades(trade(6, 6))))) == [6]


def test_prints_that_waited_for_a_life_follow_it() -> None:
    protocol = listed_protocol()
    protocol.frame_received(trades(trade(1, 1)))
    assert protocol.frame_received(trades(trade(4, 4))) == []
    history, following = collect(protocol, archive(3))
    assert isinstance(history, OptionTradeHistory)
    assert as_type(OptionTrade, following).seq == 4


@pytest.mark.parametrize(
    ("body", "counted"),
    [
        (b"", False),
        (b'{"error":{"code":10028,"message":"too_many_requests"}}', False),
        (b'{"error":{"code":13028,"message":"temporarily_unavailable"}}', False),
        (b'{"error":{"code":-32602,"message":"Invalid params"}}', True),
        (b"<html>busy</html>", True),
        (b'{"result":{"trades":7}}', True),
        (b'{"result":{}}', True),
    ],
)
def test_a_busy_archive_is_waited_for_and_a_refusal_is_counted(body: bytes, counted: bool) -> None:
    protocol = listed_protocol()
    for _ in range(3):
        events = protocol.response_received(protocol.histories.next_call(CALL).tag, body)
        assert bool(of_type(Rejected, events)) == bool(body)
    assert (CALL in protocol.histories.given_up) == counted
    assert len(of_type(OptionTradeHistory, collect(protocol, archive(2)))) == 1


def test_a_life_of_nothing_listed_is_told() -> None:
    assert listed_protocol().response_received("life:BTC-1JAN20-1-C:1", answer({"trades": []})) == [
        Rejected("deribit", "life", "BTC-1JAN20-1-C: not listed")
    ]


def stored(count: int) -> bytes:
    rows = of_type(
        OptionTrade, listed_protocol().frame_received(trades(*(trade(seq, seq) for seq in range(1, count + 1))))
    )
    return encode_stored([(t.trade_id, t.seq, t.exch_ns, t.side, t.price, t.size, t.iv, t.index, t.block, t.rfq,
    t.combo,
                       t.liquidation, t.event_id) for t in rows])  # fmt: skip


def test_a_kept_life_is_the_life_that_was_kept() -> None:
    (from_archive,) = collect(listed_protocol(), archive(700))
    (from_store,) = listed_protocol().response_received(f"stored:{CALL}", stored(700))
    assert from_store == from_archive


def test_a_kept_life_that_ends_before_what_was_seen_is_continued() -> None:
    protocol = listed_protocol()
    protocol.frame_received(trades(trade(9, 9)))
    assert protocol.response_received(f"stored:{CALL}", stored(7)) == []
    assert protocol.histories.next_call(CALL).tag == f"life:{CALL}:7", "the last one is asked for again"
    (history,) = of_type(OptionTradeHistory, collect(protocol, archive(9)))
    assert numbers(history.trades) == list(range(1, 10))


def test_kept_prints_of_another_market_are_thrown_away() -> None:
    protocol = listed_protocol()
    protocol.frame_received(trades(trade(9, 9)))
    protocol.response_received(f"stored:{CALL}", stored(7))
    events = collect(protocol, lambda low, high: {"trades": [trade(500 + n, n) for n in range(low, 10)]})
    (history,) = of_type(OptionTradeHistory, events)
    assert protocol.histories.mismatched == {CALL}
    assert [print_.trade_id for print_ in history.trades] == [str(500 + n) for n in range(1, 10)]


@pytest.mark.parametrize(
    "body", [b"", b"\xc1", encode_stored([]) + b"x", stored(3)[:-9], stored(3).replace(b"\x02", b"\x07")]
)
def test_damage_in_what_was_kept_is_told_and_the_archive_read_instead(body: bytes) -> None:
    protocol = listed_protocol()
    (event,) = of_type(Rejected, protocol.response_received(f"stored:{CALL}", body))
    assert (event.what, event.source) == ("life", "deribit")
    assert protocol.histories.next_call(CALL).tag == f"life:{CALL}:1"
