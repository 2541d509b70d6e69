"""Captures of other programs replay through the same protocols: those beside the project, and small ones of our own."""

from __future__ import annotations

import gzip
import json
import os
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from dfmon.core.step import FlowParams
from dfmon.engine.hub import SnapshotHub
from dfmon.engine.journal import RecordKind
from dfmon.model.errors import DfmonError, SourceError, UsageError
from dfmon.model.events import BookLost, BookSnapshot, BookUpdate, Event, Rejected
from dfmon.model.snapshot import FlowSnapshot
from dfmon.model.units import SECOND
from dfmon.replay import BoardSource, CaptureSource, open_source, play_through
from dfmon.replay.timeline import CheckpointIndex, SeekTarget, Timeline
from tests.board_files import snapshot_text
from tests.capture_files import BEGIN, cryptofeed_rows, hftbacktest_lines
from tests.shared_data import SHARED

pytestmark = pytest.mark.slow

RAW = Path(os.environ.get("DFMON_REAL_DATA", SHARED / "data")) / "ws_raw"
needs_captures = pytest.mark.skipif(not RAW.is_dir(), reason=f"no captures at {RAW}")


def open_capture(path: Path) -> CaptureSource:
    source = open_source(path, None, FlowParams())
    assert isinstance(source, CaptureSource)
    return source


def replay_capture(path: Path) -> tuple[CaptureSource, list[FlowSnapshot]]:
    source, published = open_capture(path), list[FlowSnapshot]()
    play_through(source, published.append)
    return source, published


def events(source: CaptureSource, kinds: Counter[str]) -> Iterable[Event]:
    """What the protocols make of every record; `kinds` counts the records."""
    protocols = {endpoint.source: endpoint.protocol for endpoint in source._endpoints()}
    for record in source.records():
        kinds[record.kind.name] += 1
        match record.kind:
            case RecordKind.FRAME:
                yield from protocols[record.source].frame_received(record.payload)
            case RecordKind.REST:
                yield from protocols[record.source].response_received(*record.decode_rest())
            case RecordKind.CONNECTED:
                yield from protocols[record.source].connection_made(record.recv_ns)


# name: underlyings, seconds, kinds of records, what was rejected, (events of the books), mid of the last book, USD
EXPECTED = {
    "cryptofeed_DERIBIT.jsonl.zst": (
        ("ETH", "BTC"), 32, {"CONNECTED": 1, "FRAME": 136, "REST": 5}, {"channel": 46}, (0, 0, 0), None,
    ),
    "cryptofeed_OKX.jsonl.zst": (
        ("BTC",), 241, {"CONNECTED": 1, "FRAME": 410, "REST": 1}, {"instrument": 200}, (1, 97, 0), (30_000, 30_500),
    ),
    "cryptofeed_BINANCE.jsonl.zst": (
        ("NKN",), 32, {"CONNECTED": 1, "FRAME": 265, "REST": 1}, {"channel": 40}, (1, 149, 0), (0.35, 0.36),
    ),
    "cryptofeed_BINANCE_FUTURES.jsonl.zst": (
        ("SUSHI", "AKRO", "KEEP", "CTK"), 32, {"CONNECTED": 2, "FRAME": 1535, "REST": 4}, {"channel": 67}, (4, 752, 0),
        (7.5, 7.7),
    ),
    "hftbacktest_binance_usdm_btcusdt_20240808.gz": (
        ("BTC",), 345, {"CONNECTED": 2, "FRAME": 93_953, "REST": 1}, {}, (1, 6547, 0), (61_500, 61_800),
    ),
}  # fmt: skip


@needs_captures
@pytest.mark.parametrize("name", EXPECTED)
def test_a_real_capture_replays(name: str) -> None:
    underlyings, seconds, kinds, rejected, (snapshots, updates, lost), mid = EXPECTED[name]
    source, published = open_capture(RAW / name), list[FlowSnapshot]()
    driver = source.driver(published.append)
    for step in source.steps():
        driver = step.apply_to(driver)
    assert source.underlyings == underlyings
    count = Counter[str]()
    capture_events = list(events(source, count))
    assert count.pop("TICK") == seconds
    assert count.pop("TIMER") == seconds * len(source._reader.sources)
    assert count == kinds
    assert Counter(event.what for event in capture_events if isinstance(event, Rejected)) == rejected
    books = Counter(type(event) for event in capture_events)
    assert (books[BookSnapshot], books[BookUpdate], books[BookLost]) == (snapshots, updates, lost)
    assert len(published) == seconds * len(underlyings)
    last = {snapshot.underlying: snapshot for snapshot in published}[underlyings[0]]
    assert {feed.state for feed in last.feeds} == {"live"}
    if mid is not None:
        depth = last.liquidity.depth_1pct_usd
        assert depth is not None
        assert depth > 10_000
        market = driver._markets.freeze(underlyings[0], last.ts_ns).markets[0]
        assert mid[0] < market.mid < mid[1]


