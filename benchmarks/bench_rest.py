"""REST and websockets of a live session on the simulated exchange: response times, and the lag of the market's loop.

    python benchmarks/bench_rest.py [--seconds 20] [--clients 500]

The session (BTC and ETH) and the service share a loop in this process, as in `dfmon --publish --rest`; clients are in
another process, the exchange in a third. Scenario changes of the second part are published by hand, one a second.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import count
from unittest import mock

import msgspec

from dfmon.aio import loop_factory
from dfmon.cli.demo import child_exchange, with_sim_addresses
from dfmon.config import Config
from dfmon.engine.hub import SnapshotHub
from dfmon.model.scenario import ScenarioChange
from dfmon.model.snapshot import FlowSnapshot
from dfmon.runtime import composition
from dfmon.sinks.events import Event
from dfmon.sinks.rest import messages
from dfmon.sinks.rest.rest_service import RestService
from dfmon.sinks.rest.settings import RestSettings

TARGET_MS, TARGET_LAG_MS, TARGET_CHANGE_MS = 20.0, 5.0, 250.0
RATE = 200
SAMPLE_S = 0.01
READERS = """
import asyncio, json, sys, time
from websockets.asyncio.client import connect
port, clients, topics = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
async def read(found):
    url = f"ws://127.0.0.1:{port}/v1/stream?topics={topics}"
    async with connect(url, proxy=None, max_size=None, compression=None) as s:
        print("open", flush=True)
        async for text in s:
            if text.startswith('{"topic":"scenario"'):
                found.append(1e3 * (time.time() - float(json.loads(text)["data"]["ts"])))
async def main():
    found = [[] for _ in range(clients)]
    tasks = []
    for each in found:
        tasks.append(asyncio.create_task(read(each)))
        await asyncio.sleep(0.005)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    for task in tasks: task.cancel()
    print(json.dumps(found))
asyncio.run(main())
"""
REQUESTS = """
import asyncio, json, sys, time
port, rate, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
request = b"GET /v1/snapshot?currency=BTC HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n"
async def main():
    found, idle, failures, closed = [], asyncio.LifoQueue(), {}, 0
    async def connection():
        nonlocal closed
        while idle.qsize():
            reader, writer = idle.get_nowait()
            if not reader.at_eof():
                return reader, writer
            closed += 1  # by the service, as nothing came for 5 s
        return await asyncio.open_connection("127.0.0.1", port)
    async def get():
        started, code = time.perf_counter(), 0
        try:
            reader, writer = await connection()
            writer.write(request)
            head = (await reader.readuntil(b"\\r\\n\\r\\n")).lower()
            await reader.readexactly(int(head.partition(b"content-length: ")[2].split()[0]))
            code = int(head.split()[1])
            idle.put_nowait((reader, writer))
        except (OSError, EOFError) as exc:
            failures[repr(exc)] = failures.get(repr(exc), 0) + 1
        found.append((1e3 * (time.perf_counter() - started), code))
    started, tasks = time.perf_counter(), []
    for n in range(int(rate * seconds)):
        await asyncio.sleep(max(0.0, started + n / rate - time.perf_counter()))
        tasks.append(asyncio.create_task(get()))
    await asyncio.gather(*tasks)
    print(json.dumps({"rows": found, "failures": failures, "closed": closed}))
