"""Checks of each connection, for some seconds with its real protocol, and of the clock of each host.

After a failure the steps are taken one by one, so that the text names the one that fails: name resolution, connection,
TLS, websocket, first data, refused channels, silence.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import msgspec

from dfmon.cli.doctor.findings import Finding, failure, note, ok
from dfmon.engine.chain import ChainState
from dfmon.engine.feed_tracker import FeedTracker
from dfmon.engine.greek_drift import GreekDrift
from dfmon.engine.venue_clock import CLOCK_WARN_MS
from dfmon.model.errors import UsageError
from dfmon.model.events import Event, FeedState
from dfmon.model.units import MILLISECOND, sanitize
from dfmon.venues import connection
from dfmon.venues.backoff import ConnectLimiter
from dfmon.venues.certificates import tls_context
from dfmon.venues.failures import advice
from dfmon.venues.options import options_venues
from dfmon.venues.protocol import Endpoint, RestCall
from dfmon.venues.proxies import authority_of, proxy_of
from dfmon.venues.registry import find_source
from dfmon.venues.rest.client import RestClient
from dfmon.venues.spec import StatusCall
from dfmon.venues.transport.errors import describe_loss
from dfmon.venues.transport.opener import choose_opener

PROBE_S: Final = 8.0
_MIN_PROBE_S: Final = 3.0  # of a connection without a fault
_STEP_TIMEOUT_S: Final = 4.0
_REST_TIMEOUT_S: Final = 6.0
_SLOW_RESPONSE_S: Final = 1.0
_UNREADABLE: Final = (msgspec.DecodeError, RecursionError, KeyError, IndexError, TypeError, ValueError, AttributeError)
_TLS_SCHEMES: Final = frozenset({"wss", "https"})


class FeedProbe:
    """The sink of a connection that is checked: applies its events and collects its losses."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.feed = FeedTracker(endpoint.source)
        self.losses: list[str] = []
        self.connections = 0
        self.first_data_s: float | None = None
        self._protocol = endpoint.protocol
        self._connected_at = 0.0
        options = options_venues((endpoint,)).get(endpoint.source)
        self._chain = ChainState(() if options is None else tuple(options.underlyings))  # for the venue's greeks

    def connected(self, source: str, recv_ns: int) -> None:
        self.connections += 1
        self._connected_at = time.monotonic()
        self.feed.connected()
        self._apply_events(self._protocol.connection_made(recv_ns), recv_ns)

    def frame(self, source: str, recv_ns: int, frame: bytes) -> None:
        self.feed.frames += 1
        self._apply_events(self._protocol.frame_received(frame), recv_ns)

    def response(self, source: str, recv_ns: int, tag: str, body: bytes) -> None:
        self._apply_events(self._protocol.response_received(tag, body), recv_ns)

    def lost(self, source: str, recv_ns: int, reason: str) -> None:
        self.losses.append(reason.partition("; next try")[0])
        self._apply_events(self._protocol.connection_lost(reason), recv_ns)

    def timer(self, source: str, now_ns: int, runner_note: str = "") -> None:
        self._apply_events(self._protocol.on_timer(now_ns), now_ns)

    def _apply_events(self, events: Sequence[Event], recv_ns: int) -> None:
        for event in events:
            self.feed.on_event(event, recv_ns)
            if (apply := self._chain.handler(type(event))) is not None:
                apply(event, recv_ns)
        if self.first_data_s is None and self.feed.health(recv_ns).age_s == 0.0:
            self.first_data_s = time.monotonic() - self._connected_at

    @property
    def drift(self) -> GreekDrift:
        """The venue's greeks, if there are any, beside ours."""
        self._chain.flush_tickers()
        return self._chain.drift

    @property
    def complete(self) -> bool:
        return self.first_data_s is not None and self._protocol.subscribed


