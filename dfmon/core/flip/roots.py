"""Zeros of net gamma inside their brackets: a first guess by interpolation, then a polish on all options."""

from __future__ import annotations

import math
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dfmon.core.flip.gamma_profile import GammaBumps, StickyStrike
from dfmon.core.pricing import compiled
from dfmon.core.pricing.black import F64

Index: TypeAlias = NDArray[np.intp]

_ITERATIONS: Final = 100
_ROUNDING: Final = 1e-16
"""Smallest step, in ln S."""


def linear_zero(low: F64, high: F64, net_low: F64, net_high: F64) -> F64:
    """Zero of the chord.

    Units: of the ends. Shapes: (r,) each. Domain: values of opposite signs. Source: regula falsi.
    """
    return np.asarray(low + (high - low) * (net_low / (net_low - net_high)))


def cubic_zero(y: F64, net: F64, low: Index, high: Index) -> F64:
    """Zero of y as a cubic of net gamma, through the ends of each bracket and one node on either side.

    Units: of y. Shapes: (m,), (m,), (r,), (r,) -> (r,).
    Domain: ends of opposite signs. Falls back to the zero of the chord where y is not a function of net gamma.
    Source: inverse interpolation: Press et al., Numerical Recipes (2007), section 9.3.
    """
    zeros = []
    for left, right in zip(low.tolist(), high.tolist()):  # a handful of rows: scalars are faster than arrays
        nodes = [node for node in (left - 1, left, right, right + 1) if 0 <= node < y.shape[0]]
        zeros.append(_neville_zero([y.item(node) for node in nodes], [net.item(node) for node in nodes]))
    zero = np.array(zeros)
    bracketed = (zero > y[low]) & (zero < y[high])
    return zero if bracketed.all() else np.where(bracketed, zero, linear_zero(y[low], y[high], net[low], net[high]))


def _neville_zero(points: list[float], values: list[float]) -> float:
    """Value at 0 of the polynomial through (values, places); NaN where a value occurs twice."""
    if len(set(values)) < len(values):
        return math.nan
    for order in range(1, len(values)):  # Neville's recursion
        ends = zip(values, values[order:], points, points[1:])
        points = [(right * point - left * next_point) / (right - left) for left, right, point, next_point in ends]
    return points[0]


def zeros_between(book: GammaBumps, exposure: F64, y: F64, net: F64, low: Index, high: Index) -> tuple[F64, F64]:
    """Zeros of one book between pairs of nodes, exact to rounding, and the slopes there.

    Units, source: as `polish`. Shapes: exposure (n,); y, net (m,); low, high (r,) -> (r,), (r,).
    Domain: net of opposite signs at low and high.
    """
    ends, kernels = (y[low], y[high], net[low], net[high]), compiled.active_kernels()
    if kernels is not None and isinstance(
        book, StickyStrike
    ):  # one more compiled step is cheaper than a better first guess
        return kernels.polish(book.a, book.b, book.height, exposure, *ends, _ROUNDING)
    return polish(book, exposure, *ends, start=cubic_zero(y, net, low, high))


@np.errstate(all="ignore")
def polish(
    book: GammaBumps,
    exposure: F64,
    low: F64,
    high: F64,
    net_low: F64,
    net_high: F64,
    tolerance: float = _ROUNDING,
    start: F64 | None = None,
) -> tuple[F64, F64]:
    """Polishes all zeros inside their brackets at once; returns them with the slopes there.

    Takes Halley's step where it stays inside the bracket (Newton's where the curvature is unknown), else bisects. A
    root is done when the error expected after the step, cubic in it, is below the tolerance or below rounding.

    Units: brackets and zeros in y = ln(S'/S); net gamma in USD per 1 %; slope per unit of y.
    Shapes: exposure (n,) or (n, r); brackets (r,) -> (r,), (r,). Domain: net_low and net_high of opposite signs.
    Source: Press et al., Numerical Recipes (2007), section 9.4; third-order step: Halley (1694).
    """
    rising = net_low < 0.0
    y = linear_zero(low, high, net_low, net_high) if start is None else start
    for _ in range(_ITERATIONS):
        value, slope, curvature = book.gamma_derivatives(y, exposure)
        newton = value / slope
        halley_term = 0.5 * newton * curvature / slope
        halley = newton / (1.0 - halley_term)
        target = y - halley
        converged = (target >= low) & (target <= high) & (np.abs(halley) * halley_term * halley_term <= tolerance)
        if converged.all():
            return target, slope - curvature * halley
        same_side_as_low = (value < 0.0) == rising
        low, high = np.where(same_side_as_low, y, low), np.where(same_side_as_low, high, y)
        step = np.where(np.abs(halley_term) < 0.5, halley, newton)
        target = y - step
        inside = (target >= low) & (target <= high)
        expected_error = np.abs(step) * np.fmin(halley_term * halley_term, 1.0)
        target = np.where(inside, target, 0.5 * (low + high))
        converged = (inside & (expected_error <= tolerance)) | (high - low <= tolerance)
        slope = slope + np.where(np.isnan(curvature), 0.0, curvature * (target - y))
        y = target
        if converged.all():
            break
    return np.asarray(y), np.asarray(slope)
