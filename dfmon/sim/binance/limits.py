"""Binance's limits (venues.md 2.1 and 2.2): messages per second on a socket, request weight per minute over REST."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

_WINDOW_S: Final = 60.0
_PATIENCE: Final = 20  # refused calls before the address is banned
_BAN_S: Final = 120.0
_DEPTH_SPOT: Final = ((100, 5), (500, 25), (1_000, 50), (5_000, 250))
_DEPTH_FUTURES: Final = ((50, 2), (100, 5), (500, 10), (1_000, 20))
_KLINES_FUTURES: Final = ((99, 1), (499, 2), (1_000, 5), (1_500, 10))
_FLAT_SPOT: Final = {"ticker/24hr": 2, "klines": 2, "trades": 25, "exchangeInfo": 20}


class MessageLimit:
    """At most `most` incoming messages in any second."""

    def __init__(self, most: int) -> None:
        self._recent: deque[float] = deque(maxlen=most)

    def within(self, now: float) -> bool:
        """Count one message; false where it is too many."""
        full = len(self._recent) == self._recent.maxlen and now - self._recent[0] < 1.0
        self._recent.append(now)
        return not full


class WeightLimit:
    """The weight one address has used in this minute: 429 above the limit, 418 for who goes on regardless."""

    def __init__(self, *, futures: bool, hurry: float) -> None:
        self._futures, self._hurry = futures, hurry
        self._most = 2_400 if futures else 6_000
        self._begun = -math.inf
        self._refused = 0
        self._banned_until = -math.inf
        self.used = 0

    def spend(self, weight: int, now: float) -> tuple[HTTPStatus | None, float]:
        """Count one call: None where it is allowed, else the status and the seconds of its Retry-After."""
        if now < self._banned_until:
            return HTTPStatus.IM_A_TEAPOT, self._banned_until - now
        if now - self._begun >= _WINDOW_S / self._hurry:
            self._begun, self.used, self._refused = now, 0, 0
        self.used += weight
        if self.used <= self._most:
            return None, 0.0
        self._refused += 1
        if self._refused > _PATIENCE:
            self._banned_until = now + _BAN_S / self._hurry
            return HTTPStatus.IM_A_TEAPOT, _BAN_S / self._hurry
        return HTTPStatus.TOO_MANY_REQUESTS, self._begun + _WINDOW_S / self._hurry - now

    def weight(self, method: str, query: Mapping[str, str]) -> int:
        """What a call costs."""
        limit = query.get("limit", "")
        rows = int(limit) if limit.isdecimal() else 500
        if method == "depth":
            return _tier(_DEPTH_FUTURES if self._futures else _DEPTH_SPOT, rows)
        if method == "klines" and self._futures:
            return _tier(_KLINES_FUTURES, rows)
        return 1 if self._futures else _FLAT_SPOT.get(method, 1)


def _tier(tiers: tuple[tuple[int, int], ...], rows: int) -> int:
    return next((weight for most, weight in tiers if rows <= most), tiers[-1][1])
