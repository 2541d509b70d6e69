"""Between one socket and the inbox: what of its frames is heard, as the socket is announced, succeeded and given up.

A source may have two sockets for some seconds, and what both bring is wanted once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from dfmon.venues.frame_queue import FrameClassifier
from dfmon.venues.protocol import DropPolicy

_MAX_BUFFERED: Final = 1000  # frames that may come before the connection has been announced


class SocketFilter:
    """One socket's way into the inbox: closed at first, later open, for prints alone, or closed for good."""

    def __init__(self, forward: Callable[[bytes], None], classify: FrameClassifier) -> None:
        self._forward, self._classify = forward, classify
        self._buffered: list[bytes] = []
        self._handler: Callable[[bytes], None] = self._buffer

    def __call__(self, frame: bytes) -> None:
        self._handler(frame)

    def open(self) -> None:
        self._handler = self._forward
        for frame in self._buffered:
            self._handler(frame)
        self._buffered.clear()

    def prints_only(self) -> None:
        """Another socket has taken over: of this one only what is told once is still worth hearing."""
        self._handler = self._forward_print

    def close(self) -> None:
        self._handler = lambda _: None

    def _buffer(self, frame: bytes) -> None:
        if len(self._buffered) < _MAX_BUFFERED:
            self._buffered.append(frame)

    def _forward_print(self, frame: bytes) -> None:
        if self._classify(frame)[0] is DropPolicy.PRINT:
            self._forward(frame)
