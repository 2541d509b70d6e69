"""Bands of sums over a book that are linear in its positions: quantiles over the members of its ensemble."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Final

import numpy as np

from dfmon.core.pricing.black import F64

BAND_QUANTILES: Final = (0.05, 0.95)
NORMAL_95: Final = NormalDist().inv_cdf(0.95)


def band_of_sum(
    unit: F64, position: F64, members: F64 | None, value: float | None = None, other_sd: float = 0.0
) -> tuple[float | None, float | None]:
    """5 % and 95 % quantiles of `unit @ members`, shifted by as much as `value` differs from `unit @ position`.

    `other_sd` is the standard deviation of what is independent of the members; its variance adds to that of the band.

    Units: of `unit` times coins. Shapes: (n,), (n,), (n, M). Domain: None without members.
    Source: Hyndman & Fan (1996), definition 7.
    """
    if members is None:
        return None, None
    centre = float(unit @ position)
    value = centre if value is None else value
    low, high = (np.quantile(unit @ members, BAND_QUANTILES) + (value - centre)).tolist()
    if not other_sd:
        return low, high
    width = NORMAL_95 * other_sd
    return value - math.hypot(value - low, width), value + math.hypot(high - value, width)
