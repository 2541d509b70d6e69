"""Outages of the feeds, grouped: one incident from the first feed that is lost until all of them are live again."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

from dfmon.model.events import FeedState
from dfmon.model.frames import FeedHealth
from dfmon.model.snapshot import Alert
from dfmon.model.units import SECOND

MAX_INCIDENTS: Final = 20
REOPEN_NS: Final = 60 * SECOND  # a feed lost again so soon continues the incident


@dataclass(frozen=True, slots=True)
class FeedIncident:
    """An outage of `feeds`, declared at `start_ns`, of which the last data came at `last_data_ns`.

    `end_ns` is 0 while one of them is out. `reason` is that of the first one.
    """

    start_ns: int
    last_data_ns: int
    end_ns: int
    feeds: tuple[str, ...]
    reason: str

    def alert(self, ts_ns: int) -> Alert:
        """The incident as an alert of the time at which it began."""
        names = ", ".join(self.feeds)
        if self.end_ns:
            text = f"{names} back after {duration_text(self.end_ns - self.last_data_ns)} ({self.reason})"
        else:
            text = f"{names} lost for {duration_text(ts_ns - self.last_data_ns)}: {self.reason}"
        return Alert(self.start_ns, "FEED", text, cause="feeds")


@dataclass(frozen=True, slots=True)
class FeedWatch:
    """Feeds that have been live, those of them that are out, and the incidents, newest first."""

    live_once: tuple[str, ...]
    out: tuple[str, ...]
    incidents: tuple[FeedIncident, ...]

    @classmethod
    def initial(cls) -> FeedWatch:
        return cls((), (), ())


def watch_feeds(watch: FeedWatch, feeds: tuple[FeedHealth, ...], ts_ns: int) -> FeedWatch:
    """The watch after this tick. A feed is out from its loss until it is live, so a failed retry is no new outage.

    Domain: a feed that has not been live yet is starting, not lost.
    """
    live_once, out = set(watch.live_once), set(watch.out)
    lost: list[FeedHealth] = []
    for feed in feeds:
        if feed.state is FeedState.LIVE:
            live_once.add(feed.source)
            out.discard(feed.source)
        elif feed.state is FeedState.DOWN and feed.source in live_once and feed.source not in out:
            out.add(feed.source)
            lost.append(feed)
    incidents = watch.incidents
    if lost:
        incidents = _with_lost(incidents, lost, ts_ns)
    elif watch.out and not out:
        incidents = (replace(incidents[0], end_ns=ts_ns), *incidents[1:])
    return FeedWatch(tuple(sorted(live_once)), tuple(sorted(out)), incidents)


def _with_lost(incidents: tuple[FeedIncident, ...], lost: list[FeedHealth], ts_ns: int) -> tuple[FeedIncident, ...]:
    names = [feed.source for feed in lost]
    silent_s = max((feed.age_s for feed in lost if math.isfinite(feed.age_s)), default=0.0)
    newest = incidents[0] if incidents else None
    if newest is not None and (not newest.end_ns or ts_ns - newest.end_ns <= REOPEN_NS):
        merged = tuple(dict.fromkeys([*newest.feeds, *names]))
        return (replace(newest, end_ns=0, feeds=merged), *incidents[1:])
    incident = FeedIncident(
        ts_ns, ts_ns - round(silent_s * SECOND), 0, tuple(names), lost[0].reason or "no reason given"
    )
    return (incident, *incidents)[:MAX_INCIDENTS]


def duration_text(duration_ns: int) -> str:
    """A duration in minutes and seconds.

    >>> duration_text(9 * SECOND), duration_text(130 * SECOND)
    ('9 s', '2:10 min')
    """
    seconds = max(duration_ns, 0) // SECOND
    return f"{seconds} s" if seconds < 60 else f"{seconds // 60}:{seconds % 60:02d} min"
