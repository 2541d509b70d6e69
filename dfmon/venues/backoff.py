"""Delays between attempts to connect: growing with the failures of a source, paced over all connections of a host."""

from __future__ import annotations

import asyncio
import random
from typing import Final

from dfmon.model.backoff import backoff_delay
from dfmon.venues.proxies import authority_of
from dfmon.venues.token_bucket import TokenBucket

_FIRST_BACKOFF_S: Final = 1.0
_MIN_BACKOFF_S: Final = 0.25
_MAX_BACKOFF_S: Final = 30.0
_CONNECTS_PER_S, _CONNECT_BURST = 0.9, 2.0  # attempts of one host: OKX allows 3 a second, Binance 300 in five minutes


class Backoff:
    """Full jitter, so that clients that failed together do not return together."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._failures = 0

    def next_wait_s(self) -> float:
        ceiling = backoff_delay(self._failures, _FIRST_BACKOFF_S, _MAX_BACKOFF_S)
        self._failures += 1
        return max(_MIN_BACKOFF_S, self._rng.uniform(0.0, ceiling))

    def reset(self) -> None:
        self._failures = 0


class ConnectLimiter:
    """Attempts to connect, paced per host and shared by all connections of a process."""

    def __init__(self) -> None:
        self._buckets: dict[str, TokenBucket] = {}

    async def acquire(self, url: str) -> None:
        bucket = self._buckets.setdefault(authority_of(url), TokenBucket(_CONNECTS_PER_S, _CONNECT_BURST))
        await asyncio.sleep(bucket.reserve(asyncio.get_running_loop().time()))
