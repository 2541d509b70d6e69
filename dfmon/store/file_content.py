"""Opens any input file by its content: regular files only, unpacked as they stream, within bounds, as bytes or as text.

gzip, zstd and zip of one file are recognised by their first bytes; memory stays within a few buffers whatever they
unpack to. A file that is not what it claims to be is one sentence: UsageError where nothing was read, SourceError where
packed data are damaged or end early.
"""

from __future__ import annotations

import codecs
import io
import os
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, Final, Literal, NamedTuple
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile

from dfmon.model.errors import SourceError, UsageError
from dfmon.model.units import sanitize

Packing = Literal["", "gzip", "zstd", "zip"]

_SIGNATURES: Final[dict[Packing, bytes]] = {"gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd", "zip": b"PK\x03\x04"}
_CHUNK_BYTES: Final = 1 << 16
_SHOWN_PATH: Final = 80
_ZSTD_FEED_BYTES: Final = 512  # a block of 4 bytes unpacks to 128 KiB, so a feed to 16 MiB
_ZSTD_WINDOW_BYTES: Final = 1 << 27  # what zstd itself allows without --memory
_ZIP_LISTING_BYTES: Final = 1 << 20
_RATIO_ALLOWANCE: Final = 1 << 24  # bytes that may be unpacked before the ratio counts: small files pack well


class UnpackLimits(NamedTuple):
    """Bounds of what a file may have, unpacked: bytes, and bytes for each packed one."""

    unpacked_bytes: int = 1 << 32
    ratio: int = 200


LIMITS: Final = UnpackLimits()


def shown_path(path: Path) -> str:
    """A path for a sentence, its end if it is long."""
    shown = sanitize(str(path))
    return shown if len(shown) <= _SHOWN_PATH else "…" + shown[1 - _SHOWN_PATH :]


# ---- bytes -------------------------------------------------------------------------------------------------------


def open_regular(path: Path, expected: str = "a file") -> BinaryIO:
    """The bytes of a regular file. Raises UsageError for a folder, a device, a pipe, or one that cannot be opened."""
    shown = shown_path(path)
    try:
        # a pipe without a writer would block
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        raise UsageError(f"{shown} does not exist: {expected} is expected") from None
    except (OSError, ValueError) as exc:
        raise UsageError(f"cannot read {shown}: {_reason(exc)}") from None
    mode = os.fstat(handle).st_mode
    if not stat.S_ISREG(mode):
        os.close(handle)
        found = "a directory" if stat.S_ISDIR(mode) else "not a regular file"
        raise UsageError(f"{shown} is {found}: {expected} is expected")
    return os.fdopen(handle, "rb")


def read_head(path: Path, expected: str, size: int) -> bytes:
    """The first bytes of a file. Raises UsageError as `open_regular` does, and where it cannot be read."""
    with open_regular(path, expected) as handle, _translate_read_errors(path):
        return handle.read(size)


def packing_of(path: Path, expected: str = "a file") -> Packing:
    """Packing of a file by its first bytes; "" for none. Raises UsageError as `open_regular` does."""
    return _packing(read_head(path, expected, 4))


@contextmanager
def open_unpacked(path: Path, expected: str = "a file", limits: UnpackLimits = LIMITS) -> Iterator[IO[bytes]]:
    """The unpacked bytes of a file, read forward only.

    Raises UsageError as `open_regular` does, for a zip of several files and beyond `limits`; SourceError, while it is
    read, for damaged or truncated data.
    """
    with open_regular(path, expected) as handle, _translate_read_errors(path):
        packing = _packing(handle.read(4))
        handle.seek(0)
        guard = _UnpackGuard(path, packing, limits)
        if not packing:
            guard.check_size(os.fstat(handle.fileno()).st_size)
            yield handle
            return
        chunks = _READERS[packing](handle, guard)
        yield io.BufferedReader(_ChunkReader(guard.checked(chunks)), _CHUNK_BYTES)


def _packing(head: bytes) -> Packing:
    return next((name for name, signature in _SIGNATURES.items() if head.startswith(signature)), "")


@contextmanager
def _translate_read_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise UsageError(f"cannot read {shown_path(path)}: {_reason(exc)}") from None


def _reason(exc: Exception) -> str:
    return (getattr(exc, "strerror", None) or str(exc)).lower()


# ---- unpacking ---------------------------------------------------------------------------------------------------


class _DamageError(Exception):
    """Packed data that are damaged or end early."""


