"""Frames of a real venue through decoder and books: `python benchmarks/bench_capture.py [CAPTURE.gz]`.

The capture is of Binance USD-M futures, August 2024: 93,954 frames of best quotes, trades and book differences in 345
seconds, and one REST book. Frames a second of CPU time, medians; reading and unpacking the file is not counted.
"""

from __future__ import annotations

import gzip
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dfmon.core.step import FlowParams
from dfmon.engine.driver import Driver
from dfmon.engine.market import MarketState
from dfmon.venues.binance import protocol as binance

CAPTURE = Path(__file__).resolve().parents[1] / "../shared/data/ws_raw/hftbacktest_binance_usdm_btcusdt_20240808.gz"
BUDGET = 100_000
ROUNDS = 9

Frame = tuple[int, bytes]


def frames(path: Path) -> list[Frame]:
    """Receive time, ns, and the raw frame."""
    with gzip.open(path) as lines:
        pairs = (line.rstrip().split(b" ", 1) for line in lines)
        return [(int(stamp), frame) for stamp, frame in pairs]


def is_book(frame: bytes) -> bool:
    return frame.startswith(b'{"lastUpdateId"')


def decode_and_apply(capture: list[Frame]) -> None:
    protocol, markets = binance.public(["BTC"]), MarketState(("BTC",))
    protocol.connection_made(capture[0][0])
    for recv_ns, frame in capture:
        if is_book(frame):
            (call,) = protocol.rest_calls()
            events = protocol.response_received(call.tag, frame)
        else:
            events = protocol.frame_received(frame)
        for event in events:
            if markets.handler(type(event)) is not None:
                markets.apply(event, recv_ns)


def run_through_driver(capture: list[Frame]) -> None:
    """The same as records of a driver: numbered, counted for the feed, no journal and no ticks."""
    source = "binance.public"
    protocol = binance.public(["BTC"])
    driver = Driver(("BTC",), FlowParams(), {source: protocol}, lambda _: None)
    driver.connected(source, capture[0][0])
    for recv_ns, frame in capture:
        if is_book(frame):
            (call,) = protocol.rest_calls()
            driver.response(source, recv_ns, call.tag, frame)
        else:
            driver.frame(source, recv_ns, frame)


def parse_json(capture: list[Frame]) -> None:
    for _, frame in capture:
        json.loads(frame)


def main() -> None:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else CAPTURE
    if not path.exists():
        print(f"no capture at {path}")
        return
    capture = frames(path)
    runs: dict[str, Callable[[list[Frame]], None]] = {
        "dfmon, decoder and books": decode_and_apply,
        "dfmon, through the driver": run_through_driver,
        "json.loads alone": parse_json,
    }
    rates_by_run: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, run in runs.items():
            start = time.process_time()
            run(capture)
            rates_by_run[name].append(len(capture) / (time.process_time() - start))
    print(f"{len(capture):,} frames")
    for name, rates in rates_by_run.items():
        rate = statistics.median(rates)
        verdict = f"   budget {BUDGET:,}: {'met' if rate >= BUDGET else 'MISSED'}" if name.startswith("dfmon") else ""
        print(f"{name:28s} {rate:10,.0f} frames/s{verdict}")


if __name__ == "__main__":
    main()
