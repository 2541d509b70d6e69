"""Messages of captures, the venues they come from, and what all formats share: bounded lines, counted bad ones."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, Literal, NamedTuple, Protocol

from dfmon.model.errors import SourceError, UsageError
from dfmon.model.units import SECOND, sanitize
from dfmon.store.file_content import UnpackLimits, open_unpacked

MessageKind = Literal["connected", "frame", "response"]

EXPECTED: Final = "a recording, a capture or a board"
LIMITS: Final = UnpackLimits(1 << 40)  # a day of a venue is tens of gigabytes; memory does not grow with it
MAX_UNIT_BYTES: Final = 1 << 24  # a line or a message: a listing of every instrument is one
USDM: Final = "BINANCE_FUTURES"
SOURCES_BY_EXCHANGE: Final = {
    "DERIBIT": ("deribit",),
    "BINANCE": ("binance.spot",),
    USDM: ("binance.public", "binance.market"),
    "OKX": ("okx",),
}
_EARLIEST_NS: Final = 1_230_768_000 * SECOND  # 2009
_LATEST_NS: Final = 4_102_444_800 * SECOND  # 2100
_COINM: Final = "BINANCE_DELIVERY"
_EARLIER_NAMES: Final = {"OKEX": "OKX"}
_BOOK_STREAMS: Final = (b"@depth", b"@bookTicker")
_COINM_STREAM: Final = re.compile(rb'"stream": ?"[a-z0-9]+usd_(?:perp|\d{6})@')
_USDM_MARKS: Final = (b'"pu":', b"@markPrice", b"@forceOrder", b"@openInterest")  # absent from spot
_SHAPES: Final = ((b'"stream":"', "BINANCE"), (b'"jsonrpc":', "DERIBIT"), (b'"arg":{', "OKX"))


class CapturedMessage(NamedTuple):
    """A received message. `url` is that of a REST response."""

    recv_ns: int
    kind: MessageKind
    source: str
    data: bytes
    url: str = ""


class CaptureFormat(Protocol):
    """An open capture of one format: the connections that it stands for, and its messages in order of time."""

    sources: tuple[str, ...]

    def messages(self) -> Iterator[CapturedMessage]: ...


def display_path(path: Path) -> str:
    return sanitize(str(path))


def checked_time(ns: int) -> int:
    """A time of receipt. Raises ValueError for one that no capture has."""
    if not _EARLIEST_NS <= ns <= _LATEST_NS:
        raise ValueError(ns)
    return ns


def numbered_byte_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Numbered lines without their ends; of one that is too long, only the beginning. Raises what the opener raises."""
    with open_unpacked(path, EXPECTED, LIMITS) as stream:
        for number, line in enumerate(iter(lambda: stream.readline(MAX_UNIT_BYTES), b""), 1):
            yield number, line.rstrip(b"\r\n")


class BadLines:
    """Count of the lines that are not of the format, reported when the others have been read."""

    def __init__(self, path: Path, unit: str = "line") -> None:
        self._shown, self._unit = display_path(path), unit
        self._first = self._count = 0

    def add(self, number: int) -> None:
        self._first = self._first or number
        self._count += 1

    def check(self) -> None:
        """Raises SourceError if there were any."""
        if self._count:
            more = f" (and {self._count - 1} more {self._unit}s)" if self._count > 1 else ""
            raise SourceError(f"{self._shown}: {self._unit} {self._first} is not a {self._unit} of a capture{more}")


# ---- venues --------------------------------------------------------------------------------------------------------


def sources_of(exchange: str, path: Path) -> tuple[str, ...]:
    """The connections of dfmon for cryptofeed's name of an exchange. Raises UsageError for one that is not read."""
    sources = SOURCES_BY_EXCHANGE.get(_EARLIER_NAMES.get(exchange, exchange))
    if sources is not None:
        return sources
    known = ", ".join(SOURCES_BY_EXCHANGE)
    if exchange == _COINM:
        raise UsageError(
            f"{display_path(path)} is a capture of Binance's coin-margined futures (coin-M, such as btcusd_perp): "
            f"their contracts are not read, only USD-M and spot; allowed: {known}"
        )
    raise UsageError(f"{display_path(path)} is a capture of {sanitize(exchange, 40)}; allowed: {known}")


def exchange_of(frames: Iterable[bytes]) -> str:
    """Exchange, by cryptofeed's name, that sends such frames; "" if none does."""
    found = ""
    for frame in frames:
        head = frame[:200]
        if _COINM_STREAM.search(head):
            return _COINM
        name = next((exchange for mark, exchange in _SHAPES if mark in head), "")
        if name == "BINANCE" and any(mark in frame for mark in _USDM_MARKS):
            return USDM
        found = found or name
        if found and found != "BINANCE":
            return found
    return found


def source_of_frame(sources: tuple[str, ...], frame: bytes) -> str:
    """The connection on which dfmon receives such a frame: captures have books and trades of futures on one."""
    if len(sources) == 1:
        return sources[0]
    return sources[0 if any(book in frame[:80] for book in _BOOK_STREAMS) else 1]
