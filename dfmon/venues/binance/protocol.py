"""Binance spot and USD-M futures as protocols without I/O: trades, tickers, marks, liquidations, local books.

The streams stand in the URL, so nothing is sent after connecting but the repair of a silent stream. Futures need two
connections: book streams are served under /public and trade streams under /market, and a stream asked for under the
wrong one is accepted and stays silent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from dfmon.model.events import (
    BookLost,
    Event,
    Liquidation,
    Market,
    MarketTicker,
    MarketTrade,
)
from dfmon.model.units import HOUR, NAN, SECOND, sanitize
from dfmon.venues.binance import wire
from dfmon.venues.binance.book import DepthSequencer
from dfmon.venues.binance.perp_stats import VENUE, PerpStats
from dfmon.venues.decoding import UNREADABLE, TradeDeduplicator, ms_to_ns, rejected
from dfmon.venues.health.channel_watchdog import ChannelWatchdog
from dfmon.venues.health.status import StatusTracker
from dfmon.venues.protocol import DropPolicy, RestCall, Timeouts
from dfmon.venues.rest.queue import RestQueue

_STREAM: Final = b'"stream":"'
_QUOTE: Final = "USDT"
_MAX_AGE_S: Final = 23.5 * HOUR / SECOND  # the venue ends a connection after 24 h
_MAX_RESUBSCRIBED: Final = 100  # streams of one message: the venue takes five messages a second

# Streams with regular data: the longest acceptable silence, s. Trades of the smaller coins may pause.
_MAX_SILENCE_S: Final = {"ticker": 30, "markPrice": 30, "depth": 30}
_TRADES_MAX_SILENCE_S: Final = {"BTC": 30, "ETH": 60}
_DROP_POLICIES: Final = {
    "aggTrade": DropPolicy.PRINT,
    "trade": DropPolicy.PRINT,
    "forceOrder": DropPolicy.PRINT,
    "ticker": DropPolicy.CONFLATE,
    "markPrice": DropPolicy.CONFLATE,
    "bookTicker": DropPolicy.CONFLATE,
    "depth": DropPolicy.DROPPABLE,
}

SPOT_STREAMS: Final = ("aggTrade", "ticker", "depth@100ms")
PUBLIC_STREAMS: Final = ("depth@100ms",)
MARKET_STREAMS: Final = ("aggTrade", "markPrice@1s", "ticker", "forceOrder")


class BinanceProtocol:
    """One combined-stream connection. Build with `spot`, `public` or `market`; `path` belongs to the URL."""

    def __init__(
        self,
        source: str,
        market: Market,
        underlyings: Sequence[str],
        *,
        route: str,
        streams: Sequence[str],
        depth: tuple[str, int] | None = None,
        perp_stats: bool = False,
    ) -> None:
        self.source = source
        self.timeouts = Timeouts(first_data_s=10.0, max_silence_s=35.0, max_age_s=_MAX_AGE_S)
        self.closing_reason = ""
        self._market = market
        self._symbols = {f"{name}{_QUOTE}".lower(): name for name in underlyings}
        self._names = [f"{symbol}@{stream}" for symbol in self._symbols for stream in streams]
        self.path = f"{route}/stream?streams={'/'.join(self._names)}"
        self._depth = depth
        self._rest = RestQueue()
        self._sequencers: dict[str, DepthSequencer] = {}
        self._snapshot_tags: dict[str, str] = {}  # underlying -> tag of the snapshot under way
        self._snapshot_count = 0
        self._status = StatusTracker(source)
        self._perp_stats = PerpStats(self._symbols, self._rest, self._status, source) if perp_stats else None
        self._watchdog = ChannelWatchdog()
        self._deduplicator = TradeDeduplicator()
        self._out: list[str] = []
        self._last_message_id = 0
        self._streams: dict[str, Callable[[str, bytes], Sequence[Event]]] = {
            "aggTrade": self._on_trade,
            "ticker": self._on_ticker,
            "markPrice": self._on_mark,
            "forceOrder": self._on_liquidation,
            "bookTicker": self._on_book_ticker,
            "trade": self._on_single_trade,
            "depth": self._on_depth,
        }

    # ---- the connection -------------------------------------------------------------------------------------------

    def connection_made(self, now_ns: int) -> Sequence[Event]:
        self._rest.clear()
        self._snapshot_tags.clear()
        self._sequencers = {name: DepthSequencer(VENUE, self._market, name) for name in self._symbols.values()}
        self._out.clear()
        self.closing_reason = ""
        self._watchdog.restart()
        for stream in self._names:
            symbol, _, kind = stream.partition("@")
            kind = kind.partition("@")[0]
            max_channel_silence_s = (
                _TRADES_MAX_SILENCE_S.get(self._symbols[symbol], 0)
                if kind == "aggTrade"
                else _MAX_SILENCE_S.get(kind, 0)
            )
            if max_channel_silence_s:
                self._watchdog.expect(stream, max_channel_silence_s * SECOND)
        if self._perp_stats is not None:
            self._perp_stats.restart(now_ns)
        return [self._status.start("waiting for data")]

    def connection_lost(self, reason: str) -> Sequence[Event]:
        self._watchdog.restart()
        events: list[Event] = [
            self._perp_stats.fallback.start(reason) if self._perp_stats else self._status.disconnected(reason)
        ]
        if self._depth is not None:
            events += [BookLost(VENUE, self._market, name) for name in self._symbols.values()]
        return events

    @property
    def failure_reason(self) -> str:
        return self._watchdog.failure_reason

    @property
    def subscribed(self) -> bool:
        return self._status.live

    def on_timer(self, now_ns: int) -> Sequence[Event]:
        if self._perp_stats is not None:
            self._perp_stats.poll(now_ns)
        self._rest.release_retries(now_ns)
        to_resubscribe, silent = self._watchdog.check(now_ns)
        if to_resubscribe:
            self._send("UNSUBSCRIBE", to_resubscribe[:_MAX_RESUBSCRIBED])
            self._send("SUBSCRIBE", to_resubscribe[:_MAX_RESUBSCRIBED])
        return [*self._check_books(now_ns), *self._status.set_issue("silent", silent)]

    def _check_books(self, now_ns: int) -> list[Event]:
        """Requests anew the books whose differences are refused for too long."""
        events: list[Event] = []
        for name, sequencer in self._sequencers.items():
            events += sequencer.on_timer(now_ns)
            self._request_snapshot(name, sequencer)
        return events

    def _send(self, method: str, streams: Sequence[str]) -> None:
        self._last_message_id += 1
        self._out.append(
            msgspec.json.encode({"method": method, "params": streams, "id": self._last_message_id}).decode()
        )

    def classify(self, frame: bytes) -> tuple[DropPolicy, str]:
        position = frame.find(_STREAM) + len(_STREAM)
        stream = (
            frame[position : frame.find(b'"', position)].decode("ascii", "replace") if position >= len(_STREAM) else ""
        )
        symbol, _, kind = stream.partition("@")
        kind = kind.partition("@")[0]
        return _DROP_POLICIES.get(kind, DropPolicy.NEVER), f"{kind} {symbol}"

    def data_to_send(self) -> list[str]:
        out, self._out = self._out, []
        return out

    def rest_calls(self) -> list[RestCall]:
        return self._rest.pop_calls()

    def frame_received(self, frame: bytes) -> Sequence[Event]:
        try:
            position = frame.find(_STREAM)
            if position < 0:
                return self._on_message(frame)
            position += len(_STREAM)
            return self._on_stream(frame[position : frame.index(b'"', position)].decode(), frame)
        except UNREADABLE as exc:
            return [rejected(self.source, "frame", exc)]

    def response_received(self, tag: str, body: bytes) -> Sequence[Event]:
        kind, _, tail = tag.partition(":")
        name = tail.partition(":")[0]
        perp_stats = self._perp_stats if kind in PerpStats.kinds else None
        if (perp_stats is None and kind != "depth") or (kind != "periods" and name not in self._symbols.values()):
            return [rejected(self.source, "response", tag)]
        try:
            if not body:
                raise ValueError(f"{tag}: none")
            events = (
                self._on_snapshot(name, tag, body)
                if perp_stats is None
                else perp_stats.decode_response(kind, name, body)
            )
            self._rest.completed(tag)
            return events
        except UNREADABLE as exc:
            self._rest.failed(tag)
            failures = perp_stats.on_no_response(kind) if perp_stats else []
            return [*failures, *([rejected(self.source, "response", exc)] if body else [])]

    # ---- frames ---------------------------------------------------------------------------------------------------

    def _on_message(self, frame: bytes) -> Sequence[Event]:
        message = wire.any_stream.decode(frame)
        if message.stream:
            return self._on_stream(message.stream, frame)  # the name in another spelling of the JSON
        if message.code is not None or message.error:
            reason = message.msg or bytes(message.error).decode()
            return [self._status.report(f"refused: {sanitize(reason)}")]
        return []

    def _on_stream(self, stream: str, frame: bytes) -> Sequence[Event]:
        symbol, _, kind = stream.partition("@")
        name = self._symbols.get(symbol)
        handler = self._streams.get(kind.partition("@")[0])
        if symbol == "!serverShutdown":
            self.closing_reason = "the venue announces a restart"
            return self._status.set_issue("leaving", self.closing_reason)
        if name is None or handler is None:
            return [rejected(self.source, "channel", stream)]
        events = handler(name, frame)
        self._watchdog.on_data(stream)
        if not self._status.live:
            self._status.live = True
            return [self._status.report(), *events]
        return events

    def _on_trade(self, name: str, frame: bytes) -> Sequence[Event]:
        trade = wire.agg_trade.decode(frame).data
        if not self._deduplicator.is_new(name, trade.a):
            return []  # two connections brought it
        side = -1 if trade.m else 1  # the buyer was the maker, so the taker sold
        return [MarketTrade(VENUE, self._market, name, ms_to_ns(trade.T), trade.p, trade.q, side)]

    def _on_ticker(self, name: str, frame: bytes) -> Sequence[Event]:
        row = wire.ticker.decode(frame).data
        return [
            MarketTicker(
                VENUE, self._market, name, ms_to_ns(row.E), last=row.c or NAN, volume_usd=row.q,
                bid=row.b or NAN, ask=row.a or NAN,
            )
        ]  # fmt: skip

    def _on_mark(self, name: str, frame: bytes) -> Sequence[Event]:
        row = wire.mark_price.decode(frame).data
        return [] if self._perp_stats is None else [self._perp_stats.mark(name, row)]

    def _on_liquidation(self, name: str, frame: bytes) -> Sequence[Event]:
        order = wire.force_order.decode(frame).data.o
        price = order.ap or order.p
        if order.S not in ("BUY", "SELL") or not price or not order.z:
            return [rejected(self.source, "row", f"forceOrder {order.S} {order.z} at {price}")]
        side = -1 if order.S == "SELL" else 1  # the order's side: a long is sold out
        return [Liquidation(VENUE, self._market, name, ms_to_ns(order.T), side, price, order.z * price)]

    def _on_single_trade(self, name: str, frame: bytes) -> Sequence[Event]:
        """Single fills: in recordings only, since `aggTrade` carries the same prints."""
        single_trade = wire.trade.decode(frame).data
        if single_trade.X not in ("", "MARKET") or not self._deduplicator.is_new(name, single_trade.t):
            return []  # of the insurance fund, or deleveraging: no taker
        return [
            MarketTrade(
                VENUE,
                self._market,
                name,
                ms_to_ns(single_trade.T),
                single_trade.p,
                single_trade.q,
                -1 if single_trade.m else 1,
            )
        ]

    def _on_book_ticker(self, name: str, frame: bytes) -> Sequence[Event]:
        """Best quotes, used until there is a book; those of spot carry no time."""
        quote = wire.book_ticker.decode(frame).data
        return [MarketTicker(VENUE, self._market, name, ms_to_ns(quote.T), bid=quote.b or NAN, ask=quote.a or NAN)]

    # ---- books ----------------------------------------------------------------------------------------------------

    def _on_depth(self, name: str, frame: bytes) -> Sequence[Event]:
        sequencer = self._sequencers.get(name)
        if sequencer is None or self._depth is None:
            return []
        events = sequencer.update(wire.depth.decode(frame).data)
        self._request_snapshot(name, sequencer)
        return events

    def _request_snapshot(self, name: str, sequencer: DepthSequencer) -> None:
        """Request a book once a difference can continue it. The number in its tag marks its response."""
        if not sequencer.needs_snapshot or self._depth is None or name in self._snapshot_tags:
            return
        self._snapshot_count += 1
        tag = self._snapshot_tags[name] = f"depth:{name}:{self._snapshot_count}"
        path, limit = self._depth
        self._rest.enqueue(tag, path, symbol=f"{name}{_QUOTE}", limit=limit)

    def _on_snapshot(self, name: str, tag: str, body: bytes) -> Sequence[Event]:
        if self._snapshot_tags.get(name) != tag:
            return []  # requested by an earlier connection
        book = wire.snapshot.decode(body)
        del self._snapshot_tags[name]
        sequencer = self._sequencers[name]
        events = sequencer.snapshot(book)
        self._request_snapshot(name, sequencer)  # too old: once more
        return events


def spot(underlyings: Sequence[str] = ("BTC", "ETH"), source: str = "binance.spot") -> BinanceProtocol:
    """Spot: trades, 24 h volume and a book of 5,000 levels a side at the start, which reaches 1 % on BTC."""
    return BinanceProtocol(
        source, Market.SPOT, underlyings, route="", streams=SPOT_STREAMS, depth=("/api/v3/depth", 5000)
    )


def public(underlyings: Sequence[str] = ("BTC", "ETH"), source: str = "binance.public") -> BinanceProtocol:
    """USD-M futures, book route."""
    return BinanceProtocol(
        source,
        Market.PERP,
        underlyings,
        route="/public",
        streams=PUBLIC_STREAMS,
        depth=("/fapi/v1/depth", 1000),
    )


def market(underlyings: Sequence[str] = ("BTC", "ETH"), source: str = "binance.market") -> BinanceProtocol:
    """USD-M futures, trade route, with the polled statistics."""
    return BinanceProtocol(source, Market.PERP, underlyings, route="/market", streams=MARKET_STREAMS, perp_stats=True)
