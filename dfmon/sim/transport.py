"""Real sockets under the simulated venues: sessions with bounded queues, fan-out by channel, and plain HTTP.

A client that does not read is closed: its frames are never buffered without end.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import Callable, Iterable
from http import HTTPStatus
from itertools import count
from typing import Final, NamedTuple, Protocol
from urllib.parse import parse_qsl, urlsplit

import msgspec
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from dfmon.sim.faults import Faults
from dfmon.sim.market.currency_market import MarketEvents
from dfmon.sim.post_connection import PostConnection

QUEUE_BYTES: Final = 8 << 20
encode: Final = msgspec.json.Encoder().encode


class RestResponse(NamedTuple):
    """Status, body and headers of a REST response."""

    status: HTTPStatus
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


class ClientSession:
    """One client. `send` never blocks; a client that reads too slowly is disconnected.

    Sessions hash by their number: the order of a set of them, in which they are sent to, is the same in every run.
    """

    _numbers = count()

    def __init__(self, ws: ServerConnection, overflow_close: tuple[int, str] = (1008, "connection_too_slow")) -> None:
        self.ws, self._number = ws, next(self._numbers)
        self.path = ws.request.path if ws.request else "/"
        self.last_received_at = asyncio.get_running_loop().time()
        self.last_sent_at = self.opened_at = self.last_received_at
        self._overflow_close = overflow_close
        self._queue: deque[bytes] = deque()  # bounded by QUEUE_BYTES
        self._queued_bytes = 0
        self._queue_ready = asyncio.Event()
        self._close_task: asyncio.Task[None] | None = None

    def __hash__(self) -> int:
        return self._number

    def send(self, frame: bytes) -> None:
        """Queues one text frame."""
        if self._close_task is not None:
            return
        self._queued_bytes += len(frame)
        if self._queued_bytes > QUEUE_BYTES:
            self.close(*self._overflow_close)
            return
        self._queue.append(frame)
        self._queue_ready.set()

    def close(self, code: int, reason: str, final_frame: bytes | None = None) -> None:
        """Starts the closing handshake; what is still queued is dropped, except `final_frame`."""
        if self._close_task is None:
            self._queue.clear()
            self._close_task = asyncio.create_task(self._close(code, reason, final_frame))

    def abort(self) -> None:
        """Drops the connection without a closing handshake (the client sees 1006)."""
        self.ws.transport.abort()

    async def _close(self, code: int, reason: str, final_frame: bytes | None) -> None:
        with contextlib.suppress(ConnectionClosed):
            if final_frame is not None:
                await self.ws.send(final_frame, text=True)
        await self.ws.close(code, reason)

    async def serve_messages(self, on_message: Callable[[str | bytes], None]) -> None:
        """Hands every message to `on_message` until the connection ends."""
        loop = asyncio.get_running_loop()
        writer = asyncio.create_task(self._write())
        try:
            with contextlib.suppress(ConnectionClosed):
                async for message in self.ws:
                    self.last_received_at = loop.time()
                    on_message(message)
        finally:
            writer.cancel()
            await asyncio.gather(writer, *([self._close_task] if self._close_task else []), return_exceptions=True)

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(ConnectionClosed):
            while True:
                await self._queue_ready.wait()
                self._queue_ready.clear()
                while self._queue:
                    frame = self._queue.popleft()
                    await self.ws.send(frame, text=True)
                    self._queued_bytes -= len(frame)
                    self.last_sent_at = loop.time()


class Venue(Protocol):
    """The part of a venue that a server calls."""

    compression: str | None
    ping_interval: float | None
    sessions: set[ClientSession]

    max_connections: int

    async def serve_client(self, ws: ServerConnection) -> None:
        """Serves one websocket client."""

    def get(self, path: str, query: dict[str, str]) -> RestResponse:
        """Answer one REST call."""

    def post(self, path: str, body: bytes) -> RestResponse:
        """Answer one REST call by POST."""

    def error_body(self, status: HTTPStatus) -> bytes:
        """The body of an error response of that status."""

    def publish(self, tick_number: int, events: MarketEvents) -> None:
        """Publishes `events`; called ten times a second with a running count."""

    def apply_one_shots(self, one_shots: Faults) -> None:
        """Applies the one-shots that concern this venue."""


async def start_venue_server(
    venue: Venue, faults: Faults, host: str, port: int, tls: ssl.SSLContext | None = None
) -> Server:
    """Opens the venue's port: websocket and REST side by side."""

    async def process_request(connection: ServerConnection, request: Request) -> Response | None:
        body = connection.body if isinstance(connection, PostConnection) else None
        if "Upgrade" in request.headers:
            if len(venue.sessions) < venue.max_connections:
                return None
            return _http_response(
                RestResponse(HTTPStatus.TOO_MANY_REQUESTS, venue.error_body(HTTPStatus.TOO_MANY_REQUESTS))
            )
        if faults.rest_delay_s:
            await asyncio.sleep(faults.rest_delay_s)
        if faults.rest_status:
            status = HTTPStatus(faults.rest_status)
            retry_header = (("Retry-After", f"{faults.rest_retry_s:g}"),)
            return _http_response(RestResponse(status, venue.error_body(status), retry_header))
        parts = urlsplit(request.path)
        if body is not None:
            return _http_response(venue.post(parts.path, body))
        return _http_response(venue.get(parts.path, dict(parse_qsl(parts.query))))

    return await serve(
        venue.serve_client,
        host,
        port,
        process_request=process_request,
        create_connection=PostConnection,
        ssl=tls,
        compression=venue.compression,
        ping_interval=venue.ping_interval,
        ping_timeout=60.0,
        close_timeout=1.0,
        server_header=None,
    )


def _http_response(response: RestResponse) -> Response:
    status, body, extra_headers = response
    headers = Headers([("Content-Type", "application/json"), ("Content-Length", str(len(body))), *extra_headers])
    headers["Connection"] = "close"
    return Response(status.value, status.phrase, headers, body)


def bound_port(server: Server) -> int:
    """The port the server got."""
    return int(next(iter(server.sockets)).getsockname()[1])


def broadcast(sessions: Iterable[ClientSession], frame: bytes) -> None:
    """One encoded frame to many."""
    for session in sessions:
        session.send(frame)
