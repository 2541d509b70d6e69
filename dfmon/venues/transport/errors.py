"""Sentences for the errors of opening and reading a socket, whichever library raised them."""

from __future__ import annotations

from typing import Final

import websockets
from websockets.frames import CloseCode

from dfmon.model.units import sanitize
from dfmon.venues.failures import describe_http_status, describe_os_error
from dfmon.venues.transport import base
from dfmon.venues.transport.base import TOO_LONG_MESSAGE, RefusedError, describe_close

TRANSPORT_ERRORS: Final = (OSError, TimeoutError, websockets.WebSocketException, RefusedError)


def describe_loss(exc: BaseException) -> str:
    """Describes the error that prevented or ended a connection."""
    if isinstance(exc, RefusedError):
        return str(exc)
    if isinstance(exc, websockets.InvalidStatus):
        return describe_http_status(exc.response.status_code, bytes(exc.response.body or b""))
    if isinstance(exc, websockets.ConnectionClosed):
        if exc.rcvd is None and exc.sent is not None and exc.sent.code == CloseCode.MESSAGE_TOO_BIG:
            return f"gave up: {TOO_LONG_MESSAGE}"
        if exc.rcvd is None and exc.sent is not None:
            return f"gave up: {sanitize(exc.sent.reason) or exc.sent.code}"
        return describe_close(exc.rcvd.code, exc.rcvd.reason) if exc.rcvd else describe_close(None, "")
    if isinstance(exc, TimeoutError):
        return f"no response within {base.OPEN_TIMEOUT_S:.0f} s"
    if isinstance(exc, EOFError):
        return "connection broken off"
    if isinstance(exc, websockets.InvalidMessage | websockets.InvalidHandshake):
        return f"no websocket there: {sanitize(str(exc))}"
    return describe_os_error(exc) or sanitize(f"{type(exc).__name__}: {exc}")
