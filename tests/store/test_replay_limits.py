"""Reading at the boundaries: overlapping and repeated numbers, which damage is named, what lies before the cursor."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from dfmon.engine.journal import Record, RecordKind, encode
from dfmon.model.errors import SourceError
from dfmon.store import replayer, segment
from dfmon.store.blocks import Damage
from dfmon.store.replayer import RecordCursor, RecordingReader, _SequenceTracker
from tests.store.store_samples import frame_records

STARTED_NS = 7_000


def session(seq: int = 0) -> Record:
    return Record(seq, 5, RecordKind.SESSION, "", b'{"mode":"live"}')


def write(path: Path, *parts: list[Record], session_seq: int = 0) -> list[int]:
    """A segment of one block for each part, after that of the session; returns the edges of all blocks."""
    edges, data = [segment.SEGMENT_HEADER_BYTES], segment.pack_segment_header(0, STARTED_NS)
    for part in ([session(session_seq)], *parts):
        data += segment.compress_block([encode(record) for record in part], part[0].seq)
        edges.append(len(data))
    path.write_bytes(data)
    return edges


def flip(path: Path, *offsets: int) -> None:
    data = bytearray(path.read_bytes())
    for offset in offsets:
        data[offset] ^= 1
    path.write_bytes(data)


def gaps(path: Path) -> list[tuple[int, bytes]]:
    damage: list[Damage] = []
    found = replayer.records(path, allow_gaps=True, damage=damage)
    return [(record.seq, record.payload) for record in found if record.kind is RecordKind.GAP]


@pytest.mark.parametrize(("first", "missing"), [(5, []), (6, []), (7, [(5, b"2")])])
def test_after_damage_the_numbering_begins_at_the_session_or_right_behind_it(
    first: int, missing: list[tuple[int, bytes]], tmp_path: Path
) -> None:
    edges = write(tmp_path / "a.dfj", frame_records(1, 5), frame_records(2, first), session_seq=5)
    flip(tmp_path / "a.dfj", edges[1])
    assert gaps(tmp_path / "a.dfj") == missing


def test_numbers_that_run_backwards_are_a_gap_of_none(tmp_path: Path) -> None:
    path = tmp_path / "a.dfj"
    write(path, frame_records(4), frame_records(4, 2))
    assert gaps(path) == [(4, b"0")]
    with pytest.raises(SourceError, match="has a gap: record numbers run backwards; --across-gaps"):
        list(replayer.records(path))


@pytest.mark.parametrize("count", [1, 2])
def test_a_first_block_that_is_repeated_is_read_once(count: int, tmp_path: Path) -> None:
    path, damage = tmp_path / "a.dfj", list[Damage]()
    edges = write(path, frame_records(count), frame_records(count), frame_records(2, count))
    assert list(replayer.records(path, damage=damage)) == [session(), *frame_records(count + 2)]
    assert [(d.start, d.end) for d in damage] == [(edges[2], edges[3])]


def test_the_damage_that_ends_where_the_gap_does_is_its_cause(tmp_path: Path) -> None:
    path = tmp_path / "a.dfj"
    edges = write(path, *(frame_records(3, 3 * block) for block in range(6)))
    flip(path, edges[2], edges[5])
    with pytest.raises(
        SourceError, match=rf"3 records from number 3 are missing: .* at bytes {edges[2]} to {edges[3]};"
    ):
        list(replayer.records(path))


def test_damage_before_the_cursor_is_not_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a.dfj"
    edges = write(path, *(frame_records(3, 3 * block) for block in range(4)))
    flip(path, edges[3] - 1)  # the body of the second block
    for seq, expected in ((5, [6, 7, 8, 9, 10, 11]), (6, [7, 8, 9, 10, 11])):
        damage: list[Damage] = []
        found = RecordingReader(path).records(after=RecordCursor(STARTED_NS, seq), allow_gaps=True, damage=damage)
        assert [record.seq for record, _ in found] == expected
        assert len(damage) == (1 if seq == 5 else 0)


def test_the_span_is_from_the_first_to_the_last_record(tmp_path: Path) -> None:
    path = tmp_path / "a.dfj"
    write(path, frame_records(3), frame_records(3, 3))
    assert RecordingReader(path).span() == (frame_records(1)[0].recv_ns, frame_records(1, 5)[0].recv_ns)


@pytest.mark.parametrize("cut", [1, 2, segment.BLOCK_HEADER_BYTES - 1, segment.BLOCK_HEADER_BYTES])
def test_what_is_left_of_the_last_block_is_named_by_its_reason(cut: int, tmp_path: Path) -> None:
    path = tmp_path / "a.dfj"
    edges = write(path, frame_records(3), frame_records(3, 3))
    path.write_bytes(path.read_bytes()[: edges[2]] + bytes(cut))
    damage: list[Damage] = []
    assert len(list(replayer.records(path, damage=damage))) == 4
    reason = "there is no block" if cut == segment.BLOCK_HEADER_BYTES else "the last block is incomplete"
    assert [(d.start, d.end, d.reason, d.tail) for d in damage] == [(edges[2], edges[2] + cut, reason, True)]


@pytest.mark.parametrize("lost", [1, 20])
def test_a_truncated_last_block_tells_how_many_of_its_bytes_are_there(lost: int, tmp_path: Path) -> None:
    path = tmp_path / "a.dfj"
    edges = write(path, frame_records(3), frame_records(3, 3))
    path.write_bytes(path.read_bytes()[:-lost])
    damage: list[Damage] = []
    list(replayer.records(path, damage=damage))
    packed = edges[3] - edges[2] - segment.BLOCK_HEADER_BYTES
    assert [d.reason for d in damage] == [f"a block of {packed} bytes ends after {packed - lost}"]


def test_a_block_right_behind_the_header_of_another_is_found(tmp_path: Path) -> None:
    path, payload = tmp_path / "a.dfj", random.Random(3).randbytes(2000)
    edges = write(path, [Record(0, 5, RecordKind.REST, "deribit", payload)], frame_records(2, 1))
    data, header_end = path.read_bytes(), edges[1] + segment.BLOCK_HEADER_BYTES
    path.write_bytes(data[:header_end] + data[edges[2] :])
    damage: list[Damage] = []
    found = list(replayer.records(path, allow_gaps=True, damage=damage))
    assert found[-2:] == frame_records(2, 1)
    assert [(d.start, d.end, d.tail) for d in damage] == [(edges[1], header_end, False)]


@pytest.mark.parametrize("junk", [1, 2, 3])
def test_a_block_right_behind_foreign_bytes_is_found(junk: int, tmp_path: Path) -> None:
    path = tmp_path / "a.dfj"
    edges = write(path, frame_records(3), frame_records(3, 3))
    data = path.read_bytes()
    path.write_bytes(data[: edges[2]] + b"?" * junk + data[edges[2] :])
    damage: list[Damage] = []
    assert list(replayer.records(path, damage=damage)) == [session(), *frame_records(6)]
    assert [(d.start, d.end, d.tail) for d in damage] == [(edges[2], edges[2] + junk, False)]


@pytest.mark.parametrize(("next_start_ns", "gap_count"), [(-1, 2), (7, 2), (8, None), (-2, None)])
def test_a_block_of_unknown_start_belongs_to_the_session_before_it(next_start_ns: int, gap_count: int | None) -> None:
    tracker = _SequenceTracker(RecordCursor(7, 4))
    tracker.enter_session(next_start_ns)
    gap = tracker.gap(Record(7, 0, RecordKind.TIMER, "", b""), damaged=False)
    assert (None if gap is None else int(gap.payload)) == gap_count
