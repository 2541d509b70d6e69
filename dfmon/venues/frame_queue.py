"""The bounded queue between a socket and the driver, for frames that arrive faster than they are applied.

A frame is applied at once while there is time. After some milliseconds without a pause reading takes precedence, since
a venue ends a connection that is not read: frames are queued and applied for a few milliseconds at a time. While few
wait, all are applied in order. Under pressure a frame with a full state replaces the one that waits under its key.
Beyond the bound numbered differences are dropped, which their protocol detects and repairs, and if only prints are
left, reading pauses. Only frames that are applied are journalled, so a replay matches; dropped ones are counted.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Final

from dfmon.venues.protocol import DropPolicy

_PRESSURE_FRAMES: Final = 256  # frames waiting: fewer are a burst, not an overload
_MAX_BYTES: Final = 32 * 1024 * 1024
_MAX_FRAMES: Final = 50_000
_MAX_INLINE_S: Final = 0.005  # applied as they come, without a pause
_IDLE_GAP_S: Final = 0.0001  # between two frames: the loop has polled all sockets meanwhile
_SLICE_S: Final = 0.005  # of applying before the sockets are polled again
_CLOCK_CHECK_MASK: Final = 15  # a mask: every sixteenth frame

FrameClassifier = Callable[[bytes], tuple[DropPolicy, str]]


class FrameQueue:
    """The frames of one source. `apply` takes the time of receipt and the frame, `on_batch_end` is called once a batch.

    Their exceptions go to `on_error`, since no caller waits for a frame. `set_reading` is called with False when the
    socket should not be read, and with True when it should again. `timer` measures the time spent, in seconds.
    """

    def __init__(
        self,
        classify: FrameClassifier,
        apply: Callable[[int, bytes], None],
        on_batch_end: Callable[[], None],
        clock: Callable[[], int],
        on_error: Callable[[Exception], None],
        set_reading: Callable[[bool], None] = lambda _: None,
        timer: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.dropped: Counter[str] = Counter()  # kind -> frames that were replaced or dropped
        self._classify, self._apply, self._on_batch_end, self._clock = classify, apply, on_batch_end, clock
        self._on_error, self._set_reading, self._timer = on_error, set_reading, timer
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[int, bytes, str]] = deque()  # bounded by _MAX_FRAMES and _MAX_BYTES
        self._latest_by_key: dict[str, tuple[int, bytes]] = {}  # of the states that wait under a key
        self._bytes = 0
        self._scheduled = False
        self._reading_paused = False
        self._busy_since = self._last_applied = 0.0  # of the frames that were applied at once, without a pause

    def enqueue(self, frame: bytes) -> None:
        """Applies a frame, or queues it until the loop has turned."""
        recv_ns, now = self._clock(), self._timer()
        if now - self._last_applied > _IDLE_GAP_S:
            self._busy_since = now
        if self._waiting or now - self._busy_since > _MAX_INLINE_S:
            self._wait(recv_ns, frame)
            return
        try:
            self._apply(recv_ns, frame)
            self._on_batch_end()
        except Exception as exc:
            self._on_error(exc)
        self._last_applied = self._timer()

    def _wait(self, recv_ns: int, frame: bytes) -> None:
        key = ""
        if len(self._waiting) >= _PRESSURE_FRAMES:
            policy, key = self._classify(frame)
            if policy is DropPolicy.CONFLATE:
                replaced = self._latest_by_key.get(key)
                self._latest_by_key[key] = (recv_ns, frame)
                if replaced is not None:
                    self._bytes += len(frame) - len(replaced[1])
                    self.dropped[key.partition(" ")[0]] += 1
                    return
            elif self._full and policy is DropPolicy.DROPPABLE:
                self.dropped[key.partition(" ")[0]] += 1
                return
            else:
                key = ""
        self._waiting.append((recv_ns, b"" if key else frame, key))
        self._bytes += len(frame)
        if self._full and not self._reading_paused:
            self._reading_paused = True
            self._set_reading(False)
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._apply_slice)

    def flush(self) -> None:
        """Applies all waiting frames now: the connection has ended."""
        self._apply_waiting(float("inf"))

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def _full(self) -> bool:
        return self._bytes > _MAX_BYTES or len(self._waiting) > _MAX_FRAMES

    def _apply_slice(self) -> None:
        self._scheduled = False
        self._apply_waiting(_SLICE_S)

    def _apply_waiting(self, seconds: float) -> None:
        waiting, deadline, count = self._waiting, self._timer() + seconds, 0
        try:
            while waiting:
                recv_ns, frame, key = waiting.popleft()
                if key:
                    recv_ns, frame = self._latest_by_key.pop(key)
                self._bytes -= len(frame)
                self._apply(recv_ns, frame)
                count += 1
                if not count & _CLOCK_CHECK_MASK and self._timer() > deadline:
                    break
            self._on_batch_end()
        except Exception as exc:
            self._on_error(exc)
            return
        if self._reading_paused and 2 * self._bytes < _MAX_BYTES and 2 * len(waiting) < _MAX_FRAMES:
            self._reading_paused = False
            self._set_reading(True)
        if waiting and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._apply_slice)
