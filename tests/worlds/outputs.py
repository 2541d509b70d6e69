"""What stands at the other end of the sinks in a world: a server that speaks as much of Redis as is needed, and HTTP
readers of which some stall and vanish.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from typing import Final

import hiredis

_TICKS_READ: Final = 40


class RedisServer:
    """Takes commands and transactions; `entries` counts each entry, by kind of stream, session and number."""

    def __init__(self) -> None:
        self.refusal = b""
        self.screens = 0  # that follow the snapshots with their tables
        self.entries: Counter[tuple[str, str, str]] = Counter()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        commands = hiredis.Reader()
        queued: list[list[bytes]] | None = None  # of a transaction
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                commands.feed(data)
                while (command := commands.gets()) is not False:
                    name = command[0].upper()
                    if name == b"MULTI":
                        queued = []
                        writer.write(b"+OK\r\n")
                    elif name == b"EXEC":
                        replies = [self._reply(each) for each in queued or ()]
                        writer.write(b"*%d\r\n" % len(replies) + b"".join(replies))
                        queued = None
                    elif queued is not None:
                        queued.append(command)
                        writer.write(b"+QUEUED\r\n")
                    else:
                        writer.write(self._reply(command))
                await writer.drain()
        writer.close()

    def _reply(self, command: list[bytes]) -> bytes:
        name = command[0].upper()
        if name in (b"XADD", b"SET", b"PUBLISH") and self.refusal:
            return b"-" + self.refusal + b"\r\n"
        if name == b"PUBSUB":
            return b"*2\r\n$%d\r\n%s\r\n:%d\r\n" % (len(command[2]), command[2], self.screens)
        if name == b"XADD":
            fields = dict(zip(command[6::2], command[7::2]))
            kind = command[1].decode().split(":")[1]
            number = fields.get(b"id", fields.get(b"seq", b""))
            self.entries[kind, fields.get(b"session", b"").decode(), number.decode()] += 1
            return b"$3\r\n1-1\r\n"
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
