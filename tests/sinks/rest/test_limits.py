"""Clients that are idle, slow or too many: raw sockets against the REST service, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from dfmon.engine.hub import SnapshotHub
from dfmon.sinks.rest import connections
from dfmon.sinks.rest.access import RequestLimit
from dfmon.sinks.rest.connections import KEEP_ALIVE_S, READ_TIMEOUT_S, REQUEST_TIMEOUT_S
from dfmon.sinks.rest.rest_service import RestService
from dfmon.sinks.rest.settings import MAX_REQUESTS, MAX_STREAMS
from tests.fault.virtual_time import in_virtual_time
from tests.sinks.factory import snapshot

Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
SNAPSHOT = b"GET /v1/snapshot HTTP/1.1\r\nHost: localhost\r\n\r\n"
STREAM = b"GET /v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Served:
    """A service and its clients, which are all closed at the end."""

    def __init__(self) -> None:
        self.hub, self.stop = SnapshotHub(), asyncio.Event()
        self.hub.publish(snapshot(1))
        self.service = RestService(port=0)
        self.service.bind()
        self.task = asyncio.create_task(self.service.run(self.hub, self.stop))
        self._writers: list[asyncio.StreamWriter] = []

    @property
    def limit(self) -> RequestLimit:
        return self.service.connections.requests

    async def connect(self, data: bytes = b"", *, read_limit: int = 1 << 16) -> Client:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.service.port, limit=read_limit)
        self._writers.append(writer)
        writer.write(data)
        return reader, writer

    async def status(self, request: bytes = HEALTH) -> int:
        reader, _ = await self.connect(request)
        return int((await reader.readuntil(b"\r\n")).split()[1])

    async def close(self) -> None:
        self.stop.set()
        await self.task
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(*(writer.wait_closed() for writer in self._writers), return_exceptions=True)
        await asyncio.sleep(0.1)


@asynccontextmanager
async def serving() -> AsyncIterator[Served]:
    served = Served()
    try:
        async with asyncio.timeout(1000):
            yield served
    finally:
        await served.close()


def now_s() -> float:
    return asyncio.get_running_loop().time()


async def end_of(client: Client) -> float:
    """Reads to the end. Returns when that was."""
    with suppress(ConnectionError):
        await client[0].read()
    return now_s()


@pytest.mark.parametrize("first", [b"", b"G", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n", HEALTH])
def test_a_connection_ends_when_no_request_comes(first: bytes) -> None:
    """uvicorn itself ends one that is idle after a response, but waits for ever for the first request."""

    @in_virtual_time
    async def attack() -> None:
        async with serving() as served:
            client, opened_s = await served.connect(first), now_s()
            expected_s = KEEP_ALIVE_S if first == HEALTH else REQUEST_TIMEOUT_S
            assert await end_of(client) - opened_s == pytest.approx(expected_s, abs=0.5)

    attack()


@pytest.mark.parametrize("before", [b"", HEALTH])
def test_a_request_of_a_letter_a_second_ends(before: bytes) -> None:
    @in_virtual_time
    async def attack() -> None:
        async with serving() as served:
            client, opened_s = await served.connect(before), now_s()
            ended = asyncio.ensure_future(end_of(client))
            for letter in b"GET /healthz HTTP/1.1 and so on":
                client[1].write(bytes([letter]))
                await asyncio.wait({ended}, timeout=1.0)
            assert await ended - opened_s == pytest.approx(REQUEST_TIMEOUT_S, abs=1.5)

    attack()


@in_virtual_time
async def test_a_client_that_ends_its_own_side_gets_what_it_requested() -> None:
    """As `nc -N` does; the connection ends after the last response of what it has sent."""
    async with serving() as served:
        for requests in (1, 3):
            client = await served.connect(SNAPSHOT * requests)
            client[1].write_eof()
            text = await client[0].read()
            assert text.count(b"HTTP/1.1 200 OK") == requests
            assert text.count(b'"underlying":"BTC"') >= requests
        incomplete = await served.connect(SNAPSHOT[:-4])
        incomplete[1].write_eof()
        assert await incomplete[0].read() == b""


@in_virtual_time
async def test_a_stream_of_a_client_that_ends_its_own_side_goes_on_until_the_client_is_gone() -> None:
    async with serving() as served:
        client = await served.connect(STREAM)
        client[1].write_eof()
        for seq in range(2, 5):
            served.hub.publish(snapshot(seq))
            await client[0].readuntil(b'"seq":%d,' % seq)
        client[1].transport.abort()
        while list(served.service.connections):
            served.hub.publish(snapshot(seq := seq + 1))
            await asyncio.sleep(1.0)
        assert seq < 10


@in_virtual_time
async def test_a_poller_keeps_its_connection_between_two_scrapes() -> None:
    async with serving() as served:
        reader, writer = await served.connect(HEALTH)
        for _ in range(5):
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 ")
            await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split()[0]))
            await asyncio.sleep(60.0)
            writer.write(HEALTH)


@in_virtual_time
async def test_a_header_without_end_is_refused() -> None:
    async with serving() as served:
        reader, writer = await served.connect(b"GET / HTTP/1.1\r\nX: ")
        with suppress(ConnectionError):
            for _ in range(200):
                writer.write(b"x" * 1000)
                await writer.drain()
                await asyncio.sleep(0)
        with suppress(ConnectionError):
            assert (await reader.read()).startswith(b"HTTP/1.1 400")
        assert now_s() < REQUEST_TIMEOUT_S


@in_virtual_time
async def test_idle_connections_keep_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The attack had 5,000 sockets; see benchmarks/attack_rest_service.py for as many and for response times."""
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 100)
    async with serving() as served:
        idle = [await served.connect() for _ in range(300)]
        for _ in range(5):
            assert await served.status() == 200
        await asyncio.sleep(0.1)
        still_open = [client for client in idle if not client[0].at_eof() and client[0].exception() is None]
        assert 90 <= len(still_open) <= 100
        assert still_open == idle[-len(still_open) :]


