"""The transport over picows, chosen by `opener` where the extra `net` is installed.

It parses in C and calls our code directly: a frame costs a fraction of its cost in `websockets`. It does not support
compression, so more bytes are transferred.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from contextlib import suppress
from typing import Final

import picows
import python_socks

from dfmon.model.units import sanitize
from dfmon.venues.certificates import tls_context
from dfmon.venues.failures import describe_http_status, describe_os_error, describe_proxy_status
from dfmon.venues.proxies import proxy_of
from dfmon.venues.transport import base
from dfmon.venues.transport.base import (
    CLOSE_TIMEOUT_S,
    FRAGMENT_LIMIT_MESSAGE,
    MAX_FRAGMENTS,
    MAX_FRAME,
    NO_HTTP_MESSAGE,
    TOO_LONG_MESSAGE,
    USER_AGENT,
    FrameHandler,
    Headers,
    RefusedError,
    Socket,
    describe_close,
)

_TEXT: Final = picows.WSMsgType.TEXT
_DATA: Final = (_TEXT, picows.WSMsgType.BINARY, picows.WSMsgType.CONTINUATION)


async def open_picows(url: str, headers: Headers, on_frame: FrameHandler) -> Socket:
    """As `open_websockets`, without compression."""
    proxy = proxy_of(url)
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
                ssl_context=tls_context() if url.startswith("wss:") else None,
                proxy=None if proxy is None else proxy.url,
                proxy_ssl_context=tls_context() if proxy is not None and proxy.scheme == "https" else None,
            )
    except picows.WSInvalidStatusError as exc:
        raise RefusedError(describe_http_status(int(exc.response.status), exc.raw_body or b"")) from None
    except picows.WSError as exc:
        raise RefusedError(f"no websocket there: {sanitize(str(exc))}") from None
    except (OSError, TimeoutError, python_socks.ProxyError) as exc:
        if proxy is not None and (reason := _proxy_fault(exc)):
            raise RefusedError(f"{proxy}: {reason}") from None
        raise
    if transport.response is None:  # it reports an end before the handshake as a connection
        raise RefusedError(NO_HTTP_MESSAGE)
    return _Picows(transport, listener)


def _proxy_fault(exc: Exception) -> str:
    """The fault of a proxy behind an error; empty where it lies beyond the proxy."""
    if isinstance(exc, python_socks.ProxyError):
        status = re.search(r"rejected connection with status (\d+)", str(exc))
        if status is not None:
            return describe_proxy_status(int(status[1]))
        return describe_os_error(exc) or sanitize(str(exc).lower())
    if isinstance(exc, python_socks.ProxyTimeoutError | TimeoutError):
        return f"no response within {base.OPEN_TIMEOUT_S:.0f} s"
    return "" if isinstance(exc, ssl.SSLError) else describe_os_error(exc)


class _Listener(picows.WSListener):
    def __init__(self, on_frame: FrameHandler) -> None:
        self.closed: tuple[int, str] | None = None
        self.refused = ""  # why we end the connection
        self._on_frame = on_frame
        self._fragments, self._fragment_count = bytearray(), 0
        self._transport: picows.WSTransport | None = None
        self._reading_paused = self._writing_paused = False

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        self._transport = transport

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        kind = frame.msg_type
        if kind in _DATA:
            if frame.fin and not self._fragment_count:
                self._on_frame(frame.get_payload_as_bytes())
            elif not self.refused:
                self._append_fragment(transport, frame)
        elif kind == picows.WSMsgType.CLOSE:
            self.closed = int(frame.get_close_code()), frame.get_close_reason() or ""
            transport.send_close(frame.get_close_code())
            transport.disconnect()

    def _append_fragment(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        self._fragments += frame.get_payload_as_memoryview()
        self._fragment_count += 1
        if len(self._fragments) > MAX_FRAME:
            self._refuse(transport, picows.WSCloseCode.MESSAGE_TOO_BIG, TOO_LONG_MESSAGE)
        elif frame.fin:
            message, self._fragments, self._fragment_count = bytes(self._fragments), bytearray(), 0
            self._on_frame(message)
        elif self._fragment_count == MAX_FRAGMENTS:
            self._refuse(transport, picows.WSCloseCode.POLICY_VIOLATION, FRAGMENT_LIMIT_MESSAGE)

    def _refuse(self, transport: picows.WSTransport, code: picows.WSCloseCode, reason: str) -> None:
        self.refused, self._fragments = reason, bytearray()
        transport.send_close(code)
        transport.disconnect(graceful=False)

    def pause_writing(self) -> None:
        """Reads nothing while the venue does not read: else our pongs to its pings would pile up."""
        self._writing_paused = True
        self._apply_pauses()

    def resume_writing(self) -> None:
        self._writing_paused = False
        self._apply_pauses()

    def pause_reading(self, paused: bool) -> None:
        self._reading_paused = paused
        self._apply_pauses()

    def _apply_pauses(self) -> None:
        if self._transport is None:
            return
        socket = self._transport.underlying_transport
        (socket.pause_reading if self._reading_paused or self._writing_paused else socket.resume_reading)()


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
        if self._listener.refused:
            return f"gave up: {self._listener.refused}"
        code, reason = self._listener.closed or (None, "")
        return describe_close(code, reason)

    def pause(self) -> None:
        self._listener.pause_reading(True)

    def resume(self) -> None:
        self._listener.pause_reading(False)

    async def close(self) -> None:
        with suppress(picows.WSError, OSError, TimeoutError):
            if not self._transport.is_disconnected:
                self._transport.send_close(picows.WSCloseCode.OK)
                async with asyncio.timeout(CLOSE_TIMEOUT_S):
                    await self._transport.wait_disconnected()
        if not self._transport.is_disconnected:
            self._transport.disconnect(graceful=False)
