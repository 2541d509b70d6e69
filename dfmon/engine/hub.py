"""The single slot between engine and readers: the newest snapshot of each underlying.

Written by the market thread, read by any thread. Snapshots are frozen, and replacing a dictionary entry is atomic, so
there is no lock. Readers pull at their own rate; a slow reader sees fewer snapshots and costs the engine nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from dfmon.model.snapshot import Alert, FlowSnapshot, State


@dataclass(frozen=True, slots=True)
class BackfillProgress:
    """Progress of the trade-history backfill: instruments done of all, prints, their rate, seconds left."""

    done: int
    total: int
    prints: int
    prints_per_s: float
    eta_s: float | None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Runtime:
    """Facts about the process, for the status line. Not part of a snapshot, since a replay has its own."""

    dropped: int = 0
    shed_frames: tuple[tuple[str, int], ...] = ()  # frames dropped under overload, by kind
    overruns: int = 0
    step_ms: float = 0.0
    compiled: bool = False  # the compiled kernels are in use
    frames_per_s: float = 0.0
    recorded_bytes: int | None = None
    sinks: tuple[str, ...] = ()
    note: str = ""
    degraded: tuple[str, ...] = ()  # conditions that hold now, for /healthz
    backfill: BackfillProgress | None = None  # None: not running
    replay_position: float | None = None
    replay_speed: float | None = None
    paused: bool = False
    finished: bool = False
    interval_s: float = 1.0  # between two snapshots of an underlying
    attached: bool = False  # the snapshots are those of other programs


@dataclass(slots=True)
class SnapshotHub:
    """Newest snapshot per underlying; `version` rises with every publication.

    `session` is the run's name, which snapshots without one are given; `rules` computes the alerts of the configured
    rules, which are added to each, UNSET where there are no rules. `config_error` is that of an edited configuration.
    """

    mode: State = "live"
    session: str = ""
    rules: Callable[[FlowSnapshot], tuple[Alert, ...] | UnsetType] | None = None
    config_error: str = ""
    version: int = 0
    runtime: Runtime = field(default_factory=Runtime)
    _latest: dict[str, FlowSnapshot] = field(default_factory=dict)
    _listeners: list[Callable[[FlowSnapshot], None]] = field(default_factory=list)

    def publish(self, snapshot: FlowSnapshot) -> None:
        """Replaces the slot, then notifies the listeners. Called on the market thread only."""
        if self.session and not snapshot.session:
            snapshot = replace(snapshot, session=self.session)
        if self.rules is not None and (alerts := self.rules(snapshot)) is not UNSET:
            snapshot = replace(snapshot, rule_alerts=alerts)
        self._latest[snapshot.underlying] = snapshot
        self.version += 1
        for listener in self._listeners:
            listener(snapshot)

    @property
    def degraded(self) -> tuple[str, ...]:
        """The conditions that hold now, in words."""
        error = (f"configuration: {self.config_error}",) if self.config_error else ()
        return (*self.runtime.degraded, *error)

    def latest(self, underlying: str) -> FlowSnapshot | None:
        return self._latest.get(underlying)

    def underlyings(self) -> tuple[str, ...]:
        return tuple(self._latest)

    def add_listener(self, listener: Callable[[FlowSnapshot], None]) -> None:
        """Calls `listener` on the market thread after each publication; it must return at once and not raise."""
        self._listeners.append(listener)


@dataclass(frozen=True, slots=True)
class Request:
    """A request of the screen or an API client, passed to the market thread as a small frozen message.

    Kinds: "positions" (value: model name), "replay.pause" ("" toggles), "replay.step" ("1", "-1"), "replay.speed" (a
    number as text, "max" for no pacing), "replay.seek" (seconds as text: "+60", "-3600", or an ISO time).
    """

    kind: str
    value: str = ""
