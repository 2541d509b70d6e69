"""The recorder: what is offered is read back, in order; a full mailbox or disk is counted and said, never felt."""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import stat
import subprocess
import sys
import threading
import time
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfmon.engine.journal import Record, RecordKind
from dfmon.model.errors import DfmonError, UsageError
from dfmon.store import replayer, segment
from dfmon.store.blocks import Damage
from dfmon.store.recorder import Recorder
from tests.store.store_samples import frame_records

ROOT = Path(__file__).parents[2]
SESSION = {"mode": "live", "underlyings": ["BTC", "ETH"]}


def record_all(directory: Path, items: list[Record], **options: Any) -> Recorder:
    with Recorder(directory, SESSION, **options) as recorder:
        for record in items:
            recorder.offer(record)
    return recorder


def replay_records(path: Path, *, allow_gaps: bool = False) -> list[Record]:
    """Records after the SESSION."""
    opening, *records = replayer.records(path, allow_gaps=allow_gaps)
    assert opening.kind is RecordKind.SESSION
    return records


def test_round_trip(tmp_path: Path) -> None:
    items = frame_records(5000)
    recorder = record_all(tmp_path / "new" / "dir", items)
    assert replay_records(tmp_path / "new" / "dir") == items
    assert replay_records(recorder.path) == items
    assert replayer.read_session(recorder.path) == SESSION
    assert recorder.path.suffix == segment.SUFFIX
    assert stat.S_IMODE(recorder.path.stat().st_mode) == 0o600
    assert (recorder.records, recorder.dropped, recorder.failure) == (5000, 0, None)
    assert recorder.written_bytes == recorder.path.stat().st_size < recorder.raw_bytes / 4


KINDS = st.sampled_from([kind for kind in RecordKind if kind is not RecordKind.GAP])


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(
    first=st.integers(0, 2**60),
    steps=st.lists(
        st.tuples(st.integers(-(2**62), 2**62), KINDS, st.text(max_size=40), st.binary(max_size=300)), max_size=30
    ),
)
def test_any_records_round_trip(
    tmp_path_factory: pytest.TempPathFactory, first: int, steps: list[tuple[int, RecordKind, str, bytes]]
) -> None:
    items = [Record(first + n, *step) for n, step in enumerate(steps)]
    directory = tmp_path_factory.mktemp("r")
    record_all(directory, items)
    assert replay_records(directory) == items


def test_flush_makes_everything_offered_readable(tmp_path: Path) -> None:
    with Recorder(tmp_path, SESSION) as recorder:
        for part in range(3):
            for record in frame_records(10, 10 * part):
                recorder.offer(record)
            assert recorder.flush()
            assert replay_records(tmp_path) == frame_records(10 * part + 10)
    assert recorder.flush(), "after the end there is nothing to wait for"


@pytest.mark.slow
def test_rotation_by_size(tmp_path: Path) -> None:
    rng = random.Random(3)
    items = [Record(n, n, RecordKind.FRAME, "okx", rng.randbytes(4000)) for n in range(2000)]
    record_all(tmp_path, items, segment_bytes=2 << 20)
    files = sorted(tmp_path.glob("*.dfj"))
    assert len(files) >= 3
    assert replay_records(tmp_path) == items
    opening = [next(replayer.records(file)) for file in files]
    assert [json.loads(r.payload) for r in opening] == [SESSION] * len(files)
    assert [r.kind for r in opening] == [RecordKind.SESSION] * len(files)


def test_rotation_by_hour_and_names_in_order_whatever_the_clock_does(tmp_path: Path) -> None:
    ticks = count(1_769_085_000_000_000_000, -1_800_000_000_000)
    with Recorder(tmp_path, SESSION, lambda: next(ticks), rotate_hourly=True) as recorder:
        paths = [recorder.path]
        for record in frame_records(6):
            recorder.offer(record)
            assert recorder.flush()
            paths.append(recorder.path)
    assert len(set(paths)) >= 2
    assert paths == sorted(paths)  # retention goes by the names
    assert replay_records(tmp_path) == frame_records(6)


