"""Each print once and in order, whatever the feed does; block requests beside their prints; real prints of 2020."""

import json
import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dfmon.model.events import BlockRfqChecked, Event, OptionTrade, PrintsLost, Rejected
from dfmon.model.units import HOUR, SECOND
from dfmon.venues.deribit.protocol import DeribitProtocol
from dfmon.venues.protocol import RestCall
from tests.event_types import as_type, of_type
from tests.shared_data import trades as real_trades
from tests.venues.test_deribit import (
    CALL,
    LINEAR,
    PUT,
    T_MS,
    acknowledge_subscriptions,
    answer,
    golden_named,
    listed_protocol,
    push,
    trade,
    trades,
)
from tests.venues.venue_golden import NOW

NAMES = (CALL, PUT)


def stream(count: int, seed: int) -> list[dict[str, Any]]:
    """Prints of two instruments in the order in which they happened, numbered from 1."""
    draw, seq, rows = random.Random(seed), dict.fromkeys(NAMES, 0), []
    for number in range(1, count + 1):
        name = draw.choice(NAMES) if number > 2 else NAMES[number - 1]
        seq[name] += 1
        rows.append(trade(number, seq[name], name, direction=draw.choice(("buy", "sell")), amount=draw.randint(1, 50)))
    return rows


class Venue:
    """Answers the calls of a protocol from the whole tape.

    Like the real one it may repeat and may be late, but not for ever: the fifth answer for a hole is whole.
    """

    def __init__(self, rows: Sequence[dict[str, Any]], seed: int = 0, late: float = 0.2) -> None:
        self.rows, self.draw, self.late = rows, random.Random(seed), late
        self.refused: Counter[str] = Counter()

    def answers(self, protocol: DeribitProtocol) -> list[Event]:
        events: list[Event] = []
        for call in protocol.rest_calls():
            kind = call.tag.partition(":")[0]
            if kind not in ("gap", "trades"):
                continue
            params = dict(call.params)
            if kind == "gap":
                low, high = int(params["start_seq"]), int(params["end_seq"])
                page = [r for r in self.rows if r["instrument_name"] == params["instrument_name"]]
                page = [r for r in page if low <= r["trade_seq"] <= high]
            else:
                low, high = int(params["start_timestamp"]), int(params["end_timestamp"])
                page = [r for r in self.rows if low <= r["timestamp"] <= high]
            if kind == "gap" and self.refused[call.tag] < 4 and self.draw.random() < self.late:
                self.refused[call.tag] += 1
                page = page[: len(page) // 2]
            self.draw.shuffle(page)
            events += protocol.response_received(call.tag, answer({"trades": page, "has_more": False}))
        return events


def trades_by_name(events: Sequence[Event]) -> dict[str, list[OptionTrade]]:
    return {name: [event for event in of_type(OptionTrade, events) if event.name == name] for name in NAMES}


def play(rows: Sequence[dict[str, Any]], received_rows: Sequence[dict[str, Any]], venue: Venue) -> list[Event]:
    """The feed as `received_rows`, with the venue behind it, and some seconds more for what is still open."""
    protocol, events = listed_protocol(), list[Event]()
    for second, row in enumerate(received_rows):
        events += protocol.frame_received(trades(row))
        events += venue.answers(protocol)
        protocol.on_timer(NOW + second * SECOND // 10)
    for second in range(600):
        protocol.on_timer(NOW + HOUR + second * SECOND)
        events += venue.answers(protocol)
    return events


def damaged_feed(rows: Sequence[dict[str, Any]], seed: int, share: float) -> list[dict[str, Any]]:
    """The feed with a third of `share` of the prints dropped, a third repeated and a third out of order."""
    draw = random.Random(seed)
    received_rows = list(rows[:2])
    for row in rows[2:]:
        chance = draw.random()
        if chance < share / 3:
            continue
        received_rows.append(row)
        if chance < share * 2 / 3:
            received_rows.append(draw.choice(received_rows))
        elif chance < share and len(received_rows) > 4:
            received_rows[-1], received_rows[-2] = received_rows[-2], received_rows[-1]
    last = {row["instrument_name"]: row for row in rows}
    return [*received_rows, *last.values()]  # a print after which nothing comes cannot be missed


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.integers(20, 150), st.integers(0, 2**32), st.sampled_from((0.01, 0.1, 0.3)))
@example(count=20, seed=874, share=0.3)  # three answers in a row came before the archive had the print
def test_dropped_repeated_and_shuffled_prints_change_nothing(count: int, seed: int, share: float) -> None:
    rows = stream(count, seed)
    received_rows = damaged_feed(rows, seed, share)
    clean = trades_by_name(play(rows, rows, Venue(rows)))
    repaired = play(rows, received_rows, Venue(rows, seed))
    assert trades_by_name(repaired) == clean
    assert [event.seq for event in clean[CALL]] == list(range(1, len(clean[CALL]) + 1))
    assert not of_type(PrintsLost, repaired)


def test_prints_that_wait_are_told_when_the_venue_has_gone_on_for_a_minute() -> None:
    protocol = listed_protocol()
    protocol.frame_received(trades(trade(1, 11), trade(3, 13)))
    later = {**trade(9, 1, PUT), "timestamp": T_MS + 61_000}
    events = protocol.frame_received(trades(later))
    assert of_type(PrintsLost, events) == [PrintsLost("deribit", CALL, 1)]
    assert [(event.name, event.seq) for event in of_type(OptionTrade, events)] == [(PUT, 1), (CALL, 13)]


def test_live_prints_wait_for_the_fill_that_brings_those_before_them() -> None:
    protocol = DeribitProtocol(("BTC",), look_back_s=3600.0)
    protocol.connection_made(NOW)
    golden_named("listing BTC options").play(protocol)
    (fill, *_) = acknowledge_subscriptions(protocol)
    assert protocol.frame_received(trades(trade(5, 15), trade(4, 14))) == []
    page = {"trades": [trade(3, 13), trade(2, 12)], "has_more": False}
    events = protocol.response_received(fill.tag, answer(page))
    assert [event.seq for event in of_type(OptionTrade, events)] == [12, 13, 14, 15]


def test_a_fill_that_never_ends_does_not_hold_live_prints_for_ever() -> None:
    protocol = DeribitProtocol(("BTC",), look_back_s=3600.0)
    protocol.connection_made(NOW)
    protocol.listings.options.update(listed_protocol().listings.options)
    protocol.frame_received(trades({**trade(1, 11), "timestamp": NOW // 1_000_000}))
    late = {**trade(2, 12), "timestamp": NOW // 1_000_000 + 121_000}
    assert [event.seq for event in of_type(OptionTrade, protocol.frame_received(trades(late)))] == [11, 12]


def test_an_option_listed_while_we_watch_begins_with_its_first_print() -> None:
    protocol = listed_protocol()
    record = {
        "instrument_name": "BTC-4DEC26-90000-C", "kind": "option", "base_currency": "BTC", "strike": 90000.0,
        "expiration_timestamp": T_MS + 900_000_000, "option_type": "call", "settlement_currency": "BTC",
        "creation_timestamp": T_MS,
    }  # fmt: skip
    protocol.frame_received(push("instrument.creation.option.BTC", record))
    assert protocol.frame_received(trades(trade(1, 3, "BTC-4DEC26-90000-C"))) == []
    (call,) = protocol.rest_calls()
    assert (dict(call.params)["start_seq"], dict(call.params)["end_seq"]) == ("1", "2")


def test_what_an_earlier_run_knew_is_filled_from_and_mended() -> None:
    protocol = DeribitProtocol(("BTC",), linear=False, look_back_s=60.0)
    protocol.restore({CALL: 11}, (), {"BTC": T_MS})
    protocol.connection_made(NOW + HOUR)
    golden_named("listing BTC options").play(protocol)
    (fill, *_) = acknowledge_subscriptions(protocol)
    assert int(dict(fill.params)["start_timestamp"]) == T_MS - 300_000
    page = {"trades": [trade(1, 10), trade(2, 11), trade(4, 13)], "has_more": False}
    assert of_type(OptionTrade, protocol.response_received(fill.tag, answer(page))) == []
    (gap,) = (call for call in protocol.rest_calls() if call.tag.startswith("gap:"))
    events = protocol.response_received(gap.tag, answer({"trades": [trade(3, 12)], "has_more": False}))
    assert [event.seq for event in of_type(OptionTrade, events)] == [12, 13]


# ---- prints that nothing later tells of ------------------------------------------------------------------------------


def watching() -> DeribitProtocol:
    """A connection whose channels are open since T_MS."""
    protocol = listed_protocol()
    protocol.connection_made(NOW)
    acknowledge_subscriptions(protocol, T_MS)
    return protocol


def sweeps(protocol: DeribitProtocol, second: int) -> list[RestCall]:
    protocol.on_timer(NOW + second * SECOND)
    return [call for call in protocol.rest_calls() if call.tag.startswith("sweep:BTC:")]


def test_a_dropped_print_that_nothing_follows_is_found_by_the_next_sweep() -> None:
    protocol = watching()
    rows = [trade(1, 11), trade(2, 12), trade(3, 1, PUT)]
    assert len(of_type(OptionTrade, protocol.frame_received(trades(rows[0])))) == 1
    assert sweeps(protocol, 299) == []
    protocol.response_received("summary:BTC", answer([], T_MS + 290_000))
    (sweep,) = sweeps(protocol, 301)
    params = dict(sweep.params)
    assert int(params["start_timestamp"]) <= T_MS < T_MS + 200_000 < int(params["end_timestamp"])
    page = answer({"trades": rows, "has_more": False}, T_MS + 301_000)
    events = protocol.response_received(sweep.tag, page)
    assert [(event.name, event.seq) for event in of_type(OptionTrade, events)] == [(CALL, 12), (PUT, 1)]
    assert of_type(OptionTrade, protocol.response_received(sweep.tag, page)) == []
    protocol.response_received("summary:BTC", answer([], T_MS + 590_000))
    (following,) = sweeps(protocol, 602)
    assert int(dict(following.params)["start_timestamp"]) == int(params["end_timestamp"]) - 10_000


def test_a_sweep_of_many_prints_goes_on_page_by_page_and_one_that_fails_is_part_of_the_next() -> None:
    protocol = watching()
    protocol.frame_received(trades(trade(1, 11)))
    protocol.response_received("summary:BTC", answer([], T_MS + 290_000))
    (sweep,) = sweeps(protocol, 301)
    events = protocol.response_received(sweep.tag, answer({"trades": [trade(2, 12)], "has_more": True}))
    assert [event.seq for event in of_type(OptionTrade, events)] == [12]
    (page,) = (call for call in protocol.rest_calls() if call.tag.startswith("sweep:BTC:"))
    assert dict(page.params)["end_timestamp"] == dict(sweep.params)["end_timestamp"]
    protocol.response_received(page.tag, b"")
    (following,) = sweeps(protocol, 602)
    assert dict(following.params)["start_timestamp"] == dict(sweep.params)["start_timestamp"]


def test_a_connection_that_ends_before_its_sweep_is_read_again_from_the_last_one() -> None:
    protocol = watching()
    late = {**trade(1, 11), "timestamp": T_MS + 200_000}
    protocol.frame_received(trades(late))
    protocol.connection_lost("x")
    protocol.connection_made(NOW + HOUR)
    (fill, *_) = acknowledge_subscriptions(protocol)
    assert int(dict(fill.params)["start_timestamp"]) == T_MS - 10_000
    assert (
        protocol.response_received(f"sweep:BTC:{T_MS}:{T_MS + 1}", answer({"trades": [late], "has_more": False})) == []
    )


# ---- block requests --------------------------------------------------------------------------------------------------


def request(number: int = 7, direction: str = "sell", amount: float = 25.0, **more: object) -> dict[str, Any]:
    legs = [
        {"instrument_name": CALL, "direction": "buy", "price": 0.05, "ratio": 1},
        {"instrument_name": PUT, "direction": "sell", "price": 0.04, "ratio": 2},
    ]
    fill = {"direction": direction, "price": 0.01, "amount": amount}
    return {"id": number, "timestamp": T_MS, "direction": direction, "amount": amount, "legs": legs, "trades": [fill],
            "combo_id": None, **more}  # fmt: skip


def leg(number: int, name: str, direction: str, amount: float, rfq: int = 7) -> dict[str, Any]:
    more = {"block_trade_id": "BLOCK-1", "block_rfq_id": rfq, "direction": direction, "amount": amount}
    return trade(number, number, name, **more)


def check(protocol: DeribitProtocol, *frames: bytes) -> list[BlockRfqChecked]:
    return of_type(BlockRfqChecked, [event for frame in frames for event in protocol.frame_received(frame)])


@pytest.mark.parametrize("prints_first", [True, False])
def test_a_request_that_was_sold_turns_its_legs_round_and_matches_its_prints(prints_first: bool) -> None:
    published = push("block_rfq.trades.BTC", request())
    printed = trades(leg(1, CALL, "sell", 25.0), leg(2, PUT, "buy", 50.0))
    frames = (printed, published) if prints_first else (published, printed)
    assert check(listed_protocol(), *frames) == [BlockRfqChecked("deribit", "BTC", True)]


def test_a_request_adds_no_volume() -> None:
    protocol = listed_protocol()
    events = [
        *protocol.frame_received(push("block_rfq.trades.BTC", request())),
        *protocol.frame_received(trades(leg(1, CALL, "sell", 25.0), leg(2, PUT, "buy", 50.0))),
    ]
    assert [(event.name, event.side, event.size) for event in of_type(OptionTrade, events)] == [
        (CALL, -1, 25.0), (PUT, 1, 50.0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("legs", "mismatch"),
    [
        ([leg(1, CALL, "buy", 25.0), leg(2, PUT, "sell", 50.0)], f"{CALL} +25"),
        ([leg(1, CALL, "sell", 20.0), leg(2, PUT, "buy", 55.0)], f"{PUT} +55"),
        ([leg(1, CALL, "sell", 25.0)], f"printed: {CALL} -25"),
        ([], "nothing printed"),
    ],
)
def test_a_request_whose_prints_differ_is_told(legs: list[dict[str, Any]], mismatch: str) -> None:
    later = {**trade(99, 99, LINEAR), "timestamp": T_MS + 200_000}
    frames = [push("block_rfq.trades.BTC", request()), trades(*legs), trades(later, currency="USDC")]
    (checked,) = check(listed_protocol(), *frames)
    assert not checked.matched
    assert mismatch.removeprefix("printed: ") in checked.mismatch
    assert checked.mismatch.startswith("request 7: ")


def test_requests_of_nobody_and_prints_of_unpublished_requests_are_forgotten() -> None:
    protocol = listed_protocol()
    foreign = request(legs=[{"instrument_name": "XRP_USDC-1JAN27-2-C", "direction": "buy", "ratio": 1}])
    later = {**trade(99, 99, LINEAR), "timestamp": T_MS + 200_000}
    frames = [push("block_rfq.trades.USDC", foreign), trades(leg(1, CALL, "sell", 1.0, rfq=8)), trades(later)]
    assert check(protocol, *frames) == []
    assert protocol._trade_feed.block_rfqs._pending == {}


def test_a_bad_request_is_counted_and_the_next_one_is_read() -> None:
    protocol = listed_protocol()
    (bad,) = protocol.frame_received(push("block_rfq.trades.BTC", {"id": 1}))
    assert as_type(Rejected, bad).what == "row"
    assert protocol.frame_received(push("block_rfq.trades.BTC", [request()])) == []


def test_the_recorded_requests_are_read_and_their_own_legs_match_them() -> None:
    requests = json.loads((real_trades() / "openbb_block_rfq_trades_20260920.json").read_bytes())["block_rfqs"]
    protocol = listed_protocol()
    example = protocol.listings.options[CALL]
    checked: list[BlockRfqChecked] = []
    number, seq = 0, Counter[str]()
    for row in sorted(requests, key=lambda row: row["timestamp"]):
        taker_side = {"buy": "sell", "sell": "buy"} if row["direction"] == "sell" else {"buy": "buy", "sell": "sell"}
        for leg_data in row["legs"]:
            protocol.listings.options[leg_data["instrument_name"]] = example
        rows: list[dict[str, Any]] = []
        for leg_data in row["legs"]:
            number += 1
            seq[leg_data["instrument_name"]] += 1
            size = row["amount"] * leg_data["ratio"]
            print_ = leg(number, leg_data["instrument_name"], taker_side[leg_data["direction"]], size, row["id"])
            rows.append(print_ | {"timestamp": row["timestamp"], "trade_seq": seq[leg_data["instrument_name"]]})
        checked += check(protocol, push("block_rfq.trades.BTC", row), trades(*rows))
    assert len(checked) == len(requests) == 10
    assert all(checked_rfq.matched for checked_rfq in checked), [checked_rfq.mismatch for checked_rfq in checked]


# ---- before the first print that is seen -----------------------------------------------------------------------------


def preceding_calls(protocol: DeribitProtocol, second: int) -> list[RestCall]:
    protocol.on_timer(NOW + second * SECOND)
    return [call for call in protocol.rest_calls() if call.tag.startswith("before:")]


def test_a_print_dropped_before_the_first_one_seen_is_asked_for_by_number() -> None:
    protocol = watching()
    (first,) = of_type(OptionTrade, protocol.frame_received(trades(trade(9, 5))))
    assert first.seq == 5, "nothing waits for the answer"
    (call,) = preceding_calls(protocol, 1)
    assert (call.tag, call.path) == (f"before:BTC:{CALL}:1:4", "/public/get_last_trades_by_instrument")
    old = [trade(number, number, timestamp=T_MS - 60_000 + number) for number in (1, 2)]
    rows = [trade(8, 4), *old, trade(7, 3), trade(9, 5), trade(6, 2, PUT)]
    page = answer({"trades": rows, "has_more": False})
    missed = of_type(OptionTrade, protocol.response_received(call.tag, page))
    assert [(event.name, event.seq) for event in missed] == [(CALL, 3), (CALL, 4)], "older ones are history"
    assert preceding_calls(protocol, 2) == []
    following = protocol.frame_received(trades(trade(10, 6), trade(8, 4)))
    assert [event.seq for event in of_type(OptionTrade, following)] == [6]


def test_options_whose_first_prints_come_together_are_asked_for_one_a_second_and_once() -> None:
    protocol = watching()
    protocol.frame_received(trades(trade(1, 5), trade(2, 2_000, PUT)))
    (first_call,) = preceding_calls(protocol, 1)
    (second_call,) = preceding_calls(protocol, 2)
    assert dict(second_call.params)["start_seq"] == "1000"
    assert preceding_calls(protocol, 3) == []
    protocol.response_received(first_call.tag, b'{"error":{"code":-32602,"message":"Invalid params"}}')
    protocol.response_received(second_call.tag, b"")
    again = [call for second in range(4, 90) for call in preceding_calls(protocol, second)]
    assert {call.tag for call in again} == {second_call.tag}
    protocol.connection_made(NOW + 100 * SECOND)
    assert second_call.tag in {call.tag for call in preceding_calls(protocol, 101)}, (
        "a call that a new connection ended"
    )


def test_a_first_print_with_number_one_and_those_of_a_fill_have_nothing_before_them() -> None:
    protocol = watching()
    protocol.frame_received(trades(trade(1, 1)))
    assert preceding_calls(protocol, 1) == []
    protocol = DeribitProtocol(("BTC",), linear=False, look_back_s=600.0)
    protocol.connection_made(NOW)
    golden_named("listing BTC options").play(protocol)
    (fill, *_) = acknowledge_subscriptions(protocol, T_MS)
    rows = [trade(1, 7, timestamp=T_MS - 30)]
    assert of_type(OptionTrade, protocol.response_received(fill.tag, answer({"trades": rows, "has_more": False})))
    assert preceding_calls(protocol, 1) == []
