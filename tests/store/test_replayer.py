"""Damaged recordings: what is readable is read, what is not is named by its bytes, holes are refused."""

from __future__ import annotations

import json
import random
import struct
import zlib
from pathlib import Path

import pytest

from dfmon.engine.journal import Record, RecordKind, encode
from dfmon.model.errors import DfmonError, SourceError, UsageError
from dfmon.store import blocks, replayer, segment
from dfmon.store.blocks import Damage
from dfmon.store.recorder import Recorder
from tests.store.store_samples import frame_records

BLOCKS, PER_BLOCK = 6, 20


@pytest.fixture(scope="module")
def sample_segment() -> bytes:
    """A segment of six blocks of twenty records."""
    opening = Record(0, 5, RecordKind.SESSION, "", json.dumps({"mode": "live"}).encode())
    parts = [[opening], *(frame_records(PER_BLOCK, block * PER_BLOCK) for block in range(BLOCKS))]
    packed = (segment.compress_block([encode(record) for record in part], part[0].seq) for part in parts)
    return segment.pack_segment_header(0, 7_000) + b"".join(packed)


def block_ranges(data: bytes) -> list[tuple[int, int]]:
    """Byte range of every block, the one of the SESSION first."""
    at, found = segment.SEGMENT_HEADER_BYTES, []
    while at < len(data):
        head = segment.unpack_block_header(data[at : at + segment.BLOCK_HEADER_BYTES])
        assert head is not None
        found.append((at, at + segment.BLOCK_HEADER_BYTES + head.packed))
        at = found[-1][1]
    return found


def read_damaged(path: Path, data: bytes) -> tuple[list[Record], list[Damage]]:
    path.write_bytes(data)
    damage: list[Damage] = []
    return list(replayer.records(path, allow_gaps=True, damage=damage)), damage


def test_layout_of_the_sample(sample_segment: bytes) -> None:
    assert len(block_ranges(sample_segment)) == BLOCKS + 1


@pytest.mark.slow
def test_a_flipped_bit_costs_its_block_and_names_its_bytes(sample_segment: bytes, tmp_path: Path) -> None:
    """A bit in the head and in the body of every block."""
    rng = random.Random(5)
    path = tmp_path / "flip.dfj"
    for number, (start, end) in enumerate(block_ranges(sample_segment)):
        for at in (
            *range(start, start + segment.BLOCK_HEADER_BYTES),
            *rng.sample(range(start + segment.BLOCK_HEADER_BYTES, end), 12),
        ):
            data = bytearray(sample_segment)
            data[at] ^= 1 << rng.randrange(8)
            found, damage = read_damaged(path, bytes(data))
            assert [(d.start, d.end) for d in damage] == [(start, end)]
            assert damage[0].tail is (number == BLOCKS)
            lost = range((number - 1) * PER_BLOCK, number * PER_BLOCK) if number else range(0)
            intact = [r for r in frame_records(BLOCKS * PER_BLOCK) if r.seq not in lost]
            assert [r for r in found if r.kind is RecordKind.FRAME] == intact
            gaps = [(r.seq, r.payload) for r in found if r.kind is RecordKind.GAP]
            has_gap = 0 < number < BLOCKS
            assert gaps == ([(lost.start, b"%d" % PER_BLOCK)] if has_gap else [])


def test_a_damaged_file_head_is_stepped_over(sample_segment: bytes, tmp_path: Path) -> None:
    for at in range(segment.SEGMENT_HEADER_BYTES):
        data = bytearray(sample_segment)
        data[at] ^= 0x10
        found, damage = read_damaged(tmp_path / "head.dfj", bytes(data))
        assert [(d.start, d.end) for d in damage] == [(0, segment.SEGMENT_HEADER_BYTES)]
        assert len(found) == 1 + BLOCKS * PER_BLOCK


