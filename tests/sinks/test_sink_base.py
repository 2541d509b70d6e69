"""Following the hub, the bounded outbox, and restarts."""

from __future__ import annotations

import asyncio
import gc
import logging
from contextlib import aclosing

import pytest

from dfmon.engine.hub import SnapshotHub
from dfmon.sinks.base import MAX_DELAY_S, Bell, Outbox, Progress, SinkStatus, backoff, pause, supervise
from tests.sinks.factory import snapshot, until


class Flaky:
    """Raises so many times, then runs."""

    def __init__(self, faults: int) -> None:
        self.name = "flaky"
        self.progress = Progress()
        self.faults = faults
        self.seen: list[int] = []
        self.states: list[str] = []

    def status(self) -> SinkStatus:
        return self.progress.status(self.name)

    async def run(self, hub: SnapshotHub, stop: asyncio.Event) -> None:
        self.states.append(str(self.status()))
        if self.faults:
            self.faults -= 1
            raise ExceptionGroup("tasks", [ConnectionError("no route\x1b[2J")])
        self.progress.say("running")
        async with aclosing(Bell(hub).latest().follow(stop)) as snapshots:
            async for each in snapshots:
                self.seen.append(each.seq)


async def test_each_snapshot_is_given_once_and_overtaken_ones_are_counted(hub, stop):
    hub.publish(snapshot(1))
    latest = Bell(hub).latest()
    hub.publish(snapshot(2))
    hub.publish(snapshot(7, "ETH"))
    hub.publish(snapshot(3))
    stop.set()
    assert [(each.underlying, each.seq) async for each in latest.follow(stop)] == [("BTC", 3), ("ETH", 7)]
    assert latest.take_missed() == 2
    assert latest.take_missed() == 0


async def test_a_follower_of_one_underlying_sees_no_other(hub, stop):
    bell = Bell(hub)
    latest = bell.latest("ETH")
    hub.publish(snapshot(1))
    hub.publish(snapshot(2, "ETH"))
    stop.set()
    assert [each.seq async for each in latest.follow(stop)] == [2]
    assert set(bell.heard) == {"BTC", "ETH"}


async def test_following_wakes_for_new_snapshots_and_for_either_end(hub, stop):
    seen, other = [], asyncio.Event()

    async def follow() -> None:
        async with aclosing(Bell(hub).latest().follow(stop, other)) as snapshots:
            async for each in snapshots:
                seen.append(each.seq)

    task = asyncio.create_task(follow())
    for seq in (1, 2, 3):
        hub.publish(snapshot(seq))
        await until(lambda seq=seq: seen[-1:] == [seq])
    other.set()
    async with asyncio.timeout(2):
        await task


async def test_followers_that_nobody_reads_vanish(hub):
    bell = Bell(hub)
    kept, _ = bell.latest(), bell.latest()
    del _
    gc.collect()
    assert len(bell._followers) == 1
    del bell, kept
    gc.collect()
    hub.publish(snapshot(1))  # the listener that is left does nothing


def test_outbox_drops_the_oldest_and_counts():
    box: Outbox[int] = Outbox(3)
    for item in range(5):
        box.put(item)
    assert box.dropped == 2
    taken = box.take(2)
    assert taken == [2, 3]
    box.put(5)
    box.put(6)
    box.give_back(taken)
    assert box.take(9) == [4, 5, 6]
    assert box.dropped == 4
    assert not box


def test_backoff_is_jittered_and_limited():
    delays = [backoff(attempt) for attempt in range(40) for _ in range(20)]
    assert all(0.0 <= delay <= MAX_DELAY_S for delay in delays)
    assert max(backoff(0) for _ in range(50)) <= 0.5
    assert len(set(delays)) > 700


async def test_a_pause_ends_with_stop(stop):
    stop.set()
    async with asyncio.timeout(1):
        await pause(stop, 3600)


async def test_a_sink_that_raises_is_started_again_and_says_so(hub, run, caplog):
    caplog.set_level(logging.ERROR, "dfmon.sinks")
    sink = Flaky(3)
    hub.publish(snapshot(1))
    run(sink)
    await until(lambda: sink.seen)
    assert sink.status() == SinkStatus("flaky", "running", 0, 0, "")
    assert sink.states[0] == "flaky off"
    assert sink.states[3].startswith("flaky restarting (no route?[2J; next try in")
    assert [record.levelname for record in caplog.records] == ["ERROR"] * 3


async def test_supervision_ends_while_it_waits_to_start_again(hub, stop):
    sink = Flaky(1000)
    task = asyncio.create_task(supervise(sink, hub, stop, first_delay=1e9))
    await until(lambda: sink.progress.state == "restarting")
    stop.set()
    async with asyncio.timeout(1):
        await task
    assert sink.progress.state == "off"


async def test_cancellation_is_not_mistaken_for_a_fault(hub, stop):
    sink = Flaky(0)
    task = asyncio.create_task(supervise(sink, hub, stop))
    await until(lambda: sink.progress.state == "running")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
