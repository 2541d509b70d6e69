"""From a target to the connections that take its commands: one server, the master of a sentinel set, or a cluster.

A `Write` is the unit of success: all of its commands are taken, in order, or none. In a cluster its key decides the
node; MOVED and ASK are followed. A node that is away fails the writes to it and no others.
"""

from __future__ import annotations

import asyncio
from binascii import crc_hqx
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, NamedTuple, Protocol

from dfmon.sinks.redis_connection import (
    RedisConnection,
    RefusedError,
    ReplyError,
    connect,
    packer,
    raise_if_not_ready,
    require_packages,
)
from dfmon.sinks.redis_url import Address, RedisTarget

SLOTS: Final = 16_384
MAX_REDIRECTS: Final = 5


class Write(NamedTuple):
    """Packed commands for one key; more than one are a transaction."""

    key: str
    commands: Sequence[bytes]


class Link(Protocol):
    """Open connections to a target."""

    async def send(self, writes: Sequence[Write]) -> list[Exception | None]:
        """Sends all. Returns what refused each one, None for those that were taken.

        Raises OSError where nothing can be said of any of them.
        """

    async def node_of(self, key: str) -> RedisConnection:
        """The connection to the node that has a key. Raises OSError."""


class RedisConnector:
    """Opens connections to a target. Raises UsageError where hiredis is missing."""

    def __init__(self, target: RedisTarget, timeout_s: float) -> None:
        require_packages()
        self.target, self.timeout_s = target, timeout_s
        pack = packer()
        self.pack = pack
        self._multi, self._exec, self._ask_prefix = pack(("MULTI",)), pack(("EXEC",)), pack(("ASKING",))

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Link]:
        """Connections for as long as the context lasts. Raises OSError or TimeoutError."""
        if self.target.topology == "cluster":
            cluster = ClusterLink(self)
            try:
                await cluster.refresh()
                yield cluster
            finally:
                cluster.close()
        else:
            async with self.open_node() as node:
                yield SingleLink(self, node)

    @asynccontextmanager
    async def open_node(self) -> AsyncIterator[RedisConnection]:
        """A connection to the server, the master, or any node of the cluster that can be reached."""
        node = await self._connect_to_any()
        try:
            yield node
        finally:
            node.close()

    async def connect_to(self, address: Address | None) -> RedisConnection:
        target = self.target
        return await connect(target, address, self.timeout_s, target.login, target.database)

    async def _connect_to_any(self) -> RedisConnection:
        if self.target.topology == "unix":
            return await self.connect_to(None)
        if self.target.topology == "sentinel":
            return await self.connect_to(await self._find_master())
        error: OSError = ConnectionError("no node can be reached")
        for address in self.target.nodes:
            try:
                return await self.connect_to(address)
            except OSError as exc:
                error = exc
        raise error

    async def _find_master(self) -> Address:
        """The master as the first sentinel that knows it says. Raises ConnectionError with what the last one said."""
        target = self.target
        error = "no sentinel can be reached"
        for address in target.nodes:
            try:
                sentinel = await connect(target, address, self.timeout_s, target.sentinel_login)
            except OSError as exc:
                error = f"sentinel {_text(address)}: {exc or 'no response in time'}"
                continue
            try:
                found = await sentinel.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", target.service)
            except (ReplyError, OSError) as exc:
                error = f"sentinel {_text(address)}: {exc or 'no response in time'}"
            else:
                if found:
                    return found[0].decode(), int(found[1])
                error = f"sentinel {_text(address)} knows no {target.service!r}"
            finally:
                sentinel.close()
        raise ConnectionError(error)

    async def deliver(
        self, node: RedisConnection, writes: Sequence[Write], *, by_ask: bool = False
    ) -> list[Exception | None]:
        """Sends writes to one node. Returns what refused each. Raises OSError."""
        packed: list[bytes] = []
        sizes: list[int] = []
        for write in writes:
            group = [*write.commands] if len(write.commands) == 1 else [self._multi, *write.commands, self._exec]
            packed += [self._ask_prefix, *group] if by_ask else group
            sizes.append(len(group) + by_ask)
        replies = await node.send(packed)
        outcomes: list[Exception | None] = []
        at = 0
        for write, size in zip(writes, sizes):
            outcomes.append(_refusal(replies[at + by_ask : at + size], len(write.commands)))
            at += size
        for outcome in filter(None, outcomes):
            raise_if_not_ready(outcome)
        return outcomes


class SingleLink:
    """One connection that takes everything."""

    def __init__(self, connector: RedisConnector, node: RedisConnection) -> None:
        self._connector, self._node = connector, node

    async def send(self, writes: Sequence[Write]) -> list[Exception | None]:
        return await self._connector.deliver(self._node, writes)

    async def node_of(self, key: str) -> RedisConnection:
        return self._node


