"""Binance's trades and candles: rows of REST and payloads of streams, from a market's own tape."""

from __future__ import annotations

from typing import Any, Final

from dfmon.model.units import MILLISECOND
from dfmon.sim.binance.records import Record, funding_hours, price, size
from dfmon.sim.binance.requests import BinanceError, RestCall
from dfmon.sim.market.candles import DAY_MS, Candle, Interval
from dfmon.sim.market.linear_market import LinearMarket, LinearTrade
from dfmon.sim.market.past_path import MINUTE_MS

_HOUR_MS: Final = 60 * MINUTE_MS
INTERVALS: Final = {
    **{f"{n}m": Interval(n * MINUTE_MS) for n in (1, 3, 5, 15, 30)},
    **{f"{n}h": Interval(n * _HOUR_MS) for n in (1, 2, 4, 6, 8, 12)},
    **{f"{n}d": Interval(n * DAY_MS) for n in (1, 3)},
    "1w": Interval(7 * DAY_MS, 4 * DAY_MS),  # from Monday
    "1M": Interval(31 * DAY_MS, monthly=True),
}


def trades(call: RestCall) -> list[Record]:
    """`trades`: the newest."""
    market = call.market
    return [_trade(t, futures=call.futures) for t in list(market.recent_trades)[-call.limit(500, 1_000) :]]


def historical_trades(call: RestCall) -> list[Record]:
    """`historicalTrades`: from an id on, or the newest."""
    return [_trade(t, futures=call.futures) for t in _tape(call)]


def agg_trades(call: RestCall) -> list[Record]:
    """`aggTrades`: each taker order, from an id or a time on, or the newest."""
    return [agg_trade([t], futures=call.futures) for t in _tape(call)]


def _tape(call: RestCall) -> list[LinearTrade]:
    first_id, start_ms, end_ms = (call.integer(name) for name in ("fromId", "startTime", "endTime"))
    limit = call.limit(500, 1_000)
    rows = [
        t
        for t in call.market.recent_trades
        if (first_id is None or t.trade_id >= first_id)
        and (start_ms is None or t.ts_ns >= start_ms * MILLISECOND)
        and (end_ms is None or t.ts_ns < (end_ms + 1) * MILLISECOND)
    ]
    return rows[-limit:] if first_id is None and start_ms is None else rows[:limit]


def _trade(trade: LinearTrade, *, futures: bool) -> Record:
    market = trade.market
    return {
        "id": trade.trade_id,
        "price": price(market, trade.price),
        "qty": size(market, trade.coins),
        "quoteQty": f"{trade.price * trade.coins:.{market.spec.digits}f}",
        "time": trade.ts_ns // MILLISECOND,
        "isBuyerMaker": trade.side < 0,
        **({} if futures else {"isBestMatch": True}),
    }


def agg_trade(bucket: list[LinearTrade], *, futures: bool) -> Record:
    """Trades of one price and side, as one; without the head that a stream adds."""
    trade = bucket[-1]
    return {
        "a": trade.trade_id,
        "p": price(trade.market, trade.price),
        "q": size(trade.market, sum(t.coins for t in bucket)),
        "f": bucket[0].trade_id,
        "l": trade.trade_id,
        "T": trade.ts_ns // MILLISECOND,
        "m": trade.side < 0,  # the buyer was the maker: the taker sold
        **({} if futures else {"M": True}),
    }


def trade_event(trade: LinearTrade, now_ms: int, *, futures: bool) -> Record:
    """A payload of `@trade`."""
    market = trade.market
    record: Record = {
        "e": "trade",
        "E": now_ms,
        "s": market.spec.symbol,
        "t": trade.trade_id,
        "p": price(market, trade.price),
        "q": size(market, trade.coins),
        "T": trade.ts_ns // MILLISECOND,
        "m": trade.side < 0,
    }
    return record | ({"X": "MARKET", "st": 1} if futures else {"M": True})


def klines(call: RestCall) -> list[list[Any]]:
    """`klines`: forward from `startTime`, else the latest up to `endTime`."""
    market, name = call.market, call.text("interval")
    interval = INTERVALS.get(name)
    if interval is None:
        raise BinanceError(-1120, "Invalid interval.")
    limit = call.limit(500, 1_500 if call.futures else 1_000)
    start_ms, end_ms = call.integer("startTime"), call.integer("endTime")
    last_ms = call.market_ms if end_ms is None else min(end_ms, call.market_ms)
    span_ms = limit * interval.length_ms
    first_ms = last_ms - span_ms if start_ms is None else max(start_ms, market.minutes.oldest_ms)
    if start_ms is not None:
        last_ms = min(last_ms, first_ms + span_ms)
    rows = [row for row in market.minutes.candles(interval, first_ms, last_ms) if row.start_ms >= (start_ms or 0)]
    page = rows[:limit] if start_ms is not None else rows[-limit:]
    return [_kline_row(market, interval, row) for row in page]


def continuous_klines(call: RestCall) -> list[list[Any]]:
    """`continuousKlines` of the only contract of a pair."""
    if call.text("contractType") != "PERPETUAL":
        raise BinanceError(-4144, "Invalid pair.")
    pair = {**call.query, "symbol": call.text("pair")}
    return klines(RestCall(call.markets, pair, call.now_ms, call.market_ms, call.futures))


def _kline_row(market: LinearMarket, interval: Interval, candle: Candle) -> list[Any]:
    k = kline(market, interval, candle)
    return [k["t"], k["o"], k["h"], k["l"], k["c"], k["v"], k["T"], k["q"], k["n"], k["V"], k["Q"], "0"]


def kline(market: LinearMarket, interval: Interval, candle: Candle) -> Record:
    """The member `k` of a kline event, without names and state."""
    return {
        "t": candle.start_ms,
        "T": interval.next_start(candle.start_ms) - 1,
        "f": candle.first_id,
        "L": candle.last_id,
        "o": price(market, candle.open),
        "c": price(market, candle.close),
        "h": price(market, candle.high),
        "l": price(market, candle.low),
        "v": size(market, candle.coins),
        "n": candle.trades,
        "q": f"{candle.usd:.2f}",
        "V": size(market, candle.buy_coins),
        "Q": f"{candle.buy_usd:.2f}",
        "B": "0",
    }


def funding_rates(call: RestCall) -> list[Record]:
    """`fundingRate`: the rates that were paid, oldest first; the newest unless a start is given."""
    start_ms, end_ms = call.integer("startTime"), call.integer("endTime")
    limit = call.limit(100, 1_000)
    last_ms = call.market_ms if end_ms is None else min(end_ms, call.market_ms)
    rows: list[Record] = []
    for market in call.selected:
        hours = funding_hours(market)
        span_ms = limit * hours * _HOUR_MS
        first_ms = last_ms - span_ms if start_ms is None else start_ms
        paid = [
            hour
            for hour in market.funding_hours(first_ms, min(last_ms, first_ms + span_ms))
            if hour.time_ms % (hours * _HOUR_MS) == 0
        ]
        rows += [
            {
                "symbol": market.spec.symbol,
                "fundingTime": hour.time_ms,
                "fundingRate": f"{hour.rate * hours / 8:.8f}",
                "markPrice": f"{hour.index_price:.8f}",
            }
            for hour in paid
        ]
    rows.sort(key=lambda row: int(row["fundingTime"]))
    return rows[:limit] if start_ms is not None else rows[-limit:]
