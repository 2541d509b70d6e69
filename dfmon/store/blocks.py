"""An index of the blocks of a recording, made from their headers without decompressing any.

Comes after `segment` and before `replayer`. Blocks are sorted by session and record number, whatever the order of the
files or of the blocks in them; bytes that belong to no block are reported as damage.

Recent files are read into memory first: a recorder may merge and delete them while the index is in use.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Final, NamedTuple

from dfmon.engine.journal import Record
from dfmon.model.errors import SourceError, UsageError
from dfmon.model.units import sanitize
from dfmon.store import segment
from dfmon.store.segment import BLOCK_HEADER_BYTES, BLOCK_MAGIC, SEGMENT_HEADER_BYTES, BlockHeader

_SEARCH_CHUNK_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Damage:
    """Unreadable bytes of a segment, from `start` up to `end`. `tail`: nothing readable follows in the file.

    Of a block that is there twice `repeated` is the number of its records, and `first_seq` the number of the first.
    """

    path: Path
    start: int
    end: int
    reason: str
    tail: bool
    repeated: int = 0
    first_seq: int = 0

    def __str__(self) -> str:
        after = "; the recording ends there" if self.tail else ""
        return f"{sanitize(str(self.path))}: bytes {self.start} to {self.end} are unreadable: {self.reason}{after}"


class Block(NamedTuple):
    """One block of a file."""

    started_ns: int  # of the session; -1 if no intact file header has it
    first_seq: int
    is_continuation: bool  # not the first block of its file, which holds the SESSION record
    path: Path
    offset: int
    head: BlockHeader
    tail: bool
    memory_file: _MemoryFile | None  # the recent file that contains it

    @property
    def end(self) -> int:
        return self.offset + BLOCK_HEADER_BYTES + self.head.packed


def segment_paths(path: Path) -> list[Path]:
    """The segment files at `path`, by name. Raises UsageError where `path` is not a recording."""
    display_path = sanitize(str(path))
    try:
        if path.is_dir():
            files = sorted(file for file in path.glob(f"*{segment.SUFFIX}") if _has_bytes(file))
            if files:
                return files
            raise UsageError(f"{display_path} has no recording: a directory with *{segment.SUFFIX} files is expected")
        if not path.exists():
            raise UsageError(
                f"{display_path} does not exist: a recording (a {segment.SUFFIX} file or a directory) is expected"
            )
        if not is_segment(path):
            raise UsageError(f"{display_path} is not a recording of dfmon: a {segment.SUFFIX} file is expected")
        recent_file = segment.recent_file(path)
        return [path, recent_file] if _has_bytes(recent_file) else [path]
    except OSError as exc:
        raise UsageError(f"cannot read {display_path}: {(exc.strerror or str(exc)).lower()}") from None


def _has_bytes(file: Path) -> bool:
    with suppress(FileNotFoundError):  # a recent file may have been merged after it was listed
        return file.is_file() and file.stat().st_size > 0
    return False


def is_segment(path: Path) -> bool:
    """True if a file begins as a segment does, or has a block behind a damaged header."""
    file_start = b""
    with suppress(FileNotFoundError), path.open("rb") as handle:
        file_start = handle.read(SEGMENT_HEADER_BYTES + len(BLOCK_MAGIC))
    return file_start.startswith(segment.MAGIC) or file_start[SEGMENT_HEADER_BYTES:] == BLOCK_MAGIC


@dataclass(slots=True)
class _FileIndex:
    """Blocks and damage of one file."""

    started_ns: int
    blocks: list[Block] = field(default_factory=list)
    damage: list[Damage] = field(default_factory=list)


def block_index(path: Path, damage: list[Damage]) -> list[Block]:
    """Every block of the recording in reading order; bytes between blocks are added to `damage`."""
    files = segment_paths(path)
    # Recent files first: blocks that are merged from now on will be found in their segment.
    recent_files = {
        file: memory_file
        for file in files
        if file.name.endswith(segment.RECENT_SUFFIX) and (memory_file := _load_recent(file))
    }
    found: list[Block] = []
    started_ns = -1
    for file in files:
        if file in recent_files:
            file_index = _index_file(file, recent_files[file], started_ns)
        elif file.name.endswith(segment.RECENT_SUFFIX):
            continue  # joined to its segment, or merged and deleted since the listing
        else:
            with open_for_reading(file) as content:
                file_index = _index_file(file, content, started_ns)
                if recent_file := recent_files.pop(segment.recent_file(file), None):
                    _join_recent(
                        file_index, content, _index_file(segment.recent_file(file), recent_file, file_index.started_ns)
                    )
        started_ns = file_index.started_ns
        found += file_index.blocks
        damage += file_index.damage
    return sorted(
        found, key=lambda block: (block.started_ns, block.first_seq, block.is_continuation, block.path, block.offset)
    )


def _load_recent(recent_file: Path) -> _MemoryFile | None:
    try:
        return _MemoryFile(recent_file.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise read_error(recent_file, exc) from None


def _join_recent(file_index: _FileIndex, file: _DiskFile, recent_file: _FileIndex) -> None:
    """Adds a recent file to its segment, unless it was merged. An interrupted merge is not damage."""
    first = next((block.first_seq for block in recent_file.blocks if block.is_continuation), None)
    if first is not None:
        merged = [block for block in file_index.blocks if block.is_continuation and block.first_seq == first]
        if merged and _is_block_intact(file, merged[-1]):
            return
        if file_index.damage and file_index.damage[-1].end == file.size:
            torn = segment.unpack_block_header(file.read_at(file_index.damage[-1].start, BLOCK_HEADER_BYTES))
            if file_index.damage[-1].start + BLOCK_HEADER_BYTES > file.size or (
                torn is not None and torn.first_seq == first
            ):
                file_index.damage.pop()
    file_index.blocks += recent_file.blocks
    file_index.damage += recent_file.damage


def _index_file(path: Path, file: _DiskFile | _MemoryFile, previous_started_ns: int) -> _FileIndex:
    """The blocks of one file and the start of its session; with a damaged header, that of the file before it."""
    head = segment.unpack_segment_header(file.read_at(0, SEGMENT_HEADER_BYTES))
    file_index = _FileIndex(head.started_ns if head else previous_started_ns)
    offset = min(SEGMENT_HEADER_BYTES, file.size)
    if head is None:
        file_index.damage.append(Damage(path, 0, offset, "the file header is damaged", offset == file.size))
    elif head.version > segment.VERSION:
        raise UsageError(
            f"{sanitize(str(path))} is a recording in format {head.version}: this dfmon reads up to {segment.VERSION}"
        )
    memory_file = file if isinstance(file, _MemoryFile) else None
    while offset < file.size:
        block, start, end, reason = _next_block(file, offset, file_index.blocks[-1] if file_index.blocks else None)
        if start < offset:  # the block before it turned out to be damaged
            file_index.blocks.pop()
        tail = end >= file.size
        if block is None:
            file_index.damage.append(Damage(path, start, end, reason, tail))
        else:
            location = file_index.started_ns, block.first_seq, offset != SEGMENT_HEADER_BYTES, path, offset
            file_index.blocks.append(Block(*location, block, tail, memory_file))
        offset = end
    return file_index


def _next_block(
    file: _DiskFile | _MemoryFile, offset: int, previous: Block | None
) -> tuple[BlockHeader | None, int, int, str]:
    """The block or the damage at `offset`: block, start, end, and the reason of the damage.

    `previous` is the block that ends at `offset`.
    """
    block = segment.unpack_block_header(file.read_at(offset, BLOCK_HEADER_BYTES))
    if block is not None and offset + BLOCK_HEADER_BYTES + block.packed <= file.size:
        return block, offset, offset + BLOCK_HEADER_BYTES + block.packed, ""
    if block is not None:  # truncated, or bytes were lost: then another block begins inside this one
        end = _find_block(file, offset + BLOCK_HEADER_BYTES)
        return None, offset, end, f"a block of {block.packed} bytes ends after {end - offset - BLOCK_HEADER_BYTES}"
    if previous is not None and not _is_block_intact(file, previous):
        # Bytes of it may be lost: then the next block begins earlier than its length suggests.
        end = _find_block(file, previous.offset + BLOCK_HEADER_BYTES)
        return None, previous.offset, end, "the checksum of a block does not match"
    has_header = file.size - offset >= BLOCK_HEADER_BYTES
    reason = "there is no block" if has_header else "the last block is incomplete"
    return None, offset, _find_block(file, offset + 1), reason


def _is_block_intact(file: _DiskFile | _MemoryFile, block: Block) -> bool:
    try:
        segment.verify_block(block.head, file.read_at(block.offset + BLOCK_HEADER_BYTES, block.head.packed))
    except ValueError:
        return False
    return True


class _DiskFile:
    """A file read by position."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.size = os.fstat(fd).st_size

    def read_at(self, offset: int, count: int) -> bytes:
        return os.pread(self._fd, count, offset)


