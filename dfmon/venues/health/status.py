"""The status of one connection: its state, and the open issues by topic.

A protocol owns one and returns its statuses as events. Foreign text is sanitized here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from dfmon.model.events import FeedState, FeedStatus
from dfmon.model.units import sanitize

_MAX_NAMES: Final = 4
_OVERRIDING_STATES: Final[Mapping[str, FeedState]] = {"closed": FeedState.DOWN, "locked": FeedState.SYNCING}


class StatusTracker:
    """Open issues by topic; `closed` and `locked` override the state while they are open."""

    def __init__(self, source: str) -> None:
        self.live = False
        self._source = source
        self._issues: dict[str, str] = {}

    def start(self, reason: str) -> FeedStatus:
        """A new connection, without issues."""
        self.live = False
        self._issues.clear()
        return FeedStatus(self._source, FeedState.SYNCING, reason)

    def disconnected(self, reason: str) -> FeedStatus:
        self.live = False
        self._issues.clear()
        return FeedStatus(self._source, FeedState.DOWN, sanitize(reason))

    def set_issue(self, topic: str, reason: str) -> list[FeedStatus]:
        """Opens an issue, or closes it where `reason` is empty. Returns the new status, if that changed anything."""
        if self._issues.get(topic, "") == reason:
            return []
        self._issues.pop(topic, None)
        if reason:
            self._issues[topic] = sanitize(reason)
        return [self.report()]

    def has_issue(self, topic: str) -> bool:
        return topic in self._issues

    def report(self, note: str = "") -> FeedStatus:
        """The state with `note`, which holds for this status only, and the open issues."""
        state = FeedState.LIVE if self.live else FeedState.SYNCING
        for topic, override in _OVERRIDING_STATES.items():
            if topic in self._issues:
                state = override
                break
        reasons = (sanitize(note), *self._issues.values())
        return FeedStatus(self._source, state, sanitize("; ".join(text for text in reasons if text)))


def join_names(names: Iterable[str]) -> str:
    """The first few names, and the number of the others."""
    ordered = list(names)
    remaining = len(ordered) - _MAX_NAMES
    return ", ".join(ordered[:_MAX_NAMES]) + (f" and {remaining} more" if remaining > 0 else "")
