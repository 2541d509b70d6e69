"""Offset of our clock from a venue's, from the records alone.

A request that the venue answers with its own time gives the offset to within half the round trip; of several, the
shortest round trips count. Without such requests the minimum latency of the last minutes is used: the offset plus the
shortest network delay, so an upper bound, and below zero a proof that our clock is behind.

Clocks are set while the program runs. A reading is dropped once a newer reading or a latency contradicts it, once the
times of the records jump, and in any case after five minutes.
"""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

from dfmon.model.clock_step import ClockStepDetector
from dfmon.model.events import ClockReading
from dfmon.model.units import MILLISECOND, MINUTE, NAN

_MAX_READINGS: Final = 8
_ROUND_TRIP_SLACK_NS: Final = 5 * MILLISECOND  # round trips this much above the shortest count as equal
_CONTRADICTION_SLACK_NS: Final = 50 * MILLISECOND  # drift within the window, and times in whole milliseconds
_WINDOW_MINUTES: Final = 5
CLOCK_WARN_MS: Final = 500.0


class _Reading(NamedTuple):
    round_trip_ns: int
    offset_ns: int
    recv_ns: int

    @property
    def min_possible_latency_ns(self) -> int:
        """The least latency of data that the reading allows."""
        return self.offset_ns - self.round_trip_ns // 2 - _CONTRADICTION_SLACK_NS

    def contradicts(self, other: _Reading) -> bool:
        """True where no offset fits both round trips."""
        distance_ns = abs(self.offset_ns - other.offset_ns)
        return distance_ns > (self.round_trip_ns + other.round_trip_ns) // 2 + _CONTRADICTION_SLACK_NS


class VenueClock:
    """Offset of one venue. `offset_ns` is 0 while nothing is known."""

    def __init__(self) -> None:
        self.offset_ns = 0
        self._readings: deque[_Reading] = deque(maxlen=_MAX_READINGS)
        self.minute = self.min_latency_ns = 0  # the newest minute with data, and its minimum latency
        self._min_latencies: deque[tuple[int, int]] = deque(maxlen=_WINDOW_MINUTES)  # minute, minimum latency
        self._step_detector = ClockStepDetector()

    def on_timer(self, now_ns: int) -> None:
        """Drops what has aged; drops everything where our clock was set. Called about once a second."""
        if self._step_detector.is_step(now_ns):
            self._readings.clear()
            self._min_latencies.clear()
            self.minute = 0  # the next latency counts
        while self._min_latencies and self._min_latencies[0][0] <= now_ns // MINUTE - _WINDOW_MINUTES:
            self._min_latencies.popleft()
        self._keep([r for r in self._readings if now_ns - r.recv_ns < _WINDOW_MINUTES * MINUTE])

    def add_reading(self, reading: ClockReading, recv_ns: int) -> None:
        """Adds a reading received at `recv_ns`. The newest with a short round trip is used, since clocks drift."""
        round_trip_ns = (recv_ns - reading.sent_ns) - (reading.venue_sent_ns - reading.venue_recv_ns)
        if round_trip_ns < 0:
            return  # a clock was adjusted in between
        offset_ns = (reading.sent_ns + recv_ns - reading.venue_recv_ns - reading.venue_sent_ns) // 2
        newest = _Reading(round_trip_ns, offset_ns, recv_ns)
        self._keep([*(r for r in self._readings if not newest.contradicts(r)), newest])

    def add_latency(self, latency_ns: int, recv_ns: int) -> None:
        """Adds the latency of data received at `recv_ns`. Only needed in a new minute or below the minimum."""
        minute = recv_ns // MINUTE
        if not self._min_latencies or minute != self.minute:
            self._min_latencies.append((minute, latency_ns))
        elif latency_ns < self.min_latency_ns:
            self._min_latencies[-1] = (minute, latency_ns)
        self.minute, self.min_latency_ns = self._min_latencies[-1]
        # data cannot arrive before they are sent: a shorter latency than a reading allows is a clock that was set back
        self._keep([r for r in self._readings if latency_ns >= r.min_possible_latency_ns])

    def _keep(self, readings: list[_Reading]) -> None:
        self._readings = deque(readings, maxlen=_MAX_READINGS)
        self.offset_ns = 0
        if not readings:
            bound_ns = min((latency_ns for _, latency_ns in self._min_latencies), default=0)
            self.offset_ns = bound_ns if bound_ns < -CLOCK_WARN_MS * MILLISECOND else 0
        else:
            max_round_trip_ns = min(r.round_trip_ns for r in readings) + _ROUND_TRIP_SLACK_NS
            self.offset_ns = next(r.offset_ns for r in reversed(readings) if r.round_trip_ns <= max_round_trip_ns)

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
