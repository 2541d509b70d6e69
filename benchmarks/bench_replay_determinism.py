"""An hour of the simulated market, recorded in a hurry, and its replays under two hash seeds: equal bit for bit?

`python benchmarks/bench_replay_determinism.py [SECONDS] [BTC,ETH]` takes some minutes for the hour. Venues, protocols,
driver, journal and files are the real ones; the clock and the sockets are not. Then seeks at random times, each checked
against the straight replay, with the time they take beside that of replaying from the beginning.
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
from dfmon.replay import RecordingSource  # noqa: E402
from dfmon.replay.timeline import SeekTarget, Timeline  # noqa: E402
from dfmon.store import replayer  # noqa: E402
from tests.simulated_session import in_process  # noqa: E402


def check_seeks(directory: Path, live: list[str], snapshots_per_tick: int) -> None:
    snapshots: list[FlowSnapshot] = []
    timeline = Timeline(RecordingSource(directory, None), snapshots.append)
    started = time.perf_counter()
    for _ in timeline.seek(SeekTarget(tick=10**9)):
        pass
    full_replay_s, last_tick, times = time.perf_counter() - started, timeline.ticks, []
    for tick in random.Random(1).sample(range(1, last_tick + 1), 25):
        snapshots.clear()
        started = time.perf_counter()
        for _ in timeline.seek(SeekTarget(tick=tick)):
            pass
        times.append(time.perf_counter() - started)
        assert [s.digest() for s in snapshots] == live[snapshots_per_tick * (tick - 1) : snapshots_per_tick * tick], (
            f"tick {tick} differs"
        )
    max_s, median_s = max(times), statistics.median(times)
    print(
        f"25 seeks among {last_tick} ticks with {len(timeline.checkpoints)} checkpoints: equal; "
        f"{median_s * 1e3:.0f} ms, ",
        end="",
    )
    print(
        f"at most {max_s * 1e3:.0f} ms (<= 2000: {'met' if max_s <= 2.0 else 'MISSED'}); from the "
        f"start {full_replay_s:.1f} s"
    )


def main(seconds: str = "3600", currencies: str = "BTC,ETH") -> None:
    snapshots_per_tick = len(currencies.split(","))
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "session"
        started = time.perf_counter()
        live = in_process("0", "record", str(directory), seconds, currencies, timeout_s=3600.0)
        elapsed_s = time.perf_counter() - started
        records = list(replayer.records(directory))
        raw = sum(len(record.payload) for record in records)
        size = sum(file.stat().st_size for file in directory.iterdir())
        frames = sum(record.kind is RecordKind.FRAME for record in records)
        files = len(list(directory.iterdir()))
        print(
            f"{seconds} s of {currencies} recorded in {elapsed_s:.0f} s: {len(records):,} records, {frames:,} frames,",
            end=" ",
        )
        print(
            f"{raw / 1e6:.1f} MB raw, {size / 1e6:.1f} MB in {files} files ({size / raw:.3f}), {len(live):,} snapshots"
        )
        del records
        for hash_seed in ("0", "1"):
            started = time.perf_counter()
            replayed = in_process(hash_seed, "replay", str(directory), timeout_s=3600.0)
            verdict = "equal" if replayed == live else "DIFFERENT"
            print(f"replay under hash seed {hash_seed}: {verdict}, {time.perf_counter() - started:.0f} s")
        check_seeks(directory, live, snapshots_per_tick)


if __name__ == "__main__":
    main(*sys.argv[1:])
