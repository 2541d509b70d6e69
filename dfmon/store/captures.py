"""Captures of other programs, line by line: cryptofeed's JSON lines and hftbacktest's stamped frames.

A sibling of `replayer`: what it gives was recorded by others, in the venues' own frames. Told apart by content, packed
with zstd, gzip or not at all. `replay.captured` turns the lines into records.
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
from dfmon.model.units import clean

Layout = Literal["cryptofeed", "hftbacktest"]
What = Literal["connected", "frame", "answer"]

_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_LONGEST_LINE: Final = 1 << 26  # a listing of every instrument is one line
_STAMPED: Final = re.compile(rb"\d{19} \{")
_SYMBOL: Final = re.compile(rb'"stream":"([a-z0-9]+)@')
_DERIVATIVE: Final = b'"pu":'  # only the futures chain their differences by it
_BOOKS: Final = (b"@depth", b"@bookTicker")
_LOOK_AHEAD: Final = 2_000  # lines of a stamped capture, to learn what it is of
_EXCHANGES: Final = {"DERIBIT": "deribit", "BINANCE": "binance.spot", "BINANCE_FUTURES": "binance", "OKX": "okx"}


class Line(NamedTuple):
    """Something that was received. `asked` is the URL of an answer."""

    at_ns: int
    what: What
    source: str
    data: bytes
    asked: str = ""


class _Row(msgspec.Struct):
    """A line of cryptofeed's capture; `t` is header, http, connect, send or recv."""

    t: str
    ts: float = 0.0
    url: str = ""
    data: str = ""
    exchange: str = ""


_row: Final = msgspec.json.Decoder(_Row)


def is_capture(path: Path) -> bool:
    """Whether the content looks like a capture. One that is packed with zstd is taken for one: nothing else is."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as handle:
            if handle.read(4) == _ZSTD:
                return True
        with _unpacked(path) as lines:
            return _layout(lines.readline(200)) is not None
    except (OSError, EOFError, zlib.error):
        return False


class Captured:
    """A capture at `path`. Raises UsageError in one sentence where it cannot be read at all."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._shown = clean(str(path))
        with self._sentences(), _unpacked(path) as lines:
            layout = _layout(lines.readline(200))
        if layout is None:
            raise UsageError(f"{self._shown} is no capture of cryptofeed or hftbacktest")
        self._layout: Layout = layout
        self.sources: tuple[str, ...] = ()
        self._symbol = ""
        self._learn()

    def lines(self) -> Iterator[Line]:
        """Everything received, in order of time; what no line should be is a SourceError after the last line."""
        yield from self._rows() if self._layout == "cryptofeed" else self._stamped()

    # ---- cryptofeed ----------------------------------------------------------------------------------------------

    def _learn(self) -> None:
        """Which connections the capture stands for, from its head."""
        with self._sentences(), _unpacked(self.path) as lines:
            if self._layout == "cryptofeed":
                name = _row.decode(lines.readline(_LONGEST_LINE)).exchange
                source = _EXCHANGES.get(name)
                if source is None:
                    known = ", ".join(_EXCHANGES)
                    raise UsageError(f"{self._shown} is a capture of {clean(name, 40)}: {known} are read")
                self.sources = ("binance.public", "binance.market") if source == "binance" else (source,)
            else:
                head = [lines.readline(_LONGEST_LINE) for _ in range(_LOOK_AHEAD)]
                futures = any(_DERIVATIVE in line for line in head)
                self.sources = ("binance.public", "binance.market") if futures else ("binance.spot",)
                named = next((found for line in head if (found := _SYMBOL.search(line))), None)
                self._symbol = named.group(1).decode().upper() if named else ""

    def _rows(self) -> Iterator[Line]:
        """Answers and frames stand in orders of their own, each with its time."""
        bad: list[int] = []
        found: list[Line] = []
        with self._sentences(), _unpacked(self.path) as lines:
            for number, text in enumerate(iter(lambda: lines.readline(_LONGEST_LINE), b""), 1):
                try:
                    found += self._of_row(_row.decode(text))
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                    bad.append(number)
        yield from sorted(found, key=lambda line: line.at_ns)
        self._complain(bad)

    def _of_row(self, row: _Row) -> Iterable[Line]:
        at_ns, data = round(row.ts * 1e6) * 1_000, row.data.encode()
        if row.t == "connect":
            return [Line(at_ns, "connected", source, b"") for source in self.sources]
        if row.t == "recv":
            return [Line(at_ns, "frame", self._source(data), data)]
        if row.t == "http":
            return [Line(at_ns, "answer", self.sources[0], data, row.url)]
        return []

    # ---- hftbacktest ---------------------------------------------------------------------------------------------

    def _stamped(self) -> Iterator[Line]:
        """Nanoseconds, a space, a frame; the one line without a stream is the REST book the differences continue."""
        bad: list[int] = []
        path = "/fapi/v1/depth" if len(self.sources) > 1 else "/api/v3/depth"
        with self._sentences(), _unpacked(self.path) as lines:
            for number, text in enumerate(iter(lambda: lines.readline(_LONGEST_LINE), b""), 1):
                stamp, _, data = text.rstrip().partition(b" ")
                if not stamp.isdigit() or not data.startswith(b"{"):
                    bad.append(number)
                    continue
                at_ns = int(stamp)
                if number == 1:
                    yield from (Line(at_ns, "connected", source, b"") for source in self.sources)
                if b'"stream":' in data[:40]:
                    yield Line(at_ns, "frame", self._source(data), data)
                else:
                    yield Line(at_ns, "answer", self.sources[0], data, f"{path}?symbol={self._symbol}")
        self._complain(bad)

    # ---- both ----------------------------------------------------------------------------------------------------

    def _source(self, frame: bytes) -> str:
        """The connection that would bring the frame: the futures' books and trades came over one at that time."""
        if len(self.sources) == 1:
            return self.sources[0]
        return self.sources[0 if any(book in frame[:80] for book in _BOOKS) else 1]

    def _complain(self, bad: list[int]) -> None:
        if bad:
            more = f" (and {len(bad) - 1} more lines)" if len(bad) > 1 else ""
            raise SourceError(f"{self._shown}: line {bad[0]} is no line of a capture{more}")

    @contextmanager
    def _sentences(self) -> Iterator[None]:
        try:
            yield
        except (EOFError, zlib.error, gzip.BadGzipFile, _TornError) as exc:
            raise SourceError(f"{self._shown} is damaged: the packed data break off ({clean(str(exc))})") from None
        except msgspec.DecodeError as exc:
            raise UsageError(f"{self._shown} is no capture of cryptofeed: {clean(str(exc))}") from None
        except OSError as exc:
            raise UsageError(f"cannot read {self._shown}: {(exc.strerror or str(exc)).lower()}") from None


