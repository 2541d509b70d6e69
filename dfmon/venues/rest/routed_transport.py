"""The HTTP transport of every client here: directly or through the proxy of the environment, with its certificates."""

from __future__ import annotations

import ssl
from types import TracebackType
from typing import Self

import httpx

from dfmon.model.units import sanitize
from dfmon.venues.certificates import tls_context
from dfmon.venues.failures import describe_os_error, describe_proxy_status
from dfmon.venues.proxies import Proxy, proxy_of


class RoutedTransport(httpx.AsyncBaseTransport):
    """Pools of connections, one for each proxy and one without.

    Raises httpx.ProxyError, with the proxy and its variable, for a fault of the proxy; UsageError for an environment
    that names a proxy or certificates that cannot be used.
    """

    def __init__(self) -> None:
        self._pools: dict[tuple[Proxy | None, bool], httpx.AsyncHTTPTransport] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Sends the request. Raises an error of httpx."""
        proxy = proxy_of(str(request.url))
        is_secure = request.url.scheme == "https" or (proxy is not None and proxy.scheme == "https")
        pool = self._pools.get((proxy, is_secure))
        if pool is None:
            pool = self._pools[proxy, is_secure] = _make_pool(proxy, is_secure=is_secure)
        try:
            return await pool.handle_async_request(request)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as exc:
            if proxy is not None and (reason := _proxy_fault(exc)):
                raise httpx.ProxyError(f"{proxy}: {reason}", request=request) from exc
            raise

    async def aclose(self) -> None:
        for pool in self._pools.values():
            await pool.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.aclose()


def _make_pool(proxy: Proxy | None, *, is_secure: bool) -> httpx.AsyncHTTPTransport:
    # without TLS no certificates are read, which takes a tenth of a second
    context = tls_context() if is_secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if proxy is None:
        return httpx.AsyncHTTPTransport(verify=context)
    proxy_context = context if proxy.scheme == "https" else None
    return httpx.AsyncHTTPTransport(verify=context, proxy=httpx.Proxy(proxy.url, ssl_context=proxy_context))


def _proxy_fault(exc: Exception) -> str:
    """The fault of a proxy behind an error; empty where it lies beyond the proxy."""
    text = str(exc)
    if isinstance(exc, httpx.ProxyError):
        status = text.partition(" ")[0]
        return describe_proxy_status(int(status)) if status.isdecimal() else sanitize(text.lower().rstrip("."))
    if isinstance(exc, httpx.ConnectTimeout):
        return "no connection in time"
    reason = describe_os_error(exc)
    return "" if reason.startswith(("certificate", "TLS")) else reason or sanitize(text)
