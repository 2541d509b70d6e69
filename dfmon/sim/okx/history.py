"""OKX's candles, over REST and on the business channels; newest first over REST."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from dfmon.model.units import MILLISECOND
from dfmon.sim.market.candles import DAY_MS, Candle, Interval
from dfmon.sim.market.linear_market import LinearMarket
from dfmon.sim.market.past_path import MINUTE_MS
from dfmon.sim.okx import records
from dfmon.sim.okx.records import Record

_HOUR_MS: Final = 60 * MINUTE_MS
_HONG_KONG_MS: Final = -8 * _HOUR_MS  # where longer candles begin, unless their name ends in utc


def _with_offset(hours: dict[str, int]) -> dict[str, Interval]:
    utc = {f"{name}utc": Interval(n * _HOUR_MS) for name, n in hours.items()}
    return utc | {name: Interval(n * _HOUR_MS, _HONG_KONG_MS) for name, n in hours.items()}


BARS: Final = {
    **{f"{n}m": Interval(n * MINUTE_MS) for n in (1, 3, 5, 15, 30)},
    **{f"{n}H": Interval(n * _HOUR_MS) for n in (1, 2, 4)},
    **_with_offset({"6H": 6, "12H": 12, "1D": 24, "2D": 48, "3D": 72}),
    "1W": Interval(7 * DAY_MS, 4 * DAY_MS + _HONG_KONG_MS),
    "1Wutc": Interval(7 * DAY_MS, 4 * DAY_MS),
    "1M": Interval(31 * DAY_MS, _HONG_KONG_MS, monthly=True),
    "1Mutc": Interval(31 * DAY_MS, monthly=True),
}
MAX_ROWS: Final = 300
MAX_FUNDING_ROWS: Final = 400
_FUNDING_MS: Final = 8 * _HOUR_MS


def candle_row(market: LinearMarket, candle: Candle, *, closed: bool) -> list[str]:
    """Times, prices, volume in contracts or coins, in coins or the quote currency, in the quote currency, state."""
    prices = (records.price(market, price) for price in (candle.open, candle.high, candle.low, candle.close))
    turnover = f"{candle.usd:.4f}"
    volume = records.size(market, candle.coins, candle.close)
    in_currency = f"{candle.coins:.4f}" if records.is_swap(market) else turnover
    return [str(candle.start_ms), *prices, volume, in_currency, turnover, str(int(closed))]


def candles(market: LinearMarket, query: dict[str, str], now_ms: int) -> list[list[str]]:
    """Rows older than `after` and newer than `before`, newest first; raises KeyError for an unknown bar."""
    interval = BARS[query.get("bar", "1m")]
    limit = min(max(integer(query, "limit", 100), 1), MAX_ROWS)
    after, before = integer(query, "after", now_ms + 1), integer(query, "before", 0)
    end_ms = min(after - 1, now_ms)
    rows = market.minutes.candles(interval, end_ms - limit * interval.length_ms, end_ms)
    page = [row for row in rows if before < row.start_ms < after][-limit:]
    return [candle_row(market, row, closed=interval.next_start(row.start_ms) <= now_ms) for row in reversed(page)]


def trades(market: LinearMarket, query: dict[str, str], max_rows: int) -> list[Record]:
    """The latest trades, newest first; `after` and `before` are trade ids, or times with type 2."""
    limit = min(max(integer(query, "limit", 100), 1), max_rows)
    key = "ts" if query.get("type") == "2" else "tradeId"
    after, before = integer(query, "after", 1 << 62), integer(query, "before", -1)
    rows = [records.trade(trade, with_count=False) for trade in reversed(market.recent_trades)]
    return [row for row in rows if before < int(row[key]) < after][:limit]


def funding_rates(market: LinearMarket, query: dict[str, str], now_ms: int) -> list[Record]:
    """The rates that were paid every eight hours, newest first, within `before` and `after`."""
    limit = min(max(integer(query, "limit", MAX_FUNDING_ROWS), 1), MAX_FUNDING_ROWS)
    after, before = integer(query, "after", now_ms + 1), integer(query, "before", 0)
    end_ms = min(after - 1, now_ms)
    hours = market.funding_hours(end_ms - limit * _FUNDING_MS, end_ms)
    paid = [hour for hour in hours if hour.time_ms % _FUNDING_MS == 0 and hour.time_ms > before]
    return [
        {
            "instType": "SWAP",
            "instId": market.spec.symbol,
            "formulaType": "withRate",
            "method": "current_period",
            "fundingRate": f"{hour.rate:.10f}",
            "realizedRate": f"{hour.rate:.10f}",
            "fundingTime": str(hour.time_ms),
        }
        for hour in reversed(paid[-limit:])
    ]


def integer(query: dict[str, str], name: str, default: int) -> int:
    """A whole number, or `default` for anything else."""
    value = query.get(name, "")
    return int(value) if value.isdecimal() else default


class CandleFeed:
    """One candle channel: the running candle whenever it changed, and the last state of the one before."""

    def __init__(self, market: LinearMarket, bar: str, market_ns: Callable[[], int]) -> None:
        self._market, self._interval, self._market_ns = market, BARS[bar], market_ns
        self._start_ms = market_ns() // MILLISECOND
        self._last: list[str] = []

    def next_rows(self) -> list[list[str]]:
        """The rows that changed since the last call."""
        now_ms = self._market_ns() // MILLISECOND
        candles = self._market.minutes.candles(self._interval, self._start_ms, now_ms)
        closed_before = self._interval.start(now_ms)
        rows = [candle_row(self._market, candle, closed=candle.start_ms < closed_before) for candle in candles]
        changed = [row for row in rows if row != self._last]
        if changed:
            self._start_ms, self._last = int(changed[-1][0]), changed[-1]
        return changed
