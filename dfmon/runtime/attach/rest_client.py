"""Snapshots of the REST service of a dfmon, one or as they come.

Every failure is a sentence without the password of the URL.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import httpx
import msgspec

from dfmon.model.errors import DfmonError, NoSnapshotError, RefusedError, UsageError
from dfmon.model.units import sanitize
from dfmon.sinks.secret_urls import mask_url, redact
from dfmon.venues.failures import describe_os_error
from dfmon.venues.rest.body import ACCEPT_ENCODING, MAX_BODY_BYTES, ResponseError, read_body
from dfmon.venues.rest.routed_transport import RoutedTransport

SNAPSHOT_PATH: Final = "/v1/snapshot"
STREAM_PATH: Final = "/v1/stream"
REFUSALS: Final = frozenset({401, 403, 404, 421})
STREAM_IDLE_S: Final = 35.0  # twice the interval at which a silent stream says that it is there


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
    """The JSON object of one underlying with all tables. Raises NoSnapshotError, RefusedError or DfmonError."""
    return await get_json(client, base, SNAPSHOT_PATH, _parameters(underlying), timeout_s)


async def get_json(
    client: httpx.AsyncClient, base: str, path: str, parameters: Mapping[str, str], timeout_s: float
) -> bytes:
    """The body of a route. Raises NoSnapshotError or DfmonError."""
    with _failures_as_sentences(base, timeout_s):
        async with (
            asyncio.timeout(timeout_s),
            client.stream("GET", f"{base}{path}", params=parameters) as response,
        ):
            body = await read_body(response)
    if response.status_code != httpx.codes.OK:
        message = sanitize(_detail(body) or response.reason_phrase)
        if response.status_code == httpx.codes.UNAUTHORIZED:
            advice = "this token is not its own" if "Authorization" in client.headers else "it takes a token"
            message = f"{advice}: DFMON_PUBLISH_REST_TOKEN, or a file named by publish.rest_token_file, has it"
        error: type[DfmonError] = RefusedError if response.status_code in REFUSALS else DfmonError
        if response.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            error = NoSnapshotError
        raise error(f"{sanitize(mask_url(base))} responded {response.status_code}: {message}")
    return body


async def stream_snapshots(client: httpx.AsyncClient, base: str, underlying: str) -> AsyncGenerator[bytes, None]:
    """The JSON objects of one underlying with all tables, as they come; none from a service without such a stream.

    Raises NoSnapshotError or DfmonError.
    """
    parameters = _parameters(underlying) | {"topics": "snapshot"}
    timeout = httpx.Timeout(client.timeout.connect, read=STREAM_IDLE_S)
    with _failures_as_sentences(base, STREAM_IDLE_S):
        async with client.stream(
            "GET", f"{base}{STREAM_PATH}", params=parameters, timeout=timeout, headers={"Accept-Encoding": "identity"}
        ) as response:
            if response.status_code != httpx.codes.OK:
                return
            topic = pending = b""
            async for block in response.aiter_raw():
                *lines, pending = (pending + block).split(b"\n")
                if len(pending) > MAX_BODY_BYTES:
                    raise ResponseError(f"a message of more than {MAX_BODY_BYTES >> 20} MB was refused")
                for line in lines:
                    if line.startswith(b"event:"):
                        topic = line.removeprefix(b"event:").strip()
                    elif line.startswith(b"data:") and topic == b"snapshot":  # not a gap
                        yield line.removeprefix(b"data:").strip()
    raise DfmonError(f"{sanitize(mask_url(base))} ended the stream")


def _detail(body: bytes) -> str:
    """The sentence of a refusal: that of dfmon's JSON, or the body as it is."""
    try:
        return msgspec.json.decode(body, type=dict[str, str])["detail"]
    except (msgspec.DecodeError, KeyError):
        return body.decode("utf-8", "replace").strip()


def _parameters(underlying: str) -> dict[str, str]:
    return {"currency": underlying, "detail": "true"}


@contextmanager
def _failures_as_sentences(base: str, timeout_s: float) -> Iterator[None]:
    shown = sanitize(mask_url(base))
    try:
        yield
    except (TimeoutError, httpx.TimeoutException):
        raise NoSnapshotError(f"{shown} did not respond within {timeout_s:g} s") from None
    except (httpx.HTTPError, httpx.InvalidURL, ResponseError) as exc:
        cause = "" if isinstance(exc, httpx.ProxyError) else describe_os_error(exc)
        reason = cause or redact(str(exc) or type(exc).__name__, base)
        raise DfmonError(f"{shown}: {sanitize(reason)}") from None
