"""Small blocks become large ones: what is in both files is read once, what is in one of them is read."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from dfmon.engine.journal import Record, RecordKind, encode
from dfmon.store import replayer, segment, segment_files
from dfmon.store.recorder import Recorder
from dfmon.store.segment import Effort
from tests.store.store_samples import frames

SESSION = {"mode": "live"}
MERGED, RECENT, EACH = 40, 5, 10  # records in a block of the segment; small blocks behind it, and records in one


class Files:
    """A segment with one merged block, and its recent file with `RECENT` small blocks, as a kill leaves them."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.path = directory / "dfmon-1.dfj"
        self.recent = segment.recent(self.path)
        self.path.write_bytes(self.opening(0) + self.block(0, MERGED))
        self.small = [self.block(MERGED + n * EACH, EACH, Effort.HASTE) for n in range(RECENT)]
        self.recent.write_bytes(self.opening(MERGED) + b"".join(self.small))
        self.merge = self.block(MERGED, RECENT * EACH)

    @staticmethod
    def opening(seq: int) -> bytes:
        row = encode(Record(seq, 5, RecordKind.SESSION, "", b'{"mode":"live"}'))
        return segment.pack_segment(0, 7_000) + segment.pack_block([row], seq)

    @staticmethod
    def block(first: int, count: int, effort: Effort = Effort.CALM) -> bytes:
        return segment.pack_block([encode(record) for record in frames(count, first)], first, effort)

    def add(self, data: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(data)

    def read(self) -> tuple[list[Record], list[replayer.Damage]]:
        damage: list[replayer.Damage] = []
        opening, *found = replayer.records(self.path.parent, allow_gaps=True, damage=damage)
        assert opening.kind is RecordKind.SESSION
        return found, damage


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "recording")


EVERYTHING = frames(MERGED + RECENT * EACH)


def test_recent_blocks_follow_their_segment(files: Files) -> None:
    assert files.read() == (EVERYTHING, [])
    assert list(replayer.records(files.path))[1:] == EVERYTHING, "also where the segment alone is named"
    assert list(replayer.records(files.recent))[1:] == EVERYTHING[MERGED:]


def test_what_was_merged_and_not_yet_deleted_is_read_once(files: Files) -> None:
    files.add(files.merge)
    assert files.read() == (EVERYTHING, [])
    files.recent.write_bytes(files.recent.read_bytes()[:-7])
    assert files.read() == (EVERYTHING, []), "what counts is the merged block"


def test_a_merge_cut_short_is_no_damage(files: Files) -> None:
    """Wherever it ends, its records stand in the recent file."""
    whole = files.path.read_bytes()
    for end in range(1, len(files.merge)):
        files.path.write_bytes(whole + files.merge[:end])
        assert files.read() == (EVERYTHING, [])


def test_a_broken_merged_block_is_named_and_its_records_come_from_the_recent_file(files: Files) -> None:
    begin = files.path.stat().st_size
    files.add(files.merge[:-1] + bytes([files.merge[-1] ^ 1]))
    found, damage = files.read()
    assert found == EVERYTHING
    assert [(d.path, d.start, d.end) for d in damage] == [(files.path, begin, begin + len(files.merge))]


def test_damage_of_the_segment_is_named_whatever_the_recent_file_has(files: Files) -> None:
    """A bit of the merged block before; what is behind it is read from the recent file."""
    opening, whole = len(files.opening(0)), files.path.read_bytes()
    for at in random.Random(2).sample(range(opening, len(whole)), 60):
        files.path.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        found, damage = files.read()
        assert [r for r in found if r.kind is RecordKind.FRAME] == EVERYTHING[MERGED:]
        assert [(d.path, d.start, d.end) for d in damage] == [(files.path, opening, len(whole))]


def test_damage_of_the_recent_file_costs_its_small_block(files: Files) -> None:
    data = files.recent.read_bytes()
    start = len(files.opening(MERGED)) + len(files.small[0])
    files.recent.write_bytes(data[: start + 60] + bytes([data[start + 60] ^ 1]) + data[start + 61 :])
    found, damage = files.read()
    lost = range(MERGED + EACH, MERGED + 2 * EACH)
    assert [r.seq for r in found if r.kind is RecordKind.FRAME] == [r.seq for r in EVERYTHING if r.seq not in lost]
    assert [(d.path, d.start, d.end) for d in damage] == [(files.recent, start, start + len(files.small[1]))]


