"""Recent moves of spot: 15 minutes for HPP, one hour for the scenarios."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from dfmon.core.scenario.hpp_score import move_sign
from dfmon.core.scenario.rolling import RollingWindow
from dfmon.model.units import HOUR, MINUTE, SECOND, YEAR

PATH_SAMPLE_NS: Final = 15 * SECOND
PATH_ROWS: Final = 300  # 75 minutes
LOOKBACK_NS: Final = 15 * MINUTE
MIN_LOOKBACK_NS: Final = MINUTE  # no move before that
FULL_LOOKBACK_S: Final = (LOOKBACK_NS - MINUTE) / SECOND  # shown as the move of fifteen minutes from here on
MIN_HOUR_NS: Final = HOUR - MINUTE


@dataclass(frozen=True, slots=True)
class SpotMoves:
    """Log returns, and z of the hour; None after a start or a gap in the data.

    `span_s` is the actual look-back, at most 15 minutes; `sign` is 0 inside the dead band.
    """

    sign: int
    span_s: float
    ret_15m: float | None
    ret_1h: float | None
    z_1h: float | None


def empty_spot_path() -> RollingWindow:
    """Empty window of (spot, ATM volatility): USD, decimal; shape (0, 2)."""
    return RollingWindow.empty(PATH_SAMPLE_NS, PATH_ROWS, 2)


def measure_moves(path: RollingWindow, ts_ns: int, spot: float, sigma: float) -> SpotMoves:
    """Moves up to now against the samples of `path`.

    Units: log returns. Domain: NaN spot or sigma gives no move.
    """
    lookback_sample = path.first_since(ts_ns - LOOKBACK_NS)
    if lookback_sample is None or not spot > 0.0 or not sigma > 0.0 or ts_ns - lookback_sample[0] < MIN_LOOKBACK_NS:
        span_s = 0.0 if lookback_sample is None else max(ts_ns - lookback_sample[0], 0) / SECOND
        return SpotMoves(0, span_s, None, None, None)
    span = ts_ns - lookback_sample[0]
    log_return = math.log(spot / float(lookback_sample[1][0]))
    hour_sample = path.first_since(ts_ns - HOUR)
    ret_1h = z_1h = None
    if hour_sample is not None and ts_ns - hour_sample[0] >= MIN_HOUR_NS:
        ret_1h = math.log(spot / float(hour_sample[1][0]))
        z_1h = ret_1h / (sigma * math.sqrt((ts_ns - hour_sample[0]) / YEAR))
    return SpotMoves(
        sign=move_sign(log_return, sigma, span / YEAR),
        span_s=span / SECOND,
        ret_15m=log_return,
        ret_1h=ret_1h,
        z_1h=z_1h,
    )
