"""Following the hub, the bounded outbox, and restarts."""

from __future__ import annotations

import asyncio
import gc
import logging
from contextlib import aclosing

import pytest

from dfmon.engine.hub import SnapshotHub
from dfmon.sinks.base import (
    MAX_BACKOFF_S,
    HubListener,
    SinkProgress,
    SinkStatus,
    jittered_backoff_s,
    supervise,
)
from tests.sinks.conftest import Run
from tests.sinks.factory import snapshot, wait_until


class Flaky:
    """Raises so many times, then runs."""

    def __init__(self, faults: int) -> None:
        self.name = "flaky"
        self.progress = SinkProgress()
        self.faults = faults
        self.received: list[int] = []
        self.states: list[str] = []

    def status(self) -> SinkStatus:
        return self.progress.status(self.name)

    async def run(self, hub: SnapshotHub, stop: asyncio.Event) -> None:
        self.states.append(str(self.status()))
        if self.faults:
            self.faults -= 1
            raise ExceptionGroup("tasks", [ConnectionError("no route\x1b[2J")])
        self.progress.set_state("running")
        async with aclosing(HubListener(hub).follower().follow(stop)) as snapshots:
            async for each in snapshots:
                self.received.append(each.seq)


async def test_each_snapshot_is_given_once_and_overtaken_ones_are_counted(
    hub: SnapshotHub, stop: asyncio.Event
) -> None:
    hub.publish(snapshot(1))
    follower = HubListener(hub).follower()
    hub.publish(snapshot(2))
    hub.publish(snapshot(7, "ETH"))
    hub.publish(snapshot(3))
    stop.set()
    assert [(each.underlying, each.seq) async for each in follower.follow(stop)] == [("BTC", 3), ("ETH", 7)]
    assert follower.take_overtaken() == 2
    assert follower.take_overtaken() == 0


async def test_a_follower_of_one_underlying_sees_no_other(hub: SnapshotHub, stop: asyncio.Event) -> None:
    listener = HubListener(hub)
    follower = listener.follower("ETH")
    hub.publish(snapshot(1))
    hub.publish(snapshot(2, "ETH"))
    stop.set()
    assert [each.seq async for each in follower.follow(stop)] == [2]
    assert set(listener.published_at_s) == {"BTC", "ETH"}


async def test_following_wakes_for_new_snapshots_and_for_either_end(hub: SnapshotHub, stop: asyncio.Event) -> None:
    received, other = list[int](), asyncio.Event()

    async def until_received(seq: int) -> None:
        await wait_until(lambda: received[-1:] == [seq])

    async def follow() -> None:
        async with aclosing(HubListener(hub).follower().follow(stop, other)) as snapshots:
            async for each in snapshots:
                received.append(each.seq)

    task = asyncio.create_task(follow())
    for seq in (1, 2, 3):
        hub.publish(snapshot(seq))
        await until_received(seq)
    other.set()
    async with asyncio.timeout(2):
        await task


@pytest.mark.slow
async def test_followers_that_nobody_reads_vanish(hub: SnapshotHub) -> None:
    listener = HubListener(hub)
    follower, _ = listener.follower(), listener.follower()
    del _
    gc.collect()
    assert len(listener._followers) == 1
    del listener, follower
    gc.collect()
    hub.publish(snapshot(1))  # the listener that is left does nothing


def test_backoff_is_jittered_and_limited() -> None:
    delays = [jittered_backoff_s(attempt, 0.5) for attempt in range(40) for _ in range(20)]
    assert all(0.0 <= delay <= MAX_BACKOFF_S for delay in delays)
    assert max(jittered_backoff_s(0, 0.5) for _ in range(50)) <= 0.5
    assert len(set(delays)) > 700


async def test_a_sink_that_raises_is_started_again_and_says_so(
    hub: SnapshotHub, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, "dfmon.sinks")
    sink = Flaky(3)
    hub.publish(snapshot(1))
    run(sink)
    await wait_until(lambda: sink.received)
    assert sink.status() == SinkStatus("flaky", "running", 0, 0, "")
    assert sink.states[0] == "flaky off"
    assert sink.states[3].startswith("flaky restarting (no route?[2J; next try in")
    assert [record.levelname for record in caplog.records] == ["ERROR"] * 3


async def test_supervision_ends_while_it_waits_to_start_again(hub: SnapshotHub, stop: asyncio.Event) -> None:
    sink = Flaky(1000)
    task = asyncio.create_task(supervise(sink, hub, stop, first_delay_s=1e9))
    await wait_until(lambda: sink.progress.state == "restarting")
    stop.set()
    async with asyncio.timeout(60):
        await task
    assert sink.progress.state == "off"


async def test_cancellation_is_not_mistaken_for_a_fault(hub: SnapshotHub, stop: asyncio.Event) -> None:
    sink = Flaky(0)
    task = asyncio.create_task(supervise(sink, hub, stop))
    await wait_until(lambda: sink.progress.state == "running")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
