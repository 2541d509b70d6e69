"""Reads the latest snapshot that a `redis_stream` sink stored in Redis."""

from __future__ import annotations

from dfmon.model.errors import DfmonError, UsageError
from dfmon.model.units import sanitize
from dfmon.sinks.secret_urls import mask_url, redact


def fetch_latest_json(url: str, prefix: str, underlying: str, timeout_s: float) -> bytes | None:
    """The JSON object under `prefix`, None if there is none. Raises DfmonError, without the password of the URL."""
    try:
        import redis
    except ImportError as exc:
        raise UsageError(f"reading Redis needs the package {exc.name!r}: pip install 'dfmon[redis]'") from None
    try:
        with redis.Redis.from_url(url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s) as client:
            body = client.get(f"{prefix}:snapshot:{underlying}")
    except (redis.RedisError, OSError, ValueError) as exc:
        raise DfmonError(f"{mask_url(url)}: {sanitize(redact(str(exc), url))}") from None
    return body if isinstance(body, bytes) else None
