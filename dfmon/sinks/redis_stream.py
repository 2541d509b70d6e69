"""Snapshots for Redis or Valkey: a pub/sub channel, a capped stream as history, and the latest value as a key.

    dfmon:<UNDERLYING>            PUBLISH  the complete JSON object
    dfmon:stream:<UNDERLYING>     XADD     flat fields for redis-cli, and `json`: the object without its long rows
    dfmon:snapshot:<UNDERLYING>   SET      the complete JSON object

While the server is slow or away, stream entries wait in a bounded outbox, whose oldest are dropped and counted; of the
channel and the key only the newest value is sent. An entry whose reply was lost is sent again: readers deduplicate by
`seq`.
"""

from __future__ import annotations

import asyncio
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
        self._outbox: Outbox[bytes] = Outbox(outbox)
        self._newest: dict[str, FlowSnapshot] = {}
        self._work_available = asyncio.Event()
        self._collection_done = False

    def __repr__(self) -> str:
        return f"RedisStream({self.display_url!r})"

    def status(self) -> SinkStatus:
        """`sent` and `dropped` count stream entries."""
        progress = self.progress
        backlog = f"{len(self._outbox)} waiting" if self._outbox else ""
        note = "; ".join(part for part in (progress.note, backlog) if part)
        return SinkStatus(self.name, progress.state, progress.sent, progress.dropped + self._outbox.dropped, note)

    async def run(self, hub: SnapshotHub, stop: asyncio.Event) -> None:
        """Sends until `stop`. Errors of the server or the connection lead to another try, not to an exception."""
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(None) as limit, asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._send_with_reconnect(hub, stop))
                    await self._collect_snapshots(hub, stop)
                    limit.reschedule(asyncio.get_running_loop().time() + SHUTDOWN_GRACE_S)
        finally:
            self.progress.set_state("off")

    async def _collect_snapshots(self, hub: SnapshotHub, stop: asyncio.Event) -> None:
        self._collection_done = False
        follower = HubListener(hub).follower()
        async with aclosing(follower.follow(stop)) as snapshots:
            async for snapshot in snapshots:
                self.progress.dropped += follower.take_overtaken()
                self._outbox.append_item(self._entry_command(snapshot, hub.mode))
                self._newest[snapshot.underlying] = snapshot
                self._work_available.set()
        self._collection_done = True
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
        while not self._collection_done or self._newest or self._outbox:
            await self._work_available.wait()
            self._work_available.clear()
            while self._newest or self._outbox:
                await self._send_batch(connection, hub.mode)

    async def _send_batch(self, connection: RedisConnection, mode: State) -> None:
        entries = self._outbox.pop_items(BATCH)
        newest, self._newest = self._newest, {}
        ticks = [command for snapshot in newest.values() for command in self._tick_commands(snapshot, mode)]
        try:
            rejected = await connection.send_commands(entries + ticks)
        except BaseException:
            self._outbox.requeue_items(entries)
            self._newest = newest | self._newest
            self._work_available.set()
            raise
        rejected_entries = sum(at < len(entries) for at in rejected)
        self.progress.sent += len(entries) - rejected_entries
        self.progress.dropped += rejected_entries
        if rejected:
            self.progress.set_state("refused", f"{self.display_url}: {self._redact(next(iter(rejected.values())))}")
        elif self.progress.state != "sending":
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
