import asyncio
from itertools import pairwise
from typing import Any

import httpx
import pytest

from dfmon.venues.protocol import RestCall
from dfmon.venues.rest.client import HostLimiter, RestClient
from tests.fault.virtual_time import in_virtual_time
from tests.memory_transport import MemoryTransport

BASE = "https://venue.test/api/v2"
CALL = RestCall("t", "/public/get_instruments", (("currency", "BTC"), ("kind", "option")))


class Sleeps:
    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def client(reply: httpx.Response | Exception, seen: list[httpx.Request] | None = None, **options: Any) -> RestClient:
    def handle(request: httpx.Request) -> httpx.Response:
        if seen is not None:
            seen.append(request)
        if isinstance(reply, Exception):
            raise reply
        return reply

    return RestClient(transport=MemoryTransport(handle), **options)


async def test_the_path_is_joined_to_the_base_and_the_body_comes_back() -> None:
    seen: list[httpx.Request] = []
    async with client(httpx.Response(200, content=b'{"result":[]}'), seen) as rest:
        assert await rest.get(BASE + "/", CALL) == b'{"result":[]}'
    assert str(seen[0].url) == BASE + "/public/get_instruments?currency=BTC&kind=option"
    assert seen[0].headers["user-agent"].startswith("dfmon/")


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (httpx.Response(500, content=b"oops"), "HTTP 500"),
        (httpx.Response(400, content=b"<html>"), "HTTP 400"),
        (httpx.Response(302, headers={"Location": "https://elsewhere.test/"}), "HTTP 302"),
        (httpx.ConnectError("no route\x1b[2J"), "ConnectError: no route?[2J"),
        (httpx.ReadTimeout(""), "no response within 10 s"),
        (httpx.RemoteProtocolError("peer closed"), "the response broke off or was no HTTP"),
    ],
)
async def test_a_failed_call_has_no_body_and_a_reason(reply: httpx.Response | Exception, words: str) -> None:
    async with client(reply) as rest:
        assert await rest.get(BASE, CALL) == b""
        assert rest.errors == {"venue.test": words}


async def test_an_error_of_the_venue_is_an_answer() -> None:
    async with client(httpx.Response(400, content=b'{"error":{"code":-32602}}')) as rest:
        assert await rest.get(BASE, CALL) == b'{"error":{"code":-32602}}'
        assert rest.errors == {}


async def test_calls_to_one_host_are_paced_and_hosts_do_not_wait_for_each_other() -> None:
    sleeps = Sleeps()
    async with client(httpx.Response(200, content=b"x"), pace_s=10.0, sleep=sleeps) as rest:
        for _ in range(3):
            await rest.get(BASE, CALL)
        await rest.get("https://other.test", CALL)
    assert [round(seconds) for seconds in sleeps.seconds] == [10, 20]


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"Retry-After": "30"}, 30),
        ({"Retry-After": "soon"}, 5),
        ({}, 5),
        ({"Retry-After": "9999"}, 120),
        ({"Retry-After": "nan"}, 5),
        ({"Retry-After": "Mon, 16 Nov 2099 12:00:00 GMT"}, 120),
        ({"Retry-After": "Mon, 16 Nov 2009 12:00:00 GMT"}, 1),
    ],
)
@pytest.mark.parametrize("status", [418, 429, 503])
async def test_a_busy_venue_is_left_alone_as_long_as_it_asks(status: int, headers: dict[str, str], wait: int) -> None:
    sleeps = Sleeps()
    async with client(httpx.Response(status, headers=headers), sleep=sleeps) as rest:
        assert await rest.get(BASE, CALL) == b""
        assert rest.errors["venue.test"].endswith(f"; next call in {wait} s")
        await rest.get(BASE, CALL)
    assert round(sleeps.seconds[0]) == wait


async def test_who_waits_already_waits_on_when_the_venue_becomes_busy() -> None:
    """The second caller has its turn reserved when the answer to the first one says to stay away."""
    slept: list[float] = []
    arrived = asyncio.Event()

    waiting = asyncio.Event()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        waiting.set()
        await arrived.wait()

    async def busy(_: httpx.Request) -> httpx.Response:
        await waiting.wait()
        return httpx.Response(429, headers={"Retry-After": "60"})

    async with RestClient(transport=MemoryTransport(busy), pace_s=1.0, sleep=sleep) as rest:
        first, second = (asyncio.create_task(rest.get(BASE, CALL)) for _ in range(2))
        await first
        arrived.set()
        await second
    assert [round(seconds) for seconds in slept[:2]] == [1, 60]


@in_virtual_time
async def test_those_who_waited_for_a_busy_venue_do_not_call_at_once() -> None:
    limiter = HostLimiter(0.25)
    limiter.block_host("venue.test", 30.0)
    called_s: list[float] = []

    async def call() -> None:
        await limiter.acquire("venue.test")
        called_s.append(asyncio.get_running_loop().time())

    await asyncio.gather(*(call() for _ in range(8)))
    assert called_s[0] >= 30.0
    assert min(later - earlier for earlier, later in pairwise(called_s)) > 0.249


async def test_a_dear_call_is_paid_by_those_after_it() -> None:
    sleeps = Sleeps()
    listing = RestCall("t", "/public/get_instruments", (), 4.0)
    async with client(httpx.Response(200, content=b"x"), pace_s=0.25, sleep=sleeps) as rest:
        for _ in range(3):
            await rest.get(BASE, listing)
    assert [round(seconds) for seconds in sleeps.seconds] == [1, 2]
