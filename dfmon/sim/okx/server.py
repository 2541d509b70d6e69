"""OKX v5 public as clients meet it: one ack per argument, text ping and pong, books chained by `seqId`, REST by GET.

`checksum` is always 0, as on the venue since June 2026. A connection on which nothing was said for 30 s is closed
with 4004.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

import msgspec
from websockets.asyncio.server import ServerConnection

from dfmon.model.units import MILLISECOND
from dfmon.sim.faults import Faults
from dfmon.sim.market.currency import Happenings
from dfmon.sim.market.linear import LinearMarket
from dfmon.sim.market.market import Market
from dfmon.sim.okx import records
from dfmon.sim.okx.records import Record
from dfmon.sim.okx.session import Feed, Key, OkxSession
from dfmon.sim.transport import Answer, Session, broadcast, encode

PATH: Final = "/ws/v5/public"
_IDLE_S: Final = 30.0
_QUIET_S: Final = 60.0  # a book without change says so
_NOTICE_S: Final = 60.0  # between the notice of a service upgrade and the close
_LOWER: Final = 1_000_000  # by how much the ids of a book fall after maintenance
_DEPTH: Final = 400
_LIQUIDATIONS: Final = ("liquidation-orders", "SWAP")
# ticks of 100 ms between looks; what has not changed since is not sent
_EVERY: Final = {
    "tickers": 1, "bbo-tbt": 1, "books5": 1, "books": 1, "mark-price": 2, "index-tickers": 1,
    "funding-rate": 300, "open-interest": 30,
}  # fmt: skip
# REST calls and the parameter without which each is refused
_NEEDED: Final = {
    "public/instruments": "instType", "public/open-interest": "instType", "public/mark-price": "instType",
    "public/funding-rate": "instId", "market/ticker": "instId", "market/tickers": "instType", "market/books": "instId",
}  # fmt: skip
_SWAP_ONLY: Final = frozenset({"funding-rate", "open-interest"})

_UPGRADE: Final = "The connection will soon be closed for a service upgrade. Please reconnect."


class Okx:
    """The venue. `hurry` divides the idle timer, for tests."""

    compression: str | None = None
    ping_interval: float | None = None
    most_connections = 1_000

    def __init__(self, market: Market, clock: Callable[[], int], faults: Faults, hurry: float = 1.0) -> None:
        self._clock, self._faults, self._hurry = clock, faults, hurry
        self._markets = market.linear("okx")
        self._feeds: dict[Key, Feed] = {}
        self.sessions: set[Session] = set()
        self._count = 0

    @property
    def _ts(self) -> str:
        return str(self._clock() // MILLISECOND)

    # -- edges ----------------------------------------------------------------------------------------------------

    async def connect(self, ws: ServerConnection) -> None:
        """Serve one client until it goes."""
        self._count += 1
        session = OkxSession(ws, self._count)
        if session.path.partition("?")[0] != PATH:
            await ws.close(1008, "Wrong URL")
            return
        self.sessions.add(session)
        try:
            await session.serve(lambda message: self._hear(session, message))
        finally:
            self.sessions.discard(session)
            for key in list(session.keys):
                self._leave(session, key)

    def get(self, path: str, query: dict[str, str]) -> Answer:
        """REST in OKX's envelope; unknown instruments are errors inside it."""
        call = path.removeprefix("/api/v5/")
        needed = _NEEDED.get(call, "")
        if needed and not query.get(needed):
            empty = {"code": "50014", "msg": f"Parameter {needed} cannot be empty", "data": []}
            return Answer(HTTPStatus.BAD_REQUEST, encode(empty))
        rows = self._rest(call, query)
        if rows is None:
            return Answer(HTTPStatus.NOT_FOUND, encode({"code": "404", "msg": "Not Found", "data": []}))
        if not rows:
            return Answer(HTTPStatus.OK, encode({"code": "51001", "msg": "Instrument ID doesn't exist", "data": []}))
        return Answer(HTTPStatus.OK, encode({"code": "0", "msg": "", "data": rows}))

    def troubled(self, status: HTTPStatus) -> bytes:
        """Too many requests is 50011, anything else 50001: the service is unavailable."""
        code, text = ("50011", "Too Many Requests") if status == 429 else ("50001", "Service temporarily unavailable")
        return encode({"code": code, "msg": text, "data": []})

    def strike(self, blows: Faults) -> None:
        """The notice of an upgrade comes a minute before the close; after it sequence ids may start lower."""
        now = asyncio.get_running_loop().time()
        for session in self.sessions if blows.shutdown else ():
            if isinstance(session, OkxSession):
                notice = {"event": "notice", "code": "64008", "msg": _UPGRADE, "connId": session.connection}
                session.send(encode(notice))
                session.closing = now + _NOTICE_S / self._hurry
        for feed in self._feeds.values() if blows.reset_sequences else ():
            feed.shift += _LOWER

    def tick(self, count: int, happened: Happenings) -> None:
        """Publish what changed and close idle connections."""
        for key, feed in self._feeds.items():
            frame = self._events(key, feed, happened)
            if frame is None and count % _EVERY.get(key[0], 1) == 0:
                frame = self._update(key[0], feed)
            lost = self._faults.silent(key[0]) or (self._faults.lose_books and key[0] == "books")
            if frame is not None and not lost:
                broadcast(feed.listeners, frame)
        now = asyncio.get_running_loop().time()
        for session in self.sessions:
            if isinstance(session, OkxSession) and session.closing is not None and now >= session.closing:
                session.close(1001, "service upgrade")
            elif now - session.told > _IDLE_S / self._hurry:
                session.close(4004, "No data received in 30s")

    # -- pushes ---------------------------------------------------------------------------------------------------

    def _events(self, key: Key, feed: Feed, happened: Happenings) -> bytes | None:
        if key[0] == "trades":
            rows = [records.trade(t) for t in happened.linear_trades if t.market is feed.market]
            return feed.frame(rows) if rows else None
        if key == _LIQUIDATIONS:
            mine = [x for x in happened.liquidations if self._markets.get(x.market.spec.symbol) is x.market]
            return feed.frame([records.liquidation(x) for x in mine]) if mine else None
        return None

    def _update(self, channel: str, feed: Feed) -> bytes | None:
        market = feed.market
        if market is None or channel == "trades":
            return None
        if channel == "books":
            return self._book_update(feed, market)
        record = self._record(channel, market)
        content = {k: v for k, v in record.items() if k not in {"ts", "seqId"}}
        if content == feed.sent and channel not in _SWAP_ONLY:
            return None
        feed.sent = content
        return feed.frame([record])

    def _record(self, channel: str, market: LinearMarket) -> Record:
        ts = self._ts
        if channel in {"books5", "bbo-tbt"}:
            depth = 5 if channel == "books5" else 1
            head = {"instId": market.spec.symbol} if channel == "books5" else {}
            return {**records.book(market, depth), **head, "ts": ts, "seqId": market.book.version}
        if channel == "index-tickers":
            return {"instId": market.spec.symbol, "idxPx": records.price(market, market.index), "ts": ts}
        makers = {
            "tickers": records.ticker,
            "mark-price": records.mark_price,
            "funding-rate": records.funding,
            "open-interest": records.open_interest,
        }
        return makers[channel](market, ts)

    def _book_update(self, feed: Feed, market: LinearMarket) -> bytes | None:
        now = asyncio.get_running_loop().time()
        if market.book.version == feed.version and now - feed.pushed < _QUIET_S / self._hurry:
            return None
        change = market.book.since(feed.version)
        before, feed.seq = feed.seq, change.version - feed.shift
        feed.version, feed.pushed = change.version, now
        record = {
            "asks": [records.level(market, p, s) for p, s in change.asks.items()],
            "bids": [records.level(market, p, s) for p, s in change.bids.items()],
            "ts": self._ts,
            "checksum": 0,
            "prevSeqId": before,
            "seqId": feed.seq,
        }
        return feed.frame([record], action="update")

    def _snapshot(self, key: Key, feed: Feed) -> bytes | None:
        market = feed.market
        if market is None or key[0] == "trades":
            return None
        if key[0] != "books":
            return feed.frame([self._record(key[0], market)])
        chain = {"ts": self._ts, "checksum": 0, "prevSeqId": -1, "seqId": feed.seq}
        return feed.frame([{**records.book(market, _DEPTH), **chain}], action="snapshot")

    # -- requests -------------------------------------------------------------------------------------------------

    def _hear(self, session: OkxSession, message: str | bytes) -> None:
        if message in {"ping", b"ping"}:
            session.send(b"pong")
            return
        try:
            request = msgspec.json.decode(message)
        except (msgspec.DecodeError, UnicodeDecodeError):
            request = None
        if not isinstance(request, dict) or not isinstance(request.get("args"), list):
            shown = message if isinstance(message, str) else message.decode(errors="replace")
            self._error(session, "60012", f"Invalid request: {shown[:200]}", {})
            return
        echo = {"id": request["id"]} if "id" in request else {}
        act = {"subscribe": self._join, "unsubscribe": self._drop}.get(str(request.get("op")))
        if act is None:
            self._error(session, "60012", f"Invalid request: {msgspec.json.encode(request).decode()[:200]}", echo)
            return
        now = asyncio.get_running_loop().time()
        for arg in request["args"]:
            if not session.within_limit(now, self._hurry):
                self._error(session, "60014", "Requests too frequent", echo)
                continue
            act(session, arg if isinstance(arg, dict) else {}, echo)

    def _join(self, session: OkxSession, arg: Record, echo: Record) -> None:
        key = _key(arg)
        if not self._known(key) or self._faults.refused(key[0]):
            found = f"channel:{arg.get('channel')},instId:{arg.get('instId')} doesn't exist"
            advice = "Please use the correct URL, channel and parameters referring to API document."
            self._error(session, "60018", f"Wrong URL or {found}. {advice}", echo)
            return
        session.send(encode({**echo, "event": "subscribe", "arg": arg, "connId": session.connection}))
        if key in session.keys:
            return
        feed = self._feeds.setdefault(key, Feed(arg, self._markets.get(key[1])))
        if feed.listeners and (frame := self._update(key[0], feed)):
            broadcast(feed.listeners, frame)  # a snapshot must not run ahead of the others' chain
        feed.listeners.add(session)
        session.keys.add(key)
        if (frame := self._snapshot(key, feed)) is not None:
            session.send(frame)

    def _drop(self, session: OkxSession, arg: Record, echo: Record) -> None:
        self._leave(session, _key(arg))
        session.send(encode({**echo, "event": "unsubscribe", "arg": arg, "connId": session.connection}))

    def _leave(self, session: OkxSession, key: Key) -> None:
        session.keys.discard(key)
        feed = self._feeds.get(key)
        if feed is not None:
            feed.listeners.discard(session)
            if not feed.listeners:
                del self._feeds[key]

    def _known(self, key: Key) -> bool:
        channel, instrument = key
        market = self._markets.get(instrument)
        if key == _LIQUIDATIONS:
            return True
        if market is None or (channel in _SWAP_ONLY and not records.is_swap(market)):
            return False
        return channel == "trades" or channel in _EVERY

    @staticmethod
    def _error(session: OkxSession, code: str, text: str, echo: Record) -> None:
        session.send(encode({**echo, "event": "error", "code": code, "msg": text, "connId": session.connection}))

    # -- REST -----------------------------------------------------------------------------------------------------

    def _rest(self, call: str, query: dict[str, str]) -> list[Any] | None:
        ts = self._ts
        if call == "public/time":
            return [{"ts": ts}]
        wanted = [
            m
            for m in self._markets.values()
            if query.get("instId", m.spec.symbol) == m.spec.symbol
            and query.get("instType", records.inst_type(m)) == records.inst_type(m)
        ]
        swaps = [m for m in wanted if records.is_swap(m)]
        depth = query.get("sz", "1")
        answers: dict[str, Callable[[], list[Any]]] = {
            "public/instruments": lambda: [records.instrument(m) for m in wanted],
            "public/open-interest": lambda: [records.open_interest(m, ts) for m in swaps],
            "public/funding-rate": lambda: [records.funding(m, ts) for m in swaps],
            "public/mark-price": lambda: [records.mark_price(m, ts) for m in swaps],
            "market/ticker": lambda: [records.ticker(m, ts) for m in wanted],
            "market/tickers": lambda: [records.ticker(m, ts) for m in wanted],
            "market/books": lambda: [
                {**records.book(m, int(depth) if depth.isdecimal() else 1), "ts": ts} for m in wanted[:1]
            ],
        }
        answer = answers.get(call)
        return answer() if answer else None


def _key(arg: Record) -> Key:
    return str(arg.get("channel")), str(arg.get("instId") or arg.get("instType"))
