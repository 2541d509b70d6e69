"""Deribit as clients meet it: JSON-RPC 2.0 over websocket with subscriptions and heartbeats, and REST by GET.

Kept on purpose: replies carry usIn/usOut/usDiff/testnet and notifications do not; acks come in another order; unknown
channels are dropped silently; a second subscription to a channel brings no second snapshot. NOTES.md names the source
of each behaviour.
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
from dfmon.sim.deribit.channels import TopicMaker
from dfmon.sim.deribit.rpc import DeribitMethods, Params, RpcError, invalid
from dfmon.sim.deribit.session import Credits, DeribitSession
from dfmon.sim.deribit.topics import BookChanges, Topic
from dfmon.sim.faults import Faults
from dfmon.sim.market.currency import Happenings
from dfmon.sim.market.listing import last_cut
from dfmon.sim.market.market import Market
from dfmon.sim.transport import Answer, Session, broadcast, encode

MAX_FRAME: Final = 32_768
REST_PREFIX: Final = "/api/v2/"
_IDLE_S: Final = 60.0  # no subscription and nothing sent
_GRACE_S: Final = 10.0  # to answer a test_request
_MOST_CHANNELS: Final = 500  # per call
_SETTLING: Final = 3 * SECOND  # after 08:00 UTC
_MAINTENANCE: Final = b'{"jsonrpc":"2.0","method":"subscription","params":{"channel":"platform_state","data":%s}}'
# answered during the daily settlement and in maintenance, since they say nothing of the market
_ALWAYS: Final = frozenset({"public/hello", "public/test", "public/get_time", "public/status", "public/set_heartbeat"})
_ARCHIVED: Final = "public/get_last_trades_by_"  # the archive's host counts for itself, and does not say how
_TEST_REQUEST: Final = b'{"params":{"type":"test_request"},"method":"heartbeat","jsonrpc":"2.0"}'


class Deribit:
    """The venue. `hurry` divides the protocol's timers, for tests."""

    compression: str | None = "deflate"
    ping_interval: float | None = None
    most_connections = 32

    def __init__(self, market: Market, clock: Callable[[], int], faults: Faults, hurry: float = 1.0) -> None:
        self._market, self._clock, self._faults, self._hurry = market, clock, faults, hurry
        self._order = random.Random(market.start_ns)  # of acknowledged channels
        self._rest_credits: Credits | None = None
        self._maintained = False
        self._methods = DeribitMethods(market, clock, faults)
        self._maker = TopicMaker(market, self._methods, faults)
        self._topics: dict[str, tuple[Topic, set[DeribitSession]]] = {}
        self.sessions: set[Session] = set()
        self._session_methods: dict[str, Callable[[DeribitSession, Params], object]] = {
            "public/subscribe": self._subscribe,
            "public/unsubscribe": self._unsubscribe,
            "public/unsubscribe_all": self._unsubscribe_all,
            "public/set_heartbeat": self._set_heartbeat,
            "public/disable_heartbeat": self._disable_heartbeat,
        }

    # -- edges ----------------------------------------------------------------------------------------------------

    async def connect(self, ws: ServerConnection) -> None:
        """Serve one client until it goes."""
        session = DeribitSession(ws, self._hurry)
        self.sessions.add(session)
        try:
            await session.serve(lambda message: self._hear(session, message))
        finally:
            self.sessions.discard(session)
            self._leave(session, list(session.channels))

    def get(self, path: str, query: dict[str, str]) -> Answer:
        """REST: errors are status 400 with the same body, except an empty pool of credits, which is 429."""
        method = path.removeprefix(REST_PREFIX)
        us_in = self._clock() // 1_000
        now = asyncio.get_running_loop().time()
        self._rest_credits = self._rest_credits or Credits(now, self._hurry, websocket=False)
        if not method.startswith(_ARCHIVED) and not self._rest_credits.spend(method, now):
            return Answer(HTTPStatus.TOO_MANY_REQUESTS, self.troubled(HTTPStatus.TOO_MANY_REQUESTS))
        try:
            self._refuse(method)
            if method in self._session_methods:
                raise RpcError(10030, "must_be_websocket_request")
            body: dict[str, Any] = {"jsonrpc": "2.0", "result": self._methods.call(method, query)}
        except RpcError as error:
            return Answer(HTTPStatus.BAD_REQUEST, self._error(error, us_in))
        return Answer(HTTPStatus.OK, encode(self._stamped(body, us_in)))

    def troubled(self, status: HTTPStatus) -> bytes:
        """429 has Deribit's own words, anything else is the proxy's in front of it."""
        if status is HTTPStatus.TOO_MANY_REQUESTS:
            return self._error(RpcError(10028, "too_many_requests"), self._clock() // 1_000)
        return f"<html><head><title>{status.value} {status.phrase}</title></head></html>".encode()

    def strike(self, blows: Faults) -> None:
        """Deribit announces nothing of its own before it closes."""

    def tick(self, count: int, happened: Happenings) -> None:
        """Publish what is due and look after heartbeats and maintenance."""
        happened = self._lose_prints(happened)
        for channel, (topic, listeners) in list(self._topics.items()):
            topic.collect(happened)
            if count % topic.every:
                continue
            payloads = topic.update()
            if self._faults.silent(channel) or (self._faults.lose_books and isinstance(topic, BookChanges)):
                continue
            for payload in payloads:
                broadcast(listeners, _notification(channel, payload))
        if self._maintained is not self._faults.maintenance:
            self._maintain()
        now = asyncio.get_running_loop().time()
        for session in list(self.sessions):
            if isinstance(session, DeribitSession):
                self._watch(session, now)

    def _lose_prints(self, happened: Happenings) -> Happenings:
        lost = min(self._faults.lose_prints, len(happened.option_trades))
        if not lost:
            return happened
        self._faults.lose_prints -= lost
        return replace(happened, option_trades=happened.option_trades[lost:])

    def _maintain(self) -> None:
        """Say that maintenance begins; when it ends the sockets are gone."""
        self._maintained = self._faults.maintenance
        _, listeners = self._topics.get("platform_state", (None, set[DeribitSession]()))
        broadcast(listeners, _MAINTENANCE % encode({"maintenance": self._maintained}))
        if not self._maintained:
            for session in list(self.sessions):
                session.abort()

    # -- requests -------------------------------------------------------------------------------------------------

    def _hear(self, session: DeribitSession, message: str | bytes) -> None:
        us_in = self._clock() // 1_000
        if len(message) > MAX_FRAME:
            self._fail(session, RpcError(-32600, "Request entity too large"), us_in)
            return
        try:
            request = msgspec.json.decode(message)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self._fail(session, RpcError(11050, "bad_request", "invalid json"), us_in)
            return
        if not isinstance(request, dict) or not isinstance(request.get("method"), str):
            self._fail(session, RpcError(-32600, "Invalid Request"), us_in)
            return
        if not session.credits.spend(request["method"], asyncio.get_running_loop().time()):
            last = self._error(RpcError(10028, "too_many_requests"), us_in, request.get("id"))
            session.close(1008, "too_many_requests", last)
            return
        self._answer(session, request, us_in)

    def _answer(self, session: DeribitSession, request: dict[str, Any], us_in: int) -> None:
        method, params, request_id = request["method"], request.get("params") or {}, request.get("id")
        result: object
        snapshots: list[tuple[str, object]] = []
        try:
            if not isinstance(params, dict):
                raise RpcError(-32602, "Invalid params")
            if method == "public/test":
                session.unanswered = None
            if method.startswith("private/"):
                raise RpcError(13009, "unauthorized", {"reason": "invalid_token"})
            self._refuse(method)
            if method == "public/subscribe":
                result, snapshots = self._join(session, params)
            elif method in self._session_methods:
                result = self._session_methods[method](session, params)
            else:
                result = self._methods.call(method, params)
        except RpcError as error:
            self._fail(session, error, us_in, request_id)
            return
        reply = {"jsonrpc": "2.0", "id": request_id, "result": result}
        session.send(encode(self._stamped(reply, us_in)))
        for channel, payload in snapshots:
            session.send(_notification(channel, payload))

    def _refuse(self, method: str) -> None:
        """Maintenance and the seconds after 08:00 UTC let nothing through that concerns the market."""
        if method in _ALWAYS:
            return
        if self._faults.maintenance:
            raise RpcError(11051, "system_maintenance")
        if self._market.now_ns - last_cut(self._market.now_ns) < _SETTLING:
            raise RpcError(10041, "settlement_in_progress")

    def _fail(self, session: Session, error: RpcError, us_in: int, request_id: object = None) -> None:
        session.send(self._error(error, us_in, request_id))

    def _error(self, error: RpcError, us_in: int, request_id: object = None) -> bytes:
        head = {"jsonrpc": "2.0"} if request_id is None else {"jsonrpc": "2.0", "id": request_id}
        return encode(self._stamped({**head, "error": error.body()}, us_in))

    def _stamped(self, reply: dict[str, Any], us_in: int) -> dict[str, Any]:
        us_out = max(self._clock() // 1_000, us_in)
        return {**reply, "usIn": us_in, "usOut": us_out, "usDiff": us_out - us_in, "testnet": False}

    # -- subscriptions --------------------------------------------------------------------------------------------

    def _subscribe(self, session: DeribitSession, params: Params) -> object:
        return self._join(session, params)[0]

    def _join(self, session: DeribitSession, params: Params) -> tuple[list[str], list[tuple[str, object]]]:
        """The accepted channels, in another order than asked, and the snapshots that follow the ack."""
        wanted = [channel for channel in _channels(params) if not self._faults.refused(channel)]
        topics = {
            channel: held[0] if (held := self._topics.get(channel)) else self._maker.make(channel) for channel in wanted
        }
        accepted, snapshots = [], []
        for channel, topic in topics.items():
            if topic is None:
                continue
            accepted.append(channel)
            if channel in session.channels:
                continue
            session.channels.add(channel)
            _, listeners = self._topics.setdefault(channel, (topic, set()))
            # bring the others up to the state this snapshot shows, or their change chain would break
            for payload in topic.update() if listeners else ():
                broadcast(listeners, _notification(channel, payload))
            listeners.add(session)
            payload = topic.snapshot()
            if payload is not None:
                snapshots.append((channel, payload))
        self._order.shuffle(accepted)
        return accepted, [(c, p) for c, p in snapshots if not self._faults.silent(c)]

    def _unsubscribe(self, session: DeribitSession, params: Params) -> object:
        removed = [channel for channel in _channels(params) if channel in session.channels]
        self._leave(session, removed)
        self._order.shuffle(removed)
        return removed

    def _unsubscribe_all(self, session: DeribitSession, params: Params) -> object:
        self._leave(session, list(session.channels))
        return "ok"

    def _leave(self, session: DeribitSession, channels: list[str]) -> None:
        for channel in channels:
            session.channels.discard(channel)
            _, listeners = self._topics[channel]
            listeners.discard(session)
            if not listeners:
                del self._topics[channel]

    # -- heartbeats -----------------------------------------------------------------------------------------------

    def _set_heartbeat(self, session: DeribitSession, params: Params) -> object:
        interval = params.get("interval")
        if not isinstance(interval, int | float) or interval < 10:
            raise RpcError(-32602, "Invalid params", {"reason": "interval must be at least 10", "param": "interval"})
        session.interval = float(interval)
        session.next_test = asyncio.get_running_loop().time() + (interval + 2.0) / self._hurry
        session.unanswered = None
        return "ok"

    def _disable_heartbeat(self, session: DeribitSession, params: Params) -> object:
        session.interval, session.unanswered = 0.0, None
        return "ok"

    def _watch(self, session: DeribitSession, now: float) -> None:
        if session.interval:
            if session.unanswered is not None and now - session.unanswered >= _GRACE_S / self._hurry:
                session.close(4000, "heartbeat close")
            elif now >= session.next_test:
                session.send(_TEST_REQUEST)
                session.next_test = now + (session.interval + 0.6) / self._hurry
                session.unanswered = session.unanswered if session.unanswered is not None else now
        elif not session.channels and now - session.heard > _IDLE_S / self._hurry:
            session.abort()


def _notification(channel: str, payload: object) -> bytes:
    return encode({"jsonrpc": "2.0", "method": "subscription", "params": {"channel": channel, "data": payload}})


def _channels(params: Params) -> list[str]:
    channels = params.get("channels")
    if not isinstance(channels, list):
        raise RpcError(-32602, "Invalid params", {"reason": "value is required", "param": "channels"})
    if len(channels) > _MOST_CHANNELS:
        raise invalid(f"no more than {_MOST_CHANNELS} channels per call", "channels")
    return list(dict.fromkeys(c for c in channels if isinstance(c, str)))