class _UnpackGuard:
    """Counts packed and unpacked bytes of one file against the limits."""

    def __init__(self, path: Path, packing: Packing, limits: UnpackLimits) -> None:
        self.shown = shown_path(path)
        self.packing = packing
        self.packed_bytes = 0
        self._limits = limits

    def checked(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """The chunks, up to the limits."""
        unpacked_bytes = 0
        try:
            for chunk in chunks:
                unpacked_bytes += len(chunk)
                self._check(unpacked_bytes)
                yield chunk
        except (_DamageError, zlib.error, BadZipFile, UnicodeDecodeError, EOFError, NotImplementedError) as exc:
            raise SourceError(
                f"{self.shown} is damaged: its {self.packing} data end after {unpacked_bytes:,} unpacked bytes "
                f"({sanitize(str(exc), 80)})"
            ) from None

    def check_size(self, size: int) -> None:
        """Raises UsageError for a file that is too large as it is."""
        if size > self._limits.unpacked_bytes:
            raise UsageError(
                f"{self.shown} is larger than {self._limits.unpacked_bytes / 1e6:,.0f} MB, which is the limit"
            )

    def _check(self, unpacked_bytes: int) -> None:
        if unpacked_bytes > self._limits.unpacked_bytes:
            raise UsageError(
                f"{self.shown} unpacks to more than {self._limits.unpacked_bytes / 1e6:,.0f} MB, which is the limit"
            )
        if unpacked_bytes > _RATIO_ALLOWANCE + self._limits.ratio * self.packed_bytes:
            raise UsageError(
                f"{self.shown} unpacks {self.packed_bytes:,} bytes of {self.packing} to more than "
                f"{unpacked_bytes / 1e6:,.0f} MB, allowed: {self._limits.ratio} times"
            )


def _gzip_chunks(handle: BinaryIO, guard: _UnpackGuard) -> Iterator[bytes]:
    """Unpacked members of a gzip file; zeros after the last are padding."""
    member = zlib.decompressobj(wbits=31)
    packed = b""
    while packed := packed or handle.read(_CHUNK_BYTES):
        if member.eof:
            packed = packed.lstrip(b"\0")
            if not packed:
                continue
            member = zlib.decompressobj(wbits=31)
        chunk = member.decompress(packed, _CHUNK_BYTES)
        rest = member.unused_data if member.eof else member.unconsumed_tail
        guard.packed_bytes += len(packed) - len(rest)
        packed = rest
        yield chunk
    if not member.eof:
        raise _DamageError("in the middle of a member")


def _zstd_chunks(handle: BinaryIO, guard: _UnpackGuard) -> Iterator[bytes]:
    try:
        import zstandard
    except ImportError:
        raise UsageError(
            f"{guard.shown} is packed with zstd, which needs a package: pip install 'dfmon[captures]'"
        ) from None

    packer = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES)
    frame, packed = packer.decompressobj(), b""
    try:
        while packed := packed or handle.read(_ZSTD_FEED_BYTES):
            if frame.eof:
                frame = packer.decompressobj()
            chunk = frame.decompress(packed)
            guard.packed_bytes += len(packed) - len(frame.unused_data)
            packed = frame.unused_data
            yield chunk
    except zstandard.ZstdError as exc:
        raise _DamageError(str(exc)) from None
    if not frame.eof:
        raise _DamageError("in the middle of a frame")


def _zip_chunks(handle: BinaryIO, guard: _UnpackGuard) -> Iterator[bytes]:
    """The only file of a zip; folders and hidden files, as macOS adds them, are not counted."""
    source = _ShortReads(io.FileIO(handle.fileno(), closefd=False))
    with ZipFile(source) as archive:
        files = [info for info in archive.infolist() if _is_content(info.filename)]
        if len(files) != 1:
            raise UsageError(f"{guard.shown} is a zip of {len(files)} files, one file is expected")
        info = files[0]
        if info.flag_bits & 0x1:
            raise UsageError(f"{guard.shown} is an encrypted zip, one without a password is expected")
        if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
            raise UsageError(f"{guard.shown} is a zip packed by method {info.compress_type}, deflate is expected")
        with archive.open(info) as member:
            while chunk := member.read(_CHUNK_BYTES):
                guard.packed_bytes = source.tell()
                yield chunk


def _is_content(name: str) -> bool:
    base = name.rpartition("/")[2]
    return bool(base) and not base.startswith(".") and not name.startswith("__MACOSX/")


