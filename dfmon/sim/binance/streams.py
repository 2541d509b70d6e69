"""Binance's streams by name, for spot and USD-M futures. `records` and `history` make the payloads."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from dfmon.model.units import MILLISECOND
from dfmon.sim.binance.book_streams import book_ticker, depth_stream
from dfmon.sim.binance.history import INTERVALS, agg_trade, kline, trade_event
from dfmon.sim.binance.payloads import PayloadBuilder, Stream
from dfmon.sim.binance.records import Record, day_ticker, force_order, mark_price_update, mini_ticker
from dfmon.sim.market.candles import Candle
from dfmon.sim.market.currency_market import MarketEvents
from dfmon.sim.market.linear_market import LinearMarket, LinearTrade

_INTERVAL_TICKS: Final = {"100ms": 1, "250ms": 2, "500ms": 5, "1000ms": 10, "1s": 10, "3s": 30}
_STREAM_NAME: Final = re.compile(r"([a-z0-9]+)@([A-Za-z]+?)(\d*)(?:[@_](\w+))?")
_ALL_MARKETS_NAME: Final = re.compile(r"!([A-Za-z]+)(?:@arr)?(?:@(\w+))?")
PUBLIC_KINDS: Final = frozenset({"bookTicker", "depth", "trade"})
MARKET_KINDS: Final = frozenset({"aggTrade", "markPrice", "ticker", "miniTicker", "kline", "forceOrder"})
_FUTURES_KINDS: Final = frozenset({"markPrice", "forceOrder"})
_DAY_TICKERS: Final = {"ticker": day_ticker, "miniTicker": mini_ticker}


class Kline:
    """The running candle of an interval; its last record is marked as closed."""

    def __init__(self, market: LinearMarket, name: str, market_ms: Callable[[], int], extra_fields: Record) -> None:
        self._market, self._name, self._interval = market, name, INTERVALS[name]
        self._market_ms, self._extra_fields = market_ms, extra_fields
        self._start = self._interval.start(market_ms())

    def next_payloads(self, _: MarketEvents, now_ms: int) -> list[Record]:
        """The candle as it stands, and before it those that closed since the last call."""
        first, end_ms = self._start, self._market_ms()
        self._start = self._interval.start(end_ms)
        rows = self._market.minutes.candles(self._interval, first, end_ms)
        return [self._record(row, now_ms, closed=row.start_ms < self._start) for row in rows]

    def _record(self, candle: Candle, now_ms: int, *, closed: bool) -> Record:
        market = self._market
        k = kline(market, self._interval, candle) | {"s": market.spec.symbol, "i": self._name, "x": closed}
        return {"e": "kline", "E": now_ms, "s": market.spec.symbol, "k": k, **self._extra_fields}


class StreamFactory:
    """Stream name to stream, for one product. `market_ms` is the market's time."""

    def __init__(self, markets: dict[str, LinearMarket], market_ms: Callable[[], int], *, futures: bool) -> None:
        self._markets, self._market_ms, self._futures = markets, market_ms, futures
        self._st_field: Record = {"st": 1} if futures else {}

    def create_stream(self, name: str) -> Stream | None:
        """The stream called `name`; None for an unknown one, which stays silent."""
        if match := _ALL_MARKETS_NAME.fullmatch(name):
            return self._stream_of_all(match[1], match[2])
        match = _STREAM_NAME.fullmatch(name)
        market = self._markets.get(match[1].upper()) if match else None
        if match is None or market is None or (match[2] in _FUTURES_KINDS and not self._futures):
            return None
        kind, levels, suffix = match[2], match[3], match[4]
        if kind == "depth":
            interval_ticks = _INTERVAL_TICKS.get(suffix or ("250ms" if self._futures else "1000ms"), 10)
            return depth_stream(market, int(levels or 0), interval_ticks, futures=self._futures)
        return self._stream_of_market(kind, market, suffix)

    def _stream_of_market(self, kind: str, market: LinearMarket, suffix: str | None) -> Stream | None:
        futures = self._futures
        if kind == "aggTrade":
            return Stream(kind, 1, lambda events, now: self._agg_trades(_trades_of(market, events), now))
        if kind == "trade":
            return Stream(
                kind, 1, lambda events, now: [trade_event(t, now, futures=futures) for t in _trades_of(market, events)]
            )
        if kind == "kline" and suffix in INTERVALS:
            klines = Kline(market, suffix, self._market_ms, self._st_field)
            return Stream(kind, 2 if futures else 20, klines.next_payloads)
        if kind == "bookTicker":
            return Stream(kind, 1, book_ticker(market, futures=futures))
        if kind in _DAY_TICKERS:
            build = _DAY_TICKERS[kind]
            return Stream(kind, self._ticker_ticks(), lambda _, now: [build(market, now) | self._st_field])
        if kind == "markPrice":
            return Stream(kind, _mark_price_ticks(suffix), lambda _, now: [mark_price_update(market, now)])
        if kind == "forceOrder":
            return Stream(kind, 1, self._force_orders(market))
        return None

    def _stream_of_all(self, kind: str, suffix: str | None) -> Stream | None:
        """A stream of every market; spot has had no `!ticker@arr` since March 2026."""
        markets = self._markets.values()
        if kind == "miniTicker" or (kind == "ticker" and self._futures):
            build = _DAY_TICKERS[kind]
            return Stream(
                kind, self._ticker_ticks(), lambda _, now: [[build(m, now) | self._st_field for m in markets]]
            )
        if not self._futures:
            return None
        if kind == "markPrice":
            return Stream(
                kind, _mark_price_ticks(suffix), lambda _, now: [[mark_price_update(m, now) for m in markets]]
            )
        if kind == "forceOrder":
            return Stream(kind, 1, self._force_orders(None))
        if kind == "bookTicker":
            builders = [book_ticker(m, futures=True) for m in markets]
            return Stream(kind, 50, lambda events, now: [row for build in builders for row in build(events, now)])
        return None

    def _ticker_ticks(self) -> int:
        return 20 if self._futures else 10

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

    def _agg_trades(self, trades: list[LinearTrade], now_ms: int) -> list[Record]:
        """Spot: one record per taker order. Futures: one per price and side within 100 ms."""
        if not self._futures:
            return [self._agg_trade([trade], now_ms) for trade in trades]
        buckets: dict[tuple[float, int], list[LinearTrade]] = {}
        for trade in trades:
            buckets.setdefault((trade.price, trade.side), []).append(trade)
        return [self._agg_trade(bucket, now_ms) for bucket in buckets.values()]

    def _agg_trade(self, bucket: list[LinearTrade], now_ms: int) -> Record:
        head = {"e": "aggTrade", "E": now_ms, "s": bucket[-1].market.spec.symbol}
        record = head | agg_trade(bucket, futures=self._futures)
        return record | {"nq": record["q"], "st": 1} if self._futures else record


def _trades_of(market: LinearMarket, events: MarketEvents) -> list[LinearTrade]:
    return [t for t in events.linear_trades if t.market is market]


def _mark_price_ticks(suffix: str | None) -> int:
    return _INTERVAL_TICKS.get(suffix or "3s", 30)
