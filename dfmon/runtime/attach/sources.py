"""Sources of snapshots: the channels of a Redis, and the REST service of a dfmon."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final, Protocol
from urllib.parse import unquote, urlsplit

from dfmon.model.errors import DfmonError
from dfmon.sinks.redis_connection import RedisConnection, ReplyError
from dfmon.sinks.redis_routing import RedisConnector
from dfmon.sinks.redis_schema import RedisKeys
from dfmon.sinks.redis_url import RedisTarget
from dfmon.venues.rest.body import MAX_BODY_BYTES

IDLE_S: Final = 15.0  # after which a silent connection must show a sign of life
TIMEOUT_S: Final = 10.0
POLL_S: Final = 1.0  # of a service without a stream
POLLS: Final = 60
TABLES_WAIT_S: Final = 10.0  # for which a snapshot without tables gives way to those with them


class SnapshotSource(Protocol):
    """Snapshots of one underlying from one place, as JSON objects."""

    place: str
    underlying: str

    def bodies(self) -> AsyncGenerator[bytes, None]:
        """Each as it arrives. Raises OSError where the connection is lost, DfmonError where another try is no use."""


class RedisSource:
    """The channels of one underlying. Those with tables are preferred while they come."""

    def __init__(self, target: RedisTarget, prefix: str, underlying: str) -> None:
        self.place = target.display_url
        self._target, self.underlying = target, underlying
        self._connector = RedisConnector(target, TIMEOUT_S)
        self._keys = RedisKeys(prefix, tagged=target.topology == "cluster")

    async def bodies(self) -> AsyncGenerator[bytes, None]:
        key, loop = self._keys.snapshot(self.underlying), asyncio.get_running_loop()
        screen, tables_at = self._keys.screen(self.underlying).encode(), -TABLES_WAIT_S
        try:
            async with self._connector.open() as listening, self._connector.open() as link:
                node = await listening.node_of(key)
                await node.subscribe(screen, self._keys.channel(self.underlying))
                # the latest value after the subscription: no tick falls between the two
                if isinstance(body := await (await link.node_of(key)).call("GET", key), bytes):
                    yield body
                async with aclosing(_messages(node)) as messages:
                    async for channel, payload in messages:
                        if channel == screen:
                            tables_at = loop.time()
                            yield _unpack(payload)
                        elif loop.time() - tables_at > TABLES_WAIT_S:
                            yield payload
        except ReplyError as exc:
            raise ConnectionError(self._target.redact(str(exc))) from None


async def _messages(node: RedisConnection) -> AsyncGenerator[tuple[bytes, bytes], None]:
    """Channel and payload of each message. A connection that is silent for long is asked for a sign of life."""
    while True:
        try:
            async with asyncio.timeout(IDLE_S):
                message = await node.read_message()
        except TimeoutError:
            async with asyncio.timeout(TIMEOUT_S):
                message = await node.ping_subscribed()
        if isinstance(message, list) and len(message) == 3 and message[0] == b"message":
            yield message[1], message[2]


def _unpack(payload: bytes) -> bytes:
    """The JSON object of a channel with tables. Raises DfmonError for anything else, or beyond the bound of a body."""
    decompressor = zlib.decompressobj()
    try:
        body = decompressor.decompress(payload, MAX_BODY_BYTES)
    except zlib.error:
        raise DfmonError("the channel with tables sends no snapshots of dfmon") from None
    if not decompressor.eof:
        raise DfmonError("a snapshot of more than 16 MB")
    return body


class HttpSource:
    """The REST service of a dfmon, whose stream brings one underlying with all tables. Without one it is polled.

    A password of the URL is a token: http://:TOKEN@HOST:PORT.
    """

    def __init__(self, base: str, underlying: str, token: str = "") -> None:
        parts = urlsplit(base)
        host = parts.netloc.rpartition("@")[2]
        self.place = f"{parts.scheme}://{host}{parts.path}"
        self.underlying, self._token = underlying, unquote(parts.password or "") or token

    async def bodies(self) -> AsyncGenerator[bytes, None]:
        from dfmon.runtime.attach.rest_client import get_snapshot, rest_client, stream_snapshots

        async with rest_client(TIMEOUT_S, self._token) as client:
            async with aclosing(stream_snapshots(client, self.place, self.underlying)) as streamed:
                async for body in streamed:
                    yield body
            for _ in range(POLLS):  # then the stream is tried again
                yield await get_snapshot(client, self.place, self.underlying, TIMEOUT_S)
                await asyncio.sleep(POLL_S)
