"""The interface of the websocket transports, and the limits that all keep.

`websockets` is always installed; `picows` costs a fraction per frame. `opener` chooses between them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from dfmon.model.units import sanitize
from dfmon.version import __version__

MAX_FRAME: Final = 16 * 1024 * 1024  # of a message, in fragments or not; the marks of a chain exceed the usual 1 MiB
MAX_FRAGMENTS: Final = 4096  # of a message: empty ones have no bytes to count, and each costs time
OPEN_TIMEOUT_S: Final = 10.0
CLOSE_TIMEOUT_S: Final = 0.5  # a venue that does not answer the close frame must not delay the shutdown
PING_INTERVAL_S: Final = 20.0
NO_HTTP_MESSAGE: Final = "no websocket there: did not receive a valid HTTP response"
TOO_LONG_MESSAGE: Final = f"a message of more than {MAX_FRAME >> 20} MB"
FRAGMENT_LIMIT_MESSAGE: Final = f"a message of more than {MAX_FRAGMENTS:,} fragments"
USER_AGENT: Final = f"dfmon/{__version__}"

Headers = tuple[tuple[str, str], ...]
FrameHandler = Callable[[bytes], None]
"""Called with each frame as it arrives. Must not raise."""


class Socket(Protocol):
    """An open connection."""

    async def send(self, text: str) -> None:
        """Sends a text frame; does nothing on a lost connection, which `ended` reports."""

    async def ended(self) -> str:
        """Waits for the end of the connection; returns the reason as text."""

    def pause(self) -> None:
        """Reads nothing until `resume`: what the venue sends waits in the network."""

    def resume(self) -> None: ...

    async def close(self) -> None:
        """Closes with a handshake, at most `CLOSE_TIMEOUT_S` long."""


Opener = Callable[[str, Headers, FrameHandler], Awaitable[Socket]]
"""Takes URL, headers and the handler of frames. Raises `TRANSPORT_ERRORS`; `describe_loss` describes them."""


class RefusedError(Exception):
    """The venue refused the handshake; the message says how."""


def describe_close(code: int | None, reason: str) -> str:
    """The end of a connection that the venue closed, or that just ended (no code)."""
    if code is None:
        return "connection broken off"
    reason_text = sanitize(reason)
    return f"closed by the venue ({code}{': ' + reason_text if reason_text else ''})"
