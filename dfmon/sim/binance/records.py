"""Binance's wire records of tickers, marks, books and forced orders, for spot and USD-M futures.

Prices and sizes are strings, times ms integers. Order-book ids are ten per book version: an event covers a range of ids
and a REST snapshot lies inside the next one, as on the venue.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from dfmon.model.units import MILLISECOND
from dfmon.sim.market.linear_market import LinearMarket, Liquidation

Record = dict[str, Any]
FUNDING_HOURS: Final = {"SOLUSDT": 4, "XRPUSDT": 4}  # some smaller contracts settle more often than every eight hours


def price(market: LinearMarket, ticks_or_usd: float, *, ticks: bool = False) -> str:
    """A price with the digits of the market's tick."""
    usd = ticks_or_usd * market.spec.tick if ticks else ticks_or_usd
    return f"{usd:.{market.spec.digits}f}"


def size(market: LinearMarket, coins: float) -> str:
    """A quantity with the digits of the market's lot."""
    return f"{coins:.{market.spec.lot_digits}f}"


def book_sides(market: LinearMarket, n: int) -> Record:
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
            "x": price(market, market.open_24h),
            "b": price(market, book.bid, ticks=True),
            "B": size(market, book.bids[book.bid]),
            "a": price(market, book.ask, ticks=True),
            "A": size(market, book.asks[book.ask]),
        }
    return record


def mini_ticker(market: LinearMarket, now_ms: int) -> Record:
    """`24hrMiniTicker`: the day's prices and turnover."""
    ticker = day_ticker(market, now_ms)
    return {"e": "24hrMiniTicker", **{key: ticker[key] for key in ("E", "s", "c", "o", "h", "l", "v", "q")}}


def funding_hours(market: LinearMarket) -> int:
    """The funding period of a contract."""
    return FUNDING_HOURS.get(market.spec.symbol, 8)


def _funding_rate(market: LinearMarket) -> str:
    """The rate of one period."""
    return f"{market.funding * funding_hours(market) / 8:.8f}"


def funding_info(markets: Iterable[LinearMarket]) -> list[Record]:
    """`GET /fapi/v1/fundingInfo`: only the contracts whose period or bounds were ever changed."""
    return [
        {
            "symbol": market.spec.symbol,
            "adjustedFundingRateCap": "0.02000000",
            "adjustedFundingRateFloor": "-0.02000000",
            "fundingIntervalHours": FUNDING_HOURS[market.spec.symbol],
            "disclaimer": False,
        }
        for market in markets
        if market.spec.symbol in FUNDING_HOURS
    ]


def premium_index(market: LinearMarket, now_ms: int) -> Record:
    """`GET /fapi/v1/premiumIndex`."""
    return {
        "symbol": market.spec.symbol,
        "markPrice": f"{market.mark:.8f}",
        "indexPrice": f"{market.index:.8f}",
        "estimatedSettlePrice": f"{market.index:.8f}",
        "lastFundingRate": _funding_rate(market),
        "interestRate": "0.00010000",
        "nextFundingTime": market.next_funding_ns(now_ms * MILLISECOND, funding_hours(market)) // MILLISECOND,
        "time": now_ms,
    }


def mark_price_update(market: LinearMarket, now_ms: int) -> Record:
    return {
        "e": "markPriceUpdate",
        "E": now_ms,
        "s": market.spec.symbol,
        "p": f"{market.mark:.8f}",
        "ap": f"{market.mark:.8f}",
        "i": f"{market.index:.8f}",
        "P": f"{market.index:.8f}",
        "r": _funding_rate(market),
        "T": market.next_funding_ns(now_ms * MILLISECOND, funding_hours(market)) // MILLISECOND,
        "st": 1,
    }


def force_order(order: Liquidation, now_ms: int) -> Record:
    market = order.market
    quantity, order_price = size(market, order.coins), price(market, order.price)
    body = {
        "s": market.spec.symbol,
        "S": "BUY" if order.side > 0 else "SELL",  # the forced order's side: SELL closes a long
        "o": "LIMIT",
        "f": "IOC",
        "q": quantity,
        "p": order_price,
        "ap": order_price,
        "X": "FILLED",
        "l": quantity,
        "z": quantity,
        "T": order.ts_ns // MILLISECOND,
    }
    return {"e": "forceOrder", "E": now_ms, "o": body}
