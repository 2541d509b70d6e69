"""Candles of a market: minutes of its own trades, and before the start those of the index's past path.

A bucket without a trade repeats the last close with no volume, as the venues have it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import msgspec
import numpy as np

from dfmon.sim.market.past_path import MINUTE_MS, PastPath

DAY_MS: Final = 1_440 * MINUTE_MS
_MAX_MINUTES: Final = 4_320  # three days


class Candle(msgspec.Struct, gc=False):
    """One bucket. `buy_coins` and `buy_usd` are the takers' purchases, a part of `coins` and `usd`."""

    start_ms: int
    open: float
    high: float
    low: float
    close: float
    coins: float = 0.0
    usd: float = 0.0
    buy_coins: float = 0.0
    buy_usd: float = 0.0
    trades: int = 0
    first_id: int = -1
    last_id: int = -1

    def merge(self, later: Candle) -> None:
        """Adds a later part of the same bucket."""
        self.high, self.low, self.close = max(self.high, later.high), min(self.low, later.low), later.close
        self.coins += later.coins
        self.usd += later.usd
        self.buy_coins += later.buy_coins
        self.buy_usd += later.buy_usd
        self.trades += later.trades
        self.first_id = later.first_id if self.first_id < 0 else self.first_id
        self.last_id = later.last_id if later.last_id >= 0 else self.last_id


@dataclass(frozen=True, slots=True)
class Interval:
    """Length of a candle, ms counted from an origin (ms since the epoch), or a calendar month."""

    length_ms: int
    origin_ms: int = 0
    monthly: bool = False

    def start(self, at_ms: int) -> int:
        """Start of the bucket that holds `at_ms`."""
        if self.monthly:
            day = datetime.fromtimestamp((at_ms - self.origin_ms) / 1_000, UTC)
            return int(datetime(day.year, day.month, 1, tzinfo=UTC).timestamp()) * 1_000 + self.origin_ms
        return at_ms - (at_ms - self.origin_ms) % self.length_ms

    def next_start(self, start_ms: int) -> int:
        """Start of the bucket after the one that begins at `start_ms`."""
        return self.start(start_ms + 32 * DAY_MS) if self.monthly else start_ms + self.length_ms


class MinuteLog:
    """The minutes in which a market traded: the latest since the start, and before it the past while it joins them."""

    def __init__(self) -> None:
        self.past: PastPath | None = None
        self._minutes: deque[Candle] = deque(maxlen=_MAX_MINUTES)

    def add_trade(self, ts_ms: int, price: float, coins: float, side: int, trade_id: int) -> None:
        """Takes one trade; `side` is the taker's."""
        trade = trade_candle(ts_ms, price, coins, price * coins, side, trade_id)
        trade.start_ms -= ts_ms % MINUTE_MS
        if self._minutes and self._minutes[-1].start_ms == trade.start_ms:
            self._minutes[-1].merge(trade)
        else:
            if len(self._minutes) == _MAX_MINUTES:
                self.past = None  # or a gap would lie between
            self._minutes.append(trade)

    @property
    def oldest_ms(self) -> int:
        """Start of the oldest minute of which anything is known, 0 without any."""
        if self.past is not None:
            return self.past.oldest_ms
        return self._minutes[0].start_ms if self._minutes else 0

    def candles(self, interval: Interval, start_ms: int, end_ms: int) -> list[Candle]:
        """The buckets from that of `start_ms` to that of `end_ms`, oldest first, as far as anything is known."""
        edges = bucket_edges(interval, start_ms, end_ms)
        past = [] if self.past is None else _past_candles(self.past, edges)
        first = bisect_right(self._minutes, edges[0] - 1, key=lambda minute: minute.start_ms)
        live = [self._minutes[n] for n in range(first, len(self._minutes))]
        return fill_buckets(edges, [*past, *live])


def trade_candle(ts_ms: int, price: float, coins: float, usd: float, side: int, trade_id: int) -> Candle:
    """The candle of a single trade."""
    bought = (coins, usd) if side > 0 else (0.0, 0.0)
    return Candle(ts_ms, price, price, price, price, coins, usd, *bought, 1, trade_id, trade_id)


def bucket_edges(interval: Interval, start_ms: int, end_ms: int) -> list[int]:
    """Starts of the buckets from that of `start_ms` to that of `end_ms`, and the end of the last."""
    edges = [interval.start(start_ms)]
    while edges[-1] <= end_ms:
        edges.append(interval.next_start(edges[-1]))
    return edges if len(edges) > 1 else [*edges, interval.next_start(edges[0])]


def fill_buckets(edges: Sequence[int], parts: Iterable[Candle]) -> list[Candle]:
    """Parts in time order merged into the buckets between `edges`; before the first part there is none."""
    buckets: list[Candle] = []
    for part in parts:
        n = bisect_right(edges, part.start_ms) - 1
        if not 0 <= n < len(edges) - 1:
            continue
        _repeat_close(buckets, edges, edges[n])
        if buckets and buckets[-1].start_ms == edges[n]:
            buckets[-1].merge(part)
        else:
            buckets.append(msgspec.structs.replace(part, start_ms=edges[n]))
    _repeat_close(buckets, edges, edges[-1])
    return buckets


def _repeat_close(buckets: list[Candle], edges: Sequence[int], end_ms: int) -> None:
    """Appends empty buckets up to the one before `end_ms`."""
    if buckets:
        close = buckets[-1].close
        first = bisect_right(edges, buckets[-1].start_ms)
        buckets += [Candle(start, close, close, close, close) for start in edges[first:-1] if start < end_ms]


def _past_candles(past: PastPath, edges: Sequence[int]) -> list[Candle]:
    """The past's part of each bucket."""
    minutes = past.minutes(edges[0], edges[-1])
    if not len(minutes.close):
        return []
    numbers = minutes.first + np.arange(len(minutes.close))
    bucket = np.searchsorted(np.array(edges), numbers * MINUTE_MS, side="right")
    firsts = np.flatnonzero(np.diff(bucket, prepend=-1))
    lasts = np.append(firsts[1:], len(numbers)) - 1
    usd, bought_usd = minutes.coins * minutes.close, minutes.buy_coins * minutes.close
    sums = (np.add.reduceat(column, firsts).tolist() for column in (minutes.coins, usd, minutes.buy_coins, bought_usd))
    columns = (
        numbers[firsts] * MINUTE_MS,
        minutes.open[firsts],
        np.maximum.reduceat(minutes.high, firsts),
        np.minimum.reduceat(minutes.low, firsts),
        minutes.close[lasts],
    )
    trades = np.add.reduceat(minutes.trades, firsts).tolist()
    return [Candle(*row) for row in zip(*(column.tolist() for column in columns), *sums, trades)]
