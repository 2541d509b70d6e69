"""Token buckets: how often something may be done, where a venue counts. The time is handed in; nobody waits here."""

from __future__ import annotations


class TokenBucket:
    """`burst` at once, then `rate` a second. Times are seconds of any clock that does not go back."""

    def __init__(self, rate: float, burst: float = 1.0) -> None:
        self._rate, self._burst = rate, burst
        self._tokens = burst
        self._updated_s: float | None = None

    def reserve(self, now_s: float, cost: float = 1.0) -> float:
        """Reserve a turn, however far away; the seconds until it comes."""
        self._refill(now_s)
        self._tokens -= cost
        deficit_tokens = min(cost, self._burst) - (self._tokens + cost)
        return max(0.0, deficit_tokens) / self._rate

    def try_acquire(self, now_s: float, cost: float = 1.0) -> bool:
        """Take a turn if it is there now."""
        self._refill(now_s)
        if self._tokens < cost:
            return False
        self._tokens -= cost
        return True

    def _refill(self, now_s: float) -> None:
        if self._updated_s is not None:
            self._tokens = min(self._burst, self._tokens + max(0.0, now_s - self._updated_s) * self._rate)
        self._updated_s = now_s
