"""The seam to the websocket libraries: what a transport is given, what it returns, and the limits that all keep.

`websockets` is always there; `picows` costs a fraction a frame. `opener` chooses between them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from dfmon.model.units import sanitize
from dfmon.version import __version__

MAX_FRAME: Final = 16 * 1024 * 1024  # a whole chain of marks passes the libraries' 1 MiB
OPEN_TIMEOUT_S: Final = 10.0
CLOSE_TIMEOUT_S: Final = 0.5  # a venue that does not answer the goodbye must not hold up the end
PING_INTERVAL_S: Final = 20.0
NO_HTTP_MESSAGE: Final = "no websocket there: did not receive a valid HTTP response"
USER_AGENT: Final = f"dfmon/{__version__}"

Headers = tuple[tuple[str, str], ...]
FrameHandler = Callable[[bytes], None]
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


Opener = Callable[[str, Headers, FrameHandler], Awaitable[Socket]]
"""URL, headers, where the frames go. Raises `LOSSES`, of which `in_words` makes words."""


class RefusedError(Exception):
    """The venue answered the handshake with something else; the words are the message."""


def describe_close(code: int | None, reason: str) -> str:
    """The end of a connection that the venue closed, or that just ended (no code)."""
    if code is None:
        return "connection broken off"
    reason_text = sanitize(reason)
    return f"closed by the venue ({code}{': ' + reason_text if reason_text else ''})"


def describe_http_status(status: int) -> str:
    return f"HTTP {status}" + (": too many connections or requests" if status == 429 else "")
