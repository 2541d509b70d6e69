"""What one connection says of itself: its state, and every complaint that stands until it is withdrawn.

A protocol owns one and returns what it gives. Foreign text is cleaned here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from dfmon.model.events import FeedState, FeedStatus
from dfmon.model.units import clean

_NAMED: Final = 4
_GRAVE: Final[Mapping[str, FeedState]] = {"closed": FeedState.DOWN, "locked": FeedState.SYNCING}


class Status:
    """Complaints go by what they are about; `closed` and `locked` rule the state as long as they stand."""

    def __init__(self, source: str) -> None:
        self.live = False
        self._source = source
        self._complaints: dict[str, str] = {}

    def begin(self, words: str) -> FeedStatus:
        """A new connection: nothing stands against it."""
        self.live = False
        self._complaints.clear()
        return FeedStatus(self._source, FeedState.SYNCING, words)

    def down(self, reason: str) -> FeedStatus:
        self.live = False
        self._complaints.clear()
        return FeedStatus(self._source, FeedState.DOWN, clean(reason))

    def complain(self, about: str, words: str) -> list[FeedStatus]:
        """Let a complaint stand; no words withdraw it. The status to tell, where that changes anything."""
        if self._complaints.get(about, "") == words:
            return []
        self._complaints.pop(about, None)
        if words:
            self._complaints[about] = clean(words)
        return [self.tell()]

    def stands(self, about: str) -> bool:
        return about in self._complaints

    def tell(self, passing: str = "") -> FeedStatus:
        """State and standing complaints, after words that hold for this moment only."""
        state = FeedState.LIVE if self.live else FeedState.SYNCING
        for about, worse in _GRAVE.items():
            if about in self._complaints:
                state = worse
                break
        words = (clean(passing), *self._complaints.values())
        return FeedStatus(self._source, state, clean("; ".join(word for word in words if word)))


def listed(names: Iterable[str]) -> str:
    """A few names, and how many more there are."""
    ordered = list(names)
    rest = len(ordered) - _NAMED
    return ", ".join(ordered[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")
