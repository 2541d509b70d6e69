"""Binance as clients meet it: one server for spot and one for USD-M futures, each with websocket and REST.

Futures streams are routed: `/public` carries book data, `/market` the rest, and a stream on the wrong route is acked
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
from dfmon.sim.binance.limits import MessageLimit, WeightLimit
from dfmon.sim.binance.records import (
    day_ticker,
    funding_info,
    premium_index,
    sides,
    size,
    snapshot_id,
)
from dfmon.sim.binance.streams import MARKET, PUBLIC, Stream, StreamMaker
from dfmon.sim.faults import Faults
from dfmon.sim.market.currency import Happenings
from dfmon.sim.market.linear import LinearMarket
from dfmon.sim.market.market import Market
from dfmon.sim.transport import Answer, Session, broadcast, encode

_MOST_STREAMS: Final = 1_024
_TOO_MANY: Final = b'{"code":-1003,"msg":"Too many requests; current request has limited."}'
_INVALID_SYMBOL: Final = b'{"code":-1121,"msg":"Invalid symbol."}'


class BinanceSession(Session):
    """One client: its streams, its route and whether frames are wrapped with the stream's name."""

    def __init__(self, ws: ServerConnection, *, futures: bool) -> None:
        super().__init__(ws, too_slow=(1008, "Pong timeout"))
        parts = urlsplit(self.path)
        segments = [s for s in parts.path.split("/") if s]
        self.routes = PUBLIC | MARKET
        if futures:
            routed = segments[0] if segments and segments[0] in {"public", "market"} else ""
            segments = segments[1:] if routed else segments
            self.routes = MARKET if routed == "market" else PUBLIC
        self.wrapped = bool(segments) and segments[0] == "stream"
        self.streams: dict[str, None] = dict.fromkeys(segments[1:])
        for names in parse_qs(parts.query).get("streams", []):
            self.streams.update(dict.fromkeys(n for n in names.split("/") if n))
        self.messages = MessageLimit(10 if futures else 5)


