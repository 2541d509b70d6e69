"""Change of volatility at fixed strikes, weighted by vega: what a change of volatility means wherever one is needed.

The change of an at-the-money volatility is not that: as spot moves along a skewed smile it changes although every
option keeps its own, and as an expiry settles it jumps to the next one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dfmon.core.exposure.bands import median
from dfmon.core.pricing.black import F64
from dfmon.core.pricing.settlement import DAY, WINDOW

TENOR_BOUNDS: Final = tuple(days * DAY for days in (2.0, 14.0, 60.0))
"""Time to expiry in years at which one tenor ends and the next begins."""
TENORS: Final = len(TENOR_BOUNDS) + 1


@dataclass(frozen=True, slots=True)
class VolatilityMove:
    """Changes over `span_s`, the same under every position model: `points` of all options, `by_tenor` (TENORS,).

    Points; NaN for a tenor without options. `log_return` is the median move of the forwards.
    """

    span_s: float
    points: float
    by_tenor: F64
    log_return: float


def tenor_of(tau: F64) -> NDArray[np.intp]:
    """The tenor of each option, 0 for the nearest. Units: years."""
    return np.searchsorted(TENOR_BOUNDS, tau, side="right")


def volatility_move(
    before: tuple[F64, F64], now: tuple[F64, F64], tau: F64, weight: F64, span_s: float
) -> VolatilityMove | None:
    """The change from one (forward, volatility) to another; None where no option has both.

    Options inside their settlement window are left out: their volatility prices nothing any more.

    Units: USD, decimal, years; `weight` is vega times open interest. Shapes: (n,) each.
    Domain: NaN for an option whose state is not known.
    """
    (forward_before, sigma_before), (forward, sigma) = before, now
    change, moves = 100.0 * (sigma - sigma_before), np.log(forward / forward_before)
    known = np.isfinite(change) & np.isfinite(moves) & (tau >= WINDOW) & (weight > 0.0)
    if not known.any():
        return None
    tenor, vega = tenor_of(tau[known]), weight[known]
    totals = np.bincount(tenor, vega, TENORS)
    sums = np.bincount(tenor, vega * change[known], TENORS)
    by_tenor = np.divide(sums, totals, out=np.full(TENORS, np.nan), where=totals > 0.0)
    return VolatilityMove(span_s, float(sums.sum() / totals.sum()), by_tenor, median(moves[known]))