asyncio.run(main())
"""


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


async def loop_lag_ms(until: Callable[[], bool]) -> list[float]:
    """Lateness of a timer of 10 ms, as a frame of a venue would wait."""
    found = []
    while not until():
        started = time.perf_counter()
        await asyncio.sleep(SAMPLE_S)
        found.append(1e3 * (time.perf_counter() - started - SAMPLE_S))
    return found


async def client_process(program: str, *arguments: object) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, *map(str, arguments),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, limit=1 << 26,
    )  # fmt: skip


async def measure_requests(service: RestService, seconds: float) -> dict[str, object]:
    cpu_s = [time.process_time()]
    quiet = await loop_lag_ms(_after(seconds))
    cpu_s.append(time.process_time())
    client = await client_process(REQUESTS, service.port, RATE, seconds)
    busy = await loop_lag_ms(_after(seconds))
    assert client.stdout is not None
    result = json.loads(await client.stdout.readline())
    cpu_s.append(time.process_time())
    rows = result["rows"]
    times = [row[0] for row in rows]
    p99, moved = quantile(times, 0.99), quantile(busy, 0.99) - quantile(quiet, 0.99)
    return {
        "requests": len(rows), "not 200": sum(row[1] != 200 for row in rows), "failures": result["failures"],
        "idle connections that the service closed": result["closed"],
        "cpu ms a request": round(1e3 * (cpu_s[2] - 2 * cpu_s[1] + cpu_s[0]) / len(rows), 2),
        "ms median": round(statistics.median(times), 2), "ms p99": round(p99, 2),
        "loop lag ms p99": [round(quantile(quiet, 0.99), 2), round(quantile(busy, 0.99), 2)],
        f"p99 < {TARGET_MS:g} ms": verdict(p99 < TARGET_MS),
        f"lag moves < {TARGET_LAG_MS:g} ms": verdict(moved < TARGET_LAG_MS),
    }  # fmt: skip


async def measure_streams(service: RestService, clients: int, topics: str, changes: int) -> dict[str, object]:
    reader = await client_process(READERS, service.port, clients, topics)
    assert reader.stdout is not None
    assert reader.stdin is not None
    for _ in range(clients):
        assert (await reader.stdout.readline()).strip() == b"open"
    HandMade.left = changes
    lag = await loop_lag_ms(lambda: HandMade.left <= 0)
    await asyncio.sleep(2.0)
    reader.stdin.close()
    found = json.loads(await reader.stdout.readline())
    times = [each for client in found for each in client]
    worst = max(times, default=float("inf"))
    return {
        "clients": clients, "topics": topics, "changes each": [min(map(len, found)), max(map(len, found))],
        "ms median": round(statistics.median(times), 1), "ms p99": round(quantile(times, 0.99), 1),
        "ms max": round(worst, 1), "loop lag ms p99": round(quantile(lag, 0.99), 1),
        f"every change within {TARGET_CHANGE_MS:g} ms": verdict(
            worst < TARGET_CHANGE_MS and min(map(len, found)) == changes
        ),
    }  # fmt: skip


class HandMade:
    """A change of the scenario at each snapshot of BTC while some are left; its time is that of the clock."""

    left = 0
    numbers = count(1)

    def __init__(self, session: str) -> None:
        pass

    def read(self, snapshot: FlowSnapshot) -> list[Event]:
        if snapshot.underlying != "BTC" or HandMade.left <= 0:
            return []
        HandMade.left -= 1
        change = ScenarioChange(f"{time.time():.6f}", "flow", "DAMP", "SQUEEZE", ("by hand",), {})
        return [Event("", next(self.numbers), "scenario", change.ts, "BTC", scenario=change)]


def _after(seconds: float) -> Callable[[], bool]:
    end = time.perf_counter() + seconds
    return lambda: time.perf_counter() > end


def verdict(met: bool) -> str:
    return "met" if met else "missed"


async def run(config: Config, seconds: float, clients: int) -> None:
    hub, stop = SnapshotHub(mode="sim"), asyncio.Event()
    service = RestService(port=0, settings=RestSettings(rate=1e5))
    service.bind()
    session = composition.live_session(
        config, "sim", composition.Outputs((service,), None), composition.StepErrorLog(), hub
    )
    task = asyncio.create_task(session.run(stop))
    while not hub.underlyings() or any(
        (each := hub.latest(name)) is None or each.positions.warming for name in ("BTC", "ETH")
    ):
        await asyncio.sleep(0.1)
    print(json.dumps({"cores": os.cpu_count(), "load": [round(each, 1) for each in os.getloadavg()]}), flush=True)
    print(json.dumps(await measure_requests(service, seconds)), flush=True)
    for topics in ("scenario", "snapshot,scenario,alert"):
        print(json.dumps(await measure_streams(service, clients, topics, max(3, int(seconds / 2)))), flush=True)
    stop.set()
    await task


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--clients", type=int, default=500)
    args = parser.parse_args()
    base = msgspec.structs.replace(Config(), history=msgspec.structs.replace(Config().history, enabled=False))
    with (
        mock.patch.object(messages, "EventReader", HandMade),
        child_exchange(7, base.market.currencies) as addresses,
        asyncio.Runner(loop_factory=loop_factory()) as runner,
    ):
        runner.run(run(with_sim_addresses(base, addresses), args.seconds, args.clients))


if __name__ == "__main__":
    main()
