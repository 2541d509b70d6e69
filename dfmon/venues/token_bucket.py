"""Token buckets for the rate limits of venues. The caller passes the time and does the waiting."""

from __future__ import annotations


class TokenBucket:
    """`burst` at once, then `rate` a second. Times are seconds of a monotonic clock."""

    def __init__(self, rate: float, burst: float = 1.0) -> None:
        self._rate, self._burst = rate, burst
        self._tokens = burst
        self._updated_s: float | None = None

    def reserve(self, now_s: float, cost: float = 1.0) -> float:
        """Reserves `cost` tokens. Returns the seconds until they are available."""
        self._refill(now_s)
        self._tokens -= cost
        deficit_tokens = min(cost, self._burst) - (self._tokens + cost)
        return max(0.0, deficit_tokens) / self._rate

    def try_acquire(self, now_s: float, cost: float = 1.0) -> bool:
        """Takes `cost` tokens if they are available now; false if not."""
        self._refill(now_s)
        if self._tokens < cost:
            return False
        self._tokens -= cost
        return True

    def _refill(self, now_s: float) -> None:
        if self._updated_s is not None:
            self._tokens = min(self._burst, self._tokens + max(0.0, now_s - self._updated_s) * self._rate)
        self._updated_s = now_s
