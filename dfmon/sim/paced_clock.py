"""Market time between two steps of a market that runs faster than wall time.

The market announces its time at every step, and this clock runs on from there at the market's speed, but not beyond
the next step: on a slow machine the market takes longer, and nothing looks old for it. A market that announces nothing
for some seconds has died, and the clock runs on without it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

_SILENCE_NS: Final = 2_000_000_000  # of wall time


class PacedClock:
    """`speed` is market time per wall time, `step_ns` the market time between two announcements."""

    def __init__(
        self, market_ns: int, speed: float, step_ns: int, monotonic_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self.speed = speed
        self._step_ns, self._monotonic_ns = step_ns, monotonic_ns
        self._announced: tuple[int, int] | None = None  # market time and when it was announced
        self._latest_ns = market_ns

    def announce(self, market_ns: int) -> None:
        """The market has reached `market_ns` now."""
        self._announced = (market_ns, self._monotonic_ns())

    def now_ns(self) -> int:
        """Market time, ns since the epoch. It stands still before the first announcement and never goes back."""
        if self._announced is None:
            return self._latest_ns
        market_ns, at_ns = self._announced
        elapsed_ns = self._monotonic_ns() - at_ns
        ahead_ns = min(int(elapsed_ns * self.speed), self._step_ns)
        if elapsed_ns > _SILENCE_NS:
            ahead_ns += int((elapsed_ns - _SILENCE_NS) * self.speed)
        self._latest_ns = max(self._latest_ns, market_ns + ahead_ns)
        return self._latest_ns
