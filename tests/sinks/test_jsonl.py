"""JSON lines on pipes: read, slow, closed."""

from __future__ import annotations

import asyncio
import io
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from dfmon.engine.hub import SnapshotHub
from dfmon.model.snapshot import FlowSnapshot, from_json, to_json
from dfmon.sinks.jsonl import JsonLines
from tests.sinks.conftest import Run
from tests.sinks.factory import snapshot, snapshot_in_scenario, wait_until


@pytest.fixture
def pipe() -> Iterator[tuple[int, io.BufferedWriter]]:
    reader, writer = os.pipe()
    out = os.fdopen(writer, "wb")
    yield reader, out
    with suppress(OSError):
        os.close(reader)
    with suppress(OSError):
        out.close()


async def publish(hub: SnapshotHub, sink: JsonLines, *snapshots: FlowSnapshot) -> None:
    """One after the other: the sink has looked at each before the next comes."""
    for each in snapshots:
        hub.publish(each)
        for _ in range(5):
            await asyncio.sleep(0)


async def test_every_snapshot_is_one_line_as_the_model_writes_it(
    hub: SnapshotHub, run: Run, stop: asyncio.Event
) -> None:
    out = io.BytesIO()
    sink = JsonLines(out, "all")
    hub.mode = "sim"
    task = run(sink)
    await wait_until(lambda: sink.progress.state == "writing")
    await publish(hub, sink, snapshot(1), snapshot(2, "ETH"), snapshot(3, state="stale"))
    stop.set()
    await task
    lines = out.getvalue().splitlines(keepends=True)
    assert lines == [
        to_json(each, "sim") + b"\n" for each in (snapshot(1), snapshot(2, "ETH"), snapshot(3, state="stale"))
    ]
    assert [json.loads(line)["state"] for line in lines] == ["sim", "sim", "stale"]
    assert list(json.loads(lines[0])) == [
        name for name in FlowSnapshot.__struct_encode_fields__ if name not in ("detail", "views", "rule_alerts")
    ]
    assert sink.status().sent == 3


async def test_only_news_is_written_between_heartbeats(hub: SnapshotHub, run: Run, stop: asyncio.Event) -> None:
    out = io.BytesIO()
    sink = JsonLines(out)
    task = run(sink)
    await wait_until(lambda: sink.progress.state == "writing")
    await publish(
        hub,
        sink,
        snapshot(1),
        snapshot(2),
        snapshot_in_scenario(3, 6, "CASCADE"),
        snapshot_in_scenario(4, 6, "CASCADE"),
        snapshot(5),
        snapshot(6, state="stale"),
        snapshot(7, "ETH"),
        snapshot(8, "ETH"),
    )
    stop.set()
    await task
    assert [from_json(line).seq for line in out.getvalue().splitlines()] == [1, 3, 5, 6, 7]


async def test_a_heartbeat_repeats_the_state(hub: SnapshotHub, run: Run, stop: asyncio.Event) -> None:
    out = io.BytesIO()
    sink = JsonLines(out, heartbeat_s=0.0)
    task = run(sink)
    await wait_until(lambda: sink.progress.state == "writing")
    await publish(hub, sink, snapshot(1), snapshot(2))
    stop.set()
    await task
    assert [from_json(line).seq for line in out.getvalue().splitlines()] == [1, 2]


async def test_a_reader_that_leaves_ends_the_sink_without_an_error(
    hub: SnapshotHub, run: Run, pipe: tuple[int, io.BufferedWriter]
) -> None:
    reader, out = pipe
    sink = JsonLines(out, "all")
    task = run(sink)
    hub.publish(snapshot(1))
    await wait_until(lambda: sink.progress.sent == 1)
    os.close(reader)
    hub.publish(snapshot(2))
    async with asyncio.timeout(60):
        await task
    assert sink.closed
    assert sink.status().state == "closed"
    assert sink.status().sent == 1


async def until_sent(sink: JsonLines, count: int) -> None:
    await wait_until(lambda: sink.progress.sent == count)


async def test_a_reader_that_sleeps_costs_lines_and_blocks_nobody(
    hub: SnapshotHub, run: Run, stop: asyncio.Event, pipe: tuple[int, io.BufferedWriter]
) -> None:
    reader, out = pipe
    sink = JsonLines(out, "all", outbox=10)
    task = run(sink)
    await wait_until(lambda: sink.progress.state == "writing")
    for seq in (1, 2, 3):
        hub.publish(snapshot(seq))
        await until_sent(sink, seq)
    async with asyncio.timeout(60):
        while sink.progress.dropped < 20:
            seq += 1
            await publish(hub, sink, snapshot(seq, strikes=100))
    stop.set()
    await wait_until(task.done)  # although the thread still hangs in its write
    assert not sink.closed
    os.set_blocking(reader, False)
    received = os.read(reader, 1 << 20).splitlines()
    assert [from_json(line).seq for line in received[:3]] == [1, 2, 3]


async def test_a_full_disk_is_a_fault_and_not_the_end(hub: SnapshotHub, run: Run, stop: asyncio.Event) -> None:
    with Path("/dev/full").open("wb") as out:
        sink = JsonLines(out, "all")
        task = run(sink)
        hub.publish(snapshot(1))
        await wait_until(lambda: "No space left" in sink.status().note)
        assert sink.status().state == "restarting"
        assert not sink.closed
        stop.set()
        await task


async def test_what_waits_at_the_end_is_still_written(
    hub: SnapshotHub, run: Run, stop: asyncio.Event, pipe: tuple[int, io.BufferedWriter]
) -> None:
    reader, out = pipe
    sink = JsonLines(out, "all")
    task = run(sink)
    await wait_until(lambda: sink.progress.state == "writing")
    hub.publish(snapshot(1))
    stop.set()
    await task
    out.close()
    assert from_json(os.read(reader, 1 << 20)).seq == 1
