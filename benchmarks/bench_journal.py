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
from functools import partial
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from dfmon.core.step import FlowParams  # noqa: E402
from dfmon.engine.driver import Driver  # noqa: E402
from dfmon.engine.journal import Record, RecordKind, encode, encode_columns  # noqa: E402
from dfmon.replay import CaptureSource  # noqa: E402
from dfmon.store import replayer, segment  # noqa: E402
from dfmon.store.recorder import Recorder  # noqa: E402
from tests.simulated_session import SimulatedSession  # noqa: E402

THREAD_US, SIZE = 3.0, 0.15
ROUNDS = 9
SECOND = 1_000_000_000


def simulated_records(seconds: float = 30.0) -> list[Record]:
    """Everything that BTC and ETH boards bring in half a minute."""
    records: list[Record] = []
    session = SimulatedSession(("BTC", "ETH"))
    driver = Driver(
        session.currencies,
        FlowParams(),
        session.decoders(),
        lambda _: None,
        journal=records.append,
        options_sources=("deribit",),
    )
    asyncio.run(session.run(driver, seconds))
    return records


def captured_records() -> dict[str, list[Record]]:
    base = Path(os.environ.get("DFMON_REAL_DATA", ROOT.parent / "shared" / "data")) / "ws_raw"
    captures = {}
    for path in sorted(base.glob("*")) if base.is_dir() else ():
        records = list(CaptureSource(path, None, FlowParams()).records())
        captures[path.name.split(".")[0]] = records[:40_000]
    return captures


