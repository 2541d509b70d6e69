"""Silence of a whole socket: it may be open, answer pings, and bring no data for hours.

`channel_watchdog` has the silence of single channels.
"""

from __future__ import annotations

from typing import Final

from dfmon.venues.protocol import Timeouts

MAX_HEARTBEAT_BYTES: Final = 400


def is_heartbeat(frame: bytes, heartbeats: tuple[bytes, ...]) -> bool:
    """True for a frame that proves no more than a running process: it is short and has one of the venue's texts."""
    return len(frame) <= MAX_HEARTBEAT_BYTES and any(text in frame for text in heartbeats)


class SocketWatchdog:
    """Times are seconds of the loop. `received_data` is set on data and reset by `check`, which runs once a second."""

    def __init__(self) -> None:
        self.received_data = self._had_data = False
        self._since = 0.0

    @property
    def had_data(self) -> bool:
        """True once there was any data."""
        return self.received_data or self._had_data

    def start(self, now: float) -> None:
        self._since = now

    def check(self, now: float, timeouts: Timeouts) -> str:
        """Returns why the socket should be replaced, or an empty string."""
        if self.received_data:
            self.received_data, self._had_data, self._since = False, True, now
        silence_s = now - self._since
        if silence_s < (timeouts.max_silence_s if self._had_data else timeouts.first_data_s):
            return ""
        return f"no data for {silence_s:.0f} s" + ("" if self._had_data else " after connecting")
