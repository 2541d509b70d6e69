"""Floods of connections against the REST service on loopback, with the response times of /healthz and the memory.

    python benchmarks/attack_rest_service.py [--sockets 5000]

The service runs in this process under the event loop of a session, the attackers in another process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

from dfmon.aio import loop_factory
from dfmon.engine.hub import SnapshotHub
from dfmon.sinks.rest.rest_service import RestService

PAGE_MB = resource.getpagesize() / 2**20
ATTACKER = """
import resource, socket, sys, time
port, count, request, pause_s = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3].encode().decode("unicode_escape"), 0.0
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count + 100), hard))
held = []
for _ in range(count):
    try:
        s = socket.create_connection(("127.0.0.1", port), timeout=10)
        if request:
            s.sendall(request.encode())
        held.append(s)
    except OSError:
        pass
print(len(held), flush=True)
sys.stdin.read()
"""
ATTACKS = {
    "idle": "",
    "half a header": "GET /healthz HTTP/1.1\\r\\nHost: lo",
    "streams never read": "GET /v1/stream HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n",
}


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_MB


async def probe(port: int) -> bytes:
    """The response of /healthz on a connection of its own, as a probe makes one."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return await reader.read()
    finally:
        writer.close()


async def measure(name: str, request: str, sockets: int, seconds: float) -> dict[str, object]:
    from tests.sinks.factory import snapshot

    hub, stop = SnapshotHub(), asyncio.Event()
    service = RestService(port=0)
    service.bind()
    task = asyncio.create_task(service.run(hub, stop))
    hub.publish(snapshot(1, strikes=200))
    times: list[float] = []
    failures = 0
    await probe(service.port)
    before_mb = peak_mb = resident_mb()
    attacker = await asyncio.create_subprocess_exec(
        sys.executable, "-c", ATTACKER, str(service.port), str(sockets), request,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    deadline, seq = time.monotonic() + seconds, 1
    while time.monotonic() < deadline:
        seq += 1
        hub.publish(snapshot(seq, strikes=200))
        started = time.perf_counter()
        try:
            failures += not (await probe(service.port)).startswith(b"HTTP/1.1 200")
        except (OSError, EOFError):
            failures += 1
        times.append(time.perf_counter() - started)
        peak_mb = max(peak_mb, resident_mb())
        await asyncio.sleep(0.02)
    assert attacker.stdout is not None
    opened = int(await attacker.stdout.readline() or 0)
    attacker.kill()
    await attacker.wait()
    started = time.perf_counter()
    stop.set()
    await task
    return {
        "attack": name, "sockets": opened, "probes": len(times), "failed": failures,
        "healthz_ms_median": round(statistics.median(times) * 1e3, 1), "healthz_ms_max": round(max(times) * 1e3, 1),
        "memory_mb": [round(before_mb, 1), round(peak_mb, 1)], "shutdown_s": round(time.perf_counter() - started, 2),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--sockets", type=int, default=5000)
    parser.add_argument("--seconds", type=float, default=6.0)
    args = parser.parse_args()
    for name, request in ATTACKS.items():
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            print(json.dumps(runner.run(measure(name, request, args.sockets, args.seconds))), flush=True)


if __name__ == "__main__":
    main()
