r"""The bytes of a recording: a segment file is a head, then blocks of compressed journal records.

`recorder` writes them and `replayer` reads them. Both heads carry a checksum of their own, so a length is believed
only where it is intact, and the compressed records carry another; a block is whole or it is nothing.

    segment   magic "\x89dfmonj\n", version, number of the segment, start of the session (ns), crc32
    block     magic "DFJC", bytes compressed, bytes raw, records, first seq, crc32 of the compressed bytes, crc32

The records of a block stand by columns: how the payloads are packed (0 zlib, 1 LZMA), the length of the packed heads,
the packed heads, the packed payloads. Blocks of version 1, with the magic "DFJB", hold them one after another. Every
block is packed by itself, so that damage costs no other one.

Beside a segment that is being written stands its recent file, a segment as well: the small blocks of what is not yet
in a large one. `segment_files` merges them, `blocks` tells which of the two counts where both have a record.
"""

from __future__ import annotations

import lzma
import struct
import zlib
from collections.abc import Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import Final, NamedTuple

from dfmon.engine.journal import Record, by_columns, decode, from_columns

SUFFIX: Final = ".dfj"
RECENT: Final = ".recent" + SUFFIX
MAGIC: Final = b"\x89dfmonj\n"
BLOCK_MAGIC: Final = b"DFJ"  # both begin so
_BY_ROWS, _BY_COLUMNS = b"DFJB", b"DFJC"
VERSION: Final = 2  # what is written; all before it are read
LARGEST_BLOCK: Final = 1 << 28  # what a reader will allocate; a writer stays far below


class Effort(Enum):
    """How long packing may take: about 5, 80 or 250 ns a byte.

    Of a megabyte of an option board this leaves 0.11, 0.06 or 0.05, of quotes and prints 0.22, 0.135 or 0.125.
    """

    HASTE = "zlib"
    BUSY = "LZMA, shorter searches"
    CALM = "LZMA"


def _filters(finder: int, nice: int, depth: int) -> tuple[dict[str, int], ...]:
    # A dictionary of a block's size keeps the encoder within 15 MB. Digits depend on the four bits before them, and
    # not on where they stand.
    found = {"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20, "lc": 4, "lp": 0, "pb": 0}
    return (found | {"mode": lzma.MODE_NORMAL, "mf": finder, "nice_len": nice, "depth": depth},)


_LZMA: Final = {Effort.BUSY: _filters(lzma.MF_HC4, 64, 8), Effort.CALM: _filters(lzma.MF_BT4, 128, 0)}
_HEADS: Final = 6  # zlib level of the heads
_HASTE: Final = 3
_CRC: Final = struct.Struct("<I")
_SEGMENT: Final = struct.Struct("<8sHHIq")
_PACKED: Final = struct.Struct("<BI")
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

    columns: bool
    packed: int
    raw: int
    records: int
    first_seq: int
    crc: int


def recent(path: Path) -> Path:
    """The recent file of a segment."""
    return path.with_name(path.name.removesuffix(SUFFIX) + RECENT)


def pack_segment(number: int, started_ns: int) -> bytes:
    return _sealed(_SEGMENT.pack(MAGIC, VERSION, 0, number, started_ns))


def unpack_segment(head: bytes) -> SegmentHead | None:
    """The head of a file, None where it is damaged or foreign."""
    if not _intact(head, SEGMENT_HEAD) or not head.startswith(MAGIC):
        return None
    _, version, _, number, started_ns = _SEGMENT.unpack_from(head)
    return SegmentHead(version, number, started_ns)


def pack_block(rows: Sequence[bytes], first_seq: int, effort: Effort = Effort.CALM) -> bytes:
    """A block of encoded records."""
    heads, payloads = by_columns(rows)
    if effort is Effort.HASTE:
        short, long = zlib.compress(heads, _HASTE), zlib.compress(payloads, _HASTE)
    else:
        short, long = zlib.compress(heads, _HEADS), lzma.compress(payloads, lzma.FORMAT_RAW, filters=_LZMA[effort])
    packed = _PACKED.pack(effort is not Effort.HASTE, len(short)) + short + long
    raw = len(heads) + len(payloads)
    return _sealed(_BLOCK.pack(_BY_COLUMNS, len(packed), raw, len(rows), first_seq, zlib.crc32(packed))) + packed


def unpack_block(head: bytes) -> BlockHead | None:
    """The head of a block, None where it is damaged or there is none."""
    if not _intact(head, BLOCK_HEAD) or not head.startswith((_BY_ROWS, _BY_COLUMNS)):
        return None
    magic, *fields = _BLOCK.unpack_from(head)
    found = BlockHead(magic == _BY_COLUMNS, *fields)
    return found if max(found.packed, found.raw) <= LARGEST_BLOCK else None


def check(head: BlockHead, packed: bytes) -> None:
    """Raises ValueError in words where the bytes of a block are not what was written."""
    if len(packed) < head.packed:
        raise ValueError(f"a block of {head.packed} bytes ends after {len(packed)}")
    if zlib.crc32(packed) != head.crc:
        raise ValueError("the checksum of a block does not hold")


def unpack_records(head: BlockHead, packed: bytes) -> Iterator[Record]:
    """The records of a block. Raises ValueError in words where they are not what was written."""
    check(head, packed)
    try:
        raw = _unpacked(packed, head.raw) if head.columns else _inflated(packed, head.raw)
    except (zlib.error, lzma.LZMAError, struct.error) as exc:
        raise ValueError(f"a block cannot be unpacked ({exc})") from None
    if len(raw) != head.raw:
        raise ValueError("a block unpacks to another length than it was made of")
    return from_columns(raw, head.records) if head.columns else decode(raw)


def _unpacked(packed: bytes, most: int) -> bytes:
    """Heads and payloads of a block by columns; a byte more than `most` where there is more."""
    by_lzma, length = _PACKED.unpack_from(packed)
    middle = _PACKED.size + length
    heads = _inflated(packed[_PACKED.size : middle], most)
    if not by_lzma:
        return heads + _inflated(packed[middle:], most)
    return heads + lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=_LZMA[Effort.CALM]).decompress(
        packed[middle:], most + 1
    )


def _inflated(packed: bytes, most: int) -> bytes:
    return zlib.decompressobj().decompress(packed, most + 1)


def _sealed(head: bytes) -> bytes:
    return head + _CRC.pack(zlib.crc32(head))


def _intact(head: bytes, size: int) -> bool:
    return len(head) >= size and _CRC.unpack_from(head, size - _CRC.size)[0] == zlib.crc32(head[: size - _CRC.size])
