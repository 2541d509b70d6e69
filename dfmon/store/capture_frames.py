"""Captures of time-stamped frames, a line each: hftbacktest's in nanoseconds, Tardis's raw slices in ISO times.

Neither names its venue: the frames do. Tardis has no listings, so that of Deribit's options is made of their names; the
REST results that it puts among the frames become responses again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec

from dfmon.model.errors import UsageError
from dfmon.model.units import MONTHS, SECOND
from dfmon.store.capture_messages import (
    USDM,
    BadLines,
    CapturedMessage,
    checked_time,
    display_path,
    exchange_of,
    numbered_byte_lines,
    source_of_frame,
    sources_of,
)

_NANOSECONDS: Final = re.compile(rb"(\d{19}) (?=\{)")
_ISO: Final = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{3,9})Z (?=\{)")
_SYMBOL: Final = re.compile(rb'"stream":"([a-z0-9]+)@')
_GENERATED: Final = re.compile(rb'"stream":"([a-z0-9]+)@(depthSnapshot|openInterest)"')
_OPTION_NAME: Final = re.compile(
    rb"\b(?P<name>(?P<currency>[A-Z]{2,10})-(?P<day>\d{1,2})(?P<month>[A-Z]{3})(?P<year>\d\d)"
    rb"-(?P<strike>\d+)-(?P<type>[CP]))\b"
)
_PROBE_LINES: Final = 2_000  # from which market and symbol are detected
_LISTING_LINES: Final = 100_000  # from which the names of options are collected
_API_PREFIX: Final = {True: "/fapi/v1/", False: "/api/v3/"}
_RESULT_BY_STREAM: Final = {b"depthSnapshot": "depth", b"openInterest": "openInterest"}


class _Stream(msgspec.Struct):
    data: msgspec.Raw


_stream_decoder: Final = msgspec.json.Decoder(_Stream)


def is_hftbacktest(head: bytes) -> bool:
    return bool(_NANOSECONDS.match(head))


def is_tardis(head: bytes) -> bool:
    return bool(_ISO.match(head.lstrip(b"\r\n")))


class StampedFrames:
    """Lines of a time, a space and a frame; an empty line is a lost connection."""

    def __init__(self, path: Path) -> None:
        self._path = path
        head = [line for _, line in islice(numbered_byte_lines(path), _PROBE_LINES)]
        exchange = exchange_of(line.partition(b" ")[2] for line in head)
        if not exchange:
            raise UsageError(f"{display_path(path)} has no market that dfmon reads")
        self.sources = sources_of(exchange, path)
        self._api = _API_PREFIX[exchange == USDM]
        symbol = next((found for line in head if (found := _SYMBOL.search(line))), None)
        self._symbol = symbol[1].decode().upper() if symbol else ""
        self._is_tardis = any(_ISO.match(line) for line in head)

    def messages(self) -> Iterator[CapturedMessage]:
        bad_lines = BadLines(self._path)
        is_connected, is_listed = False, not self._is_tardis or self.sources != ("deribit",)
        for number, line in numbered_byte_lines(self._path):
            if not line:
                is_connected = False
                continue
            try:
                recv_ns, frame = _split(line)
            except ValueError:
                bad_lines.add(number)
                continue
            if not is_connected:
                yield from (CapturedMessage(recv_ns, "connected", source, b"") for source in self.sources)
                is_connected = True
            if not is_listed:
                yield from self._listings(recv_ns)
                is_listed = True
            yield self._message(recv_ns, frame)
        bad_lines.check()

    def _message(self, recv_ns: int, frame: bytes) -> CapturedMessage:
        """A frame, or a response: hftbacktest's book before the differences, or what Tardis requested."""
        if generated := _GENERATED.search(frame[:100]):
            try:
                result = bytes(_stream_decoder.decode(frame).data)
            except (ValueError, RecursionError):
                result = b""  # rejected by the decoder
            url = f"{self._api}{_RESULT_BY_STREAM[generated[2]]}?symbol={generated[1].decode().upper()}"
            return CapturedMessage(recv_ns, "response", self.sources[0], result, url)
        if self._is_tardis or self.sources[0].partition(".")[0] != "binance" or b'"stream":' in frame[:40]:
            return CapturedMessage(recv_ns, "frame", source_of_frame(self.sources, frame), frame)
        return CapturedMessage(recv_ns, "response", self.sources[0], frame, f"{self._api}depth?symbol={self._symbol}")

    def _listings(self, recv_ns: int) -> Iterable[CapturedMessage]:
        """A listing of each currency whose options the frames name."""
        rows: dict[str, dict[bytes, dict[str, object]]] = {}
        for _, line in islice(numbered_byte_lines(self._path), _LISTING_LINES):
            for option in _OPTION_NAME.finditer(line[:400]):
                listed = rows.setdefault(option["currency"].decode(), {})
                if option["name"] not in listed and (row := _listing_row(option)) is not None:
                    listed[option["name"]] = row
        for currency, listed in rows.items():
            body = msgspec.json.encode({"jsonrpc": "2.0", "result": list(listed.values())})
            url = f"/api/v2/public/get_instruments?currency={currency}&kind=option"
            yield CapturedMessage(recv_ns, "response", self.sources[0], body, url)


def _split(line: bytes) -> tuple[int, bytes]:
    """Nanoseconds and frame of a line. Raises ValueError."""
    if stamp := _NANOSECONDS.match(line):
        return checked_time(int(stamp[1])), line[stamp.end() :]
    if iso := _ISO.match(line):
        recv_ns = _seconds(iso[1]) * SECOND + int(iso[2].ljust(9, b"0"))
        return checked_time(recv_ns), line[iso.end() :]
    raise ValueError(line[:40])


@lru_cache(64)
def _seconds(text: bytes) -> int:
    return int(datetime.fromisoformat(text.decode()).replace(tzinfo=UTC).timestamp())


def _listing_row(option: re.Match[bytes]) -> dict[str, object] | None:
    """A row of Deribit's listing for the name of an inverse option; None for one that no day has."""
    try:
        month = MONTHS.index(option["month"].decode()) + 1
        expiry = datetime(2000 + int(option["year"]), month, int(option["day"]), 8, tzinfo=UTC)
    except ValueError:
        return None
    currency = option["currency"].decode()
    return {
        "instrument_name": option["name"].decode(),
        "kind": "option",
        "base_currency": currency,
        "settlement_currency": currency,
        "instrument_type": "reversed",
        "option_type": "call" if option["type"] == b"C" else "put",
        "strike": float(option["strike"]),
        "expiration_timestamp": int(expiry.timestamp()) * 1_000,
        "price_index": f"{currency.lower()}_usd",
    }
