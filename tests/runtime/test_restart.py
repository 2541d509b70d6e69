"""State that survives: a market watched through equals one whose watching was interrupted, bit for bit."""

from __future__ import annotations

import copy
import json
import os
import random
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from dfmon.core.positions.book_codec import MAGIC, encode_book
from dfmon.core.positions.position_book import PositionBook
from dfmon.core.step import FlowParams
from dfmon.engine.checkpoint import (
    PositionsCheckpoint,
    UnderlyingCheckpoint,
    decode_checkpoint,
    encode_checkpoint,
    priors_digest,
)
from dfmon.engine.driver import Driver
from dfmon.engine.journal import Record, RecordKind
from dfmon.model.snapshot import FlowSnapshot, to_json
from dfmon.model.units import SECOND
from dfmon.store.positions_state import PositionsStateFile
from dfmon.venues.deribit.protocol import DeribitProtocol
from dfmon.venues.protocol import RestCall
from tests.venues.test_deribit import CALL, PUT, SESSION, answer, push, trades
from tests.venues.test_deribit_trade_feed import stream
from tests.venues.venue_golden import NOW, body

pytestmark = pytest.mark.slow

PRINTS_BEFORE = 40  # prints before the watching begins
WATCH_S = 60  # seconds, a print each or none
HOST = "www.deribit.com"


def market(seed: int) -> list[dict[str, Any]]:
    """Prints before and while we watch, the latter a few hundred milliseconds into their seconds."""
    rows = stream(PRINTS_BEFORE + WATCH_S, seed)
    for number, row in enumerate(rows):
        row["timestamp"] = NOW // 1_000_000 + (number - PRINTS_BEFORE) * 1_000 + 300
    return rows


