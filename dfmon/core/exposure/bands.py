"""Bands of sums over a book that are linear in its positions: quantiles over the members of its ensemble."""

from __future__ import annotations

from statistics import NormalDist
from typing import Final, TypeAlias

import numpy as np

from dfmon.core.pricing.black import F64

Bounds: TypeAlias = tuple[float | None, ...]

BAND_QUANTILES: Final = (0.05, 0.95)
NORMAL_95: Final = NormalDist().inv_cdf(0.95)


def band_quantiles(values: F64) -> tuple[float, float]:
    """5 % and 95 % quantiles of the members; a sort of 128 numbers is a tenth of the cost of `np.quantile`.

    Shapes: (M,) -> two scalars. Domain: finite, M >= 1. Source: Hyndman & Fan (1996), definition 7.

    >>> band_quantiles(np.arange(21.0))
    (1.0, 19.0)
    """
    low, high = bands_of_rows(values[None])[:, 0].tolist()
    return low, high


def bands_of_rows(values: F64) -> F64:
    """`band_quantiles` of each row. Shapes: (k, M) -> (2, k). Domain, source: as there."""
    ordered, last = np.sort(values, axis=1), values.shape[1] - 1
    bands = np.empty((2, values.shape[0]))
    for band, quantile in zip(bands, BAND_QUANTILES):
        below = int(quantile * last)
        low = ordered[:, below]
        band[:] = low + (quantile * last - below) * (ordered[:, min(below + 1, last)] - low)
    return bands


def median(values: F64) -> float:
    """The middle of the values, or the mean of the two middle ones; a tenth of the cost of `np.median`.

    Shapes: (n,) -> scalar. Domain: no NaN, n >= 1.

    >>> median(np.array([3.0, 1.0, 2.0])), median(np.array([4.0, 1.0, 2.0, 3.0]))
    (2.0, 2.5)
    """
    ordered = np.sort(values)
    return 0.5 * (ordered.item((ordered.size - 1) // 2) + ordered.item(ordered.size // 2))


def bands_of_sums(
    unit: F64, position: F64, members: F64 | None, value: F64, other_sd: F64, scale: float = 1.0
) -> tuple[Bounds, Bounds]:
    """5 % and 95 % quantiles of `unit @ members`, shifted by as much as `value` differs from `unit @ position`.

    Their distance from the value is multiplied by `scale`.
    `other_sd` is the standard deviation of what is independent of the members; its variance adds to that of the band.

    Units: of `unit` times coins. Shapes: (k, n), (n,), (n, M), (k,), (k,) -> two of k.
    Domain: None each without members. Source: as `band_quantiles`.
    """
    if members is None:
        none = (None,) * value.size
        return none, none
    distance = bands_of_rows(unit @ members) - unit @ position
    low, high = value + np.array([[-1.0], [1.0]]) * np.hypot(scale * distance, NORMAL_95 * other_sd)
    return tuple(low.tolist()), tuple(high.tolist())
