"""The state of the service for probes: `/healthz`, is anything fresh, and `/readyz`, is everything."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

import msgspec

from dfmon.model.snapshot import FlowSnapshot
from dfmon.sinks.rest.context import RestContext
from dfmon.sinks.rest.responses import Health, Readiness, SinkHealth, Status, UnderlyingHealth
from dfmon.version import __version__

MAX_AGE_S: Final = 15.0


def health(context: RestContext) -> Health:
    """The body of /healthz; its `status` is "stale" or "starting" where nothing is fresh."""
    rows = dict(_underlyings(context))
    degraded = context.hub.degraded
    status: Status
    if not rows:
        status = "starting"
    elif all(row.state == "stale" for row in rows.values()):
        status = "stale"
    else:
        status = "degraded" if degraded else "ok"
    sinks = tuple(SinkHealth(*msgspec.structs.astuple(sink)) for sink in context.statuses())
    return Health(status, __version__, rows, degraded, sinks)


def readiness(context: RestContext) -> Readiness:
    """Ready while every underlying has a fresh snapshot."""
    rows = dict(_underlyings(context))
    reasons = tuple(f"{name}: {row.reason}" for name, row in rows.items() if row.state == "stale")
    if not rows:
        reasons = ("no snapshot yet: dfmon is starting",)
    return Readiness("not ready" if reasons else "ready", reasons)


def _underlyings(context: RestContext) -> Iterator[tuple[str, UnderlyingHealth]]:
    now = time.monotonic()
    for name, published_at_s in context.listener.published_at_s.items():
        snapshot = context.hub.latest(name)
        age_s = now - published_at_s
        reason = stale_reason(snapshot, age_s)
        positions = None if snapshot is None else snapshot.positions
        yield (
            name,
            UnderlyingHealth(
                age_s=round(age_s, 3),
                state="stale" if reason else context.hub.mode,
                reason=reason,
                sign_decided=None if positions is None else positions.decided,
                warming=None if positions is None else positions.warming,
            ),
        )


def stale_reason(snapshot: FlowSnapshot | None, age_s: float) -> str:
    """Reason for a stale underlying, empty for a fresh one; `age_s` is since its last snapshot."""
    if snapshot is None or age_s > MAX_AGE_S:
        return f"no snapshot for {age_s:.0f} s"
    if snapshot.state != "stale":
        return ""
    return snapshot.freshness.stale if snapshot.freshness is not None else "stale inputs"
