"""Filter between one socket and the frame queue, by the state of the socket: opening, open, succeeded, given up.

A source may have two sockets for some seconds, and what both bring is wanted once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from dfmon.venues.frame_queue import FrameClassifier
from dfmon.venues.health.socket_watchdog import MAX_HEARTBEAT_BYTES, SocketWatchdog, is_heartbeat
from dfmon.venues.protocol import DropPolicy

_MAX_BUFFERED: Final = 1000  # frames that may come before the connection has been announced


class SocketFilter:
    """The frame handler of one socket: buffers at first, then forwards all frames, prints alone, or none.

    `watchdog` is notified of data; frames with one of the `heartbeats` are none.
    """

    def __init__(
        self, forward: Callable[[bytes], None], classify: FrameClassifier, heartbeats: tuple[bytes, ...]
    ) -> None:
        self.watchdog = SocketWatchdog()
        self._forward, self._classify, self._heartbeats = forward, classify, heartbeats
        self._buffered: list[bytes] = []
        self._handler: Callable[[bytes], None] = self._buffer

    def __call__(self, frame: bytes) -> None:
        if not self.watchdog.received_data:
            self.watchdog.received_data = len(frame) > MAX_HEARTBEAT_BYTES or not is_heartbeat(frame, self._heartbeats)
        self._handler(frame)

    def open(self) -> None:
        self._handler = self._forward
        for frame in self._buffered:
            self._handler(frame)
        self._buffered.clear()

    def prints_only(self) -> None:
        """Another socket has taken over: of this one only prints are forwarded, which no later frame repeats."""
        self._handler = self._forward_print

    def close(self) -> None:
        self._handler = lambda _: None

    def _buffer(self, frame: bytes) -> None:
        if len(self._buffered) < _MAX_BUFFERED:
            self._buffered.append(frame)

    def _forward_print(self, frame: bytes) -> None:
        if self._classify(frame)[0] is DropPolicy.PRINT:
            self._forward(frame)
