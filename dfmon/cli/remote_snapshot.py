"""The snapshot of another dfmon: http(s)://HOST:PORT of its --rest, or the redis:// of its --redis."""

from __future__ import annotations

import asyncio
from typing import Final
from urllib.parse import parse_qs, urlsplit

import msgspec

from dfmon.config import Config
from dfmon.model.errors import DfmonError, NoSnapshotError, UsageError
from dfmon.model.snapshot import FlowSnapshot, from_json
from dfmon.model.units import sanitize
from dfmon.sinks.redis_url import SCHEMES
from dfmon.sinks.secret_urls import mask_url, redact

_PATH: Final = "/v1/snapshot"
_PARAMETERS: Final = ("currency", "detail")


def remote_snapshot(url: str, currency: str | None, config: Config, timeout_s: float) -> FlowSnapshot:
    """The newest snapshot of `currency`, or of the one in the query of the URL, or of the first configured coin.

    The token of a REST service is read where the service itself has it: `publish.rest_token` or `rest_token_file`.
    """
    if url.partition("://")[0] in SCHEMES:
        from dfmon.runtime.composition import redis_target
        from dfmon.sinks.redis_latest import fetch_latest_json

        underlying, target = currency or config.market.currencies[0], redis_target(url, config.publish)
        body = asyncio.run(fetch_latest_json(target, config.publish.prefix, underlying, timeout_s))
        if body is None:
            raise NoSnapshotError(f"redis has no snapshot of {underlying} under {config.publish.prefix!r}")
    elif url.startswith(("http://", "https://")):
        base, in_query = split_url(url)
        if currency and in_query and currency != in_query:
            raise UsageError(f"--currency is {currency} and the URL has {sanitize(in_query, 20)}; give one of them")
        from dfmon.runtime.composition import read_rest_token

        underlying, token = currency or in_query or config.market.currencies[0], read_rest_token(config.publish)
        if not (token.isascii() and token.isprintable()):
            raise UsageError("the token has characters that no request can have; allowed: printable ASCII")
        body = asyncio.run(_get(base, underlying, url, token, timeout_s))
    else:
        raise UsageError(f"{sanitize(mask_url(url))}: unknown scheme; allowed: http://, https://, redis://")
    try:
        return from_json(body)
    except msgspec.DecodeError as exc:
        raise DfmonError(f"{sanitize(mask_url(url))} did not return a snapshot: {sanitize(str(exc))}") from None


def split_url(url: str) -> tuple[str, str]:
    """The base URL of a service, and the currency that the URL asks for, or nothing.

    >>> split_url("http://host:8765/v1/snapshot?currency=ETH")
    ('http://host:8765', 'ETH')
    """
    shown = sanitize(mask_url(url))
    try:
        parts = urlsplit(url)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:
        has_host = False
    if not has_host:
        raise UsageError(f"{shown}: no host and port that can be called; allowed: http://HOST:PORT")
    query = parse_qs(parts.query, keep_blank_values=True)
    if unknown := [name for name in query if name not in _PARAMETERS]:
        raise UsageError(f"{shown}: unknown parameter {sanitize(unknown[0], 30)!r}; allowed: {', '.join(_PARAMETERS)}")
    path = parts.path.rstrip("/").removesuffix(_PATH)
    if path.endswith(("/healthz", "/openapi.json")) or "/v1/" in path:
        raise UsageError(f"{shown}: no snapshot is there; allowed: http://HOST:PORT, or its {_PATH}?currency=BTC")
    return f"{parts.scheme}://{parts.netloc}{path}", query.get("currency", [""])[-1].upper()


async def _get(base: str, underlying: str, url: str, token: str, timeout_s: float) -> bytes:
    import httpx  # takes 100 ms, which the snapshot of a file does not need

    from dfmon.venues.failures import describe_os_error
    from dfmon.venues.rest.body import ACCEPT_ENCODING, ResponseError, read_body
    from dfmon.venues.rest.routed_transport import RoutedTransport

    shown, headers = sanitize(mask_url(base)), {"Accept-Encoding": ACCEPT_ENCODING}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    try:
        async with (
            asyncio.timeout(timeout_s),
            httpx.AsyncClient(
                transport=RoutedTransport(), trust_env=False, timeout=timeout_s, headers=headers
            ) as client,
            client.stream("GET", f"{base}{_PATH}", params={"currency": underlying, "detail": "true"}) as response,
        ):
            body = await read_body(response)
    except (TimeoutError, httpx.TimeoutException):
        raise NoSnapshotError(f"{shown} did not respond within {timeout_s:g} s") from None
    except (httpx.HTTPError, httpx.InvalidURL, ResponseError) as exc:
        cause = "" if isinstance(exc, httpx.ProxyError) else describe_os_error(exc)
        reason = cause or redact(str(exc) or type(exc).__name__, url)
        raise DfmonError(f"{shown}: {sanitize(reason)}") from None
    if response.status_code != httpx.codes.OK:
        message = sanitize(body.decode("utf-8", "replace").strip() or response.reason_phrase)
        if response.status_code == httpx.codes.UNAUTHORIZED:
            advice = "this token is not its own" if token else "it takes a token"
            message = f"{advice}: DFMON_PUBLISH_REST_TOKEN, or a file named by publish.rest_token_file, has it"
        error_type = NoSnapshotError if response.status_code == httpx.codes.SERVICE_UNAVAILABLE else DfmonError
        raise error_type(f"{shown} responded {response.status_code}: {message}")
    return body
