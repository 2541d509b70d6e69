"""Hedges of the true dealer book that move the price: r(t) = e(t) - psi(t-1) r(t-1) by minutes, psi = NGI over depth.

Off in a market without `gain`: its dealers' hedges do not reach the price, which makes it a clean null.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from dfmon.sim.market.surface import FloatArray

MAX_GAIN: Final = 100.0
PSI_LIMIT: Final = 0.8  # of gain times psi; beyond it the market would not be stable


def check_gain(gain: float) -> None:
    """Raises ValueError for a share that is none."""
    if not 0.0 <= gain <= MAX_GAIN:
        raise ValueError(f"feedback: found {gain:g}, allowed are 0 to {MAX_GAIN:g}, the share of the hedging that acts")


class DealerFeedback:
    """The push of the minute under way: log return per step, from the hedges of the minute before."""

    def __init__(self, gain: float, steps_a_minute: float) -> None:
        check_gain(gain)
        self.gain, self._steps = gain, steps_a_minute
        self._price = math.nan
        self.push = 0.0

    def end_minute(self, price: float, psi: float) -> None:
        """Takes the price and psi at the end of a minute."""
        if not math.isnan(self._price):
            response = min(max(self.gain * psi, -PSI_LIMIT), PSI_LIMIT)
            self.push = -response * math.log(price / self._price) / self._steps
        self._price = price


def true_psi(position: FloatArray, gamma: FloatArray, forward: FloatArray, depth_usd: float) -> float:
    """NGI of the dealers' true position over the USD that move the price 1 %."""
    return float(np.sum(position * gamma * forward**2) * 0.01 / depth_usd)
