"""Polling by REST while there is no websocket: its schedule and its status.

It begins some seconds after the loss, so that an ordinary reconnect requests nothing twice. A protocol owns one.
"""

from __future__ import annotations

from dfmon.model.events import FeedState, FeedStatus
from dfmon.model.units import SECOND, sanitize
from dfmon.venues.health.status import StatusTracker
from dfmon.venues.timers import is_time_reached


class RestFallback:
    """`lost_reason` is why there is no websocket, or empty; `active` is true while REST brings data in its place."""

    def __init__(self, status: StatusTracker, source: str, interval_s: float) -> None:
        self.lost_reason = ""
        self.active = False
        self.interval_s = interval_s
        self._status, self._source = status, source
        self._next_ns = 0

    def stop(self) -> None:
        """The websocket is back."""
        self.lost_reason, self.active, self._next_ns = "", False, 0

    def start(self, reason: str) -> FeedStatus:
        """The websocket is lost, or another attempt failed; REST stays active if it was."""
        self.lost_reason = sanitize(reason) or "no connection"
        disconnected = self._status.disconnected(reason)
        return self._fallback_status() if self.active else disconnected

    def _fallback_status(self) -> FeedStatus:
        return FeedStatus(
            self._source, FeedState.SYNCING, f"by REST alone, every {self.interval_s:g} s: {self.lost_reason}"
        )

    def poll_due(self, now_ns: int) -> bool:
        """True when a poll is due; the first call only starts the interval."""
        interval_ns = int(self.interval_s * SECOND)
        if not self.lost_reason or not is_time_reached(now_ns, self._next_ns, interval_ns):
            return False
        starting, self._next_ns = not self._next_ns, now_ns + interval_ns
        return not starting

    def on_response(self) -> list[FeedStatus]:
        """REST has brought data: a status the first time."""
        if not self.lost_reason or self.active:
            return []
        self.active = True
        return [self._fallback_status()]

    def on_failure(self) -> list[FeedStatus]:
        """REST has failed too."""
        if not self.active:
            return []
        self.active = False
        return [self._status.disconnected(self.lost_reason)]
