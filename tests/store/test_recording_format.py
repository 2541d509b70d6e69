"""A reader written from docs/recording-format.md alone gives the records that dfmon's own replayer gives."""

from __future__ import annotations

import lzma
import os
import random
import signal
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

from dfmon.engine.journal import Record, RecordKind
from dfmon.store import replayer
from dfmon.store.recorder import Recorder
from tests import shared_data
from tests.store.store_samples import frame_records

SESSION = {"mode": "live", "underlyings": ["BTC"]}
RawRecord = tuple[int, int, int, str, bytes]  # seq, recv_ns, kind, source, payload


# ---- the reader: nothing of dfmon in it --------------------------------------------------------------------------


class RawBlock(NamedTuple):
    """Compares in reading order."""

    started_ns: int
    first_seq: int
    is_continuation: bool
    records: list[RawRecord]


def read_recording(path: Path) -> Iterator[RawRecord]:
    files = sorted(path.glob("*.dfj")) if path.is_dir() else [path]
    recent = {file: read_file(file) for file in files if file.name.endswith(".recent.dfj")}
    blocks: list[RawBlock] = []
    for file in files:
        if file not in recent:
            merged, waiting = read_file(file), recent.get(file.with_name(file.stem + ".recent.dfj"), [])
            blocks += merged
            if not (waiting[1:] and waiting[1].first_seq in {block.first_seq for block in merged[1:]}):
                blocks += waiting
    sessions = set()
    for block in sorted(blocks, key=lambda block: block[:3]):
        for record in block.records:
            if record[2] != 0:
                yield record
            elif block.started_ns not in sessions:
                sessions.add(block.started_ns)
                yield record


def read_file(file: Path) -> list[RawBlock]:
    data = file.read_bytes()
    magic, version, _, _, started_ns, crc = struct.unpack_from("<8sHHIqI", data)
    assert (magic, crc) == (b"\x89dfmonj\n", zlib.crc32(data[:24]))
    assert version <= 2
    blocks, at = [], 28
    while at + 32 <= len(data):
        magic, size, raw, count, first_seq, body_crc, crc = struct.unpack_from("<4sIIIQII", data, at)
        assert (magic, crc) == (b"DFJC", zlib.crc32(data[at : at + 28]))
        body = data[at + 32 : at + 32 + size]
        if len(body) < size:
            break
        assert zlib.crc32(body) == body_crc
        blocks.append(RawBlock(started_ns, first_seq, at > 28, read_body(body, raw, count)))
        at += 32 + size
    return blocks


def read_body(body: bytes, raw: int, count: int) -> list[RawRecord]:
    is_lzma, size = struct.unpack_from("<BI", body)
    heads, packed = zlib.decompress(body[5 : 5 + size]), body[5 + size :]
    lzma2 = {"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}
    payloads = lzma.decompress(packed, lzma.FORMAT_RAW, filters=[lzma2]) if is_lzma else zlib.decompress(packed)
    assert len(heads) + len(payloads) == raw
    rows = [struct.unpack("<QQBBI", heads[n : 22 * count : count]) for n in range(count)]
    seq_steps, time_steps, kinds, source_sizes, sizes = zip(*rows)
    seqs, times = ([total % 2**64 for total in accumulate(steps)] for steps in (seq_steps, time_steps))
    signed_times = [ns - 2**64 if ns >= 2**63 else ns for ns in times]
    sources = [source.decode() for source in split(heads[22 * count :], source_sizes)]
    return list(zip(seqs, signed_times, kinds, sources, split(payloads, sizes)))


def split(data: bytes, sizes: tuple[int, ...]) -> list[bytes]:
    return [data[end - size : end] for size, end in zip(sizes, accumulate(sizes))]


# ---- against the replayer ----------------------------------------------------------------------------------------


def replayed(path: Path) -> list[RawRecord]:
    return [(r.seq, r.recv_ns, int(r.kind), r.source, r.payload) for r in replayer.records(path, allow_gaps=True)]


def mixed_records() -> list[Record]:
    """Every kind but GAP, clocks that run backwards, payloads from empty to large."""
    rng = random.Random(11)
    kinds = [kind for kind in RecordKind if kind not in (RecordKind.GAP, RecordKind.SESSION)]
    return [
        Record(n, rng.randrange(-(2**62), 2**62), rng.choice(kinds), rng.choice(("", "okx", "ü")), rng.randbytes(size))
        for n, size in enumerate(rng.choices((0, 1, 70, 9_000), k=900))
    ]


def test_a_recording_with_merged_blocks_and_two_segments(tmp_path: Path) -> None:
    with Recorder(tmp_path, SESSION, segment_bytes=1 << 19) as recorder:
        for record in mixed_records():
            recorder.offer(record)
        assert recorder.flush()
    assert len(list(tmp_path.glob("*.dfj"))) >= 2
    opening, *records = read_recording(tmp_path)
    assert opening[2] == RecordKind.SESSION
    assert records == [tuple(record) for record in mixed_records()]
    assert [opening, *records] == replayed(tmp_path)


def test_a_gap_and_two_sessions_in_one_directory(tmp_path: Path) -> None:
    for first in (1, 500):
        with Recorder(tmp_path, SESSION, mailbox_records=20) as recorder:
            for record in frame_records(400, first):
                recorder.offer(record)
    records = list(read_recording(tmp_path))
    kinds = [record[2] for record in records]
    assert kinds.count(RecordKind.SESSION) == 2
    assert RecordKind.GAP in kinds
    assert records == replayed(tmp_path)


KILLED = """
import sys, time
from pathlib import Path
from dfmon.store.recorder import Recorder
from tests.store.store_samples import frame_records
recorder = Recorder(Path(sys.argv[1]), {"mode": "live"})
for record in frame_records(300):
    recorder.offer(record)
print(recorder.flush(), flush=True)
time.sleep(60)
"""


def test_the_recent_file_of_a_killed_program(tmp_path: Path) -> None:
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, env=environ
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == b"True\n"
        program.send_signal(signal.SIGKILL)
    assert list(tmp_path.glob("*.recent.dfj"))
    records = list(read_recording(tmp_path))
    assert records[1:] == [tuple(record) for record in frame_records(300)]
    assert records == replayed(tmp_path)


def test_a_recording_of_an_earlier_version() -> None:
    path = next(shared_data.compat().glob("*.dfj"))
    records = list(read_recording(path))
    assert len(records) > 1_000
    assert records == replayed(path)
