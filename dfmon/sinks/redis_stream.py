"""Snapshots for Redis or Valkey: a pub/sub tick, a stream to look back on, and the newest value for late joiners.

    dfmon:<UNDERLYING>            PUBLISH  the whole JSON object
    dfmon:stream:<UNDERLYING>     XADD     flat fields for redis-cli, and `json`: the object without its long rows
    dfmon:snapshot:<UNDERLYING>   SET      the whole JSON object

One write a refresh, and as many replies to count. While the server is slow or away, stream entries wait in a bounded
outbox, whose oldest are dropped and counted; ticks and newest values are only ever the newest. An entry whose reply
was lost is sent again: readers that must not see one twice go by `seq`.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from typing import Final

import msgspec

from dfmon.engine.hub import SnapshotHub
from dfmon.model.snapshot import FlowSnapshot, State, to_json
from dfmon.sinks.base import Bell, Outbox, Progress, SinkStatus, backoff, log, pause
from dfmon.sinks.redis_wire import Link, Wire, mask, secrets

__all__ = ["RedisStream", "entry_fields", "mask"]

BATCH: Final = 100  # stream entries in one write; an entry costs no less in a larger one
FAREWELL_S: Final = 1.0  # what the server is given for the last entries once everything else has stopped


class RedisStream:
    """Sink that keeps one connection to `url`, and what it could not send yet.

    `maxlen`: entries a stream keeps, approximately. `outbox`: entries held here while the server is away.
    `patience_s`: how long it may leave a write unanswered before the connection is given up.
    """

    def __init__(
        self,
        url: str,
        prefix: str = "dfmon",
        maxlen: int = 100_000,
        outbox: int = 1000,
        *,
        patience_s: float = 10.0,
        first_delay_s: float = 0.5,
    ) -> None:
        """Raises UsageError when the package is missing or the URL cannot be read. Does not connect."""
        self.name = "redis"
        self.progress = Progress()
        self.where = mask(url)
        self._link = Link(url, patience_s)
        self._secrets = secrets(url)
        self._prefix = prefix
        self._maxlen = maxlen
        self._first_delay_s = first_delay_s
        self._outbox: Outbox[bytes] = Outbox(outbox)
        self._newest: dict[str, FlowSnapshot] = {}
        self._due = asyncio.Event()
        self._collected = False

    def __repr__(self) -> str:
        return f"RedisStream({self.where!r})"

    def status(self) -> SinkStatus:
        """`sent` and `dropped` count stream entries."""
        p = self.progress
        backlog = f"{len(self._outbox)} waiting" if self._outbox else ""
        note = "; ".join(part for part in (p.note, backlog) if part)
        return SinkStatus(self.name, p.state, p.sent, p.dropped + self._outbox.dropped, note)

    async def run(self, hub: SnapshotHub, stop: asyncio.Event) -> None:
        """Send until `stop`. Faults of the server, or of the way there, end in a later try and not in an exception."""
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(None) as limit, asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._keep_sending(hub, stop))
                    await self._collect(hub, stop)
                    limit.reschedule(asyncio.get_running_loop().time() + FAREWELL_S)
        finally:
            self.progress.say("off")

    async def _collect(self, hub: SnapshotHub, stop: asyncio.Event) -> None:
        self._collected = False
        latest = Bell(hub).latest()
        async with aclosing(latest.follow(stop)) as snapshots:
            async for snapshot in snapshots:
                self.progress.dropped += latest.take_missed()
                self._outbox.put(self._entry(snapshot, hub.mode))
                self._newest[snapshot.underlying] = snapshot
                self._due.set()
        self._collected = True
        self._due.set()

    async def _keep_sending(self, hub: SnapshotHub, stop: asyncio.Event) -> None:
        attempt = 0
        while not stop.is_set():
            sent = self.progress.sent
            self.progress.say("connecting", self.where)
            try:
                async with self._link.open() as wire:
                    self.progress.say("sending", self.where)
                    await self._send(wire, hub)
            except self._link.failures as exc:
                attempt = 0 if self.progress.sent > sent else attempt
                delay = backoff(attempt, self._first_delay_s)
                words = f"{self._without_secrets(exc)}; next try in {delay:.0f} s"
                self.progress.say("away", f"{self.where}: {words}")
                (log.debug if attempt else log.warning)("redis %s: %s", self.where, words)
                attempt += 1
                await pause(stop, delay)

    async def _send(self, wire: Wire, hub: SnapshotHub) -> None:
        while not self._collected or self._newest or self._outbox:
            await self._due.wait()
            self._due.clear()
            while self._newest or self._outbox:
                await self._send_batch(wire, hub.mode)

    async def _send_batch(self, wire: Wire, mode: State) -> None:
        entries = self._outbox.take(BATCH)
        newest, self._newest = self._newest, {}
        ticks = [command for snapshot in newest.values() for command in self._ticks(snapshot, mode)]
        try:
            refused = await wire.exchange(entries + ticks)
        except BaseException:
            self._outbox.give_back(entries)
            self._newest = newest | self._newest
            self._due.set()
            raise
        lost = sum(at < len(entries) for at in refused)
        self.progress.sent += len(entries) - lost
        self.progress.dropped += lost
        if refused:
            self.progress.say("refused", f"{self.where}: {self._without_secrets(next(iter(refused.values())))}")
        elif self.progress.state != "sending":
            self.progress.say("sending", self.where)

    def _ticks(self, snapshot: FlowSnapshot, mode: State) -> tuple[bytes, bytes]:
        text = to_json(snapshot, mode)
        return (
            self._link.pack(("SET", f"{self._prefix}:snapshot:{snapshot.underlying}", text)),
            self._link.pack(("PUBLISH", f"{self._prefix}:{snapshot.underlying}", text)),
        )

    def _entry(self, snapshot: FlowSnapshot, mode: State) -> bytes:
        """The XADD, packed at once: an outbox of snapshots would hold their heat-maps and tapes too."""
        fields = entry_fields(snapshot, mode)
        flat = [part for field in fields.items() for part in field]
        key = f"{self._prefix}:stream:{snapshot.underlying}"
        return self._link.pack(("XADD", key, "MAXLEN", "~", self._maxlen, "*", *flat))

    def _without_secrets(self, exc: Exception) -> str:
        text = str(exc) or "no answer in time"
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


def entry_fields(snapshot: FlowSnapshot, mode: State) -> dict[str, str | int | float | bytes]:
    """A stream entry, in the order redis-cli shows it. A missing number is an empty string."""
    slim = msgspec.structs.replace(snapshot, by_expiry=(), by_strike=(), feeds=())
    m, scenario = snapshot.metrics, snapshot.scenario
    numbers = {"spot": snapshot.spot, "ngi": m.ngi.value, "vss": m.vss.value, "chl": m.chl.value}
    numbers |= {"volg": m.volg.value, "hpp": m.hpp.value, "psi": m.psi.value, "flip": snapshot.flip.level}
    return {
        "ts": snapshot.ts,
        "seq": snapshot.seq,
        "state": "stale" if snapshot.state == "stale" else mode,
        **{name: "" if value is None else value for name, value in numbers.items()},
        "bucket": scenario.bucket,
        "scenario": scenario.name,
        "side": scenario.side,
        "coverage": "" if snapshot.positions.coverage is None else snapshot.positions.coverage,
        "json": to_json(slim, mode),
    }
