"""One call to the REST service of a dfmon, with every failure as a sentence without the password of the URL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import httpx

from dfmon.model.errors import DfmonError, NoSnapshotError, UsageError
from dfmon.model.units import sanitize
from dfmon.sinks.secret_urls import mask_url, redact
from dfmon.venues.failures import describe_os_error
from dfmon.venues.rest.body import ACCEPT_ENCODING, ResponseError, read_body
from dfmon.venues.rest.routed_transport import RoutedTransport

SNAPSHOT_PATH: Final = "/v1/snapshot"


@asynccontextmanager
async def rest_client(timeout_s: float, token: str = "") -> AsyncIterator[httpx.AsyncClient]:
    """A client that sends the token with every call. Raises UsageError for one that no header can have."""
    if not (token.isascii() and token.isprintable()):
        raise UsageError("the token has characters that no request can have; allowed: printable ASCII")
    headers = {"Accept-Encoding": ACCEPT_ENCODING} | ({"Authorization": f"Bearer {token}"} if token else {})
    async with httpx.AsyncClient(
        transport=RoutedTransport(), trust_env=False, timeout=timeout_s, headers=headers
    ) as client:
        yield client


async def get_snapshot(client: httpx.AsyncClient, base: str, underlying: str, timeout_s: float) -> bytes:
    """The JSON object of one underlying with all tables. Raises NoSnapshotError or DfmonError."""
    shown, parameters = sanitize(mask_url(base)), {"currency": underlying, "detail": "true"}
    try:
        async with (
            asyncio.timeout(timeout_s),
            client.stream("GET", f"{base}{SNAPSHOT_PATH}", params=parameters) as response,
        ):
            body = await read_body(response)
    except (TimeoutError, httpx.TimeoutException):
        raise NoSnapshotError(f"{shown} did not respond within {timeout_s:g} s") from None
    except (httpx.HTTPError, httpx.InvalidURL, ResponseError) as exc:
        cause = "" if isinstance(exc, httpx.ProxyError) else describe_os_error(exc)
        reason = cause or redact(str(exc) or type(exc).__name__, base)
        raise DfmonError(f"{shown}: {sanitize(reason)}") from None
    if response.status_code != httpx.codes.OK:
        message = sanitize(body.decode("utf-8", "replace").strip() or response.reason_phrase)
        if response.status_code == httpx.codes.UNAUTHORIZED:
            advice = "this token is not its own" if "Authorization" in client.headers else "it takes a token"
            message = f"{advice}: DFMON_PUBLISH_REST_TOKEN, or a file named by publish.rest_token_file, has it"
        error_type = NoSnapshotError if response.status_code == httpx.codes.SERVICE_UNAVAILABLE else DfmonError
        raise error_type(f"{shown} responded {response.status_code}: {message}")
    return body
