"""Binance's REST API by route: spot under `/api/v3`, USD-M futures under `/fapi`, and COIN-M, which lists nothing."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from dfmon.sim.binance import history
from dfmon.sim.binance.exchange_info import exchange_info
from dfmon.sim.binance.records import (
    Record,
    book_sides,
    day_ticker,
    funding_info,
    premium_index,
    price,
    size,
    snapshot_id,
)
from dfmon.sim.binance.requests import BinanceError, RestCall
from dfmon.sim.market.linear_market import LinearMarket

Handler = Callable[[RestCall], object]

_TICKER_NAMES: Final = {
    "s": "symbol", "p": "priceChange", "P": "priceChangePercent", "w": "weightedAvgPrice", "x": "prevClosePrice",
    "c": "lastPrice", "Q": "lastQty", "b": "bidPrice", "B": "bidQty", "a": "askPrice", "A": "askQty", "o": "openPrice",
    "h": "highPrice", "l": "lowPrice", "v": "volume", "q": "quoteVolume", "O": "openTime", "C": "closeTime",
    "F": "firstId", "L": "lastId", "n": "count",
}  # fmt: skip


def _per_symbol(build: Callable[[RestCall, LinearMarket], Record]) -> Handler:
    """The response for one symbol, or a list of those for several."""

    def handle(call: RestCall) -> object:
        rows = [build(call, market) for market in call.selected]
        return rows[0] if call.is_for_one else rows

    return handle


def _exchange_info(call: RestCall) -> Record:
    return exchange_info(call.selected, call.now_ms, futures=call.futures)


def _depth(call: RestCall) -> Record:
    market = call.market
    times = {"E": call.now_ms, "T": call.now_ms} if call.futures else {}
    limit = call.limit(500 if call.futures else 100, 1_000 if call.futures else 5_000)
    return {"lastUpdateId": snapshot_id(market), **times, **book_sides(market, limit)}


def _day_ticker(call: RestCall, market: LinearMarket) -> Record:
    """The 24 h ticker with the long names of REST."""
    ticker = day_ticker(market, call.now_ms)
    return {rest_name: ticker[key] for key, rest_name in _TICKER_NAMES.items() if key in ticker}


def _price(call: RestCall, market: LinearMarket) -> Record:
    record: Record = {"symbol": market.spec.symbol, "price": price(market, market.last)}
    return record | ({"time": call.now_ms} if call.futures else {})


def _book_ticker(call: RestCall, market: LinearMarket) -> Record:
    sides = book_sides(market, 1)
    (bid, bid_size), (ask, ask_size) = sides["bids"][0], sides["asks"][0]
    record: Record = {
        "symbol": market.spec.symbol, "bidPrice": bid, "bidQty": bid_size, "askPrice": ask, "askQty": ask_size,
    }  # fmt: skip
    return record | ({"time": call.now_ms, "lastUpdateId": snapshot_id(market)} if call.futures else {})


def _average_price(call: RestCall) -> Record:
    """The average of five minutes by volume."""
    market = call.market
    rows = market.minutes.candles(history.INTERVALS["1m"], call.market_ms - 240_000, call.market_ms)
    coins = sum(row.coins for row in rows)
    average = sum(row.usd for row in rows) / coins if coins else market.last
    return {"mins": 5, "price": f"{average:.8f}", "closeTime": call.now_ms}


def _premium_index(call: RestCall, market: LinearMarket) -> Record:
    return premium_index(market, call.now_ms)


def _open_interest(call: RestCall) -> Record:
    market = call.market
    return {"symbol": market.spec.symbol, "openInterest": size(market, market.open_interest), "time": call.now_ms}


_COMMON: Final[dict[str, Handler]] = {
    "ping": lambda _: {},
    "time": lambda call: {"serverTime": call.now_ms},
    "exchangeInfo": _exchange_info,
    "depth": _depth,
    "trades": history.trades,
    "historicalTrades": history.historical_trades,
    "aggTrades": history.agg_trades,
    "klines": history.klines,
    "ticker/24hr": _per_symbol(_day_ticker),
    "ticker/price": _per_symbol(_price),
    "ticker/bookTicker": _per_symbol(_book_ticker),
}
_SPOT: Final[dict[str, Handler]] = {"uiKlines": history.klines, "avgPrice": _average_price}
_FUTURES: Final[dict[str, Handler]] = {
    "continuousKlines": history.continuous_klines,
    "premiumIndex": _per_symbol(_premium_index),
    "openInterest": _open_interest,
    "fundingRate": history.funding_rates,
    "fundingInfo": lambda call: funding_info(call.markets.values()),
}
_COIN_FUTURES: Final[dict[str, Handler]] = {
    "ping": lambda _: {},
    "time": lambda call: {"serverTime": call.now_ms},
    "exchangeInfo": lambda call: exchange_info([], call.now_ms, futures=True),
}
ROUTES: Final[dict[bool, dict[str, Handler]]] = {  # by product: futures or spot
    False: {f"/api/v3/{name}": handler for name, handler in (_COMMON | _SPOT).items()},
    True: {f"/fapi/v1/{name}": handler for name, handler in (_COMMON | _FUTURES).items()}
    | {"/fapi/v2/ticker/price": _COMMON["ticker/price"]}
    | {f"/dapi/v1/{name}": handler for name, handler in _COIN_FUTURES.items()},
}


def respond(path: str, call: RestCall) -> object:
    """The body of a response."""
    handler = ROUTES[call.futures].get(path)
    if handler is None:
        raise BinanceError(-5000, f"Path {path}, Method GET is invalid", HTTPStatus.NOT_FOUND)
    return handler(call)