def test_two_recorders_of_one_moment_do_not_share_a_file(tmp_path: Path) -> None:
    first_recorder, second_recorder = (Recorder(tmp_path, SESSION, lambda: 1_769_085_000_000_000_000) for _ in range(2))
    first_recorder.close()
    second_recorder.close()
    assert first_recorder.path != second_recorder.path


# ---- the mailbox -------------------------------------------------------------------------------------------------


def test_overflow_is_one_gap_record_where_it_happened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer is held while 30 records come into a mailbox of 10: 20 are missing, and the record says so."""
    writing, release = threading.Event(), threading.Event()
    write = os.write

    def blocked_write(fd: int, data: bytes) -> int:
        writing.set()
        assert release.wait(60)
        return write(fd, data)

    recorder = Recorder(tmp_path, SESSION, mailbox_records=10)
    monkeypatch.setattr(recorder._files, "_write", blocked_write)
    recorder.offer(frame_records(1)[0])
    waiter = threading.Thread(target=recorder.flush)
    waiter.start()
    assert writing.wait(60)
    for record in frame_records(30, 1):
        recorder.offer(record)
    release.set()
    waiter.join()
    recorder.flush()
    recorder.offer(frame_records(1, 31)[0])
    recorder.close()
    assert recorder.dropped == 20
    found = replay_records(tmp_path, allow_gaps=True)
    gap = Record(11, frame_records(1, 11)[0].recv_ns, RecordKind.GAP, "", b"20")
    assert found == [*frame_records(11), gap, *frame_records(1, 31)]
    with pytest.raises(DfmonError, match="20 records from number 11 are missing"):
        replay_records(tmp_path)


def test_mailbox_is_bounded_in_bytes(tmp_path: Path) -> None:
    huge = Record(0, 0, RecordKind.REST, "deribit", b"x" * 5000)
    recorder = record_all(tmp_path, [huge, *frame_records(1, 1)], mailbox_bytes=4000)
    assert recorder.dropped == 1
    assert [r.kind for r in replay_records(tmp_path, allow_gaps=True)] == [RecordKind.GAP, RecordKind.FRAME]


def test_gap_at_the_very_end_is_written(tmp_path: Path) -> None:
    record_all(tmp_path, [*frame_records(1), Record(1, 0, RecordKind.REST, "", b"x" * 5000)], mailbox_bytes=4000)
    assert [r.kind for r in replay_records(tmp_path, allow_gaps=True)] == [RecordKind.FRAME, RecordKind.GAP]


def test_record_the_format_cannot_hold_is_a_gap_of_one(tmp_path: Path) -> None:
    recorder = record_all(
        tmp_path, [*frame_records(1), Record(1, 0, RecordKind.FRAME, "s" * 300, b""), *frame_records(1, 2)]
    )
    assert recorder.dropped == 1
    assert [r.seq for r in replay_records(tmp_path, allow_gaps=True)] == [0, 1, 2]


def test_offer_after_close_is_only_counted(tmp_path: Path) -> None:
    recorder = record_all(tmp_path, frame_records(3))
    recorder.offer(frame_records(1, 3)[0])
    recorder.close()
    assert recorder.dropped == 1


# ---- trouble -----------------------------------------------------------------------------------------------------


class FullDisk:
    """Stands before `os.write`: while it is full it takes a part of a block, then there is no space."""

    def __init__(self) -> None:
        self.full = False

    def write(self, fd: int, data: memoryview) -> int:
        if not self.full:
            return os.write(fd, data)
        if len(data) > 40:
            return os.write(fd, data[:40])
        raise OSError(errno.ENOSPC, "No space left on device")


def test_full_disk_pauses_recording_and_nothing_else(tmp_path: Path) -> None:
    disk = FullDisk()
    with Recorder(tmp_path, SESSION, write=disk.write) as recorder:
        for record in frame_records(100):
            recorder.offer(record)
        assert recorder.flush()
        disk.full = True
        for record in frame_records(100, 100):
            recorder.offer(record)
        assert not recorder.flush()
        recorder.offer(frame_records(1, 200)[0])
    assert recorder.failure is not None
    assert recorder.failure.startswith("recording paused: cannot write")
    assert recorder.failure.endswith("no space left on device")
    assert recorder.dropped == 101
    assert replay_records(tmp_path) == frame_records(100), "the torn block was cut off"
    assert set(tmp_path.iterdir()) == {recorder.path, segment.recent_file(recorder.path)}, (
        "there was no room to merge them"
    )


def test_recording_goes_on_when_space_returns(tmp_path: Path) -> None:
    """Three times: what was missed is one hole, counted once, and what comes after it is read."""
    disk = FullDisk()
    expected: list[Record] = []
    at = 0
    with Recorder(tmp_path, SESSION, retry_s=0.0, write=disk.write) as recorder:
        for _ in range(3):
            for record in frame_records(50, at):
                recorder.offer(record)
            assert recorder.flush()
            disk.full = True
            for part in (frame_records(15, at + 50), frame_records(5, at + 65)):
                for record in part:
                    recorder.offer(record)
                assert not recorder.flush()
            for record in frame_records(5, at + 70):
                recorder.offer(record)
            expected += frame_records(50, at)
            disk.full = False
            at += 75
            gap = Record(at - 25, frame_records(1, at - 25)[0].recv_ns, RecordKind.GAP, "", b"25")
            expected.append(gap)
            while recorder.failure is not None:
                recorder.flush()
        for record in frame_records(10, at):
            recorder.offer(record)
    assert recorder.failure is None
    assert recorder.dropped == 75
    assert replay_records(tmp_path, allow_gaps=True) == expected + frame_records(10, at)
    assert recorder.records == len(expected) + 10
    assert len(list(tmp_path.iterdir())) == 4


def test_no_space_for_the_next_segment_leaves_no_empty_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    full = [True]

    def refuse_new_segments(fd: int, data: bytes) -> int:
        file = Path(f"/proc/self/fd/{fd}").readlink().name
        if full[0] and bytes(data[:8]) == segment.MAGIC and not file.endswith(segment.RECENT_SUFFIX):
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(fd, data)

    with Recorder(tmp_path, SESSION, segment_bytes=1, retry_s=0.0) as recorder:
        monkeypatch.setattr(recorder._files, "_write", refuse_new_segments)
        recorder.offer(frame_records(1)[0])
        assert not recorder.flush()
        recorder.flush()
        deadline = time.monotonic() + 60.0
        while (
            len(list(tmp_path.iterdir())) != 2
        ):  # segment and recent file; another try may be under way, and its file not yet deleted
            assert time.monotonic() < deadline
        assert replay_records(tmp_path) == frame_records(1), "it was written before the next segment was wanted"
        full[0] = False
        while recorder.failure is not None:
            recorder.flush()
        recorder.offer(frame_records(1, 1)[0])
    assert recorder.dropped == 0
    assert replay_records(tmp_path) == frame_records(2)


LIMITED_SCRIPT = """
import resource, sys
from pathlib import Path
from dfmon.store import replayer
from dfmon.store.blocks import Damage
from dfmon.store.recorder import Recorder
from tests.store.store_samples import frame_records
import random
from dfmon.engine.journal import Record, RecordKind

