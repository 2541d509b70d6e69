"""Entries that wait for Redis, by stream: snapshots in memory, of which the oldest give way, and events on disk.

Both hand out batches: `peek` returns the oldest as packed commands, `take` removes those that the server has taken.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import msgspec

from dfmon.sinks.events import Event
from dfmon.sinks.redis_connection import Part
from dfmon.sinks.redis_schema import add_command, event_fields
from dfmon.sinks.spill import MEMORY_LINES, SpillQueue

_DECODER: Final = msgspec.json.Decoder(Event)


class Backlog(Protocol):
    """Entries of one stream. `retry_at` is the time of the event loop before which a refused stream waits."""

    key: str
    delivered: int
    retry_at: float

    @property
    def waiting(self) -> int: ...
    @property
    def ready(self) -> int: ...
    async def peek(self, limit: int) -> list[bytes]: ...
    async def take(self, count: int) -> None: ...


class SnapshotBacklog:
    """Packed entries, at most `limit`: beyond that the oldest are conflated."""

    def __init__(self, key: str, limit: int) -> None:
        self.key = key
        self.delivered = self.conflated = 0
        self.retry_at = 0.0
        self._limit = limit
        self._items: deque[bytes] = deque()  # bounded by `limit` in `append`
        self._removed = 0  # items that gave way since the last peek

    @property
    def waiting(self) -> int:
        return len(self._items)

    @property
    def ready(self) -> int:
        return len(self._items)

    def append(self, command: bytes) -> None:
        self._items.append(command)
        while len(self._items) > self._limit:
            self._items.popleft()
            self._removed += 1
            self.conflated += 1

    async def peek(self, limit: int) -> list[bytes]:
        self._removed = 0
        return [self._items[at] for at in range(min(limit, len(self._items)))]

    async def take(self, count: int) -> None:
        """Removes what was delivered. What gave way while it was on its way was delivered all the same."""
        overtaken = min(self._removed, count)
        self.conflated -= overtaken
        self.delivered += count
        for _ in range(count - overtaken):
            self._items.popleft()


class EventBacklog:
    """Events of one underlying in a spill. A line that a damaged disk has made unreadable is left out, and counted."""

    def __init__(self, key: str, maxlen: int, pack: Callable[[tuple[Part, ...]], bytes], spill: SpillQueue) -> None:
        self.key = key
        self.spill = spill
        self.delivered = self.unreadable = 0
        self._overflow = 0  # events for which a disk that hangs left no room
        self.retry_at = 0.0
        self._maxlen, self._pack = maxlen, pack
        self._arrived: deque[Event] = deque()  # bounded in `append`

    @property
    def waiting(self) -> int:
        return len(self._arrived) + self.spill.waiting

    @property
    def ready(self) -> int:
        """Those that are in the spill, from where they are sent."""
        return self.spill.waiting

    @property
    def lost(self) -> int:
        return self.spill.lost + self.unreadable + self._overflow

    def append(self, events: Sequence[Event]) -> None:
        """Takes events on the market's thread; `store` writes them."""
        room = max(MEMORY_LINES - len(self._arrived), 0)
        self._arrived.extend(events[:room])
        self._overflow += len(events[room:])

    async def store(self) -> None:
        """Writes what has arrived to the spill, in a thread."""
        while self._arrived:
            events = list(self._arrived)
            await asyncio.to_thread(self.spill.append, [msgspec.json.encode(event) for event in events])
            for _ in events:
                self._arrived.popleft()

    async def peek(self, limit: int) -> list[bytes]:
        commands: list[bytes] = []
        if not self.spill.waiting:
            return commands
        lines = await asyncio.to_thread(self.spill.peek, limit)
        for line in lines:
            try:
                event = _DECODER.decode(line)
            except msgspec.DecodeError:
                if commands:
                    break  # those before it first
                await asyncio.to_thread(self.spill.take, 1)
                self.unreadable += 1
                continue
            commands.append(self._pack(add_command(self.key, self._maxlen, event_fields(event, line))))
        return commands

    def close(self) -> None:
        """Leaves on disk what waits."""
        self.spill.append([msgspec.json.encode(event) for event in self._arrived])
        self._arrived.clear()
        self.spill.close()

    async def take(self, count: int) -> None:
        await asyncio.to_thread(self.spill.take, count)
        self.delivered += count
