"""An event loop whose clock stands still while anything can run, and jumps to the next timer when nothing can.

Everything under test shares one loop and talks over loopback, so a slow machine delays no answer by as much as a
microsecond of this time, and nobody waits for time to pass.
"""

from __future__ import annotations

import asyncio
import functools
import os
import selectors
import socket
from collections.abc import Callable, Coroutine
from typing import Any


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """`time` is in virtual seconds from 0."""

    def __init__(self) -> None:
        self._now_s = 0.0
        super().__init__(_JumpingSelector(self._advance))

    def time(self) -> float:
        return self._now_s

    def _advance(self, seconds: float) -> None:
        self._now_s += seconds

    async def getaddrinfo(self, host: Any, port: Any, **hints: Any) -> Any:
        """Resolves at once: the standard one uses a thread, for which the clock would not stand still."""
        return socket.getaddrinfo(host, port, **hints)


class _JumpingSelector(selectors.DefaultSelector):
    """Reports what is readable now; where nothing is, `advance` takes the place of waiting."""

    def __init__(self, advance: Callable[[float], None]) -> None:
        super().__init__()
        self._advance = advance

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:  # no timer: only a thread or a signal can bring work
            return super().select(None)
        os.sched_yield()  # the kernel may deliver in a thread of its own
        ready = super().select(0)
        if not ready:
            self._advance(timeout)
        return ready


def in_virtual_time(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Runs an async test on a `VirtualTimeLoop`."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run
