"""What a recording costs: on the engine's thread, in the whole process, on the disk, and when it is read back.

Frames of real captures where they stand beside the project (`../shared/data`, `$DFMON_REAL_DATA`), and simulated ones.
`python benchmarks/bench_journal.py`; the limits are those of the design: 3 us a frame, 0.15 of the raw bytes.
"""

from __future__ import annotations

import asyncio
import lzma
import os
import statistics
import struct
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Mapping
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from dfmon.core.step import FlowParams  # noqa: E402
from dfmon.engine.driver import Driver  # noqa: E402
from dfmon.engine.journal import Record, RecordKind, by_columns, encode  # noqa: E402
from dfmon.replay import Capture  # noqa: E402
from dfmon.store import replayer, segment  # noqa: E402
from dfmon.store.recorder import Recorder  # noqa: E402
from tests.simulated_session import SimulatedSession  # noqa: E402

THREAD_US, SIZE = 3.0, 0.15
ROUNDS = 9
SECOND = 1_000_000_000


def simulated(seconds: float = 30.0) -> list[Record]:
    """Everything that BTC and ETH boards bring in half a minute."""
    taken: list[Record] = []
    session = SimulatedSession(("BTC", "ETH"))
    driver = Driver(session.currencies, FlowParams(), session.decoders(), lambda _: None, journal=taken.append)
    asyncio.run(session.run(driver, seconds))
    return taken


def captured() -> dict[str, list[Record]]:
    base = Path(os.environ.get("DFMON_REAL_DATA", ROOT.parent / "shared" / "data")) / "ws_raw"
    found = {}
    for path in sorted(base.glob("*")) if base.is_dir() else ():
        taken = list(Capture(path, None, FlowParams()).records())
        found[path.name.split(".")[0]] = taken[:40_000]
    return found


