"""The runner of a connection, for all venues: connects, queues frames with their times, sends for the protocol,
and reconnects.

It stands between the transport and the `RecordSink` (the driver). It decodes nothing and decides nothing about the
market; it owns time-outs, back-off, the change to a new socket before the old one ends, and the texts of errors. REST
calls and the protocol's timer continue while there is no socket, so that a protocol can fall back on REST.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, Protocol

from dfmon.aio import cancel_and_wait, run_until_set, wait_until_set
from dfmon.venues.backoff import Backoff, ConnectLimiter
from dfmon.venues.failures import advice
from dfmon.venues.frame_queue import FrameQueue
from dfmon.venues.health.socket_watchdog import SocketWatchdog
from dfmon.venues.protocol import Endpoint
from dfmon.venues.proxies import authority_of
from dfmon.venues.rest.call_runner import CallRunner, RestGetter
from dfmon.venues.socket_gate import SocketFilter
from dfmon.venues.transport.base import Opener, Socket
from dfmon.venues.transport.errors import TRANSPORT_ERRORS, describe_loss
from dfmon.venues.transport.opener import choose_opener

_MAX_OUTGOING: Final = 1000  # frames that wait for the socket
_MAX_OVERLAP_S: Final = 5.0  # two sockets at most this long
_SUCCESSOR_RETRY_S: Final = 5.0


class RecordSink(Protocol):
    """Receiver of all records in order: numbers, records and passes them to the protocol. Must not block."""

    def connected(self, source: str, recv_ns: int) -> None: ...
    def frame(self, source: str, recv_ns: int, frame: bytes) -> None: ...
    def response(self, source: str, recv_ns: int, tag: str, body: bytes) -> None: ...
    def lost(self, source: str, recv_ns: int, reason: str) -> None: ...
    def timer(self, source: str, now_ns: int, runner_note: str = "") -> None: ...


async def run(
    endpoint: Endpoint,
    sink: RecordSink,
    rest: RestGetter,
    clock: Callable[[], int],
    stop: asyncio.Event,
    *,
    rng: random.Random | None = None,
    pause: Callable[[asyncio.Event, float], Awaitable[object]] = wait_until_set,
    tick_s: float = 1.0,
    limiter: ConnectLimiter | None = None,
    transport: Opener | None = None,
    dropped: Counter[str] | None = None,
    timer: Callable[[], float] = time.perf_counter,
) -> None:
    """Keeps `endpoint` connected until `stop` is set. `clock` gives wall nanoseconds; errors of `sink` are raised.

    `limiter` is shared by the connections of a process; `dropped` counts frames by kind that an overload left out.
    `timer` measures the time that frames take, in seconds.
    """
    runner = _Runner(endpoint, sink, rest, clock, tick_s, limiter, transport or choose_opener(), dropped, timer)
    backoff = Backoff(rng or random.Random())

    async def reconnect_loop() -> None:
        while True:
            reason = await runner.run_until_lost()
            if runner.had_data:
                backoff.reset()
            wait = backoff.next_wait_s()
            venue_advice = advice(reason, endpoint.source.partition(".")[0])
            sink.lost(endpoint.source, clock(), f"{reason}{venue_advice}; next try in {math.ceil(wait)} s")
            await pause(stop, wait)

    try:
        await run_until_set(stop, reconnect_loop(), *runner.background_tasks())
    finally:
        await runner.close()
    sink.lost(endpoint.source, clock(), "stopped")


class _Runner:
    """One source for as long as the program runs: its sockets one after the other, its REST calls, its timer."""

    def __init__(
        self,
        endpoint: Endpoint,
        sink: RecordSink,
        rest: RestGetter,
        clock: Callable[[], int],
        tick_s: float,
        limiter: ConnectLimiter | None,
        transport: Opener,
        dropped: Counter[str] | None,
        timer: Callable[[], float],
    ) -> None:
        self.had_data = False
        self._endpoint, self._protocol = endpoint, endpoint.protocol
        self._sink, self._rest, self._clock, self._tick_s = sink, rest, clock, tick_s
        self._limiter, self._transport = limiter, transport
        self._dropped: Counter[str] = Counter() if dropped is None else dropped
        self._loop = asyncio.get_running_loop()
        self._failed: asyncio.Future[None] = self._loop.create_future()
        self._frame_queue = FrameQueue(
            self._protocol.classify,
            partial(sink.frame, endpoint.source),
            self._drain,
            clock,
            self._fail,
            self._set_reading,
            timer,
        )
        self._calls = CallRunner(rest, endpoint.rest, self._on_response, self._fail)
        self._outgoing: deque[str] = deque(maxlen=_MAX_OUTGOING)
        self._outgoing_ready = asyncio.Event()
        self._socket: Socket | None = None
        self._socket_failure: asyncio.Future[str] = self._loop.create_future()  # why this socket must be closed
        self._handover_pending = asyncio.Event()  # another socket should take over
        self._watchdog = SocketWatchdog()
        self._opened_s = 0.0
        self._retiring: set[asyncio.Task[None]] = set()

    def background_tasks(self) -> tuple[Awaitable[None], ...]:
        """Tasks that run beside the sockets."""
        return self._timer_loop(), self._calls.run(), self._send_loop(), self._failed

    async def close(self) -> None:
        await cancel_and_wait(*self._retiring)
        await self._calls.close()
        socket, self._socket = self._socket, None
        if socket is not None:
            await socket.close()

    # ---- sockets ----------------------------------------------------------------------------------------------

    async def run_until_lost(self) -> str:
        """Runs from a handshake to a loss, over successive sockets without one in between. Returns the reason."""
        self.had_data = False
        socket_filter = self._new_filter()
        try:
            socket = await self._open_socket(socket_filter)
        except TRANSPORT_ERRORS as exc:
            return describe_loss(exc)
        while True:
            self._attach(socket, socket_filter)
            reason, successor = await self._serve(socket)
            self.had_data |= self._watchdog.had_data
            if successor is None:
                socket_filter.close()
                self._frame_queue.flush()
                self._socket = None
                await socket.close()
                return reason
            self._retire(socket, socket_filter)
            socket, socket_filter = successor

    def _new_filter(self) -> SocketFilter:
        return SocketFilter(self._frame_queue.enqueue, self._protocol.classify, self._endpoint.heartbeats)

    async def _open_socket(self, socket_filter: SocketFilter) -> Socket:
        if self._limiter is not None:
            await self._limiter.acquire(self._endpoint.url)
        return await self._transport(self._endpoint.url, self._endpoint.headers, socket_filter)

    def _attach(self, socket: Socket, socket_filter: SocketFilter) -> None:
        self._frame_queue.flush()  # of the socket before
        self._calls.drop_calls()
        self._outgoing.clear()
        self._socket = socket
        self._socket_failure = self._loop.create_future()
        self._handover_pending.clear()
        self._opened_s = self._loop.time()
        self._watchdog = socket_filter.watchdog
        self._watchdog.start(self._opened_s)
        self._sink.connected(self._endpoint.source, self._clock())
        self._drain()
        socket_filter.open()

    async def _serve(self, socket: Socket) -> tuple[str, tuple[Socket, SocketFilter] | None]:
        """Waits until the socket ends, or until its successor is open. Returns the reason, or the successor."""
        ended = asyncio.ensure_future(socket.ended())
        handover = asyncio.ensure_future(self._open_successor())
        try:
            waits: set[asyncio.Future[Any]] = {ended, handover, self._socket_failure}
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            if handover.done():
                return "", handover.result()
            return ended.result() if ended.done() else self._socket_failure.result(), None
        finally:
            await cancel_and_wait(ended, handover)

    async def _open_successor(self) -> tuple[Socket, SocketFilter]:
        """Opens the successor socket when it is due, with as many attempts as that needs."""
        await self._handover_pending.wait()
        while True:
            socket_filter = self._new_filter()
            try:
                return await self._open_socket(socket_filter), socket_filter
            except TRANSPORT_ERRORS:
                await asyncio.sleep(_SUCCESSOR_RETRY_S)

    def _retire(self, socket: Socket, socket_filter: SocketFilter) -> None:
        """Forwards prints of the old socket until the new one has all its channels."""

        async def close_old() -> None:
            try:
                async with asyncio.timeout(_MAX_OVERLAP_S):
                    while not self._protocol.subscribed:
                        await asyncio.sleep(self._tick_s / 10)
            except TimeoutError:
                pass
            finally:
                socket_filter.close()
                await socket.close()

        socket_filter.prints_only()
        task = asyncio.ensure_future(close_old())
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    def _set_reading(self, enabled: bool) -> None:
        if self._socket is not None:
            (self._socket.resume if enabled else self._socket.pause)()

    # ---- frames -----------------------------------------------------------------------------------------------

    def _fail(self, exc: Exception) -> None:
        if not self._failed.done():
            self._failed.set_exception(exc)

    def _drain(self) -> None:
        for call in self._protocol.rest_calls():
            if not self._calls.enqueue(call):  # as for any failed call, so that the protocol retries
                self._sink.response(self._endpoint.source, self._clock(), call.tag, b"")
        frames = self._protocol.data_to_send()
        if frames and self._socket is not None:
            self._outgoing.extend(frames)
            self._outgoing_ready.set()

    def _on_response(self, tag: str, body: bytes) -> None:
        self._sink.response(self._endpoint.source, self._clock(), tag, body)
        self._drain()

    # ---- tasks ------------------------------------------------------------------------------------------------

    async def _send_loop(self) -> None:
        while True:
            await self._outgoing_ready.wait()
            self._outgoing_ready.clear()
            while self._outgoing and self._socket is not None:
                await self._socket.send(self._outgoing.popleft())

    async def _timer_loop(self) -> None:
        """The protocol's timers, and ours."""
        while True:
            await asyncio.sleep(self._tick_s)
            self._sink.timer(self._endpoint.source, self._clock(), self._runner_note())
            self._drain()
            if self._socket is not None and not self._socket_failure.done():
                self._check_health(self._loop.time())

    def _check_health(self, now: float) -> None:
        """True while this socket delivers data."""
        timeouts = self._protocol.timeouts
        if reason := self._watchdog.check(now, timeouts) or self._protocol.failure_reason:
            self._socket_failure.set_result(reason)
        elif self._protocol.closing_reason or now - self._opened_s >= timeouts.max_age_s:
            self._handover_pending.set()

    def _runner_note(self) -> str:
        """The runner's note for the user, beside the protocol's own status."""
        dropped_frames, errors = (
            self._frame_queue.dropped,
            self._rest.errors.get(authority_of(self._endpoint.rest)),
        )
        notes = []
        if dropped_frames:
            notes.append(
                "overload, left out: " + ", ".join(f"{n} {kind}" for kind, n in sorted(dropped_frames.items()))
            )
            self._dropped.update(dropped_frames)
            dropped_frames.clear()
        if errors:
            notes.append(f"REST: {errors}{advice(errors, self._endpoint.source.partition('.')[0])}")
        return "; ".join(notes)