def split_by_second(records: list[Record]) -> list[list[Record]]:
    """What came in each second: the recorder makes a block of that."""
    return [list(group) for _, group in groupby(records, key=lambda record: record.recv_ns // SECOND)]


def cost(blocks: list[list[Record]], recorder: Recorder | None) -> tuple[float, float]:
    """CPU seconds of this thread and of the process, to number, record and pass on every frame."""
    driver = Driver((), FlowParams(), {}, lambda _: None, journal=recorder.offer if recorder else None)
    thread, process = 0.0, time.process_time()
    for block in blocks:
        started = time.thread_time()
        for record in block:  # nobody decodes them: what is timed is numbering and recording
            driver.ingest(record.kind, record.source, record.recv_ns, record.payload)
        thread += time.thread_time() - started
        if recorder:
            recorder.flush()
    if recorder:
        recorder.close()
    return thread, time.process_time() - process


def measure_recording(records: list[Record]) -> tuple[float, float, float, int]:
    """Microseconds a frame on the engine's thread and in the process, bytes written a raw byte, and drops."""
    unrecorded, recorded = [], []
    blocks = split_by_second(records)
    for _ in range(ROUNDS):
        unrecorded.append(cost(blocks, None))
        with tempfile.TemporaryDirectory() as directory:
            recorder = Recorder(Path(directory), {"mode": "benchmark"})
            recorded.append(cost(blocks, recorder))
    thread = statistics.median(r[0] - p[0] for p, r in zip(unrecorded, recorded))
    process = statistics.median(r[1] - p[1] for p, r in zip(unrecorded, recorded))
    raw = sum(len(record.payload) for record in records)
    return thread / len(records) * 1e6, process / len(records) * 1e6, recorder.written_bytes / raw, recorder.dropped


def write_former_format(blocks: list[list[Record]], directory: Path, *, by_rows: bool) -> None:
    """A segment as earlier versions wrote it: a block a second, by rows and zlib, later by columns and LZMA."""
    data = segment.pack_segment_header(0, 1)
    for block in blocks:
        rows = [encode(record) for record in block]
        raw = b"".join(rows)
        if by_rows:
            packed = zlib.compress(raw, 6)
        else:
            headers, payloads = encode_columns(rows)
            packed_headers = zlib.compress(headers, 6)
            lzma_filters = [{"id": lzma.FILTER_LZMA2, "preset": 1, "dict_size": 1 << 20}]
            packed = (
                struct.pack("<BI", 1, len(packed_headers))
                + packed_headers
                + lzma.compress(payloads, lzma.FORMAT_RAW, filters=lzma_filters)
            )
        magic = b"DFJB" if by_rows else b"DFJC"
        header = struct.pack("<4sIIIQI", magic, len(packed), len(raw), len(rows), block[0].seq, zlib.crc32(packed))
        data += header + struct.pack("<I", zlib.crc32(header)) + packed
    (directory / f"old{segment.SUFFIX}").write_bytes(data)


def measure_reading(records: list[Record]) -> None:
    """What it takes to get the records of each format back, interleaved."""
    blocks = split_by_second([Record(seq, *fields) for seq, fields in enumerate(map(_without_seq, records))])
    with tempfile.TemporaryDirectory() as folder:
        formats = {name: Path(folder) / name for name in ("zlib by rows", "LZMA a second", "merged")}
        for directory in formats.values():
            directory.mkdir()
        write_former_format(blocks, formats["zlib by rows"], by_rows=True)
        write_former_format(blocks, formats["LZMA a second"], by_rows=False)
        with Recorder(formats["merged"], {"mode": "benchmark"}) as recorder:
            for block in blocks:
                for record in block:
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
    for name, samples in times.items():
        wall, process = (statistics.median(column) / len(records) * 1e6 for column in zip(*samples))
        print(f"| {name} | {wall:.2f} | {process:.2f} | {wall / base * len(records) / 1e6:.2f} |")
    print()


def _without_seq(record: Record) -> tuple[int, RecordKind, str, bytes]:
    return record.recv_ns, record.kind, record.source, record.payload


def packers() -> Mapping[str, Callable[[bytes], bytes]]:
    packers_by_name: dict[str, Callable[[bytes], bytes]] = {
        f"zlib {level}": partial(zlib.compress, level=level) for level in (1, 3, 6, 9)
    }
    try:
        import zstandard
    except ImportError:
        return packers_by_name
    for level in (1, 3, 9):
        packers_by_name[f"zstd {level}"] = zstandard.ZstdCompressor(level=level).compress
    return packers_by_name


def measure_packers(records: list[Record]) -> None:
    """What other ways to pack the same blocks would give."""
    blocks = [b"".join(map(encode, second_records)) for second_records in split_by_second(records)]
    payload = sum(len(record.payload) for record in records)
    print("| packed by | us a record | of the raw bytes |\n| --- | ---: | ---: |")
    for name, pack in packers().items():
        times = []
        for _ in range(3):
            started = time.thread_time()
            size = sum(len(pack(block)) for block in blocks)
            times.append(time.thread_time() - started)
        print(f"| {name} | {min(times) / len(records) * 1e6:.2f} | {size / payload:.3f} |")
    print()


def main() -> None:
    print("# What a recording costs\n\nEach row beside the same frames unrecorded, medians of interleaved rounds.\n")
    print(f"| frames | records | engine us (<= {THREAD_US:g}) | process us | CPU s an hour |", end="")
    print(f" size (<= {SIZE:g}) | dropped | |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |")
    record_sets = {"simulated BTC and ETH": simulated_records(), **captured_records()}
    for name, recorded in record_sets.items():
        records = [record for record in recorded if record.kind is not RecordKind.TICK]
        thread, process, size, dropped = measure_recording(records)
        verdict = "met" if thread <= THREAD_US and size <= SIZE and not dropped else "**MISSED**"
        cpu_s_per_hour = process * len(records) / ((records[-1].recv_ns - records[0].recv_ns) / SECOND) * 3600 / 1e6
        print(f"| {name} | {len(records):,} | {thread:.2f} | {process:.2f} | {cpu_s_per_hour:.0f} |", end="")
        print(f" {size:.3f} | {dropped} | {verdict} |")
    print("\n## Reading it back\n")
    for name in dict.fromkeys((*list(record_sets)[:1], *list(record_sets)[-1:])):
        print(f"{name}\n")
        measure_reading([record for record in record_sets[name] if record.kind is not RecordKind.TICK])
    print("\n## Other ways to pack\n")
    for name in dict.fromkeys((*list(record_sets)[:1], *list(record_sets)[-1:])):
        print(f"{name}\n")
        measure_packers(record_sets[name])


if __name__ == "__main__":
    main()
