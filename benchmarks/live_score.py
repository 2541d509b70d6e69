"""The score that dfmon keeps of itself over a simulated day without feedback: `python benchmarks/live_score.py [SEED]`.

The past of the simulated exchange goes through the engine a minute at a time, 00:00 to 23:59 UTC, with prints and
without taker flow of perpetuals. Dealers' hedges do not move that market: the coefficient should be 0, not psi.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import sys
import time
from pathlib import Path

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dfmon.core.step import FlowParams
from dfmon.engine.driver import Driver
from dfmon.model.snapshot import FlowSnapshot
from dfmon.model.units import DAY, MINUTE
from dfmon.sim.market.past_boards import PastBoards
from dfmon.sim.market.simulated_market import SimulatedMarket

END_NS = 1_772_582_400_000_000_000  # 2026-03-04T00:00Z


def main() -> int:
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    market = SimulatedMarket(seed, END_NS, ("BTC",))
    snapshots: list[FlowSnapshot] = []
    driver = Driver(("BTC",), FlowParams(), {}, snapshots.append)
    begun = time.process_time()
    for ts_ns, events in PastBoards(market.currencies["BTC"], "BTC").moments(range(END_NS - DAY, END_NS, MINUTE)):
        driver.apply_events(events, ts_ns)
        driver.request_tick(ts_ns)
        del snapshots[:-1]
    print(f"seed {seed}, {time.process_time() - begun:.0f} s of CPU")
    for model in ("flow", "naive", "short-all"):
        print(model, msgspec.json.encode(snapshots[-1].view(model).score).decode())
    print([sentence for sentence in snapshots[-1].unavailable if sentence.startswith("score")])
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
