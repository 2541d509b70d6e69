"""Text captures of cryptofeed: JSON lines of one exchange, and the files of one connection each that 2.x writes.

2.x names its files FEED.ws.N.N and FEED.http.N.N; the listings are in the second kind. Given one of them, those of the
same feed in the same folder are read with it, merged by time.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Final

import msgspec

from dfmon.model.errors import SourceError, UsageError
from dfmon.model.units import sanitize
from dfmon.store.capture_messages import (
    BadLines,
    CapturedMessage,
    checked_time,
    display_path,
    exchange_of,
    numbered_byte_lines,
    source_of_frame,
    sources_of,
)

_STAMP: Final = rb"(\d{9,10}(?:\.\d+)?)"
_CONNECT: Final = re.compile(rb"(wss?://\S+) <-> " + _STAMP + rb"$")
_SENT: Final = re.compile(rb"wss?://\S+ <- " + _STAMP + rb": ")
_RESPONSE: Final = re.compile(rb"(https?://\S+) -> " + _STAMP + rb": ")
_RECEIVED: Final = re.compile(_STAMP + rb": ")
_CONFIGURATION: Final = b"configuration: "
_FILE_NAME: Final = re.compile(r"(?P<feed>[A-Z0-9_.]+?)\.(?P<connection>(?:ws|http)\.[^.]+)\.(?P<count>\d+)(?:\.\w+)?")
_PROBE_LINES: Final = 200
_MAX_CONNECTIONS: Final = 64  # each is an open file
_EXCHANGE_BY_HOST: Final = {
    b"dstream.binance.com": "BINANCE_DELIVERY",
    b"fstream.binance.com": "BINANCE_FUTURES",
    b"fapi.binance.com": "BINANCE_FUTURES",
    b"stream.binance.com": "BINANCE",
    b"api.binance.com": "BINANCE",
    b"deribit.com": "DERIBIT",
    b"okx.com": "OKX",
    b"okex.com": "OKX",
}


class _Row(msgspec.Struct):
    """A row of JSON lines; `t` is header, http, connect, send or recv."""

    t: str
    ts: float = 0.0
    url: str = ""
    data: str = ""
    exchange: str = ""


_row_decoder: Final = msgspec.json.Decoder(_Row)


def is_json_lines(head: bytes) -> bool:
    return head.startswith(b"{") and b'"t"' in head and b'"header"' in head


def is_text(head: bytes) -> bool:
    line = head.split(b"\n", 1)[0].rstrip(b"\r")
    if line.startswith(_CONFIGURATION) or _CONNECT.match(line) or _RESPONSE.match(line) or _SENT.match(line):
        return True
    received = _RECEIVED.match(line)
    return received is not None and line[received.end() : received.end() + 1] in (b"{", b"[")


class JsonLines:
    """A capture of one exchange, as JSON lines."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with_header = next(numbered_byte_lines(path), (1, b""))[1]
        try:
            exchange = _row_decoder.decode(with_header).exchange
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            raise UsageError(f"{display_path(path)} is not a capture of cryptofeed: {sanitize(str(exc))}") from None
        self.sources = sources_of(exchange, path)

    def messages(self) -> Iterator[CapturedMessage]:
        """Responses and frames are each in order but not with each other: the file is read twice and merged."""
        bad_lines = BadLines(self._path)
        responses = (message for message in self._until_damage() if message.kind == "response")
        others = (message for message in self._read(bad_lines) if message.kind != "response")
        yield from heapq.merge(responses, others, key=attrgetter("recv_ns"))
        bad_lines.check()

    def _until_damage(self) -> Iterator[CapturedMessage]:
        try:
            yield from self._read(BadLines(self._path))
        except SourceError:
            return  # reported by the other reading

    def _read(self, bad_lines: BadLines) -> Iterator[CapturedMessage]:
        for number, text in numbered_byte_lines(self._path):
            try:
                found = self._messages_of_row(_row_decoder.decode(text))
            except (ValueError, OverflowError, RecursionError):  # msgspec's and Unicode's are ValueErrors
                bad_lines.add(number)
            else:
                yield from found

    def _messages_of_row(self, row: _Row) -> Iterable[CapturedMessage]:
        if row.t not in ("connect", "recv", "http"):
            return []
        recv_ns, data = _nanoseconds(row.ts), row.data.encode()
        if row.t == "connect":
            return [CapturedMessage(recv_ns, "connected", source, b"") for source in self.sources]
        if row.t == "recv":
            return [CapturedMessage(recv_ns, "frame", source_of_frame(self.sources, data), data)]
        return [CapturedMessage(recv_ns, "response", self.sources[0], data, row.url)]


