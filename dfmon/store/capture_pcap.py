"""Captures of cryptofeed 3.x: its connections as synthetic TCP streams in a pcap, with a `.meta.json` beside it.

Every connection has a port of its own and port 80 on the venue's side; its first request names the exchange. Segments
are in order and never repeated, so messages are read while the file streams. Other pcaps are refused.
"""

from __future__ import annotations

import re
import struct
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import IO, Final

import msgspec

from dfmon.model.errors import DfmonError, SourceError, UsageError
from dfmon.model.units import SECOND, sanitize
from dfmon.store.capture_messages import (
    EXPECTED,
    LIMITS,
    MAX_UNIT_BYTES,
    SOURCES_BY_EXCHANGE,
    BadLines,
    CapturedMessage,
    checked_time,
    display_path,
    source_of_frame,
    sources_of,
)
from dfmon.store.file_content import open_unpacked, read_text

MAGIC: Final = b"\x4d\x3c\xb2\xa1"  # nanoseconds, little endian
_OTHER_MAGICS: Final = (b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"\xa1\xb2\x3c\x4d", b"\x0a\x0d\x0d\x0a")
_CLIENT: Final = bytes.fromhex("024346440001")
_SERVER: Final = bytes.fromhex("024346440002")
_MAX_RECORD_BYTES: Final = 1 << 18  # the snapshot length that cryptofeed states
_MAX_PENDING_BYTES: Final = 1 << 26  # of all connections
_HEADERS_BYTES: Final = 14 + 20 + 20  # Ethernet, IPv4, TCP
_SYN: Final = 0x02
_ACK: Final = 0x10
_TEXT: Final = 1
_PROBE_RECORDS: Final = 20_000
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d{1,10})\r\n", re.IGNORECASE)
_EXCHANGE: Final = re.compile(rb"\r\nX-Cryptofeed-Exchange: *([^\r]+)\r\n")
_URL: Final = re.compile(rb"\r\nX-Cryptofeed-Url: *([^\r]+)\r\n")


def is_pcap(head: bytes) -> bool:
    return head.startswith((MAGIC, *_OTHER_MAGICS))


class _Feed(msgspec.Struct):
    exchange: str = ""


class _Meta(msgspec.Struct):
    files: list[str]
    feeds: list[_Feed] = []


def is_meta(head: bytes) -> bool:
    return head.lstrip().startswith(b"{") and b'"cryptofeed_version"' in head


class Pcap:
    """A capture of one or several exchanges in one or, after rotation, several files."""

    def __init__(self, path: Path) -> None:
        self._files, exchanges = _files_and_exchanges(path)
        self._path = path
        if not exchanges:
            records = islice(_records(self._files[0]), _PROBE_RECORDS)
            with suppress(SourceError):  # reported by the reading of messages
                for _, packet in records:
                    found = _EXCHANGE.search(packet, _HEADERS_BYTES)
                    if found and (name := found[1].decode("latin-1")) not in exchanges:
                        exchanges.append(name)
        if not exchanges:
            raise UsageError(f"{display_path(path)} is a pcap of other packets than those of cryptofeed 3")
        known = [name for name in exchanges if name in SOURCES_BY_EXCHANGE] or exchanges[:1]
        self.sources = tuple(source for name in known for source in sources_of(name, path))

    def messages(self) -> Iterator[CapturedMessage]:
        bad_packets = BadLines(self._path, "packet")
        for file in self._files:  # a connection that goes on in the next file opens there again
            streams = _Streams()
            for number, (recv_ns, packet) in enumerate(_records(file), 1):
                try:
                    found = streams.messages(checked_time(recv_ns), packet)
                except ValueError:
                    bad_packets.add(number)
                    continue
                yield from (message for message in found if message.source in self.sources)
        bad_packets.check()


def _files_and_exchanges(path: Path) -> tuple[list[Path], list[str]]:
    """The files of a capture, and the exchanges that its meta file names, which may be given or beside it."""
    with open_unpacked(path, EXPECTED, LIMITS) as stream:
        is_meta_file = not is_pcap(stream.read(4))
    base = path.name.removesuffix(".zst").removesuffix(".pcap")
    meta_path = path if is_meta_file else path.with_name(f"{base}.meta.json")
    try:
        meta = msgspec.json.decode(read_text(meta_path, "a meta file of cryptofeed", MAX_UNIT_BYTES), type=_Meta)
    except (DfmonError, msgspec.DecodeError, RecursionError) as exc:
        if is_meta_file:
            raise UsageError(f"{display_path(path)} is not a meta file of cryptofeed: {sanitize(str(exc))}") from None
        return [path], []
    files = [path.with_name(Path(name).name) for name in meta.files if Path(name).name] if is_meta_file else [path]
    if not files:
        raise UsageError(f"{display_path(path)} names no file of a capture")
    return files, list(dict.fromkeys(feed.exchange for feed in meta.feeds))


def _records(path: Path) -> Iterator[tuple[int, bytes]]:
    """Times and packets of a pcap, in the order in which they were written."""
    with open_unpacked(path, EXPECTED, LIMITS) as stream:
        if stream.read(24)[:4] != MAGIC:
            raise UsageError(f"{display_path(path)} is a pcap of other packets than those of cryptofeed 3")
        number = 0
        while header := stream.read(16):
            number += 1
            packet = b""
            if len(header) == 16:
                seconds, nanoseconds, length, _ = struct.unpack("<IIII", header)
                packet = _read_packet(stream, length)
            if not packet:
                raise SourceError(f"{display_path(path)} is damaged: it ends or breaks in packet {number}")
            yield seconds * SECOND + nanoseconds, packet


