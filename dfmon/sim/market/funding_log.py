"""Funding rates at the full hours: those of the market since the start, and before it those along its past path."""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

import numpy as np

from dfmon.model.units import HOUR, MILLISECOND
from dfmon.sim.market.past_path import MINUTE_MS, PastPath, uniform_noise

HOUR_MS: Final = HOUR // MILLISECOND
BASE_RATE: Final = 0.0001  # per 8 h: the interest part, paid even at zero premium
_MAX_HOURS: Final = 2_160  # ninety days
_PAST_PREMIUM_SD: Final = 1.6e-4


class FundingHour(NamedTuple):
    """An hour's end, ms, the rate per 8 h then, and the index, USD."""

    time_ms: int
    rate: float
    index_price: float


def funding_rate(premium: float) -> float:
    """Rate per 8 h at a premium of the perpetual over the index, a fraction."""
    raw = BASE_RATE + max(min(premium - BASE_RATE, 0.0005), -0.0005) * 0.2
    return round(raw, 8)


class FundingLog:
    """The hours of one perpetual."""

    def __init__(self) -> None:
        self._hours: deque[FundingHour] = deque(maxlen=_MAX_HOURS)
        self._last_hour = 0

    def record(self, now_ms: int, premium: float, index: float) -> None:
        """Takes the state after each step; the first of an hour counts."""
        hour = now_ms // HOUR_MS
        if hour != self._last_hour:
            if self._last_hour:
                self._hours.append(FundingHour(hour * HOUR_MS, funding_rate(premium), index))
            self._last_hour = hour

    def between(self, start_ms: int, end_ms: int, past: PastPath | None) -> list[FundingHour]:
        """The hours in [start_ms, end_ms], oldest first, as far as they are known."""
        live = [hour for hour in self._hours if start_ms <= hour.time_ms <= end_ms]
        return live if past is None else [*_past_hours(past, start_ms, end_ms), *live]


def _past_hours(past: PastPath, start_ms: int, end_ms: int) -> list[FundingHour]:
    first = -(-max(start_ms, past.oldest_ms + MINUTE_MS) // HOUR_MS)
    last = min(end_ms, past.start_ms) // HOUR_MS
    if last < first:
        return []
    index = past.minutes(first * HOUR_MS - MINUTE_MS, last * HOUR_MS).close[::60] / past.scale
    hours = np.arange(first, last + 1)
    spread = sum(uniform_noise(hours, column) for column in (5, 6, 7, 8, 9)) - 2.5  # nearly normal
    premium = _PAST_PREMIUM_SD * spread / np.sqrt(5.0 / 12.0)
    rows = zip((hours * HOUR_MS).tolist(), premium.tolist(), index.tolist())
    return [FundingHour(time_ms, funding_rate(value), round(price, 4)) for time_ms, value, price in rows]
