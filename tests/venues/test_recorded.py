"""The decoders against frames the venues really sent. Shapes of other years are part of the point."""

import gzip
import json
import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from shutil import which
from typing import Any

import pytest

from dfmon.engine.market import LocalBook
from dfmon.model.events import (
    BookLost,
    BookSnapshot,
    BookUpdate,
    Event,
    MarketTrade,
    OptionMarks,
    OptionTicker,
    Rejected,
)
from dfmon.venues.binance import protocol as binance
from dfmon.venues.deribit.protocol import DeribitProtocol
from dfmon.venues.okx.protocol import OkxProtocol
from dfmon.venues.protocol import VenueProtocol
from tests.venues.venue_golden import NOW, assert_finite, read

DATA = Path(os.environ.get("DFMON_REAL_DATA", Path(__file__).parents[2] / "../shared/data"))
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no recorded market data at {DATA}")


def capture(name: str) -> Iterator[dict[str, Any]]:
    if which("zstd") is None:
        pytest.skip("zstd is not installed: the captures are compressed with it")
    done = subprocess.run(["zstd", "-dc", DATA / "ws_raw" / name], capture_output=True, check=True)
    return map(json.loads, done.stdout.splitlines())


def census(events: list[Event]) -> Counter[type[Event]]:
    assert_finite(events)
    return Counter(type(event) for event in events)


def test_deribit_of_2021_lists_and_ticks() -> None:
    protocol = DeribitProtocol(linear=False)
    protocol.connection_made(NOW)
    events: list[Event] = []
    for line in capture("cryptofeed_DERIBIT.jsonl.zst"):
        if line["t"] == "http":
            currency = line["url"].partition("currency=")[2].partition("&")[0]
            if currency in ("BTC", "ETH"):
                rows = [row for row in json.loads(line["data"])["result"] if row["kind"] == "option"]
                body = json.dumps({"result": rows}).encode()
                events += protocol.response_received(f"instruments:{currency}:option", body)
        elif line["t"] == "recv":
            events += read(protocol.frame_received(line["data"].encode()))
    count = census(events)
    assert count[OptionTicker] == 89
    assert {event.what for event in events if isinstance(event, Rejected)} == {"channel"}  # its books
    ticks = [event for event in events if isinstance(event, OptionTicker)]
    assert all(0.2 < tick.mark_iv < 4 and tick.forward > 1000 for tick in ticks)


def test_okx_of_2022_chains_its_spot_book() -> None:
    protocol = OkxProtocol(["BTC"])
    protocol.connection_made(NOW)
    events: list[Event] = []
    for line in capture("cryptofeed_OKX.jsonl.zst"):
        if line["t"] == "recv":
            events += protocol.frame_received(line["data"].encode())
    count = census(events)
    assert count[BookSnapshot] >= 1
    assert count[BookUpdate] > 10
    assert count[BookLost] == 0


@pytest.mark.slow
def test_the_binance_capture_of_2024_rebuilds_the_book_its_best_quotes_describe() -> None:
    """Every frame is used, no chain breaks, and the book agrees with the stream of best quotes on the way."""
    protocol, book = binance.public(["BTC"]), LocalBook()
    protocol.connection_made(NOW)
    count: Counter[type[Event]] = Counter()
    best, agreed, compared = (0, 0.0, 0.0), 0, 0
    with gzip.open(DATA / "ws_raw" / "hftbacktest_binance_usdm_btcusdt_20240808.gz") as lines:
        for line in lines:
            frame = line.rstrip().split(b" ", 1)[1]
            if frame.startswith(b'{"lastUpdateId"'):
                (call,) = protocol.rest_calls()
                events = protocol.response_received(call.tag, frame)
            else:
                events = protocol.frame_received(frame)
            count.update(type(event) for event in events)
            for event in events:
                if isinstance(event, BookSnapshot):
                    book.replace_levels(event.bids, event.asks)
                elif isinstance(event, BookUpdate):
                    book.update_levels(event.bids, event.asks)
            if b"@bookTicker" in frame:
                data = json.loads(frame)["data"]
                best = (data["u"], float(data["b"]), float(data["a"]))
            elif count[BookSnapshot] and b"@depth" in frame and json.loads(frame)["data"]["u"] >= best[0]:
                compared += 1
                agreed += (book.bids.best(), book.asks.best()) == best[1:]
    assert count[BookSnapshot] == 1
    assert count[BookUpdate] > 6500
    assert count[BookLost] == count[Rejected] == 0
    assert count[MarketTrade] > 21_000
    assert compared > 1000
    assert agreed / compared > 0.99, (agreed, compared)


def test_a_recorded_mark_frame_is_fractions() -> None:
    lines = (json.loads(line) for line in (DATA / "messages" / "deribit_transcribed.jsonl").read_text().splitlines())
    protocol = DeribitProtocol()
    protocol.connection_made(NOW)
    events = [event for line in lines for event in protocol.frame_received(json.dumps(line["msg"]).encode())]
    marks = [event for event in events if isinstance(event, OptionMarks)]
    assert marks
    assert all(0.1 < iv < 3 for event in marks for iv in event.mark_iv)


def test_frames_of_every_venue_and_year_raise_nothing() -> None:
    protocols: tuple[VenueProtocol, ...] = (DeribitProtocol(), binance.market(), OkxProtocol())
    for protocol in protocols:
        protocol.connection_made(NOW)
    lines = (DATA / "messages" / "tardis_node_mapper_messages.jsonl").read_text().splitlines()
    for line in lines:
        frame = json.dumps(json.loads(line)["msg"], separators=(",", ":")).encode()
        for protocol in protocols:
            assert_finite(read(protocol.frame_received(frame)))
