"""Columns of a market by minutes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from dfmon.model.units import MINUTE
from dfmon.sim.market.surface import FloatArray

DAY_MINUTES: Final = 1_440
MINUTES_A_YEAR: Final = 365 * DAY_MINUTES
START_NS: Final = 1_772_438_400_000_000_000  # 2026-03-02, a Monday, 08:00 UTC: days begin with a roll


@dataclass(frozen=True, slots=True)
class MinutePath:
    """One market of m minutes. A flow is written as the log return that it makes in the depth of its minute.

    `psi`, `gross` (the same without signs) and `psi_stale` (from the positions of 24 hours before at the prices of now;
    NaN in the first day) are those at the end of the minute; `forced` are forced orders, with their sign; `imbalance`
    is the order flow of takers; `heavy_strike` is the strike with the largest dealer gamma of the nearest expiry (NaN
    without a book).
    """

    log_return: FloatArray
    psi: FloatArray
    gross: FloatArray
    psi_stale: FloatArray
    forced: FloatArray
    imbalance: FloatArray
    implied_vol: FloatArray
    spot: FloatArray
    heavy_strike: FloatArray

    @property
    def ts_ns(self) -> np.typing.NDArray[np.int64]:
        """The end of each minute."""
        return START_NS + MINUTE * np.arange(1, self.log_return.size + 1)
