"""Reads captures of other programs line by line: cryptofeed's JSON lines and hftbacktest's time-stamped frames.

Both contain the venues' own frames. The format is detected from the content; files may be compressed with zstd or gzip.
`replay.capture_source` turns the messages into records.
"""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final, Literal, NamedTuple

import msgspec

from dfmon.model.errors import SourceError, UsageError
from dfmon.model.units import sanitize

CaptureFormat = Literal["cryptofeed", "hftbacktest"]
MessageKind = Literal["connected", "frame", "response"]

_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_MAX_LINE_BYTES: Final = 1 << 26  # a listing of every instrument is one line
_HFTBACKTEST_LINE: Final = re.compile(rb"\d{19} \{")
_SYMBOL_PATTERN: Final = re.compile(rb'"stream":"([a-z0-9]+)@')
_FUTURES_FIELD: Final = b'"pu":'  # previous update id: only in the book differences of futures
_BOOK_STREAMS: Final = (b"@depth", b"@bookTicker")
_PROBE_LINES: Final = 2_000  # lines of an hftbacktest capture from which market and symbol are detected
_SOURCE_BY_EXCHANGE: Final = {
    "DERIBIT": "deribit",
    "BINANCE": "binance.spot",
    "BINANCE_FUTURES": "binance",
    "OKX": "okx",
}


class CapturedMessage(NamedTuple):
    """A received message. `url` is that of a REST response."""

    recv_ns: int
    kind: MessageKind
    source: str
    data: bytes
    url: str = ""


class _CryptofeedRow(msgspec.Struct):
    """A line of cryptofeed's capture; `t` is header, http, connect, send or recv."""

    t: str
    ts: float = 0.0
    url: str = ""
    data: str = ""
    exchange: str = ""


_row_decoder: Final = msgspec.json.Decoder(_CryptofeedRow)


def is_capture(path: Path) -> bool:
    """True if the content looks like a capture. Any zstd file does: no other source is compressed with it."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as handle:
            if handle.read(4) == _ZSTD:
                return True
        with _open_decompressed(path) as lines:
            return _detect_format(lines.readline(200)) is not None
    except (OSError, EOFError, zlib.error):
        return False


class CaptureReader:
    """The capture at `path`. Raises UsageError if it cannot be read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._display_path = sanitize(str(path))
        with self._translate_errors(), _open_decompressed(path) as lines:
            capture_format = _detect_format(lines.readline(200))
        if capture_format is None:
            raise UsageError(f"{self._display_path} is not a capture of cryptofeed or hftbacktest")
        self._format: CaptureFormat = capture_format
        self.sources: tuple[str, ...] = ()
        self._symbol = ""
        self._detect_sources()

    def messages(self) -> Iterator[CapturedMessage]:
        """Every message in order of time. Raises SourceError for invalid lines, after the last line."""
        yield from self._read_cryptofeed() if self._format == "cryptofeed" else self._read_hftbacktest()

    # ---- cryptofeed ----------------------------------------------------------------------------------------------

    def _detect_sources(self) -> None:
        """Sets the connections that the capture stands for, from its first lines."""
        with self._translate_errors(), _open_decompressed(self.path) as lines:
            if self._format == "cryptofeed":
                name = _row_decoder.decode(lines.readline(_MAX_LINE_BYTES)).exchange
                source = _SOURCE_BY_EXCHANGE.get(name)
                if source is None:
                    known = ", ".join(_SOURCE_BY_EXCHANGE)
                    raise UsageError(f"{self._display_path} is a capture of {sanitize(name, 40)}; allowed: {known}")
                self.sources = ("binance.public", "binance.market") if source == "binance" else (source,)
            else:
                head = [lines.readline(_MAX_LINE_BYTES) for _ in range(_PROBE_LINES)]
                futures = any(_FUTURES_FIELD in line for line in head)
                self.sources = ("binance.public", "binance.market") if futures else ("binance.spot",)
                symbol_match = next((found for line in head if (found := _SYMBOL_PATTERN.search(line))), None)
                self._symbol = symbol_match.group(1).decode().upper() if symbol_match else ""

    def _read_cryptofeed(self) -> Iterator[CapturedMessage]:
        """Responses and frames are each in order, but not with each other: all are sorted by time."""
        bad_lines: list[int] = []
        found: list[CapturedMessage] = []
        with self._translate_errors(), _open_decompressed(self.path) as lines:
            for number, text in enumerate(iter(lambda: lines.readline(_MAX_LINE_BYTES), b""), 1):
                try:
                    found += self._messages_of_row(_row_decoder.decode(text))
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                    bad_lines.append(number)
        yield from sorted(found, key=lambda message: message.recv_ns)
        self._raise_bad_lines(bad_lines)

    def _messages_of_row(self, row: _CryptofeedRow) -> Iterable[CapturedMessage]:
        recv_ns, data = round(row.ts * 1e6) * 1_000, row.data.encode()
        if row.t == "connect":
            return [CapturedMessage(recv_ns, "connected", source, b"") for source in self.sources]
        if row.t == "recv":
            return [CapturedMessage(recv_ns, "frame", self._source_of_frame(data), data)]
        if row.t == "http":
            return [CapturedMessage(recv_ns, "response", self.sources[0], data, row.url)]
        return []

    # ---- hftbacktest ---------------------------------------------------------------------------------------------

    def _read_hftbacktest(self) -> Iterator[CapturedMessage]:
        """Lines of nanoseconds, a space, a frame; the one without a stream is the REST book before the differences."""
        bad_lines: list[int] = []
        path = "/fapi/v1/depth" if len(self.sources) > 1 else "/api/v3/depth"
        with self._translate_errors(), _open_decompressed(self.path) as lines:
            for number, text in enumerate(iter(lambda: lines.readline(_MAX_LINE_BYTES), b""), 1):
                stamp, _, data = text.rstrip().partition(b" ")
                if not stamp.isdigit() or not data.startswith(b"{"):
                    bad_lines.append(number)
                    continue
                recv_ns = int(stamp)
                if number == 1:
                    yield from (CapturedMessage(recv_ns, "connected", source, b"") for source in self.sources)
                if b'"stream":' in data[:40]:
                    yield CapturedMessage(recv_ns, "frame", self._source_of_frame(data), data)
                else:
                    yield CapturedMessage(recv_ns, "response", self.sources[0], data, f"{path}?symbol={self._symbol}")
        self._raise_bad_lines(bad_lines)

    # ---- both ----------------------------------------------------------------------------------------------------

    def _source_of_frame(self, frame: bytes) -> str:
        """The connection on which dfmon receives such a frame: captures have books and trades of futures on one."""
        if len(self.sources) == 1:
            return self.sources[0]
        return self.sources[0 if any(book in frame[:80] for book in _BOOK_STREAMS) else 1]

    def _raise_bad_lines(self, bad_lines: list[int]) -> None:
        if bad_lines:
            more_lines = f" (and {len(bad_lines) - 1} more lines)" if len(bad_lines) > 1 else ""
            raise SourceError(f"{self._display_path}: line {bad_lines[0]} is not a line of a capture{more_lines}")

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except (EOFError, zlib.error, gzip.BadGzipFile, _TruncatedError) as exc:
            raise SourceError(
                f"{self._display_path} is damaged: the compressed data end early ({sanitize(str(exc))})"
            ) from None
        except msgspec.DecodeError as exc:
            raise UsageError(f"{self._display_path} is not a capture of cryptofeed: {sanitize(str(exc))}") from None
        except OSError as exc:
            raise UsageError(f"cannot read {self._display_path}: {(exc.strerror or str(exc)).lower()}") from None