class _MemoryFile:
    """A file in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def read_at(self, offset: int, count: int) -> bytes:
        return self._data[offset : offset + count]


class open_for_reading:  # noqa: N801  a context manager, used like a function
    """A file opened for reading by position; an OSError becomes a SourceError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1

    def __enter__(self) -> _DiskFile:
        try:
            self._fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as exc:
            raise read_error(self._path, exc) from None
        return _DiskFile(self._fd)

    def __exit__(self, exc_type: type[BaseException] | None, exc: BaseException | None, _tb: object) -> None:
        os.close(self._fd)
        if isinstance(exc, OSError):
            raise read_error(self._path, exc) from None


def read_error(path: Path, exc: OSError) -> SourceError:
    return SourceError(f"cannot read {sanitize(str(path))}: {(exc.strerror or str(exc)).lower()}")


def _find_block(file: _DiskFile | _MemoryFile, offset: int) -> int:
    """Offset of the next block with an intact header, from `offset` on; the end of the file if there is none."""
    while offset < file.size:
        chunk = file.read_at(offset, _SEARCH_CHUNK_BYTES + BLOCK_HEADER_BYTES)
        found = chunk.find(BLOCK_MAGIC)
        while 0 <= found < _SEARCH_CHUNK_BYTES:
            if segment.unpack_block_header(chunk[found : found + BLOCK_HEADER_BYTES]) is not None:
                return offset + found
            found = chunk.find(BLOCK_MAGIC, found + 1)
        offset += _SEARCH_CHUNK_BYTES
    return file.size


def unpack_blocks(blocks: list[Block], damage: list[Damage]) -> Iterator[tuple[Block, list[Record]]]:
    """The records of each block, in the order given; damaged blocks are added to `damage`."""
    for _, group in groupby(blocks, key=attrgetter("path", "memory_file")):
        first, *others = group
        with (
            open_for_reading(first.path) if first.memory_file is None else nullcontext(first.memory_file) as file
        ):  # one open at a time
            for block in (first, *others):
                try:
                    packed = file.read_at(block.offset + BLOCK_HEADER_BYTES, block.head.packed)
                    records = list(segment.decompress_records(block.head, packed))
                except ValueError as exc:
                    damage.append(Damage(block.path, block.offset, block.end, str(exc), block.tail))
                else:
                    yield block, records
