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
from dfmon.sim.binance.limits import MessageRateLimit, RequestWeightLimit
from dfmon.sim.binance.records import (
    book_sides,
    day_ticker,
    funding_info,
    premium_index,
    size,
    snapshot_id,
)
from dfmon.sim.binance.streams import MARKET_KINDS, PUBLIC_KINDS, Stream, StreamFactory
from dfmon.sim.faults import Faults
from dfmon.sim.market.currency_market import MarketEvents
from dfmon.sim.market.linear_market import LinearMarket
from dfmon.sim.market.simulated_market import SimulatedMarket
from dfmon.sim.transport import ClientSession, RestResponse, broadcast, encode

_MAX_STREAMS: Final = 1_024
_TOO_MANY_REQUESTS: Final = b'{"code":-1003,"msg":"Too many requests; current request has limited."}'
_INVALID_SYMBOL: Final = b'{"code":-1121,"msg":"Invalid symbol."}'


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
        self._clock, self._faults, self._futures, self._connection_lifetime_s = (
            clock,
            faults,
            futures,
            connection_lifetime_s,
        )
        self._weight_limit = RequestWeightLimit(futures=futures, timer_speedup=timer_speedup)
        self._markets = market.linear_markets("binance-futures" if futures else "binance-spot")
        self._stream_factory = StreamFactory(self._markets, futures=futures)
        self._streams: dict[str, tuple[Stream | None, set[BinanceSession]]] = {}
        self.sessions: set[ClientSession] = set()
        self.ping_interval: float | None = 180.0 if futures else 20.0

    # -- edges ----------------------------------------------------------------------------------------------------

    async def serve_client(self, ws: ServerConnection) -> None:
        """Serve one client until it disconnects."""
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
        """Publish due updates, and close connections that are a day old."""
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
        """Serve one REST call; the weight used so far is in a header."""
        prefix, _, endpoint = path.strip("/").partition("/")
        version, _, method = endpoint.partition("/")
        if (prefix, version) != (("fapi", "v1") if self._futures else ("api", "v3")):
            return RestResponse(HTTPStatus.NOT_FOUND, b"{}")
        now = asyncio.get_running_loop().time()
        error_status, retry_after_s = self._weight_limit.charge(self._weight_limit.request_weight(method, query), now)
        used_weight = ("X-MBX-USED-WEIGHT-1M", str(self._weight_limit.used_weight))
        if error_status is not None:
            return RestResponse(
                error_status,
                self.error_body(error_status),
                (used_weight, ("Retry-After", str(math.ceil(retry_after_s)))),
            )
        status, body = self._handle_request(method, query)
        return RestResponse(status, body, (used_weight,))

    def error_body(self, status: HTTPStatus) -> bytes:
        """The body beside an error status: the API's own for too many requests, else that of the proxy in front."""
        if status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.IM_A_TEAPOT}:
            return _TOO_MANY_REQUESTS
        return f"<html><head><title>{status.value} {status.phrase}</title></head></html>".encode()

    def _handle_request(self, method: str, query: dict[str, str]) -> tuple[HTTPStatus, bytes]:
        now_ms = self._clock() // MILLISECOND
        if method == "time":
            return HTTPStatus.OK, encode({"serverTime": now_ms})
        if method == "fundingInfo" and self._futures:
            return HTTPStatus.OK, encode(funding_info(self._markets.values()))
        market = self._markets.get(query.get("symbol", ""))
        if market is None:
            return HTTPStatus.BAD_REQUEST, _INVALID_SYMBOL
        body = self._market_response(method, market, query, now_ms)
        return (HTTPStatus.OK, encode(body)) if body is not None else (HTTPStatus.NOT_FOUND, b"{}")

    def _market_response(self, method: str, market: LinearMarket, query: dict[str, str], now_ms: int) -> object | None:
        if method == "depth":
            limit = query.get("limit", "100")
            times = {"E": now_ms, "T": now_ms} if self._futures else {}
            window = book_sides(market, int(limit) if limit.isdecimal() else 100)
            return {"lastUpdateId": snapshot_id(market), **times, **window}
        if method == "ticker/24hr":
            return _rest_ticker(market, now_ms)
        if method == "openInterest" and self._futures:
            return {"symbol": market.spec.symbol, "openInterest": size(market, market.open_interest), "time": now_ms}
        if method == "premiumIndex" and self._futures:
            return premium_index(market, now_ms)
        return None

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
    def _send_to_subscribers(
        name: str, kind: str, subscribers: Iterable[BinanceSession], record: dict[str, Any]
    ) -> None:
        raw = encode(record)
        combined = b'{"stream":' + encode(name) + b',"data":' + raw + b"}"
        for session in subscribers:
            if kind in session.routed_kinds:
                session.send(combined if session.combined else raw)


def _rest_ticker(market: LinearMarket, now_ms: int) -> dict[str, Any]:
    """The 24 h ticker with the long names REST uses."""
    ticker = day_ticker(market, now_ms)
    names = {
        "s": "symbol", "p": "priceChange", "P": "priceChangePercent", "w": "weightedAvgPrice", "c": "lastPrice",
        "Q": "lastQty", "b": "bidPrice", "B": "bidQty", "a": "askPrice", "A": "askQty", "o": "openPrice",
        "h": "highPrice", "l": "lowPrice", "v": "volume", "q": "quoteVolume", "O": "openTime", "C": "closeTime",
        "F": "firstId", "L": "lastId", "n": "count",
    }  # fmt: skip
    return {rest_name: ticker[key] for key, rest_name in names.items() if key in ticker}
