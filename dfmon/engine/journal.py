"""The ordered record of everything that can change a number, and its bytes. No file handling here.

`driver` numbers records and hands them to the recorder before it applies them; the replayer hands the same records
back. A record is a fixed head, the name of its source, and the payload exactly as the venue sent it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from enum import IntEnum
from itertools import accumulate
from typing import Final, NamedTuple

import numpy as np

_HEAD: Final = struct.Struct("<QqBBI")  # seq, recv_ns, kind, length of source, length of payload
_SOURCE_AT: Final = 17  # where the head says the length of the source
_COLUMNS: Final = np.dtype([("seq", "<u8"), ("recv_ns", "<u8"), ("kind", "u1"), ("source", "u1"), ("payload", "<u4")])


class RecordKind(IntEnum):
    """What happened. The numbers are part of the file format."""

    SESSION = 0  # payload: JSON of the session (mode, underlyings, parameters); first record of a journal
    CONNECTED = 1
    FRAME = 2
    REST = 3  # payload: tag, newline, body
    LOST = 4  # payload: reason
    TICK = 5
    PARAMS = 6  # payload: JSON of the new parameters; none from the source COMPILED
    GAP = 7  # payload: how many records the recorder had to drop here
    TIMER = 8  # once a second of each source; payload: what its runner has to say, in words
    STATE = 9  # payload: what an earlier run left, see `memory`; comes before the first connection


_KINDS: Final = tuple(RecordKind)  # by their numbers


class Record(NamedTuple):
    """One step of a session: `seq` rises by one, `recv_ns` is our clock when it happened."""

    seq: int
    recv_ns: int
    kind: RecordKind
    source: str
    payload: bytes

    def rest(self) -> tuple[str, bytes]:
        """Tag and body of a REST record."""
        tag, _, body = self.payload.partition(b"\n")
        return tag.decode(), body


def rest_payload(tag: str, body: bytes) -> bytes:
    return tag.encode() + b"\n" + body


def encode(record: Record) -> bytes:
    """The record as bytes; `decode` of these gives an equal record."""
    source = record.source.encode()
    head = _HEAD.pack(record.seq, record.recv_ns, record.kind, len(source), len(record.payload))
    return head + source + record.payload


def decode(block: bytes) -> Iterator[Record]:
    """Records of a whole block, in order. Raises ValueError where the block does not hold whole records."""
    at = 0
    while at < len(block):
        try:
            seq, recv_ns, kind, source_length, length = _HEAD.unpack_from(block, at)
            body = at + _HEAD.size + source_length
            source = block[body - source_length : body].decode()
            kind = _KINDS[kind]
        except (struct.error, ValueError, IndexError) as exc:
            raise ValueError(f"no record at byte {at} of the block: {exc}") from exc
        if body + length > len(block):
            raise ValueError(f"the record of {length} bytes at byte {at} reaches past the end of the block")
        at = body + length
        yield Record(seq, recv_ns, kind, source, block[body:at])


# ---- a block by columns: what is alike stands together, which packs a sixth smaller ----------------------------------


def by_columns(rows: Sequence[bytes]) -> tuple[bytes, bytes]:
    """Encoded records as their heads, field by field and byte by byte, numbers as steps; and their payloads."""
    heads = np.frombuffer(b"".join(row[: _HEAD.size] for row in rows), _COLUMNS)
    heads = heads.copy()
    for field in ("seq", "recv_ns"):
        heads[field] = np.diff(heads[field], prepend=np.uint64(0))
    columns = heads.view(np.uint8).reshape(-1, _HEAD.size).T.tobytes()
    bodies = [_HEAD.size + row[_SOURCE_AT] for row in rows]
    sources = b"".join(row[_HEAD.size : body] for row, body in zip(rows, bodies, strict=True))
    return columns + sources, b"".join(row[body:] for row, body in zip(rows, bodies, strict=True))


def from_columns(block: bytes, count: int) -> Iterator[Record]:
    """The `count` records of a block by columns. Raises ValueError where the block does not hold them."""
    if count * _HEAD.size > len(block):
        raise ValueError(f"a block of {len(block)} bytes cannot hold {count} records")
    columns = np.frombuffer(block, np.uint8, count * _HEAD.size).reshape(_HEAD.size, count)
    heads = np.ascontiguousarray(columns.T).view(_COLUMNS)[:, 0]
    seqs, times = (np.cumsum(heads[field], dtype=np.uint64) for field in ("seq", "recv_ns"))
    named = count * _HEAD.size
    at = named + int(heads["source"].sum(dtype=np.int64))
    if at + int(heads["payload"].sum(dtype=np.int64)) != len(block):
        raise ValueError("the records of a block have other lengths than it says")
    if count and heads["kind"].max() >= len(_KINDS):
        raise ValueError(f"there is no record of kind {heads['kind'].max()}")
    kinds = map(_KINDS.__getitem__, heads["kind"].tolist())
    sources = _cut(block, named, heads["source"].tolist())
    payloads = _cut(block, at, heads["payload"].tolist())
    names = {source: source.decode() for source in set(sources)}
    return map(Record, seqs.tolist(), times.view(np.int64).tolist(), kinds, map(names.__getitem__, sources), payloads)


def _cut(block: bytes, at: int, lengths: list[int]) -> list[bytes]:
    """What stands one after another from `at` on."""
    return [block[end - length : end] for end, length in zip(accumulate(lengths, initial=at), (0, *lengths))][1:]