def test_the_search_for_the_next_block_crosses_chunks(
    sample_segment: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, end = block_ranges(sample_segment)[2]
    data = bytearray(sample_segment)
    data[start] ^= 1
    for chunk in range(1, 70, 3):
        monkeypatch.setattr(blocks, "_SEARCH_CHUNK_BYTES", chunk)
        _, damage = read_damaged(tmp_path / "chunk.dfj", bytes(data))
        assert [(d.start, d.end) for d in damage] == [(start, end)]


def test_any_truncation_keeps_every_whole_block(sample_segment: bytes, tmp_path: Path) -> None:
    path = tmp_path / "cut.dfj"
    blocks = block_ranges(sample_segment)
    for end in random.Random(9).sample(range(len(segment.MAGIC), len(sample_segment)), 150):
        found, damage = read_damaged(path, sample_segment[:end])
        intact = [n for n, (_, stop) in enumerate(blocks) if stop <= end]
        assert len([r for r in found if r.kind is RecordKind.FRAME]) == PER_BLOCK * max(len(intact) - 1, 0)
        last = blocks[intact[-1]][1] if intact else min(segment.SEGMENT_HEADER_BYTES, end)
        if end > last or end < segment.SEGMENT_HEADER_BYTES:
            assert damage[-1].tail
            assert damage[-1].end == end
        else:
            assert not damage


def test_random_bytes_never_raise_anything_else(sample_segment: bytes, tmp_path: Path) -> None:
    rng = random.Random(11)
    for _ in range(200):
        data = bytearray(sample_segment)
        for _ in range(rng.randint(1, 30)):
            data[rng.randrange(len(segment.MAGIC), len(data))] = rng.randrange(256)
        found, _ = read_damaged(tmp_path / "noise.dfj", bytes(data))
        seqs = [r.seq for r in found if r.kind is RecordKind.FRAME]
        assert seqs == sorted(set(seqs))


def test_without_a_list_damage_is_an_error_after_the_last_record(sample_segment: bytes, tmp_path: Path) -> None:
    path = tmp_path / "cut.dfj"
    path.write_bytes(sample_segment[:-5])
    found = []
    with pytest.raises(SourceError, match=r"cut\.dfj: bytes \d+ to \d+ are unreadable: a block of \d+ bytes ends") as e:
        for record in replayer.records(path):
            found.append(record)
    assert len(found) == 1 + (BLOCKS - 1) * PER_BLOCK
    assert e.value.exit_code == 1


def test_a_hole_is_refused_with_its_cause(sample_segment: bytes, tmp_path: Path) -> None:
    data = bytearray(sample_segment)
    start, end = block_ranges(sample_segment)[2]
    data[end - 1] ^= 1
    path = tmp_path / "hole.dfj"
    path.write_bytes(data)
    message = f"20 records from number 20 are missing: the checksum of a block does not match at bytes {start} to {end}"
    with pytest.raises(SourceError, match=message):
        list(replayer.records(path))


def write_segments(directory: Path, parts: int, mode: str = "live") -> list[Path]:
    with Recorder(directory, {"mode": mode}, segment_bytes=1) as recorder:
        for part in range(parts):
            for record in frame_records(10, 10 * part):
                recorder.offer(record)
            recorder.flush()
    return sorted(directory.glob("*.dfj"))


def test_a_missing_segment_is_a_hole(tmp_path: Path) -> None:
    write_segments(tmp_path, 4)[1].unlink()
    with pytest.raises(SourceError, match="10 records from number 10 are missing"):
        list(replayer.records(tmp_path))
    found = list(replayer.records(tmp_path, allow_gaps=True))
    assert [r.kind.name for r in found].count("GAP") == 1
    assert len([r for r in found if r.kind is RecordKind.FRAME]) == 30


def test_a_segment_alone_is_a_recording_too(tmp_path: Path) -> None:
    opening, *found = replayer.records(write_segments(tmp_path, 3)[2])
    assert opening.kind is RecordKind.SESSION
    assert found == frame_records(10, 20)


def test_two_sessions_in_one_directory_each_begin_with_their_own_record(tmp_path: Path) -> None:
    write_segments(tmp_path, 2, "one")
    write_segments(tmp_path, 2, "two")
    found = list(replayer.records(tmp_path))
    session_indices = [n for n, r in enumerate(found) if r.kind is RecordKind.SESSION]
    assert session_indices == [0, 21]
    assert found[1:21] == found[22:] == frame_records(20)
    assert replayer.read_session(tmp_path) == {"mode": "one"}


def test_two_recorders_at_once_are_two_sessions(tmp_path: Path) -> None:
    """Their segments lie between each other; each session is read as one, the earlier first."""
    with (
        Recorder(tmp_path, {"mode": "one"}, segment_bytes=1) as first_recorder,
        Recorder(tmp_path, {"mode": "two"}, segment_bytes=1) as second_recorder,
    ):
        for n in range(4):
            for recorder in (first_recorder, second_recorder):
                recorder.offer(frame_records(1, n)[0])
                assert recorder.flush()
    found = list(replayer.records(tmp_path))
    assert [r.kind for r in found].count(RecordKind.SESSION) == 2
    assert found[1:5] == found[6:] == frame_records(4)


def test_swapped_segments_are_read_in_the_order_of_their_records(tmp_path: Path) -> None:
    files = write_segments(tmp_path, 5)
    moved = [file.rename(file.with_suffix(".aside")) for file in files]
    for file, other in zip(files, random.Random(4).sample(moved, len(moved))):
        other.rename(file)
    assert list(replayer.records(tmp_path))[1:] == frame_records(50)


def test_swapped_blocks_are_read_in_the_order_of_their_records(sample_segment: bytes, tmp_path: Path) -> None:
    opening, *rest = block_ranges(sample_segment)
    for seed in range(10):
        shuffled = [opening, *random.Random(seed).sample(rest, len(rest))]
        path = tmp_path / "swapped.dfj"
        path.write_bytes(
            sample_segment[: segment.SEGMENT_HEADER_BYTES]
            + b"".join(sample_segment[start:end] for start, end in shuffled)
        )
        assert list(replayer.records(path))[1:] == frame_records(BLOCKS * PER_BLOCK)


def test_a_repeated_block_is_read_once_and_named(sample_segment: bytes, tmp_path: Path) -> None:
    start, end = block_ranges(sample_segment)[3]
    found, damage = read_damaged(tmp_path / "twice.dfj", sample_segment + sample_segment[start:end])
    assert found[1:] == frame_records(BLOCKS * PER_BLOCK)
    assert [(d.start, d.end) for d in damage] == [(len(sample_segment), len(sample_segment) + end - start)]
    assert damage[0].reason == "records 40 to 59 are repeated"


def test_a_missing_block_is_a_hole(sample_segment: bytes, tmp_path: Path) -> None:
    start, end = block_ranges(sample_segment)[3]
    found, damage = read_damaged(tmp_path / "less.dfj", sample_segment[:start] + sample_segment[end:])
    assert not damage
    assert [r.seq for r in found if r.kind is RecordKind.GAP] == [40]
    assert len(found) == 1 + (BLOCKS - 1) * PER_BLOCK + 1


def test_a_zeroed_range_costs_the_blocks_it_touches(sample_segment: bytes, tmp_path: Path) -> None:
    """Whatever the range: every other block is read, and the bytes of the lost ones are named, no others."""
    rng = random.Random(13)
    blocks = block_ranges(sample_segment)
    for _ in range(150):
        start = rng.randrange(segment.SEGMENT_HEADER_BYTES, len(sample_segment))
        end = min(start + rng.choice((1, 20, 200, 2000)), len(sample_segment))
        data = sample_segment[:start] + bytes(end - start) + sample_segment[end:]
        touched = [n for n, (a, b) in enumerate(blocks) if a < end and b > start and data[a:b] != sample_segment[a:b]]
        found, damage = read_damaged(tmp_path / "zero.dfj", data)
        lost = {seq for n in touched if n for seq in range((n - 1) * PER_BLOCK, n * PER_BLOCK)}
        assert [r.seq for r in found if r.kind is RecordKind.FRAME] == [
            seq for seq in range(BLOCKS * PER_BLOCK) if seq not in lost
        ]
        named_bytes = {at for d in damage for at in range(d.start, d.end)}
        assert named_bytes == {at for n in touched for at in range(*blocks[n])}


def test_bytes_lost_from_the_middle_cost_one_block(sample_segment: bytes, tmp_path: Path) -> None:
    """Everything behind stands elsewhere then, also where the last block seems to reach past the end."""
    for number in (2, BLOCKS):
        start, end = block_ranges(sample_segment)[number]
        found, damage = read_damaged(
            tmp_path / "short.dfj",
            sample_segment[: start + 40] + sample_segment[end - 30 :]
            if number < BLOCKS
            else sample_segment[: start + 40],
        )
        assert len([r for r in found if r.kind is RecordKind.FRAME]) == (BLOCKS - 1) * PER_BLOCK
        assert [d.start for d in damage] == [start]


def test_reading_goes_on_after_any_record(tmp_path: Path) -> None:
    """What an earlier reading had come to is a place; two sessions, blocks of three, segments of two blocks."""
    for mode in ("one", "two"):
        with Recorder(tmp_path, {"mode": mode}, segment_bytes=200) as recorder:
            for n in range(0, 30, 3):
                for record in frame_records(3, n):
                    recorder.offer(record)
                recorder.flush()
    recorded = replayer.RecordingReader(tmp_path)
    all_records = list(recorded.records())
    assert len(all_records) == 62
    for at, (record, started_ns) in enumerate(all_records):
        if record.kind is not RecordKind.SESSION:
            cursor = replayer.RecordCursor(started_ns, record.seq)
            assert list(recorded.records(after=cursor)) == all_records[at + 1 :]


def test_session_comes_from_any_segment_that_still_has_it(tmp_path: Path) -> None:
    first, *_ = write_segments(tmp_path, 2)
    data = bytearray(first.read_bytes())
    data[block_ranges(bytes(data))[0][1] - 1] ^= 1
    first.write_bytes(data)
    assert replayer.read_session(tmp_path) == {"mode": "live"}
    with pytest.raises(SourceError, match="has no readable session record"):
        replayer.read_session(first)


def test_is_recording_looks_at_the_content(sample_segment: bytes, tmp_path: Path) -> None:
    renamed, text, empty = tmp_path / "a.bin", tmp_path / "b.dfj", tmp_path / "empty"
    renamed.write_bytes(sample_segment)
    text.write_text("not a recording")
    empty.mkdir()
    assert replayer.is_recording(renamed)
    assert not any(replayer.is_recording(p) for p in (text, empty, tmp_path, tmp_path / "none"))
    (tmp_path / "c.dfj").write_bytes(sample_segment)
    assert replayer.is_recording(tmp_path)


def test_what_is_no_recording_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("hello")
    (tmp_path / "dir").mkdir()
    for name, message in (
        ("none", "does not exist"),
        ("x.txt", "not a recording of dfmon"),
        ("dir", "has no recording"),
    ):
        with pytest.raises(UsageError, match=message):
            replayer.records(tmp_path / name)


def test_a_newer_format_is_refused(sample_segment: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "new.dfj"
    with monkeypatch.context() as patch:
        patch.setattr(segment, "VERSION", 3)
        path.write_bytes(segment.pack_segment_header(0, 1) + sample_segment[segment.SEGMENT_HEADER_BYTES :])
    with pytest.raises(DfmonError, match="recording in format 3: this dfmon reads up to 2"):
        list(replayer.records(path))


def version_1_block(records: list[Record], magic: bytes = b"DFJB") -> bytes:
    """A block as version 1 wrote it: the records one after another, packed by zlib."""
    raw = b"".join(map(encode, records))
    packed = zlib.compress(raw, 6)
    head = struct.pack("<4sIIIQI", magic, len(packed), len(raw), len(records), records[0].seq, zlib.crc32(packed))
    return head + struct.pack("<I", zlib.crc32(head)) + packed


def test_a_recording_of_the_first_format_is_read(tmp_path: Path) -> None:
    """Also where its damage is named, and where newer blocks stand beside the old ones."""
    head = struct.pack("<8sHHIq", b"\x89dfmonj\n", 1, 0, 0, 7_000)
    opening = Record(0, 5, RecordKind.SESSION, "", json.dumps({"mode": "old"}).encode())
    data = head + struct.pack("<I", zlib.crc32(head)) + version_1_block([opening])
    for n in (0, 10):
        data += version_1_block(frame_records(10, n))
    path = tmp_path / "old.dfj"
    found, damage = read_damaged(
        path, data + segment.compress_block([encode(record) for record in frame_records(5, 20)], 20)
    )
    assert found == [opening, *frame_records(25)]
    assert not damage
    assert replayer.read_session(path) == {"mode": "old"}
    start, end = block_ranges(data)[1]
    damaged = bytearray(data)
    damaged[end - 1] ^= 1
    found, damage = read_damaged(path, bytes(damaged))
    assert [(d.start, d.end) for d in damage] == [(start, end)]
    assert [record.seq for record in found if record.kind is RecordKind.FRAME] == list(range(10, 20))


def test_a_forged_block_is_damage_and_nothing_worse(sample_segment: bytes, tmp_path: Path) -> None:
    """The checksums hold, the content does not."""
    rows = version_1_block(frame_records(10), b"DFJC")  # rows where columns are said
    path = tmp_path / "forged.dfj"
    found, damage = read_damaged(path, sample_segment + rows)
    assert found[1:] == frame_records(BLOCKS * PER_BLOCK)
    assert [(d.start, d.end) for d in damage] == [(len(sample_segment), len(sample_segment) + len(rows))]
    for packed in (
        b"",
        b"\1",
        struct.pack("<BI", 1, 1 << 31),
        struct.pack("<BI", 1, 8) + zlib.compress(b"") + b"x" * 9,
    ):
        head = struct.pack("<4sIIIQI", b"DFJC", len(packed), 3, 1, 0, zlib.crc32(packed))
        block = segment.unpack_block_header(head + struct.pack("<I", zlib.crc32(head)))
        assert block is not None
        with pytest.raises(ValueError, match="block"):
            list(segment.decompress_records(block, packed))


def test_a_block_is_read_alike_however_it_was_packed() -> None:
    rows = [encode(record) for record in frame_records(300)]
    for compression in segment.Compression:
        data = segment.compress_block(rows, 0, compression)
        head = segment.unpack_block_header(data[: segment.BLOCK_HEADER_BYTES])
        assert head is not None
        assert list(segment.decompress_records(head, data[segment.BLOCK_HEADER_BYTES :])) == frame_records(300)
