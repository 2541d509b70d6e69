"""Snapshots as JSON lines on stdout: the output of `dfmon --publish`.

Either every snapshot, or only changes of state (scenario, side of the flip, live or stale, quality, warming) and a
heartbeat; a line is always a complete snapshot. A reader that stalls blocks only the writing thread; a reader that
closes the pipe ends the sink with `closed` set and without an error.
"""

from __future__ import annotations

import asyncio
import queue
import select
import threading
from collections.abc import Callable
from contextlib import aclosing, suppress
from typing import BinaryIO, Final, Literal

from dfmon.aio import wait_until_set
from dfmon.engine.hub import SnapshotHub
from dfmon.model.snapshot import FlowSnapshot, to_json
from dfmon.sinks.base import HubListener, SinkProgress, SinkStatus

SHUTDOWN_GRACE_S: Final = 1.0  # time for a slow reader to take the last lines once everything else has stopped


class JsonLines:
    """Sink that writes one JSON object a line to `out`.

    `mode` "all" writes every snapshot; "changes" those with a new state, and one every `heartbeat_s`.
    At most `outbox` lines wait for a slow reader; beyond that the oldest are dropped.
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
        self.progress = SinkProgress()
        self.closed = False
        self._out = out
        self._mode = mode
        self._heartbeat_s = heartbeat_s
        self._outbox = outbox
        self._last_written: dict[str, tuple[object, float]] = {}  # by underlying: state key of the last line, time

    def status(self) -> SinkStatus:
        return self.progress.status(self.name)

    async def run(self, hub: SnapshotHub, stop: asyncio.Event) -> None:
        """Writes until `stop`, or until the reader closes its end. Raises OSError if writing fails otherwise."""
        loop = asyncio.get_running_loop()
        done = asyncio.Event()

        def on_finished() -> None:
            with suppress(RuntimeError):  # the loop is closed: it no longer waited for this reader
                loop.call_soon_threadsafe(done.set)

        writer = _Writer(self._out, self._outbox, self.progress, on_finished)
        writer.start()
        self.progress.set_state("writing")
        follower = HubListener(hub).follower()
        async with aclosing(follower.follow(stop, done)) as snapshots:
            async for snapshot in snapshots:
                if self._mode == "all":
                    self.progress.dropped += follower.take_overtaken()
                if self._should_write(snapshot, loop.time()):
                    writer.put_line(to_json(snapshot, hub.mode) + b"\n")
        writer.put_line(None)
        await wait_until_set(done, SHUTDOWN_GRACE_S)
        self._finish(writer.error)

    def _should_write(self, snapshot: FlowSnapshot, now: float) -> bool:
        state_key = _state_key(snapshot)
        last_key, at = self._last_written.get(snapshot.underlying, (None, 0.0))
        if self._mode == "changes" and state_key == last_key and now - at < self._heartbeat_s:
            return False
        self._last_written[snapshot.underlying] = state_key, now
        return True

    def _finish(self, error: Exception | None) -> None:
        if isinstance(error, BrokenPipeError):
            self.closed = True
            self.progress.set_state("closed", "the reader of stdout closed it")
        elif error is not None:
            raise error
        else:
            self.progress.lost = self.progress.dropped
            self.progress.set_state("off")


class _Writer(threading.Thread):
    """Thread that writes lines to a file whose writes may block. Lines come from one other thread.

    A daemon that writes to the raw file: the process can end while a write hangs, and the interpreter's own flush of
    stdout finds no lock taken.
    """

    def __init__(self, out: BinaryIO, limit: int, progress: SinkProgress, on_finished: Callable[[], None]) -> None:
        super().__init__(name="dfmon-jsonl", daemon=True)
        self.error: Exception | None = None
        self._out = out
        self._raw_file = getattr(out, "raw", out)
        self._lines: queue.Queue[bytes | None] = queue.Queue(limit)
        self._progress = progress
        self._on_finished = on_finished

    def put_line(self, line: bytes | None) -> None:
        """Queues a line without waiting, in place of the oldest if the queue is full; None ends the thread."""
        while True:
            try:
                return self._lines.put_nowait(line)
            except queue.Full:
                with suppress(queue.Empty):  # the writer took it meanwhile
                    self._lines.get_nowait()
                    self._progress.dropped += 1

    def run(self) -> None:
        try:
            self._out.flush()
            while (line := self._lines.get()) is not None:
                self._write(memoryview(line))
                self._progress.sent += 1
        except Exception as exc:
            self.error = exc
        finally:
            self._on_finished()

    def _write(self, remaining: memoryview) -> None:
        while remaining:
            written: int | None = self._raw_file.write(remaining)
            if written is None:  # the file is non-blocking, and its buffer is full
                select.select([], [self._raw_file], [])
            else:
                remaining = remaining[written:]


def _state_key(snapshot: FlowSnapshot) -> object:
    """The fields whose change makes a snapshot worth a line."""
    scenario, flip, metrics = snapshot.scenario, snapshot.flip, snapshot.metrics
    flip_is_lower = None if flip.distance_usd is None else flip.distance_usd > 0.0
    qualities = tuple(getattr(metrics, name).quality for name in metrics.__struct_fields__)
    return (
        (scenario.bucket, scenario.side, scenario.overlay),
        (flip_is_lower, flip.net, flip.quality),
        (snapshot.state, snapshot.positions.warming, qualities),
    )
