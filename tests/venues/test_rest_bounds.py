"""What a venue may send in answer to one call: attacks over loopback, each with its bound, in virtual time."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import httpx
import pytest

from dfmon.venues.protocol import RestCall
from dfmon.venues.rest.body import MAX_BODY_BYTES
from dfmon.venues.rest.client import RestClient
from tests.fault.virtual_time import in_virtual_time

CALL = RestCall("t", "/public/get_instruments")
OTHER = RestCall("o", "/public/get_time")
OK = b"HTTP/1.1 200 OK\r\n"
BODY = b'{"result":[]}'
Pieces = Iterable[tuple[bytes, float]]  # and the pause before each
CHUNK = b"x" * (1 << 18)


def compress_zeros(size: int) -> bytes:
    """Zeros in a thousandth of their size, as gzip."""
    packer = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(size >> 20)) + packer.flush()


def once(*pieces: bytes) -> Pieces:
    yield from ((piece, 0.0) for piece in pieces)


def endless(head: bytes, piece: bytes, pause_s: float = 0.0) -> Pieces:
    yield head, 0.0
    while True:
        yield piece, pause_s


BOMB = compress_zeros(64 << 20)
ATTACKS: dict[str, tuple[Callable[[], Pieces], str]] = {
    "an endless body": (
        lambda: endless(OK + b"\r\n", CHUNK),
        "a response of more than 16 MB was refused",
    ),
    "an endless body in chunks": (
        lambda: endless(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"40000\r\n" + CHUNK + b"\r\n"),
        "a response of more than 16 MB was refused",
    ),
    "a body of chunks of a byte": (
        lambda: endless(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", 1.0),
        "no complete response within 30 s",
    ),
    "a gzip bomb": (
        lambda: once(OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB), BOMB),
        "a response that unpacks to more than 16 MB was refused",
    ),
    "a gzip stream that unpacks to nothing": (
        lambda: endless(OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"")[:10], b"\0\0\0\xff\xff" * 50_000),
        "a response of more than 16 MB was refused",
    ),
    "gzip twice": (
        lambda: once(OK + b"Content-Encoding: gzip, gzip\r\nContent-Length: 1\r\n\r\nx"),
        "the response is encoded as 'gzip, gzip', where gzip was asked for",
    ),
    "another encoding": (
        lambda: once(OK + b"Content-Encoding: br\r\nContent-Length: 1\r\n\r\nx"),
        "the response is encoded as 'br', where gzip was asked for",
    ),
    "half of a gzip stream": (
        lambda: once(OK + b"Content-Encoding: gzip\r\nContent-Length: 15\r\n\r\n" + gzip.compress(BODY)[:15]),
        "the response broke off",
    ),
    "no gzip at all": (
        lambda: once(OK + b"Content-Encoding: gzip\r\nContent-Length: 13\r\n\r\n" + BODY),
        "the response cannot be unpacked",
    ),
    "a byte a second": (
        lambda: endless(OK + b"Content-Length: 1000\r\n\r\n", b"x", 1.0),
        "no complete response within 30 s",
    ),
    "a body that stops": (
        lambda: endless(OK + b"Content-Length: 1000\r\n\r\n", b"x", 11.0),
        "the response stopped half-way",
    ),
    "a header of a byte a second": (
        lambda: endless(OK + b"X: ", b"x", 1.0),
        "no complete response within 30 s",
    ),
    "an endless header": (
        lambda: endless(OK + b"X: ", CHUNK),
        "the response broke off or was no HTTP",
    ),
    "endless interim responses": (
        lambda: endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 1.0),
        "no complete response within 30 s",
    ),
}


@asynccontextmanager
async def venue(pieces: Pieces) -> AsyncIterator[str]:
    """A server that sends `pieces`, each after its pause, for CALL, and a good response for any other path."""
    handlers: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                if CALL.path.encode() not in head:
                    writer.write(OK + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY)
                    continue
                for piece, pause_s in pieces:
                    await asyncio.sleep(pause_s)
                    writer.write(piece)
                    await writer.drain()

    def start(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def run() -> None:
            try:
                with suppress(asyncio.IncompleteReadError):
                    await serve(reader, writer)
            finally:
                writer.transport.abort()

        handlers.add(asyncio.create_task(run()))

    server = await asyncio.start_server(start, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for handler in handlers:
            handler.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)


@pytest.mark.parametrize("name", ATTACKS)
def test_a_bad_response_costs_half_a_minute_and_a_sentence(name: str) -> None:
    pieces, sentence = ATTACKS[name]

    @in_virtual_time
    async def attack() -> None:
        async with venue(pieces()) as base, RestClient(pace_s=0.01) as rest:
            assert await rest.get(base, CALL) == b""
            assert sentence in rest.errors[urlsplit(base).netloc]
            assert asyncio.get_running_loop().time() <= 31.0

    attack()


@pytest.mark.parametrize("name", ["an endless body", "an endless body in chunks", "a gzip bomb"])
def test_a_bad_response_takes_bounded_memory(name: str) -> None:
    @in_virtual_time
    async def attack() -> None:
        async with venue(ATTACKS[name][0]()) as base, RestClient(pace_s=0.01) as rest:
            tracemalloc.start()
            try:
                await rest.get(base, CALL)
                assert tracemalloc.get_traced_memory()[1] < 3 * MAX_BODY_BYTES
            finally:
                tracemalloc.stop()

    attack()


@in_virtual_time
async def test_the_largest_response_allowed_is_read() -> None:
    packed = compress_zeros(MAX_BODY_BYTES)
    head = OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    async with venue(once(head, packed)) as base, RestClient(pace_s=0.01) as rest:
        assert len(await rest.get(base, CALL)) == MAX_BODY_BYTES
        assert rest.errors == {}


async def test_the_client_asks_for_what_it_can_unpack_within_bounds() -> None:
    async with RestClient(transport=httpx.MockTransport(lambda _: httpx.Response(500))) as rest:
        assert rest._client.headers["Accept-Encoding"] == "gzip"


@in_virtual_time
async def test_a_refused_response_stays_noted_while_other_paths_respond() -> None:
    """The feed would be without these data, and nobody would know why."""
    message = "/public/get_instruments: a response of more than 16 MB was refused"
    pieces = endless(OK + b"Content-Length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1), CHUNK)
    async with venue(pieces) as base, RestClient(pace_s=0.01) as rest:
        await rest.get(base, CALL)
        assert await rest.get(base, OTHER) == BODY
        assert rest.errors == {urlsplit(base).netloc: message}
        await asyncio.sleep(601.0)
        assert await rest.get(base, OTHER) == BODY
        assert rest.errors == {}


BAD = OK + b"Content-Encoding: br\r\nContent-Length: 1\r\n\r\nx"


class Responses:
    """One response for each request."""

    def __init__(self, *responses: bytes) -> None:
        self._responses = iter(responses)

    def __iter__(self) -> Iterator[tuple[bytes, float]]:
        yield next(self._responses), 0.0


@in_virtual_time
async def test_a_later_failure_of_the_host_is_forgotten_when_it_responds() -> None:
    responses = Responses(BAD, b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
    async with venue(responses) as base, RestClient() as rest:
        await rest.get(base, CALL)
        await rest.get(base, CALL)
        assert rest.errors == {urlsplit(base).netloc: "HTTP 500"}
        assert await rest.get(base, OTHER) == BODY
        assert rest.errors == {}


@in_virtual_time
async def test_a_refused_response_is_forgotten_when_its_path_responds() -> None:
    responses = Responses(BAD, OK + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY)
    async with venue(responses) as base, RestClient(pace_s=0.01) as rest:
        await rest.get(base, CALL)
        assert rest.errors
        assert await rest.get(base, CALL) == BODY
        assert rest.errors == {}


@in_virtual_time
async def test_another_gateway_of_the_host_has_errors_of_its_own() -> None:
    async with venue(Responses(BAD)) as base, venue(Responses()) as other, RestClient(pace_s=0.01) as rest:
        await rest.get(base, CALL)
        assert await rest.get(other, OTHER) == BODY
        assert list(rest.errors) == [urlsplit(base).netloc]
