"""Starts of the demo: no market alert before the positions are covered, and the seconds until they are.

    python benchmarks/demo_starts.py [--starts 10] [--seconds 25]

Each start is `dfmon demo` with another seed. A scenario in one of its JSON lines, or a market alert that its REST
service has in the end, is a miss if its time is before that of the coverage of its coin. A start that covers nothing
within the time proves nothing, and is counted apart.
"""

from __future__ import annotations

import argparse
import json
import math
import signal
import socket
import subprocess
import sys
import threading
from typing import Any

import httpx

from dfmon.core.step import FlowParams

MARKET_ALERTS = ("SCENE", "FLIP")
DEMO = (sys.executable, "-m", "dfmon", "demo", "--publish", "all")
Rows = list[dict[str, Any]]


def main() -> int:
    """Prints a row for each start. Returns 1 if one of them said something too early."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--starts", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=25.0)
    args = parser.parse_args()
    print(f"{'seed':>4} {'snapshots':>9} {'covered after (s)':>20} {'alerts':>9} {'too early':>9}")
    too_early = uncovered = 0
    for seed in range(1, args.starts + 1):
        snapshots, alerts = run_demo(seed, args.seconds)
        covered_ns = {name: _covered_ns(rows) for name, rows in snapshots.items()}
        early = [
            text for name, rows in snapshots.items() for text in _said_before(covered_ns[name], rows, alerts[name])
        ]
        too_early += len(early)
        uncovered += not covered_ns or any(map(math.isinf, covered_ns.values()))
        count = sum(len(rows) for rows in snapshots.values())
        times = " ".join(f"{name} {_seconds(covered_ns[name], rows)}" for name, rows in snapshots.items())
        print(f"{seed:4} {count:9} {times:>20} {sum(map(len, alerts.values())):9} {len(early):9}", *early[:2])
    print(f"{args.starts} starts, {too_early} scenarios or alerts before coverage (limit 0), {uncovered} not covered")
    return 1 if too_early or uncovered else 0


def run_demo(seed: int, seconds: float) -> tuple[dict[str, Rows], dict[str, Rows]]:
    """The snapshots of one demo, and its market alerts in the end, by underlying."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    snapshots: dict[str, Rows] = {}
    alerts: dict[str, Rows] = {}
    command = (*DEMO, "--seed", str(seed), "--rest", address)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as demo:

        def end() -> None:
            for name in list(snapshots):
                url = f"http://{address}/v1/snapshot?currency={name}&detail=true"
                found = httpx.get(url, timeout=10.0, trust_env=False).json()["detail"]["alerts"]
                alerts[name] = [alert for alert in found if alert["kind"] in MARKET_ALERTS]
            demo.send_signal(signal.SIGINT)

        timer = threading.Timer(seconds, end)
        timer.start()
        assert demo.stdout is not None
        for line in demo.stdout:
            snapshot = json.loads(line)
            snapshots.setdefault(snapshot["underlying"], []).append(snapshot)
        timer.join()
    return snapshots, alerts


def _covered_ns(rows: Rows) -> float:
    """The time of the first snapshot whose positions are covered."""
    return next((row["ts_ns"] for row in rows if is_covered(row["positions"])), math.inf)


def is_covered(positions: dict[str, Any]) -> bool:
    return (positions["coverage"] or 0.0) >= FlowParams().warm_coverage and not positions["warming"]


def _seconds(covered_ns: float, rows: Rows) -> str:
    return "never" if math.isinf(covered_ns) else f"{(covered_ns - rows[0]['ts_ns']) / 1e9:.0f}"


def _said_before(covered_ns: float, rows: Rows, alerts: Rows) -> list[str]:
    early = [row for row in rows if row["ts_ns"] < covered_ns and row["scenario"]["bucket"] is not None]
    said = [f"{row['ts']} {row['scenario']['name']}" for row in early]
    return said + [alert["text"] for alert in alerts if alert["ts_ns"] < covered_ns]


if __name__ == "__main__":
    sys.exit(main())
