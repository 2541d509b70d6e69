"""Binance's limits (venues.md 2.1 and 2.2): messages per second on a socket, request weight per minute over REST."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

_WINDOW_S: Final = 60.0
_MAX_REFUSED_REQUESTS: Final = 20  # refused calls before the address is banned
_BAN_S: Final = 120.0
_DEPTH_WEIGHTS_SPOT: Final = ((100, 5), (500, 25), (1_000, 50), (5_000, 250))
_DEPTH_WEIGHTS_FUTURES: Final = ((50, 2), (100, 5), (500, 10), (1_000, 20))
_KLINE_WEIGHTS_FUTURES: Final = ((99, 1), (499, 2), (1_000, 5), (1_500, 10))
_FIXED_WEIGHTS_SPOT: Final = {"ticker/24hr": 2, "klines": 2, "trades": 25, "exchangeInfo": 20}


class MessageRateLimit:
    """At most `max_messages` incoming messages in any second."""

    def __init__(self, max_messages: int) -> None:
        self._message_times: deque[float] = deque(maxlen=max_messages)

    def try_acquire(self, now: float) -> bool:
        """Counts one message; false where it is too many."""
        limit_reached = len(self._message_times) == self._message_times.maxlen and now - self._message_times[0] < 1.0
        self._message_times.append(now)
        return not limit_reached


class RequestWeightLimit:
    """The weight one address has used in this minute: 429 above the limit, then 418 for a client that continues."""

    def __init__(self, *, futures: bool, timer_speedup: float) -> None:
        self._futures, self._timer_speedup = futures, timer_speedup
        self._max_weight = 2_400 if futures else 6_000
        self._window_start = -math.inf
        self._refused_count = 0
        self._banned_until = -math.inf
        self.used_weight = 0

    def charge(self, weight: int, now: float) -> tuple[HTTPStatus | None, float]:
        """Counts one call: None where it is allowed, else the status and the seconds of its Retry-After."""
        if now < self._banned_until:
            return HTTPStatus.IM_A_TEAPOT, self._banned_until - now
        if now - self._window_start >= _WINDOW_S / self._timer_speedup:
            self._window_start, self.used_weight, self._refused_count = now, 0, 0
        self.used_weight += weight
        if self.used_weight <= self._max_weight:
            return None, 0.0
        self._refused_count += 1
        if self._refused_count > _MAX_REFUSED_REQUESTS:
            self._banned_until = now + _BAN_S / self._timer_speedup
            return HTTPStatus.IM_A_TEAPOT, _BAN_S / self._timer_speedup
        return HTTPStatus.TOO_MANY_REQUESTS, self._window_start + _WINDOW_S / self._timer_speedup - now

    def request_weight(self, method: str, query: Mapping[str, str]) -> int:
        """The request weight of a call."""
        limit = query.get("limit", "")
        rows = int(limit) if limit.isdecimal() else 500
        if method == "depth":
            return _tiered_weight(_DEPTH_WEIGHTS_FUTURES if self._futures else _DEPTH_WEIGHTS_SPOT, rows)
        if method == "klines" and self._futures:
            return _tiered_weight(_KLINE_WEIGHTS_FUTURES, rows)
        return 1 if self._futures else _FIXED_WEIGHTS_SPOT.get(method, 1)


def _tiered_weight(tiers: tuple[tuple[int, int], ...], rows: int) -> int:
    return next((weight for max_rows, weight in tiers if rows <= max_rows), tiers[-1][1])