class _ShortReads(io.BufferedReader):
    """A file for ZipFile, which reads a listing at once: this bounds it."""

    def read(self, size: int | None = -1, /) -> bytes:
        bound = _ZIP_LISTING_BYTES + 1
        found = super().read(bound if size is None or size < 0 else min(size, bound))
        if len(found) == bound:
            raise BadZipFile("its listing is longer than a megabyte")
        return found


_READERS: Final[dict[Packing, Callable[[BinaryIO, _UnpackGuard], Iterator[bytes]]]] = {
    "gzip": _gzip_chunks,
    "zstd": _zstd_chunks,
    "zip": _zip_chunks,
}


class _ChunkReader(io.RawIOBase):
    """An iterator of chunks as a binary file."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._remaining = chunks, memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._remaining:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._remaining = memoryview(chunk)
        count = min(len(buffer), len(self._remaining))
        buffer[:count], self._remaining = self._remaining[:count], self._remaining[count:]
        return count


# ---- text --------------------------------------------------------------------------------------------------------


def numbered_lines(
    path: Path, expected: str = "a text file", limits: UnpackLimits = LIMITS, max_line_chars: int = 1 << 20
) -> Iterator[tuple[int, str]]:
    """Lines of the text of a file without their ends, numbered from 1.

    UTF-8, or UTF-16 with or without a byte order mark. Raises what `open_unpacked` raises, and UsageError with the line
    and the byte of what is not text, and for a line longer than `max_line_chars`.
    """
    with open_unpacked(path, expected, limits) as stream:
        yield from text_lines(stream, shown_path(path), max_line_chars)


def read_text(path: Path, expected: str = "a text file", max_bytes: int = 1 << 20) -> str:
    """The text of a small file. Raises what `numbered_lines` raises, and UsageError if it is longer than allowed."""
    limits = UnpackLimits(max_bytes, LIMITS.ratio)
    with open_unpacked(path, expected, limits) as stream:
        content = stream.read()
    return "\n".join(text for _, text in text_lines(io.BytesIO(content), shown_path(path), max_bytes))


def text_lines(stream: IO[bytes], shown: str, max_line_chars: int = 1 << 20) -> Iterator[tuple[int, str]]:
    """Numbered lines of a stream of bytes; `shown` names it in errors."""
    chunk = stream.read(_CHUNK_BYTES)
    encoding, mark = _encoding(chunk)
    decoder = codecs.getincrementaldecoder(encoding)()
    newlines = io.IncrementalNewlineDecoder(decoder, translate=True)
    chunk, offset, number, rest = chunk[len(mark) :], len(mark), 0, ""
    while True:
        undecoded = len(decoder.getstate()[0])
        try:
            text = newlines.decode(chunk, final=not chunk)
        except UnicodeDecodeError as exc:
            at_line = number + 1 + (rest + exc.object[: exc.start].decode(encoding)).count("\n")
            byte = exc.object[exc.start]
            raise UsageError(
                f"{shown} is not text: line {at_line}, byte {offset - undecoded + exc.start} (0x{byte:02X}) is not "
                f"{encoding.upper()}, save it as UTF-8"
            ) from None
        *lines, rest = (rest + text).split("\n")
        for line in lines:
            number += 1
            _check_line(line, number, shown, max_line_chars)
            yield number, line
        _check_line(rest, number + 1, shown, max_line_chars)
        if not chunk:
            break
        offset += len(chunk)
        chunk = stream.read(_CHUNK_BYTES)
    if rest:
        yield number + 1, rest


def _check_line(line: str, number: int, shown: str, max_line_chars: int) -> None:
    if len(line) > max_line_chars:
        raise UsageError(f"{shown}: line {number} is longer than {max_line_chars:,} characters, which is the limit")


def _encoding(head: bytes) -> tuple[str, bytes]:
    """The encoding of text from its first bytes, and the byte order mark that it has."""
    for encoding, mark in (
        ("utf-8", codecs.BOM_UTF8),
        ("utf-16-le", codecs.BOM_UTF16_LE),
        ("utf-16-be", codecs.BOM_UTF16_BE),
    ):
        if head.startswith(mark):
            return encoding, mark
    sample = head[:2048]
    if len(sample) >= 4 and sample.count(0) >= len(sample) // 4:  # text of digits and Latin letters in UTF-16
        odd = sample[1::2].count(0)
        if odd > 2 * sample[::2].count(0):
            return "utf-16-le", b""
        if sample[::2].count(0) > 2 * odd:
            return "utf-16-be", b""
    return "utf-8", b""
