"""What every sink shares: its state in words, the newest snapshots, a bounded outbox, and restarts with back-off.

A sink is a task on the market's loop. It learns of snapshots from the hub through `Latest` and hands them to the
outside (stdout, Redis, HTTP). Whatever happens out there stays there: a slow reader costs snapshots, which are
counted, and a sink that raises is started again by `supervise`. The engine never waits and never hears of it.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
import weakref
from collections import deque
from collections.abc import AsyncGenerator, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

import msgspec

from dfmon.engine.hub import SnapshotHub
from dfmon.model.snapshot import FlowSnapshot
from dfmon.model.units import clean

MAX_DELAY_S: Final = 30.0
HEALTHY_S: Final = 60.0  # a sink that ran this long has recovered: the next fault starts from a short delay again

log = logging.getLogger("dfmon.sinks")
Item = TypeVar("Item")


class SinkStatus(msgspec.Struct, frozen=True):
    """How a sink is doing: `state` in a word or two, `sent` and `dropped` in snapshots, `note` says why."""

    name: str
    state: str
    sent: int
    dropped: int
    note: str

    def __str__(self) -> str:
        """One phrase for the sinks line of the screen."""
        dropped = f", {self.dropped} dropped" if self.dropped else ""
        note = f" ({self.note})" if self.note else ""
        return f"{self.name} {self.state}{dropped}{note}"


@dataclass(slots=True)
class Progress:
    """The mutable side of a SinkStatus; written by the sink and its supervisor, on the market's loop."""

    state: str = "off"
    note: str = ""
    sent: int = 0
    dropped: int = 0

    def say(self, state: str, note: str = "") -> None:
        self.state, self.note = state, clean(note)

    def status(self, name: str) -> SinkStatus:
        return SinkStatus(name, self.state, self.sent, self.dropped, self.note)


class Sink(Protocol):
    """Something that shows snapshots elsewhere. `run` returns after `stop`; whatever it raises is survived."""

    name: str
    progress: Progress

    async def run(self, hub: SnapshotHub, stop: asyncio.Event) -> None: ...

    def status(self) -> SinkStatus: ...


class Bell:
    """One listener on a hub, for any number of followers that come and go.

    The hub's listeners stay for its life, so both links are weak: a follower that nobody reads vanishes, and a bell
    without an owner leaves a call that does nothing. `heard` is when each underlying was last published, by the
    monotonic clock: the age of a replayed snapshot cannot be told from its own time.
    """

    def __init__(self, hub: SnapshotHub) -> None:
        now = time.monotonic()
        self.hub = hub
        self.heard = dict.fromkeys(hub.underlyings(), now)
        self._followers: weakref.WeakSet[Latest] = weakref.WeakSet()
        bell = weakref.ref(self)

        def tell(snapshot: FlowSnapshot) -> None:
            if (alive := bell()) is not None:
                alive.ring(snapshot)

        hub.listen(tell)

    def latest(self, only: str | None = None) -> Latest:
        """A follower that starts with what is there; `only` limits it to one underlying."""
        latest = Latest(self, only)
        self._followers.add(latest)
        return latest

    def ring(self, snapshot: FlowSnapshot) -> None:
        self.heard[snapshot.underlying] = time.monotonic()
        for latest in self._followers:
            latest.offer(snapshot)


class Latest:
    """The newest snapshot of each underlying, every one at most once, and a count of those that were overtaken."""

    def __init__(self, bell: Bell, only: str | None = None) -> None:
        self._missed = 0
        self._bell = bell  # keeps it ringing
        self._only = only
        self._due: dict[str, FlowSnapshot] = {}
        self._changed = asyncio.Event()
        for name in bell.hub.underlyings():
            if (snapshot := bell.hub.latest(name)) is not None:
                self.offer(snapshot)

    def offer(self, snapshot: FlowSnapshot) -> None:
        if self._only not in (None, snapshot.underlying):
            return
        self._missed += snapshot.underlying in self._due
        self._due[snapshot.underlying] = snapshot
        self._changed.set()

    def take_missed(self) -> int:
        """How many were overtaken since the last call."""
        missed, self._missed = self._missed, 0
        return missed

    async def follow(self, *ends: asyncio.Event) -> AsyncGenerator[FlowSnapshot, None]:
        """Snapshots as they come, until one of `ends` is set; what was due by then is still given."""
        endings = [asyncio.ensure_future(end.wait()) for end in ends]
        for ending in endings:
            ending.add_done_callback(lambda _: self._changed.set())
        try:
            while self._due or not any(end.is_set() for end in ends):
                await self._changed.wait()
                self._changed.clear()
                while self._due:
                    yield self._due.pop(next(iter(self._due)))
        finally:
            for ending in endings:
                ending.cancel()


class Outbox(Generic[Item]):
    """A queue that holds at most `limit` items: when it is full, the oldest makes room and is counted."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.dropped = 0
        self._items: deque[Item] = deque()  # bounded by `limit` in `put`

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: Item) -> None:
        self._items.append(item)
        self._trim()

    def take(self, most: int) -> list[Item]:
        """Up to `most` of the oldest, removed."""
        return [self._items.popleft() for _ in range(min(most, len(self._items)))]

    def give_back(self, items: Iterable[Item]) -> None:
        """Items of `take` that did not get out; they are first in line again."""
        self._items.extendleft(reversed(list(items)))
        self._trim()

    def _trim(self) -> None:
        while len(self._items) > self.limit:
            self._items.popleft()
            self.dropped += 1


def backoff(attempt: int, first: float = 0.5) -> float:
    """Seconds before try `attempt` (0, 1, …): full jitter, so that many clients do not come back at once."""
    return random.uniform(0.0, min(MAX_DELAY_S, first * 2.0 ** min(attempt, 16)))


async def pause(stop: asyncio.Event, seconds: float) -> None:
    """Wait, but not beyond `stop`."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()


async def supervise(sink: Sink, hub: SnapshotHub, stop: asyncio.Event, *, first_delay: float = 0.5) -> None:
    """Run `sink` until it ends or `stop` is set, and start it again whenever it raises.

    Nothing but cancellation leaves here. Each fault is logged once and shown in the sink's status.
    """
    attempt = 0
    while not stop.is_set():
        started = time.monotonic()
        try:
            await sink.run(hub, stop)
            return
        except Exception as exc:
            fault = _cause(exc)
        attempt = 0 if time.monotonic() - started > HEALTHY_S else attempt
        delay = backoff(attempt, first_delay)
        attempt += 1
        words = clean(str(fault) or type(fault).__name__)
        log.error("sink %s failed: %s (%s); starting again in %.1f s", sink.name, words, type(fault).__name__, delay)
        log.debug("sink %s", sink.name, exc_info=fault)
        sink.progress.say("restarting", f"{words}; next try in {delay:.0f} s")
        await pause(stop, delay)
    sink.progress.say("off")


def _cause(exc: BaseException) -> BaseException:
    while isinstance(exc, BaseExceptionGroup):
        exc = exc.exceptions[0]
    return exc
