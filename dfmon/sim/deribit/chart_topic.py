"""`chart.trades`: the running candle of an instrument whenever it changed, and the last state of the one before."""

from __future__ import annotations

from collections.abc import Iterable

from dfmon.model.units import MILLISECOND
from dfmon.sim.deribit.charts import Charts, candle_record
from dfmon.sim.deribit.records import Record
from dfmon.sim.deribit.topics import SECOND_TICKS, Topic
from dfmon.sim.market.candles import Interval
from dfmon.sim.market.simulated_market import SimulatedMarket


class ChartTopic(Topic):
    """Candles of one instrument and interval."""

    def __init__(self, charts: Charts, name: str, interval: Interval, market: SimulatedMarket) -> None:
        super().__init__(SECOND_TICKS)
        self._charts, self._name, self._interval, self._market = charts, name, interval, market
        self._start_ms = market.now_ns // MILLISECOND
        self._last: Record = {}

    def next_payloads(self) -> Iterable[object]:
        end_ms = self._market.now_ns // MILLISECOND
        rows = self._charts.candles(self._name, self._interval, self._start_ms, end_ms) or []
        payloads = [record for record in map(candle_record, rows) if record != self._last]
        if payloads:
            self._start_ms, self._last = payloads[-1]["tick"], payloads[-1]
        return payloads