class _TruncatedError(Exception):
    """The data of a zstd file end early or are damaged."""


def _detect_format(first: bytes) -> CaptureFormat | None:
    if _HFTBACKTEST_LINE.match(first):
        return "hftbacktest"
    if first.startswith(b"{") and b'"t"' in first and b'"header"' in first:
        return "cryptofeed"
    return None


@contextmanager
def _open_decompressed(path: Path) -> Iterator[IO[bytes]]:
    with path.open("rb") as handle:
        magic = handle.read(4)
        handle.seek(0)
        if magic.startswith(_GZIP):
            with gzip.open(handle) as lines:
                yield lines  # type: ignore[misc]  # its readline is that of any binary file
        elif magic == _ZSTD:
            yield _open_zstd(handle, path)
        else:
            yield handle


def _open_zstd(handle: IO[bytes], path: Path) -> IO[bytes]:
    """The decompressed text of a zstd file."""
    try:
        import zstandard
    except ImportError:
        raise UsageError(
            f"{sanitize(str(path))} is compressed with zstd, which needs a package: pip install 'dfmon[captures]'"
        ) from None

    def chunks() -> Iterator[bytes]:
        decompressor, packed = zstandard.ZstdDecompressor().decompressobj(), b""
        try:
            while packed := packed or handle.read(1 << 16):
                if decompressor.eof:
                    decompressor = zstandard.ZstdDecompressor().decompressobj()
                yield decompressor.decompress(packed)
                packed = decompressor.unused_data
        except zstandard.ZstdError as exc:
            raise _TruncatedError(str(exc)) from None
        if not decompressor.eof:
            raise _TruncatedError("in the middle of a frame")

    return io.BufferedReader(_ChunkReader(chunks()), 1 << 16)


class _ChunkReader(io.RawIOBase):
    """An iterator of chunks as a binary file."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._remaining = chunks, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._remaining:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._remaining = chunk
        count = min(len(buffer), len(self._remaining))
        buffer[:count], self._remaining = self._remaining[:count], self._remaining[count:]
        return count
