"""Minutes of a market before the start: a bridge between the hours of the index's history.

Nothing is stored: noise is a function of the minute, so any window of the past is the same whenever it is asked for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from dfmon.sim.market.surface import FloatArray

IntArray = npt.NDArray[np.int64]

MINUTE_MS: Final = 60_000
_UNIFORM_SD: Final = math.sqrt(1.0 / 12.0)
_WICK: Final = 2e-4  # the most that a minute reaches beyond its ends, as a fraction of the price
_MINUTES_A_DAY: Final = 1_440
_MINUTES_A_YEAR: Final = 365.0 * _MINUTES_A_DAY


class PastMinutes(NamedTuple):
    """Columns of consecutive minutes from `first` on, minutes since the epoch; sizes in coins."""

    first: int
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    coins: FloatArray
    buy_coins: FloatArray
    trades: IntArray


@dataclass(frozen=True, eq=False, slots=True)
class PastPath:
    """The past of one market, which ends with the minute of the start, ms.

    `index_history` is hourly, USD. Prices are `scale` times the index, on a grid of `tick`; `vol` is their annual
    volatility between the hours, `volume_usd` what trades in a day.
    """

    index_history: FloatArray
    start_ms: int
    scale: float
    tick: float
    vol: float
    volume_usd: float
    trades_per_s: float

    @property
    def oldest_ms(self) -> int:
        """Start of the oldest minute."""
        return (self.start_ms // MINUTE_MS - 60 * (len(self.index_history) - 1)) * MINUTE_MS

    def minutes(self, start_ms: int, end_ms: int) -> PastMinutes:
        """The minutes that begin in [start_ms, end_ms), as far as the history reaches."""
        last = self.start_ms // MINUTE_MS
        first = min(max(-(-start_ms // MINUTE_MS), self.oldest_ms // MINUTE_MS), last)
        count = max(min(-(-end_ms // MINUTE_MS), last) - first, 0)
        path = self._on_grid(self._prices(last - first, count))
        start, close = path[:-1], path[1:]
        minute = np.arange(first, first + count)
        high = self._on_grid(np.maximum(start, close) * (1.0 + _WICK * uniform_noise(minute, 1)))
        low = self._on_grid(np.minimum(start, close) * (1.0 - _WICK * uniform_noise(minute, 2)))
        activity = 0.5 + uniform_noise(minute, 3)
        coins = self.volume_usd / _MINUTES_A_DAY * activity / close
        bought = coins * (0.35 + 0.3 * uniform_noise(minute, 4))
        trades = np.ceil(60.0 * self.trades_per_s * activity).astype(np.int64)
        return PastMinutes(first, start, high, low, close, coins, bought, trades)

    def _on_grid(self, prices: FloatArray) -> FloatArray:
        on_grid: FloatArray = np.round(prices / self.tick) * self.tick
        return on_grid

    def _prices(self, back: int, count: int) -> FloatArray:
        """Prices from `back` minutes before the start on, `count` + 1 of them."""
        minutes_back = back - np.arange(count + 1)
        hour, within = minutes_back // 60, minutes_back % 60
        first_hour = int(hour[-1])
        rows = np.arange(first_hour, int(hour[0]) + 1)
        steps = (uniform_noise(rows[:, None] * 60 + np.arange(60), 0) - 0.5) * (
            self.vol / math.sqrt(_MINUTES_A_YEAR) / _UNIFORM_SD
        )
        walk = np.concatenate([np.zeros((len(rows), 1)), np.cumsum(steps, axis=1)[:, :-1]], axis=1)
        bridge = walk - np.arange(60) / 60.0 * np.sum(steps, axis=1)[:, None]
        hours = np.log(self.index_history[::-1])  # newest first
        newer, older = hours[hour], hours[np.minimum(hour + 1, len(hours) - 1)]
        log_price = newer + (older - newer) * within / 60.0 + bridge[hour - first_hour, within]
        prices: FloatArray = self.scale * np.exp(log_price)
        return prices


def uniform_noise(n: IntArray, column: int) -> FloatArray:
    """Uniform noise in [0, 1): the same for the same minute and column."""
    x = np.sin(n * 12.9898 + column * 78.233) * 43_758.5453
    noise: FloatArray = x - np.floor(x)
    return noise