def test_a_recent_file_without_its_segment_is_a_recording(files: Files) -> None:
    files.path.unlink()
    assert files.read() == (EVERYTHING[MERGED:], [])


def test_a_recent_file_that_goes_while_the_folder_is_listed_is_passed_over(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recorder merges it at that moment: before its size is asked for, before it is read."""
    for name in ("stat", "read_bytes", "open"):
        asked = getattr(Path, name)

        def gone(path: Path, *words: Any, asked: Any = asked, **options: Any) -> Any:
            if path == files.recent:
                raise FileNotFoundError(2, "No such file or directory", str(path))
            return asked(path, *words, **options)

        with monkeypatch.context() as merging:
            merging.setattr(Path, name, gone)
            assert replayer.is_recording(files.path.parent)
            assert files.read() in ((EVERYTHING[:MERGED], []), (EVERYTHING, [])), name


def test_an_empty_recent_file_holds_nothing(files: Files) -> None:
    files.recent.write_bytes(b"")
    assert files.read() == (EVERYTHING[:MERGED], [])
    assert list(replayer.records(files.path))[1:] == EVERYTHING[:MERGED]


def test_reading_goes_on_after_any_record_of_either_file(files: Files) -> None:
    for merge in (b"", files.merge):
        files.add(merge)
        recorded = replayer.Recorded(files.path.parent)
        for at, record in enumerate(EVERYTHING):
            place = replayer.Place(7_000, record.seq)
            assert [r for r, _ in recorded.records(after=place)] == EVERYTHING[at + 1 :]


def test_a_recording_being_written_is_read_as_it_was_when_it_was_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before, while and after the recorder merges what the reader has seen in small blocks."""
    monkeypatch.setattr(segment_files, "_BLOCK_BYTES", 4_000)
    seen: list[tuple[int, replayer.Recorded]] = []
    with Recorder(tmp_path, SESSION) as recorder:
        for first in range(0, 400, EACH):
            for record in frames(EACH, first):
                recorder.offer(record)
            assert recorder.flush()
            seen.append((first + EACH, replayer.Recorded(tmp_path)))
    assert not segment.recent(recorder.path).exists()
    for count, recorded in seen:
        assert [record for record, _ in recorded.records()][1:] == frames(count)


def test_blocks_grow_to_a_megabyte_and_the_recording_shrinks(tmp_path: Path) -> None:
    """A hundred flushes of some kilobytes: one block more than the SESSION, half the size, nothing beside it."""
    with Recorder(tmp_path, SESSION) as recorder:
        for first in range(0, 1000, 10):
            for record in frames(10, first):
                recorder.offer(record)
            assert recorder.flush()
        before = recorder.written_bytes
        assert before == sum(file.stat().st_size for file in tmp_path.iterdir())
    assert list(tmp_path.iterdir()) == [recorder.path]
    assert len(replayer.Recorded(tmp_path).blocks) == 2
    assert recorder.written_bytes == recorder.path.stat().st_size < before / 2
    assert list(replayer.records(tmp_path))[1:] == frames(1000)


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
    refused = [True]

    def sync(_file: object) -> None:
        if refused[0]:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(segment_files._Written, "sync", sync)
    with Recorder(tmp_path, SESSION, retry_s=0.0) as recorder:
        for record in frames(EACH):
            recorder.offer(record)
        assert recorder.flush()
        for record in frames(60, EACH):
            recorder.offer(record)
        assert not recorder.flush()
        assert recorder.failed is not None
        refused[0] = False
        while recorder.failed is not None:
            recorder.flush()
        for record in frames(EACH, 70):
            recorder.offer(record)
    found = list(replayer.records(tmp_path, allow_gaps=True))[1:]
    assert [r for r in found if r.kind is RecordKind.FRAME] == [*frames(EACH), *frames(EACH, 70)]
    assert [(r.seq, r.payload) for r in found if r.kind is RecordKind.GAP] == [(EACH, b"60")]
