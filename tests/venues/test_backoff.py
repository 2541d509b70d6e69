import asyncio
import random

import pytest

from dfmon.venues.backoff import Backoff, ConnectLimiter


def test_waits_are_spread_below_the_ceiling_and_never_zero() -> None:
    backoff = Backoff(random.Random(7))
    waits = [backoff.next_wait_s() for _ in range(200)]
    assert max(waits) <= 30
    assert min(waits) >= 0.25
    assert len({round(wait, 3) for wait in waits}) > 150


async def test_attempts_on_one_host_are_paced_within_the_venues_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """OKX: three a second. Binance: 300 in five minutes."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    limiter = ConnectLimiter()
    for _ in range(400):
        await limiter.acquire("wss://venue.test:8443/ws")
    await limiter.acquire("wss://other.test/ws")
    assert slept[-1] == 0.0
    attempts_s = slept[:-1]
    assert max(sum(at <= other < at + 1.0 for other in attempts_s) for at in attempts_s) <= 3
    assert sum(attempt_s < 300.0 for attempt_s in attempts_s) <= 300