rng = random.Random(1)
records = [Record(n, n, RecordKind.FRAME, "okx", rng.randbytes(1000)) for n in range(300)]
with Recorder(Path(sys.argv[1]), {"mode": "live"}, retry_s=0.0) as recorder:
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, resource.RLIM_INFINITY))
    for record in records[:30]:
        recorder.offer(record)
    assert recorder.flush()
    for record in records[30:100]:
        recorder.offer(record)
    assert not recorder.flush()
    print(recorder.failure)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    while recorder.failure is not None:
        recorder.flush()
    for record in records[100:]:
        recorder.offer(record)
found = list(replayer.records(Path(sys.argv[1]), allow_gaps=True))[1:]
gap = found.pop(30)
print(len(found), gap.kind.name, gap.payload.decode(), found == records[:30] + records[100:])
"""


@pytest.mark.slow
def test_a_limit_of_the_kernel_is_met_and_lifted(tmp_path: Path) -> None:
    """The real errno of a real file system, in a process of its own: RLIMIT_FSIZE stands for the full disk."""
    done = subprocess.run(
        [sys.executable, "-c", LIMITED_SCRIPT, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    reported, result = done.stdout.splitlines()
    assert reported.endswith("file too large")
    assert result == "230 GAP 70 True"


# ---- retention ---------------------------------------------------------------------------------------------------


def random_records(count: int, first: int = 0) -> list[Record]:
    rng = random.Random(first)
    return [Record(n, n, RecordKind.FRAME, "okx", rng.randbytes(2000)) for n in range(first, first + count)]


@pytest.mark.slow
def test_retention_by_size_keeps_the_newest(tmp_path: Path) -> None:
    keep_bytes = 400_000
    with Recorder(tmp_path, SESSION, keep_bytes=keep_bytes) as recorder:
        for n in range(0, 1000, 10):
            for record in random_records(10, n):
                recorder.offer(record)
            assert recorder.flush()
            assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= keep_bytes
    found = replay_records(tmp_path)
    assert found[-1] == random_records(10, 990)[-1]
    assert found == [r for n in range(0, 1000, 10) for r in random_records(10, n)][-len(found) :]
    assert len(found) > 0.6 * keep_bytes / 2000


def test_retention_by_age_spares_what_is_being_written(tmp_path: Path) -> None:
    with Recorder(tmp_path, SESSION) as second_recorder:
        for _ in range(2):
            record_all(tmp_path, frame_records(3))
        for file in tmp_path.iterdir():
            os.utime(file, (1e9, 1e9))
        recorder = record_all(tmp_path, frame_records(5), keep_days=7)
        assert sorted(tmp_path.iterdir()) == sorted([second_recorder.path, recorder.path])
    (tmp_path / "notes.txt").write_text("mine")
    for file in tmp_path.iterdir():
        os.utime(file, (1e9, 1e9))
    last = record_all(tmp_path, frame_records(5), keep_days=7)
    assert {file.name for file in tmp_path.iterdir()} == {last.path.name, "notes.txt"}


def test_unusable_directory_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cannot record into .*file/x: not a directory"):
        Recorder(tmp_path / "file" / "x", SESSION)


def test_session_must_be_json(tmp_path: Path) -> None:
    with pytest.raises(DfmonError, match="cannot be recorded as JSON"):
        Recorder(tmp_path, {"clock": threading})


KILLED_SCRIPT = """
import os, random, signal, sys
from pathlib import Path
from dfmon.engine.journal import Record, RecordKind
from dfmon.store import recorder, segment_files

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def child(directory, byte_limit, merges, after, confirm):
    written, write, delete = 0, os.write, segment_files._SegmentWriter.delete
    def deadly(fd, data):
        nonlocal written
        part = bytes(data[: max(byte_limit - written, 0)])
        written += write(fd, part) if part else 0
        if written >= byte_limit:
            die()
        return len(part)
    def deleted(file):
        nonlocal merges
        merges -= 1
        if merges < 0 and not after:
            die()
        delete(file)
        if merges < 0:
            die()
    segment_files._SegmentWriter.delete = deleted
    segment_files._BLOCK_BYTES = 6_000
    rng, seq = random.Random(byte_limit), 0
    journal = recorder.Recorder(directory, {"mode": "child"}, segment_bytes=9_000, write=deadly)
    while True:
        for _ in range(rng.randint(1, 60)):
            journal.offer(Record(seq, seq, RecordKind.FRAME, "deribit", b"%d" % (seq * seq) * 9))
            seq += 1
        if not journal.flush():
            os._exit(3)
        write(confirm, b"%d " % seq)

