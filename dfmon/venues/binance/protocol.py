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
from dfmon.model.units import HOUR, NAN, SECOND, clean
from dfmon.venues.binance import wire
from dfmon.venues.binance.book import DepthChain
from dfmon.venues.binance.facts import VENUE, Facts
from dfmon.venues.decoding import UNREADABLE, Recent, ns, rejected
from dfmon.venues.health.channel_watchdog import Watchdog
from dfmon.venues.health.status import Status
from dfmon.venues.protocol import Fate, Patience, RestCall
from dfmon.venues.rest.queue import RestQueue

_STREAM: Final = b'"stream":"'
_QUOTE: Final = "USDT"
_LIFE_S: Final = 23.5 * HOUR / SECOND  # the venue ends a connection after 24 h
_MENDED_AT_ONCE: Final = 100  # streams of one message: the venue takes five messages a second

# Streams that speak by themselves: the longest silence that is in order, s. Trades of the smaller coins may pause.
_WITHIN: Final = {"ticker": 30, "markPrice": 30, "depth": 30}
_TRADES_WITHIN: Final = {"BTC": 30, "ETH": 60}
_FATES: Final = {
    "aggTrade": Fate.PRINT,
    "trade": Fate.PRINT,
    "forceOrder": Fate.PRINT,
    "ticker": Fate.STATE,
    "markPrice": Fate.STATE,
    "bookTicker": Fate.STATE,
    "depth": Fate.DELTA,
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
        facts: bool = False,
    ) -> None:
        self.source = source
        self.patience = Patience(first_data_s=10.0, data_s=35.0, life_s=_LIFE_S)
        self.leaving = ""
        self._market = market
        self._symbols = {f"{name}{_QUOTE}".lower(): name for name in underlyings}
        self._names = [f"{symbol}@{stream}" for symbol in self._symbols for stream in streams]
        self.path = f"{route}/stream?streams={'/'.join(self._names)}"
        self._depth = depth
        self._rest = RestQueue()
        self._chains: dict[str, DepthChain] = {}
        self._reading: dict[str, str] = {}  # underlying -> tag of the snapshot under way
        self._readings = 0
        self._status = Status(source)
        self._facts = Facts(self._symbols, self._rest, self._status, source) if facts else None
        self._dog = Watchdog()
        self._prints = Recent()
        self._out: list[str] = []
        self._messages = 0
        self._streams: dict[str, Callable[[str, bytes], Sequence[Event]]] = {
            "aggTrade": self._on_trade,
            "ticker": self._on_ticker,
            "markPrice": self._on_mark,
            "forceOrder": self._on_liquidation,
            "bookTicker": self._on_best,
            "trade": self._on_print,
            "depth": self._on_depth,
        }

    # ---- the connection -------------------------------------------------------------------------------------------

    def connection_made(self, now_ns: int) -> Sequence[Event]:
        self._rest.clear()
        self._reading.clear()
        self._chains = {name: DepthChain(VENUE, self._market, name) for name in self._symbols.values()}
        self._out.clear()
        self.leaving = ""
        self._dog.restart()
        for stream in self._names:
            symbol, _, kind = stream.partition("@")
            kind = kind.partition("@")[0]
            within_s = _TRADES_WITHIN.get(self._symbols[symbol], 0) if kind == "aggTrade" else _WITHIN.get(kind, 0)
            if within_s:
                self._dog.expect(stream, within_s * SECOND)
        if self._facts is not None:
            self._facts.restart(now_ns)
        return [self._status.begin("waiting for data")]

    def connection_lost(self, reason: str) -> Sequence[Event]:
        self._dog.restart()
        events: list[Event] = [self._facts.alone.begin(reason) if self._facts else self._status.down(reason)]
        if self._depth is not None:
            events += [BookLost(VENUE, self._market, name) for name in self._symbols.values()]
        return events

    @property
    def broken(self) -> str:
        return self._dog.broken

    @property
    def settled(self) -> bool:
        return self._status.live

    def due(self, now_ns: int) -> Sequence[Event]:
        if self._facts is not None:
            self._facts.due(now_ns)
        self._rest.due(now_ns)
        again, silent = self._dog.due(now_ns)
        if again:
            self._send("UNSUBSCRIBE", again[:_MENDED_AT_ONCE])
            self._send("SUBSCRIBE", again[:_MENDED_AT_ONCE])
        return self._status.complain("silent", silent)

    def _send(self, method: str, streams: Sequence[str]) -> None:
        self._messages += 1
        self._out.append(msgspec.json.encode({"method": method, "params": streams, "id": self._messages}).decode())

    def sort(self, frame: bytes) -> tuple[Fate, str]:
        at = frame.find(_STREAM) + len(_STREAM)
        stream = frame[at : frame.find(b'"', at)].decode("ascii", "replace") if at >= len(_STREAM) else ""
        symbol, _, kind = stream.partition("@")
        kind = kind.partition("@")[0]
        return _FATES.get(kind, Fate.KEEP), f"{kind} {symbol}"

    def data_to_send(self) -> list[str]:
        out, self._out = self._out, []
        return out

    def rest_calls(self) -> list[RestCall]:
        return self._rest.take()

    def frame_received(self, frame: bytes) -> Sequence[Event]:
        try:
            at = frame.find(_STREAM)
            if at < 0:
                return self._on_message(frame)
            at += len(_STREAM)
            return self._on_stream(frame[at : frame.index(b'"', at)].decode(), frame)
        except UNREADABLE as exc:
            return [rejected(self.source, "frame", exc)]

    def response_received(self, tag: str, body: bytes) -> Sequence[Event]:
        kind, _, rest = tag.partition(":")
        name = rest.partition(":")[0]
        facts = self._facts if kind in Facts.kinds else None
        if (facts is None and kind != "depth") or (kind != "periods" and name not in self._symbols.values()):
            return [rejected(self.source, "answer", tag)]
        try:
            if not body:
                raise ValueError(f"{tag}: none")
            events = self._on_snapshot(name, tag, body) if facts is None else facts.take(kind, name, body)
            self._rest.answered(tag)
            return events
        except UNREADABLE as exc:
            self._rest.failed(tag)
            return [*(facts.unanswered(kind) if facts else []), rejected(self.source, "answer", exc)]

    # ---- frames ---------------------------------------------------------------------------------------------------

    def _on_message(self, frame: bytes) -> Sequence[Event]:
        message = wire.other.decode(frame)
        if message.stream:
            return self._on_stream(message.stream, frame)  # the name in another spelling of the JSON
        if message.code is not None or message.error:
            words = message.msg or bytes(message.error).decode()
            return [self._status.tell(f"refused: {clean(words)}")]
        return []

    def _on_stream(self, stream: str, frame: bytes) -> Sequence[Event]:
        symbol, _, kind = stream.partition("@")
        name = self._symbols.get(symbol)
        handler = self._streams.get(kind.partition("@")[0])
        if symbol == "!serverShutdown":
            self.leaving = "the venue announces a restart"
            return self._status.complain("leaving", self.leaving)
        if name is None or handler is None:
            return [rejected(self.source, "channel", stream)]
        events = handler(name, frame)
        self._dog.heard(stream)
        if not self._status.live:
            self._status.live = True
            return [self._status.tell(), *events]
        return events

    def _on_trade(self, name: str, frame: bytes) -> Sequence[Event]:
        trade = wire.agg_trade.decode(frame).data
        if not self._prints.fresh(name, trade.a):
            return []  # two connections brought it
        side = -1 if trade.m else 1  # the buyer was the maker, so the taker sold
        return [MarketTrade(VENUE, self._market, name, ns(trade.T), trade.p, trade.q, side)]

    def _on_ticker(self, name: str, frame: bytes) -> Sequence[Event]:
        day = wire.ticker.decode(frame).data
        return [
            MarketTicker(
                VENUE, self._market, name, ns(day.E), last=day.c or NAN, volume_usd=day.q,
                bid=day.b or NAN, ask=day.a or NAN,
            )
        ]  # fmt: skip

    def _on_mark(self, name: str, frame: bytes) -> Sequence[Event]:
        row = wire.mark_price.decode(frame).data
        return [] if self._facts is None else [self._facts.mark(name, row)]

    def _on_liquidation(self, name: str, frame: bytes) -> Sequence[Event]:
        order = wire.force_order.decode(frame).data.o
        price = order.ap or order.p
        if order.S not in ("BUY", "SELL") or not price or not order.z:
            return [rejected(self.source, "row", f"forceOrder {order.S} {order.z} at {price}")]
        side = -1 if order.S == "SELL" else 1  # the order's side: a long is sold out
        return [Liquidation(VENUE, self._market, name, ns(order.T), side, price, order.z * price)]

    def _on_print(self, name: str, frame: bytes) -> Sequence[Event]:
        """Single fills: never subscribed, since `aggTrade` is the same prints; recordings hold them."""
        fill = wire.trade.decode(frame).data
        if fill.X not in ("", "MARKET") or not self._prints.fresh(name, fill.t):
            return []  # of the insurance fund, or deleveraging: nobody took
        return [MarketTrade(VENUE, self._market, name, ns(fill.T), fill.p, fill.q, -1 if fill.m else 1)]

    def _on_best(self, name: str, frame: bytes) -> Sequence[Event]:
        """The best quotes stand in for a book that is not there yet; the spot ones carry no time."""
        best = wire.book_ticker.decode(frame).data
        return [MarketTicker(VENUE, self._market, name, ns(best.T), bid=best.b or NAN, ask=best.a or NAN)]

    # ---- books ----------------------------------------------------------------------------------------------------

    def _on_depth(self, name: str, frame: bytes) -> Sequence[Event]:
        chain = self._chains.get(name)
        if chain is None or self._depth is None:
            return []
        events = chain.update(wire.depth.decode(frame).data)
        self._read(name, chain)
        return events

    def _read(self, name: str, chain: DepthChain) -> None:
        """Ask for a book once a difference is there to continue it; the number tells its answer from older ones."""
        if not chain.wants_snapshot or self._depth is None or name in self._reading:
            return
        self._readings += 1
        tag = self._reading[name] = f"depth:{name}:{self._readings}"
        path, limit = self._depth
        self._rest.ask(tag, path, symbol=f"{name}{_QUOTE}", limit=limit)

    def _on_snapshot(self, name: str, tag: str, body: bytes) -> Sequence[Event]:
        if self._reading.get(name) != tag:
            return []  # asked for by an earlier connection
        book = wire.snapshot.decode(body)
        del self._reading[name]
        chain = self._chains[name]
        events = chain.snapshot(book)
        self._read(name, chain)  # too old: once more
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
    """USD-M futures, trade route, with the facts that are polled."""
    return BinanceProtocol(source, Market.PERP, underlyings, route="/market", streams=MARKET_STREAMS, facts=True)
