"""Token buckets: how often something may be done, where a venue counts. The time is handed in; nobody waits here."""

from __future__ import annotations


class Bucket:
    """`burst` at once, then `rate` a second. Times are seconds of any clock that does not go back."""

    def __init__(self, rate: float, burst: float = 1.0) -> None:
        self._rate, self._burst = rate, burst
        self._tokens = burst
        self._at: float | None = None

    def take(self, now_s: float, cost: float = 1.0) -> float:
        """Reserve a turn, however far away; the seconds until it comes."""
        self._fill(now_s)
        self._tokens -= cost
        missing = min(cost, self._burst) - (self._tokens + cost)
        return max(0.0, missing) / self._rate

    def try_take(self, now_s: float, cost: float = 1.0) -> bool:
        """Take a turn if it is there now."""
        self._fill(now_s)
        if self._tokens < cost:
            return False
        self._tokens -= cost
        return True

    def _fill(self, now_s: float) -> None:
        if self._at is not None:
            self._tokens = min(self._burst, self._tokens + max(0.0, now_s - self._at) * self._rate)
        self._at = now_s