class TextFiles:
    """The connections of one feed, each in one or several files."""

    def __init__(self, path: Path) -> None:
        self._connections = _files_by_connection(path)
        self._path = path
        self.sources = sources_of(self._exchange(), path)

    def messages(self) -> Iterator[CapturedMessage]:
        bad_lines = [BadLines(files[0]) for files in self._connections]
        yield from heapq.merge(
            *(self._read(files, bad) for files, bad in zip(self._connections, bad_lines)), key=attrgetter("recv_ns")
        )
        for bad in bad_lines:
            bad.check()

    def _exchange(self) -> str:
        """By the addresses of the file; without one, as in the later files of a connection, by its name or frames."""
        head = [line for _, line in islice(numbered_byte_lines(self._path), _PROBE_LINES)]
        for line in head:
            address = _CONNECT.match(line) or _RESPONSE.match(line)
            if address:
                host = address.group(1).split(b"/")[2]
                known = next((name for part, name in _EXCHANGE_BY_HOST.items() if part in host), "")
                return known or host.decode("latin-1")
        named = _FILE_NAME.fullmatch(self._path.name)
        return (named["feed"] if named else "") or exchange_of(head) or "an exchange that the file does not name"

    def _read(self, files: list[Path], bad_lines: BadLines) -> Iterator[CapturedMessage]:
        for file in files:
            for number, line in numbered_byte_lines(file):
                if line and not line.startswith(_CONFIGURATION) and not _SENT.match(line):
                    try:
                        found = self._messages_of_line(line)
                    except ValueError:
                        bad_lines.add(number)
                    else:
                        yield from found

    def _messages_of_line(self, line: bytes) -> Iterable[CapturedMessage]:
        if received := _RECEIVED.match(line):
            data = line[received.end() :]
            if not data.startswith((b"{", b"[")):  # a response polled without its address, or packed bytes
                return []
            source = source_of_frame(self.sources, data)
            return [CapturedMessage(_nanoseconds(float(received[1])), "frame", source, data)]
        if response := _RESPONSE.match(line):
            recv_ns, url = _nanoseconds(float(response[2])), response[1].decode("latin-1")
            return [CapturedMessage(recv_ns, "response", self.sources[0], line[response.end() :], url)]
        if connected := _CONNECT.match(line):
            recv_ns = _nanoseconds(float(connected[2]))
            return [CapturedMessage(recv_ns, "connected", source, b"") for source in self.sources]
        raise ValueError(line)


def _files_by_connection(path: Path) -> list[list[Path]]:
    """The files of the same feed beside this one, grouped by connection, in the order in which they were written."""
    given = _FILE_NAME.fullmatch(path.name)
    if given is None:
        return [[path]]
    found: dict[str, list[tuple[int, Path]]] = {}
    for file in path.parent.iterdir():
        name = _FILE_NAME.fullmatch(file.name)
        if name and name["feed"] == given["feed"] and file.is_file():
            found.setdefault(name["connection"], []).append((int(name["count"]), file))
    if len(found) > _MAX_CONNECTIONS:
        raise UsageError(
            f"{display_path(path)} is one of {len(found)} connections, at most {_MAX_CONNECTIONS} are read"
        )
    return [[file for _, file in sorted(files)] for _, files in sorted(found.items())]


def _nanoseconds(seconds: float) -> int:
    return checked_time(round(seconds * 1e6) * 1_000)
