"""The transport over picows, chosen by `opener` where the extra `net` is installed.

It parses in C and calls our code directly: a frame costs a fraction of its cost in `websockets`. It does not support
compression, so more bytes are transferred.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

import picows

from dfmon.model.units import sanitize
from dfmon.venues.transport import base
from dfmon.venues.transport.base import (
    CLOSE_TIMEOUT_S,
    MAX_FRAME,
    NO_HTTP_MESSAGE,
    USER_AGENT,
    FrameHandler,
    Headers,
    RefusedError,
    Socket,
    describe_close,
    describe_http_status,
)

_TEXT: Final = picows.WSMsgType.TEXT
_DATA: Final = (_TEXT, picows.WSMsgType.BINARY, picows.WSMsgType.CONTINUATION)


async def open_picows(url: str, headers: Headers, on_frame: FrameHandler) -> Socket:
    """As `open_websockets`, without compression."""
    try:
        async with asyncio.timeout(base.OPEN_TIMEOUT_S):
            transport, listener = await picows.ws_connect(
                lambda: _Listener(on_frame),
                url,
                websocket_handshake_timeout=base.OPEN_TIMEOUT_S,
                enable_auto_ping=True,
                auto_ping_idle_timeout=base.PING_INTERVAL_S,
                auto_ping_reply_timeout=base.PING_INTERVAL_S,
                max_frame_size=MAX_FRAME,
                max_redirects=0,
                extra_headers=[("User-Agent", USER_AGENT), *headers],
            )
    except picows.WSInvalidStatusError as exc:
        raise RefusedError(describe_http_status(int(exc.response.status))) from None
    except picows.WSError as exc:
        raise RefusedError(f"no websocket there: {sanitize(str(exc))}") from None
    if transport.response is None:  # it reports an end before the handshake as a connection
        raise RefusedError(NO_HTTP_MESSAGE)
    return _Picows(transport, listener)


class _Listener(picows.WSListener):
    def __init__(self, on_frame: FrameHandler) -> None:
        self.closed: tuple[int, str] | None = None
        self._on_frame = on_frame
        self._fragments: list[bytes] = []

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        kind = frame.msg_type
        if kind in _DATA:
            if frame.fin and not self._fragments:
                self._on_frame(frame.get_payload_as_bytes())
                return
            self._fragments.append(frame.get_payload_as_bytes())
            if frame.fin:
                message, self._fragments = b"".join(self._fragments), []
                self._on_frame(message)
        elif kind == picows.WSMsgType.CLOSE:
            self.closed = int(frame.get_close_code()), frame.get_close_reason() or ""
            transport.send_close(frame.get_close_code())
            transport.disconnect()


class _Picows:
    def __init__(self, transport: picows.WSTransport, listener: _Listener) -> None:
        self._transport, self._listener = transport, listener

    async def send(self, text: str) -> None:
        if not self._transport.is_disconnected:
            self._transport.send(_TEXT, text.encode())

    async def ended(self) -> str:
        try:
            await self._transport.wait_disconnected()
        except (picows.WSError, OSError) as exc:  # a violation of the protocol, seen by us
            return f"gave up: {sanitize(str(exc))}"
        code, reason = self._listener.closed or (None, "")
        return describe_close(code, reason)

    def pause(self) -> None:
        self._transport.underlying_transport.pause_reading()

    def resume(self) -> None:
        self._transport.underlying_transport.resume_reading()

    async def close(self) -> None:
        with suppress(picows.WSError, OSError, TimeoutError):
            if not self._transport.is_disconnected:
                self._transport.send_close(picows.WSCloseCode.OK)
                async with asyncio.timeout(CLOSE_TIMEOUT_S):
                    await self._transport.wait_disconnected()
        if not self._transport.is_disconnected:
            self._transport.disconnect(graceful=False)
