"""What cryptofeed 2.x and 3.x, hftbacktest and Tardis write: the same market gives the same records from each."""

from __future__ import annotations

import gzip
import io
import json
import os
import tracemalloc
import zipfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dfmon.core.step import FlowParams
from dfmon.engine.journal import RecordKind
from dfmon.model.errors import DfmonError, SourceError, UsageError
from dfmon.model.snapshot import FlowSnapshot
from dfmon.replay import CaptureSource, open_source, play_through
from dfmon.store.captures import CaptureReader, is_capture
from tests.capture_files import (
    BEGIN,
    Row,
    cryptofeed_rows,
    depth,
    hftbacktest_lines,
    iso_100ns,
    pcap,
    tardis_lines,
    text_files,
)
from tests.shared_data import SHARED

RAW = Path(os.environ.get("DFMON_REAL_DATA", SHARED / "data")) / "ws_raw"
needs_captures = pytest.mark.skipif(not RAW.is_dir(), reason=f"no captures at {RAW}")
FOLDER_FIXTURE = [HealthCheck.function_scoped_fixture]


def _write(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def _text(folder: Path) -> Path:
    for name, text in text_files(cryptofeed_rows()).items():
        (folder / name).write_text(text)
    return folder / "BINANCE_FUTURES.ws.1.0"


def _pcap(folder: Path) -> Path:
    path = folder / "cryptofeed-20231114-221320.pcap.zst"
    path.write_bytes(zstandard.ZstdCompressor().compress(pcap(cryptofeed_rows())))
    return path


FORMATS: dict[str, Callable[[Path], Path]] = {
    "json lines": lambda folder: _write(folder / "a", [json.dumps(row) for row in cryptofeed_rows()]),
    "text": _text,
    "pcap": _pcap,
    "tardis": lambda folder: _write(folder / "a", tardis_lines()),
}


def _received(path: Path) -> list[tuple[int, str, str, bytes]]:
    """Messages but for the connections, with the microseconds that cryptofeed keeps and paths without their hosts."""
    return [
        (round(message.recv_ns, -3), message.kind, message.source, message.data)
        for message in CaptureReader(path).messages()
        if message.kind != "connected"
    ]


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_has_the_messages_of_the_market(name: str, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    frames = _write(tmp_path / "other" / "frames", hftbacktest_lines())
    path = FORMATS[name](tmp_path)
    assert is_capture(path)
    assert _received(path) == _received(frames)
    source = open_source(path, None, FlowParams())
    assert isinstance(source, CaptureSource)
    assert source.underlyings == ("BTC",)
    assert source.span() == (BEGIN, BEGIN + 6_000_000_000)
    published: list[FlowSnapshot] = []
    play_through(source, published.append)
    assert len(published) == 6


@pytest.mark.parametrize("name", FORMATS)
def test_the_book_before_the_differences_answers_the_call_for_it(name: str, tmp_path: Path) -> None:
    source = open_source(FORMATS[name](tmp_path), None, FlowParams())
    assert isinstance(source, CaptureSource)
    kinds = [record.kind for record in source.records()]
    assert kinds.count(RecordKind.REST) == 1
    assert kinds.count(RecordKind.FRAME) == 6
    assert kinds.count(RecordKind.CONNECTED) == (4 if name == "tardis" else 2)  # a lost connection comes again


@pytest.mark.parametrize("packing", ["gzip", "zstd", "zip"])
def test_a_file_may_be_packed(packing: str, tmp_path: Path) -> None:
    content = "\n".join(tardis_lines()).encode()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("slice", content)
    packed = {
        "gzip": gzip.compress(content),
        "zstd": zstandard.ZstdCompressor().compress(content),
        "zip": archive.getvalue(),
    }
    (tmp_path / "a").write_bytes(packed[packing])
    assert len(_received(tmp_path / "a")) == 7


# ---- cryptofeed 2.x ------------------------------------------------------------------------------------------------


def test_files_of_a_feed_are_read_together(tmp_path: Path) -> None:
    path = _text(tmp_path)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:4]))
    later = path.with_suffix(".1")
    later.write_text("".join(lines[4:]))
    (tmp_path / "COINBASE.ws.1.0").write_text("1700000000.1: {}\n")
    expected = _received(_write(tmp_path / "frames", hftbacktest_lines()))
    for file in (path, later, tmp_path / "BINANCE_FUTURES.http.0.0"):
        assert CaptureReader(file).sources == ("binance.public", "binance.market")
        assert _received(file) == expected


