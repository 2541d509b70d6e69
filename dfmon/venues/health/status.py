"""What one connection says of itself: its state, and every complaint that stands until it is withdrawn.

A protocol owns one and returns what it gives. Foreign text is cleaned here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from dfmon.model.events import FeedState, FeedStatus
from dfmon.model.units import sanitize

_MAX_NAMES: Final = 4
_OVERRIDING_STATES: Final[Mapping[str, FeedState]] = {"closed": FeedState.DOWN, "locked": FeedState.SYNCING}


class StatusTracker:
    """Complaints go by what they are about; `closed` and `locked` rule the state as long as they stand."""

    def __init__(self, source: str) -> None:
        self.live = False
        self._source = source
        self._issues: dict[str, str] = {}

    def start(self, reason: str) -> FeedStatus:
        """A new connection: nothing stands against it."""
        self.live = False
        self._issues.clear()
        return FeedStatus(self._source, FeedState.SYNCING, reason)

    def disconnected(self, reason: str) -> FeedStatus:
        self.live = False
        self._issues.clear()
        return FeedStatus(self._source, FeedState.DOWN, sanitize(reason))

    def set_issue(self, topic: str, reason: str) -> list[FeedStatus]:
        """Let a complaint stand; no words withdraw it. The status to tell, where that changes anything."""
        if self._issues.get(topic, "") == reason:
            return []
        self._issues.pop(topic, None)
        if reason:
            self._issues[topic] = sanitize(reason)
        return [self.report()]

    def has_issue(self, topic: str) -> bool:
        return topic in self._issues

    def report(self, note: str = "") -> FeedStatus:
        """State and standing complaints, after words that hold for this moment only."""
        state = FeedState.LIVE if self.live else FeedState.SYNCING
        for topic, override in _OVERRIDING_STATES.items():
            if topic in self._issues:
                state = override
                break
        reasons = (sanitize(note), *self._issues.values())
        return FeedStatus(self._source, state, sanitize("; ".join(text for text in reasons if text)))


def join_names(names: Iterable[str]) -> str:
    """A few names, and how many more there are."""
    ordered = list(names)
    remaining = len(ordered) - _MAX_NAMES
    return ", ".join(ordered[:_MAX_NAMES]) + (f" and {remaining} more" if remaining > 0 else "")
