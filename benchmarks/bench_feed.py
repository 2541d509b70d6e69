"""From a loopback websocket to applied state: CPU of a core at a paced rate, and what an overload does.

`python benchmarks/bench_feed.py [SECONDS]`. A second process sends Deribit tickers of 500 options, stamped as they
leave; this one runs the real path: transport, inbox, driver, decoder, columns. CPU is that of this process alone, so a
busy machine does not count; lag is the time from the stamp to the applied frame.
"""

from __future__ import annotations

import asyncio
import json
import resource
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from multiprocessing import get_context
from statistics import median
from typing import Any

import websockets

from dfmon.core.step import FlowParams
from dfmon.engine.driver import Driver
from dfmon.venues import connection
from dfmon.venues.deribit.protocol import DeribitProtocol
from dfmon.venues.protocol import Endpoint, RestCall
from dfmon.venues.transport.base import Opener
from dfmon.venues.transport.websockets import open_websockets

PACED, OVERLOAD, EXTREME_OVERLOAD = 5_000, 50_000, 200_000
OPTIONS = 500
CPU_LIMIT, RATIO_LIMIT, LAG_LIMIT_S = 60.0, 2.0, 1.0
NAMES = tuple(f"BTC-25DEC37-{20_000 + 500 * (n // 2)}-{'CP'[n % 2]}" for n in range(OPTIONS))
EXPIRY_MS = 2_145_341_600_000
STAMP = b'"timestamp":'

Loop = Callable[[], asyncio.AbstractEventLoop]


# ---- the sender, in a process of its own ---------------------------------------------------------------------------


def frame_parts() -> list[tuple[bytes, bytes]]:
    """Head with the websocket's own and tail of each ticker; the 13 digits of the time stand between."""
    parts = []
    for number, name in enumerate(NAMES):
        push = f'"method":"subscription","params":{{"channel":"ticker.{name}.100ms","data":'
        head = f'{{"jsonrpc":"2.0",{push}{{"timestamp":'
        data = {
            "state": "open", "stats": {"high": 0.0345, "low": 0.031, "price_change": -3.125, "volume": 9.2},
            "greeks": {"delta": 0.41234, "gamma": 0.00003, "vega": 38.12345, "theta": -62.12345, "rho": 6.12345},
            "index_price": 94_688.12, "instrument_name": name, "last_price": 0.0325, "settlement_price": 0.03412,
            "min_price": 0.0115, "max_price": 0.069, "open_interest": 412.7, "mark_price": 0.0327,
            "best_ask_price": 0.033, "best_bid_price": 0.0325, "best_ask_amount": 12.3, "best_bid_amount": 8.1,
            "interest_rate": 0.0, "mark_iv": 37.06 + number / 100, "bid_iv": 36.5, "ask_iv": 37.6,
            "underlying_price": 94_701.57, "underlying_index": "BTC-25DEC37", "estimated_delivery_price": 94_688.12,
        }  # fmt: skip
        tail = "," + json.dumps(data, separators=(",", ":"))[1:] + "}}"
        length = len(head) + 13 + len(tail)
        parts.append((b"\x81\x7e" + length.to_bytes(2, "big") + head.encode(), tail.encode()))
    return parts


