"""Deribit's series over time: candles, volatility, deliveries, funding."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Final

import numpy as np

from dfmon.model.units import HOUR, MILLISECOND, SECOND
from dfmon.sim.deribit.catalog import Catalog
from dfmon.sim.deribit.params import Params, integer_param, invalid_params, string_param
from dfmon.sim.deribit.records import Record
from dfmon.sim.market.board import INVERSE
from dfmon.sim.market.candles import DAY_MS, Candle, Interval, bucket_edges, fill_buckets, trade_candle
from dfmon.sim.market.linear_market import LinearMarket
from dfmon.sim.market.past_path import MINUTE_MS
from dfmon.sim.market.simulated_market import SimulatedMarket

_MAX_CANDLES: Final = 5_000
_VOLATILITY_STEPS_S: Final = {"1": 1, "60": 60, "3600": 3_600, "43200": 43_200, "1D": 86_400}
RESOLUTIONS: Final = {
    **{str(n): Interval(n * MINUTE_MS) for n in (1, 3, 5, 10, 15, 30, 60, 120, 180, 360, 720)},
    "1D": Interval(DAY_MS),
}
_VOLATILITY_HOURS: Final = 15 * 24  # of returns in each value of the historical volatility
_VOLATILITY_ROWS: Final = 384
_MAX_FUNDING_HOURS: Final = 744
_FUNDING_MS: Final = 8 * HOUR // MILLISECOND


class Charts:
    """Methods whose responses are series."""

    def __init__(self, market: SimulatedMarket, catalog: Catalog) -> None:
        self._market, self._catalog = market, catalog
        self.handlers: dict[str, Callable[[Params], object]] = {
            "public/get_tradingview_chart_data": self._chart_data,
            "public/get_volatility_index_data": self._volatility_candles,
            "public/get_historical_volatility": self._historical_volatility,
            "public/get_delivery_prices": self._delivery_prices,
            "public/get_funding_rate_value": self._funding_rate,
            "public/get_funding_rate_history": self._funding_hours,
            "public/get_mark_price_history": lambda _: [],  # kept for few options only
        }

    def candles(self, name: str, interval: Interval, start_ms: int, end_ms: int) -> list[Candle] | None:
        """The candles of an instrument; of an option, those of its prints."""
        if future := self._catalog.future(name):
            return future[1].minutes.candles(interval, start_ms, end_ms)
        option = self._catalog.option(name)
        if option is None:
            return None
        edges = bucket_edges(interval, start_ms, end_ms)
        prints = option[0].trade_log.instrument_trades(name)
        parts = [trade_candle(t.ts_ms, t.price, t.amount, t.price * t.amount, t.side, t.number) for t in prints]
        return fill_buckets(edges, parts)

    def _chart_data(self, params: Params) -> Record:
        name, resolution = string_param(params, "instrument_name"), string_param(params, "resolution")
        interval = RESOLUTIONS.get(resolution)
        if interval is None:
            raise invalid_params(f"must be one of {', '.join(RESOLUTIONS)}", "resolution")
        start_ms, end_ms = _window(params)
        end_ms = min(end_ms, self._market.now_ns // MILLISECOND)
        start_ms = max(start_ms, end_ms - _MAX_CANDLES * interval.length_ms)
        rows = self.candles(name, interval, start_ms, max(end_ms, start_ms))
        if rows is None:
            raise invalid_params("instrument not found", "instrument_name")
        rows = [row for row in rows if start_ms <= row.start_ms <= end_ms]
        columns = [candle_record(row) for row in rows]
        series: Record = {"ticks" if key == "tick" else key: [c[key] for c in columns] for key in _CANDLE_KEYS}
        return {**series, "status": "ok" if rows else "no_data"}

    def _volatility_candles(self, params: Params) -> Record:
        """Candles of the volatility index; only the current one is simulated."""
        currency = self._market.currencies.get(string_param(params, "currency"))
        if currency is None or currency.board.quotation is not INVERSE:
            raise invalid_params("invalid currency", "currency")
        step_s = _VOLATILITY_STEPS_S.get(string_param(params, "resolution"))
        if step_s is None:
            raise invalid_params("must be one of 1, 60, 3600, 43200, 1D", "resolution")
        start_ms, end_ms = _window(params)
        candle_start = currency.now_ns // SECOND // step_s * step_s * 1_000
        row = [candle_start, *[currency.volatility_index] * 4]
        return {"data": [row] if start_ms <= candle_start <= end_ms else [], "continuation": None}

    def _historical_volatility(self, params: Params) -> list[list[float]]:
        """Realised volatility of the index by the hour, in percent."""
        currency = self._market.currencies.get(string_param(params, "currency"))
        if currency is None:
            raise invalid_params("invalid currency", "currency")
        returns = np.diff(np.log(currency.index_history[-(_VOLATILITY_HOURS + _VOLATILITY_ROWS) :]))
        windows = np.lib.stride_tricks.sliding_window_view(returns, _VOLATILITY_HOURS)
        values = (100.0 * math.sqrt(365.0 * 24.0) * np.sqrt((windows**2).mean(axis=1))).tolist()
        last = self._market.start_ns // HOUR
        return [[(last - n) * HOUR // MILLISECOND, value] for n, value in zip(range(len(values) - 1, -1, -1), values)]

    def _delivery_prices(self, params: Params) -> Record:
        deliveries = self._catalog.currency_by_index(params).deliveries
        offset, count = integer_param(params, "offset") or 0, integer_param(params, "count") or 10
        rows = [{"date": day, "delivery_price": price} for day, price in deliveries[offset : offset + count]]
        return {"data": rows, "records_total": len(deliveries)}

    def _perpetual(self, params: Params) -> LinearMarket:
        future = self._catalog.future(string_param(params, "instrument_name"))
        if future is None or future[1].spec.kind != "perpetual":
            raise invalid_params("instrument not found", "instrument_name")
        return future[1]

    def _funding_rate(self, params: Params) -> float:
        """The present rate over the time asked for."""
        perpetual = self._perpetual(params)
        start_ms, end_ms = _window(params)
        return perpetual.funding * max(end_ms - start_ms, 0) / _FUNDING_MS

    def _funding_hours(self, params: Params) -> list[Record]:
        """Hour by hour, with the index at the end of each and of the one before; 744 hours at most."""
        start_ms, end_ms = _window(params)
        hours = self._perpetual(params).funding_hours(start_ms - HOUR // MILLISECOND, end_ms)
        return [
            {
                "timestamp": hour.time_ms,
                "index_price": hour.index_price,
                "prev_index_price": previous.index_price,
                "interest_8h": hour.rate,
                "interest_1h": hour.rate / 8.0,
            }
            for previous, hour in pairwise(hours[-_MAX_FUNDING_HOURS - 1 :])
        ]


_CANDLE_KEYS: Final = ("tick", "open", "high", "low", "close", "volume", "cost")


def candle_record(candle: Candle) -> Record:
    """A candle as `chart.trades` has it: volume in coins, cost in the currency of the price."""
    prices = (round(price, 8) for price in (candle.open, candle.high, candle.low, candle.close))
    return dict(zip(_CANDLE_KEYS, (candle.start_ms, *prices, round(candle.coins, 8), round(candle.usd, 8))))


def _window(params: Params) -> tuple[int, int]:
    """The mandatory times of a series, ms."""
    start, end = integer_param(params, "start_timestamp"), integer_param(params, "end_timestamp")
    if start is None or end is None:
        raise invalid_params("value is required", "start_timestamp" if start is None else "end_timestamp")
    return start, end
