r"""The byte layout of a recording: a segment file is a header, then blocks of compressed journal records.

    segment   magic "\x89dfmonj\n", version, number of the segment, start of the session (ns), crc32
    block     magic "DFJC", bytes compressed, bytes raw, records, first seq, crc32 of the compressed bytes, crc32

docs/recording-format.md has the details. Headers carry a checksum of their own, so that a length is used only if it is
intact. Every block is compressed by itself, so that damage costs no other one. Blocks of version 1, with the magic
"DFJB", store records in rows instead of columns.

A segment that is being written has a recent file beside it, with the same layout: small blocks that are not yet merged.
`segment_files` merges them; `blocks` decides which of the two counts where both have a record.
"""

from __future__ import annotations

import lzma
import struct
import zlib
from collections.abc import Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import Final, NamedTuple

from dfmon.engine.journal import Record, decode, decode_columns, encode_columns

SUFFIX: Final = ".dfj"
RECENT_SUFFIX: Final = ".recent" + SUFFIX
MAGIC: Final = b"\x89dfmonj\n"
BLOCK_MAGIC: Final = b"DFJ"  # common prefix of both versions
_ROW_BLOCK_MAGIC, _COLUMN_BLOCK_MAGIC = b"DFJB", b"DFJC"
VERSION: Final = 2  # written; earlier ones are read too
MAX_BLOCK_BYTES: Final = 1 << 26  # limit of what a reader allocates; a writer stays far below


class Compression(Enum):
    """Levels of compression, which cost about 5, 80 and 250 ns a byte.

    They reduce option boards to 0.11, 0.06 and 0.05 of their size, quotes and prints to 0.22, 0.135 and 0.125.
    """

    FAST = "zlib"
    BALANCED = "LZMA, shorter searches"
    BEST = "LZMA"


