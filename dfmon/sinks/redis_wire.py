"""The connection under `redis_stream`: opened by redis-py, then used as two bare streams of packed commands.

Also what may be shown of a URL that can hold a password, and what may not.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import unquote

from dfmon.model.errors import UsageError

CONNECT_S: Final = 5.0
NOT_NOW: Final = ("LOADING", "MASTERDOWN", "READONLY", "TRYAGAIN")  # start and failover: another try will do
FORMS: Final = "redis://[[user]:password@]host[:port][/db], rediss://… for TLS, unix:///path"


class Link:
    """Opens connections: redis-py reads the URL, does TLS, logs in and selects the database."""

    def __init__(self, url: str, patience_s: float) -> None:
        try:
            import hiredis
            from redis.asyncio import ConnectionPool
            from redis.exceptions import RedisError
        except ImportError as exc:
            raise UsageError(f"Redis output needs the package {exc.name!r}: pip install 'dfmon[redis]'") from None
        self.failures = (RedisError, OSError, TimeoutError)
        pack: Any = hiredis.pack_command
        self.pack: Callable[[tuple[str | int | float | bytes, ...]], bytes] = pack
        self._patience_s = patience_s
        try:
            pool: Any = ConnectionPool.from_url(url, protocol=2)
            self._make: Callable[[], Any] = pool.make_connection
            self._make()
        except (ValueError, TypeError):  # the reason is withheld: it can quote a piece of the password
            raise UsageError(f"redis: {_kind(url)} cannot be read; allowed: {FORMS}") from None

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Wire]:
        """A wire for as long as the context lasts. Raises one of `failures`."""
        connection = self._make()
        async with asyncio.timeout(CONNECT_S):
            await connection.connect()
        reader, writer = connection._reader, connection._writer  # noqa: SLF001
        try:
            yield Wire(reader, writer, self._patience_s)
        finally:
            # `disconnect` leaves the socket open for as long as the server does not read what it was sent
            writer.transport.abort()
            await connection.disconnect(nowait=True)


class Wire:
    """The streams of an open connection: packed commands out in one write, replies counted.

    redis-py's pipeline would spend most of its time on a Python object a command and a reply.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, patience_s: float) -> None:
        from hiredis import Reader, ReplyError

        self._reader = reader
        self._writer = writer
        self._replies = Reader()
        self._refusal = ReplyError
        self._patience_s = patience_s

    async def exchange(self, commands: list[bytes]) -> dict[int, Exception]:
        """Send all, read as many replies. Returns what was refused for good, by the command's place.

        Raises TimeoutError, or OSError when the connection is lost or the server says "not now".
        """
        refused: dict[int, Exception] = {}
        at = 0
        async with asyncio.timeout(self._patience_s):
            self._writer.writelines(commands)
            await self._writer.drain()
            while at < len(commands):
                if not (block := await self._reader.read(65536)):
                    raise ConnectionError("the server closed the connection")
                self._replies.feed(block)
                while (reply := self._replies.gets()) is not False:
                    if isinstance(reply, self._refusal):
                        if str(reply).startswith(NOT_NOW):
                            raise ConnectionError(str(reply))
                        refused[at] = reply
                    at += 1
        return refused


def mask(url: str) -> str:
    """The URL as it may be shown: no user, no password, no options.

    >>> mask("redis://desk:p@ss@10.0.0.7:6379/2?ssl_password=x")
    'redis://***@10.0.0.7:6379/2?***'
    """
    scheme, found, rest = url.partition("://")
    _, credentials, place = rest.rpartition("@")
    place, options, _ = place.partition("?")
    return f"{scheme}://{credentials and '***@'}{place}{options and '?***'}" if found else "***"


def secrets(url: str) -> list[str]:
    login = url.partition("://")[2].rpartition("@")[0]
    raw = login.partition(":")[2] or login
    return sorted({raw, unquote(raw)} - {""}, key=len, reverse=True)


def _kind(url: str) -> str:
    scheme, found, _ = url.partition("://")
    return f"the URL that starts with {scheme + found!r}" if found else "a URL without redis://"
