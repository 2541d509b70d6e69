"""Offset of our clock from a venue's, from the records alone.

A request that the venue answers with its own time gives the offset to within half the round trip; of several, the
shortest round trips count. Without such requests the minimum latency of the last minutes is used: the offset plus the
shortest network delay, so an upper bound, and below zero a proof that our clock is behind.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from dfmon.model.events import ClockReading
from dfmon.model.units import MILLISECOND, MINUTE, NAN

_MAX_READINGS: Final = 8
_ROUND_TRIP_SLACK_NS: Final = 5 * MILLISECOND  # round trips this much above the shortest count as equal
_WINDOW_MINUTES: Final = 5
CLOCK_WARN_MS: Final = 500.0


class VenueClock:
    """Offset of one venue. `offset_ns` is 0 before the first reading."""

    def __init__(self) -> None:
        self.offset_ns = 0
        self._readings: deque[tuple[int, int]] = deque(maxlen=_MAX_READINGS)  # round trip, offset
        self.minute = self.min_latency_ns = 0  # the newest minute with data, and its minimum latency
        self._min_latencies: deque[tuple[int, int]] = deque(maxlen=_WINDOW_MINUTES)  # minute, minimum latency

    def add_reading(self, reading: ClockReading, recv_ns: int) -> None:
        """Adds a reading received at `recv_ns`. The newest with a short round trip is used, since clocks drift."""
        round_trip_ns = (recv_ns - reading.sent_ns) - (reading.venue_sent_ns - reading.venue_recv_ns)
        if round_trip_ns < 0:
            return  # a clock was adjusted in between
        offset = (reading.sent_ns + recv_ns - reading.venue_recv_ns - reading.venue_sent_ns) // 2
        self._readings.append((round_trip_ns, offset))
        max_round_trip_ns = min(self._readings)[0] + _ROUND_TRIP_SLACK_NS
        self.offset_ns = next(
            offset for round_trip_ns, offset in reversed(self._readings) if round_trip_ns <= max_round_trip_ns
        )

    def add_latency(self, latency_ns: int, recv_ns: int) -> None:
        """Adds the latency of data received at `recv_ns`. Only needed in a new minute or below the minimum."""
        minute = recv_ns // MINUTE
        if not self._min_latencies or minute != self.minute:
            self._min_latencies.append((minute, latency_ns))
        elif latency_ns < self.min_latency_ns:
            self._min_latencies[-1] = (minute, latency_ns)
        self.minute, self.min_latency_ns = self._min_latencies[-1]

    @property
    def offset_ms(self) -> float:
        """The offset, positive where our clock is ahead; NaN while it is unknown."""
        if self._readings:
            return self.offset_ns / MILLISECOND
        return min(latency for _, latency in self._min_latencies) / MILLISECOND if self._min_latencies else NAN

    def status_text(self) -> str:
        """A warning about a large offset; empty without one."""
        offset_ms = self.offset_ms
        if not abs(offset_ms) > CLOCK_WARN_MS:
            return ""
        message = f"our clock is {abs(offset_ms) / 1e3:.1f} s {'ahead of' if offset_ms > 0 else 'behind'} the venue's"
        return message if self._readings or offset_ms < 0 else f"{message}, or its data are that late"