def seconds(records: list[Record]) -> list[list[Record]]:
    """What came in each second: the recorder makes a block of that."""
    return [list(group) for _, group in groupby(records, key=lambda record: record.recv_ns // SECOND)]


def cost(parts: list[list[Record]], recorder: Recorder | None) -> tuple[float, float]:
    """CPU seconds of this thread and of the process, to number, record and pass on every frame."""
    driver = Driver((), FlowParams(), {}, lambda _: None, journal=recorder.offer if recorder else None)
    thread, process = 0.0, time.process_time()
    for part in parts:
        began = time.thread_time()
        for record in part:  # nobody decodes them: what is timed is numbering and recording
            driver.ingest(record.kind, record.source, record.recv_ns, record.payload)
        thread += time.thread_time() - began
        if recorder:
            recorder.flush()
    if recorder:
        recorder.close()
    return thread, time.process_time() - process


def measured(records: list[Record]) -> tuple[float, float, float, int]:
    """Microseconds a frame on the engine's thread and in the process, bytes written a raw byte, and drops."""
    plain, recorded = [], []
    parts = seconds(records)
    for _ in range(ROUNDS):
        plain.append(cost(parts, None))
        with tempfile.TemporaryDirectory() as directory:
            recorder = Recorder(Path(directory), {"mode": "benchmark"})
            recorded.append(cost(parts, recorder))
    thread = statistics.median(r[0] - p[0] for p, r in zip(plain, recorded))
    process = statistics.median(r[1] - p[1] for p, r in zip(plain, recorded))
    raw = sum(len(record.payload) for record in records)
    return thread / len(records) * 1e6, process / len(records) * 1e6, recorder.written_bytes / raw, recorder.dropped


def former(parts: list[list[Record]], directory: Path, *, by_rows: bool) -> None:
    """A segment as earlier versions wrote it: a block a second, by rows and zlib, later by columns and LZMA."""
    data = segment.pack_segment(0, 1)
    for part in parts:
        rows = [encode(record) for record in part]
        raw = b"".join(rows)
        if by_rows:
            packed = zlib.compress(raw, 6)
        else:
            heads, payloads = by_columns(rows)
            short = zlib.compress(heads, 6)
            fast = [{"id": lzma.FILTER_LZMA2, "preset": 1, "dict_size": 1 << 20}]
            packed = struct.pack("<BI", 1, len(short)) + short + lzma.compress(payloads, lzma.FORMAT_RAW, filters=fast)
        magic = b"DFJB" if by_rows else b"DFJC"
        head = struct.pack("<4sIIIQI", magic, len(packed), len(raw), len(rows), part[0].seq, zlib.crc32(packed))
        data += head + struct.pack("<I", zlib.crc32(head)) + packed
    (directory / f"old{segment.SUFFIX}").write_bytes(data)


def reading(records: list[Record]) -> None:
    """What it takes to get the records of each format back, interleaved."""
    parts = seconds([Record(seq, *record_of) for seq, record_of in enumerate(map(_unnumbered, records))])
    with tempfile.TemporaryDirectory() as folder:
        formats = {name: Path(folder) / name for name in ("zlib by rows", "LZMA a second", "merged")}
        for directory in formats.values():
            directory.mkdir()
        former(parts, formats["zlib by rows"], by_rows=True)
        former(parts, formats["LZMA a second"], by_rows=False)
        with Recorder(formats["merged"], {"mode": "benchmark"}) as recorder:
            for part in parts:
                for record in part:
                    recorder.offer(record)
                recorder.flush()
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in formats}
        for _ in range(ROUNDS):
            for name, directory in formats.items():
                wall, process = time.perf_counter(), time.process_time()
                count = sum(record.kind is not RecordKind.SESSION for record in replayer.records(directory))
                times[name].append((time.perf_counter() - wall, time.process_time() - process))
                assert count == len(records)
    print("| blocks | us a record | CPU us a record | x zlib by rows |\n| --- | ---: | ---: | ---: |")
    base = statistics.median(wall for wall, _ in times["zlib by rows"])
    for name, taken in times.items():
        wall, process = (statistics.median(each) / len(records) * 1e6 for each in zip(*taken))
        print(f"| {name} | {wall:.2f} | {process:.2f} | {wall / base * len(records) / 1e6:.2f} |")
    print()


def _unnumbered(record: Record) -> tuple[int, RecordKind, str, bytes]:
    return record.recv_ns, record.kind, record.source, record.payload


def packers() -> Mapping[str, Callable[[bytes], bytes]]:
    found: dict[str, Callable[[bytes], bytes]] = {
        f"zlib {level}": lambda raw, level=level: zlib.compress(raw, level) for level in (1, 3, 6, 9)
    }
    try:
        import zstandard
    except ImportError:
        return found
    for level in (1, 3, 9):
        found[f"zstd {level}"] = zstandard.ZstdCompressor(level=level).compress
    return found


def choices(records: list[Record]) -> None:
    """What other ways to pack the same blocks would give."""
    blocks = [b"".join(map(encode, part)) for part in seconds(records)]
    payload = sum(len(record.payload) for record in records)
    print("| packed by | us a record | of the raw bytes |\n| --- | ---: | ---: |")
    for name, pack in packers().items():
        times = []
        for _ in range(3):
            began = time.thread_time()
            size = sum(len(pack(block)) for block in blocks)
            times.append(time.thread_time() - began)
        print(f"| {name} | {min(times) / len(records) * 1e6:.2f} | {size / payload:.3f} |")
    print()


def main() -> None:
    print("# What a recording costs\n\nEach row beside the same frames unrecorded, medians of interleaved rounds.\n")
    print(f"| frames | records | engine us (<= {THREAD_US:g}) | process us | CPU s an hour |", end="")
    print(f" size (<= {SIZE:g}) | dropped | |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |")
    sets = {"simulated BTC and ETH": simulated(), **captured()}
    for name, taken in sets.items():
        records = [record for record in taken if record.kind is not RecordKind.TICK]
        thread, process, size, dropped = measured(records)
        verdict = "met" if thread <= THREAD_US and size <= SIZE and not dropped else "**MISSED**"
        hour = process * len(records) / ((records[-1].recv_ns - records[0].recv_ns) / SECOND) * 3600 / 1e6
        print(f"| {name} | {len(records):,} | {thread:.2f} | {process:.2f} | {hour:.0f} |", end="")
        print(f" {size:.3f} | {dropped} | {verdict} |")
    print("\n## Reading it back\n")
    for name in dict.fromkeys((*list(sets)[:1], *list(sets)[-1:])):
        print(f"{name}\n")
        reading([record for record in sets[name] if record.kind is not RecordKind.TICK])
    print("\n## Other ways to pack\n")
    for name in dict.fromkeys((*list(sets)[:1], *list(sets)[-1:])):
        print(f"{name}\n")
        choices(sets[name])


if __name__ == "__main__":
    main()
