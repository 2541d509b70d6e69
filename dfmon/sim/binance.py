"""Binance as clients meet it: one server for spot and one for USD-M futures, each with websocket and REST.

Futures streams are routed: `/public` carries book data, `/market` the rest, and a stream on the wrong route is acked
and silent, as is any unknown stream. The pre-2026 futures paths `/ws` and `/stream` still answer but carry only books.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import msgspec
from websockets.asyncio.server import ServerConnection

from dfmon.model.units import MILLISECOND
from dfmon.sim.binance_streams import (
    MARKET,
    PUBLIC,
    Stream,
    StreamMaker,
    day_ticker,
    premium_index,
    sides,
    size,
    snapshot_id,
)
from dfmon.sim.currency import Happenings
from dfmon.sim.linear import LinearMarket
from dfmon.sim.market import Market
from dfmon.sim.transport import Session, encode

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
        self._limit = 10 if futures else 5
        self._recent: deque[float] = deque(maxlen=self._limit)

    def within_limit(self, now: float) -> bool:
        """At most 5 (spot) or 10 (futures) messages in a second."""
        full = len(self._recent) == self._limit and now - self._recent[0] < 1.0
        self._recent.append(now)
        return not full


class Binance:
    """One product of the venue: spot, or USD-M futures."""

    compression: str | None = None

    def __init__(self, market: Market, clock: Callable[[], int], *, futures: bool) -> None:
        self._clock, self._futures = clock, futures
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
        """Publish what is due."""
        now_ms = self._clock() // MILLISECOND
        for name, (stream, listeners) in self._streams.items():
            if stream is not None and count % stream.every == 0:
                for record in stream.update(happened, now_ms):
                    self._publish(name, stream.kind, listeners, record)

    def get(self, path: str, query: dict[str, str]) -> tuple[HTTPStatus, bytes]:
        """REST."""
        now_ms = self._clock() // MILLISECOND
        prefix, _, call = path.strip("/").partition("/")
        version, _, method = call.partition("/")
        if (prefix, version) != (("fapi", "v1") if self._futures else ("api", "v3")):
            return HTTPStatus.NOT_FOUND, b"{}"
        if method == "time":
            return HTTPStatus.OK, encode({"serverTime": now_ms})
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
        if not session.within_limit(asyncio.get_running_loop().time()):
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