class RestartHarness:
    """One run of dfmon against that market: a driver, its protocol, and the venue's answers."""

    def __init__(
        self,
        rows: Sequence[dict[str, Any]],
        start_s: int,
        checkpoint: bytes | None = None,
        *,
        answers_summary: bool = True,
    ) -> None:
        self.rows, self.now, self.answers_summary = rows, start_s, answers_summary
        self.records: list[Record] = []
        self.snapshots: list[FlowSnapshot] = []
        self.protocol = DeribitProtocol(("BTC",), look_back_s=3.0)
        self.driver = Driver(
            ("BTC",),
            FlowParams(),
            {"deribit": self.protocol},
            self.snapshots.append,
            journal=self.records.append,
            options_sources=("deribit",),
        )
        if checkpoint is not None:
            self.driver.ingest(RecordKind.STATE, "deribit", self.at, checkpoint)
        self.driver.connected("deribit", self.at)
        self._respond()

    @property
    def at(self) -> int:
        return NOW + self.now * SECOND

    def backfill(self) -> None:
        """Every option's whole history, as the backfill brings it."""
        for name in (CALL, PUT):
            while name not in self.protocol.histories.complete:
                call = self.protocol.histories.next_call(name)
                option_rows = [row for row in self._printed_rows() if row["instrument_name"] == name]
                self.driver.response("deribit", self.at, call.tag, answer({"trades": option_rows}))

    def run_until(self, until: int) -> None:
        """A second: what is printed, a poll, a tick."""
        while self.now < until:
            row = self.rows[PRINTS_BEFORE + self.now]
            self.now += 1
            self.driver.frame("deribit", self.at, trades(row))
            self.driver.frame("deribit", self.at, push("deribit_price_index.btc_usd", self._index()))
            if self.now % 5 == 0:
                self.driver.response("deribit", self.at, "summary:BTC", self._summary())
            self.driver.timer("deribit", self.at)
            self._respond()
            self.driver.request_tick(self.at)

    def break_off(self, until: int) -> None:
        """Loses the connection and ticks on without frames, until it is back."""
        self.driver.lost("deribit", self.at, "connection broken off")
        while self.now < until:
            self.now += 1
            if self.now < until:
                self.driver.request_tick(self.at)
        self.driver.connected("deribit", self.at)
        self._respond()

    def book(self) -> PositionBook:
        return self.driver.flow_states()["BTC"].book

    def checkpoint(self, previous: PositionsCheckpoint | None = None) -> bytes:
        return encode_checkpoint(
            PositionsCheckpoint.from_states(
                HOST,
                priors_digest(FlowParams().priors),
                self.at,
                self.driver.flow_states(),
                previous,
                self.driver.stored_options(),
            )
        )

    def _printed_rows(self) -> list[dict[str, Any]]:
        return [row for row in self.rows if row["timestamp"] < self.at // 1_000_000]

    def _respond(self) -> None:
        """What the venue says to all that is asked, until nothing is."""
        for text in self.protocol.data_to_send():
            request = json.loads(text)
            if request["method"] == "public/subscribe":
                reply = {"jsonrpc": "2.0", "id": request["id"], "result": request["params"]["channels"]}
                self.driver.frame("deribit", self.at, body({**reply, "usOut": self.at // 1_000}))
        while calls := self.protocol.rest_calls():
            self._respond_to_calls(calls)

    def _respond_to_calls(self, calls: Sequence[RestCall]) -> None:
        for call in calls:
            kind, params = call.tag.partition(":")[0], dict(call.params)
            golden = next((g for g in SESSION if g.tag == call.tag and g.tag.startswith("instruments")), None)
            if golden is not None:
                response_body = golden.body
            elif kind == "summary":
                if not self.answers_summary:
                    continue
                response_body = self._summary() if call.tag == "summary:BTC" else answer([])
            elif kind == "trades" and call.tag.startswith("trades:BTC:"):
                low, high = int(params["start_timestamp"]), int(params["end_timestamp"])
                response_body = answer(
                    {"trades": [row for row in self._printed_rows() if low <= row["timestamp"] <= high]}
                )
            elif kind == "gap":
                low, high = int(params["start_seq"]), int(params["end_seq"])
                option_rows = [
                    row for row in self._printed_rows() if row["instrument_name"] == params["instrument_name"]
                ]
                response_body = answer({"trades": [row for row in option_rows if low <= row["trade_seq"] <= high]})
            else:
                response_body = answer({"trades": []})
            self.driver.response("deribit", self.at, call.tag, response_body)

    def _index(self) -> dict[str, Any]:
        return {"timestamp": self.at // 1_000_000, "price": 91_000.0, "index_name": "btc_usd"}

    def _summary(self) -> bytes:
        row = json.loads(next(g.body for g in SESSION if g.name == "book summary"))["result"][0]
        stamp = {"creation_timestamp": self.at // 1_000_000, "open_interest": 4_000.0}
        return answer([{**row, **stamp}, {**row, **stamp, "instrument_name": PUT, "open_interest": 3_000.0}])


def run_through(rows: Sequence[dict[str, Any]]) -> RestartHarness:
    session = RestartHarness(rows, 0)
    session.run_until(5)
    session.backfill()
    session.run_until(WATCH_S)
    return session


@cache
def uninterrupted(seed: int) -> tuple[bytes, FlowSnapshot]:
    """The inventory and the last snapshot of a run without a break."""
    session = run_through(market(seed))
    return encode_book(session.book()), session.snapshots[-1]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("gap_s", [0, 7])
def test_a_restart_changes_no_bit(seed: int, gap_s: int) -> None:
    """`gap_s` seconds pass between the two runs; what was printed then is filled by time and number."""
    rows = market(seed)
    inventory, last = uninterrupted(seed)
    first = RestartHarness(rows, 0)
    first.run_until(5)
    first.backfill()
    first.run_until(30)
    second = RestartHarness(rows, 30 + gap_s, first.checkpoint())
    second.run_until(WATCH_S)
    assert encode_book(second.book()) == inventory
    assert second.snapshots[-1].positions == last.positions
    assert second.snapshots[-1].metrics.ngi == last.metrics.ngi
    assert second.protocol.histories.complete == {CALL, PUT}, "nothing to read from the archive again"


def comparable(snapshot: FlowSnapshot) -> dict[str, Any]:
    """All of a snapshot but its number, the counts of the feed, and the outage that only one of two runs has seen."""
    shown: dict[str, Any] = json.loads(to_json(snapshot, "live", detail=True))
    shown["detail"]["alerts"] = [alert for alert in shown["detail"]["alerts"] if alert["kind"] != "FEED"]
    return {name: value for name, value in shown.items() if name not in ("seq", "feeds")}


def test_restarts_at_random_seconds_equal_a_run_that_lacks_the_frames_of_the_gap() -> None:
    """Twenty restarts through the bytes of the state file, against a run that ticks on through the same gap."""
    draw, rows = random.Random(12), market(5)
    session = RestartHarness(rows, 0)
    session.run_until(5)
    session.backfill()
    for stop_s in sorted(draw.sample(range(6, WATCH_S - 20), 20)):
        gap_s = draw.randrange(10)
        session.run_until(stop_s)
        unstopped = copy.deepcopy(session)
        unstopped.driver.publish = unstopped.snapshots.append  # a copied method is still that of the first list
        unstopped.break_off(stop_s + gap_s)
        restarted = RestartHarness(rows, stop_s + gap_s, session.checkpoint())
        for run in (unstopped, restarted):
            run.run_until(stop_s + gap_s + 10)
        assert encode_book(restarted.book()) == encode_book(unstopped.book())
        assert comparable(restarted.snapshots[-1]) == comparable(unstopped.snapshots[-1]), (stop_s, gap_s)


def test_open_interest_is_there_from_the_first_tick_after_a_restart_with_its_age() -> None:
    """The venue answers no poll for some seconds, and the numbers rest on what was known before the break."""
    rows = market(6)
    first = run_through(rows[: PRINTS_BEFORE + WATCH_S])
    unstopped = copy.deepcopy(first)
    unstopped.driver.publish = unstopped.snapshots.append
    restarted = RestartHarness(rows, WATCH_S + 4, first.checkpoint(), answers_summary=False)
    unstopped.now = restarted.now
    for run in (unstopped, restarted):
        run.driver.frame("deribit", run.at, push("deribit_price_index.btc_usd", run._index()))
        run.driver.request_tick(run.at)
    before, after = unstopped.snapshots[-1], restarted.snapshots[-1]
    assert after.freshness is not None
    assert after.freshness == before.freshness
    assert after.freshness.open_interest.age_s == 4.0
    assert after.positions == before.positions
    assert [row.open_interest for row in after.by_expiry] == [row.open_interest for row in before.by_expiry]
    assert "no open interest" not in after.scenario.overlay


def test_the_book_has_seen_every_print_once() -> None:
    rows = market(9)
    book = run_through(rows).book()
    for name in (CALL, PUT):
        row = book.names.index(name)
        option_rows = [row for row in rows if row["instrument_name"] == name]
        assert book.seq[row] == len(option_rows)
        assert book.printed[row] == pytest.approx(sum(one["amount"] for one in option_rows))


def test_the_replay_of_a_restarted_run_equals_it() -> None:
    rows = market(3)
    first = RestartHarness(rows, 0)
    first.run_until(30)
    second = RestartHarness(rows, 33, first.checkpoint())
    second.run_until(WATCH_S)
    replayed: list[FlowSnapshot] = []
    replay = Driver(
        ("BTC",),
        FlowParams(),
        {"deribit": DeribitProtocol(("BTC",), look_back_s=3.0)},
        replayed.append,
        options_sources=("deribit",),
    )
    for record in second.records:
        replay.apply(record)
    assert [snapshot.digest() for snapshot in replayed] == [snapshot.digest() for snapshot in second.snapshots]
    assert encode_book(replay.flow_states()["BTC"].book) == encode_book(second.book())


def test_without_positions_the_fill_begins_where_the_kept_prints_end() -> None:
    rows = market(1)
    checkpoint = PositionsCheckpoint(1, HOST, "", 0, {"BTC": UnderlyingCheckpoint(b"", NOW // 1_000_000)})
    session = RestartHarness(rows, 20, encode_checkpoint(checkpoint))
    session.run_until(21)
    seqs = session.book().seq.tolist()
    assert max(seqs) > 0
    fills = [
        record for record in session.records if record.kind is RecordKind.REST and b"trades:BTC:" in record.payload
    ]
    assert f"trades:BTC:{NOW // 1_000_000 - 300_000}:".encode() in fills[0].payload


# ---- the file --------------------------------------------------------------------------------------------------------


def state_file(folder: Path, exchange: str = HOST, rests_on: str | None = None) -> PositionsStateFile:
    return PositionsStateFile(
        folder / "deep" / "positions.state", exchange, rests_on or priors_digest(FlowParams().priors)
    )


@cache
def make_checkpoint() -> PositionsCheckpoint:
    session = RestartHarness(market(2), 0)
    session.run_until(10)
    return decode_checkpoint(session.checkpoint())[0]


def test_what_was_written_is_read_and_private(tmp_path: Path) -> None:
    checkpoint = make_checkpoint()
    state_file(tmp_path).save(checkpoint)
    assert state_file(tmp_path).load() == checkpoint
    assert (tmp_path / "deep" / "positions.state").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["positions.state"]


def test_nothing_there_is_nothing_to_say(tmp_path: Path) -> None:
    file = state_file(tmp_path)
    assert file.load() is None
    assert file.error is None


@pytest.mark.parametrize("seed", range(30))
def test_damage_at_any_byte_is_one_sentence_and_kept_aside(seed: int, tmp_path: Path) -> None:
    draw, checkpoint = random.Random(seed), make_checkpoint()
    file = state_file(tmp_path)
    file.save(checkpoint)
    path = tmp_path / "deep" / "positions.state"
    data = bytearray(path.read_bytes())
    if seed % 2:
        del data[draw.randrange(len(data)) :]
    else:
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    path.write_bytes(data)
    assert file.load() is None
    assert file.error is not None
    assert file.error.startswith(f"{path}: ")
    assert re.search(r"; moved to positions\.state\.damaged-\d{8}T\d{6}Z, positions start over$", file.error)
    (moved,) = path.parent.glob("*.damaged-*")
    assert moved.read_bytes() == bytes(data)


@pytest.mark.parametrize(
    ("exchange", "rests_on", "message"),
    [
        ("127.0.0.1:4000", None, f"positions of {HOST}, not of 127.0.0.1:4000"),
        (HOST, "others", "positions made under other priors"),
    ],
)
def test_positions_of_another_market_are_not_used(
    exchange: str, rests_on: str | None, message: str, tmp_path: Path
) -> None:
    state_file(tmp_path).save(make_checkpoint())
    file = state_file(tmp_path, exchange, rests_on)
    assert file.load() is None
    assert message in (file.error or "")
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["positions.unused"]


def test_positions_of_another_version_are_rebuilt_and_not_called_damaged(tmp_path: Path) -> None:
    checkpoint = make_checkpoint()
    held = checkpoint.underlyings["BTC"]
    earlier = replace(held, positions=held.positions.replace(MAGIC, b"book 2\n", 1))
    state_file(tmp_path).save(replace(checkpoint, underlyings={"BTC": earlier}))
    file = state_file(tmp_path)
    assert file.load() is None
    assert file.error == (
        f"{tmp_path / 'deep' / 'positions.state'}: the stored positions are of another version of dfmon; moved to "
        "positions.unused, positions are rebuilt from the trade store, as far as it has prints"
    )
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["positions.unused"]


def test_a_link_in_the_place_of_the_new_file_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("of somebody else")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "positions.new").symlink_to(victim)
    file = state_file(tmp_path)
    file.save(make_checkpoint())
    assert (file.error, victim.read_text()) == (None, "of somebody else")
    assert file.load() == make_checkpoint()
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["positions.state"]


def test_a_pipe_in_the_place_of_the_file_holds_nobody(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    os.mkfifo(tmp_path / "deep" / "positions.state")
    file = state_file(tmp_path)
    assert file.load() is None
    assert "it cannot be read: it is no regular file; moved to positions.state.damaged-" in (file.error or "")
    file.save(make_checkpoint())
    assert (file.error, file.load()) == (None, make_checkpoint())


def test_of_several_runs_the_first_writes_and_the_others_read(tmp_path: Path) -> None:
    checkpoint = make_checkpoint()
    first, second = state_file(tmp_path), state_file(tmp_path)
    first.lock()
    second.lock()
    assert second.error == f"another dfmon writes the positions in {tmp_path / 'deep'}; this one only reads them"
    first.save(checkpoint)
    second.save(replace(checkpoint, saved_ns=1))
    assert second.load() == checkpoint
    assert "only reads" in second.error
    first.close()
    third = state_file(tmp_path)
    third.lock()
    third.save(replace(checkpoint, saved_ns=3))
    assert third.error is None
    assert first.load() == replace(checkpoint, saved_ns=3)


def test_who_only_looks_moves_nothing_aside(tmp_path: Path) -> None:
    path = tmp_path / "positions.state"
    path.write_bytes(b"no positions")
    file = PositionsStateFile(path, HOST, "", persist=False)
    file.lock()
    assert file.load() is None
    assert (file.error or "").endswith("; positions start over")
    file.save(make_checkpoint())
    assert path.read_bytes() == b"no positions"
    assert list(tmp_path.iterdir()) == [path]


def test_a_newer_version_is_refused_in_words() -> None:
    checkpoint = PositionsCheckpoint(3, HOST, "", 0, {})
    with pytest.raises(ValueError, match="stored positions of version 3, this dfmon reads 2"):
        decode_checkpoint(encode_checkpoint(checkpoint))


def test_a_folder_that_cannot_be_written_is_told_and_goes_on(tmp_path: Path) -> None:
    (tmp_path / "deep").write_text("a file, where a folder should be")
    file = state_file(tmp_path)
    file.save(make_checkpoint())
    assert (file.error or "").startswith("positions are not saved: ")


def test_a_run_of_one_coin_leaves_the_positions_of_the_other_as_they_were() -> None:
    session = RestartHarness(market(2), 0)
    session.run_until(10)
    previous = PositionsCheckpoint(
        1, HOST, "", 0, {"ETH": decode_checkpoint(session.checkpoint())[0].underlyings["BTC"]}
    )
    after = decode_checkpoint(session.checkpoint(previous)).checkpoint
    assert set(after.underlyings) == {"BTC", "ETH"}
    assert after.underlyings["ETH"] == previous.underlyings["ETH"]
