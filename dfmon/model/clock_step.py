"""Steps of our clock, from the times of a timer that fires regularly."""

from __future__ import annotations

from typing import Final

from dfmon.model.units import SECOND

_MAX_GAP_NS: Final = 10 * SECOND
_MAX_RATIO: Final = 3  # to the gap before: a simulated clock may run fast


class ClockStepDetector:
    """A step is a time before the last one, or a gap much longer than the one before: set forward, or a standstill."""

    def __init__(self) -> None:
        self._last_ns = self._gap_ns = 0

    def is_step(self, now_ns: int) -> bool:
        """Takes the time of the timer. True if the clock was set since its last time."""
        if not self._last_ns:
            self._last_ns = now_ns
            return False
        gap_ns, previous_ns = now_ns - self._last_ns, self._gap_ns
        self._last_ns, self._gap_ns = now_ns, max(gap_ns, 0)
        return not 0 <= gap_ns <= max(_MAX_GAP_NS, _MAX_RATIO * previous_ns)
