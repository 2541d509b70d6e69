"""One runner for all venues: connect, stamp, hand over, send what the protocol wants, come back after a loss.

It stands between the transport and the `Intake` (the driver). It decodes nothing and decides nothing about the market;
it owns time-outs, back-off, the change to a new socket before the old one ends, and the words for what went wrong.
REST calls and the protocol's timer go on while there is no socket, so that a protocol can live by REST alone.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from dfmon.venues.backoff import Backoff, Gate, pause_unless
from dfmon.venues.frame_queue import Inbox
from dfmon.venues.health.socket_watchdog import Silence, is_chatter
from dfmon.venues.protocol import Endpoint, RestCall
from dfmon.venues.socket_gate import Line
from dfmon.venues.transport.base import Open, Socket
from dfmon.venues.transport.errors import LOSSES, in_words
from dfmon.venues.transport.opener import opener

_MOST_CALLS: Final = 1000  # waiting for REST
_OVERLAP_S: Final = 5.0  # two sockets at most this long
_SUCCEED_EVERY_S: Final = 5.0


class Intake(Protocol):
    """Where everything goes, in order: it numbers, records, and calls the protocol. Must not block."""

    def connected(self, source: str, recv_ns: int) -> None: ...
    def frame(self, source: str, recv_ns: int, frame: bytes) -> None: ...
    def response(self, source: str, recv_ns: int, tag: str, body: bytes) -> None: ...
    def lost(self, source: str, recv_ns: int, reason: str) -> None: ...
    def timer(self, source: str, now_ns: int, remark: str = "") -> None: ...


class Asks(Protocol):
    """The part of `RestClient` that the runner uses."""

    @property
    def trouble(self) -> Mapping[str, str]: ...
    async def get(self, base: str, call: RestCall) -> bytes: ...


async def run(
    endpoint: Endpoint,
    intake: Intake,
    rest: Asks,
    clock: Callable[[], int],
    stop: asyncio.Event,
    *,
    rng: random.Random | None = None,
    pause: Callable[[asyncio.Event, float], Awaitable[None]] = pause_unless,
    tick_s: float = 1.0,
    gate: Gate | None = None,
    transport: Open | None = None,
    dropped: Counter[str] | None = None,
) -> None:
    """Keep `endpoint` connected until `stop` is set. `clock` gives wall nanoseconds; errors of `intake` are raised.

    `gate` is shared by the connections of a process; `dropped` counts frames by kind that an overload left out.
    """
    runner = _Runner(endpoint, intake, rest, clock, tick_s, gate, transport or opener(), dropped)
    backoff = Backoff(rng or random.Random())

    async def live() -> None:
        while True:
            reason = await runner.one_life()
            if runner.heard_data:
                backoff.reset()
            wait = backoff.next()
            intake.lost(endpoint.source, clock(), f"{reason}; next try in {math.ceil(wait)} s")
            await pause(stop, wait)

    tasks: list[asyncio.Future[Any]] = [asyncio.ensure_future(part) for part in (live(), *runner.parts(), stop.wait())]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await _end(*tasks)
        await runner.close()
    for task in done:
        task.result()
    intake.lost(endpoint.source, clock(), "stopped")


async def _end(*tasks: asyncio.Future[Any]) -> None:
    """Cancel what still runs and wait for it, leaving each task's outcome to be read."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # read, so that the second failure of a session is not reported as forgotten


