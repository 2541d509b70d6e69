"""One websocket runner for all venues: connect, stamp, hand over, send what the protocol wants, come back after a loss.

It stands between the socket and the `Intake` (the driver). It decodes nothing and decides nothing about the market; it
owns time-outs, back-off and the words for what went wrong.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Awaitable, Callable
from typing import Final, Protocol
from urllib.parse import urlsplit

import websockets
from websockets.asyncio.client import ClientConnection, connect

from dfmon.model.units import clean
from dfmon.venues.protocol import Endpoint, RestCall
from dfmon.version import __version__

_MAX_FRAME: Final = 16 * 1024 * 1024  # a whole chain of marks passes the library's 1 MiB
_OPEN_S: Final = 10.0
_CLOSE_S: Final = 0.5  # a venue that does not answer the goodbye must not hold up the end
_PING_S: Final = 20.0
_BACKOFF_S: Final = 30.0
_LEAST_WAIT_S: Final = 0.25
_MOST_CALLS: Final = 1000  # waiting for REST
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_CHATTER_BYTES: Final = 400
# What only proves that the venue's process lives: heartbeats, pongs, answers to requests, acknowledgements.
_CHATTER: Final = (b'"heartbeat"', b'"usOut"', b'"event":', b'"result":null')


class Intake(Protocol):
    """Where everything goes, in order: it numbers, records, and calls the protocol. Must not block."""

    def connected(self, source: str, recv_ns: int) -> None: ...
    def frame(self, source: str, recv_ns: int, frame: bytes) -> None: ...
    def response(self, source: str, recv_ns: int, tag: str, body: bytes) -> None: ...
    def lost(self, source: str, recv_ns: int, reason: str) -> None: ...
    def timer(self, source: str, now_ns: int, remark: str = "") -> None: ...


class Asks(Protocol):
    """The part of `RestClient` that the runner uses."""

    async def get(self, base: str, call: RestCall) -> bytes: ...


class SilenceError(Exception):
    """The connection is open and nothing comes."""


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    """Sleep, but not past `stop`."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        pass


async def run(
    endpoint: Endpoint,
    intake: Intake,
    rest: Asks,
    clock: Callable[[], int],
    stop: asyncio.Event,
    *,
    rng: random.Random | None = None,
    pause: Callable[[asyncio.Event, float], Awaitable[None]] = _pause,
    tick_s: float = 1.0,
) -> None:
    """Keep `endpoint` connected until `stop` is set. `clock` gives wall nanoseconds; errors of `intake` are raised."""
    backoff = Backoff(rng or random.Random())
    while not stop.is_set():
        session = _Session(endpoint, intake, rest, clock, tick_s)
        reason = await _until(stop, session)
        if stop.is_set():
            intake.lost(endpoint.source, clock(), "stopped")
            return
        if session.heard_data:
            backoff.reset()
        wait = backoff.next()
        intake.lost(endpoint.source, clock(), f"{reason}; next try in {math.ceil(wait)} s")
        await pause(stop, wait)


class Backoff:
    """Full jitter: any time up to a ceiling that doubles, so that many clients do not come back together."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._ceiling = 1.0

    def next(self) -> float:
        wait = max(_LEAST_WAIT_S, self._rng.uniform(0.0, self._ceiling))
        self._ceiling = min(_BACKOFF_S, self._ceiling * 2)
        return wait

    def reset(self) -> None:
        self._ceiling = 1.0


async def _until(stop: asyncio.Event, session: _Session) -> str:
    """Run a session to its end or to `stop`; the reason in words."""
    life = asyncio.create_task(session.live())
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({life, stopped}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await _end(stopped, life)
    try:
        return "stopped" if life.cancelled() else life.result()
    except (OSError, TimeoutError, SilenceError, websockets.WebSocketException) as exc:
        return in_words(exc)


async def _end(*tasks: asyncio.Task[bool] | asyncio.Task[str] | asyncio.Task[None]) -> None:
    """Cancel what still runs and wait for it, leaving each task's outcome to be read."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # read, so that the second failure of a session is not reported as forgotten


