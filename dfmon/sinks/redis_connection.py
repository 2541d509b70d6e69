"""A connection to one Redis server: packed commands out, parsed replies in.

The protocol is hiredis's, in C. A client library would spend most of its time on Python objects for each command and
each reply.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

from dfmon.model.errors import UsageError
from dfmon.sinks.redis_url import Address, Login, RedisTarget

CONNECT_TIMEOUT_S: Final = 5.0
_BLOCK_BYTES: Final = 1 << 16
_REFUSED_LOGINS: Final = ("WRONGPASS", "NOAUTH", "ERR AUTH", "ERR Client sent AUTH", "ERR invalid password", "NOPERM")
_NOT_READY: Final = ("LOADING", "MASTERDOWN", "NOAUTH", "READONLY")

Part = str | int | float | bytes


class RefusedError(ConnectionError):
    """The server refuses what is asked of it: a login, or writes to a replica. Another try is not likely to help."""


class ReplyError(Exception):
    """An error that the server replied to one command."""


def require_packages() -> None:
    """Raises UsageError, with the remedy, where hiredis is missing."""
    try:
        import hiredis  # noqa: F401
    except ImportError as exc:
        raise UsageError(f"Redis needs the package {exc.name!r}: pip install 'dfmon[redis]'") from None


def packer() -> Callable[[Sequence[Part]], bytes]:
    """The function that packs a command."""
    import hiredis

    pack: Any = hiredis.pack_command  # its stub knows commands of one word only
    return pack  # type: ignore[no-any-return]


class RedisConnection:
    """An open connection. After an exception of any method it is of no more use."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, timeout_s: float) -> None:
        import hiredis

        self._reader, self._writer, self._timeout_s = reader, writer, timeout_s
        self._parser = hiredis.Reader(replyError=ReplyError, protocolError=_protocol_error)
        self._pack = packer()

    async def send(self, commands: Sequence[bytes], count: int | None = None) -> list[Any]:
        """Sends all and returns `count` replies, by default as many; an error of a command is a ReplyError among them.

        Raises TimeoutError, or OSError if the connection is lost.
        """
        count = len(commands) if count is None else count
        replies: list[Any] = []
        async with asyncio.timeout(self._timeout_s):
            self._writer.writelines(commands)
            await self._writer.drain()
            while len(replies) < count:
                await self._feed()
                while (reply := self._parser.gets()) is not False:
                    replies.append(reply)
        return replies

    async def call(self, *parts: Part) -> Any:
        """The reply to one command. Raises ReplyError too."""
        [reply] = await self.send([self._pack(parts)])
        if isinstance(reply, ReplyError):
            raise reply
        return reply

    async def subscribe(self, *channels: str | bytes) -> None:
        """Subscribes, and waits for the confirmations."""
        await self.send([self._pack(("SUBSCRIBE", *channels))], len(channels))

    async def ping_subscribed(self) -> Any:
        """The next message of a subscription after a PING, which is its reply or another one that came before it."""
        self._writer.write(self._pack(("PING",)))
        await self._writer.drain()
        return await self.read_message()

    async def read_message(self) -> Any:
        """The next message of a subscription, however long it takes."""
        while (message := self._parser.gets()) is False:
            await self._feed()
        return message

    async def _feed(self) -> None:
        if not (block := await self._reader.read(_BLOCK_BYTES)):
            raise ConnectionError("the server closed the connection")
        self._parser.feed(block)

    async def log_in(self, login: Login, database: int) -> None:
        """Authenticates, selects the database, and waits for a sign of life. Raises RefusedError or ConnectionError."""
        try:
            if login.user or login.password:
                await self.call("AUTH", *filter(None, (login.user,)), login.password)
            if database:
                await self.call("SELECT", database)
        except ReplyError as exc:
            refused = str(exc).startswith(_REFUSED_LOGINS) or database
            raise (RefusedError if refused else ConnectionError)(str(exc)) from None
        try:
            await self.call("PING")
        except ReplyError as exc:
            raise_if_not_ready(exc)  # a user may lack the permission for PING and have that for the rest

    def close(self) -> None:
        """Closes at once; a graceful end would wait until the server has read everything that was sent."""
        self._writer.transport.abort()


async def connect(
    target: RedisTarget, address: Address | None, timeout_s: float, login: Login, database: int = 0
) -> RedisConnection:
    """A connection to one node of the target, or to its socket. Raises OSError, TimeoutError or RefusedError."""
    async with asyncio.timeout(CONNECT_TIMEOUT_S):
        if address is None:
            streams = await asyncio.open_unix_connection(target.path)
        else:
            host, port = address
            streams = await asyncio.open_connection(host, port, ssl=target.tls)
        connection = RedisConnection(*streams, timeout_s)
        try:
            await connection.log_in(login, database)
        except BaseException:
            connection.close()
            raise
    return connection


def raise_if_not_ready(error: Exception) -> None:
    """Raises RefusedError or ConnectionError for an error that concerns the server, not the command."""
    text = str(error)
    if text.startswith(_NOT_READY):
        raise (RefusedError if text.startswith(("NOAUTH", "READONLY")) else ConnectionError)(text)


def _protocol_error(text: str) -> Exception:
    return ConnectionError(f"no Redis server is there: {text}")
