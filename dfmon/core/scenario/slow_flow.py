"""The slow flow, charm and vanna in USD an hour, and the measured hedge flow, over the last hour of one book."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from dfmon.core.scenario.dimensions import PointsPerHour, UsdPerHour, UsdPerPoint
from dfmon.core.scenario.rolling import RollingWindow
from dfmon.model.units import HOUR, MINUTE

HOUR_MINUTES: Final = HOUR // MINUTE
MIN_MINUTES: Final = 48  # of the hour: with fewer the share of one sign is not known
QUARTER_MINUTES: Final = 15


@dataclass(frozen=True, slots=True)
class HourOfFlow:
    """`slow_share` is the share of the hour in which the slow flow had the sign `slow_sign`.

    `hedge_flow` is the measured hedge trade of the hour, USD, + = bought. None while the hour is not covered.
    """

    slow_sign: int
    slow_share: float | None
    hedge_flow: float | None


def empty_flow_window() -> RollingWindow:
    """Empty window of (slow flow in USD an hour, hedge flow of 15 minutes in USD), one row a minute."""
    return RollingWindow.empty(MINUTE, HOUR_MINUTES + 1, 2)


def slow_flow(vss: UsdPerPoint, chl_1h: UsdPerHour, points_1h: float | None) -> UsdPerHour | None:
    """Delta that dealers gain in an hour at the pace of the last one; None without a pace of volatility."""
    return None if points_1h is None else chl_1h + vss.per_hour(PointsPerHour(points_1h))


def measure_hour(window: RollingWindow, ts_ns: int) -> HourOfFlow:
    """Sums up the hour before `ts_ns`, NaN in a row where the number was not known.

    The hedge flow of the hour is that of its four quarters, each measured at its end.
    """
    rows = window.since(ts_ns - HOUR + MINUTE)[-HOUR_MINUTES:]
    signs = np.sign(rows[:, 0])
    minutes = int(np.count_nonzero(np.isfinite(signs)))
    up, down = int(np.count_nonzero(signs > 0.0)), int(np.count_nonzero(signs < 0.0))
    sign = 1 if up > down else -1 if down > up else 0
    share = max(up, down) / minutes if minutes >= MIN_MINUTES else None
    return HourOfFlow(sign, share, _hour_of_hedges(window, ts_ns))


def _hour_of_hedges(window: RollingWindow, ts_ns: int) -> float | None:
    total = 0.0
    for quarter in range(4):
        end = int(np.searchsorted(window.times, ts_ns - quarter * QUARTER_MINUTES * MINUTE, side="right")) - 1
        if end < 0 or ts_ns - quarter * QUARTER_MINUTES * MINUTE - int(window.times[end]) >= 2 * MINUTE:
            return None
        total += float(window.values[end, 1])
    return total if np.isfinite(total) else None
