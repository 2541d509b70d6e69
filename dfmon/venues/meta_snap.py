"""The hourly REST snapshot of the venue's listing, and the map from contract ids to names across the 08:00 UTC roll.

Streams bring changes, this the full state. `PollSchedule` determines when to poll, `RollMap` what a listing changed. A
protocol owns both, turns `Job`s into REST calls and applies the responses; there is no I/O here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from dfmon.model.units import HOUR, MINUTE, SECOND
from dfmon.venues.timers import is_time_reached

_LISTING_OFFSET: Final = 5 * MINUTE  # past each hour: the new dailies of 08:00 UTC are listed by then
_MAX_IDS: Final = 50_000  # ids of delisted contracts that are remembered


class Job(Enum):
    """A job that is due: the listing (hourly) or the book summaries (every half minute)."""

    LISTING = auto()
    SUMMARY = auto()


class PollSchedule:
    """Listing at five minutes past every hour, book summaries every `summary_s` seconds."""

    def __init__(self, summary_s: float = 30.0) -> None:
        self._summary_interval_ns = int(summary_s * SECOND)
        self._slot = 0
        self._summary_ns = 0

    def restart(self, now_ns: int) -> None:
        """Everything was requested at `now_ns`."""
        self._slot = _slot(now_ns)
        self._summary_ns = now_ns + self._summary_interval_ns

    def due_jobs(self, now_ns: int) -> list[Job]:
        """Jobs that have become due since the last call; one that was due several times is returned once."""
        jobs: list[Job] = []
        if _slot(now_ns) != self._slot:
            self._slot = _slot(now_ns)
            jobs.append(Job.LISTING)
        if is_time_reached(now_ns, self._summary_ns, self._summary_interval_ns):
            self._summary_ns = now_ns + self._summary_interval_ns
            jobs.append(Job.SUMMARY)
        return jobs


def _slot(now_ns: int) -> int:
    return (now_ns - _LISTING_OFFSET) // HOUR


@dataclass(frozen=True, slots=True)
class Roll:
    """Changes of a group of instruments (a currency's options, say) since the reading before."""

    group: str
    added: frozenset[str]
    removed: frozenset[str]
    renamed: tuple[tuple[int, str, str], ...] = ()  # id, old name, new name

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.renamed)


class RollMap:
    """Names by contract id over all listings, and the present names of each group."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}
        self._live: dict[str, dict[str, int]] = {}

    def apply_listing(self, group: str, contracts: Iterable[tuple[int, str]]) -> Roll:
        """Applies a full listing of `group` as (id, name) pairs; id 0 is none."""
        before = self._live.get(group, {})
        after: dict[str, int] = {}
        renamed: list[tuple[int, str, str]] = []
        for contract_id, name in contracts:
            after[name] = contract_id
            if contract_id:
                old = self._names.pop(contract_id, name)  # popped, so that the newest stand last
                if old != name:
                    renamed.append((contract_id, old, name))
                self._names[contract_id] = name
        self._live[group] = after
        while len(self._names) > _MAX_IDS:
            del self._names[next(iter(self._names))]
        added, removed = frozenset(after.keys() - before.keys()), frozenset(before.keys() - after.keys())
        return Roll(group, added, removed, tuple(renamed))

    def name(self, contract_id: int) -> str | None:
        """The newest name of a contract id, also of a contract that is delisted."""
        return self._names.get(contract_id)

    def contract_id(self, group: str, name: str) -> int | None:
        return self._live.get(group, {}).get(name)

    def names(self, group: str) -> frozenset[str]:
        """Names in the newest listing."""
        return frozenset(self._live.get(group, ()))
