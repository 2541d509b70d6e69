"""The newest snapshot of each underlying for the latest value and the channels; one that was not sent gives way to it.

All tables of a snapshot are a third of a megabyte, so they are sent only while a screen is subscribed, which a
connection of its own finds out.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from dfmon.aio import wait_until_set
from dfmon.model.snapshot import FlowSnapshot, State, to_json
from dfmon.sinks.redis_connection import Part, ReplyError
from dfmon.sinks.redis_routing import Link, RedisConnector, Write
from dfmon.sinks.redis_schema import RedisKeys

AUDIENCE_INTERVAL_S: Final = 2.0  # between two checks for screens


class Ticks:
    """Snapshots that wait for the channels, at most one an underlying."""

    def __init__(self, keys: RedisKeys, connector: RedisConnector) -> None:
        self._keys, self._connector = keys, connector
        self._newest: dict[str, FlowSnapshot] = {}
        self._has_screen: dict[str, bool] = {}

    @property
    def waiting(self) -> int:
        return len(self._newest)

    def add(self, snapshot: FlowSnapshot) -> None:
        self._newest[snapshot.underlying] = snapshot
        self._has_screen.setdefault(snapshot.underlying, False)

    @contextmanager
    def taken(self, mode: State) -> Iterator[list[Write]]:
        """The writes of all that wait. They wait again where the block raises, unless a newer one has come."""
        newest, self._newest = self._newest, {}
        try:
            yield [write for snapshot in newest.values() for write in self._writes(snapshot, mode)]
        except BaseException:
            self._newest = newest | self._newest
            raise

    def _writes(self, snapshot: FlowSnapshot, mode: State) -> list[Write]:
        """Each command by itself: a user may have the permission for one of them only."""
        name, text = snapshot.underlying, to_json(snapshot, mode)
        key = self._keys.snapshot(name)
        commands: list[tuple[Part, ...]] = [("SET", key, text), ("PUBLISH", self._keys.channel(name), text)]
        if self._has_screen[name]:
            tables = zlib.compress(to_json(snapshot, mode, detail=True), 1)
            commands.insert(0, ("PUBLISH", self._keys.screen(name), tables))
        return [Write(key, [self._connector.pack(command)]) for command in commands]

    async def watch_audience(self, stop: asyncio.Event) -> None:
        """Finds out which underlyings have a screen, until `stop`. None has, where the server does not say."""
        while not stop.is_set():
            try:
                async with self._connector.open() as link:
                    while not await wait_until_set(stop, AUDIENCE_INTERVAL_S):
                        for name in list(self._has_screen):
                            self._has_screen[name] = await self._count_screens(link, name) > 0
            except OSError:
                self._has_screen = dict.fromkeys(self._has_screen, False)
                await wait_until_set(stop, AUDIENCE_INTERVAL_S)

    async def _count_screens(self, link: Link, name: str) -> int:
        node = await link.node_of(self._keys.snapshot(name))
        try:
            _, count = await node.call("PUBSUB", "NUMSUB", self._keys.screen(name))
        except ReplyError:  # this user may not ask
            return 0
        return int(count)
