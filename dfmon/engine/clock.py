"""How far our clock is ahead of a venue's, from the records alone.

A question the venue answers with its own time gives the offset to half the way there and back; of several the one
that took least time is believed. A venue that is not asked leaves the times of its data: the least latency of the last
minutes is the offset plus the shortest way of the data, which is an upper bound, and below zero a proof.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from dfmon.model.events import ClockReading
from dfmon.model.units import MILLISECOND, MINUTE, NAN

_READINGS: Final = 8
_NEARLY_BEST: Final = 5 * MILLISECOND  # a reading whose way took this much longer than the best one's is as good
_MINUTES: Final = 5
TROUBLE_MS: Final = 500.0


class VenueClock:
    """Offset of one venue. `measured_ns` is 0 until a question was answered."""

    def __init__(self) -> None:
        self.measured_ns = 0
        self._readings: deque[tuple[int, int]] = deque(maxlen=_READINGS)  # time of the way, offset
        self._least: deque[tuple[int, int]] = deque(maxlen=_MINUTES)  # minute, least latency in it

    def read(self, reading: ClockReading, recv_ns: int) -> None:
        """An answer that came at `recv_ns`. The newest of the readings with a short way counts: clocks drift."""
        way = (recv_ns - reading.sent_ns) - (reading.out_ns - reading.in_ns)
        if way < 0:
            return  # a clock was set meanwhile
        offset = (reading.sent_ns + recv_ns - reading.in_ns - reading.out_ns) // 2
        self._readings.append((way, offset))
        enough = min(self._readings)[0] + _NEARLY_BEST
        self.measured_ns = next(offset for way, offset in reversed(self._readings) if way <= enough)

    def stamped(self, exch_ns: int, recv_ns: int) -> None:
        """Data the venue stamped `exch_ns` came at `recv_ns`."""
        minute, latency = recv_ns // MINUTE, recv_ns - exch_ns
        if not self._least or self._least[-1][0] != minute:
            self._least.append((minute, latency))
        elif latency < self._least[-1][1]:
            self._least[-1] = (minute, latency)

    @property
    def ms(self) -> float:
        """The offset, positive where our clock is ahead; NaN while nothing is known."""
        if self._readings:
            return self.measured_ns / MILLISECOND
        return min(latency for _, latency in self._least) / MILLISECOND if self._least else NAN

    def words(self) -> str:
        """What is wrong with the clock; empty while nothing is."""
        ms = self.ms
        if not abs(ms) > TROUBLE_MS:
            return ""
        said = f"our clock is {abs(ms) / 1e3:.1f} s {'ahead of' if ms > 0 else 'behind'} the venue's"
        return said if self._readings or ms < 0 else f"{said}, or its data are that late"
