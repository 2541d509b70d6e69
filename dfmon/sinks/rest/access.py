"""The gate in front of all routes: who may ask, how much at a time, how often, and HEAD, which is GET without a body.

Without a token only requests whose Host is this machine are served: else a page of another site could have its name
resolve to this address and read along (DNS rebinding). With a token a request needs it, and any Host will do unless
names are set; without it `/healthz` and `/readyz` give their status alone, for probes. A page of another site may open
a websocket without CORS, so the Origin of one is checked here.
"""

from __future__ import annotations

import base64
import hmac
import time
from collections import Counter
from typing import Final
from urllib.parse import urlsplit

from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dfmon.sinks.base import SinkProgress
from dfmon.sinks.rest.settings import MAX_BODY_BYTES, MAX_REQUESTS, MAX_STREAMS, RestSettings
from dfmon.venues.token_bucket import TokenBucket

HEALTH_PATHS: Final = frozenset({"/healthz", "/readyz"})
STREAM_PATH: Final = "/v1/stream"
RETRY_AFTER: Final = "2"
TOO_BUSY: Final = f"More than {MAX_REQUESTS} requests at a time; try again.\n"
TOO_BUSY_STREAMS: Final = f"More than {MAX_STREAMS} streams at a time; try again.\n"
TRUSTED: Final = "dfmon.trusted"  # in the scope: the client may see everything
LOOPBACK_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_MAX_CLIENTS: Final = 1024  # whose rate is watched

Headers = dict[bytes, bytes]


class RequestLimit:
    """The requests under way, without those for health, and the streams that are open.

    `responses` counts the responses by status code, `refused` what the gate did not let through by reason.
    """

    def __init__(self) -> None:
        self.under_way = 0
        self.streams = 0
        self.responses: Counter[int] = Counter()
        self.refused: Counter[str] = Counter()

    @property
    def is_full(self) -> bool:
        return self.under_way >= MAX_REQUESTS

    def no_room(self, path: str) -> str:
        """The sentence for a request that finds no place, empty where there is one."""
        if path in HEALTH_PATHS:
            return ""
        if path == STREAM_PATH:
            return TOO_BUSY_STREAMS if self.streams >= MAX_STREAMS else ""
        return TOO_BUSY if self.is_full else ""

    def refuse_unread(self, request: bytes) -> bytes:
        """The response to the bytes of a request that finds no place, empty where there is one.

        A flood is refused at a hundredth of the cost of reading it.
        """
        target = request[:80].partition(b" ")[2].partition(b" ")[0]
        text = self.no_room(target.partition(b"?")[0].decode("latin-1"))
        if not text:
            return b""
        self.refused["room"] += 1
        self.responses[503] += 1
        return (
            "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n"
            f"Content-Length: {len(text)}\r\nRetry-After: {RETRY_AFTER}\r\nConnection: close\r\n\r\n{text}"
        ).encode()


