"""The clock of a session: market time, which a simulated exchange may run faster than wall time.

Time stamps of receipt, ticks and expiries follow this clock; sleeps, time-outs and back-offs follow the event loop's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from dfmon.model.units import SECOND


@dataclass(frozen=True, slots=True)
class SessionClock:
    """`now_ns` gives nanoseconds since the epoch and gains `speed` seconds per second of wall time."""

    now_ns: Callable[[], int] = time.time_ns
    speed: float = 1.0

    def next_multiple_ns(self, interval_s: float, last_ns: int = 0) -> int:
        """The next whole multiple of `interval_s` seconds of wall time after `last_ns`, in market time.

        A timer may fire early: `last_ns`, planned within an interval from now, counts as passed. Multiples that were
        missed are skipped, and a clock that was set back starts anew.
        """
        interval_ns = int(interval_s * self.speed * SECOND)
        now_ns = self.now_ns()
        after_ns = last_ns if now_ns < last_ns <= now_ns + interval_ns else now_ns
        return after_ns - after_ns % interval_ns + interval_ns

    def seconds_until(self, at_ns: int) -> float:
        """Wall seconds until `at_ns`; 0 if it has passed."""
        return max(at_ns - self.now_ns(), 0) / SECOND / self.speed


WALL_CLOCK: Final = SessionClock()
