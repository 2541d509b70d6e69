"""Binance's public API: one server for spot and one for USD-M futures, each with websocket and REST.

Futures streams are routed: `/public` carries book data, `/market` the rest; a stream on the wrong route is acknowledged
and silent, as is any unknown stream. The pre-2026 futures paths `/ws` and `/stream` still answer but carry only books.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import msgspec
from websockets.asyncio.server import ServerConnection

from dfmon.model.units import MILLISECOND
from dfmon.sim.binance import rest
from dfmon.sim.binance.limits import MessageRateLimit, RequestWeightLimit
from dfmon.sim.binance.payloads import Stream
from dfmon.sim.binance.requests import BinanceError, RestCall
from dfmon.sim.binance.streams import MARKET_KINDS, PUBLIC_KINDS, StreamFactory
from dfmon.sim.faults import Faults
from dfmon.sim.market.currency_market import MarketEvents
from dfmon.sim.market.simulated_market import SimulatedMarket
from dfmon.sim.transport import ClientSession, RestResponse, broadcast, encode

_MAX_STREAMS: Final = 1_024
_TOO_MANY_REQUESTS: Final = b'{"code":-1003,"msg":"Too many requests; current request has limited."}'


class BinanceSession(ClientSession):
    """One client: its streams, its route and whether frames are wrapped with the stream's name."""

    def __init__(self, ws: ServerConnection, *, futures: bool) -> None:
        super().__init__(ws, overflow_close=(1008, "Pong timeout"))
        parts = urlsplit(self.path)
        segments = [s for s in parts.path.split("/") if s]
        self.routed_kinds = PUBLIC_KINDS | MARKET_KINDS
        if futures:
            route = segments[0] if segments and segments[0] in {"public", "market"} else ""
            segments = segments[1:] if route else segments
            self.routed_kinds = MARKET_KINDS if route == "market" else PUBLIC_KINDS
        self.combined = bool(segments) and segments[0] == "stream"
        self.streams: dict[str, None] = dict.fromkeys(segments[1:])
        for names in parse_qs(parts.query).get("streams", []):
            self.streams.update(dict.fromkeys(n for n in names.split("/") if n))
        self.message_limit = MessageRateLimit(10 if futures else 5)


