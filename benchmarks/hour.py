"""An hour of the simulated market, recorded in a hurry, and its replays under two hash seeds: equal bit for bit?

`python benchmarks/hour.py [SECONDS] [BTC,ETH]` takes some minutes for the hour. Venues, protocols, driver, journal and
files are the real ones; the clock and the sockets are not. Then seeks at random times, each checked against the
straight replay, with the time they take beside that of replaying from the beginning.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from dfmon.engine.journal import RecordKind  # noqa: E402
from dfmon.model.snapshot import FlowSnapshot  # noqa: E402
from dfmon.replay import Recording  # noqa: E402
from dfmon.replay.timeline import Goal, Timeline  # noqa: E402
from dfmon.store import replayer  # noqa: E402
from tests.simulated_session import in_process  # noqa: E402


def seeks(directory: Path, live: list[str], each: int) -> None:
    shown: list[FlowSnapshot] = []
    timeline = Timeline(Recording(directory, None), shown.append)
    began = time.perf_counter()
    for _ in timeline.towards(Goal(tick=10**9)):
        pass
    whole, last, times = time.perf_counter() - began, timeline.ticks, []
    for tick in random.Random(1).sample(range(1, last + 1), 25):
        shown.clear()
        began = time.perf_counter()
        for _ in timeline.towards(Goal(tick=tick)):
            pass
        times.append(time.perf_counter() - began)
        assert [s.digest() for s in shown] == live[each * (tick - 1) : each * tick], f"tick {tick} differs"
    worst, middle = max(times), statistics.median(times)
    print(
        f"25 seeks among {last} ticks with {len(timeline.checkpoints)} checkpoints: equal; {middle * 1e3:.0f} ms, ",
        end="",
    )
    print(
        f"at most {worst * 1e3:.0f} ms (<= 2000: {'met' if worst <= 2.0 else 'MISSED'}); from the start {whole:.1f} s"
    )


def main(seconds: str = "3600", currencies: str = "BTC,ETH") -> None:
    each = len(currencies.split(","))
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "session"
        began = time.perf_counter()
        live = in_process("0", "record", str(directory), seconds, currencies, timeout_s=3600.0)
        took = time.perf_counter() - began
        records = list(replayer.records(directory))
        raw = sum(len(record.payload) for record in records)
        size = sum(file.stat().st_size for file in directory.iterdir())
        frames = sum(record.kind is RecordKind.FRAME for record in records)
        files = len(list(directory.iterdir()))
        print(
            f"{seconds} s of {currencies} recorded in {took:.0f} s: {len(records):,} records, {frames:,} frames,",
            end=" ",
        )
        print(
            f"{raw / 1e6:.1f} MB raw, {size / 1e6:.1f} MB in {files} files ({size / raw:.3f}), {len(live):,} snapshots"
        )
        del records
        for hash_seed in ("0", "1"):
            began = time.perf_counter()
            again = in_process(hash_seed, "replay", str(directory), timeout_s=3600.0)
            verdict = "equal" if again == live else "DIFFERENT"
            print(f"replay under hash seed {hash_seed}: {verdict}, {time.perf_counter() - began:.0f} s")
        seeks(directory, live, each)


if __name__ == "__main__":
    main(*sys.argv[1:])
