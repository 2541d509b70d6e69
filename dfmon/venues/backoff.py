"""When the next attempt to connect is due: later after each failure of one source, and in turn for all of one host."""

from __future__ import annotations

import asyncio
import random
from typing import Final
from urllib.parse import urlsplit

from dfmon.venues.token_bucket import TokenBucket

_MAX_BACKOFF_S: Final = 30.0
_MIN_BACKOFF_S: Final = 0.25
_CONNECTS_PER_S, _CONNECT_BURST = 0.9, 2.0  # attempts of one host: OKX allows 3 a second, Binance 300 in five minutes


class Backoff:
    """Full jitter: any time up to a ceiling that doubles, so that many clients do not come back together."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._ceiling = 1.0

    def next_wait_s(self) -> float:
        wait = max(_MIN_BACKOFF_S, self._rng.uniform(0.0, self._ceiling))
        self._ceiling = min(_MAX_BACKOFF_S, self._ceiling * 2)
        return wait

    def reset(self) -> None:
        self._ceiling = 1.0


class ConnectLimiter:
    """Attempts to connect, paced per host: connections that fail together do not knock together."""

    def __init__(self) -> None:
        self._buckets: dict[str, TokenBucket] = {}

    async def acquire(self, url: str) -> None:
        bucket = self._buckets.setdefault(urlsplit(url).netloc, TokenBucket(_CONNECTS_PER_S, _CONNECT_BURST))
        await asyncio.sleep(bucket.reserve(asyncio.get_running_loop().time()))


async def sleep_unless_stopped(stop: asyncio.Event, seconds: float) -> None:
    """Sleep, but not past `stop`."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        pass
