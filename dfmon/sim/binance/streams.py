"""What each Binance stream says, for spot and USD-M futures. `binance_records` makes the payloads."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from dfmon.model.units import MILLISECOND
from dfmon.sim.binance.records import Record, day_ticker, forced_order, mark, price, sides, size
from dfmon.sim.market.currency import Happenings
from dfmon.sim.market.linear import LinearMarket, LinearTrade

Update = Callable[[Happenings, int], list[Record]]  # events and now in ms, to payloads

_TICKS: Final = {"100ms": 1, "250ms": 2, "500ms": 5, "1000ms": 10, "1s": 10, "3s": 30}
_STREAM: Final = re.compile(r"([a-z0-9]+)@([A-Za-z]+?)(\d*)(?:[@_](\w+))?")
PUBLIC: Final = frozenset({"bookTicker", "depth"})
MARKET: Final = frozenset({"aggTrade", "markPrice", "ticker", "kline", "forceOrder"})


class Stream:
    """One stream: its update, and every how many 100 ms ticks it runs."""

    def __init__(self, kind: str, every: int, update: Update) -> None:
        self.kind, self.every, self.update = kind, every, update


class Kline:
    """The running one-minute candle; the last record of a minute is marked as closed."""

    def __init__(self, market: LinearMarket, more: Record) -> None:
        self._market, self._more = market, more
        self._minute = -1
        self._open = self._high = self._low = self._last = market.last
        self._first_id, self._volume = market.trade_id + 1, market.volume

    def update(self, _: Happenings, now_ms: int) -> list[Record]:
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
        self._last = market.last
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
            "c": price(market, self._last),
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
        return {"e": "kline", "E": now_ms, "s": market.spec.symbol, "k": candle, **self._more}


class StreamMaker:
    """Stream name to stream, for one product."""

    def __init__(self, markets: dict[str, LinearMarket], *, futures: bool) -> None:
        self._markets, self._futures = markets, futures

    def make(self, name: str) -> Stream | None:
        """The stream called `name`; unknown ones are None and stay silent."""
        if name == "!forceOrder@arr" and self._futures:
            return Stream("forceOrder", 1, self._forced_orders(None))
        match = _STREAM.fullmatch(name)
        market = self._markets.get(match[1].upper()) if match else None
        if match is None or market is None:
            return None
        kind, levels, pace = match[2], match[3], match[4]
        if kind == "depth":
            every = _TICKS.get(pace or ("250ms" if self._futures else "1000ms"), 10)
            return self._window(market, int(levels), every) if levels else self._diff(market, every)
        return self._simple(kind, market, pace)

    def _simple(self, kind: str, market: LinearMarket, pace: str | None) -> Stream | None:
        if kind == "aggTrade":
            return Stream(kind, 1, lambda h, now: self._trades([t for t in h.linear_trades if t.market is market], now))
        if kind == "kline" and pace == "1m":
            return Stream(kind, 2 if self._futures else 20, Kline(market, self._st()).update)
        if kind == "bookTicker":
            return Stream(kind, 1, self._touch(market))
        if kind == "ticker":
            return Stream(kind, 20 if self._futures else 10, lambda _, now: [day_ticker(market, now) | self._st()])
        if kind == "markPrice" and self._futures:
            return Stream(kind, _TICKS.get(pace or "3s", 30), lambda _, now: [mark(market, now)])
        if kind == "forceOrder" and self._futures:
            return Stream(kind, 1, self._forced_orders(market))
        return None

    def _forced_orders(self, market: LinearMarket | None) -> Update:
        """One order per symbol and second at most: the stream is a sample of what is forced out."""
        shown: dict[str, int] = {}

        def update(happened: Happenings, now_ms: int) -> list[Record]:
            records = []
            for order in happened.liquidations:
                symbol, ts_ms = order.market.spec.symbol, order.ts_ns // MILLISECOND
                mine = self._markets.get(symbol) is order.market and market in {None, order.market}
                if mine and ts_ms - shown.get(symbol, -1_000) >= 1_000:
                    shown[symbol] = ts_ms
                    records.append(forced_order(order, now_ms))
            return records

        return update

    def _st(self) -> Record:
        return {"st": 1} if self._futures else {}

    def _trades(self, trades: list[LinearTrade], now_ms: int) -> list[Record]:
        """Spot: one record per taker order. Futures: one per price and side within 100 ms."""
        if not self._futures:
            return [self._trade([trade], now_ms) for trade in trades]
        buckets: dict[tuple[float, int], list[LinearTrade]] = {}
        for trade in trades:
            buckets.setdefault((trade.price, trade.side), []).append(trade)
        return [self._trade(bucket, now_ms) for bucket in buckets.values()]

    def _trade(self, bucket: list[LinearTrade], now_ms: int) -> Record:
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

    def _touch(self, market: LinearMarket) -> Update:
        seen = 0

        def update(_: Happenings, now_ms: int) -> list[Record]:
            nonlocal seen
            book = market.book
            if book.version == seen:
                return []
            seen = book.version
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

        return update

    def _window(self, market: LinearMarket, levels: int, every: int) -> Stream:
        last = 10 * market.book.version

        def update(_: Happenings, now_ms: int) -> list[Record]:
            nonlocal last
            window = sides(market, levels)
            if not self._futures:
                return [{"lastUpdateId": 10 * market.book.version, **window}]
            record = self._event(market, now_ms, last, window["bids"], window["asks"])
            last = record["u"]
            return [record]

        return Stream("depth", every, update)

    def _diff(self, market: LinearMarket, every: int) -> Stream:
        version = market.book.version

        def update(_: Happenings, now_ms: int) -> list[Record]:
            nonlocal version
            if market.book.version == version:
                return []
            change = market.book.since(version)
            bids, asks = (
                [[price(market, p, ticks=True), size(market, s)] for p, s in side.items()]
                for side in (change.bids, change.asks)
            )
            record = self._event(market, now_ms, 10 * version, bids, asks)
            version = change.version
            return [record]

        return Stream("depth", every, update)

    def _event(self, market: LinearMarket, now_ms: int, last: int, bids: Any, asks: Any) -> Record:
        symbol = market.spec.symbol
        head = {"e": "depthUpdate", "E": now_ms, "s": symbol, "U": last + 1, "u": 10 * market.book.version}
        extra = {"T": now_ms, "ps": symbol, "pu": last, "st": 1} if self._futures else {}
        return {**head, **extra, "b": bids, "a": asks}
