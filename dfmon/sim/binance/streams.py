"""Binance's streams, for spot and USD-M futures. `records` makes the payloads."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from dfmon.model.units import MILLISECOND
from dfmon.sim.binance.records import (
    Record,
    book_sides,
    day_ticker,
    force_order,
    mark_price_update,
    price,
    size,
)
from dfmon.sim.market.currency_market import MarketEvents
from dfmon.sim.market.linear_market import LinearMarket, LinearTrade

PayloadBuilder = Callable[[MarketEvents, int], list[Record]]  # events and now in ms, to payloads

_INTERVAL_TICKS: Final = {"100ms": 1, "250ms": 2, "500ms": 5, "1000ms": 10, "1s": 10, "3s": 30}
_STREAM_NAME: Final = re.compile(r"([a-z0-9]+)@([A-Za-z]+?)(\d*)(?:[@_](\w+))?")
PUBLIC_KINDS: Final = frozenset({"bookTicker", "depth"})
MARKET_KINDS: Final = frozenset({"aggTrade", "markPrice", "ticker", "kline", "forceOrder"})


class Stream:
    """One stream: its update function, and its interval in ticks of 100 ms."""

    def __init__(self, kind: str, interval_ticks: int, next_payloads: PayloadBuilder) -> None:
        self.kind, self.interval_ticks, self.next_payloads = kind, interval_ticks, next_payloads


class Kline:
    """The running one-minute candle; the last record of a minute is marked as closed."""

    def __init__(self, market: LinearMarket, extra_fields: Record) -> None:
        self._market, self._extra_fields = market, extra_fields
        self._minute = -1
        self._open = self._high = self._low = self._close = market.last
        self._first_id, self._volume = market.trade_id + 1, market.volume

    def next_payloads(self, _: MarketEvents, now_ms: int) -> list[Record]:
        """The candle as it stands, and before it the closed one at a change of minute."""
        market, minute = self._market, now_ms // 60_000
        records = []
        if minute != self._minute:
            if self._minute >= 0:
                records.append(self._record(now_ms, closed=True))
            self._minute = minute
            self._open = self._high = self._low = market.last
            self._first_id, self._volume = market.trade_id + 1, market.volume
        self._high, self._low = max(self._high, market.last), min(self._low, market.last)
        self._close = market.last
        return [*records, self._record(now_ms, closed=False)]

    def _record(self, now_ms: int, *, closed: bool) -> Record:
        market = self._market
        coins = market.volume - self._volume
        candle: Record = {
            "t": self._minute * 60_000,
            "T": self._minute * 60_000 + 59_999,
            "s": market.spec.symbol,
            "i": "1m",
            "f": self._first_id,
            "L": market.trade_id,
            "o": price(market, self._open),
            "c": price(market, self._close),
            "h": price(market, self._high),
            "l": price(market, self._low),
            "v": size(market, coins),
            "n": market.trade_id - self._first_id + 1,
            "x": closed,
            "q": f"{coins * market.index:.2f}",
            "V": size(market, 0.5 * coins),
            "Q": f"{0.5 * coins * market.index:.2f}",
            "B": "0",
        }
        return {"e": "kline", "E": now_ms, "s": market.spec.symbol, "k": candle, **self._extra_fields}


class StreamFactory:
    """Stream name to stream, for one product."""

    def __init__(self, markets: dict[str, LinearMarket], *, futures: bool) -> None:
        self._markets, self._futures = markets, futures

    def create_stream(self, name: str) -> Stream | None:
        """The stream called `name`; None for an unknown one, which stays silent."""
        if name == "!forceOrder@arr" and self._futures:
            return Stream("forceOrder", 1, self._force_orders(None))
        match = _STREAM_NAME.fullmatch(name)
        market = self._markets.get(match[1].upper()) if match else None
        if match is None or market is None:
            return None
        kind, levels, update_speed = match[2], match[3], match[4]
        if kind == "depth":
            interval_ticks = _INTERVAL_TICKS.get(update_speed or ("250ms" if self._futures else "1000ms"), 10)
            return (
                self._partial_depth(market, int(levels), interval_ticks)
                if levels
                else self._diff_depth(market, interval_ticks)
            )
        return self._non_depth_stream(kind, market, update_speed)

    def _non_depth_stream(self, kind: str, market: LinearMarket, update_speed: str | None) -> Stream | None:
        if kind == "aggTrade":
            return Stream(
                kind,
                1,
                lambda events, now: self._agg_trades([t for t in events.linear_trades if t.market is market], now),
            )
        if kind == "kline" and update_speed == "1m":
            return Stream(kind, 2 if self._futures else 20, Kline(market, self._st_field()).next_payloads)
        if kind == "bookTicker":
            return Stream(kind, 1, self._book_ticker(market))
        if kind == "ticker":
            return Stream(
                kind, 20 if self._futures else 10, lambda _, now: [day_ticker(market, now) | self._st_field()]
            )
        if kind == "markPrice" and self._futures:
            return Stream(
                kind, _INTERVAL_TICKS.get(update_speed or "3s", 30), lambda _, now: [mark_price_update(market, now)]
            )
        if kind == "forceOrder" and self._futures:
            return Stream(kind, 1, self._force_orders(market))
        return None

    def _force_orders(self, market: LinearMarket | None) -> PayloadBuilder:
        """One order per symbol and second at most: the stream is a sample."""
        last_sent_ms: dict[str, int] = {}

        def next_payloads(events: MarketEvents, now_ms: int) -> list[Record]:
            records = []
            for order in events.liquidations:
                symbol, ts_ms = order.market.spec.symbol, order.ts_ns // MILLISECOND
                is_included = self._markets.get(symbol) is order.market and market in {None, order.market}
                if is_included and ts_ms - last_sent_ms.get(symbol, -1_000) >= 1_000:
                    last_sent_ms[symbol] = ts_ms
                    records.append(force_order(order, now_ms))
            return records

        return next_payloads

    def _st_field(self) -> Record:
        return {"st": 1} if self._futures else {}

    def _agg_trades(self, trades: list[LinearTrade], now_ms: int) -> list[Record]:
        """Spot: one record per taker order. Futures: one per price and side within 100 ms."""
        if not self._futures:
            return [self._agg_trade([trade], now_ms) for trade in trades]
        buckets: dict[tuple[float, int], list[LinearTrade]] = {}
        for trade in trades:
            buckets.setdefault((trade.price, trade.side), []).append(trade)
        return [self._agg_trade(bucket, now_ms) for bucket in buckets.values()]

    def _agg_trade(self, bucket: list[LinearTrade], now_ms: int) -> Record:
        trade = bucket[-1]
        market = trade.market
        record: Record = {
            "e": "aggTrade",
            "E": now_ms,
            "s": market.spec.symbol,
            "a": trade.trade_id,
            "p": price(market, trade.price),
            "q": size(market, sum(t.coins for t in bucket)),
            "f": bucket[0].trade_id,
            "l": trade.trade_id,
            "T": trade.ts_ns // MILLISECOND,
            "m": trade.side < 0,  # the buyer was the maker: the taker sold
        }
        return record | ({"nq": record["q"], "st": 1} if self._futures else {"M": True})

    def _book_ticker(self, market: LinearMarket) -> PayloadBuilder:
        last_version = 0

        def next_payloads(_: MarketEvents, now_ms: int) -> list[Record]:
            nonlocal last_version
            book = market.book
            if book.version == last_version:
                return []
            last_version = book.version
            record: Record = {
                "u": 10 * book.version,
                "s": market.spec.symbol,
                "b": price(market, book.bid, ticks=True),
                "B": size(market, book.bids[book.bid]),
                "a": price(market, book.ask, ticks=True),
                "A": size(market, book.asks[book.ask]),
            }
            head = {"e": "bookTicker", "E": now_ms, "T": now_ms, "ps": market.spec.symbol, "st": 1}
            return [head | record if self._futures else record]

        return next_payloads

    def _partial_depth(self, market: LinearMarket, levels: int, interval_ticks: int) -> Stream:
        last_update_id = 10 * market.book.version

        def next_payloads(_: MarketEvents, now_ms: int) -> list[Record]:
            nonlocal last_update_id
            window = book_sides(market, levels)
            if not self._futures:
                return [{"lastUpdateId": 10 * market.book.version, **window}]
            record = self._depth_update(market, now_ms, last_update_id, window["bids"], window["asks"])
            last_update_id = record["u"]
            return [record]

        return Stream("depth", interval_ticks, next_payloads)

    def _diff_depth(self, market: LinearMarket, interval_ticks: int) -> Stream:
        version = market.book.version

        def next_payloads(_: MarketEvents, now_ms: int) -> list[Record]:
            nonlocal version
            if market.book.version == version:
                return []
            change = market.book.changes_since(version)
            bids, asks = (
                [[price(market, p, ticks=True), size(market, s)] for p, s in side.items()]
                for side in (change.bids, change.asks)
            )
            record = self._depth_update(market, now_ms, 10 * version, bids, asks)
            version = change.version
            return [record]

        return Stream("depth", interval_ticks, next_payloads)

    def _depth_update(self, market: LinearMarket, now_ms: int, last_update_id: int, bids: Any, asks: Any) -> Record:
        symbol = market.spec.symbol
        head = {"e": "depthUpdate", "E": now_ms, "s": symbol, "U": last_update_id + 1, "u": 10 * market.book.version}
        extra = {"T": now_ms, "ps": symbol, "pu": last_update_id, "st": 1} if self._futures else {}
        return {**head, **extra, "b": bids, "a": asks}
