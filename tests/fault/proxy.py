"""A loopback proxy in front of one of the exchange's ports, and what can be wrong with the line.

It forwards bytes. On a websocket it also sees the venue's text frames, so that frames can be dropped, doubled, swapped
or invented; it takes the offer of compression out of the handshake, since a compressed stream cannot be edited.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

Edit = Callable[[bytes], list[bytes]]  # one text frame of the venue to what arrives instead

_TEXT = 0x81  # a whole text message
_CHUNK = 65_536


@dataclass
class Link:
    """What is wrong just now; everything off is a perfect line."""

    latency_s: float = 0.0
    bytes_per_s: float = 0.0
    slice_bytes: int = 0
    refuse: bool = False
    stalled: bool = False
    edit: Edit | None = None
    http_status: int = 0
    calls: int = 0  # REST calls seen


@dataclass(eq=False)
class _Pair:
    """One client connection and its upstream."""

    client: asyncio.StreamWriter
    upstream: asyncio.StreamWriter
    queue: asyncio.Queue[tuple[float, bytes]] = field(default_factory=asyncio.Queue)
    edit: Edit | None = None  # of this connection alone


class Proxy:
    """`link` may be changed at any time; `reset` and `half_close` strike the connections that are open."""

    def __init__(self, port: int) -> None:
        self.link = Link()
        self._port = port
        self._pairs: set[_Pair] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> int:
        """Opens a free port and returns it."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def open(self) -> int:
        return len(self._pairs)

    def reset(self) -> None:
        """RST towards the client, in the middle of whatever was under way."""
        for pair in list(self._pairs):
            _reset(pair.client)

    def edit_existing(self, edit: Edit) -> None:
        """Edit what arrives on the connections that are open now, and on none that is made later."""
        for pair in self._pairs:
            pair.edit = edit

    def half_close(self) -> None:
        """FIN towards the client, while its own half stays open: the venue has finished talking, so it seems."""
        for pair in list(self._pairs):
            with contextlib.suppress(OSError, RuntimeError):
                pair.client.write_eof()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            if self.link.refuse:
                _reset(writer)
                return
            with contextlib.suppress(OSError, EOFError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._serve(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        websocket = b"upgrade: websocket" in head.lower()
        if not websocket:
            self.link.calls += 1
            if self.link.http_status:
                writer.write(_http_response(self.link.http_status))
                await writer.drain()
                return
        lines = [part for part in head.split(b"\r\n") if not part.lower().startswith(b"sec-websocket-extensions")]
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._port)
        pair = _Pair(writer, up_writer)
        self._pairs.add(pair)
        up_writer.write(b"\r\n".join(lines))
        parts = [self._up(reader, pair), self._down(up_reader, pair, websocket=websocket), self._send(pair)]
        tasks = [asyncio.create_task(part) for part in parts]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._pairs.discard(pair)
            up_writer.transport.abort()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _up(self, reader: asyncio.StreamReader, pair: _Pair) -> None:
        while data := await reader.read(_CHUNK):
            await self._while_stalled()
            pair.upstream.write(data)
            await pair.upstream.drain()

    async def _down(self, reader: asyncio.StreamReader, pair: _Pair, *, websocket: bool) -> None:
        loop = asyncio.get_running_loop()
        if websocket:
            pair.queue.put_nowait((loop.time(), await reader.readuntil(b"\r\n\r\n")))
        while data := await (_frame(reader) if websocket else reader.read(_CHUNK)):
            edit = pair.edit or self.link.edit
            pieces = _edited(data, edit) if websocket and edit else [data]
            for piece in pieces:
                pair.queue.put_nowait((loop.time() + self.link.latency_s, piece))
        await pair.queue.join()

    async def _send(self, pair: _Pair) -> None:
        """What the venue said, late, slowly or in crumbs."""
        loop = asyncio.get_running_loop()
        while True:
            release_s, data = await pair.queue.get()
            if release_s > loop.time():
                await asyncio.sleep(release_s - loop.time())
            await self._while_stalled()
            size = self.link.slice_bytes or len(data)
            for at in range(0, len(data), size):
                pair.client.write(data[at : at + size])
                await pair.client.drain()
                if self.link.bytes_per_s:
                    await asyncio.sleep(min(size, len(data) - at) / self.link.bytes_per_s)
                elif size < len(data):
                    await asyncio.sleep(0)
            pair.queue.task_done()

    async def _while_stalled(self) -> None:
        while self.link.stalled:
            await asyncio.sleep(0.1)


async def _frame(reader: asyncio.StreamReader) -> bytes:
    """One unmasked websocket frame, header and all; empty at the end."""
    try:
        head = await reader.readexactly(2)
        more = {126: 2, 127: 8}.get(head[1] & 0x7F, 0)
        length = await reader.readexactly(more)
        size = int.from_bytes(length, "big") if more else head[1] & 0x7F
        return head + length + await reader.readexactly(size)
    except asyncio.IncompleteReadError:
        return b""


def text_frame(payload: bytes) -> bytes:
    """A whole text message as a server sends it."""
    size = len(payload)
    if size < 126:
        return struct.pack("!BB", _TEXT, size) + payload
    if size < 65_536:
        return struct.pack("!BBH", _TEXT, 126, size) + payload
    return struct.pack("!BBQ", _TEXT, 127, size) + payload


def _edited(frame: bytes, edit: Edit) -> list[bytes]:
    if frame[0] != _TEXT:
        return [frame]
    header = 2 + {126: 2, 127: 8}.get(frame[1] & 0x7F, 0)
    return [text_frame(payload) for payload in edit(frame[header:])]


def _http_response(status: int) -> bytes:
    return b"HTTP/1.1 %d Trouble\r\nRetry-After: 1\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}" % status


def _reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