class _Session:
    """One connection from the handshake to its end."""

    def __init__(self, endpoint: Endpoint, intake: Intake, rest: Asks, clock: Callable[[], int], tick_s: float) -> None:
        self.heard_data = False
        self._endpoint = endpoint
        self._protocol = endpoint.protocol
        self._intake = intake
        self._rest = rest
        self._clock = clock
        self._tick_s = tick_s
        self._calls: asyncio.Queue[RestCall] = asyncio.Queue(_MOST_CALLS)
        self._heard_at = 0.0

    async def live(self) -> str:
        """Connect and serve. Ends with an exception always, since nobody closes a good connection."""
        async with connect(
            self._endpoint.url,
            max_size=_MAX_FRAME,
            compression="deflate",
            open_timeout=_OPEN_S,
            close_timeout=_CLOSE_S,
            ping_interval=_PING_S,
            ping_timeout=_PING_S,
            proxy=None if urlsplit(self._endpoint.url).hostname in _LOOPBACK else True,
            user_agent_header=f"dfmon/{__version__}",
            additional_headers=self._endpoint.headers,
        ) as socket:
            self._heard_at = asyncio.get_running_loop().time()
            self._intake.connected(self._endpoint.source, self._clock())
            await self._drain(socket)
            tasks = [asyncio.create_task(part(socket)) for part in (self._read, self._tick, self._ask)]
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                await _end(*tasks)
            for task in done:
                task.result()
            return "closed"

    async def _read(self, socket: ClientConnection) -> None:
        loop, source = asyncio.get_running_loop(), self._endpoint.source
        while True:
            frame = await socket.recv(decode=False)
            self._intake.frame(source, self._clock(), frame)
            if not is_chatter(frame):
                self._heard_at = loop.time()
                self.heard_data = True
            await self._drain(socket)

    async def _tick(self, socket: ClientConnection) -> None:
        """The protocol's timers, and ours: a connection may be open, answer pings, and bring nothing for hours."""
        loop, patience = asyncio.get_running_loop(), self._protocol.patience
        while True:
            await asyncio.sleep(self._tick_s)
            self._intake.timer(self._endpoint.source, self._clock())
            await self._drain(socket)
            if self._protocol.broken:
                raise SilenceError(self._protocol.broken)
            silent = loop.time() - self._heard_at
            if silent >= (patience.data_s if self.heard_data else patience.first_data_s):
                raise SilenceError(f"no data for {silent:.0f} s" + ("" if self.heard_data else " after connecting"))

    async def _ask(self, socket: ClientConnection) -> None:
        """REST calls one after the other: they are few, and their order is the protocol's."""
        while True:
            call = await self._calls.get()
            body = await self._rest.get(self._endpoint.rest, call)
            self._intake.response(self._endpoint.source, self._clock(), call.tag, body)
            await self._drain(socket)

    async def _drain(self, socket: ClientConnection) -> None:
        for call in self._protocol.rest_calls():
            if self._calls.full():  # unanswered like any failed call, so that the protocol asks again in its time
                self._intake.response(self._endpoint.source, self._clock(), call.tag, b"")
            else:
                self._calls.put_nowait(call)
        try:
            for text in self._protocol.data_to_send():
                await socket.send(text)
        except websockets.ConnectionClosed:
            pass  # the reader ends the session, when it has read what came before the close


def is_chatter(frame: bytes) -> bool:
    """Whether a frame brings no market data."""
    if len(frame) > _CHATTER_BYTES:
        return False
    return frame == b"pong" or any(mark in frame for mark in _CHATTER)


def in_words(exc: BaseException) -> str:
    """What ended a connection, as a user would say it."""
    if isinstance(exc, SilenceError):
        return str(exc)
    if isinstance(exc, websockets.InvalidStatus):
        status = exc.response.status_code
        return f"HTTP {status}" + (": too many connections or requests" if status == 429 else "")
    if isinstance(exc, websockets.ConnectionClosed):
        if exc.rcvd is None:
            return (
                "connection broken off" if exc.sent is None else f"gave up: {clean(exc.sent.reason) or exc.sent.code}"
            )
        reason = clean(exc.rcvd.reason)
        return f"closed by the venue ({exc.rcvd.code}{': ' + reason if reason else ''})"
    if isinstance(exc, TimeoutError):
        return f"no answer within {_OPEN_S:.0f} s"
    if isinstance(exc, ConnectionRefusedError) or "Connect call failed" in str(exc):
        return "connection refused"
    if isinstance(exc, OSError) and exc.strerror:
        return clean(exc.strerror.lower() if exc.strerror[:1].isupper() else exc.strerror)
    return clean(f"{type(exc).__name__}: {exc}")
