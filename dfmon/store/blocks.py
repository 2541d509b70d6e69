"""Where the blocks of a recording stand: an index of their heads, without unpacking one.

Comes after `segment` and before `replayer`. Blocks are put in the order of their record numbers, session after session,
whatever the order of the files or of the blocks in them; bytes that belong to no block are named.

Recent files are read at once and held: a recorder may merge them into their segments while their blocks are wanted.
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
from dfmon.model.units import clean
from dfmon.store import segment
from dfmon.store.segment import BLOCK_HEAD, BLOCK_MAGIC, SEGMENT_HEAD, BlockHead

_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes `start` up to `end` of a segment that could not be read. `tail`: nothing readable follows in the file."""

    path: Path
    start: int
    end: int
    reason: str
    tail: bool

    def __str__(self) -> str:
        after = "; the recording ends there" if self.tail else ""
        return f"{clean(str(self.path))}: bytes {self.start} to {self.end} are unreadable: {self.reason}{after}"


class Block(NamedTuple):
    """One block of a file. Compares in reading order: by session, by number of its first record, then by place."""

    started_ns: int  # of the session; -1 where no head of a file says it
    first_seq: int
    later: bool  # not the first block of its segment, which holds the SESSION record
    path: Path
    at: int
    head: BlockHead
    tail: bool
    held: _Held | None  # the recent file it stands in

    @property
    def end(self) -> int:
        return self.at + BLOCK_HEAD + self.head.packed


def segments(path: Path) -> list[Path]:
    """The segment files at `path`, by name. A path that is no recording is a UsageError in one sentence."""
    shown = clean(str(path))
    try:
        if path.is_dir():
            files = sorted(file for file in path.glob(f"*{segment.SUFFIX}") if _has_bytes(file))
            if files:
                return files
            raise UsageError(f"{shown} holds no recording: a directory with *{segment.SUFFIX} files is expected")
        if not path.exists():
            raise UsageError(
                f"{shown} does not exist: a recording (a {segment.SUFFIX} file or a directory) is expected"
            )
        if not is_segment(path):
            raise UsageError(f"{shown} is not a recording of dfmon: a {segment.SUFFIX} file is expected")
        recent = segment.recent(path)
        return [path, recent] if _has_bytes(recent) else [path]
    except OSError as exc:
        raise UsageError(f"cannot read {shown}: {(exc.strerror or str(exc)).lower()}") from None


def _has_bytes(file: Path) -> bool:
    with suppress(FileNotFoundError):  # a recent file may have been merged since it was listed
        return file.is_file() and file.stat().st_size > 0
    return False


def is_segment(path: Path) -> bool:
    """Whether a file begins as a segment does, or holds a block behind a damaged head."""
    begin = b""
    with suppress(FileNotFoundError), path.open("rb") as handle:
        begin = handle.read(SEGMENT_HEAD + len(BLOCK_MAGIC))
    return begin.startswith(segment.MAGIC) or begin[SEGMENT_HEAD:] == BLOCK_MAGIC


@dataclass(slots=True)
class _Part:
    """What a file holds."""

    started_ns: int
    blocks: list[Block] = field(default_factory=list)
    damage: list[Damage] = field(default_factory=list)


def index(path: Path, damage: list[Damage]) -> list[Block]:
    """Every block of the recording in reading order; what stands between blocks is added to `damage`."""
    files = segments(path)
    # First: what is merged from now on will be found in its segment.
    recents = {file: held for file in files if file.name.endswith(segment.RECENT) and (held := _hold(file))}
    found: list[Block] = []
    started_ns = -1
    for file in files:
        if file in recents:
            part = _indexed(file, recents[file], started_ns)
        elif file.name.endswith(segment.RECENT):
            continue  # joined to its segment, or merged while we came here
        else:
            with reading(file) as content:
                part = _indexed(file, content, started_ns)
                if recent := recents.pop(segment.recent(file), None):
                    _join(part, content, _indexed(segment.recent(file), recent, part.started_ns))
        started_ns = part.started_ns
        found += part.blocks
        damage += part.damage
    return sorted(found, key=lambda block: (block.started_ns, block.first_seq, block.later, block.path, block.at))