@needs_captures
@pytest.mark.parametrize("name", [name for name in EXPECTED if "hftbacktest" not in name])
def test_a_real_capture_replays_the_same_from_anywhere(name: str) -> None:
    source, straight_replay = replay_capture(RAW / name)
    assert [s.digest() for s in replay_capture(RAW / name)[1]] == [s.digest() for s in straight_replay]
    published: list[FlowSnapshot] = []
    timeline = Timeline(source, published.append, checkpoints=CheckpointIndex(5))
    for tick in (30, 7, 22):
        published.clear()
        for _ in timeline.seek(SeekTarget(tick=tick)):
            pass
        per_tick = len(source.underlyings)
        assert [s.digest() for s in published] == [
            s.digest() for s in straight_replay[per_tick * (tick - 1) : per_tick * tick]
        ]


# ---- captures of our own -------------------------------------------------------------------------------------------


def cryptofeed_lines(exchange: str = "BINANCE_FUTURES") -> list[str]:
    return [json.dumps(row) for row in cryptofeed_rows(exchange)]


def write_capture(path: Path, lines: list[str], packing: str) -> Path:
    data = ("\n".join(lines) + "\n").encode()
    if packing == "zstd":
        zstandard = pytest.importorskip("zstandard")
        data = zstandard.ZstdCompressor().compress(data)
    path.write_bytes(gzip.compress(data) if packing == "gzip" else data)
    return path


@pytest.mark.parametrize("packing", ["plain", "gzip", "zstd"])
@pytest.mark.parametrize("lines", [hftbacktest_lines(), cryptofeed_lines()], ids=["hftbacktest", "cryptofeed"])
def test_layout_and_packing_are_told_by_content(tmp_path: Path, lines: list[str], packing: str) -> None:
    source, published = replay_capture(write_capture(tmp_path / "any.name", lines, packing))
    assert source.underlyings == ("BTC",)
    assert [s.ts_ns // SECOND - BEGIN // SECOND for s in published] == [1, 2, 3, 4, 5, 6]
    assert all(s.liquidity.depth_1pct_usd is None or s.liquidity.depth_1pct_usd > 0 for s in published)
    books = Counter(type(event) for event in events(source, Counter()))
    assert (books[BookSnapshot], books[BookUpdate], books[BookLost]) == (1, 6, 0)


def test_another_underlying_is_chosen_by_its_name(tmp_path: Path) -> None:
    source = open_source(write_capture(tmp_path / "x", hftbacktest_lines(), "plain"), ("ETH",), FlowParams())
    hub = SnapshotHub()
    play_through(source, hub.publish)
    assert hub.underlyings() == ("ETH",)


def test_a_line_that_is_none_is_named_after_the_others_were_read(tmp_path: Path) -> None:
    for name, lines in (("s", hftbacktest_lines()), ("c", cryptofeed_lines())):
        path = write_capture(tmp_path / name, [*lines[:3], "rubbish", *lines[3:], '{"t":5}'], "plain")
        source = open_source(path, None, FlowParams())
        published: list[FlowSnapshot] = []
        with pytest.raises(SourceError, match=r"line 4 is not a line of a capture \(and 1 more lines\)"):
            play_through(source, published.append)
        assert len(published) == 5


@pytest.mark.parametrize("packing", ["gzip", "zstd"])
def test_a_torn_capture_gives_what_can_be_unpacked(tmp_path: Path, packing: str) -> None:
    path = write_capture(tmp_path / "x", hftbacktest_lines() * 500, packing)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(DfmonError, match=r"x is damaged|not a line of a capture"):
        replay_capture(path)


def test_what_is_no_capture_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a capture of KRAKEN; allowed: DERIBIT, BINANCE, BINANCE_FUTURES, OKX"):
        replay_capture(write_capture(tmp_path / "k", cryptofeed_lines("KRAKEN"), "plain"))
    unknown_market = [f"{BEGIN} " + '{"stream":"btceur@trade","data":{}}']
    with pytest.raises(UsageError, match="has no market that dfmon reads"):
        replay_capture(write_capture(tmp_path / "n", unknown_market, "plain"))
    board = tmp_path / "board.csv.gz"
    board.write_bytes(gzip.compress(snapshot_text().encode()))
    assert isinstance(open_source(board, None, FlowParams()), BoardSource)


def test_without_the_reader_one_sentence_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_capture(tmp_path / "x", hftbacktest_lines(), "zstd")
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(
        UsageError, match=r"x is packed with zstd, which needs a package: pip install 'dfmon\[captures\]'"
    ):
        open_source(path, None, FlowParams())