@in_virtual_time
async def test_streams_that_take_all_places_leave_one_for_health() -> None:
    async with serving() as served:
        served.limit.streams = MAX_STREAMS - 3  # the others, of which each would take a socket here
        streams = [await served.connect(STREAM) for _ in range(3)]
        for reader, _ in streams:
            assert await reader.readuntil(b"\r\n") == b"HTTP/1.1 200 OK\r\n"
        assert await served.status(STREAM) == 503
        assert (served.limit.refused["room"], served.limit.responses[503]) == (1, 1)
        assert await served.status(SNAPSHOT) == 200
        served.limit.under_way = MAX_REQUESTS
        reader, _ = await served.connect(SNAPSHOT)
        assert b"More than 112 requests at a time; try again." in await reader.read()
        assert await served.status() == 200
        served.limit.under_way = 0
        for _, writer in streams[:3]:
            writer.transport.abort()
        for seq in range(2, 5):  # the second message finds that the client is gone
            served.hub.publish(snapshot(seq))
            await asyncio.sleep(0.1)
        assert await served.status(STREAM) == 200


async def unread_stream(served: Served) -> Client:
    """A stream that reads nothing but the header, once the service can send no more to it."""
    client = await served.connect(STREAM, read_limit=1024)
    await client[0].readuntil(b"\r\n\r\n")
    await fill(served)
    return client


async def fill(served: Served) -> None:
    """Publishes until the service can send no more to another client."""
    seq = unread_before = sum(each.is_unread for each in served.service.connections)
    while sum(each.is_unread for each in served.service.connections) == unread_before:
        seq += 1
        served.hub.publish(snapshot(seq, strikes=2000))
        await asyncio.sleep(0.001)


@in_virtual_time
async def test_a_stream_that_is_never_read_ends() -> None:
    async with serving() as served:
        await unread_stream(served)
        await asyncio.sleep(READ_TIMEOUT_S - 1.0)
        assert len(list(served.service.connections)) == 1
        await asyncio.sleep(2.0)
        assert not list(served.service.connections)


@in_virtual_time
async def test_a_slow_stream_stays_as_long_as_it_reads() -> None:
    async with serving() as served:
        reader, _ = await unread_stream(served)
        (connection,) = served.service.connections
        for _ in range(3):
            await asyncio.sleep(READ_TIMEOUT_S - 5.0)
            while connection.is_unread:
                await reader.read(1 << 16)
            await fill(served)
        assert list(served.service.connections) == [connection]


@pytest.mark.slow
@in_virtual_time
async def test_clients_that_never_read_do_not_delay_the_end() -> None:
    async with serving() as served:
        for _ in range(3):
            await unread_stream(served)
        await served.connect()
        stopped_s = now_s()
        served.stop.set()
        await served.task
        assert now_s() - stopped_s < 1.0
