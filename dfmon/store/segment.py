r"""The bytes of a recording: a segment file is a head, then blocks of compressed journal records.

`recorder` writes them and `replayer` reads them. Both heads carry a checksum of their own, so a length is believed
only where it is intact, and the compressed records carry another; a block is whole or it is nothing.

    segment   magic "\x89dfmonj\n", version, number of the segment, start of the session (ns), crc32
    block     magic "DFJB", bytes compressed, bytes raw, records, first seq, crc32 of the compressed bytes, crc32
"""

from __future__ import annotations

import struct
import zlib
from typing import Final, NamedTuple

SUFFIX: Final = ".dfj"
MAGIC: Final = b"\x89dfmonj\n"
BLOCK_MAGIC: Final = b"DFJB"
VERSION: Final = 1
LARGEST_BLOCK: Final = 1 << 28  # what a reader will allocate; a writer stays far below

# Level 6 takes twice the time of level 3 for a sixth less: worth it while the writer is idle, too slow for a flood.
_THOROUGH: Final = 6
_QUICK: Final = 3
_FLOOD: Final = 1 << 20  # a block of a second this large has others waiting behind it
_CRC: Final = struct.Struct("<I")
_SEGMENT: Final = struct.Struct("<8sHHIq")
_BLOCK: Final = struct.Struct("<4sIIIQI")
SEGMENT_HEAD: Final = _SEGMENT.size + _CRC.size
BLOCK_HEAD: Final = _BLOCK.size + _CRC.size


class SegmentHead(NamedTuple):
    """Which part of which session a file is."""

    version: int
    number: int
    started_ns: int


class BlockHead(NamedTuple):
    """What follows: lengths in bytes, count and first seq of the records, checksum of the compressed bytes."""

    packed: int
    raw: int
    records: int
    first_seq: int
    crc: int


def pack_segment(number: int, started_ns: int) -> bytes:
    return _sealed(_SEGMENT.pack(MAGIC, VERSION, 0, number, started_ns))


def unpack_segment(head: bytes) -> SegmentHead | None:
    """The head of a file, None where it is damaged or foreign."""
    if not _intact(head, SEGMENT_HEAD) or not head.startswith(MAGIC):
        return None
    _, version, _, number, started_ns = _SEGMENT.unpack_from(head)
    return SegmentHead(version, number, started_ns)


def pack_block(raw: bytes, records: int, first_seq: int) -> bytes:
    packed = zlib.compress(raw, _QUICK if len(raw) >= _FLOOD else _THOROUGH)
    head = _BLOCK.pack(BLOCK_MAGIC, len(packed), len(raw), records, first_seq, zlib.crc32(packed))
    return _sealed(head) + packed


def unpack_block(head: bytes) -> BlockHead | None:
    """The head of a block, None where it is damaged or there is none."""
    if not _intact(head, BLOCK_HEAD) or not head.startswith(BLOCK_MAGIC):
        return None
    found = BlockHead(*_BLOCK.unpack_from(head)[1:])
    return found if max(found.packed, found.raw) <= LARGEST_BLOCK else None


def unpack_records(head: BlockHead, packed: bytes) -> bytes:
    """The encoded records of a block. Raises ValueError in words where they are not what was written."""
    if len(packed) < head.packed:
        raise ValueError(f"a block of {head.packed} bytes ends after {len(packed)}")
    if zlib.crc32(packed) != head.crc:
        raise ValueError("the checksum of a block does not hold")
    try:
        raw = zlib.decompressobj().decompress(packed, head.raw + 1)
    except zlib.error as exc:
        raise ValueError(f"a block cannot be unpacked ({exc})") from None
    if len(raw) != head.raw:
        raise ValueError("a block unpacks to another length than it was made of")
    return raw


def _sealed(head: bytes) -> bytes:
    return head + _CRC.pack(zlib.crc32(head))


def _intact(head: bytes, size: int) -> bool:
    return len(head) >= size and _CRC.unpack_from(head, size - _CRC.size)[0] == zlib.crc32(head[: size - _CRC.size])
