"""The transport over `websockets`: the library that is always installed. It understands proxies and compression."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, Final
from urllib.parse import urlsplit

import websockets
from websockets.asyncio.client import ClientConnection, connect
from websockets.frames import Frame, Opcode

from dfmon.venues.transport import base
from dfmon.venues.transport.base import CLOSE_TIMEOUT_S, MAX_FRAME, USER_AGENT, FrameHandler, Headers, Socket
from dfmon.venues.transport.errors import describe_loss

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_DATA: Final = frozenset({Opcode.TEXT, Opcode.BINARY, Opcode.CONT})


async def open_websockets(url: str, headers: Headers, on_frame: FrameHandler) -> Socket:
    """Over the `websockets` library, with compression offered."""
    make_connection: Any = lambda *args, **options: _InlineConnection(on_frame, *args, **options)  # noqa: E731
    connection = await connect(
        url,
        max_size=MAX_FRAME,
        compression="deflate",
        open_timeout=base.OPEN_TIMEOUT_S,
        close_timeout=CLOSE_TIMEOUT_S,
        ping_interval=base.PING_INTERVAL_S,
        ping_timeout=base.PING_INTERVAL_S,
        proxy=None if urlsplit(url).hostname in _LOOPBACK else True,
        user_agent_header=USER_AGENT,
        additional_headers=headers,
        create_connection=make_connection,
    )
    return _Websocket(connection)


class _InlineConnection(ClientConnection):
    """Passes frames on where they are parsed, without a queue and a task: a third of the cost."""

    def __init__(self, on_frame: FrameHandler, *args: Any, **options: Any) -> None:
        self._on_frame = on_frame
        self._fragments = bytearray()  # bounded by max_size
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
        elif event.fin and not self._fragments:
            self._on_frame(bytes(event.data))
        else:
            self._fragments += event.data
            if event.fin:
                message, self._fragments = bytes(self._fragments), bytearray()
                self._on_frame(message)


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
