"""A session on other dfmons: receives the snapshots of all sources and publishes the first of each tick into a hub.

The sources are among the feeds of every snapshot, with their age, restarts, gaps and how they disagree with what is
shown. While nothing arrives the screen says STALE by itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import aclosing
from typing import Final

from msgspec.structs import replace

from dfmon.aio import run_until_set, wait_until_set
from dfmon.engine.hub import Request, Runtime, SnapshotHub
from dfmon.model.errors import DfmonError, RefusedError
from dfmon.model.snapshot import Feed
from dfmon.model.units import sanitize
from dfmon.runtime.attach.arrivals import Arrivals, SchemaError, SourceState, read_snapshot
from dfmon.runtime.attach.sources import SnapshotSource
from dfmon.sinks.base import Sink, jittered_backoff_s, supervise

REFRESH_S: Final = 1.0  # between two looks at the sources while none of them sends
MAX_RETRY_S: Final = 5.0
REFUSED_RETRY_S: Final = 30.0
FIRST_RETRY_S: Final = 0.25


class AttachSession:
    """Sources as a session; requests of the screen have no effect on the dfmons that compute."""

    losses: tuple[str, ...] = ()

    def __init__(self, sources: Sequence[SnapshotSource], sinks: Sequence[Sink] = ()) -> None:
        self.hub = SnapshotHub()
        self._sinks = sinks
        self._arrivals = Arrivals()
        names = {place: f"source{number}" for number, place in enumerate(dict.fromkeys(s.place for s in sources), 1)}
        self._states = {place: SourceState(name, place) for place, name in names.items()}
        self._sources = tuple(sources)
        self._refused: dict[SnapshotSource, SchemaError] = {}
        self._note = ""

    async def run(self, stop: asyncio.Event) -> None:
        """Runs until `stop`. Raises DfmonError once every source is refused."""
        async with asyncio.TaskGroup() as tasks:
            for sink in self._sinks:
                tasks.create_task(supervise(sink, self.hub, stop))
            for source in self._sources:
                tasks.create_task(self._follow(source, stop))
            tasks.create_task(self._refresh(stop))

    def submit(self, request: Request) -> None:
        """Notes that a request has no effect here."""
        self._note = f"attached: {request.kind} is set where the snapshots are computed"

    async def _follow(self, source: SnapshotSource, stop: asyncio.Event) -> None:
        """Receives from one source, and connects again whenever it is lost."""
        state, attempt = self._states[source.place], 0
        while not stop.is_set():
            arrived_ns, retry_s = state.arrived_ns.get(source.underlying), MAX_RETRY_S
            try:
                await run_until_set(stop, self._receive(source, state))
            except SchemaError as exc:
                self._refuse(source, exc)
                return
            except (DfmonError, OSError) as exc:
                state.problems[source.underlying] = sanitize(str(exc) or "no response in time")
                if isinstance(exc, RefusedError):
                    retry_s = REFUSED_RETRY_S
            is_lost = state.arrived_ns.get(source.underlying) != arrived_ns
            state.reconnects += is_lost
            attempt = 0 if is_lost else attempt + 1
            first_s = FIRST_RETRY_S if retry_s == MAX_RETRY_S else retry_s
            await wait_until_set(stop, jittered_backoff_s(attempt, first_s, retry_s))

    async def _receive(self, source: SnapshotSource, state: SourceState) -> None:
        async with aclosing(source.bodies()) as bodies:
            async for body in bodies:
                snapshot = read_snapshot(body, source.place)
                if snapshot.state != "stale":
                    self.hub.mode = snapshot.state
                now_ns = time.time_ns()
                if self._arrivals.offer(state, snapshot, now_ns):
                    shown = self._arrivals.shown(snapshot.underlying, now_ns)
                    self.hub.publish(replace(shown, feeds=(*self._feeds(), *shown.feeds)))

    def _refuse(self, source: SnapshotSource, error: SchemaError) -> None:
        self._states[source.place].problems[source.underlying] = sanitize(str(error))
        self._refused[source] = error
        if len(self._refused) == len(self._sources):
            raise error

    def _feeds(self) -> tuple[Feed, ...]:
        now_ns = time.time_ns()
        return tuple(state.feed(now_ns, self._arrivals.disagreement(state)) for state in self._states.values())

    async def _refresh(self, stop: asyncio.Event) -> None:
        """Shows the state of the sources also while they send nothing, and what is silent as stale."""
        while not await wait_until_set(stop, REFRESH_S):
            feeds = self._feeds()
            troubled = [feed for feed in feeds if feed.state != "live"]
            notes = (f"{feed.name} {feed.state}: {feed.note}" for feed in troubled)
            self.hub.runtime = Runtime(
                note="; ".join(filter(None, (self._note, *notes))),
                sinks=tuple(str(sink.status()) for sink in self._sinks),
                degraded=tuple(f"{feed.name}: {feed.state}, {feed.note}" for feed in troubled),
                interval_s=self._arrivals.interval_s(),
                attached=True,
            )
            for snapshot in self._arrivals.silent(time.time_ns()):
                self.hub.publish(replace(snapshot, feeds=(*feeds, *snapshot.feeds)))
