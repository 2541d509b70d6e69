"""The choice between several sources of one underlying: the first arrival of each tick wins.

Restarts, gaps, silence and disagreement of the sources are found here, without a clock or a socket.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

import msgspec
from msgspec.structs import replace

from dfmon.core.freshness import aged as aged_inputs
from dfmon.core.freshness import format_age
from dfmon.core.snapshot.build import SCHEMA
from dfmon.model.errors import DfmonError
from dfmon.model.snapshot import Feed, FlowSnapshot, from_json
from dfmon.model.units import SECOND, format_hms

STALE_NS: Final = 3 * SECOND  # without a snapshot of an underlying
SLOW_NS: Final = 5 * SECOND
LATE_INTERVALS: Final = 2.5  # between snapshots, where they are seldom
COMPARABLE_NS: Final = 10 * SECOND  # snapshots further apart than this are not compared
SPOT_TOLERANCE: Final = 1e-3
NGI_TOLERANCE: Final = 0.1


class _Header(msgspec.Struct):
    """The part of a snapshot that every version has."""

    schema: int
    underlying: str


class SchemaError(DfmonError):
    """A source sends something else than snapshots that this program reads."""


def read_snapshot(body: bytes, place: str) -> FlowSnapshot:
    """A snapshot of this schema or an earlier one. Raises SchemaError with a sentence for anything else."""
    try:
        header = msgspec.json.decode(body, type=_Header)
    except msgspec.DecodeError:
        raise SchemaError(f"{place} sends no snapshots of dfmon") from None
    if header.schema > SCHEMA:
        raise SchemaError(
            f"{place} sends snapshots of schema {header.schema}, and this dfmon reads up to {SCHEMA}: update it"
        )
    try:
        return from_json(body)
    except msgspec.DecodeError as exc:
        raise SchemaError(f"{place} sends snapshots of schema {header.schema} that cannot be read: {exc}") from None


@dataclass(slots=True)
class SourceState:
    """State of one place, for all of its underlyings. Times are ns of this machine's clock.

    `problems` are the errors that hold now, by underlying; `sessions` are the runs of dfmon that sent each, by name.
    """

    name: str
    place: str
    problems: dict[str, str] = field(default_factory=dict)
    snapshots: int = 0
    reconnects: int = 0
    restarts: int = 0
    gaps: int = 0
    gaps_ns: int = 0
    lag_ns: int = 0
    newest: dict[str, FlowSnapshot] = field(default_factory=dict)
    arrived_ns: dict[str, int] = field(default_factory=dict)  # when each of `newest` arrived
    sessions: dict[str, set[str]] = field(default_factory=dict)
    shared: set[str] = field(default_factory=set)  # underlyings that several runs send at the same time
    spans_ns: dict[str, deque[int]] = field(default_factory=dict)  # between the last snapshots of each

    def add(self, snapshot: FlowSnapshot, now_ns: int) -> int:
        """Takes a snapshot, and notes a gap or a restart before it. Returns when it arrived.

        The first one may have waited in Redis since its collector died: its own time counts.
        """
        previous = self.newest.get(snapshot.underlying)
        if previous is not None:
            self._note_restart(previous, snapshot)
        if previous is not None and snapshot.ts_ns > previous.ts_ns:
            span_ns = snapshot.ts_ns - previous.ts_ns
            spans_ns = self.spans_ns.setdefault(snapshot.underlying, deque(maxlen=2))
            spans_ns.append(span_ns)
            if span_ns > self.limit_ns(snapshot.underlying, SLOW_NS):
                self.gaps += 1
                self.gaps_ns += span_ns
        self.newest[snapshot.underlying] = snapshot
        self.snapshots += 1
        arrived_ns = now_ns if previous is not None else min(snapshot.ts_ns, now_ns)
        self.arrived_ns[snapshot.underlying], self.lag_ns = arrived_ns, now_ns - snapshot.ts_ns
        self.problems.pop(snapshot.underlying, None)
        return arrived_ns

    def _note_restart(self, previous: FlowSnapshot, snapshot: FlowSnapshot) -> None:
        """Another run of dfmon has begun, or one that was there before goes on beside it.

        Older programs name no run: their numbers begin again.
        """
        if not snapshot.session or not previous.session:
            self.restarts += snapshot.ts_ns > previous.ts_ns and snapshot.seq <= previous.seq
        elif snapshot.session != previous.session:
            sessions = self.sessions.setdefault(snapshot.underlying, {previous.session})
            if snapshot.session in sessions:
                self.shared.add(snapshot.underlying)
            self.restarts += snapshot.session not in sessions
            sessions.add(snapshot.session)

    def interval_ns(self, underlying: str) -> int:
        """The interval of its snapshots: the shorter of the last two, as one of them may be a gap."""
        spans_ns = self.spans_ns.get(underlying, ())
        return min(spans_ns) if len(spans_ns) == 2 else 0

    def limit_ns(self, underlying: str, minimum_ns: int) -> int:
        """The time without a snapshot that is too long."""
        return max(minimum_ns, round(LATE_INTERVALS * self.interval_ns(underlying)))

    def feed(self, now_ns: int, disagreement: str = "") -> Feed:
        """The source as a connection among the feeds: as old as the underlying that has been silent for longest."""
        ages_ns = {name: max(now_ns - at_ns, 0) for name, at_ns in self.arrived_ns.items()}
        silent = {name: age_ns for name, age_ns in ages_ns.items() if age_ns > self.limit_ns(name, SLOW_NS)}
        age_ns = max(ages_ns.values(), default=None)
        is_down = bool(self.problems) and len(silent) == len(ages_ns)
        status = "down" if is_down else "slow" if silent else "live" if ages_ns else "connecting"
        parts = [self.place, ", ".join(self.newest), *dict.fromkeys(self.problems.values())]
        if 0 < len(silent) < len(ages_ns):
            parts += [f"{name}: nothing for {format_age(each / SECOND)}" for name, each in silent.items()]
        parts += [f"restarted {self.restarts}x"] if self.restarts else []
        parts += [f"several dfmons send {', '.join(sorted(self.shared))}"] if self.shared else []
        parts += [f"gaps: {self.gaps}, {format_hms(self.gaps_ns / SECOND)} in all"] if self.gaps else []
        parts.append(disagreement)
        return Feed(
            name=self.name,
            state=status,
            age_s=None if age_ns is None else age_ns / SECOND,
            lag_ms=self.lag_ns / 1e6 if ages_ns else None,
            frames=self.snapshots,
            rejected=0,
            reconnects=self.reconnects,
            note="; ".join(filter(None, parts)),
        )


class Arrivals:
    """The newest snapshot of each underlying, the source that brought it, and when."""

    def __init__(self) -> None:
        self._shown: dict[str, tuple[FlowSnapshot, SourceState, int]] = {}

    def offer(self, source: SourceState, snapshot: FlowSnapshot, now_ns: int) -> bool:
        """Takes a snapshot. True where it is the first of its tick, or brings the tables to what is shown."""
        restarts = source.restarts
        arrived_ns = source.add(snapshot, now_ns)
        shown, shown_source, _ = self._shown.get(snapshot.underlying, (None, None, 0))
        is_first = shown is None or snapshot.ts_ns > shown.ts_ns
        is_restart = source.restarts > restarts  # whose clock may be behind that of the run before
        if is_first or (shown_source is source and (is_restart or snapshot.ts_ns == getattr(shown, "ts_ns", None))):
            self._shown[snapshot.underlying] = snapshot, source, arrived_ns
            return True
        return False

    def shown(self, underlying: str, now_ns: int) -> FlowSnapshot:
        """The snapshot of an underlying as it is by now: stale where none has followed in time; a replay may stand."""
        snapshot, source, arrived_ns = self._shown[underlying]
        elapsed_ns = now_ns - arrived_ns
        is_silent = elapsed_ns > source.limit_ns(underlying, STALE_NS) and snapshot.state != "replay"
        return aged(snapshot, elapsed_ns / SECOND) if is_silent else snapshot

    def silent(self, now_ns: int) -> list[FlowSnapshot]:
        """The snapshots that have become stale since their arrival."""
        return [
            found
            for name, (snapshot, _, _) in self._shown.items()
            if (found := self.shown(name, now_ns)) is not snapshot
        ]

    def interval_s(self) -> float:
        """The longest interval of the snapshots that are shown."""
        return max((s.interval_ns(name) for name, (_, s, _) in self._shown.items()), default=0) / SECOND

    def disagreement(self, source: SourceState) -> str:
        """The differences of the newest snapshots of a source from those that are shown, empty where they agree."""
        differences = []
        for name, (shown, shown_source, _) in self._shown.items():
            other = source.newest.get(name)
            if other is None or shown_source is source or abs(other.ts_ns - shown.ts_ns) > COMPARABLE_NS:
                continue
            if found := compare(shown, other):
                differences.append(f"{name} differs from {shown_source.name}: {found}")
        return "; ".join(differences)


def aged(snapshot: FlowSnapshot, elapsed_s: float) -> FlowSnapshot:
    """A snapshot that nothing has followed for some time: stale, its inputs and feeds older by that time."""
    feeds = tuple(
        replace(
            feed,
            age_s=None if feed.age_s is None else feed.age_s + elapsed_s,
            state="slow" if feed.state == "live" else feed.state,
        )
        for feed in snapshot.feeds
    )
    freshness = snapshot.freshness
    if freshness is not None:
        older = aged_inputs(freshness, elapsed_s)
        freshness = replace(older, stale=older.stale or f"no snapshot for {format_age(elapsed_s)}")
    return replace(snapshot, state="stale", feeds=feeds, freshness=freshness)


def compare(shown: FlowSnapshot, other: FlowSnapshot) -> str:
    """The facts on which two snapshots of one underlying differ: spot, scenario, net gamma, model."""
    parts = []
    if shown.spot and other.spot and abs(other.spot / shown.spot - 1.0) > SPOT_TOLERANCE:
        parts.append(f"spot {other.spot:,.0f} against {shown.spot:,.0f}")
    if shown.scenario.bucket != other.scenario.bucket:
        parts.append(f"{other.scenario.name} against {shown.scenario.name}")
    ours, theirs = shown.metrics.ngi.value, other.metrics.ngi.value
    if ours is not None and theirs is not None and abs(theirs - ours) > NGI_TOLERANCE * max(abs(ours), abs(theirs)):
        parts.append(f"NGI {theirs / 1e6:,.1f}M against {ours / 1e6:,.1f}M")
    if shown.positions.model != other.positions.model:
        parts.append(f"model {other.positions.model} against {shown.positions.model}")
    return ", ".join(parts)
