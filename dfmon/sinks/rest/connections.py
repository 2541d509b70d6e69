"""The connections of the REST service, with limits that uvicorn does not have: idle, slow and too many ones end.

A connection costs next to nothing until its first request has arrived; then uvicorn's h11 protocol takes over, with a
deadline for each request and one for reading, and for a websocket its websockets protocol with the latter. Of too many
connections the oldest without a request gives way, and while too many requests are being answered a new one is refused
before it is read, unless it is for health.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from dfmon.sinks.rest.access import RequestLimit
from dfmon.sinks.rest.settings import MAX_CONNECTIONS, MAX_HEADER_BYTES

REQUEST_TIMEOUT_S: Final = 10.0  # from the connection, or from the first byte after a response, to a complete request
KEEP_ALIVE_S: Final = 75  # between requests; a poller that asks just when its connection is closed gets no response
READ_TIMEOUT_S: Final = 30.0  # in which a client must read something of what waits for it


class Connection(Protocol):
    """An open connection; idle while no request is being answered, unread while the client reads nothing."""

    @property
    def is_idle(self) -> bool: ...
    @property
    def is_unread(self) -> bool: ...
    def abort(self) -> None: ...


class Connections:
    """The open connections of one service, the oldest first, and the limit of requests at a time."""

    def __init__(self, requests: RequestLimit) -> None:
        self.requests = requests
        self._open: dict[Connection, None] = {}

    def __iter__(self) -> Iterator[Connection]:
        return iter(tuple(self._open))

    def add(self, connection: Connection) -> None:
        """Adds a connection. Of too many the oldest without a request is dropped, or else the new one."""
        self._open[connection] = None
        if len(self._open) > MAX_CONNECTIONS:
            dropped = next((each for each in self._open if each.is_idle), connection)
            del self._open[dropped]
            dropped.abort()

    def replace(self, connection: Connection, successor: Connection) -> None:
        if connection in self._open:
            del self._open[connection]
            self._open[successor] = None

    def discard(self, connection: Connection) -> None:
        self._open.pop(connection, None)

    def abort(self, which: Callable[[Connection], bool] = lambda _: True) -> None:
        for connection in self:
            if which(connection):
                connection.abort()


class WaitingConnection(asyncio.Protocol):
    """A connection before its first request is complete; `make_protocol` makes the one that answers it."""

    is_idle = True
    is_unread = False

    def __init__(self, connections: Connections, make_protocol: Callable[[], GuardedProtocol]) -> None:
        self._connections, self._make_protocol = connections, make_protocol
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._received = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self._timer = asyncio.get_running_loop().call_later(REQUEST_TIMEOUT_S, self.abort)
        self._connections.add(self)

    def data_received(self, data: bytes) -> None:
        transport = self._transport
        assert transport is not None
        data = self._received = self._received + data
        if b"\n\r\n" not in data and b"\n\n" not in data and len(data) < MAX_HEADER_BYTES:
            return
        if refusal := self._connections.requests.refuse_unread(data):
            transport.write(refusal)
            transport.close()
            return
        self._cancel_timer()
        successor = self._make_protocol()
        self._connections.replace(self, successor)
        transport.set_protocol(successor)
        successor.connection_made(transport)
        successor.data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_timer()
        self._connections.discard(self)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


class _ReadDeadline:
    """Ends a connection whose client reads nothing of what waits for it."""

    def __init__(self, abort: Callable[[], None]) -> None:
        self._abort = abort
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_running(self) -> bool:
        return self._timer is not None

    def start(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(READ_TIMEOUT_S, self._abort)

    def cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class GuardedProtocol(H11Protocol):
    """A connection that has made a request."""

    def __init__(self, connections: Connections, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._connections = connections
        self._has_started = True  # a request, of which something has arrived
        self._is_half_closed = False  # the client sends nothing more
        self._request_timer: asyncio.TimerHandle | None = None
        self._read_deadline = _ReadDeadline(self.abort)

    @property
    def is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    @property
    def is_unread(self) -> bool:
        return self._read_deadline.is_running

    def abort(self) -> None:
        self.transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_request(REQUEST_TIMEOUT_S)

    def data_received(self, data: bytes) -> None:
        if not self._has_started:
            self._has_started = True
            self._await_request(REQUEST_TIMEOUT_S)
        super().data_received(data)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Keeps the connection until the response is sent: one that is gone is known by the first write to it."""
        self._is_half_closed = True
        return not self.is_idle

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        self._leave()  # its successor joins by itself
        super().handle_websocket_upgrade(event)

    def on_response_complete(self) -> None:
        self._has_started = False
        super().on_response_complete()
        self._await_request(KEEP_ALIVE_S + REQUEST_TIMEOUT_S)  # after uvicorn has begun to close
        if self._is_half_closed and self.is_idle:  # with no further request in what it has sent
            self.transport.close()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._read_deadline.start()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._read_deadline.cancel()

    def _leave(self) -> None:
        self._connections.discard(self)
        self._read_deadline.cancel()
        if self._request_timer is not None:
            self._request_timer.cancel()

    def _await_request(self, timeout_s: float) -> None:
        if self._request_timer is not None:
            self._request_timer.cancel()
        self._request_timer = self.loop.call_later(timeout_s, self._on_request_timeout)

    def _on_request_timeout(self) -> None:
        """Drops the connection with whatever it has not read: closing would wait for a client that never reads."""
        if self.is_idle:
            self.abort()


class GuardedWebSocket(WebSocketsSansIOProtocol):
    """A websocket, or the refusal of one."""

    is_idle = False

    def __init__(self, connections: Connections, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._connections = connections
        self._read_deadline = _ReadDeadline(self.abort)

    @property
    def is_unread(self) -> bool:
        return self._read_deadline.is_running

    def abort(self) -> None:
        self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        self._read_deadline.cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._read_deadline.start()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._read_deadline.cancel()
