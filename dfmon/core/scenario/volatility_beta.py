"""Beta of volatility to spot: the change of fixed-strike volatility that goes with a move, by tenor.

A regression without intercept over quarters of an hour, with weights that fade, shrunk to a prior. It is unstable, and
its band is published with it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from dfmon.core.exposure.outlook import BetaEstimate
from dfmon.core.exposure.volatility_move import TENORS, VolatilityMove
from dfmon.core.scenario.market_moves import LOOKBACK_NS
from dfmon.model.frames import F64
from dfmon.model.units import DAY, SECOND

PRIORS: Final = {"BTC": -0.24, "ETH": -0.18}  # points per +1 %
OTHER_PRIOR: Final = -0.2
PRIOR_SD: Final = 0.2
NOISE_SD: Final = 0.35  # of a quarter's change that is not explained by spot, points; worth NOISE_PAIRS measured ones
NOISE_PAIRS: Final = 20.0
HALF_LIFE_NS: Final = 5 * DAY


@dataclass(frozen=True, slots=True)
class VolatilityBeta:
    """Sums over quarters of an hour by tenor, (TENORS, 4): weight, and of x^2, x y, y^2; x in %, y in points.

    `taken_ns` is the time of the newest one.
    """

    taken_ns: int
    sums: F64

    @classmethod
    def initial(cls) -> VolatilityBeta:
        return cls(0, np.zeros((TENORS, 4)))

    def push(self, ts_ns: int, move: VolatilityMove | None) -> VolatilityBeta:
        """The sums with one more quarter, once a quarter: the quarters do not overlap.

        Domain: without a move over a full look-back nothing is added.
        """
        if move is None or move.span_s < LOOKBACK_NS / SECOND or ts_ns - self.taken_ns < LOOKBACK_NS:
            return self
        fade = 0.5 ** ((ts_ns - self.taken_ns) / HALF_LIFE_NS) if self.taken_ns else 1.0
        x, y = 100.0 * move.log_return, move.by_tenor
        known = np.isfinite(y)
        added = np.where(known, [np.ones(TENORS), np.full(TENORS, x * x), x * y, y * y], 0.0).T
        return replace(self, taken_ns=ts_ns, sums=fade * self.sums + added)

    def estimate(self, underlying: str) -> BetaEstimate:
        """Posterior of the beta under a normal prior, with the noise estimated from the residuals and its own prior.

        Units: points per +1 %. Source: conjugate normal regression.
        """
        weight, xx, xy, yy = self.sums.T
        prior = PRIORS.get(underlying, OTHER_PRIOR)
        squares = np.maximum(yy - 2.0 * prior * xy + prior * prior * xx, 0.0)
        noise = (NOISE_PAIRS * NOISE_SD**2 + squares) / (NOISE_PAIRS + weight)
        precision = 1.0 / PRIOR_SD**2 + xx / noise
        return BetaEstimate((prior / PRIOR_SD**2 + xy / noise) / precision, 1.0 / np.sqrt(precision), weight)
