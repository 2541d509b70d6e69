"""Between a socket and the driver: frames wait here while more come than can be applied, and memory stays bounded.

A frame is applied at once while there is time for that. When applying has gone on for some milliseconds without a
pause, reading goes first, since a socket that is not read makes the venue wait and then end the connection: frames are
put here and applied for a few milliseconds at a time. While few wait, all are applied in order. Under pressure a frame
that is a whole state takes the place of the one that waits under its key; beyond the bound numbered differences
are dropped, which their protocol sees and mends; and if nothing but prints is left, the socket is not read for a while.
What is applied is journalled, what is dropped is counted, so a replay is still what was seen.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Final

from dfmon.venues.protocol import Fate

_PRESSURE: Final = 256  # frames waiting: fewer are a burst, not an overload
_MOST_BYTES: Final = 32 * 1024 * 1024
_MOST_FRAMES: Final = 50_000
_AT_ONCE_S: Final = 0.005  # applied as they come, without a pause
_PAUSE_S: Final = 0.0001  # between two frames: the loop has looked at all sockets meanwhile
_SLICE_S: Final = 0.005  # applied before the sockets are looked at again
_LOOK_AT_CLOCK: Final = 15  # a mask: every sixteenth frame

Sort = Callable[[bytes], tuple[Fate, str]]


class Inbox:
    """One source's frames. `apply` takes the time of receipt and the frame, `after` is called once a batch.

    What they raise goes to `failed`, since nobody waits for a frame. `flow` is called with False when the socket should
    not be read, and with True when it should again.
    """

    def __init__(
        self,
        sort: Sort,
        apply: Callable[[int, bytes], None],
        after: Callable[[], None],
        clock: Callable[[], int],
        failed: Callable[[Exception], None],
        flow: Callable[[bool], None] = lambda _: None,
    ) -> None:
        self.dropped: Counter[str] = Counter()  # kind -> frames that were replaced or dropped
        self._sort, self._apply, self._after, self._clock = sort, apply, after, clock
        self._failed, self._flow = failed, flow
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[int, bytes, str]] = deque()  # bounded by _MOST_FRAMES and _MOST_BYTES
        self._newest: dict[str, tuple[int, bytes]] = {}  # of the states that wait under a key
        self._bytes = 0
        self._called = False
        self._stopped = False
        self._since = self._last = 0.0  # of the frames that were applied at once, without a pause

    def put(self, frame: bytes) -> None:
        """Take a frame: apply it, or let it wait until the loop has turned."""
        recv_ns, key = self._clock(), ""
        if not self._waiting and self._at_once(recv_ns, frame):
            return
        if len(self._waiting) >= _PRESSURE:
            fate, key = self._sort(frame)
            if fate is Fate.STATE:
                before = self._newest.get(key)
                self._newest[key] = (recv_ns, frame)
                if before is not None:
                    self._bytes += len(frame) - len(before[1])
                    self.dropped[key.partition(" ")[0]] += 1
                    return
            elif self._full and fate is Fate.DELTA:
                self.dropped[key.partition(" ")[0]] += 1
                return
            else:
                key = ""
        self._waiting.append((recv_ns, b"" if key else frame, key))
        self._bytes += len(frame)
        if self._full and not self._stopped:
            self._stopped = True
            self._flow(False)
        if not self._called:
            self._called = True
            self._loop.call_soon(self._some)

    def _at_once(self, recv_ns: int, frame: bytes) -> bool:
        now = time.perf_counter()
        if now - self._last > _PAUSE_S:
            self._since = now
        elif now - self._since > _AT_ONCE_S:
            return False
        try:
            self._apply(recv_ns, frame)
            self._after()
        except Exception as exc:
            self._failed(exc)
        self._last = time.perf_counter()
        return True

    def all(self) -> None:
        """Apply everything that waits, now: the connection has ended."""
        self._deliver(float("inf"))

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def _full(self) -> bool:
        return self._bytes > _MOST_BYTES or len(self._waiting) > _MOST_FRAMES

    def _some(self) -> None:
        self._called = False
        self._deliver(_SLICE_S)

    def _deliver(self, seconds: float) -> None:
        waiting, until, count = self._waiting, time.perf_counter() + seconds, 0
        try:
            while waiting:
                recv_ns, frame, key = waiting.popleft()
                if key:
                    recv_ns, frame = self._newest.pop(key)
                self._bytes -= len(frame)
                self._apply(recv_ns, frame)
                count += 1
                if not count & _LOOK_AT_CLOCK and time.perf_counter() > until:
                    break
            self._after()
        except Exception as exc:
            self._failed(exc)
            return
        if self._stopped and 2 * self._bytes < _MOST_BYTES and 2 * len(waiting) < _MOST_FRAMES:
            self._stopped = False
            self._flow(True)
        if waiting and not self._called:
            self._called = True
            self._loop.call_soon(self._some)
