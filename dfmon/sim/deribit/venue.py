"""Deribit's public API: JSON-RPC 2.0 over websocket with subscriptions and heartbeats, and REST.

Quirks of the venue: responses carry usIn/usOut/usDiff/testnet and notifications do not; acknowledgements list channels
in another order; unknown channels are dropped silently; a second subscription to a channel brings no second snapshot.
NOTES.md names the source of each behaviour.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Final

import msgspec
from websockets.asyncio.server import ServerConnection

from dfmon.model.units import SECOND
from dfmon.sim.deribit.client_session import DeribitSession
from dfmon.sim.deribit.frames import Frames
from dfmon.sim.deribit.params import Params, RpcError, invalid_params
from dfmon.sim.deribit.rest import MAX_FRAME, DeribitRest
from dfmon.sim.deribit.rpc import DeribitMethods
from dfmon.sim.deribit.topic_factory import TopicFactory
from dfmon.sim.deribit.topics import BookTopic, Topic
from dfmon.sim.faults import Faults
from dfmon.sim.market.currency_market import MarketEvents
from dfmon.sim.market.listing import last_delivery_ns
from dfmon.sim.market.simulated_market import SimulatedMarket
from dfmon.sim.transport import ClientSession, RestResponse, broadcast, encode

_IDLE_TIMEOUT_S: Final = 60.0  # no subscription and nothing sent
_TEST_REQUEST_TIMEOUT_S: Final = 10.0  # to answer a test_request
_MAX_CHANNELS: Final = 500  # per call
_SETTLEMENT_NS: Final = 3 * SECOND  # after 08:00 UTC
_MAINTENANCE_FRAME: Final = b'{"jsonrpc":"2.0","method":"subscription","params":{"channel":"platform_state","data":%s}}'
# served during the daily settlement and in maintenance: they do not concern the market
_EXEMPT_METHODS: Final = frozenset(
    {"public/hello", "public/test", "public/get_time", "public/status", "public/set_heartbeat"}
)
_TEST_REQUEST_FRAME: Final = b'{"params":{"type":"test_request"},"method":"heartbeat","jsonrpc":"2.0"}'


class DeribitVenue:
    """The venue. `timer_speedup` divides the protocol's timers, for tests."""

    compression: str | None = "deflate"
    ping_interval: float | None = None
    max_connections = 32

    def __init__(
        self, market: SimulatedMarket, clock: Callable[[], int], faults: Faults, timer_speedup: float = 1.0
    ) -> None:
        self._market, self._clock, self._faults, self._timer_speedup = market, clock, faults, timer_speedup
        self._ack_order_rng = random.Random(market.start_ns)  # of acknowledged channels
        self._in_maintenance = False
        self._methods = DeribitMethods(market, clock, faults)
        self._frames = Frames(clock)
        self._rest = DeribitRest(self._call_over_http, self._frames, timer_speedup)
        self._topic_factory = TopicFactory(market, self._methods, faults)
        self._topics: dict[str, tuple[Topic, set[DeribitSession]]] = {}
        self.sessions: set[ClientSession] = set()
        self._session_methods: dict[str, Callable[[DeribitSession, Params], object]] = {
            "public/subscribe": self._subscribe,
            "public/unsubscribe": self._unsubscribe,
            "public/unsubscribe_all": self._unsubscribe_all,
            "public/set_heartbeat": self._set_heartbeat,
            "public/disable_heartbeat": self._disable_heartbeat,
        }

    # -- edges ----------------------------------------------------------------------------------------------------

    async def serve_client(self, ws: ServerConnection) -> None:
        """Serves one client until it disconnects."""
        session = DeribitSession(ws, self._timer_speedup)
        self.sessions.add(session)
        try:
            await session.serve_messages(lambda message: self._on_message(session, message))
        finally:
            self.sessions.discard(session)
            self._remove_subscriptions(session, list(session.channels))

    def get(self, path: str, query: dict[str, str]) -> RestResponse:
        """Answer a method by its path."""
        return self._rest.get(path, query)

    def post(self, path: str, body: bytes) -> RestResponse:
        """Answer a request of JSON-RPC."""
        return self._rest.post(path, body)

    def _call_over_http(self, method: str, params: Params) -> object:
        if method.startswith("private/"):
            raise RpcError(13009, "unauthorized", {"reason": "invalid_token"})
        self._check_available(method)
        if method in self._session_methods:
            raise RpcError(10030, "must_be_websocket_request")
        return self._methods.call(method, params)

    def error_body(self, status: HTTPStatus) -> bytes:
        """The body beside an error status: Deribit's own for 429, otherwise that of the proxy in front."""
        if status is HTTPStatus.TOO_MANY_REQUESTS:
            return self._frames.error(RpcError(10028, "too_many_requests"), self._frames.now_us())
        return f"<html><head><title>{status.value} {status.phrase}</title></head></html>".encode()

    def apply_one_shots(self, one_shots: Faults) -> None:
        """Deribit announces nothing of its own before it closes."""

    def publish(self, tick_number: int, events: MarketEvents) -> None:
        """Publishes due updates, and runs heartbeats and maintenance."""
        events = self._drop_prints(events)
        for channel, (topic, subscribers) in list(self._topics.items()):
            topic.on_events(events)
            if tick_number % topic.interval_ticks:
                continue
            payloads = topic.next_payloads()
            if self._faults.is_muted(channel) or (self._faults.lose_books and isinstance(topic, BookTopic)):
                continue
            for payload in payloads:
                broadcast(subscribers, _notification(channel, payload))
        if self._in_maintenance is not self._faults.maintenance:
            self._switch_maintenance()
        now = asyncio.get_running_loop().time()
        for session in list(self.sessions):
            if isinstance(session, DeribitSession):
                self._check_heartbeat(session, now)

    def _drop_prints(self, events: MarketEvents) -> MarketEvents:
        drop_count = min(self._faults.lose_prints, len(events.option_trades))
        if not drop_count:
            return events
        self._faults.lose_prints -= drop_count
        return replace(events, option_trades=events.option_trades[drop_count:])

    def _switch_maintenance(self) -> None:
        """Announce the start of maintenance, and drop every connection at its end."""
        self._in_maintenance = self._faults.maintenance
        _, subscribers = self._topics.get("platform_state", (None, set[DeribitSession]()))
        broadcast(subscribers, _MAINTENANCE_FRAME % encode({"maintenance": self._in_maintenance}))
        if not self._in_maintenance:
            for session in list(self.sessions):
                session.abort()

    # -- requests -------------------------------------------------------------------------------------------------

    def _on_message(self, session: DeribitSession, message: str | bytes) -> None:
        us_in = self._frames.now_us()
        if len(message) > MAX_FRAME:
            self._send_error(session, RpcError(-32600, "Request entity too large"), us_in)
            return
        try:
            request = msgspec.json.decode(message)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self._send_error(session, RpcError(11050, "bad_request", "invalid json"), us_in)
            return
        if not isinstance(request, dict) or not isinstance(request.get("method"), str):
            self._send_error(session, RpcError(-32600, "Invalid Request"), us_in)
            return
        if not session.credits.consume(request["method"], asyncio.get_running_loop().time()):
            final_frame = self._frames.error(RpcError(10028, "too_many_requests"), us_in, request.get("id"))
            session.close(1008, "too_many_requests", final_frame)
            return
        self._handle_request(session, request, us_in)

    def _handle_request(self, session: DeribitSession, request: dict[str, Any], us_in: int) -> None:
        method, params, request_id = request["method"], request.get("params") or {}, request.get("id")
        result: object
        snapshots: list[tuple[str, object]] = []
        try:
            if not isinstance(params, dict):
                raise RpcError(-32602, "Invalid params")
            if method == "public/test":
                session.pending_test_at = None
            if method.startswith("private/"):
                raise RpcError(13009, "unauthorized", {"reason": "invalid_token"})
            self._check_available(method)
            if method == "public/subscribe":
                result, snapshots = self._add_subscriptions(session, params)
            elif method in self._session_methods:
                result = self._session_methods[method](session, params)
            else:
                result = self._methods.call(method, params)
        except RpcError as error:
            self._send_error(session, error, us_in, request_id)
            return
        session.send(self._frames.result(result, us_in, request_id))
        for channel, payload in snapshots:
            session.send(_notification(channel, payload))

    def _check_available(self, method: str) -> None:
        """Raises RpcError for market methods during maintenance and in the seconds after 08:00 UTC."""
        if method in _EXEMPT_METHODS:
            return
        if self._faults.maintenance:
            raise RpcError(11051, "system_maintenance")
        if self._market.now_ns - last_delivery_ns(self._market.now_ns) < _SETTLEMENT_NS:
            raise RpcError(10041, "settlement_in_progress")

    def _send_error(self, session: ClientSession, error: RpcError, us_in: int, request_id: object = None) -> None:
        session.send(self._frames.error(error, us_in, request_id))

    # -- subscriptions --------------------------------------------------------------------------------------------

    def _subscribe(self, session: DeribitSession, params: Params) -> object:
        return self._add_subscriptions(session, params)[0]

    def _add_subscriptions(self, session: DeribitSession, params: Params) -> tuple[list[str], list[tuple[str, object]]]:
        """The accepted channels, in another order than requested, and the snapshots that follow."""
        requested = [channel for channel in _channels(params) if not self._faults.is_refused(channel)]
        topics = {
            channel: entry[0] if (entry := self._topics.get(channel)) else self._topic_factory.create_topic(channel)
            for channel in requested
        }
        accepted, snapshots = [], []
        for channel, topic in topics.items():
            if topic is None:
                continue
            accepted.append(channel)
            if channel in session.channels:
                continue
            session.channels.add(channel)
            _, subscribers = self._topics.setdefault(channel, (topic, set()))
            # send the others the changes up to this snapshot, or their chain would break
            for payload in topic.next_payloads() if subscribers else ():
                broadcast(subscribers, _notification(channel, payload))
            subscribers.add(session)
            payload = topic.snapshot()
            if payload is not None:
                snapshots.append((channel, payload))
        self._ack_order_rng.shuffle(accepted)
        return accepted, [(c, p) for c, p in snapshots if not self._faults.is_muted(c)]

    def _unsubscribe(self, session: DeribitSession, params: Params) -> object:
        removed = [channel for channel in _channels(params) if channel in session.channels]
        self._remove_subscriptions(session, removed)
        self._ack_order_rng.shuffle(removed)
        return removed

    def _unsubscribe_all(self, session: DeribitSession, params: Params) -> object:
        self._remove_subscriptions(session, list(session.channels))
        return "ok"

    def _remove_subscriptions(self, session: DeribitSession, channels: list[str]) -> None:
        for channel in channels:
            session.channels.discard(channel)
            _, subscribers = self._topics[channel]
            subscribers.discard(session)
            if not subscribers:
                del self._topics[channel]

    # -- heartbeats -----------------------------------------------------------------------------------------------

    def _set_heartbeat(self, session: DeribitSession, params: Params) -> object:
        heartbeat_interval = params.get("interval")
        if not isinstance(heartbeat_interval, int | float) or heartbeat_interval < 10:
            raise RpcError(-32602, "Invalid params", {"reason": "interval must be at least 10", "param": "interval"})
        session.heartbeat_interval = float(heartbeat_interval)
        session.next_test_at = asyncio.get_running_loop().time() + (heartbeat_interval + 2.0) / self._timer_speedup
        session.pending_test_at = None
        return "ok"

    def _disable_heartbeat(self, session: DeribitSession, params: Params) -> object:
        session.heartbeat_interval, session.pending_test_at = 0.0, None
        return "ok"

    def _check_heartbeat(self, session: DeribitSession, now: float) -> None:
        if session.heartbeat_interval:
            if (
                session.pending_test_at is not None
                and now - session.pending_test_at >= _TEST_REQUEST_TIMEOUT_S / self._timer_speedup
            ):
                session.close(4000, "heartbeat close")
            elif now >= session.next_test_at:
                session.send(_TEST_REQUEST_FRAME)
                session.next_test_at = now + (session.heartbeat_interval + 0.6) / self._timer_speedup
                session.pending_test_at = session.pending_test_at if session.pending_test_at is not None else now
        elif not session.channels and now - session.last_received_at > _IDLE_TIMEOUT_S / self._timer_speedup:
            session.abort()


def _notification(channel: str, payload: object) -> bytes:
    return encode({"jsonrpc": "2.0", "method": "subscription", "params": {"channel": channel, "data": payload}})


def _channels(params: Params) -> list[str]:
    channels = params.get("channels")
    if not isinstance(channels, list):
        raise RpcError(-32602, "Invalid params", {"reason": "value is required", "param": "channels"})
    if len(channels) > _MAX_CHANNELS:
        raise invalid_params(f"no more than {_MAX_CHANNELS} channels per call", "channels")
    return list(dict.fromkeys(c for c in channels if isinstance(c, str)))
