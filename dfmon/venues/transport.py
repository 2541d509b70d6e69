"""The seam to the websocket libraries: one callable opens a socket and says where its frames go.

`open_websockets` is always there. `fast` has the same callable over picows, which costs a fraction a frame; `opener`
chooses it where it is installed. Both tell every end in the same words.
"""

from __future__ import annotations

import asyncio
import socket as sockets
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final, Protocol
from urllib.parse import urlsplit
from urllib.request import getproxies

import websockets
from websockets.asyncio.client import ClientConnection, connect
from websockets.frames import Frame, Opcode

from dfmon.model.units import clean
from dfmon.version import __version__

MAX_FRAME: Final = 16 * 1024 * 1024  # a whole chain of marks passes the libraries' 1 MiB
OPEN_S: Final = 10.0
CLOSE_S: Final = 0.5  # a venue that does not answer the goodbye must not hold up the end
PING_S: Final = 20.0
NO_HTTP: Final = "no websocket there: did not receive a valid HTTP response"
AGENT: Final = f"dfmon/{__version__}"
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_DATA: Final = frozenset({Opcode.TEXT, Opcode.BINARY, Opcode.CONT})

Headers = tuple[tuple[str, str], ...]
Hand = Callable[[bytes], None]
"""Takes each frame as soon as it is there. Must not raise."""


class Socket(Protocol):
    """An open connection."""

    async def send(self, text: str) -> None:
        """Send a text frame; nothing happens where the connection is gone, since `ended` tells that."""

    async def ended(self) -> str:
        """Wait for the end; why it came, in words."""

    def pause(self) -> None:
        """Read nothing until `resume`: what the venue sends waits in the network."""

    def resume(self) -> None: ...

    async def close(self) -> None:
        """Say goodbye, but not for long."""


Open = Callable[[str, Headers, Hand], Awaitable[Socket]]
"""URL, headers, where the frames go. Raises `LOSSES`, of which `in_words` makes words."""


class RefusedError(Exception):
    """The venue answered the handshake with something else; the words are the message."""


LOSSES: Final = (OSError, TimeoutError, websockets.WebSocketException, RefusedError)


def opener() -> Open:
    """The fastest transport there is. A proxy of the environment is understood by `websockets` alone."""
    if {"http", "https", "all", "socks", "ws", "wss"} & set(getproxies()):
        return open_websockets
    try:
        from dfmon.venues.fast import open_picows
    except ImportError:
        return open_websockets
    return open_picows


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Makes the fastest event loop there is; None for the one of the standard library."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


async def open_websockets(url: str, headers: Headers, hand: Hand) -> Socket:
    """Over the `websockets` library, with compression offered."""
    made: Any = lambda *args, **options: _Direct(hand, *args, **options)  # noqa: E731
    connection = await connect(
        url,
        max_size=MAX_FRAME,
        compression="deflate",
        open_timeout=OPEN_S,
        close_timeout=CLOSE_S,
        ping_interval=PING_S,
        ping_timeout=PING_S,
        proxy=None if urlsplit(url).hostname in _LOOPBACK else True,
        user_agent_header=AGENT,
        additional_headers=headers,
        create_connection=made,
    )
    return _Websocket(connection)


class _Direct(ClientConnection):
    """Hands frames over where they are parsed: no queue and no task stands between, a third of the cost."""

    def __init__(self, hand: Hand, *args: Any, **options: Any) -> None:
        self._hand = hand
        self._parts: list[bytes] = []
        super().__init__(*args, **options)

    def process_event(self, event: Any) -> None:
        if not (isinstance(event, Frame) and event.opcode in _DATA):
            super().process_event(event)
        elif event.fin and not self._parts:
            self._hand(bytes(event.data))
        else:
            self._parts.append(bytes(event.data))
            if event.fin:
                whole, self._parts = b"".join(self._parts), []
                self._hand(whole)


class _Websocket:
    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def send(self, text: str) -> None:
        with suppress(websockets.ConnectionClosed):
            await self._connection.send(text)

    async def ended(self) -> str:
        await self._connection.wait_closed()
        return in_words(self._connection.protocol.close_exc)

    def pause(self) -> None:
        self._connection.transport.pause_reading()

    def resume(self) -> None:
        self._connection.transport.resume_reading()

    async def close(self) -> None:
        await self._connection.close()


def ended_words(code: int | None, reason: str) -> str:
    """The end of a connection that the venue closed, or that just ended (no code)."""
    if code is None:
        return "connection broken off"
    said = clean(reason)
    return f"closed by the venue ({code}{': ' + said if said else ''})"


def status_words(status: int) -> str:
    return f"HTTP {status}" + (": too many connections or requests" if status == 429 else "")


def in_words(exc: BaseException) -> str:
    """What kept a connection from being made, or ended it, as a user would say it."""
    if isinstance(exc, RefusedError):
        return str(exc)
    if isinstance(exc, websockets.InvalidStatus):
        return status_words(exc.response.status_code)
    if isinstance(exc, websockets.ConnectionClosed):
        if exc.rcvd is None and exc.sent is not None:
            return f"gave up: {clean(exc.sent.reason) or exc.sent.code}"
        return ended_words(exc.rcvd.code, exc.rcvd.reason) if exc.rcvd else ended_words(None, "")
    if isinstance(exc, TimeoutError):
        return f"no answer within {OPEN_S:.0f} s"
    if isinstance(exc, sockets.gaierror):
        return f"name not found: {clean((exc.strerror or str(exc)).lower())}"
    if isinstance(exc, ssl.SSLCertVerificationError):
        return f"certificate refused: {clean(exc.verify_message)}"
    if isinstance(exc, ssl.SSLError):
        return f"TLS failed: {clean((exc.reason or str(exc)).lower().replace('_', ' '))}"
    if isinstance(exc, ConnectionRefusedError) or "Connect call failed" in str(exc):
        return "connection refused"
    if isinstance(exc, ConnectionResetError | BrokenPipeError | EOFError):
        return "connection broken off"
    if isinstance(exc, websockets.InvalidMessage | websockets.InvalidHandshake):
        return f"no websocket there: {clean(str(exc))}"
    if isinstance(exc, OSError) and exc.strerror:
        return clean(exc.strerror.lower() if exc.strerror[:1].isupper() else exc.strerror)
    return clean(f"{type(exc).__name__}: {exc}")
