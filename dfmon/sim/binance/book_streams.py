"""Binance's book streams: the touch, the best levels, and changes chained by their ids."""

from __future__ import annotations

from typing import Any

from dfmon.sim.binance.payloads import PayloadBuilder, Stream
from dfmon.sim.binance.records import Record, book_sides, price, size
from dfmon.sim.market.currency_market import MarketEvents
from dfmon.sim.market.linear_market import LinearMarket


def book_ticker(market: LinearMarket, *, futures: bool) -> PayloadBuilder:
    """The touch after each change of the book."""
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
        return [head | record if futures else record]

    return next_payloads


def depth_stream(market: LinearMarket, levels: int, interval_ticks: int, *, futures: bool) -> Stream:
    """The best `levels` levels each time, or with 0 the changes."""
    build = _partial_depth(market, levels, futures=futures) if levels else _diff_depth(market, futures=futures)
    return Stream("depth", interval_ticks, build)


def _partial_depth(market: LinearMarket, levels: int, *, futures: bool) -> PayloadBuilder:
    last_update_id = 10 * market.book.version

    def next_payloads(_: MarketEvents, now_ms: int) -> list[Record]:
        nonlocal last_update_id
        window = book_sides(market, levels)
        if not futures:
            return [{"lastUpdateId": 10 * market.book.version, **window}]
        record = _depth_update(market, now_ms, last_update_id, window["bids"], window["asks"], futures=True)
        last_update_id = record["u"]
        return [record]

    return next_payloads


def _diff_depth(market: LinearMarket, *, futures: bool) -> PayloadBuilder:
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
        record = _depth_update(market, now_ms, 10 * version, bids, asks, futures=futures)
        version = change.version
        return [record]

    return next_payloads


def _depth_update(
    market: LinearMarket, now_ms: int, last_update_id: int, bids: Any, asks: Any, *, futures: bool
) -> Record:
    symbol = market.spec.symbol
    head = {"e": "depthUpdate", "E": now_ms, "s": symbol, "U": last_update_id + 1, "u": 10 * market.book.version}
    extra = {"T": now_ms, "ps": symbol, "pu": last_update_id, "st": 1} if futures else {}
    return {**head, **extra, "b": bids, "a": asks}
