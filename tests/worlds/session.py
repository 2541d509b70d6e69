"""One run of dfmon in a world: the real session with its stores and sinks, as a process that can be killed."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from contextvars import copy_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from dfmon.core.step import FlowParams
from dfmon.engine.checkpoint import priors_digest
from dfmon.engine.driver import Driver
from dfmon.engine.hub import SnapshotHub
from dfmon.model.snapshot import FlowSnapshot, to_json
from dfmon.runtime import composition
from dfmon.runtime.clock import SessionClock
from dfmon.runtime.live_session import LiveSession
from dfmon.sinks.redis_stream import RedisStream
from dfmon.sinks.rest.rest_service import RestService
from dfmon.sinks.rest.settings import RestSettings
from dfmon.store.history import History
from dfmon.store.positions_state import PositionsStateFile
from dfmon.store.recorder import Recorder
from dfmon.store.trades import TradeStore
from dfmon.venues.transport.websockets import open_websockets
from tests.worlds.loop import PROCESS, Pool, Process

if TYPE_CHECKING:
    from tests.worlds.world import World

TOKEN: Final = "correct-horse-battery-staple"
PASSWORD: Final = "hunter2-hunter2"
_FLUSH_S: Final = 0.5  # as the threads of the stores
_DETAIL_EVERY: Final = 20  # snapshots, since nobody else asks for all the tables


class SessionRun:
    """From a start to a stop or a kill. `digests` are those of its snapshots, in order."""

    def __init__(self, world: World, number: int, folder: Path) -> None:
        self.number, self.folder = number, folder
        self.process = Process(f"dfmon {number}")
        self.digests: list[str] = []
        self.newest: FlowSnapshot | None = None
        self.history_times: set[int] = set()
        self.started_s = world.loop.time()
        self._world = world
        self._stop = asyncio.Event()
        context = copy_context()
        context.run(PROCESS.set, self.process)
        self.task = context.run(lambda: asyncio.get_running_loop().create_task(self._main()))
        self.task.add_done_callback(world.on_end_of_run)

    @property
    def driver(self) -> Driver:
        driver = self.session._driver
        assert driver is not None
        return driver

    @property
    def recording(self) -> Path:
        return self.folder / f"recording-{self.number}"

    async def stop(self) -> None:
        """Ends as at a signal. Raises what the session raised."""
        self._stop.set()
        await self.task

    async def _main(self) -> None:
        self._open()
        flushing = asyncio.create_task(self._write_stores())
        try:
            await self.session.run(self._stop)
        finally:
            flushing.cancel()

    def _open(self) -> None:
        """Opens the stores and the session as the composition root does, with the world in place of the machine."""
        world, folder = self._world, self.folder
        folder.mkdir(parents=True, exist_ok=True)
        params, connections = FlowParams(), composition.venue_endpoints(world.config)
        about = {
            "dfmon": "world",
            "mode": "live",
            "underlyings": ["BTC"],
            "sources": [connection.source for connection in connections],
            "pace": msgspec.to_builtins(composition.poll_settings(world.config)),
            "params": msgspec.to_builtins(params),
        }
        self.recorder = Recorder(
            self.recording, about, world.wall_ns, batch_s=None, timer=world.loop.time, write=world.disk.write
        )
        self.history = History(folder / "history.sqlite", clock=world.wall_ns, flush_interval_s=None)
        self.trades = TradeStore(folder / "trades.sqlite", clock=world.wall_ns, flush_interval_s=None)
        state = PositionsStateFile(folder / "positions.state", "world", priors_digest(params.priors))
        self.redis = RedisStream(f"redis://:{PASSWORD}@127.0.0.1:{world.redis_port}/0", spill=folder / "spill")
        self.rest = RestService(
            port=0, statuses=lambda: (self.redis.status(), self.rest.status()), settings=RestSettings(TOKEN)
        )
        self.rest.bind()
        self.hub = SnapshotHub()
        self.hub.add_listener(self._on_snapshot)
        self.session = LiveSession(
            ("BTC",), connections, params, self.hub, world.report, tick_s=world.plan.tick_s,
            recorder=self.recorder, history=self.history, trades=self.trades, state=state,
            sinks=(self.redis, self.rest), clock=SessionClock(world.wall_ns),
            backfills=composition._backfills(world.config, connections, self.trades),
            transport=open_websockets, pool=Pool(world.loop, world.rng("steps"), lambda: world.slowness),
            timer=world.read_timer, rng=world.rng(f"backoff {self.number}"),
        )  # fmt: skip

    def _on_snapshot(self, snapshot: FlowSnapshot) -> None:
        text = to_json(snapshot, "live")
        self.digests.append(digest(snapshot, text))
        if snapshot.spot is not None and snapshot.state != "stale":
            self.history_times.add(snapshot.ts_ns)
        self._world.on_snapshot(self, self.newest, snapshot, text)
        self.newest = snapshot

    async def _write_stores(self) -> None:
        """Takes the place of the threads of the stores."""
        while True:
            await asyncio.sleep(_FLUSH_S)
            if self._world.disk.stalled:
                continue
            self._world.disk.limit_databases(self)
            self.recorder.write_batch()
            self.history.flush()
            self.trades.flush()

    def outputs(self) -> list[str]:
        """All that the status lines and /healthz say now."""
        runtime: Any = self.hub.runtime
        return [runtime.note, *runtime.sinks, *runtime.degraded]

    def forget(self) -> None:
        """Ends what the test process itself holds, after a kill."""
        with contextlib.suppress(OSError):
            if self.rest._socket is not None:
                self.rest._socket.close()


def digest(snapshot: FlowSnapshot, text: bytes) -> str:
    """Of the published text, and of everything else in one of twenty: equal for a session and its replay."""
    return hashlib.sha256(text).hexdigest() if snapshot.seq % _DETAIL_EVERY else snapshot.digest()