class RequestGate:
    """ASGI middleware. `host` is the address of the service; `progress` counts what it responds to."""

    def __init__(
        self, app: ASGIApp, host: str, settings: RestSettings, progress: SinkProgress, limit: RequestLimit
    ) -> None:
        self._app, self._progress, self._limit = app, progress, limit
        self._names = LOOPBACK_HOSTS | {host.lower()} | {name.lower() for name in settings.hosts}
        self._origins, self._has_names = frozenset(settings.origins), bool(settings.hosts)
        self._token, self._rate = settings.token, settings.rate
        self._buckets: dict[str, TokenBucket] = {}  # the oldest gives way beyond _MAX_CLIENTS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        headers: Headers = dict(scope["headers"])
        is_trusted, is_health = self._is_trusted(headers), scope["path"] in HEALTH_PATHS
        reason, refusal = self._refusal(scope, headers, is_trusted=is_trusted, is_health=is_health)
        counted_send = _StatusCounter(send, self._limit.responses)
        if refusal is not None:
            self._limit.refused[reason] += 1
            return await refusal(scope, receive, counted_send)
        self._progress.sent += 1
        return await self._pass_on({**scope, TRUSTED: is_trusted}, receive, counted_send, is_health=is_health)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send, *, is_health: bool) -> None:
        is_stream = scope["path"] == STREAM_PATH
        self._limit.streams += is_stream
        self._limit.under_way += not is_stream and not is_health
        try:
            if scope.get("method") == "HEAD":
                scope, send = {**scope, "method": "GET"}, _HeadersOnly(send)
            await self._app(scope, receive, send)
        finally:
            self._limit.streams -= is_stream
            self._limit.under_way -= not is_stream and not is_health

    def _refusal(
        self, scope: Scope, headers: Headers, *, is_trusted: bool, is_health: bool
    ) -> tuple[str, Response | None]:
        """The reason and the response for a request that is not let through."""
        is_probe = bool(self._token) and is_health
        if not is_trusted and not is_probe:
            return self._distrust(headers)
        if scope["type"] == "websocket" and not self._is_own_page(headers):
            return "origin", PlainTextResponse("Pages of this origin are not served; set publish.rest_origins.\n", 403)
        if int(headers.get(b"content-length", b"0")) > MAX_BODY_BYTES:
            message = f"No request here has a body; allowed are {MAX_BODY_BYTES} bytes, which are not read.\n"
            return "body", PlainTextResponse(message, 413, {"Connection": "close"})
        if not is_health and not self._is_within_rate(scope):
            message = f"More than {self._rate:g} requests a second of one address; wait a second.\n"
            return "rate", PlainTextResponse(message, 429, {"Retry-After": "1"})
        if text := self._limit.no_room(scope["path"]):
            return "room", PlainTextResponse(text, 503, {"Retry-After": RETRY_AFTER, "Connection": "close"})
        return "", None

    def _distrust(self, headers: Headers) -> tuple[str, Response]:
        if self._token and not self._has_token(headers):
            message = "A token is needed: send the header Authorization: Bearer TOKEN.\n"
            challenge = {"WWW-Authenticate": 'Bearer, Basic realm="dfmon, the token is the password"'}
            return "token", PlainTextResponse(message, 401, challenge)
        message = "This host is not served here; use the address dfmon listens on, or set publish.rest_hosts.\n"
        return "host", PlainTextResponse(message, 421)

    def _is_trusted(self, headers: Headers) -> bool:
        if self._token and not self._has_token(headers):
            return False
        return (bool(self._token) and not self._has_names) or self._host_of(headers) in self._names

    def _has_token(self, headers: Headers) -> bool:
        """True if the token is there, as a bearer's or as the password of HTTP Basic, which browsers ask for."""
        scheme, _, credentials = headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() == b"basic":
            try:
                credentials = base64.b64decode(credentials, validate=True).partition(b":")[2]
            except ValueError:
                return False
        elif scheme.lower() != b"bearer":
            return False
        return hmac.compare_digest(credentials, self._token.encode())

    def _host_of(self, headers: Headers) -> str:
        host = headers.get(b"host", b"").decode("latin-1").lower()
        return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]

    def _is_own_page(self, headers: Headers) -> bool:
        """True if a websocket comes from a program, a page of this service, or an origin that is allowed."""
        origin = headers.get(b"origin", b"").decode("latin-1")
        if not origin or "*" in self._origins or origin in self._origins:
            return True
        return urlsplit(origin).netloc.lower().encode() == headers.get(b"host", b"").lower()

    def _is_within_rate(self, scope: Scope) -> bool:
        address = (scope.get("client") or ("",))[0]
        bucket = self._buckets.pop(address, None) or TokenBucket(self._rate, 2.0 * self._rate)
        self._buckets[address] = bucket  # last, as the newest
        if len(self._buckets) > _MAX_CLIENTS:
            del self._buckets[next(iter(self._buckets))]
        return bucket.try_acquire(time.monotonic())


class _StatusCounter:
    """Counts the status code of a response; that of a websocket which was accepted is 101."""

    def __init__(self, send: Send, responses: Counter[int]) -> None:
        self._send, self._responses = send, responses

    async def __call__(self, message: Message) -> None:
        if message["type"].endswith("response.start"):
            self._responses[message["status"]] += 1
        elif message["type"] == "websocket.accept":
            self._responses[101] += 1
        await self._send(message)


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
