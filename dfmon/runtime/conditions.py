"""Conditions that the screen notes, said without a screen too: in the log, in /healthz and in the exit code.

A condition is a short key with a sentence, such as that of a store which cannot be written, a sink that is refused, or
a feed that is down. `ConditionLog` logs each once when it begins and once when it ends.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from dfmon.model.snapshot import Feed, FlowSnapshot
from dfmon.model.units import format_hms
from dfmon.sinks.base import SinkStatus

log = logging.getLogger("dfmon")

HOLD_S: Final = 10.0  # a condition that returns within this time has not ended
START_S: Final = 15.0  # a feed that takes longer than this to come up is noted
_FAILING_SINK_STATES: Final = frozenset({"away", "refused", "restarting"})


class ConditionLog:
    """The conditions that hold now, and their log."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._active: dict[str, tuple[float, float]] = {}  # key -> first and last time at which it was seen

    def update(self, conditions: Mapping[str, str]) -> None:
        """Takes all conditions of a moment, by key; called about once a second."""
        now = self._clock()
        for key, text in conditions.items():
            if key not in self._active:
                log.warning("%s: %s", key, text)
            self._active[key] = self._active.get(key, (now, now))[0], now
        for key, (first, last) in list(self._active.items()):
            if now - last >= HOLD_S:
                del self._active[key]
                log.info("%s: over after %s", key, format_hms(last - first))


def sink_conditions(statuses: Sequence[SinkStatus]) -> Iterator[tuple[str, str]]:
    """Sinks whose server is away, refuses, or whose code failed, and spills that cannot be written."""
    for status in statuses:
        if status.state in _FAILING_SINK_STATES:
            yield f"sink {status.name}", f"{status.state}{f', {status.note}' if status.note else ''}"
        if status.fault:
            yield f"spill of {status.name}", status.fault


class FeedCheck:
    """Feeds that are down or do not come up, and what the venue or dfmon notes about the others.

    A feed that was down is so until it has data: it may connect again and again and never send any.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._starting_since: dict[str, float] = {}
        self._down: dict[str, str] = {}
        self._rejected = GrowthCheck()

    def conditions(self, feeds: Sequence[Feed]) -> Iterator[tuple[str, str]]:
        """The conditions of the feeds of a snapshot; called about once a second."""
        now = self._clock()
        for feed in feeds:
            name, note = feed.name, feed.note
            if self._rejected.has_grown(name, feed.rejected):
                yield f"feed {name} (unreadable)", f"{feed.rejected:,} messages or rows left out so far"
            if feed.state in ("live", "slow"):
                self._down.pop(name, None)
                self._starting_since.pop(name, None)
                if note or feed.state == "slow":
                    yield f"feed {name} ({feed.state})", note or "no data for a while"
            elif feed.state == "down":
                self._down[name] = f"down{f', {note}' if note else ''}"
                yield f"feed {name}", self._down[name]
            elif "REST alone" in note:
                yield f"feed {name} (by REST)", note
            elif name in self._down:
                yield f"feed {name}", self._down[name]
            elif now - self._starting_since.setdefault(name, now) >= START_S:
                yield f"feed {name} ({feed.state})", note or "no data yet"


class GrowthCheck:
    """Counts that have grown since the last look."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def has_grown(self, key: str, count: int) -> bool:
        before, self._counts[key] = self._counts.get(key, 0), count
        return count > before


class StalenessCheck:
    """Underlyings that became stale after they had been fresh: at the start nothing has arrived yet."""

    def __init__(self) -> None:
        self._seen_fresh: set[str] = set()

    def conditions(self, snapshots: Sequence[FlowSnapshot]) -> Iterator[tuple[str, str]]:
        """The stale underlyings among the newest snapshots, with the reason."""
        for snapshot in snapshots:
            if snapshot.state != "stale":
                self._seen_fresh.add(snapshot.underlying)
            elif snapshot.underlying in self._seen_fresh:
                reason = snapshot.freshness.stale if snapshot.freshness is not None else ""
                yield f"{snapshot.underlying} stale", reason or "inputs are old"