class ClusterLink:
    """A connection to each node that has a slot of ours."""

    def __init__(self, connector: RedisConnector) -> None:
        self._connector = connector
        self._nodes: dict[Address, RedisConnection] = {}
        self._owners: dict[int, Address] = {}  # of the slots
        self._is_current = False

    async def refresh(self) -> None:
        """Reads the owners of all slots from any node. Raises OSError."""
        async with self._connector.open_node() as node:
            try:
                ranges = await node.call("CLUSTER", "SLOTS")
            except ReplyError as exc:
                raise ConnectionError(str(exc)) from None
        seed = self._connector.target.nodes[0][0]
        for first, last, (host, port, *_), *_replicas in ranges:
            owner = (host.decode() or seed, int(port))
            self._owners.update(dict.fromkeys(range(first, last + 1), owner))
        self._is_current = True

    async def send(self, writes: Sequence[Write]) -> list[Exception | None]:
        """As `Link`; never raises OSError: a node that is away is the error of its writes."""
        if not self._is_current:
            with suppress(OSError):
                await self.refresh()
        outcomes: list[Exception | None] = [ConnectionError("the slot has no node")] * len(writes)
        pending = list(range(len(writes)))
        ask_targets: dict[int, Address] = {}  # writes that one node takes in the place of the owner, for this time
        for _ in range(MAX_REDIRECTS):
            for at, outcome in await self._send_once(writes, pending, ask_targets):
                outcomes[at] = outcome
            ask_targets = {}
            pending = [at for at in pending if self._follow(outcomes[at], at, writes, ask_targets)]
            if not pending:
                break
        return outcomes

    async def _send_once(
        self, writes: Sequence[Write], pending: Sequence[int], ask_targets: dict[int, Address]
    ) -> list[tuple[int, Exception | None]]:
        groups: dict[tuple[Address, bool], list[int]] = defaultdict(list)
        for at in pending:
            owner = ask_targets.get(at) or self._owners.get(key_slot(writes[at].key))
            if owner is not None:
                groups[owner, at in ask_targets].append(at)
        sent = await asyncio.gather(
            *(self._send_to(owner, [writes[at] for at in group], by_ask) for (owner, by_ask), group in groups.items())
        )
        return [pair for group, outcomes in zip(groups.values(), sent) for pair in zip(group, outcomes)]

    async def _send_to(self, owner: Address, writes: Sequence[Write], by_ask: bool) -> list[Exception | None]:
        try:
            return await self._connector.deliver(await self._node_at(owner), writes, by_ask=by_ask)
        except OSError as exc:
            if (node := self._nodes.pop(owner, None)) is not None:
                node.close()
            self._is_current = False  # its replica may have taken over
            kind = RefusedError if isinstance(exc, RefusedError) else ConnectionError
            return [kind(f"node {_text(owner)}: {exc or 'no response in time'}")] * len(writes)

    async def node_of(self, key: str) -> RedisConnection:
        owner = self._owners.get(key_slot(key))
        if owner is None:
            raise ConnectionError("the slot has no node")
        return await self._node_at(owner)

    async def _node_at(self, owner: Address) -> RedisConnection:
        if owner not in self._nodes:
            self._nodes[owner] = await self._connector.connect_to(owner)
        return self._nodes[owner]

    def _follow(
        self, outcome: Exception | None, at: int, writes: Sequence[Write], ask_targets: dict[int, Address]
    ) -> bool:
        """Notes where a redirected write goes. False for one that is not redirected."""
        kind, _, place = str(outcome or "").partition(" ")
        if kind not in ("MOVED", "ASK"):
            self._is_current &= kind != "CLUSTERDOWN"
            return kind == "TRYAGAIN"
        host, _, port = place.split()[-1].rpartition(":")
        address = (host or self._connector.target.nodes[0][0], int(port))
        if kind == "ASK":
            ask_targets[at] = address
        else:
            self._owners[key_slot(writes[at].key)] = address
        return True

    def close(self) -> None:
        for node in self._nodes.values():
            node.close()


def key_slot(key: str) -> int:
    """The slot of a key: CRC16 of what is in its first braces, else of all of it."""
    start = key.find("{")
    end = key.find("}", start + 1)
    tag = key[start + 1 : end] if start >= 0 and end > start + 1 else key
    return crc_hqx(tag.encode(), 0) % SLOTS


def _refusal(replies: Sequence[Any], commands: int) -> Exception | None:
    """The error of a write, the cause before its effect, or None.

    A user without the permission for MULTI gets no transaction: then the replies are those of the commands.
    """
    if commands > 1 and isinstance(replies[0], ReplyError):
        replies = replies[1:-1]
    elif commands > 1 and isinstance(replies[-1], list):
        replies = replies[-1]
    return next((reply for reply in replies if isinstance(reply, ReplyError)), None)


def _text(address: Address) -> str:
    return f"{address[0]}:{address[1]}"