def send(listening: socket.socket, rate: int, seconds: float) -> None:
    """Serve one client after another: `rate` frames a second for `seconds`, one at a time or a millisecond's worth."""
    parts = frame_parts()
    while True:
        client, _ = listening.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # or the network makes bursts of single frames
        request = b""
        while b"\r\n\r\n" not in request:
            request += client.recv(4096)
        key = next(line for line in request.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key"))
        accept = websockets.utils.accept_key(key.split(b":", 1)[1].strip().decode())
        head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
        client.sendall(f"{head}{accept}\r\n\r\n".encode())
        time.sleep(0.3)
        batch = max(1, rate // 5_000)
        started, sent = time.perf_counter(), 0
        try:
            while (now := time.perf_counter() - started) < seconds:
                if sent > now * rate:
                    time.sleep(max(0.0, sent / rate - now))
                    continue
                stamp = b"%d" % (time.time_ns() // 1_000_000)
                client.sendall(b"".join([stamp.join(parts[number % OPTIONS]) for number in range(sent, sent + batch)]))
                sent += batch
            time.sleep(0.5)
        except OSError:
            pass
        client.close()


# ---- the receiver ----------------------------------------------------------------------------------------------------


class Listing:
    """REST that knows the 500 options."""

    errors: dict[str, str] = {}  # noqa: RUF012

    async def get(self, base: str, call: RestCall) -> bytes:
        rows: list[dict[str, Any]] = []
        if call.tag == "instruments:BTC:option":
            rows = [
                {
                    "instrument_name": name, "kind": "option", "base_currency": "BTC", "quote_currency": "BTC",
                    "settlement_currency": "BTC", "instrument_type": "reversed", "settlement_period": "month",
                    "option_type": "call" if name.endswith("C") else "put", "strike": float(name.split("-")[2]),
                    "expiration_timestamp": EXPIRY_MS, "creation_timestamp": 1, "state": "open", "is_active": True,
                    "price_index": "btc_usd", "contract_size": 1.0, "instrument_id": number + 1,
                }
                for number, name in enumerate(NAMES)
            ]  # fmt: skip
        return json.dumps({"jsonrpc": "2.0", "result": rows}).encode()


@dataclass
class Run:
    """What one run showed."""

    seconds: float
    frames: int = 0
    cpu_s: float = 0.0
    lags_s: list[float] = field(default_factory=list)
    shed_frames: Counter[str] = field(default_factory=Counter)
    memory_growth_mb: float = 0.0

    @property
    def us(self) -> float:
        """CPU of a frame that came, applied or not, in microseconds."""
        return self.cpu_s / max(1, self.frames + sum(self.shed_frames.values())) * 1e6


class LatencyDriver(Driver):
    """The driver, looking at the stamp of every 16th frame after it has been applied."""

    run: Run

    def frame(self, source: str, recv_ns: int, frame: bytes) -> None:
        super().frame(source, recv_ns, frame)
        self.run.frames += 1
        if not self.run.frames & 15:
            at = frame.find(STAMP) + len(STAMP)
            self.run.lags_s.append(time.time() - int(frame[at : at + 13]) / 1e3)


async def receive(port: int, open_transport: Opener, run: Run) -> None:
    protocol = DeribitProtocol(("BTC",), linear=False)
    driver = LatencyDriver(("BTC",), FlowParams(), {"deribit": protocol}, lambda _: None, options_sources=("deribit",))
    driver.run = run
    stop = asyncio.Event()
    endpoint = Endpoint("deribit", f"ws://127.0.0.1:{port}", "http://127.0.0.1", protocol)
    connection_run = connection.run(
        endpoint, driver, Listing(), time.time_ns, stop, transport=open_transport, dropped=run.shed_frames
    )
    task = asyncio.create_task(connection_run)
    async with asyncio.timeout(10):
        while run.frames < 100:
            await asyncio.sleep(0.01)
    before, frames = time.process_time(), run.frames
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    run.lags_s.clear()
    await asyncio.sleep(run.seconds - 0.7)
    run.cpu_s = time.process_time() - before
    received = run.frames - frames
    run.seconds = time.perf_counter() - started
    run.memory_growth_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) / 1024
    stop.set()
    await task
    run.frames = received


async def read_only(port: int, open_transport: Opener, run: Run) -> None:
    """The transport alone: every frame is counted and forgotten."""

    def on_frame(_: bytes) -> None:
        run.frames += 1

    connection_reader = await open_transport(f"ws://127.0.0.1:{port}", (), on_frame)
    async with asyncio.timeout(10):
        while run.frames < 100:
            await asyncio.sleep(0.01)
    before, frames, started = time.process_time(), run.frames, time.perf_counter()
    await asyncio.sleep(run.seconds - 0.7)
    run.cpu_s, run.frames = time.process_time() - before, run.frames - frames
    run.seconds = time.perf_counter() - started
    await connection_reader.close()


Receiver = Callable[[int, Opener, Run], Coroutine[Any, Any, None]]


def measure(rate: int, seconds: float, open_transport: Opener, loop: Loop | None, receiver: Receiver = receive) -> Run:
    """One run with a sender of its own."""
    listening = socket.create_server(("127.0.0.1", 0))
    sender = get_context("fork").Process(target=send, args=(listening, rate, seconds), daemon=True)
    sender.start()
    port = listening.getsockname()[1]
    listening.close()
    run = Run(seconds)
    try:
        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(receiver(port, open_transport, run))
    finally:
        sender.terminate()
        sender.join()
    return run


def available_transports() -> dict[str, tuple[Opener, Loop | None]]:
    transports: dict[str, tuple[Opener, Loop | None]] = {"websockets": (open_websockets, None)}
    try:
        import uvloop

        from dfmon.venues.transport.picows import open_picows
    except ImportError:
        print("the extra `net` is not installed: picows and uvloop are not measured\n")
        return transports
    transports["websockets + uvloop"] = open_websockets, uvloop.new_event_loop
    transports["picows"] = open_picows, None
    transports["picows + uvloop"] = open_picows, uvloop.new_event_loop
    return transports


def lag(run: Run) -> tuple[float, float]:
    ordered = sorted(run.lags_s) or [float("nan")]
    return median(ordered), ordered[int(len(ordered) * 0.99)]


def verdict(passed: bool) -> str:
    return "met" if passed else "MISSED"


def main(seconds: float) -> None:
    print(f"paced, {PACED:,} frames a second, one at a time")
    paced: dict[str, Run] = {}
    transports = available_transports()
    for name, (open_transport, loop) in transports.items():
        run = paced[name] = measure(PACED, seconds, open_transport, loop)
        share = 100 * run.cpu_s / run.seconds
        print(
            f"  {name:<20} {run.frames / run.seconds:7,.0f} applied/s  {share:5.1f} % of a core"
            f"  {run.us:6.1f} us a frame  lag {lag(run)[0] * 1e3:5.1f} ms, 99 % {lag(run)[1] * 1e3:5.1f} ms"
        )
    share = 100 * paced["websockets"].cpu_s / paced["websockets"].seconds
    print(f"  limit {CPU_LIMIT:.0f} % of a core with websockets: {share:.1f} %: {verdict(share <= CPU_LIMIT)}")
    for rate in (PACED, OVERLOAD):
        pacing = "one at a time" if rate == PACED else "in bursts"
        print(f"\nthe transport alone, {rate:,} frames a second, {pacing}")
        transport_runs = {
            name: measure(rate, seconds, *transport_and_loop, read_only)
            for name, transport_and_loop in transports.items()
        }
        for name, run in transport_runs.items():
            print(f"  {name:<20} {run.us:6.2f} us a frame, {100 * run.cpu_s / run.seconds:5.1f} % of a core")
        if "picows + uvloop" in transport_runs:
            ratio = transport_runs["websockets"].us / transport_runs["picows + uvloop"].us
            ratio_verdict = verdict(ratio >= RATIO_LIMIT)
            print(f"  picows + uvloop takes at least {RATIO_LIMIT:g} x less: {ratio:.2f} x: {ratio_verdict}")
    for rate in (OVERLOAD, EXTREME_OVERLOAD):
        print(f"\noverload, {rate:,} frames a second")
        for name in ("websockets", "picows + uvloop"):
            if name in transports:
                overload(name, measure(rate, seconds, *transports[name]))


def overload(name: str, run: Run) -> None:
    received, lags_s = run.frames + sum(run.shed_frames.values()), lag(run)[1]
    print(
        f"  {name:<20} {received / run.seconds:7,.0f} came/s, {run.frames / run.seconds:7,.0f} applied/s,"
        f" left out {dict(run.shed_frames) or 'none'}, memory +{run.memory_growth_mb:.1f} MB,"
        f" lag 99 % {lags_s * 1e3:.0f} ms: {verdict(lags_s <= LAG_LIMIT_S)}"
    )


if __name__ == "__main__":
    arguments: Sequence[str] = sys.argv[1:]
    main(float(arguments[0]) if arguments else 5.0)
