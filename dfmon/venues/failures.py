"""Sentences for failures between us and a host, of REST and websockets: network, TLS, proxies, refusals."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator
from typing import Final

import msgspec

from dfmon.model.units import sanitize

BLOCKED_STATUSES: Final = (403, 451)  # refused to everyone at this address or in this country
_BLOCKED_TEXT: Final = "not served from your place"
_EXCERPT_LETTERS: Final = 70
_EXCERPT_BYTES: Final = 4096
_MESSAGE_KEYS: Final = ("msg", "message", "error", "title", "detail")


def describe_os_error(exc: BaseException) -> str:
    """The error of a connection, or that which caused it; empty for one that is none of the network's."""
    for cause in _causes(exc):
        if text := _os_error_text(cause):
            return text
    text = str(exc)
    return "connection refused" if "refused" in text or "connection attempts failed" in text else ""


def _causes(exc: BaseException) -> Iterator[BaseException]:
    """The exception and those that led to it, the first cause first."""
    chain: list[BaseException] = []
    current: BaseException | None = exc
    while current is not None and current not in chain:
        chain.append(current)
        current = current.__cause__ or current.__context__
    yield from reversed(chain)


def _os_error_text(exc: BaseException) -> str:
    if isinstance(exc, socket.gaierror):
        return f"name not found: {sanitize((exc.strerror or str(exc)).lower())}"
    if isinstance(exc, ssl.SSLCertVerificationError):
        return f"certificate refused: {sanitize(exc.verify_message)}"
    if isinstance(exc, ssl.SSLError):
        return f"TLS failed: {sanitize((exc.reason or str(exc)).lower().replace('_', ' '))}"
    if isinstance(exc, ConnectionRefusedError) or "Connect call failed" in str(exc):
        return "connection refused"
    if isinstance(exc, ConnectionResetError | BrokenPipeError):
        return "connection broken off"
    if isinstance(exc, OSError) and not isinstance(exc, TimeoutError) and exc.strerror:
        return sanitize(exc.strerror.lower() if exc.strerror[:1].isupper() else exc.strerror)
    return ""


def describe_proxy_status(status: int) -> str:
    """The refusal of a proxy to connect to the host."""
    if status == 407:
        return "it asks for a user and a password (HTTP 407), as in http://USER:PASSWORD@HOST:PORT"
    return f"it {'cannot reach the host' if status in (502, 503, 504) else 'refuses the connection'} (HTTP {status})"


def describe_http_status(status: int, body: bytes = b"") -> str:
    """A refused request: the status, what it means, and the host's own sentence where it blocks us.

    >>> describe_http_status(451, b'{"code":0,"msg":"Service unavailable from a restricted location"}')
    'HTTP 451: not served from your place ("Service unavailable from a restricted location")'
    """
    if status == 429:
        return "HTTP 429: too many connections or requests"
    if status not in BLOCKED_STATUSES:
        return f"HTTP {status}"
    excerpt = _excerpt(body)
    quoted = f' ("{excerpt}")' if excerpt else ""
    return f"HTTP {status}: {_BLOCKED_TEXT}{quoted}"


def advice(reason: str, venue: str) -> str:
    """The way out for a connection that fails for this reason; empty where another try may help.

    >>> advice("HTTP 451: not served from your place", "binance")
    '; to run without it: binance.enabled = false'
    """
    return f"; to run without it: {venue}.enabled = false" if _BLOCKED_TEXT in reason else ""


def _excerpt(body: bytes) -> str:
    """The message of a JSON object, the title of a page, or the text without its tags."""
    body = body[:_EXCERPT_BYTES]
    text = body.decode("utf-8", "replace")
    try:
        decoded = msgspec.json.decode(body)
    except msgspec.DecodeError:
        title = re.search(r"<title[^>]*>(.*?)</title>", text, re.DOTALL | re.IGNORECASE)
        text = re.sub(r"(?is)<(script|style).*?</\1>|<[^>]*>?", " ", title[1] if title else text)
    else:
        text = _message_of(decoded)
    return sanitize(" ".join(text.split()).replace('"', "'"), _EXCERPT_LETTERS)


def _message_of(decoded: object) -> str:
    if isinstance(decoded, dict):
        for key in _MESSAGE_KEYS:
            if key in decoded:
                return _message_of(decoded[key])
        return ""
    return str(decoded)
