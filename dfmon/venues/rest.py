"""The venues' REST side: one HTTP client, paced per host, that answers with a body or with nothing.

A call that fails is not an exception here: the protocol that asked gets an empty body, the reason is kept in `trouble`,
and the protocol decides whether to ask again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Final, Self

import httpx

from dfmon.model.units import clean
from dfmon.venues.protocol import RestCall
from dfmon.version import __version__

_TIMEOUT_S: Final = 10.0
_LARGEST_WAIT_S: Final = 120.0
_BUSY: Final = frozenset({418, 429})  # Binance answers 418 to who goes on after 429


class RestClient:
    """GETs against any base URL. `pace_s` is the least time between two calls to one host.

    Use as an async context manager, or close with `aclose`. `transport` replaces the network in tests.
    """

    def __init__(
        self,
        *,
        pace_s: float = 0.25,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.trouble: dict[str, str] = {}  # host -> words of its last failure; gone when it answers
        self._pace_s = pace_s
        self._sleep = sleep
        self._next: dict[str, float] = {}
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
        await self._take_turn(host)
        try:
            response = await self._client.get(url, params=dict(call.params))
        except httpx.HTTPError as exc:
            self.trouble[host] = clean(f"{type(exc).__name__}: {exc}".rstrip(": "))
            return b""
        return self._body(host, response)

    async def _take_turn(self, host: str) -> None:
        """Wait for this host's next free moment; callers queue by reserving theirs at once."""
        now = asyncio.get_running_loop().time()
        turn = max(now, self._next.get(host, now))
        self._next[host] = turn + self._pace_s
        if turn > now:
            await self._sleep(turn - now)

    def _body(self, host: str, response: httpx.Response) -> bytes:
        status = response.status_code
        if status in _BUSY:
            self._next[host] = asyncio.get_running_loop().time() + _retry_after(response.headers)
        if status == httpx.codes.OK or (status == httpx.codes.BAD_REQUEST and response.content[:1] == b"{"):
            self.trouble.pop(host, None)  # Deribit sends its errors as 400 with a JSON-RPC body
            return response.content
        self.trouble[host] = f"HTTP {status}"
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
    try:
        return min(_LARGEST_WAIT_S, max(1.0, float(headers.get("Retry-After", "5"))))
    except ValueError:
        return 5.0
