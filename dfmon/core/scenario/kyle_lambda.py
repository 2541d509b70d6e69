"""Kyle's lambda: the return per signed taker dollar, by a slope that outliers cannot move."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from dfmon.model.frames import F64

_Z_90: Final = 1.6448536269514722  # 95 % point of the normal distribution


@dataclass(frozen=True, slots=True)
class KyleLambda:
    """Log return per USD of signed taker volume, its 5-95 % band, and the minutes that it rests on."""

    value: float
    lo: float
    hi: float
    minutes: int


def theil_sen(x: F64, y: F64) -> tuple[float, float, float] | None:
    """Median of the slopes between all pairs of points, and its 5-95 % interval by Kendall's statistic.

    Up to 29 % of the points may be arbitrarily wrong without effect.

    Units: those of y over x. Shapes: (n,), (n,). Domain: None with under two distinct x.
    Source: Sen (1968), "Estimates of the regression coefficient based on Kendall's tau".
    """
    first, second = np.triu_indices(x.size, 1)
    dx, dy = x[second] - x[first], y[second] - y[first]
    distinct = dx != 0.0
    slopes = np.sort(dy[distinct] / dx[distinct])
    if not slopes.size:
        return None
    n = x.size
    variance = (n * (n - 1) * (2 * n + 5) - _tie_correction(x) - _tie_correction(y)) / 18.0
    half_width = _Z_90 * math.sqrt(max(variance, 0.0))
    lower = max(round((slopes.size - half_width) / 2.0) - 1, 0)
    upper = min(round((slopes.size + half_width) / 2.0), slopes.size - 1)
    return float(np.median(slopes)), float(slopes[lower]), float(slopes[upper])


def _tie_correction(values: F64) -> float:
    counts = np.unique(values, return_counts=True)[1].astype(float)
    return float((counts * (counts - 1.0) * (2.0 * counts + 5.0)).sum())


def kyle_lambda(returns: F64, signed_usd: F64) -> KyleLambda | None:
    """Lambda of these minutes.

    Units: log returns; USD, + = takers bought. Shapes: (n,), (n,). Domain: None where all flows are equal.
    """
    fit = theil_sen(signed_usd, returns)
    return None if fit is None else KyleLambda(*fit, minutes=int(returns.size))
