"""The recorder at its limits: a mailbox filled to the byte, the wait before a retry, the counters."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfmon.engine.journal import Record, RecordKind
from dfmon.store import replayer
from dfmon.store.recorder import Recorder, _next_seq
from tests.store.store_samples import frame_records

SESSION = {"mode": "live"}
OVERHEAD_BYTES = 120


@pytest.mark.parametrize(("spare_bytes", "dropped"), [(0, 0), (-1, 1)])
def test_a_record_that_fills_the_mailbox_to_the_byte_is_taken(spare_bytes: int, dropped: int, tmp_path: Path) -> None:
    record = Record(0, 0, RecordKind.REST, "deribit", b"x" * 1000)
    limit = OVERHEAD_BYTES + len(record.payload) + spare_bytes
    with Recorder(tmp_path, SESSION, mailbox_bytes=limit) as recorder:
        recorder.offer(record)
        assert recorder.dropped == dropped


def test_the_wait_before_a_retry_doubles_up_to_a_minute(tmp_path: Path) -> None:
    waits: dict[float, list[float]] = {}
    for retry_s in (5.0, 90.0):
        recorder = Recorder(tmp_path / str(retry_s), SESSION, retry_s=retry_s, timer=lambda: 1000.0)
        recorder.close()
        waits[retry_s] = []
        for _ in range(6):
            recorder._schedule_retry()
            waits[retry_s].append(recorder._retry_at_s - 1000.0)
    assert waits == {5.0: [5.0, 10.0, 20.0, 40.0, 60.0, 60.0], 90.0: [90.0] * 6}


def test_a_block_that_was_written_ends_the_row_of_failures(tmp_path: Path) -> None:
    with Recorder(tmp_path, SESSION) as recorder:
        recorder._failures = 3
        recorder.offer(frame_records(1)[0])
        assert recorder.flush()
        assert recorder._failures == 0


def test_counters_are_sums_over_all_blocks(tmp_path: Path) -> None:
    with Recorder(tmp_path, SESSION) as recorder:
        recorder.offer(frame_records(1)[0])
        assert recorder.flush()
        first_bytes = recorder.raw_bytes
        for record in (*frame_records(1, 1), Record(2, 0, RecordKind.REST, "deribit", b"")):
            recorder.offer(record)
        assert recorder.flush()
        assert (recorder.records, recorder.frames) == (3, 2)
        assert recorder.raw_bytes > 2 * first_bytes - 2 > 0


def test_the_number_behind_a_gap_is_behind_all_that_is_missing() -> None:
    assert _next_seq(Record(5, 0, RecordKind.GAP, "", b"7")) == 12
    assert _next_seq(frame_records(1, 5)[0]) == 6


def test_the_session_of_each_segment_has_the_number_of_its_first_record(tmp_path: Path) -> None:
    with Recorder(tmp_path, SESSION, segment_bytes=1) as recorder:
        for record in frame_records(3):
            recorder.offer(record)
            assert recorder.flush()
    reader = replayer.RecordingReader(tmp_path)
    opening = sorted(block.first_seq for block in reader.blocks if not block.is_continuation)
    assert opening == [0, 1, 2]  # the last one, without records, is not kept


def test_the_segment_after_a_pause_begins_at_the_first_missing_record(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, SESSION)
    recorder.close()
    recorder._gap = Record(7, 0, RecordKind.GAP, "", b"3")
    recorder._retry_segment(immediately=True)
    assert sorted(block.first_seq for block in replayer.RecordingReader(tmp_path).blocks) == [0, 7]


@pytest.mark.parametrize(("count", "dropped"), [(200_000, 0), (200_001, 1)])
def test_the_mailbox_has_room_for_200_000_records(count: int, dropped: int, tmp_path: Path) -> None:
    with Recorder(tmp_path, SESSION) as recorder:
        recorder.close()
    recorder._closing = False  # without a thread that takes them out
    recorder._mailbox = [Record(0, 0, RecordKind.TIMER, "", b"")] * (count - 1)
    recorder.offer(Record(1, 0, RecordKind.TIMER, "", b""))
    assert recorder.dropped == dropped


def test_closing_wakes_the_thread_at_once(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, SESSION, batch_s=30.0)
    recorder.close(timeout_s=5.0)
    assert not recorder._thread.is_alive()


def test_a_recorder_without_a_thread_writes_when_it_is_told_to(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, SESSION, batch_s=None)
    recorder.offer(frame_records(1)[0])
    assert recorder.records == 0
    assert not recorder.write_batch()
    assert recorder.records == 1
    recorder.offer(frame_records(1, 1)[0])
    recorder.close()
    assert [record.seq for record in replayer.records(tmp_path) if record.kind is RecordKind.FRAME] == [0, 1]
