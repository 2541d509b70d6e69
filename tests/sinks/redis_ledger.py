"""What was produced against what arrived: events of a reader that needs no engine, and sums that must be equal."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dfmon.engine.hub import SnapshotHub
from dfmon.model.snapshot import Alert, FlowSnapshot
from dfmon.sinks import redis_stream
from dfmon.sinks.events import Event
from dfmon.sinks.redis_stream import RedisCounts, RedisStream
from tests.sinks.factory import snapshot, wait_until


class OneAlert:
    """An event reader that finds an alert in every snapshot."""

    def __init__(self, session: str) -> None:
        self.session = session
        self.count = 0

    def read(self, snapshot: FlowSnapshot) -> list[Event]:
        self.count += 1
        alert = Alert(snapshot.ts_ns, "SCENE", f"tick {snapshot.seq}", snapshot.underlying)
        return [Event(self.session, self.count, "alert", snapshot.ts, snapshot.underlying, alert=alert)]


def alert_each_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_stream, "EventReader", OneAlert)


async def publish(hub: SnapshotHub, first: int, last: int, underlying: str = "BTC") -> None:
    await asyncio.sleep(0)  # a sink that was started just now listens
    for seq in range(first, last + 1):
        hub.publish(snapshot(seq, underlying))
        await asyncio.sleep(0)


async def event_numbers(client: Any, key: str = "dfmon:events:BTC") -> list[int]:
    """The numbers of the events of a stream, repeats and all."""
    return [int(fields["id"].rpartition("-")[2]) for _, fields in await client.xrange(key)]


async def snapshot_numbers(client: Any, key: str = "dfmon:stream:BTC") -> list[int]:
    return [int(fields["seq"]) for _, fields in await client.xrange(key)]


def without_repeats(numbers: list[int]) -> list[int]:
    """The first arrival of each, as a reader that drops repeats sees them."""
    return list(dict.fromkeys(numbers))


async def settle(sink: RedisStream) -> RedisCounts:
    """The counts once nothing is under way: each produced entry is in exactly one place."""
    await wait_until(lambda: _adds_up(sink.counts()))
    return sink.counts()


def _adds_up(counts: RedisCounts) -> bool:
    snapshots = counts.snapshots_delivered + counts.snapshots_conflated + counts.snapshots_waiting
    events = counts.events_delivered + counts.events_waiting + counts.events_lost
    return (counts.snapshots, counts.events) == (snapshots, events)
