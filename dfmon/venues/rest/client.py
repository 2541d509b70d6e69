"""The REST client of the venues: HTTP GETs, paced per host, that return a body or nothing.

A failed call is not an exception here: the protocol gets an empty body and decides about a retry; the reason is in
`errors`. No call takes longer than half a minute or more memory than `body` allows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Final, Self

import httpx

from dfmon.model.units import sanitize
from dfmon.venues.failures import BLOCKED_STATUSES, describe_http_status, describe_os_error
from dfmon.venues.protocol import RestCall
from dfmon.venues.proxies import authority_of
from dfmon.venues.rest.body import ACCEPT_ENCODING, ResponseError, read_body
from dfmon.venues.rest.routed_transport import RoutedTransport
from dfmon.venues.token_bucket import TokenBucket
from dfmon.version import __version__

_TIMEOUT_S: Final = 10.0  # to connect, and between two bytes
_MAX_CALL_S: Final = 30.0  # from the request to the last byte
_REFUSAL_SHOWN_S: Final = 600.0  # unless the next call of that path succeeds
_MAX_WAIT_S: Final = 120.0
_DEFAULT_WAIT_S: Final = 5.0  # without a Retry-After header
# 418 is for clients that continue after 429; 503 is an overload or a maintenance.
_OVERLOAD_STATUSES: Final[Mapping[int, str]] = {
    418: "banned for a while after too many requests",
    429: "too many requests",
    503: "unavailable",
}


class HostLimiter:
    """Call slots per host: one each `pace_s`, and none while the host is blocked."""

    def __init__(self, pace_s: float, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._rate = 1.0 / pace_s
        self._sleep = sleep
        self._buckets: dict[str, TokenBucket] = {}
        self._blocked_until: dict[str, float] = {}

    async def acquire(self, host: str, cost: float = 1.0) -> None:
        """Waits for the next slot of this host; concurrent callers reserve theirs in order.

        Who has waited for a blocked host reserves a new slot, so that all who waited do not call at once.
        """
        now = asyncio.get_running_loop().time
        bucket, waited_until = self._buckets.setdefault(host, TokenBucket(self._rate)), 0.0
        wait = bucket.reserve(now(), cost)
        while True:
            blocked_until = self._blocked_until.get(host, 0.0)  # may move while we wait
            if blocked_until > max(waited_until, now()):
                waited_until = blocked_until
                await self._sleep(max(wait, blocked_until - now()))
                wait = bucket.reserve(now(), cost)
            elif wait <= 0.0:
                return
            else:
                await self._sleep(wait)
                wait = 0.0

    def block_host(self, host: str, seconds: float) -> None:
        blocked_until = asyncio.get_running_loop().time() + seconds
        self._blocked_until[host] = max(self._blocked_until.get(host, 0.0), blocked_until)


class RestClient:
    """GETs against any base URL. `pace_s` is the minimum time between two calls to one host.

    Use as an async context manager, or close with `aclose`. `transport` replaces the network in tests; `limiter` is
    given where several clients share the venues' limits.
    """

    def __init__(
        self,
        *,
        pace_s: float = 0.25,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        limiter: HostLimiter | None = None,
    ) -> None:
        self.errors: dict[str, str] = {}  # host -> its last failure; removed when it responds
        self._refused: dict[str, tuple[str, float]] = {}  # host -> path of the response refused last, shown until when
        self.used_weight_1m: dict[str, int] = {}  # host -> what it counted against this address in the last minute
        self.limiter = limiter or HostLimiter(pace_s, sleep)
        self._client = httpx.AsyncClient(
            transport=transport or RoutedTransport(),
            trust_env=False,  # the transport knows the environment
            timeout=_TIMEOUT_S,
            follow_redirects=False,
            headers={"User-Agent": f"dfmon/{__version__}", "Accept-Encoding": ACCEPT_ENCODING},
        )

    async def get(self, base: str, call: RestCall) -> bytes:
        """Returns the body of the response, the venue's error bodies included; empty on failure."""
        url = f"{base.rstrip('/')}{call.path}"
        host = authority_of(base)
        await self.limiter.acquire(host, call.cost)
        try:
            async with asyncio.timeout(_MAX_CALL_S):
                async with self._client.stream("GET", url, params=dict(call.params)) as response:
                    return await self._read_response(host, call.path, response)
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            self._note_error(host, _describe_error(exc))
        except ResponseError as exc:
            self._note_refusal(host, call.path, str(exc))
        except TimeoutError:
            self._note_refusal(host, call.path, f"no complete response within {_MAX_CALL_S:.0f} s")
        return b""

    async def _read_response(self, host: str, path: str, response: httpx.Response) -> bytes:
        status, weight = response.status_code, response.headers.get("X-MBX-USED-WEIGHT-1M", "")
        if weight.isdecimal() and len(weight) < 10:
            self.used_weight_1m[host] = int(weight)
        if status in (httpx.codes.OK, httpx.codes.BAD_REQUEST):
            body = await read_body(response)
            if status == httpx.codes.OK or body[:1] == b"{":  # some send errors as 400 with a body for the protocol
                self._forget_error(host, path)
                return body
        body = b""
        with suppress(ResponseError):
            body = await read_body(response) if status in BLOCKED_STATUSES else b""
        self._note_error(host, describe_http_status(status, body))
        if status in _OVERLOAD_STATUSES:
            wait_s = _retry_after(response.headers)
            self.limiter.block_host(host, wait_s)
            self.errors[host] = f"HTTP {status}: {_OVERLOAD_STATUSES[status]}; next call in {wait_s:.0f} s"
        return b""

    def _note_error(self, host: str, reason: str) -> None:
        self.errors[host] = reason
        self._refused.pop(host, None)

    def _note_refusal(self, host: str, path: str, reason: str) -> None:
        """Notes a refused response: it stays noted while other paths of the host respond."""
        self.errors[host] = f"{path}: {reason}"
        self._refused[host] = path, asyncio.get_running_loop().time() + _REFUSAL_SHOWN_S

    def _forget_error(self, host: str, path: str) -> None:
        refused_path, until_s = self._refused.get(host, (path, 0.0))
        if path == refused_path or asyncio.get_running_loop().time() > until_s:
            self._refused.pop(host, None)
            self.errors.pop(host, None)

    async def aclose(self) -> None:
        await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds of the Retry-After header, a number or a date; a default for anything else."""
    header = headers.get("Retry-After", "")
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            seconds = _DEFAULT_WAIT_S
    return min(_MAX_WAIT_S, max(1.0, seconds)) if seconds == seconds else _DEFAULT_WAIT_S


def _describe_error(exc: Exception) -> str:
    if isinstance(exc, httpx.ProxyError):
        return sanitize(str(exc))
    messages: Mapping[type[Exception], str] = {
        httpx.ConnectTimeout: "no connection within 10 s",
        httpx.TimeoutException: "no response within 10 s",
        httpx.RemoteProtocolError: "the response broke off or was no HTTP",
    }
    for kind, message in messages.items():
        if isinstance(exc, kind):
            return message
    return describe_os_error(exc) or sanitize(f"{type(exc).__name__}: {exc}".rstrip(": "))
