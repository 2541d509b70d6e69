"""Reads back the latest snapshot that a `redis_stream` sink left in Redis."""

from __future__ import annotations

from dfmon.model.errors import DfmonError, UsageError
from dfmon.model.units import clean
from dfmon.sinks.redis_stream import mask


def latest_value(url: str, prefix: str, underlying: str, patience_s: float) -> bytes | None:
    """The JSON object under `prefix`, or None where there is none. The password of the URL is never printed."""
    try:
        import redis
    except ImportError as exc:
        raise UsageError(f"reading Redis needs the package {exc.name!r}: pip install 'dfmon[redis]'") from None
    try:
        with redis.Redis.from_url(url, socket_timeout=patience_s, socket_connect_timeout=patience_s) as client:
            body = client.get(f"{prefix}:snapshot:{underlying}")
    except (redis.RedisError, OSError, ValueError) as exc:
        reason = clean(str(exc)).replace(url, mask(url))
        raise DfmonError(f"{mask(url)}: {reason}") from None
    return body if isinstance(body, bytes) else None
