"""The choice between several sources of one underlying: the first arrival of each tick wins.

Restarts, gaps and disagreement between the sources are found here, without a clock or a socket.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import msgspec

from dfmon.core.snapshot.build import SCHEMA
from dfmon.model.errors import DfmonError
from dfmon.model.snapshot import Feed, FlowSnapshot, from_json
from dfmon.model.units import SECOND, format_hms

GAP_NS: Final = 5 * SECOND  # without a snapshot
SLOW_NS: Final = 5 * SECOND
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

    `problems` are the errors that hold now, by underlying.
    """

    name: str
    place: str
    problems: dict[str, str] = field(default_factory=dict)
    snapshots: int = 0
    reconnects: int = 0
    restarts: int = 0
    gaps: int = 0
    gaps_ns: int = 0
    arrived_ns: int = 0  # when the newest snapshot arrived
    lag_ns: int = 0
    newest: dict[str, FlowSnapshot] = field(default_factory=dict)

    def add(self, snapshot: FlowSnapshot, now_ns: int) -> None:
        """Takes a snapshot, and notes a gap or a restart before it."""
        previous = self.newest.get(snapshot.underlying)
        if previous is not None and snapshot.ts_ns > previous.ts_ns:
            self.restarts += snapshot.seq <= previous.seq
            span_ns = snapshot.ts_ns - previous.ts_ns
            if span_ns > GAP_NS:
                self.gaps += 1
                self.gaps_ns += span_ns
        self.newest[snapshot.underlying] = snapshot
        self.snapshots += 1
        self.arrived_ns, self.lag_ns = now_ns, now_ns - snapshot.ts_ns
        self.problems.pop(snapshot.underlying, None)

    def feed(self, now_ns: int, disagreement: str = "") -> Feed:
        """The source as a connection among the feeds."""
        age_ns = now_ns - self.arrived_ns if self.arrived_ns else None
        is_fresh = age_ns is not None and age_ns <= SLOW_NS
        status = "live" if is_fresh else "down" if self.problems else "slow" if self.arrived_ns else "connecting"
        parts = [self.place, ", ".join(self.newest), *dict.fromkeys(self.problems.values())]
        parts += [f"restarted {self.restarts}x"] if self.restarts else []
        parts += [f"gaps: {self.gaps}, {format_hms(self.gaps_ns / SECOND)} in all"] if self.gaps else []
        parts.append(disagreement)
        return Feed(
            name=self.name,
            state=status,
            age_s=None if age_ns is None else max(age_ns, 0) / SECOND,
            lag_ms=self.lag_ns / 1e6 if self.arrived_ns else None,
            frames=self.snapshots,
            rejected=0,
            reconnects=self.reconnects,
            note="; ".join(filter(None, parts)),
        )


class Arrivals:
    """The newest snapshot of each underlying, and the source that brought it."""

    def __init__(self) -> None:
        self._shown: dict[str, tuple[FlowSnapshot, SourceState]] = {}

    def offer(self, source: SourceState, snapshot: FlowSnapshot, now_ns: int) -> bool:
        """Takes a snapshot. True where it is the first of its tick, or brings the tables to what is shown."""
        source.add(snapshot, now_ns)
        shown, shown_source = self._shown.get(snapshot.underlying, (None, None))
        is_first = shown is None or snapshot.ts_ns > shown.ts_ns
        if is_first or (shown_source is source and snapshot.ts_ns == getattr(shown, "ts_ns", None)):
            self._shown[snapshot.underlying] = snapshot, source
            return True
        return False

    def shown(self) -> list[FlowSnapshot]:
        return [snapshot for snapshot, _ in self._shown.values()]

    def disagreement(self, source: SourceState) -> str:
        """The differences of the newest snapshots of a source from those that are shown, empty where they agree."""
        differences = []
        for name, (shown, shown_source) in self._shown.items():
            other = source.newest.get(name)
            if other is None or shown_source is source or abs(other.ts_ns - shown.ts_ns) > COMPARABLE_NS:
                continue
            if found := compare(shown, other):
                differences.append(f"{name} differs from {shown_source.name}: {found}")
        return "; ".join(differences)


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