class Binance:
    """One product of the venue: spot, or USD-M futures."""

    compression: str | None = None
    most_connections = 300  # attempts in five minutes

    def __init__(
        self,
        market: Market,
        clock: Callable[[], int],
        faults: Faults,
        life_s: float = 86_400.0,
        hurry: float = 1.0,
        *,
        futures: bool,
    ) -> None:
        self._clock, self._faults, self._futures, self._life_s = clock, faults, futures, life_s
        self._weights = WeightLimit(futures=futures, hurry=hurry)
        self._markets = market.linear("binance-futures" if futures else "binance-spot")
        self._maker = StreamMaker(self._markets, futures=futures)
        self._streams: dict[str, tuple[Stream | None, set[BinanceSession]]] = {}
        self.sessions: set[Session] = set()
        self.ping_interval: float | None = 180.0 if futures else 20.0

    # -- edges ----------------------------------------------------------------------------------------------------

    async def connect(self, ws: ServerConnection) -> None:
        """Serve one client until it goes."""
        session = BinanceSession(ws, futures=self._futures)
        self.sessions.add(session)
        for name in session.streams:
            self._join(session, name)
        try:
            await session.serve(lambda message: self._hear(session, message))
        finally:
            self.sessions.discard(session)
            for name in list(session.streams):
                self._leave(session, name)

    def tick(self, count: int, happened: Happenings) -> None:
        """Publish what is due, and end the connections that are a day old."""
        now_ms = self._clock() // MILLISECOND
        for name, (stream, listeners) in self._streams.items():
            if stream is None or count % stream.every:
                continue
            records = stream.update(happened, now_ms)
            if self._faults.silent(name) or (self._faults.lose_books and stream.kind == "depth"):
                continue
            for record in records:
                self._publish(name, stream.kind, listeners, record)
        now = asyncio.get_running_loop().time()
        for session in self.sessions:
            if now - session.opened > self._life_s:
                session.close(1001, "24 hours")

    def strike(self, blows: Faults) -> None:
        """`serverShutdown` goes to every connection, wrapped where streams are."""
        if not blows.shutdown:
            return
        bare = encode({"e": "serverShutdown", "E": self._clock() // MILLISECOND})
        for session in self.sessions:
            wrapped = isinstance(session, BinanceSession) and session.wrapped
            broadcast([session], b'{"stream":"!serverShutdown","data":%s}' % bare if wrapped else bare)

    def get(self, path: str, query: dict[str, str]) -> Answer:
        """REST, weighed; the weight used so far is in a header."""
        prefix, _, call = path.strip("/").partition("/")
        version, _, method = call.partition("/")
        if (prefix, version) != (("fapi", "v1") if self._futures else ("api", "v3")):
            return Answer(HTTPStatus.NOT_FOUND, b"{}")
        now = asyncio.get_running_loop().time()
        refused, wait_s = self._weights.spend(self._weights.weight(method, query), now)
        used = ("X-MBX-USED-WEIGHT-1M", str(self._weights.used))
        if refused is not None:
            return Answer(refused, self.troubled(refused), (used, ("Retry-After", str(math.ceil(wait_s)))))
        status, body = self._call(method, query)
        return Answer(status, body, (used,))

    def troubled(self, status: HTTPStatus) -> bytes:
        """The API's own words for too many requests; else those of the proxy before it."""
        if status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.IM_A_TEAPOT}:
            return _TOO_MANY
        return f"<html><head><title>{status.value} {status.phrase}</title></head></html>".encode()

    def _call(self, method: str, query: dict[str, str]) -> tuple[HTTPStatus, bytes]:
        now_ms = self._clock() // MILLISECOND
        if method == "time":
            return HTTPStatus.OK, encode({"serverTime": now_ms})
        if method == "fundingInfo" and self._futures:
            return HTTPStatus.OK, encode(funding_info(self._markets.values()))
        market = self._markets.get(query.get("symbol", ""))
        if market is None:
            return HTTPStatus.BAD_REQUEST, _INVALID_SYMBOL
        body = self._rest(method, market, query, now_ms)
        return (HTTPStatus.OK, encode(body)) if body is not None else (HTTPStatus.NOT_FOUND, b"{}")

    def _rest(self, method: str, market: LinearMarket, query: dict[str, str], now_ms: int) -> object | None:
        if method == "depth":
            limit = query.get("limit", "100")
            times = {"E": now_ms, "T": now_ms} if self._futures else {}
            window = sides(market, int(limit) if limit.isdecimal() else 100)
            return {"lastUpdateId": snapshot_id(market), **times, **window}
        if method == "ticker/24hr":
            return _rest_ticker(market, now_ms)
        if method == "openInterest" and self._futures:
            return {"symbol": market.spec.symbol, "openInterest": size(market, market.open_interest), "time": now_ms}
        if method == "premiumIndex" and self._futures:
            return premium_index(market, now_ms)
        return None

    # -- requests -------------------------------------------------------------------------------------------------

    def _hear(self, session: BinanceSession, message: str | bytes) -> None:
        if not session.messages.within(asyncio.get_running_loop().time()):
            session.close(1008, "Too many requests")
            return
        try:
            request = msgspec.json.decode(message)
        except (msgspec.DecodeError, UnicodeDecodeError):
            session.send(encode({"code": 3, "msg": "Invalid JSON: expected value at line 1 column 1"}))
            return
        session.send(encode(self._reply(session, request)))

    def _reply(self, session: BinanceSession, request: Any) -> dict[str, Any]:
        if not isinstance(request, dict):
            return {"code": 2, "msg": "Invalid request: request must be an object"}
        method, names, request_id = request.get("method"), request.get("params", []), request.get("id")
        if method == "LIST_SUBSCRIPTIONS":
            return {"result": list(session.streams), "id": request_id}
        if method not in {"SUBSCRIBE", "UNSUBSCRIBE"}:
            return {"code": 2, "msg": f"Invalid request: unknown variant `{method}`"}
        if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
            return {"code": 1, "msg": "Invalid value type: params must be an array of strings"}
        if method == "SUBSCRIBE" and len(session.streams.keys() | set(names)) > _MOST_STREAMS:
            return {"code": 2, "msg": f"Invalid request: no more than {_MOST_STREAMS} streams per connection"}
        for name in names:
            if method == "SUBSCRIBE":
                self._join(session, name)
            else:
                self._leave(session, name)
        return {"result": None, "id": request_id}

    # -- streams --------------------------------------------------------------------------------------------------

    def _join(self, session: BinanceSession, name: str) -> None:
        session.streams[name] = None
        if name not in self._streams:
            self._streams[name] = (self._maker.make(name), set())
        self._streams[name][1].add(session)

    def _leave(self, session: BinanceSession, name: str) -> None:
        session.streams.pop(name, None)
        held = self._streams.get(name)
        if held is not None:
            held[1].discard(session)
            if not held[1]:
                del self._streams[name]

    @staticmethod
    def _publish(name: str, kind: str, listeners: Iterable[BinanceSession], record: dict[str, Any]) -> None:
        bare = encode(record)
        wrapped = b'{"stream":' + encode(name) + b',"data":' + bare + b"}"
        for session in listeners:
            if kind in session.routes:
                session.send(wrapped if session.wrapped else bare)


def _rest_ticker(market: LinearMarket, now_ms: int) -> dict[str, Any]:
    """The 24 h ticker with the long names REST uses."""
    short = day_ticker(market, now_ms)
    names = {
        "s": "symbol", "p": "priceChange", "P": "priceChangePercent", "w": "weightedAvgPrice", "c": "lastPrice",
        "Q": "lastQty", "b": "bidPrice", "B": "bidQty", "a": "askPrice", "A": "askQty", "o": "openPrice",
        "h": "highPrice", "l": "lowPrice", "v": "volume", "q": "quoteVolume", "O": "openTime", "C": "closeTime",
        "F": "firstId", "L": "lastId", "n": "count",
    }  # fmt: skip
    return {long: short[key] for key, long in names.items() if key in short}
