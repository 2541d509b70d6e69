"""Between one socket and the inbox: what of its frames is heard, as the socket is announced, succeeded and given up.

A source may have two sockets for some seconds, and what both bring is wanted once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from dfmon.venues.frame_queue import Sort
from dfmon.venues.protocol import Fate

_EARLY: Final = 1000  # frames that may come before the connection has been announced


class Line:
    """One socket's way into the inbox: closed at first, later open, for prints alone, or closed for good."""

    def __init__(self, hear: Callable[[bytes], None], sort: Sort) -> None:
        self._hear, self._sort = hear, sort
        self._early: list[bytes] = []
        self._take: Callable[[bytes], None] = self._hold

    def __call__(self, frame: bytes) -> None:
        self._take(frame)

    def open(self) -> None:
        self._take = self._hear
        for frame in self._early:
            self._take(frame)
        self._early.clear()

    def prints_only(self) -> None:
        """Another socket has taken over: of this one only what is told once is still worth hearing."""
        self._take = self._print

    def close(self) -> None:
        self._take = lambda _: None

    def _hold(self, frame: bytes) -> None:
        if len(self._early) < _EARLY:
            self._early.append(frame)

    def _print(self, frame: bytes) -> None:
        if self._sort(frame)[0] is Fate.PRINT:
            self._hear(frame)