def test_a_configuration_and_packed_frames_are_passed_over(tmp_path: Path) -> None:
    rows = text_files(cryptofeed_rows())["BINANCE_FUTURES.ws.1.0"].splitlines()
    path = _write(
        tmp_path / "renamed", ["configuration: {'trades': ['BTC-USDT-PERP']}", "1700000000.1: b'\\x1f'", *rows]
    )
    assert len(_received(path)) == 6


def test_a_line_of_no_kind_is_counted(tmp_path: Path) -> None:
    path = _text(tmp_path)
    path.write_text(path.read_text() + "rubbish\n1e5: {}\n")
    with pytest.raises(SourceError, match=r"ws\.1\.0: line 9 is not a line of a capture \(and 1 more lines\)"):
        _received(path)


# ---- cryptofeed 3.x ------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None, suppress_health_check=FOLDER_FIXTURE)
@given(sizes=st.lists(st.integers(1, 70_000), min_size=1, max_size=4), segment=st.sampled_from([1_000, 30_000, 65_495]))
def test_messages_of_any_size_in_segments_of_any(sizes: list[int], segment: int, tmp_path: Path) -> None:
    rows: list[Row] = [{"t": "connect", "conn": "ws", "ts": BEGIN / 1e9, "addr": "wss://x"}]
    for at, size in enumerate(sizes, 1):
        row = {"conn": "c", "ts": BEGIN / 1e9 + at, "data": "x" * size}
        rows += [row | {"t": "recv"}, row | {"t": "http", "url": f"https://h/p?{at}"}]
    path = tmp_path / "a"
    path.write_bytes(pcap(rows, "DERIBIT", segment_bytes=segment))
    found = [message for message in CaptureReader(path).messages() if message.kind != "connected"]
    assert [len(message.data) for message in found] == [size for size in sizes for _ in range(2)]
    assert [message.url for message in found if message.kind == "response"] == [
        f"https://h/p?{at}" for at in range(1, len(sizes) + 1)
    ]


def test_a_pcap_has_several_exchanges(tmp_path: Path) -> None:
    other = pcap([row | {"ts": row["ts"] + 9} for row in cryptofeed_rows() if "ts" in row], "COINBASE")
    path = tmp_path / "a"
    path.write_bytes(pcap(cryptofeed_rows()) + other[24:])
    assert CaptureReader(path).sources == ("binance.public", "binance.market")
    assert len(_received(path)) == 7
    path.write_bytes(other)
    with pytest.raises(UsageError, match="is a capture of COINBASE; allowed: DERIBIT, BINANCE, BINANCE_FUTURES, OKX"):
        CaptureReader(path)


def test_the_meta_file_stands_for_all_files_of_a_capture(tmp_path: Path) -> None:
    path = _pcap(tmp_path)
    rows = [row | {"ts": row["ts"] + 9} for row in cryptofeed_rows() if "ts" in row]
    later = path.with_name("cryptofeed-20231114-221320.1.pcap.zst")
    later.write_bytes(zstandard.ZstdCompressor().compress(pcap(rows)))
    meta = path.with_name("cryptofeed-20231114-221320.meta.json")
    document = {"version": 1, "cryptofeed_version": "3.0.0", "files": [path.name, later.name]}
    meta.write_text(json.dumps(document | {"feeds": [{"exchange": "BINANCE_FUTURES", "kwargs": {}}]}))
    assert is_capture(meta)
    assert len(_received(meta)) == 14
    assert len(_received(path)) == 7
    meta.write_text(json.dumps(document | {"files": []}))
    with pytest.raises(UsageError, match="names no file of a capture"):
        CaptureReader(meta)


