"""Each connection tried for some seconds with its real protocol, and each host asked for its time.

Where a connection fails the steps to it are taken one by one, so that the words name the one that fails: the name, the
connection, TLS, the websocket, the first data, refused channels, silence.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import getproxies

import httpx
import msgspec

from dfmon.cli.doctor.findings import Finding, note, ok, wrong
from dfmon.engine.chain import ChainState
from dfmon.engine.clock import TROUBLE_MS
from dfmon.engine.drift import GreekDrift
from dfmon.engine.feeds import FeedTracker
from dfmon.model.events import Event, FeedState
from dfmon.model.units import MILLISECOND, clean
from dfmon.venues import connection
from dfmon.venues.backoff import Gate
from dfmon.venues.protocol import Endpoint, RestCall
from dfmon.venues.rest.client import RestClient
from dfmon.venues.transport.errors import in_words
from dfmon.venues.transport.opener import opener

WATCH_S: Final = 8.0
_LEAST_S: Final = 3.0  # a connection that looks good is looked at this long
_STEP_S: Final = 4.0
_REST_S: Final = 6.0
_SLOW_S: Final = 1.0
_WEIGHT_SPOT, _WEIGHT_FUTURES = 6_000, 2_400  # Binance's request weight a minute
_SECURE: Final = frozenset({"wss", "https"})
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})

# Base name of a source -> where its REST side tells the time.
_TIME: Final[Mapping[str, str]] = {
    "deribit": "/public/get_time",
    "binance.spot": "/api/v3/time",
    "binance.public": "/fapi/v1/time",
    "binance.market": "/fapi/v1/time",
    "okx": "/api/v5/public/time",
}


class Watch:
    """The intake of one connection under examination: the protocol decodes, and what it says is kept."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.feed = FeedTracker(endpoint.source)
        self.losses: list[str] = []
        self.made = 0
        self.first_s: float | None = None
        self._protocol = endpoint.protocol
        self._began = 0.0
        listings = getattr(endpoint.protocol, "listings", None)
        self._chain = ChainState(() if listings is None else listings.underlyings)  # what the venue's greeks are about

    def connected(self, source: str, recv_ns: int) -> None:
        self.made += 1
        self._began = time.monotonic()
        self.feed.connected()
        self._see(self._protocol.connection_made(recv_ns), recv_ns)

    def frame(self, source: str, recv_ns: int, frame: bytes) -> None:
        self.feed.frame()
        self._see(self._protocol.frame_received(frame), recv_ns)

    def response(self, source: str, recv_ns: int, tag: str, body: bytes) -> None:
        self._see(self._protocol.response_received(tag, body), recv_ns)

    def lost(self, source: str, recv_ns: int, reason: str) -> None:
        self.losses.append(reason.partition("; next try")[0])
        self._see(self._protocol.connection_lost(reason), recv_ns)

    def timer(self, source: str, now_ns: int, remark: str = "") -> None:
        self._see(self._protocol.due(now_ns), now_ns)

    def _see(self, events: Sequence[Event], recv_ns: int) -> None:
        for event in events:
            self.feed.seen(event, recv_ns)
            if self._chain.handles(type(event)):
                self._chain.apply(event, recv_ns)
        if self.first_s is None and self.feed.health(recv_ns).age_s == 0.0:
            self.first_s = time.monotonic() - self._began

    @property
    def drift(self) -> GreekDrift:
        """The venue's greeks, as far as it told any, beside ours."""
        self._chain.gather()
        return self._chain.drift

    @property
    def good(self) -> bool:
        return self.first_s is not None and self._protocol.settled


