"""The 463 real option prints of 21 and 22 February 2020, from frames to the estimator."""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from typing import Any

import pytest

from dfmon.core.step import FlowParams
from dfmon.engine.driver import Driver
from dfmon.engine.journal import Record, RecordKind
from dfmon.model.events import Rejected
from dfmon.model.snapshot import FlowSnapshot
from dfmon.model.units import SECOND
from dfmon.venues.deribit.protocol import DeribitProtocol
from tests.chains import known
from tests.shared_data import trades
from tests.venues.test_deribit import answer, push

EXPIRY_MS = 1_582_876_800_000  # 28 February 2020, 08:00 UTC


class RealTrades:
    """A driver with the options of those prints listed, open interest said, and the first connection made."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows = rows
        self.names = sorted({row["instrument_name"] for row in rows})
        self.now = max(row["timestamp"] for row in rows) * 1_000_000 + SECOND
        self.snapshots: list[FlowSnapshot] = []
        self.records: list[Record] = []
        self.protocol = DeribitProtocol(("BTC",), linear=False)
        self.driver = Driver(
            ("BTC",),
            FlowParams(),
            {"deribit": self.protocol},
            self.snapshots.append,
            journal=self.records.append,
            options_sources=("deribit",),
        )
        self.driver.connected("deribit", self.now)
        self.driver.response(
            "deribit", self.now, "instruments:BTC:option", answer([_listing_row(n) for n in self.names])
        )
        index = {"timestamp": self.now // 1_000_000, "price": 9_650.0, "index_name": "btc_usd"}
        self.driver.frame("deribit", self.now, push("deribit_price_index.btc_usd", index))
        self.driver.response("deribit", self.now, "summary:BTC", answer([self._summary(n) for n in self.names]))

    def tick(self) -> FlowSnapshot:
        self.now += SECOND
        self.driver.request_tick(self.now)
        return self.snapshots[-1]

    def volumes(self) -> dict[str, float]:
        book = self.driver.flow_states()["BTC"].book
        return dict(zip(book.names, book.printed.tolist()))

    def assert_no_gap_calls(self) -> None:
        for call in self.protocol.rest_calls():
            assert not call.tag.startswith("gap"), "no number is missing"

    def _summary(self, name: str) -> dict[str, Any]:
        row = next(row for row in self.rows if row["instrument_name"] == name)
        return {
            "instrument_name": name, "open_interest": 500.0, "mark_iv": row["iv"] or 50.0, "mark_price": row["price"],
            "underlying_price": 9_660.0, "creation_timestamp": self.now // 1_000_000, "volume": 1.0,
        }  # fmt: skip


def _listing_row(name: str) -> dict[str, Any]:
    *_, strike, kind = name.split("-")
    return {
        "instrument_name": name, "kind": "option", "base_currency": "BTC", "settlement_currency": "BTC",
        "expiration_timestamp": EXPIRY_MS, "creation_timestamp": EXPIRY_MS - 2_592_000_000, "strike": float(strike),
        "option_type": "call" if kind == "C" else "put", "is_active": True,
    }  # fmt: skip


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    return [
        json.loads(line) for line in (trades() / "deribit_btc_option_trades_20200221.jsonl").read_text().splitlines()
    ]


def expected(rows: list[dict[str, Any]]) -> dict[str, float]:
    amounts: dict[str, dict[int, float]] = defaultdict(dict)
    for row in rows:
        amounts[row["instrument_name"]][row["trade_seq"]] = row["amount"]
    return {name: sum(by_seq.values()) for name, by_seq in amounts.items()}


@pytest.mark.parametrize("order", ["as recorded", "by time", "shuffled page"])
def test_every_print_is_counted_once_whatever_its_order(rows: list[dict[str, Any]], order: str) -> None:
    run, received = RealTrades(rows), list(rows)
    if order == "shuffled page":
        random.Random(7).shuffle(received)
        run.driver.frame("deribit", run.now, push("trades.option.BTC.100ms", received))
    else:
        if order == "by time":
            received.sort(key=lambda row: (row["timestamp"], row["trade_seq"]))
        for start in range(0, len(received), 7):
            batch = received[start : start + 7] if order == "by time" else received
            run.driver.frame("deribit", run.now, push("trades.option.BTC.100ms", batch))
    run.assert_no_gap_calls()
    snapshot = run.tick()
    assert run.volumes() == pytest.approx(expected(rows), abs=1e-6)
    assert sum(Counter(name for name in expected(rows)).values()) == 25
    ngi = snapshot.metrics.ngi
    assert known(ngi.lo) < known(ngi.value) < known(ngi.hi)
    assert not [reason for reason in snapshot.unavailable if "trade" in reason or "gap" in reason]


def test_the_prints_as_whole_lives_give_the_same_volumes_and_full_coverage(rows: list[dict[str, Any]]) -> None:
    run = RealTrades(rows)
    first = {name: min(r["trade_seq"] for r in rows if r["instrument_name"] == name) for name in run.names}
    for name in run.names:
        rows_by_seq = {r["trade_seq"]: r for r in rows if r["instrument_name"] == name}
        page = [{**row, "trade_seq": seq - first[name] + 1} for seq, row in rows_by_seq.items()]
        run.driver.response("deribit", run.now, run.protocol.histories.next_call(name).tag, answer({"trades": page}))
    snapshot = run.tick()
    assert run.volumes() == pytest.approx(expected(rows), abs=1e-6)
    assert snapshot.positions.coverage == pytest.approx(1.0)


def test_a_replay_of_the_real_prints_is_the_same_bit_for_bit(rows: list[dict[str, Any]]) -> None:
    run, replayed = RealTrades(rows), list[FlowSnapshot]()
    run.driver.frame("deribit", run.now, push("trades.option.BTC.100ms", rows))
    run.tick()
    replay = Driver(
        ("BTC",),
        FlowParams(),
        {"deribit": DeribitProtocol(("BTC",), linear=False)},
        replayed.append,
        options_sources=("deribit",),
    )
    for record in run.records:
        replay.apply(record)
    assert [snapshot.digest() for snapshot in replayed] == [snapshot.digest() for snapshot in run.snapshots]


@pytest.mark.parametrize(
    ("changes", "rejected_kind"),
    [
        ({"amount": 0}, "row"),
        ({"amount": -1.0}, "row"),
        ({"direction": "up"}, "row"),
        ({"price": "cheap"}, "row"),
        ({"instrument_name": "BTC-1JAN20-1-C"}, ""),
    ],
)
def test_a_bad_print_among_real_ones_is_counted_and_costs_no_other(
    rows: list[dict[str, Any]], changes: dict[str, Any], rejected_kind: str
) -> None:
    run = RealTrades(rows)
    bad_row = {**rows[0], **changes, "trade_id": "bad", "trade_seq": 10**9}
    run.driver.frame("deribit", run.now, push("trades.option.BTC.100ms", [bad_row, *rows]))
    events = run.protocol.response_received(
        "instruments:BTC:option", answer([_listing_row(name) for name in run.names])
    )
    snapshot = run.tick()
    assert run.volumes() == pytest.approx(expected(rows), abs=1e-6)
    if rejected_kind:
        assert f"1 {rejected_kind}: left out" in snapshot.unavailable
    else:
        assert Rejected("deribit", "instrument", "BTC-1JAN20-1-C") in events
    assert RecordKind.FRAME in {record.kind for record in run.records}
