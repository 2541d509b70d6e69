"""Silence of a whole socket: it may be open, answer pings, and bring nothing for hours.

Only data end it. `watchdog` has the silence of single channels.
"""

from __future__ import annotations

from typing import Final

from dfmon.venues.protocol import Patience

_CHATTER_BYTES: Final = 400
# What only proves that the venue's process lives: heartbeats, pongs, answers to requests, acknowledgements.
_CHATTER: Final = (b'"heartbeat"', b'"usOut"', b'"event":', b'"result":null')


def is_chatter(frame: bytes) -> bool:
    """Whether a frame brings no market data."""
    if len(frame) > _CHATTER_BYTES:
        return False
    return frame == b"pong" or any(mark in frame for mark in _CHATTER)


class Silence:
    """Times are seconds of the loop. `heard` is set by whoever hears data, and read once a second."""

    def __init__(self) -> None:
        self.heard = self._ever = False
        self._since = 0.0

    def begin(self, now: float) -> None:
        """A new socket."""
        self.heard = self._ever = False
        self._since = now

    def too_long(self, now: float, patience: Patience) -> str:
        """Why the socket should be given up, or nothing."""
        if self.heard:
            self.heard, self._ever, self._since = False, True, now
        silent = now - self._since
        if silent < (patience.data_s if self._ever else patience.first_data_s):
            return ""
        return f"no data for {silent:.0f} s" + ("" if self._ever else " after connecting")
