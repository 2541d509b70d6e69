"""FLIP alerts of a demo against a second reading of its snapshots: each must be true, and none may be missing.

    python benchmarks/flip_alerts.py [--seed 11] [--seconds 420]

A crossing is a run of snapshots over CLEAR_S, all with spot outside the bands of the edges around it, on the other side
of net gamma than the last one that was clear. A snapshot that is stale, not covered or inside a band ends the run.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import Any

from demo_starts import Rows, is_covered, run_demo

CLEAR_S = 10.0
MOST = 2
TOLERANCE_S = 3.0  # ticks that stdout may have left out


def main() -> int:
    """Prints both lists. Returns 1 if they differ or are too long."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--seconds", type=float, default=420.0)
    args = parser.parse_args()
    snapshots, alerts = run_demo(args.seed, args.seconds)
    count = false = missing = 0
    for name, rows in snapshots.items():
        raised = sorted(alert["ts_ns"] / 1e9 for alert in alerts[name] if alert["kind"] == "FLIP")
        expected = list(crossings(rows))
        false += sum(not near(at, expected) for at in raised)
        missing += sum(not near(at, raised) for at in expected)
        count += len(raised)
        sides = {row["regime"]["side"] for row in rows}
        print(f"{name}: {len(rows)} snapshots, sides {sides}, {len(raised)} alerts, {len(expected)} crossings")
    print(f"{count} FLIP alerts (limit {MOST}), {false} false, {missing} missing (limit 0)")
    return 1 if not snapshots or count > MOST or false or missing else 0


def near(at: float, times: list[float]) -> bool:
    return any(abs(at - other) <= TOLERANCE_S for other in times)


def crossings(rows: Rows) -> Iterator[float]:
    """The times at which a crossing is complete, s."""
    side = candidate = None
    since = 0.0
    for row in rows:
        now, present = row["ts_ns"] / 1e9, clear_side(row)
        if present is None or present == side:
            candidate = None
        elif side is None:
            side = present
        elif present != candidate:
            candidate, since = present, now
        elif now - since >= CLEAR_S:
            side, candidate = present, None
            yield now


def clear_side(row: dict[str, Any]) -> str | None:
    """The side of net gamma, None where it is not known or spot is inside a band."""
    if row["state"] == "stale" or not is_covered(row["positions"]):
        return None
    regime, spot = row["regime"], row["spot"]
    below, above = regime["below"], regime["above"]
    if below is not None and not (below["hi"] is not None and spot > below["hi"]):
        return None
    if above is not None and not (above["lo"] is not None and spot < above["lo"]):
        return None
    side: str | None = regime["side"]
    return side


if __name__ == "__main__":
    sys.exit(main())
