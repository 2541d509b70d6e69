"""The parts that sinks share: status, latest snapshots, and restarts with back-off.

A sink is a task on the market's loop that passes snapshots from the hub on to stdout, Redis or HTTP. A slow reader
costs snapshots, which are counted; a sink that raises is restarted by `supervise`. The engine is never affected.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import secrets
import time
import weakref
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

from dfmon.aio import wait_until_set
from dfmon.engine.hub import SnapshotHub
from dfmon.model.backoff import backoff_delay
from dfmon.model.snapshot import FlowSnapshot
from dfmon.model.units import sanitize

MAX_BACKOFF_S: Final = 30.0
BACKOFF_RESET_S: Final = 60.0  # a sink that ran this long has recovered: the next error starts from a short delay

log = logging.getLogger("dfmon.sinks")


def new_session() -> str:
    """The name of a run: two do not share one, and a later one sorts behind."""
    return f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(4)}"


class SinkStatus(msgspec.Struct, frozen=True):
    """State of a sink: `state` in a word or two, `sent` and `dropped` in snapshots, `note` with the reason.

    `fault` is a trouble of its own beside the state, such as a disk that is full while the server is away.
    """

    name: str
    state: str
    sent: int
    dropped: int
    note: str
    fault: str = ""

    def __str__(self) -> str:
        """One phrase for the sinks line of the screen."""
        dropped = f", {self.dropped} dropped" if self.dropped else ""
        note = f" ({self.note})" if self.note else ""
        return f"{self.name} {self.state}{dropped}{note}"


@dataclass(slots=True)
class SinkProgress:
    """The mutable part of a SinkStatus; written by the sink and its supervisor, on the market's loop."""

    state: str = "off"
    note: str = ""
    sent: int = 0
    dropped: int = 0
    lost: int = 0  # those of `dropped` that its reader was promised; known at the end

    def set_state(self, state: str, note: str = "") -> None:
        self.state, self.note = state, sanitize(note)

    def status(self, name: str) -> SinkStatus:
        return SinkStatus(name, self.state, self.sent, self.dropped, self.note)


class Sink(Protocol):
    """An output of snapshots. `run` returns after `stop`; if it raises, `supervise` runs it again."""

    name: str
    progress: SinkProgress

    async def run(self, hub: SnapshotHub, stop: asyncio.Event) -> None: ...

    def status(self) -> SinkStatus: ...


class Follower(Protocol):
    """A reader of all snapshots of a hub, on the market's loop."""

    def offer(self, snapshot: FlowSnapshot) -> None: ...


class HubListener:
    """One listener on a hub for any number of followers.

    The hub keeps its listeners for good, so both links are weak: followers and listeners that are no longer used are
    collected. `published_at_s` is when each underlying was last published, by the monotonic clock: a replayed snapshot
    has a time of the past.
    """

    def __init__(self, hub: SnapshotHub) -> None:
        now = time.monotonic()
        self.hub = hub
        self.published_at_s = dict.fromkeys(hub.underlyings(), now)
        self._followers: weakref.WeakSet[Follower] = weakref.WeakSet()
        listener = weakref.ref(self)

        def notify(snapshot: FlowSnapshot) -> None:
            if (owner := listener()) is not None:
                owner.on_snapshot(snapshot)

        hub.add_listener(notify)

    def follower(self, underlying: str | None = None) -> LatestSnapshots:
        """A follower that starts with the latest snapshots; `underlying` limits it to one underlying."""
        follower = LatestSnapshots(self, underlying)
        self.add(follower)
        return follower

    def add(self, follower: Follower) -> None:
        """Offers each snapshot to `follower` from now on, as long as somebody else refers to it."""
        self._followers.add(follower)

    def on_snapshot(self, snapshot: FlowSnapshot) -> None:
        self.published_at_s[snapshot.underlying] = time.monotonic()
        for follower in self._followers:
            follower.offer(snapshot)


class LatestSnapshots:
    """The newest unread snapshot of each underlying, and a count of those that were overtaken by a newer one."""

    def __init__(self, listener: HubListener, underlying: str | None = None) -> None:
        self._overtaken = 0
        self._listener = listener  # keeps it alive
        self._underlying = underlying
        self._pending: dict[str, FlowSnapshot] = {}
        self._changed = asyncio.Event()
        for name in listener.hub.underlyings():
            if (snapshot := listener.hub.latest(name)) is not None:
                self.offer(snapshot)

    def offer(self, snapshot: FlowSnapshot) -> None:
        if self._underlying not in (None, snapshot.underlying):
            return
        self._overtaken += snapshot.underlying in self._pending
        self._pending[snapshot.underlying] = snapshot
        self._changed.set()

    def take_overtaken(self) -> int:
        """The number of overtaken snapshots since the last call."""
        overtaken, self._overtaken = self._overtaken, 0
        return overtaken

    async def follow(self, *stop_events: asyncio.Event) -> AsyncGenerator[FlowSnapshot, None]:
        """Snapshots as they arrive, until one of `stop_events` is set and none is pending."""
        waiters = [asyncio.ensure_future(stop_event.wait()) for stop_event in stop_events]
        for waiter in waiters:
            waiter.add_done_callback(lambda _: self._changed.set())
        try:
            while self._pending or not any(stop_event.is_set() for stop_event in stop_events):
                await self._changed.wait()
                self._changed.clear()
                while self._pending:
                    yield self._pending.pop(next(iter(self._pending)))
        finally:
            for waiter in waiters:
                waiter.cancel()


def jittered_backoff_s(attempt: int, first_delay_s: float, max_delay_s: float = MAX_BACKOFF_S) -> float:
    """Seconds before retry `attempt` (0, 1, …), with full jitter, so that many clients do not return at once."""
    return random.uniform(0.0, backoff_delay(attempt, first_delay_s, max_delay_s))


async def supervise(sink: Sink, hub: SnapshotHub, stop: asyncio.Event, *, first_delay_s: float = 0.5) -> None:
    """Runs `sink` until it ends or `stop` is set, and restarts it whenever it raises.

    Raises nothing but cancellation. Each error is logged once and shown in the sink's status.
    """
    attempt = 0
    while not stop.is_set():
        started = time.monotonic()
        try:
            await sink.run(hub, stop)
            return
        except Exception as exc:
            error = _root_cause(exc)
        attempt = 0 if time.monotonic() - started > BACKOFF_RESET_S else attempt
        delay = jittered_backoff_s(attempt, first_delay_s)
        attempt += 1
        message = sanitize(str(error) or type(error).__name__)
        log.error("sink %s failed: %s (%s); starting again in %.1f s", sink.name, message, type(error).__name__, delay)
        log.debug("sink %s", sink.name, exc_info=error)
        sink.progress.set_state("restarting", f"{message}; next try in {math.ceil(delay)} s")
        await wait_until_set(stop, delay)
    sink.progress.set_state("off")


def _root_cause(exc: BaseException) -> BaseException:
    while isinstance(exc, BaseExceptionGroup):
        exc = exc.exceptions[0]
    return exc
