"""Silence of a whole socket: it may be open, answer pings, and bring nothing for hours.

Only data end it. `watchdog` has the silence of single channels.
"""

from __future__ import annotations

from typing import Final

from dfmon.venues.protocol import Timeouts

_MAX_NON_DATA_BYTES: Final = 400
# What only proves that the venue's process lives: heartbeats, pongs, answers to requests, acknowledgements.
_NON_DATA_MARKERS: Final = (b'"heartbeat"', b'"usOut"', b'"event":', b'"result":null')


def is_non_data(frame: bytes) -> bool:
    """Whether a frame brings no market data."""
    if len(frame) > _MAX_NON_DATA_BYTES:
        return False
    return frame == b"pong" or any(marker in frame for marker in _NON_DATA_MARKERS)


class SocketWatchdog:
    """Times are seconds of the loop. `received_data` is set by whoever hears data, and read once a second."""

    def __init__(self) -> None:
        self.received_data = self._had_data = False
        self._since = 0.0

    def start(self, now: float) -> None:
        """A new socket."""
        self.received_data = self._had_data = False
        self._since = now

    def check(self, now: float, timeouts: Timeouts) -> str:
        """Why the socket should be given up, or nothing."""
        if self.received_data:
            self.received_data, self._had_data, self._since = False, True, now
        silence_s = now - self._since
        if silence_s < (timeouts.max_silence_s if self._had_data else timeouts.first_data_s):
            return ""
        return f"no data for {silence_s:.0f} s" + ("" if self._had_data else " after connecting")
