"""No websocket is to be had: when REST is to be asked in its place, and what is said of it.

It begins some seconds after the loss, so that an ordinary reconnect asks for nothing twice. A protocol owns one.
"""

from __future__ import annotations

from dfmon.model.events import FeedState, FeedStatus
from dfmon.model.units import SECOND, clean
from dfmon.venues.health.status import Status


class RestAlone:
    """`lost` says why there is no websocket, or nothing; `answering` whether REST brings data in its place."""

    def __init__(self, status: Status, source: str, every_s: float) -> None:
        self.lost = ""
        self.answering = False
        self.every_s = every_s
        self._status, self._source = status, source
        self._next_ns = 0

    def over(self) -> None:
        """There is a websocket again."""
        self.lost, self.answering, self._next_ns = "", False, 0

    def begin(self, reason: str) -> FeedStatus:
        """The websocket is gone, or another attempt has failed; what REST brings is not lost by that."""
        self.lost = clean(reason) or "no connection"
        down = self._status.down(reason)
        return self._tell() if self.answering else down

    def _tell(self) -> FeedStatus:
        return FeedStatus(self._source, FeedState.SYNCING, f"by REST alone, every {self.every_s:g} s: {self.lost}")

    def turn(self, now_ns: int) -> bool:
        """Whether it is time to ask; the first call only begins the wait."""
        if not self.lost or now_ns < self._next_ns:
            return False
        first, self._next_ns = not self._next_ns, now_ns + int(self.every_s * SECOND)
        return not first

    def answered(self) -> list[FeedStatus]:
        """REST has brought data: worth a word the first time."""
        if not self.lost or self.answering:
            return []
        self.answering = True
        return [self._tell()]

    def failed(self) -> list[FeedStatus]:
        """REST does not answer either."""
        if not self.answering:
            return []
        self.answering = False
        return [self._status.down(self.lost)]
