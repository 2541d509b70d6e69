"""What stands at the other end of the sinks in a world: a server that speaks as much of Redis as is needed, and HTTP
readers of which some stall and vanish.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import Final

import hiredis

_TICKS_READ: Final = 40


class RedisServer:
    """Takes commands and counts; `entries` are the `seq` of the stream's entries as they came."""

    def __init__(self) -> None:
        self.refusal = b""
        self.entries: list[int] = []
        self.published = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        commands = hiredis.Reader()
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                commands.feed(data)
                while (command := commands.gets()) is not False:
                    writer.write(self._reply(command))
                await writer.drain()
        writer.close()

    def _reply(self, command: list[bytes]) -> bytes:
        name = command[0].upper()
        if name in (b"XADD", b"SET", b"PUBLISH") and self.refusal:
            return b"-" + self.refusal + b"\r\n"
        if name == b"XADD":
            self.entries.append(int(command[command.index(b"seq") + 1]))
            return b"$3\r\n1-1\r\n"
        self.published += name == b"PUBLISH"
        return b":1\r\n" if name == b"PUBLISH" else b"+PONG\r\n" if name == b"PING" else b"+OK\r\n"


async def read_snapshots(port: int, token: str, rng: random.Random, received: list[bytes]) -> None:
    """A reader as they are: asks for a snapshot or follows the stream, sometimes stops reading, and goes."""
    for _ in range(_TICKS_READ):
        await asyncio.sleep(rng.uniform(0.2, 4.0))
        path = rng.choice(("/v1/snapshot", "/v1/stream", "/healthz", "/v1/snapshot?currency=XYZ", "/nothing"))
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(5.0):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
                writer.write(request.encode() + b"Connection: close\r\n\r\n")
                if rng.random() < 0.7:
                    received.append(await reader.read(1 << 20))
                if rng.random() < 0.5:
                    writer.transport.abort()
                else:
                    writer.close()