for line in sys.stdin:
    directory, byte_limit, merges, after = line.split()
    out, confirm = os.pipe()
    pid = os.fork()
    if not pid:
        child(Path(directory), int(byte_limit), int(merges), int(after), confirm)
    os.close(confirm)
    with os.fdopen(out) as confirmed:
        flushed = confirmed.read().split()
    _, status = os.waitpid(pid, 0)
    print(flushed[-1] if flushed else 0, os.waitstatus_to_exitcode(status), flush=True)
"""


@pytest.mark.slow
def test_kill_at_any_moment_loses_nothing_that_was_flushed(tmp_path: Path) -> None:
    """SIGKILL after a random number of bytes, 40 times: torn heads, torn blocks, torn merges, new segments, the very
    beginning; and 20 times between a merge and the deletion of what was merged, or right behind it.

    Whatever a flush had confirmed is there, whole, once and in order; at most the block that was being written is lost.
    """
    rng = random.Random(17)
    kills = [
        (byte_limit, 10**6, 0) for byte_limit in (*range(1, 40, 6), *(rng.randrange(60, 60_000) for _ in range(33)))
    ]
    kills += [(10**9, merges, after) for merges in range(10) for after in (0, 1)]
    command = [sys.executable, "-c", KILLED_SCRIPT]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        for number, kill in enumerate(kills):
            directory = tmp_path / str(number)
            parent.stdin.write(f"{directory} {kill[0]} {kill[1]} {kill[2]}\n")
            parent.stdin.flush()
            flushed, code = map(int, parent.stdout.readline().split())
            assert code == -signal.SIGKILL
            if kill[0] < segment.SEGMENT_HEADER_BYTES:
                assert not flushed
                continue
            damage: list[Damage] = []
            found = [r for r in replayer.records(directory, damage=damage) if r.kind is RecordKind.FRAME]
            assert [r.seq for r in found] == list(range(len(found)))
            assert len(found) >= flushed
            assert all(r.payload == b"%d" % (r.seq**2) * 9 for r in found)
            assert all(d.tail for d in damage)
            assert len(damage) <= (kill[1] == 10**6)


CHILD_SCRIPT = """
import sys
from pathlib import Path
from dfmon.engine.journal import Record, RecordKind
from dfmon.store.blocks import Damage
from dfmon.store.recorder import Recorder
recorder = Recorder(Path(sys.argv[1]), {"mode": "child"}, segment_bytes=40_000)
seq = 0
while True:
    for _ in range(200):
        recorder.offer(Record(seq, seq, RecordKind.FRAME, "deribit", b"%d" % (seq * seq) * 9))
        seq += 1
    recorder.flush()
    sys.stdout.write(f"{seq}\\n")
    sys.stdout.flush()
"""


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_kill_from_outside_loses_nothing_that_was_flushed(tmp_path: Path, seed: int) -> None:
    """The same by another process, at a moment the recorder knows nothing of."""
    lines = random.Random(seed).randint(1, 40)
    command = [sys.executable, "-c", CHILD_SCRIPT, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as child:
        assert child.stdout is not None
        for _ in range(lines):
            flushed = int(child.stdout.readline())
        child.send_signal(signal.SIGKILL)
    damage: list[Damage] = []
    _, *found = replayer.records(tmp_path, damage=damage)
    assert len(found) >= flushed
    assert [r.seq for r in found] == list(range(len(found)))
    assert found[-1].payload == b"%d" % ((len(found) - 1) ** 2) * 9
    assert all(d.tail for d in damage)
