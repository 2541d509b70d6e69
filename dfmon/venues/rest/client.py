"""The venues' REST side: one HTTP client, paced per host, that answers with a body or with nothing.

A call that fails is not an exception here: the protocol that asked gets an empty body, the reason is kept in `trouble`,
and the protocol decides whether to ask again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Final, Self

import httpx

from dfmon.model.units import clean
from dfmon.venues.protocol import RestCall
from dfmon.venues.token_bucket import Bucket
from dfmon.version import __version__

_TIMEOUT_S: Final = 10.0
_LARGEST_WAIT_S: Final = 120.0
_WAIT_S: Final = 5.0  # where a busy venue does not say how long
# Binance answers 418 to who goes on after 429; 503 is an overload or a maintenance.
_BUSY: Final[Mapping[int, str]] = {
    418: "banned for a while after too many requests",
    429: "too many requests",
    503: "unavailable",
}


class Pace:
    """Turns per host: `pace_s` between ordinary calls, and none at all while a host wants to be left alone."""

    def __init__(self, pace_s: float, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._rate = 1.0 / pace_s
        self._sleep = sleep
        self._buckets: dict[str, Bucket] = {}
        self._until: dict[str, float] = {}

    async def turn(self, host: str, cost: float = 1.0) -> None:
        """Wait for this host's next free moment; callers queue by reserving theirs at once."""
        now = asyncio.get_running_loop().time
        wait = self._buckets.setdefault(host, Bucket(self._rate)).take(now(), cost)
        waited_for = 0.0
        while True:
            until = self._until.get(host, 0.0)  # may move while we wait
            if until > waited_for:
                waited_for, wait = until, max(wait, until - now())
            if wait <= 0.0:
                return
            await self._sleep(wait)
            wait = 0.0

    def leave_alone(self, host: str, seconds: float) -> None:
        until = asyncio.get_running_loop().time() + seconds
        self._until[host] = max(self._until.get(host, 0.0), until)


class RestClient:
    """GETs against any base URL. `pace_s` is the least time between two calls to one host.

    Use as an async context manager, or close with `aclose`. `transport` replaces the network in tests; `pace` is given
    where several clients share the venues' limits.
    """

    def __init__(
        self,
        *,
        pace_s: float = 0.25,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        pace: Pace | None = None,
    ) -> None:
        self.trouble: dict[str, str] = {}  # host -> words of its last failure; gone when it answers
        self.used_weight: dict[str, int] = {}  # host -> what Binance counted against this address in the last minute
        self.pace = pace or Pace(pace_s, sleep)
        self._client = httpx.AsyncClient(
            transport=transport,
            timeout=_TIMEOUT_S,
            follow_redirects=False,
            headers={"User-Agent": f"dfmon/{__version__}"},
        )

    async def get(self, base: str, call: RestCall) -> bytes:
        """The body of the answer, error bodies of the venue included; empty where there is none to be read."""
        url = f"{base.rstrip('/')}{call.path}"
        host = httpx.URL(base).host
        await self.pace.turn(host, call.cost)
        try:
            response = await self._client.get(url, params=dict(call.params))
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            self.trouble[host] = _in_words(exc)
            return b""
        return self._body(host, response)

    def _body(self, host: str, response: httpx.Response) -> bytes:
        status, weight = response.status_code, response.headers.get("X-MBX-USED-WEIGHT-1M", "")
        if weight.isdecimal():
            self.used_weight[host] = int(weight)
        if status == httpx.codes.OK or (status == httpx.codes.BAD_REQUEST and response.content[:1] == b"{"):
            self.trouble.pop(host, None)  # Deribit sends its errors as 400 with a JSON-RPC body
            return response.content
        self.trouble[host] = f"HTTP {status}"
        if status in _BUSY:
            wait_s = _retry_after(response.headers)
            self.pace.leave_alone(host, wait_s)
            self.trouble[host] += f": {_BUSY[status]}; next call in {wait_s:.0f} s"
        return b""

    async def aclose(self) -> None:
        await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds the venue asks for: a number or a date, or a few where it says neither."""
    asked = headers.get("Retry-After", "")
    try:
        seconds = float(asked)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(asked) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            seconds = _WAIT_S
    return min(_LARGEST_WAIT_S, max(1.0, seconds)) if seconds == seconds else _WAIT_S


def _in_words(exc: Exception) -> str:
    words: Mapping[type[Exception], str] = {
        httpx.ConnectTimeout: "no connection within 10 s",
        httpx.TimeoutException: "no answer within 10 s",
        httpx.RemoteProtocolError: "the answer broke off or was no HTTP",
    }
    for kind, said in words.items():
        if isinstance(exc, kind):
            return said
    text = str(exc)
    if "refused" in text or "connection attempts failed" in text:
        return "connection refused"
    return clean(f"{type(exc).__name__}: {text}".rstrip(": "))