DAMAGED_PCAPS = {
    "another program's": (b"\xd4\xc3\xb2\xa1" + bytes(20), "is a pcap of other packets than those of cryptofeed 3"),
    "empty": (pcap([]), "is a pcap of other packets than those of cryptofeed 3"),
    "short by a byte": (pcap(cryptofeed_rows())[:-1], "is damaged: it ends or breaks in packet 1"),
    "short header": (pcap(cryptofeed_rows())[:-195], "is damaged: it ends or breaks in packet 1"),
    "long packet": (pcap(cryptofeed_rows()) + b"\xff" * 99, "is damaged: it ends or breaks in packet 1"),
    "foreign packet": (
        pcap(cryptofeed_rows()) + bytes(8) + (40).to_bytes(4, "little") * 2 + bytes(40),
        "packet 1[0-9] is not a packet of a capture",
    ),
}


@pytest.mark.parametrize("name", DAMAGED_PCAPS)
def test_damage_of_a_pcap_is_one_sentence(name: str, tmp_path: Path) -> None:
    content, error = DAMAGED_PCAPS[name]
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(DfmonError, match=error):
        list(CaptureReader(tmp_path / "a").messages())


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=FOLDER_FIXTURE)
@given(at=st.lists(st.tuples(st.integers(24, 3_000), st.integers(0, 255)), min_size=1, max_size=5))
def test_any_damage_of_a_pcap_is_a_sentence_or_messages(at: list[tuple[int, int]], tmp_path: Path) -> None:
    content = bytearray(pcap(cryptofeed_rows()))
    for offset, value in at:
        content[offset % len(content)] = value
    (tmp_path / "a").write_bytes(content)
    try:
        messages = list(CaptureReader(tmp_path / "a").messages())
    except DfmonError:
        return
    assert len(messages) < 20


# ---- venues --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", ["btcusd_perp@depth@0ms", "btcusd_240927@bookTicker"])
@pytest.mark.parametrize("stamp", [str(BEGIN), iso_100ns(BEGIN)])
def test_coin_margined_futures_are_refused_in_words(stream: str, stamp: str, tmp_path: Path) -> None:
    frame = depth(1, 2, 0, "100").replace("btcusdt@depth@0ms", stream)
    path = _write(tmp_path / "a", [f"{stamp} {frame}"])
    with pytest.raises(UsageError, match=r"coin-margined futures \(coin-M, such as btcusd_perp\)") as caught:
        open_source(path, None, FlowParams())
    assert "only USD-M and spot" in str(caught.value)
    rows = text_files(cryptofeed_rows(), "BINANCE_DELIVERY")
    text = rows["BINANCE_DELIVERY.ws.1.0"].replace("fstream", "dstream")
    with pytest.raises(UsageError, match="coin-margined futures"):
        open_source(_write(tmp_path / "b", [text]), None, FlowParams())


@pytest.mark.parametrize(
    ("frames", "sources"),
    [
        (['{"jsonrpc":"2.0","method":"subscription","params":{"channel":"trades.BTC-PERPETUAL.raw"}}'], ("deribit",)),
        (['{"arg":{"channel":"trades","instId":"BTC-USDT"},"data":[]}'], ("okx",)),
        (['{"stream":"btcusdt@trade","data":{"e":"trade"}}'], ("binance.spot",)),
        (['{"stream":"btcusdt@trade","data":{}}', depth(1, 2, 0, "1")], ("binance.public", "binance.market")),
        (['{"stream":"btcusdt@markPrice@1s","data":{}}'], ("binance.public", "binance.market")),
    ],
)
def test_the_venue_is_told_by_the_frames(frames: list[str], sources: tuple[str, ...], tmp_path: Path) -> None:
    for stamp in (str(BEGIN), iso_100ns(BEGIN)):
        assert CaptureReader(_write(tmp_path / "a", [f"{stamp} {frame}" for frame in frames])).sources == sources


def test_another_venue_is_one_sentence(tmp_path: Path) -> None:
    path = _write(tmp_path / "a", [f'{BEGIN} {{"topic":"orderbook.50.BTCUSDT","data":{{}}}}'])
    with pytest.raises(UsageError, match="has no market that dfmon reads"):
        open_source(path, None, FlowParams())


