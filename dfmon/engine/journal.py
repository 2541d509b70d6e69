"""The ordered journal of everything that can change a number, and its encoding. No file handling here.

`driver` numbers records and passes them to the recorder before it applies them; the replayer returns the same
records. A record is a fixed header, the name of its source, and the payload exactly as the venue sent it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from enum import IntEnum
from itertools import accumulate
from typing import Final, NamedTuple

import numpy as np

_HEADER: Final = struct.Struct("<QqBBI")  # seq, recv_ns, kind, length of source, length of payload
_SOURCE_LENGTH_AT: Final = 17  # offset of the source length in the header
_HEADER_DTYPE: Final = np.dtype(
    [("seq", "<u8"), ("recv_ns", "<u8"), ("kind", "u1"), ("source", "u1"), ("payload", "<u4")]
)


class RecordKind(IntEnum):
    """Kind of a record. The numbers are part of the file format."""

    SESSION = 0  # payload: JSON of the session (mode, underlyings, parameters); first record of a journal
    CONNECTED = 1
    FRAME = 2
    REST = 3  # payload: tag, newline, body
    LOST = 4  # payload: reason
    TICK = 5
    PARAMS = 6  # payload: JSON of the new parameters; none from the source COMPILED
    GAP = 7  # payload: how many records the recorder had to drop here
    TIMER = 8  # once a second for each source; payload: status text of its runner
    STATE = 9  # payload: see `checkpoint`; precedes the first connection


_KINDS: Final = tuple(RecordKind)  # by their numbers


class Record(NamedTuple):
    """One step of a session: `seq` rises by one, `recv_ns` is our clock when it happened."""

    seq: int
    recv_ns: int
    kind: RecordKind
    source: str
    payload: bytes

    def decode_rest(self) -> tuple[str, bytes]:
        """Tag and body of a REST record."""
        tag, _, body = self.payload.partition(b"\n")
        return tag.decode(), body


def encode_rest(tag: str, body: bytes) -> bytes:
    return tag.encode() + b"\n" + body


def encode(record: Record) -> bytes:
    """The record as bytes; `decode` of these gives an equal record."""
    source = record.source.encode()
    header = _HEADER.pack(record.seq, record.recv_ns, record.kind, len(source), len(record.payload))
    return header + source + record.payload


def decode(block: bytes) -> Iterator[Record]:
    """Records of a whole block, in order. Raises ValueError where the block does not hold whole records."""
    offset = 0
    while offset < len(block):
        try:
            seq, recv_ns, kind, source_length, length = _HEADER.unpack_from(block, offset)
            payload_start = offset + _HEADER.size + source_length
            source = block[payload_start - source_length : payload_start].decode()
            kind = _KINDS[kind]
        except (struct.error, ValueError, IndexError) as exc:
            raise ValueError(f"no record at byte {offset} of the block: {exc}") from exc
        if payload_start + length > len(block):
            raise ValueError(f"the record of {length} bytes at byte {offset} reaches past the end of the block")
        offset = payload_start + length
        yield Record(seq, recv_ns, kind, source, block[payload_start:offset])


# ---- a block by columns: compresses a sixth better than records in a row --------------------------------------------


def encode_columns(encoded_records: Sequence[bytes]) -> tuple[bytes, bytes]:
    """Encoded records as columns (headers by field and byte, numbers as deltas), and their payloads."""
    headers = np.frombuffer(b"".join(encoded[: _HEADER.size] for encoded in encoded_records), _HEADER_DTYPE)
    headers = headers.copy()
    for field in ("seq", "recv_ns"):
        headers[field] = np.diff(headers[field], prepend=np.uint64(0))
    columns = headers.view(np.uint8).reshape(-1, _HEADER.size).T.tobytes()
    payload_starts = [_HEADER.size + encoded[_SOURCE_LENGTH_AT] for encoded in encoded_records]
    sources = b"".join(
        encoded[_HEADER.size : payload_start]
        for encoded, payload_start in zip(encoded_records, payload_starts, strict=True)
    )
    return columns + sources, b"".join(
        encoded[payload_start:] for encoded, payload_start in zip(encoded_records, payload_starts, strict=True)
    )


def decode_columns(block: bytes, count: int) -> Iterator[Record]:
    """The `count` records of a block by columns. Raises ValueError for a block of other lengths."""
    if count * _HEADER.size > len(block):
        raise ValueError(f"a block of {len(block)} bytes cannot hold {count} records")
    columns = np.frombuffer(block, np.uint8, count * _HEADER.size).reshape(_HEADER.size, count)
    headers = np.ascontiguousarray(columns.T).view(_HEADER_DTYPE)[:, 0]
    seqs, times = (np.cumsum(headers[field], dtype=np.uint64) for field in ("seq", "recv_ns"))
    sources_start = count * _HEADER.size
    offset = sources_start + int(headers["source"].sum(dtype=np.int64))
    if offset + int(headers["payload"].sum(dtype=np.int64)) != len(block):
        raise ValueError("the records of a block have other lengths than it says")
    if count and headers["kind"].max() >= len(_KINDS):
        raise ValueError(f"there is no record of kind {headers['kind'].max()}")
    kinds = map(_KINDS.__getitem__, headers["kind"].tolist())
    sources = _split(block, sources_start, headers["source"].tolist())
    payloads = _split(block, offset, headers["payload"].tolist())
    names = {source: source.decode() for source in set(sources)}
    return map(Record, seqs.tolist(), times.view(np.int64).tolist(), kinds, map(names.__getitem__, sources), payloads)


def _split(block: bytes, offset: int, lengths: list[int]) -> list[bytes]:
    """Consecutive slices of these lengths from `offset` on."""
    return [block[end - length : end] for end, length in zip(accumulate(lengths, initial=offset), (0, *lengths))][1:]
