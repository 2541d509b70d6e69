"""Real sockets under the simulated venues: sessions with bounded queues, fan-out by channel, and plain HTTP GET.

A client that does not read is closed: its frames are never buffered without end.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Final, NamedTuple, Protocol
from urllib.parse import parse_qsl, urlsplit

import msgspec
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from dfmon.sim.faults import Faults
from dfmon.sim.market.currency import Happenings

QUEUE_BYTES: Final = 8 << 20
encode: Final = msgspec.json.Encoder().encode


class Answer(NamedTuple):
    """What REST says."""

    status: HTTPStatus
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


class Session:
    """One client. `send` never blocks; what the client does not read in time costs it the connection."""

    def __init__(self, ws: ServerConnection, too_slow: tuple[int, str] = (1008, "connection_too_slow")) -> None:
        self.ws = ws
        self.path = ws.request.path if ws.request else "/"
        self.heard = asyncio.get_running_loop().time()
        self.told = self.opened = self.heard
        self._too_slow = too_slow
        self._queue: deque[bytes] = deque()  # bounded by QUEUE_BYTES
        self._bytes = 0
        self._filled = asyncio.Event()
        self._closing: asyncio.Task[None] | None = None

    def send(self, frame: bytes) -> None:
        """Queue one text frame."""
        if self._closing is not None:
            return
        self._bytes += len(frame)
        if self._bytes > QUEUE_BYTES:
            self.close(*self._too_slow)
            return
        self._queue.append(frame)
        self._filled.set()

    def close(self, code: int, reason: str, last: bytes | None = None) -> None:
        """Start the closing handshake; what is still queued is dropped, but for the `last` word."""
        if self._closing is None:
            self._queue.clear()
            self._closing = asyncio.create_task(self._close(code, reason, last))

    def abort(self) -> None:
        """Drop the connection without a word (the client sees 1006)."""
        self.ws.transport.abort()

    async def _close(self, code: int, reason: str, last: bytes | None) -> None:
        with contextlib.suppress(ConnectionClosed):
            if last is not None:
                await self.ws.send(last, text=True)
        await self.ws.close(code, reason)

    async def serve(self, hear: Callable[[str | bytes], None]) -> None:
        """Hand every message to `hear` until the connection ends."""
        loop = asyncio.get_running_loop()
        writer = asyncio.create_task(self._write())
        try:
            with contextlib.suppress(ConnectionClosed):
                async for message in self.ws:
                    self.heard = loop.time()
                    hear(message)
        finally:
            writer.cancel()
            await asyncio.gather(writer, *([self._closing] if self._closing else []), return_exceptions=True)

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(ConnectionClosed):
            while True:
                await self._filled.wait()
                self._filled.clear()
                while self._queue:
                    frame = self._queue.popleft()
                    await self.ws.send(frame, text=True)
                    self._bytes -= len(frame)
                    self.told = loop.time()


class Venue(Protocol):
    """What a server needs to know of a venue."""

    compression: str | None
    ping_interval: float | None
    sessions: set[Session]

    most_connections: int

    async def connect(self, ws: ServerConnection) -> None:
        """Serve one websocket client."""

    def get(self, path: str, query: dict[str, str]) -> Answer:
        """Answer one REST call."""

    def troubled(self, status: HTTPStatus) -> bytes:
        """The body beside a status that says the venue cannot answer."""

    def tick(self, count: int, happened: Happenings) -> None:
        """Publish what happened; called ten times a second with a running count."""

    def strike(self, blows: Faults) -> None:
        """Deal the blows that are this venue's own."""


async def listen(venue: Venue, faults: Faults, host: str, port: int) -> Server:
    """Open the venue's port: websocket and REST side by side."""

    async def answer(connection: ServerConnection, request: Request) -> Response | None:
        if "Upgrade" in request.headers:
            if len(venue.sessions) < venue.most_connections:
                return None
            return _response(Answer(HTTPStatus.TOO_MANY_REQUESTS, venue.troubled(HTTPStatus.TOO_MANY_REQUESTS)))
        if faults.rest_delay_s:
            await asyncio.sleep(faults.rest_delay_s)
        if faults.rest_status:
            status = HTTPStatus(faults.rest_status)
            retry = (("Retry-After", f"{faults.rest_retry_s:g}"),)
            return _response(Answer(status, venue.troubled(status), retry))
        parts = urlsplit(request.path)
        return _response(venue.get(parts.path, dict(parse_qsl(parts.query))))

    return await serve(
        venue.connect,
        host,
        port,
        process_request=answer,
        compression=venue.compression,
        ping_interval=venue.ping_interval,
        ping_timeout=60.0,
        close_timeout=1.0,
        server_header=None,
    )


def _response(answer: Answer) -> Response:
    status, body, more = answer
    headers = Headers([("Content-Type", "application/json"), ("Content-Length", str(len(body))), *more])
    headers["Connection"] = "close"
    return Response(status.value, status.phrase, headers, body)


def port_of(server: Server) -> int:
    """The port the server got."""
    return int(next(iter(server.sockets)).getsockname()[1])


def broadcast(sessions: Iterable[Session], frame: bytes) -> None:
    """One encoded frame to many."""
    for session in sessions:
        session.send(frame)
