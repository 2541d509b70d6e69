"""Delays between retries: exponential and capped. Callers add the jitter, since this module is pure."""

from __future__ import annotations

from typing import Final, TypeVar

T = TypeVar("T", int, float)

_MAX_DOUBLINGS: Final = 32  # beyond every limit in use, and far from overflow


def backoff_delay(attempt: int, first: T, limit: T) -> T:
    """Delay before retry `attempt` (0, 1, …), in the unit of `first`: doubled each time, at most `limit`.

    >>> [backoff_delay(attempt, 0.5, 3.0) for attempt in range(4)]
    [0.5, 1.0, 2.0, 3.0]
    """
    return min(limit, first * (1 << min(attempt, _MAX_DOUBLINGS)))
