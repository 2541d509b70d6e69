"""What each Binance stream says, for spot and USD-M futures. Prices and sizes are strings, times ms integers.

Order-book ids are ten per book version: an event covers a range of ids and a REST snapshot lies inside the next one,
as on the venue.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from dfmon.model.units import MILLISECOND
from dfmon.sim.currency import Happenings
from dfmon.sim.linear import LinearMarket, LinearTrade, Liquidation

Record = dict[str, Any]
Update = Callable[[Happenings, int], list[Record]]  # events and now in ms, to payloads

_TICKS: Final = {"100ms": 1, "250ms": 2, "500ms": 5, "1000ms": 10, "1s": 10, "3s": 30}
_STREAM: Final = re.compile(r"([a-z0-9]+)@([A-Za-z]+?)(\d*)(?:@(\w+))?")
PUBLIC: Final = frozenset({"bookTicker", "depth"})
MARKET: Final = frozenset({"aggTrade", "markPrice", "ticker", "miniTicker", "forceOrder"})


class Stream:
    """One stream: its update, and every how many 100 ms ticks it runs."""

    def __init__(self, kind: str, every: int, update: Update) -> None:
        self.kind, self.every, self.update = kind, every, update


def price(market: LinearMarket, ticks_or_usd: float, *, ticks: bool = False) -> str:
    """A price with the digits of the market's tick."""
    usd = ticks_or_usd * market.spec.tick if ticks else ticks_or_usd
    return f"{usd:.2f}"


def size(market: LinearMarket, coins: float) -> str:
    """A quantity with the digits of the market's lot."""
    return f"{coins:.{market.spec.lot_digits}f}"


def sides(market: LinearMarket, n: int) -> Record:
    """The best `n` levels of both sides as string pairs."""
    book = market.book
    return {
        "bids": [[price(market, p, ticks=True), size(market, s)] for p, s in book.top_bids(n)],
        "asks": [[price(market, p, ticks=True), size(market, s)] for p, s in book.top_asks(n)],
    }


def snapshot_id(market: LinearMarket) -> int:
    """`lastUpdateId` of a REST snapshot taken now."""
    return 10 * market.book.version + 3


def day_ticker(market: LinearMarket, now_ms: int) -> Record:
    """`24hrTicker`; spot shows the touch, futures do not."""
    spec, book = market.spec, market.book
    change = market.last - market.open_24h
    record: Record = {
        "e": "24hrTicker",
        "E": now_ms,
        "s": spec.symbol,
        "p": price(market, change),
        "P": f"{100.0 * change / market.open_24h:.3f}",
        "w": price(market, market.index),
        "c": price(market, market.last),
        "Q": size(market, market.last_size),
        "o": price(market, market.open_24h),
        "h": price(market, market.high),
        "l": price(market, market.low),
        "v": size(market, market.volume),
        "q": f"{market.volume * market.index:.2f}",
        "O": now_ms - 86_400_000,
        "C": now_ms,
        "F": market.first_id,
        "L": market.trade_id,
        "n": market.trade_id - market.first_id,
    }
    if spec.kind == "spot":
        record |= {
            "b": price(market, book.bid, ticks=True),
            "B": size(market, book.bids[book.bid]),
            "a": price(market, book.ask, ticks=True),
            "A": size(market, book.asks[book.ask]),
        }
    return record


def premium_index(market: LinearMarket, now_ms: int) -> Record:
    """`GET /fapi/v1/premiumIndex`."""
    return {
        "symbol": market.spec.symbol,
        "markPrice": f"{market.mark:.8f}",
        "indexPrice": f"{market.index:.8f}",
        "estimatedSettlePrice": f"{market.index:.8f}",
        "lastFundingRate": f"{market.funding:.8f}",
        "interestRate": "0.00010000",
        "nextFundingTime": market.next_funding_ns(now_ms * MILLISECOND) // MILLISECOND,
        "time": now_ms,
    }


class StreamMaker:
    """Stream name to stream, for one product."""

    def __init__(self, markets: dict[str, LinearMarket], *, futures: bool) -> None:
        self._markets, self._futures = markets, futures

    def make(self, name: str) -> Stream | None:
        """The stream called `name`; unknown ones are None and stay silent."""
        if name == "!forceOrder@arr" and self._futures:
            return Stream("forceOrder", 1, lambda h, now: [_forced(x, now) for x in self._mine(h)])
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
            return Stream(kind, 1, lambda h, now: [self._trade(t, now) for t in h.linear_trades if t.market is market])
        if kind == "bookTicker":
            return Stream(kind, 1, self._touch(market))
        if kind == "ticker":
            return Stream(kind, 20 if self._futures else 10, lambda _, now: [day_ticker(market, now) | self._st()])
        if kind == "markPrice" and self._futures:
            return Stream(kind, _TICKS.get(pace or "3s", 30), lambda _, now: [_mark(market, now)])
        if kind == "forceOrder" and self._futures:
            return Stream(kind, 1, lambda h, now: [_forced(x, now) for x in self._mine(h) if x.market is market])
        return None

    def _mine(self, happened: Happenings) -> list[Liquidation]:
        return [x for x in happened.liquidations if self._markets.get(x.market.spec.symbol) is x.market]

    def _st(self) -> Record:
        return {"st": 1} if self._futures else {}

    def _trade(self, trade: LinearTrade, now_ms: int) -> Record:
        market = trade.market
        record: Record = {
            "e": "aggTrade",
            "E": now_ms,
            "s": market.spec.symbol,
            "a": trade.trade_id,
            "p": price(market, trade.price),
            "q": size(market, trade.coins),
            "f": trade.trade_id,
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


def _mark(market: LinearMarket, now_ms: int) -> Record:
    return {
        "e": "markPriceUpdate",
        "E": now_ms,
        "s": market.spec.symbol,
        "p": f"{market.mark:.8f}",
        "ap": f"{market.mark:.8f}",
        "i": f"{market.index:.8f}",
        "P": f"{market.index:.8f}",
        "r": f"{market.funding:.8f}",
        "T": market.next_funding_ns(now_ms * MILLISECOND) // MILLISECOND,
        "st": 1,
    }


def _forced(order: Liquidation, now_ms: int) -> Record:
    market = order.market
    quantity, at = size(market, order.coins), price(market, order.price)
    body = {
        "s": market.spec.symbol,
        "S": "BUY" if order.side > 0 else "SELL",  # the forced order's side: SELL closes a long
        "o": "LIMIT",
        "f": "IOC",
        "q": quantity,
        "p": at,
        "ap": at,
        "X": "FILLED",
        "l": quantity,
        "z": quantity,
        "T": order.ts_ns // MILLISECOND,
    }
    return {"e": "forceOrder", "E": now_ms, "o": body}
