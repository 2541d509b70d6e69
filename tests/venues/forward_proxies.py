"""Proxies on loopback that lead every host to one local server, whatever its name: by CONNECT, and by SOCKS 5."""

from __future__ import annotations

import asyncio
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class ForwardProxy:
    """`hosts` are those that were asked for, `heads` the requests; `status` is the answer to all of them."""

    port: int = 0
    status: int = 200
    hosts: list[str] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def _join(port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes = b"") -> None:
    up_reader, up_writer = await asyncio.open_connection("127.0.0.1", port)
    up_writer.write(head)
    try:
        await asyncio.gather(_relay(reader, up_writer), _relay(up_reader, writer))
    finally:
        up_writer.transport.abort()


@asynccontextmanager
async def _serve(
    proxy: ForwardProxy, handle: Handler, tls: ssl.SSLContext | None = None
) -> AsyncIterator[ForwardProxy]:
    tasks: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            with suppress(OSError, EOFError, asyncio.CancelledError):
                await handle(reader, writer)
                await writer.drain()
        finally:
            writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks)


@asynccontextmanager
async def http_proxy(target: int, status: int = 200, tls: ssl.SSLContext | None = None) -> AsyncIterator[ForwardProxy]:
    """A proxy for HTTP and CONNECT before the server at port `target`; with `tls` it is one for https://."""
    proxy = ForwardProxy(status=status)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, url, _ = head.split(" ", 2)
        proxy.hosts.append(url)
        proxy.heads.append(head)
        if proxy.status != 200:
            writer.write(f"HTTP/1.1 {proxy.status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        elif method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await _join(target, reader, writer)
        else:
            await _join(target, reader, writer, head.encode())

    async with _serve(proxy, handle, tls):
        yield proxy


@asynccontextmanager
async def socks_proxy(target: int, reply: int = 0) -> AsyncIterator[ForwardProxy]:
    """A SOCKS 5 proxy without a login before the server at port `target`; `reply` other than 0 is a refusal."""
    proxy = ForwardProxy()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, methods = await reader.readexactly(2)
        await reader.readexactly(methods)
        writer.write(b"\x05\x00")
        kind = (await reader.readexactly(4))[3]
        size = (await reader.readexactly(1))[0] if kind == 3 else 4 if kind == 1 else 16
        name = await reader.readexactly(size)
        (port,) = struct.unpack("!H", await reader.readexactly(2))
        proxy.hosts.append(f"{name.decode('latin-1')}:{port}")
        writer.write(bytes((5, reply, 0, 1)) + bytes(6))
        if reply == 0:
            await _join(target, reader, writer)

    async with _serve(proxy, handle):
        yield proxy