async def feed(endpoint: Endpoint, rest: RestClient, gate: Gate) -> Finding:
    """One connection, for as long as it takes to judge it and `WATCH_S` at most."""
    about = f"feeds {endpoint.source}"
    trouble = await reach(endpoint.url)
    if trouble:
        return wrong(about, f"{_host(endpoint.url)}: {trouble}")
    watch, stop = Watch(endpoint), asyncio.Event()
    life = asyncio.create_task(connection.run(endpoint, watch, rest, time.time_ns, stop, gate=gate, transport=opener()))
    began = time.monotonic()
    while (spent := time.monotonic() - began) < WATCH_S and not life.done():
        if watch.good and spent >= _LEAST_S:
            break
        await asyncio.sleep(0.1)
    finding = _judged(about, endpoint, watch)  # before the stop, which is a loss too
    stop.set()
    await life
    return finding


def _judged(about: str, endpoint: Endpoint, watch: Watch) -> Finding:
    reason, losses = watch.feed.health(time.time_ns()).reason, watch.losses
    frames, rejected = watch.feed.frames, watch.feed.rejected
    if not watch.made:
        return wrong(about, f"{_host(endpoint.url)}: {losses[-1] if losses else 'no connection within 8 s'}")
    said = f"; the venue says: {reason}" if reason and reason not in ("subscribing", "waiting for data") else ""
    if watch.first_s is None:
        if losses:
            return wrong(about, f"connected, then {losses[-1]}, before any data{said}")
        if frames and rejected >= frames:
            return wrong(about, f"connected, but none of its {frames} frames could be understood")
        return wrong(about, f"connected, but no data within {WATCH_S:.0f} s{_route(endpoint.source)}{said}")
    words = f"first data {watch.first_s:.1f} s after connecting, {frames:,} frames"
    if losses:
        return wrong(about, f"{words}, then {losses[-1]}{said}")
    if rejected > max(3, frames // 20):
        return wrong(about, f"{words}, {rejected:,} of which could not be understood{said}")
    drift = watch.drift
    if drift.words():
        said += f"; {drift.words()}"
    if watch.feed.state is FeedState.DOWN or said:
        return wrong(about, f"{words}{said or '; it is down'}")
    return ok(about, f"{words}{f', greeks as ours in {drift.counts[0]} options' if drift.counts[0] else ''}")


def _route(source: str) -> str:
    """What most likely keeps the data away."""
    if source.startswith(("binance.public", "binance.market")):
        return ": is the address the one with the routes /public and /market?"
    return ""


async def reach(url: str) -> str:
    """Why nothing can be had from the host of `url`, step by step; empty where the steps go well, or by a proxy."""
    parts = urlsplit(url)
    host, secure = parts.hostname or "", parts.scheme in _SECURE
    if host not in _LOOPBACK and getproxies():
        return ""
    port = parts.port or (443 if secure else 80)
    try:
        async with asyncio.timeout(_STEP_S):
            await _look_up(host, port)
    except TimeoutError:
        return f"name not found: the resolver did not answer within {_STEP_S:.0f} s"
    except OSError as exc:
        return in_words(exc)
    try:
        async with asyncio.timeout(_STEP_S):
            _, writer = await asyncio.open_connection(host, port, ssl=ssl.create_default_context() if secure else None)
    except TimeoutError:
        return f"no connection to port {port} within {_STEP_S:.0f} s: a firewall?"
    except OSError as exc:
        return in_words(exc)
    writer.transport.abort()
    return ""


async def _look_up(host: str, port: int) -> None:
    """Getaddrinfo in a thread that nobody waits for: the loop's own would hold up the end of the program."""
    loop = asyncio.get_running_loop()
    found: asyncio.Future[None] = loop.create_future()

    def tell(exc: OSError | None) -> None:
        if not found.done():
            found.set_exception(exc) if exc else found.set_result(None)

    def work() -> None:
        try:
            socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as exc:
            answer: OSError | None = exc
        else:
            answer = None
        if not loop.is_closed():
            loop.call_soon_threadsafe(tell, answer)

    threading.Thread(target=work, daemon=True).start()
    await found


def _host(url: str) -> str:
    """Host and port alone: an address may hold a name and a password."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname or "no host"


# ---- REST, clock, limits ---------------------------------------------------------------------------------------------


async def rest_side(base_name: str, base: str, transport: httpx.AsyncBaseTransport | None = None) -> list[Finding]:
    """Whether REST answers, how far our clock is from the venue's, what the venue says of maintenance and limits."""
    about, call = f"rest {base_name}", RestCall("time", _TIME[base_name])
    trouble = await reach(base)
    if trouble:
        return [wrong(about, f"{_host(base)}: {trouble}")]
    async with RestClient(pace_s=0.05, transport=transport) as client:
        readings: list[tuple[float, float]] = []  # time of the way, our clock less theirs; ms
        for _ in range(3):
            sent = time.time_ns()
            body = b""
            try:
                async with asyncio.timeout(_REST_S):
                    body = await client.get(base, call)
            except TimeoutError:
                return [wrong(about, f"{_host(base)}: no answer within {_REST_S:.0f} s")]
            back = time.time_ns()
            if not body:
                return [
                    wrong(about, f"{_host(base)}: {client.trouble.get(urlsplit(base).hostname or '', 'no answer')}")
                ]
            theirs = _time(body)
            if theirs is None:
                return [wrong(about, f"{_host(base)}: answers, but not with its time: {_start(body)}")]
            readings.append(((back - sent) / MILLISECOND, (sent + back) / 2 / MILLISECOND - theirs))
        way_ms, offset_ms = min(readings)
        slow = way_ms > _SLOW_S * 1e3
        findings = [(note if slow else ok)(about, f"answers in {way_ms:,.0f} ms{', which is slow' if slow else ''}")]
        findings.append(clock(base_name, offset_ms, way_ms))
        findings += _weight(base_name, client.used_weight.get(urlsplit(base).hostname or ""))
        if base_name == "deribit":
            body = await client.get(base, RestCall("status", "/public/status"))
            findings += _status(body)
    return findings


def _weight(base_name: str, used: int | None) -> list[Finding]:
    """What Binance has counted against this address, by whatever program."""
    if used is None:
        return []
    allowed = _WEIGHT_SPOT if base_name == "binance.spot" else _WEIGHT_FUTURES
    words = f"{used:,} of {allowed:,} request weight used in the last minute by this address"
    return [(wrong if used > 0.8 * allowed else ok)(f"limits {base_name}", words)]


def clock(base_name: str, offset_ms: float, way_ms: float) -> Finding:
    """Our clock against a venue's; `way_ms` bounds the error."""
    about, off = f"clock {base_name}", abs(offset_ms)
    said = f"our clock is {off / 1e3:,.3f} s {'ahead of' if offset_ms > 0 else 'behind'} the venue's"
    if off - way_ms / 2 > TROUBLE_MS:
        return wrong(about, f"{said}: set the clock, by NTP for instance")
    return ok(about, f"{said} (to {way_ms / 2:,.0f} ms)")


def _time(body: bytes) -> float | None:
    """Milliseconds since the epoch of an answer of any venue."""
    try:
        answer: Any = msgspec.json.decode(body)
        for find in _FINDERS:
            try:
                value = float(find(answer))
            except (KeyError, TypeError, IndexError, ValueError):
                continue
            return value if 0.0 < value < 1e14 else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    return None


_FINDERS: Final[tuple[Callable[[Any], Any], ...]] = (
    lambda answer: answer["result"],
    lambda answer: answer["serverTime"],
    lambda answer: answer["data"][0]["ts"],
)


def _start(body: bytes) -> str:
    return clean(body[:60].decode("utf-8", "replace"))


def _status(body: bytes) -> list[Finding]:
    """What Deribit says of locks and maintenance."""
    try:
        answer: Any = msgspec.json.decode(body)
        locked = str(answer["result"]["locked"]).lower()
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError):
        return [wrong("venue deribit", f"its status is not to be had: {_start(body) or 'no answer'}")]
    if locked == "false":
        return [ok("venue deribit", "open, nothing is locked")]
    where = answer["result"].get("locked_indices") or answer["result"].get("locked_currencies") or "everything"
    return [wrong("venue deribit", clean(f"locked by the venue: {where}"))]