def _hold(recent: Path) -> _Held | None:
    try:
        return _Held(recent.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise unreadable(recent, exc) from None


def _join(part: _Part, file: _File, recent: _Part) -> None:
    """Add a recent file to its segment, unless that has it already. A merge that was cut short is no damage."""
    first = next((block.first_seq for block in recent.blocks if block.later), None)
    if first is not None:
        merged = [block for block in part.blocks if block.later and block.first_seq == first]
        if merged and _holds(file, merged[-1]):
            return
        if part.damage and part.damage[-1].end == file.size:
            torn = segment.unpack_block(file.read(part.damage[-1].start, BLOCK_HEAD))
            if part.damage[-1].start + BLOCK_HEAD > file.size or (torn is not None and torn.first_seq == first):
                part.damage.pop()
    part.blocks += recent.blocks
    part.damage += recent.damage


def _indexed(path: Path, file: _File | _Held, before_ns: int) -> _Part:
    """The blocks of one file, and the start of its session. A damaged head goes with the file before it."""
    head = segment.unpack_segment(file.read(0, SEGMENT_HEAD))
    part = _Part(head.started_ns if head else before_ns)
    at = min(SEGMENT_HEAD, file.size)
    if head is None:
        part.damage.append(Damage(path, 0, at, "the head of the file is damaged", at == file.size))
    elif head.version > segment.VERSION:
        raise UsageError(
            f"{clean(str(path))} is a recording in format {head.version}: this dfmon reads up to {segment.VERSION}"
        )
    held = file if isinstance(file, _Held) else None
    while at < file.size:
        block, start, end, why = _next(file, at, part.blocks[-1] if part.blocks else None)
        if start < at:  # the block before it turned out to be damaged
            part.blocks.pop()
        tail = end >= file.size
        if block is None:
            part.damage.append(Damage(path, start, end, why, tail))
        else:
            place = part.started_ns, block.first_seq, at != SEGMENT_HEAD, path, at
            part.blocks.append(Block(*place, block, tail, held))
        at = end
    return part


def _next(file: _File | _Held, at: int, before: Block | None) -> tuple[BlockHead | None, int, int, str]:
    """What stands at `at`: a block or damage, from where to where, and why. `before` is the block that ends there."""
    block = segment.unpack_block(file.read(at, BLOCK_HEAD))
    if block is not None and at + BLOCK_HEAD + block.packed <= file.size:
        return block, at, at + BLOCK_HEAD + block.packed, ""
    if block is not None:  # cut short here, or bytes were lost: then another block begins inside this one
        end = _search(file, at + BLOCK_HEAD)
        return None, at, end, f"a block of {block.packed} bytes ends after {end - at - BLOCK_HEAD}"
    if before is not None and not _holds(file, before):  # bytes of it may be lost, and the next one stand nearer
        return None, before.at, _search(file, before.at + BLOCK_HEAD), "the checksum of a block does not hold"
    whole = file.size - at >= BLOCK_HEAD
    return None, at, _search(file, at + 1), "there is no block" if whole else "the last block is incomplete"


def _holds(file: _File | _Held, block: Block) -> bool:
    try:
        segment.check(block.head, file.read(block.at + BLOCK_HEAD, block.head.packed))
    except ValueError:
        return False
    return True


class _File:
    """A file read by position."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.size = os.fstat(fd).st_size

    def read(self, at: int, count: int) -> bytes:
        return os.pread(self._fd, count, at)


class _Held:
    """A file that has been read."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def read(self, at: int, count: int) -> bytes:
        return self._data[at : at + count]


class reading:  # noqa: N801  a context manager, used like a function
    """A file opened for reading by position; its OSError becomes one sentence."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1

    def __enter__(self) -> _File:
        try:
            self._fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as exc:
            raise unreadable(self._path, exc) from None
        return _File(self._fd)

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, _tb: object) -> None:
        os.close(self._fd)
        if isinstance(exc, OSError):
            raise unreadable(self._path, exc) from None


def unreadable(path: Path, exc: OSError) -> SourceError:
    return SourceError(f"cannot read {clean(str(path))}: {(exc.strerror or str(exc)).lower()}")


def _search(file: _File | _Held, at: int) -> int:
    """Where the next block with an intact head begins, from `at` on; the end of the file where there is none."""
    while at < file.size:
        chunk = file.read(at, _CHUNK + BLOCK_HEAD)
        found = chunk.find(BLOCK_MAGIC)
        while 0 <= found < _CHUNK:
            if segment.unpack_block(chunk[found : found + BLOCK_HEAD]) is not None:
                return at + found
            found = chunk.find(BLOCK_MAGIC, found + 1)
        at += _CHUNK
    return file.size


def unpacked(blocks: list[Block], damage: list[Damage]) -> Iterator[tuple[Block, list[Record]]]:
    """The records of each block, in the order given; a block that is not what was written is added to `damage`."""
    for _, together in groupby(blocks, key=attrgetter("path", "held")):
        first, *others = together
        with reading(first.path) if first.held is None else nullcontext(first.held) as file:  # one open at a time
            for block in (first, *others):
                try:
                    packed = file.read(block.at + BLOCK_HEAD, block.head.packed)
                    records = list(segment.unpack_records(block.head, packed))
                except ValueError as exc:
                    damage.append(Damage(block.path, block.at, block.end, str(exc), block.tail))
                else:
                    yield block, records