def _lzma_filters(match_finder: int, nice_length: int, depth: int) -> tuple[dict[str, int], ...]:
    # A dictionary of a block's size limits the encoder to 15 MB. The payload is text: a byte depends on the four high
    # bits of the one before it (lc), not on its position (lp, pb).
    filter_spec = {"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20, "lc": 4, "lp": 0, "pb": 0}
    return (filter_spec | {"mode": lzma.MODE_NORMAL, "mf": match_finder, "nice_len": nice_length, "depth": depth},)


_LZMA_FILTERS: Final = {
    Compression.BALANCED: _lzma_filters(lzma.MF_HC4, 64, 8),
    Compression.BEST: _lzma_filters(lzma.MF_BT4, 128, 0),
}
_HEADS_LEVEL: Final = 6  # zlib level of the heads
_FAST_LEVEL: Final = 3
_CRC: Final = struct.Struct("<I")
_SEGMENT_STRUCT: Final = struct.Struct("<8sHHIq")
_COLUMNS_STRUCT: Final = struct.Struct("<BI")
_BLOCK_STRUCT: Final = struct.Struct("<4sIIIQI")
SEGMENT_HEADER_BYTES: Final = _SEGMENT_STRUCT.size + _CRC.size
BLOCK_HEADER_BYTES: Final = _BLOCK_STRUCT.size + _CRC.size


class SegmentHeader(NamedTuple):
    """The session of a file, and the file's number within it."""

    version: int
    number: int
    started_ns: int


class BlockHeader(NamedTuple):
    """Lengths in bytes, count and first seq of the records, checksum of the compressed bytes."""

    columnar: bool
    packed: int
    raw: int
    records: int
    first_seq: int
    crc: int


def recent_file(path: Path) -> Path:
    """The recent file of a segment."""
    return path.with_name(path.name.removesuffix(SUFFIX) + RECENT_SUFFIX)


def pack_segment_header(number: int, started_ns: int) -> bytes:
    return _append_crc(_SEGMENT_STRUCT.pack(MAGIC, VERSION, 0, number, started_ns))


def unpack_segment_header(head: bytes) -> SegmentHeader | None:
    """The header of a file; None if it is damaged or not one of dfmon."""
    if not _is_crc_valid(head, SEGMENT_HEADER_BYTES) or not head.startswith(MAGIC):
        return None
    _, version, _, number, started_ns = _SEGMENT_STRUCT.unpack_from(head)
    return SegmentHeader(version, number, started_ns)


def compress_block(rows: Sequence[bytes], first_seq: int, compression: Compression = Compression.BEST) -> bytes:
    """A block of encoded records."""
    heads, payloads = encode_columns(rows)
    if compression is Compression.FAST:
        packed_heads, packed_payloads = zlib.compress(heads, _FAST_LEVEL), zlib.compress(payloads, _FAST_LEVEL)
    else:
        packed_heads, packed_payloads = (
            zlib.compress(heads, _HEADS_LEVEL),
            lzma.compress(payloads, lzma.FORMAT_RAW, filters=_LZMA_FILTERS[compression]),
        )
    packed = (
        _COLUMNS_STRUCT.pack(compression is not Compression.FAST, len(packed_heads)) + packed_heads + packed_payloads
    )
    raw = len(heads) + len(payloads)
    return (
        _append_crc(_BLOCK_STRUCT.pack(_COLUMN_BLOCK_MAGIC, len(packed), raw, len(rows), first_seq, zlib.crc32(packed)))
        + packed
    )


def unpack_block_header(head: bytes) -> BlockHeader | None:
    """The header of a block; None if it is damaged or there is none."""
    if not _is_crc_valid(head, BLOCK_HEADER_BYTES) or not head.startswith((_ROW_BLOCK_MAGIC, _COLUMN_BLOCK_MAGIC)):
        return None
    magic, *fields = _BLOCK_STRUCT.unpack_from(head)
    header = BlockHeader(magic == _COLUMN_BLOCK_MAGIC, *fields)
    return header if max(header.packed, header.raw) <= MAX_BLOCK_BYTES else None


def verify_block(head: BlockHeader, packed: bytes) -> None:
    """Raises ValueError where the bytes of a block are not those that were written."""
    if len(packed) < head.packed:
        raise ValueError(f"a block of {head.packed} bytes ends after {len(packed)}")
    if zlib.crc32(packed) != head.crc:
        raise ValueError("the checksum of a block does not match")


def decompress_records(head: BlockHeader, packed: bytes) -> Iterator[Record]:
    """The records of a block. Raises ValueError where they are not those that were written."""
    verify_block(head, packed)
    try:
        raw = _decompress_columns(packed, head.raw) if head.columnar else _decompress_zlib(packed, head.raw)
    except (zlib.error, lzma.LZMAError, struct.error) as exc:
        raise ValueError(f"a block cannot be decompressed ({exc})") from None
    if len(raw) != head.raw:
        raise ValueError("a block decompresses to a length other than its header states")
    return decode_columns(raw, head.records) if head.columnar else decode(raw)


def _decompress_columns(packed: bytes, max_bytes: int) -> bytes:
    """Heads and payloads of a columnar block; one byte more than `max_bytes` if there is more."""
    is_lzma, length = _COLUMNS_STRUCT.unpack_from(packed)
    payloads_start = _COLUMNS_STRUCT.size + length
    heads = _decompress_zlib(packed[_COLUMNS_STRUCT.size : payloads_start], max_bytes)
    if not is_lzma:
        return heads + _decompress_zlib(packed[payloads_start:], max_bytes)
    return heads + lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=_LZMA_FILTERS[Compression.BEST]).decompress(
        packed[payloads_start:], max_bytes + 1
    )


def _decompress_zlib(packed: bytes, max_bytes: int) -> bytes:
    return zlib.decompressobj().decompress(packed, max_bytes + 1)


def _append_crc(head: bytes) -> bytes:
    return head + _CRC.pack(zlib.crc32(head))


def _is_crc_valid(head: bytes, size: int) -> bool:
    return len(head) >= size and _CRC.unpack_from(head, size - _CRC.size)[0] == zlib.crc32(head[: size - _CRC.size])