def _read_packet(stream: IO[bytes], length: int) -> bytes:
    """A packet; empty if it is too long or cut short."""
    packet = stream.read(length) if length <= _MAX_RECORD_BYTES else b""
    return packet if len(packet) == length else b""


# ---- streams -------------------------------------------------------------------------------------------------------


class _Connection:
    """One TCP stream: what each side has sent and has not been read yet."""

    def __init__(self) -> None:
        self.sent, self.received = bytearray(), bytearray()
        self.sources: tuple[str, ...] = ()
        self.is_websocket = self.is_upgraded = False
        self.urls: deque[str] = deque(maxlen=1_000)  # of requests without a response


class _Streams:
    """The connections of a file, by port."""

    def __init__(self) -> None:
        self._connections: dict[int, _Connection] = {}
        self._pending_bytes = 0

    def messages(self, recv_ns: int, packet: bytes) -> list[CapturedMessage]:
        """The messages that a packet completes. Raises ValueError for a packet that cryptofeed does not write."""
        if len(packet) < _HEADERS_BYTES or packet[:12] not in (_CLIENT + _SERVER, _SERVER + _CLIENT):
            raise ValueError(recv_ns)
        is_request = packet[:6] == _SERVER
        port = int.from_bytes(packet[34:36] if is_request else packet[36:38])
        flags, payload = packet[47], packet[_HEADERS_BYTES:]
        if flags & _SYN and not flags & _ACK:
            self._drop(port)
            self._connections[port] = _Connection()
        connection = self._connections.get(port)
        if connection is None or not payload:
            return []
        side = connection.sent if is_request else connection.received
        side += payload
        self._pending_bytes += len(payload)
        if len(side) > MAX_UNIT_BYTES + _MAX_RECORD_BYTES or self._pending_bytes > _MAX_PENDING_BYTES:
            self._drop(port)
            raise ValueError(recv_ns)
        before = len(connection.sent) + len(connection.received)
        try:
            return list(_read_requests(connection, recv_ns) if is_request else _read_responses(connection, recv_ns))
        except ValueError:
            connection.sent.clear()
            connection.received.clear()
            raise
        finally:
            self._pending_bytes -= before - len(connection.sent) - len(connection.received)

    def _drop(self, port: int) -> None:
        connection = self._connections.pop(port, None)
        if connection is not None:
            self._pending_bytes -= len(connection.sent) + len(connection.received)


def _read_requests(connection: _Connection, recv_ns: int) -> Iterator[CapturedMessage]:
    """Reads requests; the first names the exchange, that of a websocket opens it."""
    if connection.is_websocket:
        connection.sent.clear()  # subscriptions
        return
    while (taken := _take_http(connection.sent)) is not None:
        head, _ = taken
        if not connection.sources and (exchange := _EXCHANGE.search(head)):
            connection.sources = SOURCES_BY_EXCHANGE.get(exchange[1].decode("latin-1"), ())
        if b"\r\nUpgrade: websocket\r\n" in head:
            connection.is_websocket = True
            yield from (CapturedMessage(recv_ns, "connected", source, b"") for source in connection.sources)
            return
        url = _URL.search(head)
        connection.urls.append(url[1].decode("latin-1") if url else "")


def _read_responses(connection: _Connection, recv_ns: int) -> Iterator[CapturedMessage]:
    """Reads responses, or the frames of a websocket."""
    received = connection.received
    if not connection.sources:
        received.clear()
        return
    while not connection.is_upgraded and (taken := _take_http(received)) is not None:
        if connection.is_websocket:
            connection.is_upgraded = True
            break
        url = connection.urls.popleft() if connection.urls else ""
        yield CapturedMessage(recv_ns, "response", connection.sources[0], taken[1], url)
    while connection.is_upgraded and (frame := _take_frame(received)) is not None:
        if frame[0] == _TEXT:
            data = frame[1]
            yield CapturedMessage(recv_ns, "frame", source_of_frame(connection.sources, data), data)


def _take_http(side: bytearray) -> tuple[bytes, bytes] | None:
    """Removes the first request or response: head and body; None until it is complete."""
    end = side.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = bytes(side[: end + 2])
    length = _LENGTH.search(head)
    size = int(length[1]) if length else 0
    if size > MAX_UNIT_BYTES:
        raise ValueError(size)
    if len(side) < end + 4 + size:
        return None
    body = bytes(side[end + 4 : end + 4 + size])
    del side[: end + 4 + size]
    return head, body


def _take_frame(side: bytearray) -> tuple[int, bytes] | None:
    """Removes the first websocket frame: opcode and payload; None until it is complete."""
    if len(side) < 2:
        return None
    size, begin = side[1] & 0x7F, 2
    if size == 126:
        size, begin = int.from_bytes(side[2:4]), 4
    elif size == 127:
        size, begin = int.from_bytes(side[2:10]), 10
    if size > MAX_UNIT_BYTES or side[1] & 0x80:  # a venue does not mask
        raise ValueError(size)
    if len(side) < begin + size:
        return None
    opcode, payload = side[0] & 0x0F, bytes(side[begin : begin + size])
    del side[: begin + size]
    return opcode, payload
