"""Small blocks become large ones: what is in both files is read once, what is in one of them is read."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from dfmon.engine.journal import Record, RecordKind, encode
from dfmon.store import replayer, segment, segment_files
from dfmon.store.blocks import Damage
from dfmon.store.recorder import Recorder
from dfmon.store.segment import Compression
from tests.store.store_samples import frame_records

SESSION = {"mode": "live"}
MERGED_RECORDS, RECENT_BLOCKS, RECORDS_PER_BLOCK = (
    40,
    5,
    10,
)  # records in a block of the segment; small blocks behind it, and records in one


class RecordingFiles:
    """A segment with one merged block, and its recent file with `RECENT_BLOCKS` small blocks, as a kill leaves them."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.path = directory / "dfmon-1.dfj"
        self.recent_file = segment.recent_file(self.path)
        self.path.write_bytes(self.header_bytes(0) + self.block_bytes(0, MERGED_RECORDS))
        self.recent_blocks = [
            self.block_bytes(MERGED_RECORDS + n * RECORDS_PER_BLOCK, RECORDS_PER_BLOCK, Compression.FAST)
            for n in range(RECENT_BLOCKS)
        ]
        self.recent_file.write_bytes(self.header_bytes(MERGED_RECORDS) + b"".join(self.recent_blocks))
        self.merged_block = self.block_bytes(MERGED_RECORDS, RECENT_BLOCKS * RECORDS_PER_BLOCK)

    @staticmethod
    def header_bytes(seq: int) -> bytes:
        row = encode(Record(seq, 5, RecordKind.SESSION, "", b'{"mode":"live"}'))
        return segment.pack_segment_header(0, 7_000) + segment.compress_block([row], seq)

    @staticmethod
    def block_bytes(first: int, count: int, compression: Compression = Compression.BEST) -> bytes:
        return segment.compress_block([encode(record) for record in frame_records(count, first)], first, compression)

    def append_bytes(self, data: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(data)

    def read_records(self) -> tuple[list[Record], list[Damage]]:
        damage: list[Damage] = []
        opening, *found = replayer.records(self.path.parent, allow_gaps=True, damage=damage)
        assert opening.kind is RecordKind.SESSION
        return found, damage


@pytest.fixture
def files(tmp_path: Path) -> RecordingFiles:
    return RecordingFiles(tmp_path / "recording")


ALL_RECORDS = frame_records(MERGED_RECORDS + RECENT_BLOCKS * RECORDS_PER_BLOCK)


def test_recent_blocks_follow_their_segment(files: RecordingFiles) -> None:
    assert files.read_records() == (ALL_RECORDS, [])
    assert list(replayer.records(files.path))[1:] == ALL_RECORDS, "also where the segment alone is named"
    assert list(replayer.records(files.recent_file))[1:] == ALL_RECORDS[MERGED_RECORDS:]


def test_what_was_merged_and_not_yet_deleted_is_read_once(files: RecordingFiles) -> None:
    files.append_bytes(files.merged_block)
    assert files.read_records() == (ALL_RECORDS, [])
    files.recent_file.write_bytes(files.recent_file.read_bytes()[:-7])
    assert files.read_records() == (ALL_RECORDS, []), "what counts is the merged block"


def test_a_merge_cut_short_is_no_damage(files: RecordingFiles) -> None:
    """Wherever it ends, its records stand in the recent file."""
    segment_bytes = files.path.read_bytes()
    for end in range(1, len(files.merged_block)):
        files.path.write_bytes(segment_bytes + files.merged_block[:end])
        assert files.read_records() == (ALL_RECORDS, [])


@pytest.mark.parametrize(("count", "is_named"), [(-1, False), (0, True), (1, True)])
def test_foreign_bytes_behind_the_segment_are_named_from_the_size_of_a_header_on(
    count: int, is_named: bool, files: RecordingFiles
) -> None:
    """Fewer bytes than a header may be of the merged block that was cut short."""
    start, size = files.path.stat().st_size, segment.BLOCK_HEADER_BYTES + count
    files.append_bytes(b"?" * size)
    found, damage = files.read_records()
    assert found == ALL_RECORDS
    assert [(d.start, d.end) for d in damage] == ([(start, start + size)] if is_named else [])


def test_a_broken_merged_block_is_named_and_its_records_come_from_the_recent_file(files: RecordingFiles) -> None:
    begin = files.path.stat().st_size
    files.append_bytes(files.merged_block[:-1] + bytes([files.merged_block[-1] ^ 1]))
    found, damage = files.read_records()
    assert found == ALL_RECORDS
    assert [(d.path, d.start, d.end) for d in damage] == [(files.path, begin, begin + len(files.merged_block))]


def test_damage_of_the_segment_is_named_whatever_the_recent_file_has(files: RecordingFiles) -> None:
    """A bit of the merged block before; what is behind it is read from the recent file."""
    header_bytes, segment_bytes = len(files.header_bytes(0)), files.path.read_bytes()
    for at in random.Random(2).sample(range(header_bytes, len(segment_bytes)), 60):
        files.path.write_bytes(segment_bytes[:at] + bytes([segment_bytes[at] ^ 4]) + segment_bytes[at + 1 :])
        found, damage = files.read_records()
        assert [r for r in found if r.kind is RecordKind.FRAME] == ALL_RECORDS[MERGED_RECORDS:]
        assert [(d.path, d.start, d.end) for d in damage] == [(files.path, header_bytes, len(segment_bytes))]


def test_damage_of_the_recent_file_costs_its_small_block(files: RecordingFiles) -> None:
    data = files.recent_file.read_bytes()
    start = len(files.header_bytes(MERGED_RECORDS)) + len(files.recent_blocks[0])
    files.recent_file.write_bytes(data[: start + 60] + bytes([data[start + 60] ^ 1]) + data[start + 61 :])
    found, damage = files.read_records()
    lost = range(MERGED_RECORDS + RECORDS_PER_BLOCK, MERGED_RECORDS + 2 * RECORDS_PER_BLOCK)
    assert [r.seq for r in found if r.kind is RecordKind.FRAME] == [r.seq for r in ALL_RECORDS if r.seq not in lost]
    assert [(d.path, d.start, d.end) for d in damage] == [
        (files.recent_file, start, start + len(files.recent_blocks[1]))
    ]


def test_a_recent_file_without_its_segment_is_a_recording(files: RecordingFiles) -> None:
    files.path.unlink()
    assert files.read_records() == (ALL_RECORDS[MERGED_RECORDS:], [])


def test_a_recent_file_that_goes_while_the_folder_is_listed_is_passed_over(
    files: RecordingFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recorder merges it at that moment: before its size is asked for, before it is read."""
    for name in ("stat", "read_bytes", "open"):
        original = getattr(Path, name)

        def vanish(path: Path, *args: Any, original: Any = original, **options: Any) -> Any:
            if path == files.recent_file:
                raise FileNotFoundError(2, "No such file or directory", str(path))
            return original(path, *args, **options)

        with monkeypatch.context() as patch:
            patch.setattr(Path, name, vanish)
            assert replayer.is_recording(files.path.parent)
            assert files.read_records() in ((ALL_RECORDS[:MERGED_RECORDS], []), (ALL_RECORDS, [])), name


def test_an_empty_recent_file_holds_nothing(files: RecordingFiles) -> None:
    files.recent_file.write_bytes(b"")
    assert files.read_records() == (ALL_RECORDS[:MERGED_RECORDS], [])
    assert list(replayer.records(files.path))[1:] == ALL_RECORDS[:MERGED_RECORDS]


def test_reading_goes_on_after_any_record_of_either_file(files: RecordingFiles) -> None:
    for merged_block in (b"", files.merged_block):
        files.append_bytes(merged_block)
        recorded = replayer.RecordingReader(files.path.parent)
        for at, record in enumerate(ALL_RECORDS):
            cursor = replayer.RecordCursor(7_000, record.seq)
            assert [r for r, _ in recorded.records(after=cursor)] == ALL_RECORDS[at + 1 :]


def test_a_recording_being_written_is_read_as_it_was_when_it_was_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before, while and after the recorder merges what the reader has seen in small blocks."""
    monkeypatch.setattr(segment_files, "_BLOCK_BYTES", 4_000)
    readers: list[tuple[int, replayer.RecordingReader]] = []
    with Recorder(tmp_path, SESSION) as recorder:
        for first in range(0, 400, RECORDS_PER_BLOCK):
            for record in frame_records(RECORDS_PER_BLOCK, first):
                recorder.offer(record)
            assert recorder.flush()
            readers.append((first + RECORDS_PER_BLOCK, replayer.RecordingReader(tmp_path)))
    assert not segment.recent_file(recorder.path).exists()
    for count, recorded in readers:
        assert [record for record, _ in recorded.records()][1:] == frame_records(count)


def test_blocks_grow_to_a_megabyte_and_the_recording_shrinks(tmp_path: Path) -> None:
    """A hundred flushes of some kilobytes: one block more than the SESSION, half the size, nothing beside it."""
    with Recorder(tmp_path, SESSION) as recorder:
        for first in range(0, 1000, 10):
            for record in frame_records(10, first):
                recorder.offer(record)
            assert recorder.flush()
        before = recorder.written_bytes
        assert before == sum(file.stat().st_size for file in tmp_path.iterdir())
    assert list(tmp_path.iterdir()) == [recorder.path]
    assert len(replayer.RecordingReader(tmp_path).blocks) == 2
    assert recorder.written_bytes == recorder.path.stat().st_size < before / 2
    assert list(replayer.records(tmp_path))[1:] == frame_records(1000)


@pytest.mark.slow
def test_a_flood_is_written_at_once(tmp_path: Path) -> None:
    """A megabyte at a time: no second file, no second packing."""
    items = [Record(n, n, RecordKind.FRAME, "okx", random.Random(n).randbytes(4000)) for n in range(1000)]
    with Recorder(tmp_path, SESSION) as recorder:
        for record in items:
            recorder.offer(record)
        assert recorder.flush()
    assert list(replayer.records(tmp_path))[1:] == items


def test_a_merge_that_fails_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk refuses what is forced on it: recording pauses, what was flushed stays where it was."""
    monkeypatch.setattr(segment_files, "_BLOCK_BYTES", 4_000)
    fail_sync = [True]

    def sync(_file: object) -> None:
        if fail_sync[0]:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(segment_files._SegmentWriter, "sync", sync)
    with Recorder(tmp_path, SESSION, retry_s=0.0) as recorder:
        for record in frame_records(RECORDS_PER_BLOCK):
            recorder.offer(record)
        assert recorder.flush()
        for record in frame_records(60, RECORDS_PER_BLOCK):
            recorder.offer(record)
        assert not recorder.flush()
        assert recorder.failure is not None
        fail_sync[0] = False
        for _ in iter(lambda: recorder.failure, None):
            recorder.flush()
        for record in frame_records(RECORDS_PER_BLOCK, 70):
            recorder.offer(record)
    found = list(replayer.records(tmp_path, allow_gaps=True))[1:]
    assert [r for r in found if r.kind is RecordKind.FRAME] == [
        *frame_records(RECORDS_PER_BLOCK),
        *frame_records(RECORDS_PER_BLOCK, 70),
    ]
    assert [(r.seq, r.payload) for r in found if r.kind is RecordKind.GAP] == [(RECORDS_PER_BLOCK, b"60")]