async def check_feed(endpoint: Endpoint, rest: RestClient, limiter: ConnectLimiter) -> Finding:
    """Checks one connection, at most for `PROBE_S`."""
    about = f"feeds {endpoint.source}"
    error = await unreachable_reason(endpoint.url)
    if error:
        return failure(about, f"{_host(endpoint.url)}: {error}")
    probe, stop = FeedProbe(endpoint), asyncio.Event()
    connection_task = asyncio.create_task(
        connection.run(endpoint, probe, rest, time.time_ns, stop, limiter=limiter, transport=choose_opener())
    )
    started = time.monotonic()
    while (elapsed_s := time.monotonic() - started) < PROBE_S and not connection_task.done():
        if probe.complete and elapsed_s >= _MIN_PROBE_S:
            break
        await asyncio.sleep(0.1)
    finding = _verdict(about, endpoint, probe)  # before the stop, which is a loss too
    stop.set()
    await connection_task
    return finding


def _verdict(about: str, endpoint: Endpoint, probe: FeedProbe) -> Finding:
    reason, losses = probe.feed.health(time.time_ns()).reason, probe.losses
    hint = find_source(endpoint.source)[1].no_data_hint
    frames, rejected = probe.feed.frames, probe.feed.rejected
    if not probe.connections:
        return failure(about, f"{_host(endpoint.url)}: {losses[-1] if losses else 'no connection within 8 s'}")
    venue_note = f"; the venue says: {reason}" if reason and reason not in ("subscribing", "waiting for data") else ""
    if probe.first_data_s is None:
        if losses:
            return failure(about, f"connected, then {losses[-1]}, before any data{venue_note}")
        if frames and rejected >= frames:
            return failure(about, f"connected, but none of its {frames} frames could be understood")
        return failure(about, f"connected, but no data within {PROBE_S:.0f} s{hint and f': {hint}'}{venue_note}")
    text = f"first data {probe.first_data_s:.1f} s after connecting, {frames:,} frames"
    if losses:
        return failure(about, f"{text}, then {losses[-1]}{venue_note}")
    if rejected > max(3, frames // 20):
        return failure(about, f"{text}, {rejected:,} of which could not be understood{venue_note}")
    drift = probe.drift
    if drift.status_text():
        venue_note += f"; {drift.status_text()}"
    if probe.feed.state is FeedState.DOWN or venue_note:
        return failure(about, f"{text}{venue_note or '; it is down'}")
    return ok(about, f"{text}{f', greeks as ours in {drift.counts[0]} options' if drift.counts[0] else ''}")


async def unreachable_reason(url: str) -> str:
    """The first step towards the host of `url` that fails; empty where the steps go well, or by a proxy."""
    parts = urlsplit(url)
    host, secure = parts.hostname or "", parts.scheme in _TLS_SCHEMES
    try:
        if proxy_of(url) is not None:
            return ""
        context = tls_context() if secure else None
    except UsageError as exc:
        return str(exc)
    port = parts.port or (443 if secure else 80)
    try:
        async with asyncio.timeout(_STEP_TIMEOUT_S):
            await _resolve_host(host, port)
    except TimeoutError:
        return f"name not found: the resolver did not respond within {_STEP_TIMEOUT_S:.0f} s"
    except OSError as exc:
        return describe_loss(exc)
    try:
        async with asyncio.timeout(_STEP_TIMEOUT_S):
            _, writer = await asyncio.open_connection(host, port, ssl=context)
    except TimeoutError:
        return f"no connection to port {port} within {_STEP_TIMEOUT_S:.0f} s: a firewall?"
    except OSError as exc:
        return describe_loss(exc)
    writer.transport.abort()
    return ""


async def _resolve_host(host: str, port: int) -> None:
    """Calls getaddrinfo in a daemon thread: the loop's own executor would delay the end of the program."""
    loop = asyncio.get_running_loop()
    resolved: asyncio.Future[None] = loop.create_future()

    def set_outcome(exc: OSError | None) -> None:
        if not resolved.done():
            resolved.set_exception(exc) if exc else resolved.set_result(None)

    def resolve() -> None:
        try:
            socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as exc:
            error: OSError | None = exc
        else:
            error = None
        if not loop.is_closed():
            loop.call_soon_threadsafe(set_outcome, error)

    threading.Thread(target=resolve, daemon=True).start()
    await resolved


def _host(url: str) -> str:
    """Host and port alone: an address may hold a name and a password."""
    return authority_of(url) or "no host"


# ---- REST, clock, limits ---------------------------------------------------------------------------------------------


async def check_rest(name: str, base: str, transport: httpx.AsyncBaseTransport | None = None) -> list[Finding]:
    """REST at `base`, of source `name`: the response time, our clock against the venue's, maintenance and limits."""
    spec, source = find_source(name)
    about, call = f"rest {name}", RestCall("time", source.time_path)
    error = await unreachable_reason(base)
    if error:
        return [failure(about, f"{_host(base)}: {error}")]
    async with RestClient(pace_s=0.05, transport=transport) as client:
        samples: list[tuple[float, float]] = []  # round trip, our clock less theirs; ms
        for _ in range(3):
            sent_ns = time.time_ns()
            body = b""
            try:
                async with asyncio.timeout(_REST_TIMEOUT_S):
                    body = await client.get(base, call)
            except TimeoutError:
                return [failure(about, f"{_host(base)}: no response within {_REST_TIMEOUT_S:.0f} s")]
            recv_ns = time.time_ns()
            if not body:
                reason = client.errors.get(authority_of(base), "no response")
                return [failure(about, f"{_host(base)}: {reason}{advice(reason, spec.name)}")]
            venue_ms = _venue_time_ms(body, spec.venue_ms)
            if venue_ms is None:
                return [failure(about, f"{_host(base)}: responds, but not with its time: {_excerpt(body)}")]
            samples.append(((recv_ns - sent_ns) / MILLISECOND, (sent_ns + recv_ns) / 2 / MILLISECOND - venue_ms))
        round_trip_ms, offset_ms = min(samples)
        slow = round_trip_ms > _SLOW_RESPONSE_S * 1e3
        findings = [
            (note if slow else ok)(about, f"responds in {round_trip_ms:,.0f} ms{', which is slow' if slow else ''}")
        ]
        findings.append(check_clock(name, offset_ms, round_trip_ms))
        used_weight = client.used_weight_1m.get(authority_of(base))
        if used_weight is not None and source.max_weight_1m is not None:
            findings.append(_check_weight(name, used_weight, source.max_weight_1m))
        if spec.status is not None:
            body = await client.get(base, RestCall("status", spec.status.path))
            findings.append(_check_status(spec.name, spec.status, body))
    return findings


def _check_weight(name: str, used: int, allowed: int) -> Finding:
    """The request weight that the venue has counted against this address, by any program."""
    text = f"{used:,} of {allowed:,} request weight used in the last minute by this address"
    return (failure if used > 0.8 * allowed else ok)(f"limits {name}", text)


def check_clock(name: str, offset_ms: float, round_trip_ms: float) -> Finding:
    """Our clock against a venue's; `round_trip_ms` bounds the error."""
    about, abs_offset_ms = f"clock {name}", abs(offset_ms)
    message = f"our clock is {abs_offset_ms / 1e3:,.3f} s {'ahead of' if offset_ms > 0 else 'behind'} the venue's"
    if abs_offset_ms - round_trip_ms / 2 > CLOCK_WARN_MS:
        return failure(about, f"{message}: set the clock, by NTP for instance")
    return ok(about, f"{message} (to {round_trip_ms / 2:,.0f} ms)")


def _venue_time_ms(body: bytes, venue_ms: Callable[[Any], float]) -> float | None:
    """Milliseconds since the epoch; None if the response has no plausible time."""
    try:
        value = venue_ms(msgspec.json.decode(body))
    except _UNREADABLE:
        return None
    return value if 0.0 < value < 1e14 else None


def _excerpt(body: bytes) -> str:
    return sanitize(body[:60].decode("utf-8", "replace"))


def _check_status(name: str, status: StatusCall, body: bytes) -> Finding:
    """The locks and the maintenance that the venue reports."""
    try:
        locked = status.locked(msgspec.json.decode(body))
    except _UNREADABLE:
        return failure(f"venue {name}", f"status is unavailable: {_excerpt(body) or 'no response'}")
    if locked:
        return failure(f"venue {name}", sanitize(f"locked by the venue: {locked}"))
    return ok(f"venue {name}", "open, nothing is locked")
