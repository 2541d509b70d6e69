"""Snapshots, tables and explanations of another dfmon: http(s)://HOST:PORT of its --rest, redis:// for a snapshot."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs, urlsplit

import msgspec

from dfmon.config import Config
from dfmon.engine.explain import EXPLAINED
from dfmon.model.errors import DfmonError, NoSnapshotError, UsageError
from dfmon.model.explain import Explanation, TermExplanation
from dfmon.model.locator import Locator
from dfmon.model.snapshot import FlowSnapshot
from dfmon.model.units import SECOND, sanitize
from dfmon.runtime.attach.arrivals import aged, read_snapshot
from dfmon.sinks.redis_url import SCHEMES
from dfmon.sinks.secret_urls import mask_url
from dfmon.sinks.view_text import View

STALE_S: Final = 10.0  # of a snapshot; a slow tick is shorter
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
        base, underlying = _rest_target(url, currency, config)
        body = asyncio.run(_get(base, _PATH, {"currency": underlying, "detail": "true"}, config, timeout_s))
    else:
        raise UsageError(f"{sanitize(mask_url(url))}: unknown scheme; allowed: http://, https://, redis://")
    snapshot = read_snapshot(body, sanitize(mask_url(url)))
    elapsed_s = (time.time_ns() - snapshot.ts_ns) / SECOND
    if snapshot.state == "replay" or elapsed_s <= STALE_S:
        return snapshot
    return aged(snapshot, elapsed_s)  # of a collector that has died: its last words stay in Redis


def remote_view(url: str, locator: Locator, config: Config, timeout_s: float) -> View:
    """The table of a locator, computed by the REST service, which has the options of its ticks."""
    base, underlying = _rest_target(url, locator.coin, config)
    parameters = {**dict(locator.parameters), "currency": underlying}
    body = asyncio.run(_get(base, f"/v1/view/{locator.screen}", parameters, config, timeout_s))
    try:
        return msgspec.json.decode(body, type=View)
    except msgspec.DecodeError as exc:
        raise DfmonError(f"{sanitize(mask_url(url))} did not return a table: {sanitize(str(exc))}") from None


def remote_explanation(
    url: str, metric: str, currency: str | None, model: str | None, config: Config, timeout_s: float
) -> Explanation | TermExplanation:
    """One number or word that a REST service writes out, under its own position model unless `model` is given."""
    if not url.startswith(("http://", "https://")):
        raise UsageError(f"{sanitize(mask_url(url))}: only a REST service explains; allowed: http://, https://, a file")
    base, underlying = _rest_target(url, currency, config)
    parameters = {"currency": underlying} | ({"model": model} if model else {})
    body = asyncio.run(_get(base, f"/v1/explain/{metric}", parameters, config, timeout_s))
    try:
        return msgspec.json.decode(body, type=Explanation if metric in EXPLAINED else TermExplanation)
    except msgspec.DecodeError as exc:
        raise DfmonError(f"{sanitize(mask_url(url))} did not return an explanation: {sanitize(str(exc))}") from None


def _rest_target(url: str, currency: str | None, config: Config) -> tuple[str, str]:
    """The base URL of a service and the underlying that is asked for."""
    base, in_query = split_url(url)
    if currency and in_query and currency != in_query:
        raise UsageError(f"--currency is {currency} and the URL has {sanitize(in_query, 20)}; give one of them")
    return base, currency or in_query or config.market.currencies[0]


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


async def _get(base: str, path: str, parameters: Mapping[str, str], config: Config, timeout_s: float) -> bytes:
    from dfmon.runtime.attach.rest_client import get_json, rest_client  # httpx takes 100 ms
    from dfmon.runtime.composition import read_rest_token

    async with rest_client(timeout_s, read_rest_token(config.publish)) as client:
        return await get_json(client, base, path, parameters, timeout_s)