def test_options_of_tardis_are_listed_by_their_names(tmp_path: Path) -> None:
    names = ["BTC-31DEC27-100000-C", "BTC-31DEC27-100000-P", "BTC-7JAN28-95000-C"]
    lines = []
    for second in range(4):
        for name in names:
            ticker = {
                "instrument_name": name, "timestamp": (BEGIN + second * 10**9) // 10**6, "mark_iv": 55.0,
                "underlying_price": 97_000.0, "underlying_index": "SYN.BTC", "index_price": 97_100.0,
                "open_interest": 12.0, "mark_price": 0.05, "best_bid_price": 0.04, "best_ask_price": 0.06,
                "bid_iv": 50.0, "ask_iv": 60.0, "state": "open",
            }  # fmt: skip
            frame = {
                "jsonrpc": "2.0",
                "method": "subscription",
                "params": {"channel": f"ticker.{name}.raw", "data": ticker},
            }
            lines.append(f"{iso_100ns(BEGIN + second * 10**9)} {json.dumps(frame, separators=(',', ':'))}")
    source = open_source(_write(tmp_path / "a", lines), None, FlowParams())
    published: list[FlowSnapshot] = []
    play_through(source, published.append)
    assert published[-1].underlying == "BTC"
    assert len(published[-1].by_expiry) == 2
    assert published[-1].levels.oi_wall is not None


# ---- memory and real files -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_memory_does_not_grow_with_the_capture(tmp_path: Path) -> None:
    path = tmp_path / "a"
    frames = zstandard.ZstdCompressor(level=1).compressobj()
    data = json.dumps(depth(1, 2, 0, "x" * 100_000))
    with path.open("wb") as file:
        file.write(frames.compress(json.dumps(cryptofeed_rows()[0]).encode() + b"\n"))
        for number in range(1_500):
            salt = os.urandom(1_000).hex()
            file.write(frames.compress(f'{{"t":"recv","ts":17{number:08},"data":{data},"conn":"{salt}"}}\n'.encode()))
        file.write(frames.flush())
    tracemalloc.start()
    try:
        times = [message.recv_ns for message in CaptureReader(path).messages()]
        assert tracemalloc.get_traced_memory()[1] < 60e6
    finally:
        tracemalloc.stop()
    assert len(times) == 1_500
    assert all(earlier < later for earlier, later in pairwise(times))


@needs_captures
@pytest.mark.slow
@pytest.mark.parametrize("exchange", ["DERIBIT", "BINANCE_FUTURES", "OKX"])
def test_a_real_capture_is_the_same_in_the_formats_of_2_and_3(exchange: str, tmp_path: Path) -> None:
    original = RAW / f"cryptofeed_{exchange}.jsonl.zst"
    with original.open("rb") as packed:
        rows = [json.loads(line) for line in io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(packed))]
    (tmp_path / "a.pcap").write_bytes(pcap(rows, exchange))
    for name, text in text_files(rows, exchange).items():
        (tmp_path / name).write_text(text)
    expected = sorted(_received(original))
    assert len(expected) > 100
    assert sorted(_received(tmp_path / "a.pcap")) == expected
    assert sorted(_received(tmp_path / f"{exchange}.ws.1.0")) == expected


def test_times_that_no_capture_has_are_bad_lines(tmp_path: Path) -> None:
    lines = hftbacktest_lines()
    path = _write(tmp_path / "a", [*lines, lines[-1].replace("1700000005", "9700000005"), lines[-1]])
    with pytest.raises(SourceError, match="line 8 is not a line of a capture"):
        _received(path)
    rows = [json.dumps(row) for row in cryptofeed_rows()]
    for stamp in ("1e300", "-5", "0"):
        with pytest.raises(SourceError, match="line 4 is not a line of a capture"):
            _received(_write(tmp_path / "b", [*rows[:3], f'{{"t":"recv","ts":{stamp},"data":"{{}}"}}', *rows[3:]]))


def test_a_silence_of_years_takes_no_ticks(tmp_path: Path) -> None:
    lines = hftbacktest_lines()
    source = open_source(_write(tmp_path / "a", [*lines, lines[-1].replace("17", "24", 1)]), None, FlowParams())
    assert isinstance(source, CaptureSource)
    assert sum(record.kind is RecordKind.TICK for record in source.records()) == 6


def test_addresses_that_are_none_answer_no_call(tmp_path: Path) -> None:
    rows = [row | {"url": f"https://[{url}"} if (url := row.get("url")) else row for row in cryptofeed_rows()]
    source = open_source(_write(tmp_path / "a", [json.dumps(row) for row in rows]), None, FlowParams())
    assert isinstance(source, CaptureSource)
    assert not any(record.kind is RecordKind.REST for record in source.records())
