"""Sink for Redis or Valkey, alone, behind sentinels or as a cluster: pub/sub ticks, capped streams, the latest value.

Snapshots may be conflated: of the channel and the key only the newest is sent, and of the stream's entries that wait
in memory while the server is away or refuses them the oldest give way, and are counted. Prints, changes of the scenario
and alerts may not: they are on disk before they are sent, and are sent in order, a batch in one transaction. What was
sent without a reply is sent again: `session` with `seq` or `id` tells a repeat.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Final

import msgspec

from dfmon.aio import wait_until_set
from dfmon.engine.hub import SnapshotHub
from dfmon.model.snapshot import FlowSnapshot, State
from dfmon.model.units import sanitize
from dfmon.sinks.base import HubListener, SinkProgress, SinkStatus, jittered_backoff_s, log, new_session
from dfmon.sinks.events import EventReader
from dfmon.sinks.redis_backlog import Backlog, EventBacklog, SnapshotBacklog
from dfmon.sinks.redis_connection import RefusedError
from dfmon.sinks.redis_routing import Link, RedisConnector, Write
from dfmon.sinks.redis_schema import RedisKeys, add_command, stream_fields
from dfmon.sinks.redis_ticks import Ticks
from dfmon.sinks.redis_url import RedisTarget, parse_redis_url
from dfmon.sinks.spill import SpillQueue

BATCH: Final = 100  # stream entries in one write; larger ones are not cheaper per entry
REFUSED_DELAY_S: Final = 5.0  # between two tries of entries that the server refuses
MAX_RECONNECT_S: Final = 5.0  # between two tries to connect
SHUTDOWN_GRACE_S: Final = 1.0  # time for the server to take the last entries once everything else has stopped
SPILL_BYTES: Final = 64 << 20


class RedisCounts(msgspec.Struct, frozen=True):
    """Each produced entry is in one of the other counts. Repeats are not in `delivered`."""

    snapshots: int
    snapshots_delivered: int
    snapshots_conflated: int
    snapshots_waiting: int
    events: int  # of this session, and those that earlier ones left
    events_delivered: int
    events_waiting: int
    events_lost: int


class RedisStream:
    """Sink with a link to a target.

    `maxlen`: approximate length of each stream. `outbox`: snapshots of each underlying that wait while the server is
    away. `spill`: the folder for events that wait, in memory without one, up to `spill_bytes` of each underlying.
    `timeout_s`: time for the replies to a write, after which the connection is closed.
    """

    def __init__(
        self,
        target: RedisTarget | str,
        prefix: str = "dfmon",
        maxlen: int = 100_000,
        outbox: int = 1000,
        *,
        spill: Path | None = None,
        spill_bytes: int = SPILL_BYTES,
        timeout_s: float = 10.0,
        first_delay_s: float = 0.5,
    ) -> None:
        """Raises UsageError if the package is missing or the URL is invalid. Does not connect."""
        self.name = "redis"
        self.progress = SinkProgress()
        self.session = new_session()
        self._target = parse_redis_url(target) if isinstance(target, str) else target
        self.display_url = self._target.display_url
        self._connector = RedisConnector(self._target, timeout_s)
        self._keys = RedisKeys(prefix, tagged=self._target.topology == "cluster")
        self._maxlen, self._outbox_limit = maxlen, outbox
        self._spill_folder, self._spill_bytes = spill, spill_bytes
        self._first_delay_s = first_delay_s
        self._hub: SnapshotHub | None = None  # whose events are read
        self._readers: dict[str, EventReader] = {}
        self._snapshots: dict[str, SnapshotBacklog] = {}
        self._events: dict[str, EventBacklog] = {}
        self._ticks = Ticks(self._keys, self._connector)
        self._published = self._overtaken = 0
        self._events_arrived, self._work_available = asyncio.Event(), asyncio.Event()
        self._collection_done = False

    def __repr__(self) -> str:
        return f"RedisStream({self.display_url!r})"

    # ---- state -------------------------------------------------------------------------------------------------------

    def counts(self) -> RedisCounts:
        """The entries by where they are; while nothing is under way the sums are exact."""
        snapshots, events = self._snapshots.values(), self._events.values()
        return RedisCounts(
            snapshots=self._published,
            snapshots_delivered=sum(backlog.delivered for backlog in snapshots),
            snapshots_conflated=self._overtaken + sum(backlog.conflated for backlog in snapshots),
            snapshots_waiting=self.waiting,
            events=sum(r.count for r in self._readers.values()) + sum(backlog.spill.inherited for backlog in events),
            events_delivered=sum(backlog.delivered for backlog in events),
            events_waiting=sum(backlog.waiting for backlog in events),
            events_lost=sum(backlog.lost for backlog in events),
        )

    @property
    def waiting(self) -> int:
        """Snapshots for the streams that the server has not taken yet."""
        return sum(backlog.waiting for backlog in self._snapshots.values())

    def status(self) -> SinkStatus:
        """`sent` and `dropped` count the snapshots of the streams; the note has the events that wait or are lost."""
        progress, counts = self.progress, self.counts()
        parts = [progress.note]
        parts += [f"{counts.snapshots_waiting} waiting"] if counts.snapshots_waiting else []
        parts += [f"{counts.events_waiting} events waiting"] if counts.events_waiting else []
        spill_error = next((backlog.spill.error for backlog in self._events.values() if backlog.spill.error), "")
        parts += [f"{counts.events_lost} events lost"] if counts.events_lost else []
        fault = f"events cannot be spilled: {spill_error}" if spill_error else ""
        note = "; ".join(filter(None, (*parts, fault)))
        return SinkStatus(
            self.name, progress.state, counts.snapshots_delivered, counts.snapshots_conflated, note, fault
        )

    # ---- the run -----------------------------------------------------------------------------------------------------

    async def run(self, hub: SnapshotHub, stop: asyncio.Event) -> None:
        """Sends until `stop`. Errors of the server or the connection lead to another try, not to an exception."""
        self._follow_events(hub)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(None) as limit, asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._store_events())
                    tasks.create_task(self._ticks.watch_audience(stop))
                    tasks.create_task(self._send_with_reconnect(hub, stop))
                    await self._collect_snapshots(hub, stop)
                    limit.reschedule(asyncio.get_running_loop().time() + SHUTDOWN_GRACE_S)
        finally:
            if stop.is_set():
                for backlog in self._events.values():
                    backlog.close()
            self._sum_up()

    def _sum_up(self) -> None:
        counts = self.counts()
        self.progress.sent, self.progress.dropped = counts.snapshots_delivered, counts.snapshots_conflated
        self.progress.lost = counts.snapshots_conflated + counts.snapshots_waiting + counts.events_lost
        self.progress.set_state("off")
        if counts.events_waiting:
            place = f"in {self._spill_folder} for the next start" if self._spill_folder else "in memory, and are lost"
            log.warning("redis: %d events wait %s", counts.events_waiting, place)

    def _follow_events(self, hub: SnapshotHub) -> None:
        """Reads the events of every snapshot from now on; that of a restarted sink are read already."""
        if self._hub is not hub:
            self._hub = hub
            if (
                hub.session and hub.mode != "replay"
            ):  # two replays of a recording are two runs, with events of their own
                self.session = hub.session
            hub.add_listener(self._on_snapshot)

    def _on_snapshot(self, snapshot: FlowSnapshot) -> None:
        self._published += 1
        name = snapshot.underlying
        if (reader := self._readers.get(name)) is None:
            reader = self._readers[name] = EventReader(self.session)
        if events := reader.read(snapshot):
            self._event_backlog(name).append(events)
            self._events_arrived.set()

    def _event_backlog(self, name: str) -> EventBacklog:
        if (backlog := self._events.get(name)) is None:
            spill = SpillQueue(self._spill_folder, name, self.session, self._spill_bytes)
            backlog = EventBacklog(self._keys.events(name), self._maxlen, self._connector.pack, spill)
            self._events[name] = backlog
        return backlog

    async def _store_events(self) -> None:
        if self._spill_folder is not None:  # those of the last run wait for no new one
            for path in self._spill_folder.glob("*-*.jsonl"):
                self._event_backlog(path.name.rpartition("-")[0])
            self._work_available.set()
        while not self._collection_done or any(backlog.waiting > backlog.ready for backlog in self._events.values()):
            await self._events_arrived.wait()
            self._events_arrived.clear()
            for backlog in list(self._events.values()):
                await backlog.store()
            self._work_available.set()

    async def _collect_snapshots(self, hub: SnapshotHub, stop: asyncio.Event) -> None:
        self._collection_done = False
        listener = HubListener(hub)
        follower = listener.follower()
        self._published += len(hub.underlyings())  # those that were there before
        async with aclosing(follower.follow(stop)) as snapshots:
            async for snapshot in snapshots:
                self._overtaken += follower.take_overtaken()
                name = snapshot.underlying
                key = self._keys.stream(name)
                backlog = self._snapshots.setdefault(name, SnapshotBacklog(key, self._outbox_limit))
                # packed: an outbox of snapshots would keep their heat-maps and tapes in memory too
                fields = stream_fields(snapshot, hub.mode, self.session)
                backlog.append(self._connector.pack(add_command(key, self._maxlen, fields)))
                self._ticks.add(snapshot)
                self._work_available.set()
        self._collection_done = True
        for refused in self._backlogs():
            refused.retry_at = 0.0  # a last try
        self._events_arrived.set()
        self._work_available.set()

    def _backlogs(self) -> list[Backlog]:
        """The events of an underlying before its snapshots."""
        return [*self._events.values(), *self._snapshots.values()]

    async def _send_with_reconnect(self, hub: SnapshotHub, stop: asyncio.Event) -> None:
        attempt = 0
        while not stop.is_set():
            delivered = self._delivered
            is_first = self.progress.state not in ("away", "refused")  # which last until something is taken
            if is_first:
                self.progress.set_state("connecting", self.display_url)
            try:
                async with self._connector.open() as link:
                    if is_first:
                        self.progress.set_state("sending", self.display_url)
                    await self._send_until_done(link, hub)
            except OSError as exc:
                attempt = 0 if self._delivered > delivered else attempt
                delay = jittered_backoff_s(attempt, self._first_delay_s, MAX_RECONNECT_S)
                message = f"{self._redact(exc)}; next try in {math.ceil(delay)} s"
                state = "refused" if isinstance(exc, RefusedError) else "away"
                self.progress.set_state(state, f"{self.display_url}: {message}")
                log.debug("redis %s: %s", self.display_url, message)  # the conditions log the status
                attempt += 1
                await wait_until_set(stop, delay)

    @property
    def _delivered(self) -> int:
        return sum(backlog.delivered for backlog in self._backlogs())

    async def _send_until_done(self, link: Link, hub: SnapshotHub) -> None:
        while True:
            self._work_available.clear()
            while self._ticks.waiting or self._ready_backlogs():
                await self._send_batch(link, hub.mode)
            if not any(backlog.waiting for backlog in self._backlogs()):
                if self._collection_done:
                    return
                self._note_refusal(())
            await self._work_available.wait()

    def _ready_backlogs(self) -> list[Backlog]:
        """Streams with entries to send now: a refused one is tried again after a while."""
        now = asyncio.get_running_loop().time()
        return [backlog for backlog in self._backlogs() if backlog.ready and backlog.retry_at <= now]

    async def _send_batch(self, link: Link, mode: State) -> None:
        ready = self._ready_backlogs()
        share = max(BATCH // max(len(ready), 1), 1)
        batches = [(backlog, await backlog.peek(share)) for backlog in ready]
        writes = [Write(backlog.key, commands) for backlog, commands in batches]  # none where the disk cannot be read
        with self._ticks.taken(mode) as ticks:
            outcomes = await link.send([*writes, *ticks])
        loop = asyncio.get_running_loop()
        for (backlog, commands), outcome in zip(batches, outcomes):
            if outcome is None and commands:
                backlog.retry_at = 0.0
                await backlog.take(len(commands))
            else:
                backlog.retry_at = loop.time() + REFUSED_DELAY_S
                loop.call_later(REFUSED_DELAY_S, self._work_available.set)
        self.progress.sent = sum(backlog.delivered for backlog in self._snapshots.values())
        self._note_refusal(filter(None, outcomes))

    def _note_refusal(self, refusals: Iterable[Exception]) -> None:
        """Notes the first refusal of this round, or that there is none any more."""
        if (refusal := next(iter(refusals), None)) is not None:
            state = "away" if isinstance(refusal, ConnectionError) else "refused"
            self.progress.set_state(state, f"{self.display_url}: {self._redact(refusal)}")
        elif self.progress.state != "sending" and not any(backlog.retry_at for backlog in self._backlogs()):
            self.progress.set_state("sending", self.display_url)

    def _redact(self, exc: Exception) -> str:
        return sanitize(self._target.redact(str(exc) or "no response in time"))
