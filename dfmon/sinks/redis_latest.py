"""Reads the latest snapshot that a `redis_stream` sink stored in Redis."""

from __future__ import annotations

import asyncio

from dfmon.model.errors import DfmonError
from dfmon.model.units import sanitize
from dfmon.sinks.redis_connection import ReplyError
from dfmon.sinks.redis_routing import RedisConnector
from dfmon.sinks.redis_schema import RedisKeys
from dfmon.sinks.redis_url import RedisTarget


async def fetch_latest_json(target: RedisTarget, prefix: str, underlying: str, timeout_s: float) -> bytes | None:
    """The JSON object under `prefix`, None if there is none. Raises DfmonError, without the password of the URL."""
    connector = RedisConnector(target, timeout_s)
    key = RedisKeys(prefix, tagged=target.topology == "cluster").snapshot(underlying)
    try:
        async with asyncio.timeout(timeout_s), connector.open() as link:
            body = await (await link.node_of(key)).call("GET", key)
    except (ReplyError, OSError) as exc:
        reason = str(exc) or f"no response within {timeout_s:g} s"
        raise DfmonError(f"{target.display_url}: {sanitize(target.redact(reason))}") from None
    return body if isinstance(body, bytes) else None
