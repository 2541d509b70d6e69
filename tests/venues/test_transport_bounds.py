"""What a venue may send as one message: attacks over loopback, the same bound and words for both transports."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
import struct
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from types import SimpleNamespace

import pytest

from dfmon.venues.transport.base import MAX_FRAME, Opener
from dfmon.venues.transport.websockets import open_websockets

CONTINUATION, TEXT = 0, 1
FINAL, COMPRESSED = 0x80, 0x40
SENTENCE = "gave up: a message of more than 16 MB"
PIECE = bytes(1 << 20)


def frame(opcode: int, payload: bytes = b"", flags: int = 0) -> bytes:
    size = len(payload)
    if size < 126:
        return bytes([flags | opcode, size]) + payload
    if size < 1 << 16:
        return bytes([flags | opcode, 126]) + struct.pack(">H", size) + payload
    return bytes([flags | opcode, 127]) + struct.pack(">Q", size) + payload


def fragments_without_end() -> Iterator[bytes]:
    yield frame(TEXT, PIECE)
    while True:
        yield frame(CONTINUATION, PIECE)


def compressed_fragments_without_end() -> Iterator[bytes]:
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    opcode, flags = TEXT, COMPRESSED
    while True:
        yield frame(opcode, packer.compress(PIECE) + packer.flush(zlib.Z_SYNC_FLUSH), flags)
        opcode, flags = CONTINUATION, 0


def compressed_bomb() -> Iterator[bytes]:
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    packed = b"".join(packer.compress(PIECE) for _ in range(64)) + packer.flush(zlib.Z_SYNC_FLUSH)
    yield frame(TEXT, packed[:-4], FINAL | COMPRESSED)


@asynccontextmanager
async def venue(frames: Iterator[bytes], extensions: bytes = b"") -> AsyncIterator[str]:
    """A server that accepts a handshake and sends `frames` as fast as the client reads them."""
    handlers: list[asyncio.Task[None]] = []
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        key = next(line.split()[1] for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key:"))
        accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n" + extensions + b"\r\n"
        )
        with suppress(ConnectionError):
            for data in frames:
                writer.write(data)
                await writer.drain()
                await asyncio.sleep(0)  # `drain` alone lets nobody else run
            await reader.read()

    def start(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers.append(asyncio.create_task(serve(reader, writer)))
        writers.append(writer)

    server = await asyncio.start_server(start, "127.0.0.1", 0)
    try:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for handler, writer in zip(handlers, writers):
            handler.cancel()
            writer.transport.abort()
        await asyncio.gather(*handlers, return_exceptions=True)


@pytest.fixture(params=["websockets", "picows"])
def opener(request: pytest.FixtureRequest) -> Opener:
    if request.param == "websockets":
        return open_websockets
    pytest.importorskip("picows")
    from dfmon.venues.transport.picows import open_picows

    return open_picows


async def reason_of_end(opener: Opener, frames: Iterator[bytes], extensions: bytes = b"") -> str:
    received: list[bytes] = []
    async with asyncio.timeout(60), venue(frames, extensions) as url:
        socket = await opener(url, (), received.append)
        try:
            reason = await socket.ended()
        finally:
            await socket.close()
    assert received == []
    return reason


async def test_fragments_without_end_are_refused_within_bounded_memory(opener: Opener) -> None:
    tracemalloc.start()
    try:
        assert await reason_of_end(opener, fragments_without_end()) == SENTENCE
        assert tracemalloc.get_traced_memory()[1] < 5 * MAX_FRAME
    finally:
        tracemalloc.stop()


async def test_empty_fragments_without_end_are_refused(opener: Opener) -> None:
    frames = itertools.chain([frame(TEXT)], itertools.repeat(frame(CONTINUATION) * 10_000))
    assert await reason_of_end(opener, frames) == "gave up: a message of more than 4,096 fragments"


@pytest.mark.slow
@pytest.mark.parametrize("frames", [compressed_fragments_without_end, compressed_bomb])
async def test_compressed_messages_are_refused_by_their_unpacked_size(frames: Callable[[], Iterator[bytes]]) -> None:
    """Of picows no compression is asked for."""
    extensions = b"Sec-WebSocket-Extensions: permessage-deflate\r\n"
    assert await reason_of_end(open_websockets, frames(), extensions) == SENTENCE


async def test_the_largest_message_allowed_arrives_in_fragments_and_empty_ones_are_no_matter(opener: Opener) -> None:
    pieces = [frame(TEXT), *(frame(CONTINUATION, PIECE) for _ in range(MAX_FRAME >> 20)), frame(CONTINUATION)]
    received: asyncio.Queue[bytes] = asyncio.Queue()
    async with asyncio.timeout(60):
        async with venue(iter([*pieces, frame(CONTINUATION, flags=FINAL), frame(TEXT, b"next", FINAL)])) as url:
            socket = await opener(url, (), received.put_nowait)
            assert len(await received.get()) == MAX_FRAME
            assert await received.get() == b"next"
            await socket.close()


def test_nothing_is_read_while_the_venue_does_not_read() -> None:
    """Else a venue that sends pings and reads no pong fills the memory."""
    picows = pytest.importorskip("dfmon.venues.transport.picows")
    calls: list[str] = []
    listener = picows._Listener(lambda _: None)
    listener.pause_writing()  # before the handshake there is nothing to pause
    listener.resume_writing()
    socket = SimpleNamespace(pause_reading=lambda: calls.append("pause"), resume_reading=lambda: calls.append("resume"))
    listener.on_ws_connected(SimpleNamespace(underlying_transport=socket))
    for call in (
        listener.pause_writing,
        lambda: listener.pause_reading(True),
        listener.resume_writing,
        lambda: listener.pause_reading(False),
    ):
        call()
    assert calls == ["pause", "pause", "pause", "resume"]
