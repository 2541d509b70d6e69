"""Bytes of a frame on a real terminal when every number on the screen changes: what a second costs at 1 Hz.

Counts are exact and do not depend on the machine: the screen runs on a pseudo terminal and gets the next snapshot when
the last frame has arrived. `python benchmarks/bench_screen.py`
"""

from __future__ import annotations

import fcntl
import os
import pty
import random
import select
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path
from statistics import mean

ROOT = Path(__file__).resolve().parent.parent
FRAMES = 8
IDLE_S = 0.8  # longer than two frames at 4 Hz
CASES = (
    ("80x24, every number changes", 80, 24, "", 12_000),
    ("120x40, every number changes", 120, 40, "", 12_000),
    ("160x48, every number changes", 160, 48, "", 12_000),
    ("160x48, positions", 160, 48, "d", 12_000),
    ("80x24, --low-bandwidth", 80, 24, "low", 4_000),
    ("120x40, --low-bandwidth", 120, 40, "low", 4_000),
    ("160x48, --low-bandwidth", 160, 48, "low", 4_000),
)


def child(low: bool) -> None:
    """A market where nothing stays: each signal publishes a snapshot that differs in every number."""
    sys.path[:0] = [str(ROOT)]
    import msgspec

    from dfmon.engine.hub import Runtime, SnapshotHub
    from dfmon.model.snapshot import Detail, Metric
    from dfmon.model.units import SECOND
    from dfmon.tui.app import DfmonApp, run_screen
    from dfmon.tui.settings import ScreenSettings
    from tests.tui import factory

    replace, hub, count = msgspec.structs.replace, SnapshotHub(), [0]

    def publish(*_: object) -> None:
        count[0] += 1
        n, rng = count[0], random.Random(count[0])
        base = factory.snapshot()
        detail, now = base.detail, factory.NOW + n * SECOND
        assert isinstance(detail, Detail)

        def vary_metric(metric: Metric) -> Metric:
            def vary(value: float | None) -> float | None:
                return None if value is None else value * rng.uniform(0.6, 1.4)

            return replace(metric, value=vary(metric.value), lo=vary(metric.lo), hi=vary(metric.hi))

        tape = tuple(
            replace(r, ts_ns=r.ts_ns + n * SECOND, size=rng.choice((3.0, 25.0)), side=rng.choice((1, -1)))
            for r in detail.tape
        )
        spot_price = factory.SPOT + rng.gauss(0.0, 60.0)
        curve = tuple(v * rng.uniform(0.5, 1.5) for v in detail.profile.ngi)
        position_rows = tuple(replace(r, net=r.net * rng.uniform(0.5, 1.5)) for r in detail.positions)
        metrics = replace(
            base.metrics, **{f: vary_metric(getattr(base.metrics, f)) for f in base.metrics.__struct_fields__}
        )
        hub.runtime = Runtime(step_ms=rng.uniform(5, 15), frames_per_s=rng.uniform(900, 2900), recorded_bytes=n * 10**6)
        hub.publish(
            replace(
                base, seq=n, ts_ns=now, spot=spot_price, metrics=metrics,
                flip=replace(base.flip, level=factory.FLIP + rng.gauss(0, 50), distance_sigma=rng.uniform(-2, 2)),
                feeds=tuple(replace(f, age_s=rng.uniform(0.0, 9.0)) for f in base.feeds),
                tables=replace(detail, heatmap=factory.heatmap(n), tape=tape, positions=position_rows,
                              profile=replace(detail.profile, ngi=curve)),
            )
        )  # fmt: skip

    publish()
    signal.signal(signal.SIGUSR1, publish)
    settings = ScreenSettings(("BTC",), rate_hz=4.0, low_bandwidth=low)

    def clock() -> int:
        return factory.NOW + count[0] * SECOND + 4 * 10**8

    app = DfmonApp(hub, settings, lambda _: None, lambda name, since_ns: factory.history(), clock)
    sys.exit(run_screen(app))


def bytes_a_frame(width: int, height: int, keys: str) -> list[int]:
    """What each of some frames costs."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
    base = {k: v for k, v in os.environ.items() if k not in {"NO_COLOR", "COLORTERM"}}
    process = subprocess.Popen(
        [sys.executable, __file__, "--child", keys], stdin=slave, stdout=slave, stderr=slave,
        start_new_session=True, env={**base, "TERM": "xterm-256color", "TEXTUAL_ANIMATIONS": "none"},
    )  # fmt: skip
    idle_s = IDLE_S if keys != "low" else 2.6

    def count_until_idle(timeout_s: float) -> int:
        total = 0
        while select.select([master], [], [], timeout_s)[0]:
            data = os.read(master, 65536)
            total += len(data)
            timeout_s = idle_s
        return total

    try:
        count_until_idle(20.0)
        if keys not in ("", "low"):
            os.write(master, keys.encode())
            count_until_idle(3.0)
        out = []
        for _ in range(FRAMES):
            process.send_signal(signal.SIGUSR1)
            out.append(count_until_idle(5.0))
        return out
    finally:
        process.kill()
        process.wait()
        os.close(master)
        os.close(slave)


def main() -> None:
    print("| screen | bytes a frame | a second | limit | |\n| --- | ---: | ---: | ---: | --- |")
    for name, width, height, keys, limit in CASES:
        frame = mean(bytes_a_frame(width, height, keys))
        second = frame / (2.0 if keys == "low" else 1.0)
        verdict = "met" if second <= limit else "**MISSED**"
        print(f"| {name} | {frame:,.0f} | {second:,.0f} | {limit:,} | {verdict} |", flush=True)


if __name__ == "__main__":
    child(sys.argv[2:] == ["low"]) if "--child" in sys.argv else main()
