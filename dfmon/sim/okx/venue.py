"""OKX's public v5 API: one acknowledgement per argument, text ping and pong, books chained by `seqId`, REST by GET.

`checksum` is always 0, as on the venue since June 2026. A connection that was idle for 30 s is closed
with 4004.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

import msgspec
from websockets.asyncio.server import ServerConnection

from dfmon.model.units import MILLISECOND
from dfmon.sim.faults import Faults
from dfmon.sim.market.currency_market import MarketEvents
from dfmon.sim.market.linear_market import LinearMarket
from dfmon.sim.market.simulated_market import SimulatedMarket
from dfmon.sim.okx import records, rest
from dfmon.sim.okx.client_session import ChannelFeed, ChannelKey, OkxSession
from dfmon.sim.okx.history import BARS, CandleFeed
from dfmon.sim.okx.records import Record
from dfmon.sim.transport import ClientSession, RestResponse, broadcast, encode

_PUBLIC_PATH: Final = "/ws/v5/public"
_BUSINESS_PATH: Final = "/ws/v5/business"  # of candles
_CANDLE: Final = "candle"  # channels are named by it and the bar
_CANDLE_TICKS: Final = 5
_IDLE_TIMEOUT_S: Final = 30.0
_BOOK_KEEPALIVE_S: Final = 60.0  # an unchanged book sends an empty update
_UPGRADE_NOTICE_S: Final = 60.0  # between the notice of a service upgrade and the close
_SEQUENCE_RESET_STEP: Final = 1_000_000  # by how much the ids of a book fall after maintenance
_BOOK_DEPTH: Final = 400
_LIQUIDATIONS_KEY: Final = ("liquidation-orders", "SWAP")
# ticks of 100 ms between updates; unchanged rows are not sent
_INTERVAL_TICKS: Final = {
    "tickers": 1, "bbo-tbt": 1, "books5": 1, "books": 1, "mark-price": 2, "index-tickers": 1,
    "funding-rate": 300, "open-interest": 30,
}  # fmt: skip
_SWAP_CHANNELS: Final = frozenset({"funding-rate", "open-interest"})

_UPGRADE_MESSAGE: Final = "The connection will soon be closed for a service upgrade. Please reconnect."


class OkxVenue:
    """The venue. `timer_speedup` divides the idle timer, for tests."""

    compression: str | None = None
    ping_interval: float | None = None
    max_connections = 1_000

    def __init__(
        self, market: SimulatedMarket, clock: Callable[[], int], faults: Faults, timer_speedup: float = 1.0
    ) -> None:
        self._market, self._clock, self._faults, self._timer_speedup = market, clock, faults, timer_speedup
        self._markets = market.linear_markets("okx")
        self._feeds: dict[ChannelKey, ChannelFeed] = {}
        self.sessions: set[ClientSession] = set()
        self._connection_count = 0

    @property
    def _ts(self) -> str:
        return str(self._clock() // MILLISECOND)

    # -- edges ----------------------------------------------------------------------------------------------------

    async def serve_client(self, ws: ServerConnection) -> None:
        """Serves one client until it disconnects."""
        self._connection_count += 1
        session = OkxSession(ws, self._connection_count)
        if session.path.partition("?")[0] not in {_PUBLIC_PATH, _BUSINESS_PATH}:
            await ws.close(1008, "Wrong URL")
            return
        self.sessions.add(session)
        try:
            await session.serve_messages(lambda message: self._on_message(session, message))
        finally:
            self.sessions.discard(session)
            for key in list(session.channel_keys):
                self._remove_subscription(session, key)

    def get(self, path: str, query: dict[str, str]) -> RestResponse:
        """Answer one REST call."""
        return rest.respond(path, query, self._markets, self._ts, self._market.now_ns // MILLISECOND)

    def post(self, path: str, body: bytes) -> RestResponse:
        """Refuse: public data is read by GET."""
        refusal = encode({"code": "50115", "msg": "Invalid request method", "data": []})
        return RestResponse(HTTPStatus.METHOD_NOT_ALLOWED, refusal)

    def error_body(self, status: HTTPStatus) -> bytes:
        """The body beside an error status: 50011 (too many requests) for 429, otherwise 50001 (service unavailable)."""
        code, text = ("50011", "Too Many Requests") if status == 429 else ("50001", "Service temporarily unavailable")
        return encode({"code": code, "msg": text, "data": []})

    def apply_one_shots(self, one_shots: Faults) -> None:
        """The notice of an upgrade comes a minute before the close; after it sequence ids may start lower."""
        now = asyncio.get_running_loop().time()
        for session in self.sessions if one_shots.shutdown else ():
            if isinstance(session, OkxSession):
                notice = {"event": "notice", "code": "64008", "msg": _UPGRADE_MESSAGE, "connId": session.connection_id}
                session.send(encode(notice))
                session.close_at = now + _UPGRADE_NOTICE_S / self._timer_speedup
        for feed in self._feeds.values() if one_shots.reset_sequences else ():
            feed.sequence_offset += _SEQUENCE_RESET_STEP

    def publish(self, tick_number: int, events: MarketEvents) -> None:
        """Publishes what changed and closes idle connections."""
        for key, feed in self._feeds.items():
            frame = self._event_frame(key, feed, events)
            interval_ticks = _CANDLE_TICKS if feed.candles else _INTERVAL_TICKS.get(key[0], 1)
            if frame is None and tick_number % interval_ticks == 0:
                frame = self._update_frame(key[0], feed)
            suppressed = self._faults.is_muted(key[0]) or (self._faults.lose_books and key[0] == "books")
            if frame is not None and not suppressed:
                broadcast(feed.subscribers, frame)
        now = asyncio.get_running_loop().time()
        for session in self.sessions:
            if isinstance(session, OkxSession) and session.close_at is not None and now >= session.close_at:
                session.close(1001, "service upgrade")
            elif now - session.last_sent_at > _IDLE_TIMEOUT_S / self._timer_speedup:
                session.close(4004, "No data received in 30s")

    # -- pushes ---------------------------------------------------------------------------------------------------

    def _event_frame(self, key: ChannelKey, feed: ChannelFeed, events: MarketEvents) -> bytes | None:
        if key[0] == "trades":
            rows = [records.trade(t) for t in events.linear_trades if t.market is feed.market]
            return feed.push_frame(rows) if rows else None
        if key == _LIQUIDATIONS_KEY:
            listed_liquidations = [
                x for x in events.liquidations if self._markets.get(x.market.spec.symbol) is x.market
            ]
            return (
                feed.push_frame([records.liquidation(x) for x in listed_liquidations]) if listed_liquidations else None
            )
        return None

    def _update_frame(self, channel: str, feed: ChannelFeed) -> bytes | None:
        market = feed.market
        if feed.candles is not None:
            rows = feed.candles.next_rows()
            return feed.push_frame(rows) if rows else None
        if market is None or channel == "trades":
            return None
        if channel == "books":
            return self._book_update_frame(feed, market)
        record = self._record(channel, market)
        content = {k: v for k, v in record.items() if k not in {"ts", "seqId"}}
        if content == feed.last_content and channel not in _SWAP_CHANNELS:
            return None
        feed.last_content = content
        return feed.push_frame([record])

    def _record(self, channel: str, market: LinearMarket) -> Record:
        ts = self._ts
        if channel in {"books5", "bbo-tbt"}:
            depth = 5 if channel == "books5" else 1
            head = {"instId": market.spec.symbol} if channel == "books5" else {}
            return {**records.book(market, depth), **head, "ts": ts, "seqId": market.book.version}
        if channel == "index-tickers":
            return {"instId": market.spec.symbol, "idxPx": records.price(market, market.index), "ts": ts}
        record_builders = {
            "tickers": records.ticker,
            "mark-price": records.mark_price,
            "funding-rate": records.funding,
            "open-interest": records.open_interest,
        }
        return record_builders[channel](market, ts)

    def _book_update_frame(self, feed: ChannelFeed, market: LinearMarket) -> bytes | None:
        now = asyncio.get_running_loop().time()
        if market.book.version == feed.version and now - feed.last_push_at < _BOOK_KEEPALIVE_S / self._timer_speedup:
            return None
        change = market.book.changes_since(feed.version)
        previous_seq_id, feed.last_seq_id = feed.last_seq_id, change.version - feed.sequence_offset
        feed.version, feed.last_push_at = change.version, now
        record = {
            "asks": [records.level(market, p, s) for p, s in change.asks.items()],
            "bids": [records.level(market, p, s) for p, s in change.bids.items()],
            "ts": self._ts,
            "checksum": 0,
            "prevSeqId": previous_seq_id,
            "seqId": feed.last_seq_id,
        }
        return feed.push_frame([record], action="update")

    def _snapshot_frame(self, key: ChannelKey, feed: ChannelFeed) -> bytes | None:
        market = feed.market
        if market is None or key[0] == "trades" or feed.candles is not None:
            return None
        if key[0] != "books":
            return feed.push_frame([self._record(key[0], market)])
        chain = {"ts": self._ts, "checksum": 0, "prevSeqId": -1, "seqId": feed.last_seq_id}
        return feed.push_frame([{**records.book(market, _BOOK_DEPTH), **chain}], action="snapshot")

    # -- requests -------------------------------------------------------------------------------------------------

    def _on_message(self, session: OkxSession, message: str | bytes) -> None:
        if message in {"ping", b"ping"}:
            session.send(b"pong")
            return
        try:
            request = msgspec.json.decode(message)
        except (msgspec.DecodeError, UnicodeDecodeError):
            request = None
        if not isinstance(request, dict) or not isinstance(request.get("args"), list):
            request_text = message if isinstance(message, str) else message.decode(errors="replace")
            self._send_error(session, "60012", f"Invalid request: {request_text[:200]}", {})
            return
        echo = {"id": request["id"]} if "id" in request else {}
        handler = {"subscribe": self._subscribe, "unsubscribe": self._unsubscribe}.get(str(request.get("op")))
        if handler is None:
            self._send_error(session, "60012", f"Invalid request: {msgspec.json.encode(request).decode()[:200]}", echo)
            return
        now = asyncio.get_running_loop().time()
        for arg in request["args"]:
            if not session.try_acquire_operation(now, self._timer_speedup):
                self._send_error(session, "60014", "Requests too frequent", echo)
                continue
            handler(session, arg if isinstance(arg, dict) else {}, echo)

    def _subscribe(self, session: OkxSession, arg: Record, echo: Record) -> None:
        key = _channel_key(arg)
        if not self._is_known(key, session.path) or self._faults.is_refused(key[0]):
            missing_channel = f"channel:{arg.get('channel')},instId:{arg.get('instId')} doesn't exist"
            advice = "Please use the correct URL, channel and parameters referring to API document."
            self._send_error(session, "60018", f"Wrong URL or {missing_channel}. {advice}", echo)
            return
        session.send(encode({**echo, "event": "subscribe", "arg": arg, "connId": session.connection_id}))
        if key in session.channel_keys:
            return
        feed = self._feeds.get(key) or self._open_feed(key, arg)
        if feed.subscribers and (frame := self._update_frame(key[0], feed)):
            broadcast(feed.subscribers, frame)  # a snapshot must not run ahead of the others' chain
        feed.subscribers.add(session)
        session.channel_keys.add(key)
        if (frame := self._snapshot_frame(key, feed)) is not None:
            session.send(frame)

    def _open_feed(self, key: ChannelKey, arg: Record) -> ChannelFeed:
        market = self._markets.get(key[1])
        feed = self._feeds[key] = ChannelFeed(arg, market)
        if market is not None and key[0].startswith(_CANDLE):
            feed.candles = CandleFeed(market, key[0].removeprefix(_CANDLE), lambda: self._market.now_ns)
        return feed

    def _unsubscribe(self, session: OkxSession, arg: Record, echo: Record) -> None:
        self._remove_subscription(session, _channel_key(arg))
        session.send(encode({**echo, "event": "unsubscribe", "arg": arg, "connId": session.connection_id}))

    def _remove_subscription(self, session: OkxSession, key: ChannelKey) -> None:
        session.channel_keys.discard(key)
        feed = self._feeds.get(key)
        if feed is not None:
            feed.subscribers.discard(session)
            if not feed.subscribers:
                del self._feeds[key]

    def _is_known(self, key: ChannelKey, path: str) -> bool:
        """True for a channel of this path: candles are on the business one, all else on the public one."""
        channel, instrument = key
        market = self._markets.get(instrument)
        if path.partition("?")[0] == _BUSINESS_PATH:
            return market is not None and channel.startswith(_CANDLE) and channel.removeprefix(_CANDLE) in BARS
        if key == _LIQUIDATIONS_KEY:
            return True
        if market is None or (channel in _SWAP_CHANNELS and not records.is_swap(market)):
            return False
        return channel == "trades" or channel in _INTERVAL_TICKS

    @staticmethod
    def _send_error(session: OkxSession, code: str, text: str, echo: Record) -> None:
        session.send(encode({**echo, "event": "error", "code": code, "msg": text, "connId": session.connection_id}))


def _channel_key(arg: Record) -> ChannelKey:
    return str(arg.get("channel")), str(arg.get("instId") or arg.get("instType"))
