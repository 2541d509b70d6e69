"""The gate in front of all routes: who may ask, how many at a time, and HEAD, which is GET without a body.

Without a token only requests whose Host is this machine are served: else a page of another site could have its name
resolve to this address and read along (DNS rebinding). With a token a request needs `Authorization: Bearer TOKEN`, and
any Host will do; without it `/healthz` gives its status alone, for probes.
"""

from __future__ import annotations

import hmac
from typing import Final

from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dfmon.sinks.base import SinkProgress

HEALTH_PATH: Final = "/healthz"
MAX_REQUESTS: Final = 112  # being answered, streams among them; the other connections are kept for /healthz
RETRY_AFTER: Final = "2"
REFUSED_TEXT: Final = f"More than {MAX_REQUESTS} requests at a time; try again.\n"
REFUSED_RESPONSE: Final = (
    "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n"
    f"Content-Length: {len(REFUSED_TEXT)}\r\nRetry-After: {RETRY_AFTER}\r\nConnection: close\r\n\r\n{REFUSED_TEXT}"
).encode()
TRUSTED: Final = "dfmon.trusted"  # in the scope: the client may see everything
LOOPBACK_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class RequestLimit:
    """The number of requests that are being answered, without those for /healthz."""

    def __init__(self) -> None:
        self.answering = 0

    @property
    def is_full(self) -> bool:
        return self.answering >= MAX_REQUESTS


class RequestGate:
    """ASGI middleware. `host` is the address of the service; `progress` counts what it responds to."""

    def __init__(self, app: ASGIApp, host: str, token: str, progress: SinkProgress, limit: RequestLimit) -> None:
        self._app = app
        self._names = LOOPBACK_HOSTS | {host.lower()}
        self._authorization = f"Bearer {token}".encode() if token else b""
        self._progress, self._limit = progress, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        headers = dict(scope["headers"])
        trusted = self._is_trusted(headers)
        is_health = scope["path"] == HEALTH_PATH
        if not trusted and not (self._authorization and is_health):
            return await self._refusal()(scope, receive, send)
        if self._limit.is_full and not is_health:
            headers_503 = {"Retry-After": RETRY_AFTER, "Connection": "close"}
            return await PlainTextResponse(REFUSED_TEXT, 503, headers_503)(scope, receive, send)
        self._progress.sent += 1
        self._limit.answering += not is_health
        try:
            scope = {**scope, TRUSTED: trusted}
            if scope["method"] == "HEAD":
                return await self._app({**scope, "method": "GET"}, receive, _HeadersOnly(send))
            return await self._app(scope, receive, send)
        finally:
            self._limit.answering -= not is_health

    def _is_trusted(self, headers: dict[bytes, bytes]) -> bool:
        if self._authorization:
            return hmac.compare_digest(headers.get(b"authorization", b""), self._authorization)
        host = headers.get(b"host", b"").decode("latin-1").lower()
        return (host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]) in self._names

    def _refusal(self) -> Response:
        if self._authorization:
            message = "A token is needed: send the header Authorization: Bearer TOKEN.\n"
            return PlainTextResponse(message, 401, {"WWW-Authenticate": "Bearer"})
        return PlainTextResponse("This host is not served here; use the address dfmon listens on.\n", 421)


class _HeadersOnly:
    """Sends the beginning of a response and ends it there, also that of a stream."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._is_complete = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            await self._send(message)
        if not self._is_complete:
            self._is_complete = True
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
