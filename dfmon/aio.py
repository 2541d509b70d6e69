"""Shared asyncio helpers: interruptible waits, cancellation, stop signals, the event loop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


async def wait_until_set(event: asyncio.Event, timeout_s: float) -> bool:
    """Waits for `event`, at most `timeout_s`. Returns whether it is set."""
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await event.wait()
    return event.is_set()


async def run_until_set(event: asyncio.Event, *coroutines: Awaitable[Any]) -> None:
    """Runs all until one of them ends or `event` is set, then cancels the others. Raises what ended the first."""
    tasks = [asyncio.ensure_future(awaitable) for awaitable in (*coroutines, event.wait())]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await cancel_and_wait(*tasks)
    for task in done:
        task.result()


async def cancel_and_wait(*tasks: asyncio.Future[Any]) -> None:
    """Cancels what still runs and waits for its end. Outcomes stay in the tasks."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # retrieved, or asyncio would log a second failure as never retrieved


class StopSignals:
    """Calls `stop` on SIGINT, SIGTERM and SIGHUP, in the running loop. `exit_code` is 128 + the first, 0 before."""

    def __init__(self, stop: Callable[[], object]) -> None:
        self.exit_code = 0
        self._stop = stop
        loop = asyncio.get_running_loop()
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, self._on_signal, number)

    def _on_signal(self, number: int) -> None:
        self.exit_code = self.exit_code or 128 + number
        self._stop()


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Returns the constructor of uvloop's event loop; None, the standard library's, where it is not installed."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