class _TornError(Exception):
    """The data of a zstd file cannot be unpacked."""


def _layout(first: bytes) -> Layout | None:
    if _STAMPED.match(first):
        return "hftbacktest"
    if first.startswith(b"{") and b'"t"' in first and b'"header"' in first:
        return "cryptofeed"
    return None


@contextmanager
def _unpacked(path: Path) -> Iterator[IO[bytes]]:
    with path.open("rb") as handle:
        magic = handle.read(4)
        handle.seek(0)
        if magic.startswith(_GZIP):
            with gzip.open(handle) as lines:
                yield lines  # type: ignore[misc]  # its readline is that of any binary file
        elif magic == _ZSTD:
            yield _zstd(handle, path)
        else:
            yield handle


def _zstd(handle: IO[bytes], path: Path) -> IO[bytes]:
    """The unpacked text of a zstd file; the package is needed only here."""
    try:
        import zstandard
    except ImportError:
        raise UsageError(
            f'{clean(str(path))} is packed with zstd: install the reader with `pip install "dfmon[captures]"`'
        ) from None

    def parts() -> Iterator[bytes]:
        frame, packed = zstandard.ZstdDecompressor().decompressobj(), b""
        try:
            while packed := packed or handle.read(1 << 16):
                if frame.eof:
                    frame = zstandard.ZstdDecompressor().decompressobj()
                yield frame.decompress(packed)
                packed = frame.unused_data
        except zstandard.ZstdError as exc:
            raise _TornError(str(exc)) from None
        if not frame.eof:
            raise _TornError("in the middle of a frame")

    return io.BufferedReader(_Parts(parts()), 1 << 16)


class _Parts(io.RawIOBase):
    """Chunks of bytes as a file."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts, self._left = parts, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            part = next(self._parts, None)
            if part is None:
                return 0
            self._left = part
        count = min(len(buffer), len(self._left))
        buffer[:count], self._left = self._left[:count], self._left[count:]
        return count
