"""The transport over `websockets`: the library that is always installed. It understands proxies and compression."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from typing import Any, Final

import websockets
from websockets.asyncio.client import ClientConnection, connect
from websockets.frames import CloseCode, Frame, Opcode

from dfmon.model.units import sanitize
from dfmon.venues.certificates import tls_context
from dfmon.venues.failures import describe_os_error, describe_proxy_status
from dfmon.venues.proxies import proxy_of
from dfmon.venues.transport import base
from dfmon.venues.transport.base import (
    CLOSE_TIMEOUT_S,
    FRAGMENT_LIMIT_MESSAGE,
    MAX_FRAGMENTS,
    MAX_FRAME,
    USER_AGENT,
    FrameHandler,
    Headers,
    RefusedError,
    Socket,
)
from dfmon.venues.transport.errors import describe_loss

_DATA: Final = frozenset({Opcode.TEXT, Opcode.BINARY, Opcode.CONT})


async def open_websockets(url: str, headers: Headers, on_frame: FrameHandler) -> Socket:
    """Over the `websockets` library, with compression offered."""
    make_connection: Any = lambda *args, **options: _InlineConnection(on_frame, *args, **options)  # noqa: E731
    proxy = proxy_of(url)
    tls: dict[str, Any] = {"ssl": tls_context()} if url.startswith("wss:") else {}
    if proxy is not None and proxy.scheme == "https":
        tls["proxy_ssl"] = tls_context()
    opening = connect(
        url,
        max_size=MAX_FRAME,
        compression="deflate",
        open_timeout=base.OPEN_TIMEOUT_S,
        close_timeout=CLOSE_TIMEOUT_S,
        ping_interval=base.PING_INTERVAL_S,
        ping_timeout=base.PING_INTERVAL_S,
        proxy=None if proxy is None else proxy.url.replace("socks5:", "socks5h:", 1),
        user_agent_header=USER_AGENT,
        additional_headers=headers,
        create_connection=make_connection,
        **tls,
    )
    try:
        return _Websocket(await opening)
    except (OSError, TimeoutError, websockets.InvalidHandshake) as exc:
        if proxy is not None and (reason := _proxy_fault(exc)):
            raise RefusedError(f"{proxy}: {reason}") from None
        raise
    except TypeError as exc:  # asyncio of Python 3.11 fails to end TLS within TLS
        if isinstance(exc.__context__, ssl.SSLError):
            raise exc.__context__ from None
        raise


def _proxy_fault(exc: Exception) -> str:
    """The fault of a proxy behind an error; empty where it lies beyond the proxy."""
    if isinstance(exc, websockets.InvalidProxyStatus):
        return describe_proxy_status(exc.response.status_code)
    if isinstance(exc, websockets.InvalidProxyMessage):
        return "it does not speak HTTP"
    if isinstance(exc, websockets.ProxyError):
        cause = exc.__cause__ or exc
        return describe_os_error(cause) or sanitize(str(cause).lower())
    is_network_error = isinstance(exc, OSError | TimeoutError) and not isinstance(exc, ssl.SSLError)
    return describe_loss(exc) if is_network_error else ""


class _InlineConnection(ClientConnection):
    """Passes frames on where they are parsed, without a queue and a task: a third of the cost."""

    def __init__(self, on_frame: FrameHandler, *args: Any, **options: Any) -> None:
        self._on_frame = on_frame
        self._fragments, self._fragment_count = bytearray(), 0  # their bytes are bounded by max_size
        self._abort_timer: asyncio.TimerHandle | None = None
        super().__init__(*args, **options)

    def data_received(self, data: bytes) -> None:
        """Drops a connection that the venue does not end although a close frame was sent: the library would wait."""
        super().data_received(data)
        if self.close_deadline is not None and self._abort_timer is None:
            self._abort_timer = self.loop.call_later(CLOSE_TIMEOUT_S, self.transport.abort)

    def process_event(self, event: Any) -> None:
        if not (isinstance(event, Frame) and event.opcode in _DATA):
            super().process_event(event)
        elif event.fin and not self._fragment_count:
            self._on_frame(bytes(event.data))
        else:
            self._append_fragment(event)

    def _append_fragment(self, frame: Frame) -> None:
        self._fragments += frame.data
        self._fragment_count += 1
        if frame.fin:
            message, self._fragments, self._fragment_count = bytes(self._fragments), bytearray(), 0
            self._on_frame(message)
        elif self._fragment_count == MAX_FRAGMENTS:
            self.protocol.fail(CloseCode.POLICY_VIOLATION, FRAGMENT_LIMIT_MESSAGE)
            self.send_data()
            self.transport.abort()


class _Websocket:
    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def send(self, text: str) -> None:
        with suppress(websockets.ConnectionClosed):
            await self._connection.send(text)

    async def ended(self) -> str:
        await self._connection.wait_closed()
        return describe_loss(self._connection.protocol.close_exc)

    def pause(self) -> None:
        self._connection.transport.pause_reading()

    def resume(self) -> None:
        self._connection.transport.resume_reading()

    async def close(self) -> None:
        await self._connection.close()