class BinanceVenue:
    """One product of the venue: spot, or USD-M futures."""

    compression: str | None = None
    max_connections = 300  # attempts in five minutes

    def __init__(
        self,
        market: SimulatedMarket,
        clock: Callable[[], int],
        faults: Faults,
        connection_lifetime_s: float = 86_400.0,
        timer_speedup: float = 1.0,
        *,
        futures: bool,
    ) -> None:
        self._market, self._clock, self._faults = market, clock, faults
        self._futures, self._connection_lifetime_s = futures, connection_lifetime_s
        self._weight_limit = RequestWeightLimit(futures=futures, timer_speedup=timer_speedup)
        self._markets = market.linear_markets("binance-futures" if futures else "binance-spot")
        self._stream_factory = StreamFactory(self._markets, lambda: market.now_ns // MILLISECOND, futures=futures)
        self._streams: dict[str, tuple[Stream | None, set[BinanceSession]]] = {}
        self.sessions: set[ClientSession] = set()
        self.ping_interval: float | None = 180.0 if futures else 20.0

    # -- edges ----------------------------------------------------------------------------------------------------

    async def serve_client(self, ws: ServerConnection) -> None:
        """Serves one client until it disconnects."""
        session = BinanceSession(ws, futures=self._futures)
        self.sessions.add(session)
        for name in session.streams:
            self._add_subscription(session, name)
        try:
            await session.serve_messages(lambda message: self._on_message(session, message))
        finally:
            self.sessions.discard(session)
            for name in list(session.streams):
                self._remove_subscription(session, name)

    def publish(self, tick_number: int, events: MarketEvents) -> None:
        """Publishes due updates, and closes connections that are a day old."""
        now_ms = self._clock() // MILLISECOND
        for name, (stream, subscribers) in self._streams.items():
            if stream is None or tick_number % stream.interval_ticks:
                continue
            records = stream.next_payloads(events, now_ms)
            if self._faults.is_muted(name) or (self._faults.lose_books and stream.kind == "depth"):
                continue
            for record in records:
                self._send_to_subscribers(name, stream.kind, subscribers, record)
        now = asyncio.get_running_loop().time()
        for session in self.sessions:
            if now - session.opened_at > self._connection_lifetime_s:
                session.close(1001, "24 hours")

    def apply_one_shots(self, one_shots: Faults) -> None:
        """`serverShutdown` goes to every connection, wrapped where streams are."""
        if not one_shots.shutdown:
            return
        raw = encode({"e": "serverShutdown", "E": self._clock() // MILLISECOND})
        for session in self.sessions:
            combined = isinstance(session, BinanceSession) and session.combined
            broadcast([session], b'{"stream":"!serverShutdown","data":%s}' % raw if combined else raw)

    def get(self, path: str, query: dict[str, str]) -> RestResponse:
        """Serves one REST call; the weight used so far is in a header."""
        method = path.strip("/").split("/", 2)[-1]
        now = asyncio.get_running_loop().time()
        error_status, retry_after_s = self._weight_limit.charge(self._weight_limit.request_weight(method, query), now)
        used_weight = ("X-MBX-USED-WEIGHT-1M", str(self._weight_limit.used_weight))
        if error_status is not None:
            retry_after = ("Retry-After", str(math.ceil(retry_after_s)))
            return RestResponse(error_status, self.error_body(error_status), (used_weight, retry_after))
        now_ms, market_ms = self._clock() // MILLISECOND, self._market.now_ns // MILLISECOND
        try:
            body = rest.respond(path, RestCall(self._markets, query, now_ms, market_ms, self._futures))
        except BinanceError as error:
            return RestResponse(error.status, encode({"code": error.code, "msg": error.message}), (used_weight,))
        return RestResponse(HTTPStatus.OK, encode(body), (used_weight,))

    def post(self, path: str, body: bytes) -> RestResponse:
        """Refuse: public data is read by GET."""
        error = {"code": -5000, "msg": f"Path {path}, Method POST is invalid"}
        return RestResponse(HTTPStatus.NOT_FOUND, encode(error))

    def error_body(self, status: HTTPStatus) -> bytes:
        """The body beside an error status: the API's own for too many requests, else that of the proxy in front."""
        if status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.IM_A_TEAPOT}:
            return _TOO_MANY_REQUESTS
        return f"<html><head><title>{status.value} {status.phrase}</title></head></html>".encode()

    # -- requests -------------------------------------------------------------------------------------------------

    def _on_message(self, session: BinanceSession, message: str | bytes) -> None:
        if not session.message_limit.try_acquire(asyncio.get_running_loop().time()):
            session.close(1008, "Too many requests")
            return
        try:
            request = msgspec.json.decode(message)
        except (msgspec.DecodeError, UnicodeDecodeError):
            session.send(encode({"code": 3, "msg": "Invalid JSON: expected value at line 1 column 1"}))
            return
        session.send(encode(self._build_response(session, request)))

    def _build_response(self, session: BinanceSession, request: Any) -> dict[str, Any]:
        if not isinstance(request, dict):
            return {"code": 2, "msg": "Invalid request: request must be an object"}
        method, names, request_id = request.get("method"), request.get("params", []), request.get("id")
        if method == "LIST_SUBSCRIPTIONS":
            return {"result": list(session.streams), "id": request_id}
        if method not in {"SUBSCRIBE", "UNSUBSCRIBE"}:
            return {"code": 2, "msg": f"Invalid request: unknown variant `{method}`"}
        if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
            return {"code": 1, "msg": "Invalid value type: params must be an array of strings"}
        if method == "SUBSCRIBE" and len(session.streams.keys() | set(names)) > _MAX_STREAMS:
            return {"code": 2, "msg": f"Invalid request: no more than {_MAX_STREAMS} streams per connection"}
        for name in names:
            if method == "SUBSCRIBE":
                self._add_subscription(session, name)
            else:
                self._remove_subscription(session, name)
        return {"result": None, "id": request_id}

    # -- streams --------------------------------------------------------------------------------------------------

    def _add_subscription(self, session: BinanceSession, name: str) -> None:
        session.streams[name] = None
        if name not in self._streams:
            self._streams[name] = (self._stream_factory.create_stream(name), set())
        self._streams[name][1].add(session)

    def _remove_subscription(self, session: BinanceSession, name: str) -> None:
        session.streams.pop(name, None)
        subscription = self._streams.get(name)
        if subscription is not None:
            subscription[1].discard(session)
            if not subscription[1]:
                del self._streams[name]

    @staticmethod
    def _send_to_subscribers(name: str, kind: str, subscribers: Iterable[BinanceSession], record: object) -> None:
        raw = encode(record)
        combined = b'{"stream":' + encode(name) + b',"data":' + raw + b"}"
        for session in subscribers:
            if kind in session.routed_kinds:
                session.send(combined if session.combined else raw)
