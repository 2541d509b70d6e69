"""The log of scenario changes: kept with the state of a book, bounded, and answered by time and bucket."""

from __future__ import annotations

from typing import Final, NamedTuple

from dfmon.core.scenario.buckets import Bucket, Scene

MAX_TRANSITIONS: Final = 500


class Transition(NamedTuple):
    """One change of the scene of a position model, with what decided it. `before` is None at the first one."""

    ts_ns: int
    model: str
    before: Scene | None
    after: Scene
    reasons: tuple[str, ...]
    features: tuple[tuple[str, float | None], ...]


def log_transition(
    log: tuple[Transition, ...],
    ts_ns: int,
    model: str,
    before: Scene | None,
    after: Scene | None,
    reasons: tuple[str, ...],
    features: tuple[tuple[str, float | None], ...],
) -> tuple[Transition, ...]:
    """The log with this change, oldest first; the same log while the bucket stays."""
    if after is None or after == before:
        return log
    change = Transition(ts_ns, model, before, after, reasons, features)
    return (*log[1 - MAX_TRANSITIONS :], change)


def transitions(
    log: tuple[Transition, ...],
    since_ns: int = 0,
    until_ns: int | None = None,
    bucket: Bucket | None = None,
) -> tuple[Transition, ...]:
    """Changes in [since_ns, until_ns), out of or into `bucket` where one is given."""
    return tuple(
        change
        for change in log
        if since_ns <= change.ts_ns
        and (until_ns is None or change.ts_ns < until_ns)
        and (bucket is None or bucket in {scene.bucket for scene in (change.before, change.after) if scene})
    )
