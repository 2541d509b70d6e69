"""Snapshots for Redis or Valkey: a pub/sub channel, a capped stream as history, and the latest value as a key.

    dfmon:<UNDERLYING>            PUBLISH  the complete JSON object
    dfmon:stream:<UNDERLYING>     XADD     flat fields for redis-cli, and `json`: the object without its long rows
    dfmon:snapshot:<UNDERLYING>   SET      the complete JSON object

While the server is slow or away, or refuses them, stream entries wait in a bounded outbox of each stream, whose oldest
are dropped and counted; of the channel and the key only the newest value is sent. An entry whose reply was lost is sent
again: readers deduplicate by `seq`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import aclosing, suppress
from typing import Final

import msgspec

from dfmon.aio import wait_until_set
from dfmon.engine.hub import SnapshotHub
from dfmon.model.metrics import metrics_at
from dfmon.model.snapshot import FlowSnapshot, State, to_json
from dfmon.sinks.base import HubListener, Outbox, SinkProgress, SinkStatus, jittered_backoff_s, log
from dfmon.sinks.redis_connection import RedisConnection, RedisConnector
from dfmon.sinks.secret_urls import mask_url, redact

BATCH: Final = 100  # stream entries in one write; larger ones are not cheaper per entry
REFUSED_DELAY_S: Final = 5.0  # between two tries of entries that the server refuses
SHUTDOWN_GRACE_S: Final = 1.0  # time for the server to take the last entries once everything else has stopped


class RedisStream:
    """Sink with one connection to `url`.

    `maxlen`: approximate length of each stream. `outbox`: stream entries that wait here while the server is away.
    `timeout_s`: time for the replies to a write, after which the connection is closed.
    """

    def __init__(
        self,
        url: str,
        prefix: str = "dfmon",
        maxlen: int = 100_000,
        outbox: int = 1000,
        *,
        timeout_s: float = 10.0,
        first_delay_s: float = 0.5,
    ) -> None:
        """Raises UsageError if the package is missing or the URL is invalid. Does not connect."""
        self.name = "redis"
        self.progress = SinkProgress()
        self.display_url = mask_url(url)
        self._connector = RedisConnector(url, timeout_s)
        self._url = url
        self._prefix = prefix
        self._maxlen = maxlen
        self._first_delay_s = first_delay_s
        self._outbox_limit = outbox
        self._outboxes: dict[str, Outbox[bytes]] = {}  # by underlying: one stream can be refused without the others
        self._refused_until: dict[str, float] = {}  # underlying -> time of the event loop before which it waits
        self._refusal = ""
        self._newest: dict[str, FlowSnapshot] = {}
        self._work_available = asyncio.Event()
        self._collection_done = False

    def __repr__(self) -> str:
        return f"RedisStream({self.display_url!r})"

    def status(self) -> SinkStatus:
        """`sent` and `dropped` count stream entries."""
        progress = self.progress
        note = "; ".join(part for part in (progress.note, f"{self.waiting} waiting" if self.waiting else "") if part)
        return SinkStatus(self.name, progress.state, progress.sent, progress.dropped + self._overflow, note)

    @property
    def waiting(self) -> int:
        """Stream entries that the server has not taken yet."""
        return sum(len(outbox) for outbox in self._outboxes.values())

    @property
    def _overflow(self) -> int:
        """Stream entries that an outbox had no room for."""
        return sum(outbox.dropped for outbox in self._outboxes.values())

    async def run(self, hub: SnapshotHub, stop: asyncio.Event) -> None:
        """Sends until `stop`. Errors of the server or the connection lead to another try, not to an exception."""
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(None) as limit, asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._send_with_reconnect(hub, stop))
                    await self._collect_snapshots(hub, stop)
                    limit.reschedule(asyncio.get_running_loop().time() + SHUTDOWN_GRACE_S)
        finally:
            self.progress.lost = self.progress.dropped + self._overflow + self.waiting
            self.progress.set_state("off")

    async def _collect_snapshots(self, hub: SnapshotHub, stop: asyncio.Event) -> None:
        self._collection_done = False
        follower = HubListener(hub).follower()
        async with aclosing(follower.follow(stop)) as snapshots:
            async for snapshot in snapshots:
                self.progress.dropped += follower.take_overtaken()
                outbox = self._outboxes.setdefault(snapshot.underlying, Outbox(self._outbox_limit))
                outbox.append_item(self._entry_command(snapshot, hub.mode))
                self._newest[snapshot.underlying] = snapshot
                self._work_available.set()
        self._collection_done = True
        self._refused_until.clear()  # a last try
        self._work_available.set()

    async def _send_with_reconnect(self, hub: SnapshotHub, stop: asyncio.Event) -> None:
        attempt = 0
        while not stop.is_set():
            sent = self.progress.sent
            self.progress.set_state("connecting", self.display_url)
            try:
                async with self._connector.open() as connection:
                    self.progress.set_state("sending", self.display_url)
                    await self._send_until_done(connection, hub)
            except self._connector.failures as exc:
                attempt = 0 if self.progress.sent > sent else attempt
                delay = jittered_backoff_s(attempt, self._first_delay_s)
                message = f"{self._redact(exc)}; next try in {delay:.0f} s"
                self.progress.set_state("away", f"{self.display_url}: {message}")
                (log.debug if attempt else log.warning)("redis %s: %s", self.display_url, message)
                attempt += 1
                await wait_until_set(stop, delay)

    async def _send_until_done(self, connection: RedisConnection, hub: SnapshotHub) -> None:
        while not self._collection_done or self._newest or any(self._outboxes.values()):
            await self._work_available.wait()
            self._work_available.clear()
            while self._newest or self._ready_outboxes():
                await self._send_batch(connection, hub.mode)

    def _ready_outboxes(self) -> list[str]:
        """Underlyings with entries to send now: a refused stream is tried again after a while."""
        now = asyncio.get_running_loop().time()
        return [name for name, outbox in self._outboxes.items() if outbox and self._refused_until.get(name, 0.0) <= now]

    async def _send_batch(self, connection: RedisConnection, mode: State) -> None:
        names = self._ready_outboxes()
        share = max(BATCH // max(len(names), 1), 1)
        entries = [(name, command) for name in names for command in self._outboxes[name].pop_items(share)]
        newest, self._newest = self._newest, {}
        ticks = [command for snapshot in newest.values() for command in self._tick_commands(snapshot, mode)]
        try:
            rejected = await connection.send_commands([command for _, command in entries] + ticks)
        except BaseException:
            self._requeue(entries)
            self._newest = newest | self._newest
            self._work_available.set()
            raise
        refused = [entry for at, entry in enumerate(entries) if at in rejected]
        self._requeue(refused)
        loop = asyncio.get_running_loop()
        self._refused_until |= {name: loop.time() + REFUSED_DELAY_S for name, _ in refused}
        if refused:
            loop.call_later(REFUSED_DELAY_S, self._work_available.set)
        for name in {name for name, _ in entries} - {name for name, _ in refused}:
            self._refused_until.pop(name, None)
        self.progress.sent += len(entries) - len(refused)
        self._note_refusal(rejected)

    def _requeue(self, entries: Sequence[tuple[str, bytes]]) -> None:
        """Puts entries that were not taken back in front of their outboxes, in order."""
        for name in dict.fromkeys(name for name, _ in entries):
            self._outboxes[name].requeue_items(command for other, command in entries if other == name)

    def _note_refusal(self, rejected: Mapping[int, Exception]) -> None:
        """Notes the first refusal of this round, or that there is none any more."""
        if rejected:
            self._refusal = self._redact(next(iter(rejected.values())))
            if self._refusal.startswith("MOVED"):
                self._refusal += ": a cluster; the address of a single server, or of a proxy before it, is needed"
            self.progress.set_state("refused", f"{self.display_url}: {self._refusal}")
        elif self.progress.state != "sending" and not self._refused_until:
            self.progress.set_state("sending", self.display_url)

    def _tick_commands(self, snapshot: FlowSnapshot, mode: State) -> tuple[bytes, bytes]:
        text = to_json(snapshot, mode)
        return (
            self._connector.pack(("SET", f"{self._prefix}:snapshot:{snapshot.underlying}", text)),
            self._connector.pack(("PUBLISH", f"{self._prefix}:{snapshot.underlying}", text)),
        )

    def _entry_command(self, snapshot: FlowSnapshot, mode: State) -> bytes:
        """The packed XADD: an outbox of snapshots would keep their heat-maps and tapes in memory too."""
        fields = stream_fields(snapshot, mode)
        flat = [part for field in fields.items() for part in field]
        key = f"{self._prefix}:stream:{snapshot.underlying}"
        return self._connector.pack(("XADD", key, "MAXLEN", "~", self._maxlen, "*", *flat))

    def _redact(self, exc: Exception) -> str:
        return redact(str(exc) or "no response in time", self._url)


def stream_fields(snapshot: FlowSnapshot, mode: State) -> dict[str, str | int | float | bytes]:
    """Fields of a stream entry, in the order in which redis-cli shows them. A missing number is an empty string."""
    without_rows = msgspec.structs.replace(snapshot, by_expiry=(), by_strike=(), feeds=())
    metrics, scenario = snapshot.metrics, snapshot.scenario
    numbers = {
        "spot": snapshot.spot,
        **{name: getattr(metrics, name).value for name in metrics_at("history")},
        "flip": snapshot.flip.level,
    }
    return {
        "ts": snapshot.ts,
        "seq": snapshot.seq,
        "state": "stale" if snapshot.state == "stale" else mode,
        **{name: "" if value is None else value for name, value in numbers.items()},
        "bucket": "" if scenario.bucket is None else scenario.bucket,
        "scenario": scenario.name,
        "side": scenario.side,
        "coverage": "" if snapshot.positions.coverage is None else snapshot.positions.coverage,
        "json": to_json(without_rows, mode),
    }
