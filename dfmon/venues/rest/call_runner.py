"""Makes the REST calls of one connection: in the protocol's order, but a slow call never holds those after it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from dfmon.aio import cancel_and_wait
from dfmon.venues.protocol import RestCall

_MAX_QUEUED: Final = 1000
_SLOW_CALL_S: Final = 2.0  # after this the next call starts beside it
_MAX_IN_FLIGHT: Final = 8


class RestGetter(Protocol):
    """The part of `RestClient` that is used here and by the runner of a connection."""

    @property
    def errors(self) -> Mapping[str, str]: ...
    async def get(self, base: str, call: RestCall) -> bytes: ...


class CallRunner:
    """`on_response` takes tag and body of each call, an empty body for a failure; its exceptions go to `on_error`."""

    def __init__(
        self,
        rest: RestGetter,
        base: str,
        on_response: Callable[[str, bytes], None],
        on_error: Callable[[Exception], None],
    ) -> None:
        self._rest, self._base = rest, base
        self._on_response, self._on_error = on_response, on_error
        self._queued: asyncio.Queue[RestCall] = asyncio.Queue(_MAX_QUEUED)
        self._in_flight: set[asyncio.Task[None]] = set()

    def enqueue(self, call: RestCall) -> bool:
        """False where too many wait already."""
        if self._queued.full():
            return False
        self._queued.put_nowait(call)
        return True

    def drop_calls(self) -> None:
        """Drops all calls, in flight or not: another connection requests its own."""
        while not self._queued.empty():
            self._queued.get_nowait()
        for task in self._in_flight:
            task.cancel()

    async def run(self) -> None:
        while True:
            call = await self._queued.get()
            task = asyncio.create_task(self._make_call(call))
            self._in_flight.add(task)
            task.add_done_callback(self._on_done)
            await asyncio.wait({task}, timeout=_SLOW_CALL_S)
            while len(self._in_flight) >= _MAX_IN_FLIGHT:
                await asyncio.wait(self._in_flight, return_when=asyncio.FIRST_COMPLETED)

    async def close(self) -> None:
        await cancel_and_wait(*self._in_flight)

    async def _make_call(self, call: RestCall) -> None:
        self._on_response(call.tag, await self._rest.get(self._base, call))

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._in_flight.discard(task)
        if not task.cancelled() and isinstance(exc := task.exception(), Exception):
            self._on_error(exc)
