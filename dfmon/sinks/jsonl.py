"""Snapshots as JSON lines on stdout: what `dfmon --publish` gives to a shell.

Either every snapshot, or only those that say something new (scenario, side of the flip, live or stale, quality,
warming) and a heartbeat now and then; a line is always a whole snapshot. A pipe whose reader sleeps blocks the
thread that writes and nothing else; one whose reader left ends the sink with `closed` set, and no error.
"""

from __future__ import annotations

import asyncio
import queue
import select
import threading
from collections.abc import Callable
from contextlib import aclosing, suppress
from typing import BinaryIO, Final, Literal

from dfmon.engine.hub import SnapshotHub
from dfmon.model.snapshot import FlowSnapshot, to_json
from dfmon.sinks.base import Bell, Progress, SinkStatus

FAREWELL_S: Final = 1.0  # what a slow reader is given for the last lines once everything else has stopped


class JsonLines:
    """Sink that writes one JSON object a line to `out`.

    `mode` "all" writes every snapshot; "changes" those that say something new, and one every `heartbeat_s`.
    Lines that the reader was too slow for are dropped, the oldest first, beyond `outbox` of them.
    """

    def __init__(
        self,
        out: BinaryIO,
        mode: Literal["changes", "all"] = "changes",
        *,
        heartbeat_s: float = 60.0,
        outbox: int = 256,
    ) -> None:
        self.name = "jsonl"
        self.progress = Progress()
        self.closed = False
        self._out = out
        self._mode = mode
        self._heartbeat_s = heartbeat_s
        self._outbox = outbox
        self._said: dict[str, tuple[object, float]] = {}  # by underlying: what the last line said, and when

    def status(self) -> SinkStatus:
        return self.progress.status(self.name)

    async def run(self, hub: SnapshotHub, stop: asyncio.Event) -> None:
        """Write until `stop`, or until the reader closes its end. Raises OSError when writing fails otherwise."""
        loop = asyncio.get_running_loop()
        done = asyncio.Event()

        def tell() -> None:
            with suppress(RuntimeError):  # the loop is gone: it had stopped waiting for this reader
                loop.call_soon_threadsafe(done.set)

        writer = _Writer(self._out, self._outbox, self.progress, tell)
        writer.start()
        self.progress.say("writing")
        latest = Bell(hub).latest()
        async with aclosing(latest.follow(stop, done)) as snapshots:
            async for snapshot in snapshots:
                if self._mode == "all":
                    self.progress.dropped += latest.take_missed()
                if self._says_something(snapshot, loop.time()):
                    writer.put(to_json(snapshot, hub.mode) + b"\n")
        writer.put(None)
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_S):
                await done.wait()
        self._end(writer.fault)

    def _says_something(self, snapshot: FlowSnapshot, now: float) -> bool:
        says = _gist(snapshot)
        said, at = self._said.get(snapshot.underlying, (None, 0.0))
        if self._mode == "changes" and says == said and now - at < self._heartbeat_s:
            return False
        self._said[snapshot.underlying] = says, now
        return True

    def _end(self, fault: Exception | None) -> None:
        if isinstance(fault, BrokenPipeError):
            self.closed = True
            self.progress.say("closed", "the reader of stdout has left")
        elif fault is not None:
            raise fault
        else:
            self.progress.say("off")


class _Writer(threading.Thread):
    """Writes lines to a file that may block for as long as it likes. Lines come from one other thread.

    A daemon on the raw file: the process can end while a write hangs, and the interpreter's own flush of stdout
    finds no lock held.
    """

    def __init__(self, out: BinaryIO, limit: int, progress: Progress, tell: Callable[[], None]) -> None:
        super().__init__(name="dfmon-jsonl", daemon=True)
        self.fault: Exception | None = None
        self._out = out
        self._raw = getattr(out, "raw", out)
        self._lines: queue.Queue[bytes | None] = queue.Queue(limit)
        self._progress = progress
        self._tell = tell

    def put(self, line: bytes | None) -> None:
        """Queue a line at once, in place of the oldest if need be; None is the last."""
        while True:
            try:
                return self._lines.put_nowait(line)
            except queue.Full:
                with suppress(queue.Empty):  # the writer was quicker
                    self._lines.get_nowait()
                    self._progress.dropped += 1

    def run(self) -> None:
        try:
            self._out.flush()
            while (line := self._lines.get()) is not None:
                self._write(memoryview(line))
                self._progress.sent += 1
        except Exception as exc:
            self.fault = exc
        finally:
            self._tell()

    def _write(self, rest: memoryview) -> None:
        while rest:
            written: int | None = self._raw.write(rest)
            if written is None:  # somebody made the file non-blocking, and it is full
                select.select([], [self._raw], [])
            else:
                rest = rest[written:]


def _gist(snapshot: FlowSnapshot) -> object:
    """What must differ for a snapshot to be news."""
    scenario, flip, metrics = snapshot.scenario, snapshot.flip, snapshot.metrics
    below = None if flip.distance_usd is None else flip.distance_usd > 0.0
    qualities = tuple(getattr(metrics, name).quality for name in metrics.__struct_fields__)
    return (
        (scenario.bucket, scenario.side, scenario.overlay),
        (below, flip.net, flip.quality),
        (snapshot.state, snapshot.positions.warming, qualities),
    )