class _Runner:
    """One source for as long as the program runs: its sockets one after the other, its REST calls, its timer."""

    def __init__(
        self,
        endpoint: Endpoint,
        intake: Intake,
        rest: Asks,
        clock: Callable[[], int],
        tick_s: float,
        gate: Gate | None,
        transport: Open,
        dropped: Counter[str] | None,
    ) -> None:
        self.heard_data = False
        self._endpoint, self._protocol = endpoint, endpoint.protocol
        self._intake, self._rest, self._clock, self._tick_s = intake, rest, clock, tick_s
        self._gate, self._transport = gate, transport
        self._dropped: Counter[str] = Counter() if dropped is None else dropped
        self._loop = asyncio.get_running_loop()
        self._failed: asyncio.Future[None] = self._loop.create_future()
        self._inbox = Inbox(self._protocol.sort, self._apply, self._drain, clock, self._fail, self._flow)
        self._calls: asyncio.Queue[RestCall] = asyncio.Queue(_MOST_CALLS)
        self._asking = 0  # how many connections there have been: an answer to an older one's call is not handed over
        self._texts: deque[str] = deque(maxlen=_MOST_CALLS)
        self._has_text = asyncio.Event()
        self._socket: Socket | None = None
        self._verdict: asyncio.Future[str] = self._loop.create_future()  # why this socket must be given up
        self._leave = asyncio.Event()  # another socket should take over
        self._silence = Silence()
        self._began = 0.0
        self._retiring: set[asyncio.Task[None]] = set()

    def parts(self) -> tuple[Awaitable[None], ...]:
        """What runs beside the sockets."""
        return self._tick(), self._ask(), self._send(), self._failed

    async def close(self) -> None:
        await _end(*self._retiring)
        socket, self._socket = self._socket, None
        if socket is not None:
            await socket.close()

    # ---- sockets ----------------------------------------------------------------------------------------------

    async def one_life(self) -> str:
        """From a handshake to the loss, over as many sockets as follow each other without one; the reason in words."""
        self.heard_data = False
        line = self._line()
        try:
            socket = await self._open(line)
        except LOSSES as exc:
            return in_words(exc)
        while True:
            self._begin(socket, line)
            reason, successor = await self._serve(socket)
            if successor is None:
                line.close()
                self._inbox.all()
                self._socket = None
                await socket.close()
                return reason
            self._retire(socket, line)
            socket, line = successor

    def _line(self) -> Line:
        return Line(self._hear, self._protocol.sort)

    async def _open(self, line: Line) -> Socket:
        if self._gate is not None:
            await self._gate.turn(self._endpoint.url)
        return await self._transport(self._endpoint.url, self._endpoint.headers, line)

    def _begin(self, socket: Socket, line: Line) -> None:
        self._inbox.all()  # of the socket before
        self._asking += 1
        while not self._calls.empty():
            self._calls.get_nowait()
        self._texts.clear()
        self._socket = socket
        self._verdict = self._loop.create_future()
        self._leave.clear()
        self._began = self._loop.time()
        self._silence.begin(self._began)
        self._intake.connected(self._endpoint.source, self._clock())
        self._drain()
        line.open()

    async def _serve(self, socket: Socket) -> tuple[str, tuple[Socket, Line] | None]:
        """Until the socket ends (why), or until another one is there to take over."""
        ended = asyncio.ensure_future(socket.ended())
        following = asyncio.ensure_future(self._follow())
        try:
            waits: set[asyncio.Future[Any]] = {ended, following, self._verdict}
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            if following.done():
                return "", following.result()
            return ended.result() if ended.done() else self._verdict.result(), None
        finally:
            await _end(ended, following)

    async def _follow(self) -> tuple[Socket, Line]:
        """When it is time, the socket that takes over, however many attempts that needs."""
        await self._leave.wait()
        while True:
            line = self._line()
            try:
                return await self._open(line), line
            except LOSSES:
                await asyncio.sleep(_SUCCEED_EVERY_S)

    def _retire(self, socket: Socket, line: Line) -> None:
        """Hear prints of the old socket until the new one has all its channels."""

        async def end() -> None:
            try:
                async with asyncio.timeout(_OVERLAP_S):
                    while not self._protocol.settled:
                        await asyncio.sleep(self._tick_s / 10)
            except TimeoutError:
                pass
            finally:
                line.close()
                await socket.close()

        line.prints_only()
        task = asyncio.ensure_future(end())
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    def _flow(self, read: bool) -> None:
        if self._socket is not None:
            (self._socket.resume if read else self._socket.pause)()

    # ---- frames -----------------------------------------------------------------------------------------------

    def _hear(self, frame: bytes) -> None:
        """A frame of a socket. Must not raise."""
        if not self._silence.heard and not is_chatter(frame):
            self._silence.heard = self.heard_data = True
        self._inbox.put(frame)

    def _apply(self, recv_ns: int, frame: bytes) -> None:
        self._intake.frame(self._endpoint.source, recv_ns, frame)

    def _fail(self, exc: Exception) -> None:
        if not self._failed.done():
            self._failed.set_exception(exc)

    def _drain(self) -> None:
        for call in self._protocol.rest_calls():
            if self._calls.full():  # unanswered like any failed call, so that the protocol asks again in its time
                self._intake.response(self._endpoint.source, self._clock(), call.tag, b"")
            else:
                self._calls.put_nowait(call)
        texts = self._protocol.data_to_send()
        if texts and self._socket is not None:
            self._texts.extend(texts)
            self._has_text.set()

    # ---- tasks ------------------------------------------------------------------------------------------------

    async def _send(self) -> None:
        while True:
            await self._has_text.wait()
            self._has_text.clear()
            while self._texts and self._socket is not None:
                await self._socket.send(self._texts.popleft())

    async def _ask(self) -> None:
        """REST calls one after the other: they are few, and their order is the protocol's."""
        while True:
            call, connection = await self._calls.get(), self._asking
            body = await self._rest.get(self._endpoint.rest, call)
            if connection == self._asking:
                self._intake.response(self._endpoint.source, self._clock(), call.tag, body)
                self._drain()

    async def _tick(self) -> None:
        """The protocol's timers, and ours."""
        while True:
            await asyncio.sleep(self._tick_s)
            self._intake.timer(self._endpoint.source, self._clock(), self._remark())
            self._drain()
            if self._socket is not None and not self._verdict.done():
                self._judge(self._loop.time())

    def _judge(self, now: float) -> None:
        """Whether this socket is still good."""
        patience = self._protocol.patience
        if why := self._silence.too_long(now, patience) or self._protocol.broken:
            self._verdict.set_result(why)
        elif self._protocol.leaving or now - self._began >= patience.life_s:
            self._leave.set()

    def _remark(self) -> str:
        """What the user should know of this second beside what the protocol says."""
        left_out, trouble = self._inbox.dropped, self._rest.trouble.get(urlsplit(self._endpoint.rest).hostname or "")
        words = []
        if left_out:
            words.append("overload, left out: " + ", ".join(f"{n} {kind}" for kind, n in sorted(left_out.items())))
            self._dropped.update(left_out)
            left_out.clear()
        if trouble:
            words.append(f"REST: {trouble}")
        return "; ".join(words)
