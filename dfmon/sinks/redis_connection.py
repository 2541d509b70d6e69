"""The connection of `redis_stream`: opened by redis-py, then used as two plain streams of packed commands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from dfmon.model.errors import UsageError

CONNECT_TIMEOUT_S: Final = 5.0
RETRYABLE_ERRORS: Final = ("LOADING", "MASTERDOWN", "READONLY", "TRYAGAIN")  # during start and failover
URL_FORMS: Final = "redis://[[user]:password@]host[:port][/db], rediss://… for TLS, unix:///path"


class RedisConnector:
    """Opens connections; redis-py parses the URL, sets up TLS, authenticates and selects the database."""

    def __init__(self, url: str, timeout_s: float) -> None:
        try:
            import hiredis
            from redis.asyncio import ConnectionPool
            from redis.exceptions import RedisError
        except ImportError as exc:
            raise UsageError(f"Redis output needs the package {exc.name!r}: pip install 'dfmon[redis]'") from None
        self.failures = (RedisError, OSError, TimeoutError)
        pack: Any = hiredis.pack_command
        self.pack: Callable[[tuple[str | int | float | bytes, ...]], bytes] = pack
        self._timeout_s = timeout_s
        try:
            pool: Any = ConnectionPool.from_url(url, protocol=2)
            self._make_connection: Callable[[], Any] = pool.make_connection
            self._make_connection()
        except (ValueError, TypeError):  # without the reason, which can quote a part of the password
            raise UsageError(f"redis: {_describe_url(url)} is invalid; allowed: {URL_FORMS}") from None

    @asynccontextmanager
    async def open(self) -> AsyncIterator[RedisConnection]:
        """A connection for as long as the context lasts. Raises one of `failures`."""
        connection = self._make_connection()
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            await connection.connect()
        reader, writer = connection._reader, connection._writer  # noqa: SLF001
        try:
            yield RedisConnection(reader, writer, self._timeout_s)
        finally:
            # `disconnect` alone leaves the socket open until the server has read everything that was sent
            writer.transport.abort()
            await connection.disconnect(nowait=True)


class RedisConnection:
    """The streams of an open connection: writes packed commands at once and counts the replies.

    redis-py's pipeline would spend most of its time on Python objects for each command and reply.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, timeout_s: float) -> None:
        from hiredis import Reader, ReplyError

        self._reader = reader
        self._writer = writer
        self._replies = Reader()
        self._reply_error = ReplyError
        self._timeout_s = timeout_s

    async def send_commands(self, commands: list[bytes]) -> dict[int, Exception]:
        """Sends all and reads as many replies. Returns the errors of rejected commands by index.

        Raises TimeoutError, or OSError if the connection is lost or the server replies with a retryable error.
        """
        rejected: dict[int, Exception] = {}
        at = 0
        async with asyncio.timeout(self._timeout_s):
            self._writer.writelines(commands)
            await self._writer.drain()
            while at < len(commands):
                if not (block := await self._reader.read(65536)):
                    raise ConnectionError("the server closed the connection")
                self._replies.feed(block)
                while (reply := self._replies.gets()) is not False:
                    if isinstance(reply, self._reply_error):
                        if str(reply).startswith(RETRYABLE_ERRORS):
                            raise ConnectionError(str(reply))
                        rejected[at] = reply
                    at += 1
        return rejected


def _describe_url(url: str) -> str:
    scheme, separator, _ = url.partition("://")
    return f"the URL that starts with {scheme + separator!r}" if separator else "a URL without redis://"
