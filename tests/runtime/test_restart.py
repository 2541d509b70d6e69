"""State that survives: a market watched through equals one whose watching was interrupted, bit for bit."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from dfmon.core.positions.inventory import Inventory
from dfmon.core.positions.inventory_codec import to_bytes
from dfmon.core.step import FlowParams
from dfmon.engine.checkpoint import Held, Memory, pack, priors_of, unpack
from dfmon.engine.driver import Driver
from dfmon.engine.journal import Record, RecordKind
from dfmon.model.snapshot import FlowSnapshot
from dfmon.model.units import SECOND
from dfmon.store.positions_state import StateFile
from dfmon.venues.deribit.protocol import DeribitProtocol
from dfmon.venues.protocol import RestCall
from tests.venues.test_deribit import CALL, PUT, SESSION, answer, push, trades
from tests.venues.test_deribit_trade_feed import stream
from tests.venues.venue_golden import NOW, body

LIFE = 40  # prints before the watching begins
WATCHED = 60  # seconds, a print each or none
HOST = "www.deribit.com"


def market(seed: int) -> list[dict]:
    """Prints before and while we watch, the latter a few hundred milliseconds into their seconds."""
    rows = stream(LIFE + WATCHED, seed)
    for number, row in enumerate(rows):
        row["timestamp"] = NOW // 1_000_000 + (number - LIFE) * 1_000 + 300
    return rows


class Session:
    """One run of dfmon against that market: a driver, its protocol, and the venue's answers."""

    def __init__(self, rows: Sequence[dict], begin: int, memory: bytes | None = None) -> None:
        self.rows, self.now = rows, begin
        self.records: list[Record] = []
        self.snapshots: list[FlowSnapshot] = []
        self.protocol = DeribitProtocol(("BTC",), look_back_s=3.0)
        self.driver = Driver(
            ("BTC",), FlowParams(), {"deribit": self.protocol}, self.snapshots.append, journal=self.records.append
        )
        if memory is not None:
            self.driver.ingest(RecordKind.STATE, "deribit", self.at, memory)
        self.driver.connected("deribit", self.at)
        self._answer()

    @property
    def at(self) -> int:
        return NOW + self.now * SECOND

    def live(self) -> None:
        """Every option's whole history, as the backfill brings it."""
        for name in (CALL, PUT):
            while name not in self.protocol.lives.whole:
                call = self.protocol.lives.next_call(name)
                mine = [row for row in self._past() if row["instrument_name"] == name]
                self.driver.response("deribit", self.at, call.tag, answer({"trades": mine}))

    def watch(self, until: int) -> None:
        """A second: what is printed, a poll, a tick."""
        while self.now < until:
            row = self.rows[LIFE + self.now]
            self.now += 1
            self.driver.frame("deribit", self.at, trades(row))
            self.driver.frame("deribit", self.at, push("deribit_price_index.btc_usd", self._index()))
            if self.now % 5 == 0:
                self.driver.response("deribit", self.at, "summary:BTC", self._summary())
            self.driver.timer("deribit", self.at)
            self._answer()
            self.driver.on_timer(self.at)

    def inventory(self) -> Inventory:
        return self.driver.inventories()["BTC"]

    def memory(self, before: Memory | None = None) -> bytes:
        return pack(Memory.of(HOST, priors_of(FlowParams().priors), self.at, self.driver.inventories(), before))

    def _past(self) -> list[dict]:
        return [row for row in self.rows if row["timestamp"] < self.at // 1_000_000]

    def _answer(self) -> None:
        """What the venue says to all that is asked, until nothing is."""
        for text in self.protocol.data_to_send():
            request = json.loads(text)
            if request["method"] == "public/subscribe":
                reply = {"jsonrpc": "2.0", "id": request["id"], "result": request["params"]["channels"]}
                self.driver.frame("deribit", self.at, body({**reply, "usOut": self.at // 1_000}))
        while calls := self.protocol.rest_calls():
            self._answer_calls(calls)

    def _answer_calls(self, calls: Sequence[RestCall]) -> None:
        for call in calls:
            kind, said = call.tag.partition(":")[0], dict(call.params)
            golden = next((g for g in SESSION if g.tag == call.tag and g.tag.startswith("instruments")), None)
            if golden is not None:
                said_back = golden.body
            elif kind == "summary":
                said_back = self._summary() if call.tag == "summary:BTC" else answer([])
            elif kind == "trades" and call.tag.startswith("trades:BTC:"):
                low, high = int(said["start_timestamp"]), int(said["end_timestamp"])
                said_back = answer({"trades": [row for row in self._past() if low <= row["timestamp"] <= high]})
            elif kind == "gap":
                low, high = int(said["start_seq"]), int(said["end_seq"])
                mine = [row for row in self._past() if row["instrument_name"] == said["instrument_name"]]
                said_back = answer({"trades": [row for row in mine if low <= row["trade_seq"] <= high]})
            else:
                said_back = answer({"trades": []})
            self.driver.response("deribit", self.at, call.tag, said_back)

    def _index(self) -> dict:
        return {"timestamp": self.at // 1_000_000, "price": 91_000.0, "index_name": "btc_usd"}

    def _summary(self) -> bytes:
        row = json.loads(next(g.body for g in SESSION if g.name == "book summary"))["result"][0]
        stamp = {"creation_timestamp": self.at // 1_000_000, "open_interest": 4_000.0}
        return answer([{**row, **stamp}, {**row, **stamp, "instrument_name": PUT, "open_interest": 3_000.0}])


def through(rows: Sequence[dict]) -> Session:
    session = Session(rows, 0)
    session.watch(5)
    session.live()
    session.watch(WATCHED)
    return session


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("down", [0, 7])
def test_a_restart_changes_no_bit(seed: int, down: int) -> None:
    """`down` seconds pass between the two runs; what was printed then is filled by time and number."""
    rows = market(seed)
    whole = through(rows)
    first = Session(rows, 0)
    first.watch(5)
    first.live()
    first.watch(30)
    second = Session(rows, 30 + down, first.memory())
    second.watch(WATCHED)
    assert to_bytes(second.inventory()) == to_bytes(whole.inventory())
    assert second.snapshots[-1].positions == whole.snapshots[-1].positions
    assert second.snapshots[-1].metrics.ngi == whole.snapshots[-1].metrics.ngi
    assert second.protocol.lives.whole == {CALL, PUT}, "nothing to read from the archive again"


def test_the_inventory_has_seen_every_print_once() -> None:
    rows = market(9)
    inventory = through(rows).inventory()
    for name in (CALL, PUT):
        record = inventory.book[inventory.names.index(name)]
        mine = [row for row in rows if row["instrument_name"] == name]
        assert record["seq"] == len(mine)
        assert record["volume"] == sum(row["amount"] for row in mine)


def test_the_replay_of_a_restarted_run_equals_it() -> None:
    rows = market(3)
    first = Session(rows, 0)
    first.watch(30)
    second = Session(rows, 33, first.memory())
    second.watch(WATCHED)
    again: list[FlowSnapshot] = []
    replay = Driver(("BTC",), FlowParams(), {"deribit": DeribitProtocol(("BTC",), look_back_s=3.0)}, again.append)
    for record in second.records:
        replay.apply(record)
    assert [snapshot.digest() for snapshot in again] == [snapshot.digest() for snapshot in second.snapshots]
    assert to_bytes(replay.inventories()["BTC"]) == to_bytes(second.inventory())


def test_without_positions_the_fill_begins_where_the_kept_prints_end() -> None:
    rows = market(1)
    memory = Memory(1, HOST, "", 0, {"BTC": Held(b"", NOW // 1_000_000)})
    session = Session(rows, 20, pack(memory))
    session.watch(21)
    seen = session.inventory().book["seq"].tolist()
    assert max(seen) > 0
    fills = [
        record for record in session.records if record.kind is RecordKind.REST and b"trades:BTC:" in record.payload
    ]
    assert f"trades:BTC:{NOW // 1_000_000 - 300_000}:".encode() in fills[0].payload


# ---- the file --------------------------------------------------------------------------------------------------------


def state_file(folder: Path, exchange: str = HOST, rests_on: str | None = None) -> StateFile:
    return StateFile(folder / "deep" / "positions.state", exchange, rests_on or priors_of(FlowParams().priors))


def some_memory() -> Memory:
    session = Session(market(2), 0)
    session.watch(10)
    return unpack(session.memory())[0]


def test_what_was_written_is_read_and_private(tmp_path: Path) -> None:
    memory = some_memory()
    state_file(tmp_path).write(memory)
    assert state_file(tmp_path).read() == memory
    assert (tmp_path / "deep" / "positions.state").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["positions.state"]


def test_nothing_there_is_nothing_to_say(tmp_path: Path) -> None:
    file = state_file(tmp_path)
    assert file.read() is None
    assert file.trouble is None


@pytest.mark.parametrize("seed", range(30))
def test_damage_at_any_byte_is_one_sentence_and_kept_aside(seed: int, tmp_path: Path) -> None:
    draw, memory = random.Random(seed), some_memory()
    file = state_file(tmp_path)
    file.write(memory)
    path = tmp_path / "deep" / "positions.state"
    data = bytearray(path.read_bytes())
    if seed % 2:
        del data[draw.randrange(len(data)) :]
    else:
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    path.write_bytes(data)
    assert file.read() is None
    assert file.trouble is not None
    assert file.trouble.startswith(f"{path}: ")
    assert file.trouble.endswith("; moved to positions.unused, positions begin anew")
    assert path.with_suffix(".unused").read_bytes() == bytes(data)


@pytest.mark.parametrize(
    ("exchange", "rests_on", "words"),
    [
        ("127.0.0.1:4000", None, f"positions of {HOST}, not of 127.0.0.1:4000"),
        (HOST, "others", "positions made under other priors"),
    ],
)
def test_positions_of_another_market_are_not_used(
    exchange: str, rests_on: str | None, words: str, tmp_path: Path
) -> None:
    state_file(tmp_path).write(some_memory())
    file = state_file(tmp_path, exchange, rests_on)
    assert file.read() is None
    assert words in (file.trouble or "")


def test_of_several_runs_the_first_writes_and_the_others_read(tmp_path: Path) -> None:
    memory = some_memory()
    first, second = state_file(tmp_path), state_file(tmp_path)
    first.take()
    second.take()
    assert second.trouble == f"another dfmon keeps the positions in {tmp_path / 'deep'}; this one only reads them"
    first.write(memory)
    second.write(replace(memory, saved_ns=1))
    assert second.read() == memory
    assert "only reads" in second.trouble
    first.close()
    third = state_file(tmp_path)
    third.take()
    third.write(replace(memory, saved_ns=3))
    assert third.trouble is None
    assert first.read() == replace(memory, saved_ns=3)


def test_who_only_looks_moves_nothing_aside(tmp_path: Path) -> None:
    path = tmp_path / "positions.state"
    path.write_bytes(b"no positions")
    file = StateFile(path, HOST, "", keeps=False)
    file.take()
    assert file.read() is None
    assert (file.trouble or "").endswith("; positions begin anew")
    file.write(some_memory())
    assert path.read_bytes() == b"no positions"
    assert list(tmp_path.iterdir()) == [path]


def test_a_newer_version_is_refused_in_words() -> None:
    memory = Memory(2, HOST, "", 0, {})
    with pytest.raises(ValueError, match="stored positions of version 2, this dfmon reads 1"):
        unpack(pack(memory))


def test_a_folder_that_cannot_be_written_is_told_and_goes_on(tmp_path: Path) -> None:
    (tmp_path / "deep").write_text("a file, where a folder should be")
    file = state_file(tmp_path)
    file.write(some_memory())
    assert (file.trouble or "").startswith("positions are not kept: ")


def test_a_run_of_one_coin_leaves_the_positions_of_the_other_as_they_were() -> None:
    session = Session(market(2), 0)
    session.watch(10)
    before = Memory(1, HOST, "", 0, {"ETH": unpack(session.memory())[0].held["BTC"]})
    after, _ = unpack(session.memory(before))
    assert set(after.held) == {"BTC", "ETH"}
    assert after.held["ETH"] == before.held["ETH"]
