"""A market by minutes as the evaluation reads it, whatever it comes from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from dfmon.core.pricing.black import F64
from dfmon.evidence.regression import I64
from dfmon.model.units import DAY, HOUR, MINUTE

_EXPIRY_HOUR: Final = 8
_SCALE_MINUTES: Final = 360
_MEAN_ABSOLUTE: Final = 1.2533141373155001  # sqrt(pi / 2): standard deviation over mean size of a normal return
_MIN_SHARE: Final = 0.5


@dataclass(frozen=True, slots=True)
class MinuteSeries:
    """Columns of n minutes in order of time. A minute that is missing is NaN in every column but its time.

    `psi`, `gross` (the same without signs), `psi_stale` (positions of 24 hours before at the prices of now) and
    `implied_vol` (decimal) are known at the end of the minute; `forced` and `imbalance` are the flows of the minute, as
    the log return that they make in the depth.
    """

    ts_ns: I64
    log_return: F64
    psi: F64
    gross: F64
    psi_stale: F64
    forced: F64
    imbalance: F64
    implied_vol: F64
    stale_psi: bool = False
    """True where `psi_stale` is psi as it was 24 hours before: the source has no positions to price anew."""

    @property
    def day(self) -> I64:
        """Number of the day of each minute, from 08:00 to 08:00 UTC: expiries lie on the borders."""
        return np.asarray((self.ts_ns - MINUTE - _EXPIRY_HOUR * HOUR) // DAY)

    @property
    def hours_to_expiry(self) -> F64:
        """Hours to the next 08:00 UTC."""
        return 24.0 - ((self.ts_ns - _EXPIRY_HOUR * HOUR) % DAY) / HOUR

    @property
    def scale(self) -> F64:
        """Standard deviation of a minute's return, by the mean size of those of the six hours before; NaN where half
        of them are missing.
        """
        size = np.abs(self.log_return)
        known = np.isfinite(size)
        sums = np.cumsum(np.concatenate([[0.0], np.where(known, size, 0.0)]))
        counts = np.cumsum(np.concatenate([[0], known]))
        last = np.arange(size.size)
        first = np.maximum(last - _SCALE_MINUTES, 0)
        n = counts[last] - counts[first]
        mean = (sums[last] - sums[first]) / np.maximum(n, 1)
        return np.where((n >= _MIN_SHARE * _SCALE_MINUTES) & (mean > 0.0), _MEAN_ABSOLUTE * mean, np.nan)

    @property
    def missing(self) -> tuple[str, ...]:
        """Columns that this source does not have."""
        names = ("gross", "psi_stale", "forced", "imbalance", "implied_vol")
        return tuple(name for name in names if not np.isfinite(getattr(self, name)).any())

    def where(self, rows: np.typing.NDArray[np.bool_]) -> MinuteSeries:
        """The same minutes with psi where `rows` is true alone: the others are conditioned on, not tested."""
        return replace(self, psi=np.where(rows, self.psi, np.nan))

    def trend_of_days(self, days: int) -> F64:
        """Sum of the log returns of the days before each minute; NaN in the first ones."""
        sums = np.concatenate([[0.0], np.cumsum(np.nan_to_num(self.log_return))])
        window = days * (DAY // MINUTE)
        trend = np.full(self.log_return.size, np.nan)
        trend[window:] = sums[window:-1] - sums[: -window - 1]
        return trend
