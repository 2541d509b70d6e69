"""The gamma profile by a recurrence, net gamma at single places, and the polish of its zeros."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numba import float64, types

from dfmon.core.pricing.black import F64
from dfmon.core.pricing.compiled.primitives import (
    COLUMN_TYPE,
    ROW_TYPE,
    call_with_contiguous,
    exp,
    inline,
    loop,
    sum_inline,
    wide_vectors,
)

_ITERATIONS: Final = 100
_LANES: Final = 256  # options whose bumps are carried along together: their five columns stay in the first-level cache
_CUTOFF_SIGMAS: Final = 9.5  # so many deviations away, what is left of a bump is 3e-20 of its height: nothing
_STRIDE: Final = 16.0  # deviations from one true exponential to the next
_MAX_STRIDE_NODES: Final = 72  # nodes likewise: the rounding of the products grows with the square of their number
_NARROW_SCALE: Final = 250.0  # bumps with more deviations to a unit of log spot feel the rounding of a node's place
_LATTICE_TOLERANCE: Final = 1e-14  # nodes so near to a place of the lattice stand on it


@inline
def _start_bumps(lanes: int, a: F64, b: F64, weight: F64, y: float, step: float, bump: F64, ratio: F64) -> int:
    """Bumps at y, and what takes each to the next node; how many of them are any there."""
    wide_vectors()
    active = 0
    for k in range(lanes):
        d, width = a[k] * y + b[k], a[k] * step
        value, next_ratio = weight[k] * exp(-0.5 * d * d), exp(-(d + 0.5 * width) * width)
        in_reach = (d < _CUTOFF_SIGMAS) & (d > -_CUTOFF_SIGMAS - _STRIDE)
        active += in_reach
        bump[k] = value if in_reach else 0.0
        ratio[k] = next_ratio if in_reach else 0.0
    return active


@sum_inline
def _four_nodes(lanes: int, bump: F64, ratio: F64, square: F64) -> tuple[float, float, float, float]:
    """Sums of the bumps on this node and the three after it; leaves bumps and ratios at the next one."""
    wide_vectors()
    first = second = third = fourth = 0.0
    for k in range(lanes):
        g, r, q = bump[k], ratio[k], square[k]
        first += g
        g, r = g * r, r * q
        second += g
        g, r = g * r, r * q
        third += g
        g, r = g * r, r * q
        fourth += g
        bump[k], ratio[k] = g * r, r * q
    return first, second, third, fourth


@inline
def _on_lattice(a: F64, b: F64, weight: F64, first: float, step: float, out: F64) -> None:
    """Sum the bumps on nodes at first + j step; those sharper than _NARROW_SCALE are left out.

    At equal steps a Gaussian obeys g <- g r, r <- r q with a constant q: two products instead of an exponential.
    """
    wide_vectors()
    nodes = out.shape[0] - 3
    rows = np.empty((6, _LANES + 8))  # no two of them a page apart: see closed_forms.aligned
    scales, offsets, weights, bump, ratio, square = rows[0], rows[1], rows[2], rows[3], rows[4], rows[5]
    for start in range(0, a.shape[0], _LANES):
        max_scale, lanes = 0.0, min(_LANES, (a.shape[0] - start + 15) // 16 * 16)
        for k in range(lanes):
            i = start + k
            included = i < a.shape[0] and a[i] <= _NARROW_SCALE
            scales[k], offsets[k], weights[k] = (
                (a[i], b[i], weight[i]) if included else (0.0, 2.0 * _CUTOFF_SIGMAS, 0.0)
            )
            max_scale = max(max_scale, scales[k])
        for k in range(lanes):
            square[k] = exp(-(scales[k] * step) * (scales[k] * step))
        max_stride = max(4.0, min(_STRIDE / (max_scale * step + 1e-9), _MAX_STRIDE_NODES))
        stride = (math.ceil(nodes / math.ceil(nodes / max_stride)) + 3) // 4 * 4  # as few starts, as short ways
        for base in range(0, nodes, stride):
            if not _start_bumps(lanes, scales, offsets, weights, first + base * step, step, bump, ratio):
                continue
            for j in range(base, min(base + stride, nodes), 4):
                first_sum, second_sum, third_sum, fourth_sum = _four_nodes(lanes, bump, ratio, square)
                out[j] += first_sum
                out[j + 1] += second_sum
                out[j + 2] += third_sum
                out[j + 3] += fourth_sum


@sum_inline
def _sum_at_node(a: F64, b: F64, weight: F64, y: float, min_scale: float) -> float:
    """The sum at one place, of the bumps that are sharper than `min_scale`."""
    wide_vectors()
    total = 0.0
    for i in range(a.shape[0]):
        d = a[i] * y + b[i]
        bump = weight[i] * exp(-0.5 * d * d)
        total += bump if a[i] > min_scale else 0.0
    return total


@inline
def _sum_on_nodes(a: F64, b: F64, weight: F64, y: F64, lattice_size: int, step: float, out: F64) -> None:
    """By the recurrence on the nodes that stand on a lattice of so many places, one by one on those between."""
    lattice = np.zeros(lattice_size + 3)
    _on_lattice(a, b, weight, y[0], step, lattice)
    has_narrow = False
    for i in range(a.shape[0]):
        has_narrow |= a[i] > _NARROW_SCALE
    for j in range(y.shape[0]):
        lattice_index = round((y[j] - y[0]) / step) if lattice_size else 0
        if lattice_size and abs(y[0] + lattice_index * step - y[j]) < _LATTICE_TOLERANCE:
            out[j] = lattice[lattice_index] + (_sum_at_node(a, b, weight, y[j], _NARROW_SCALE) if has_narrow else 0.0)
        else:
            out[j] = _sum_at_node(a, b, weight, y[j], 0.0)


@loop(types.void(*[COLUMN_TYPE] * 5, ROW_TYPE, ROW_TYPE))
def long_short_sums(a: F64, b: F64, height: F64, exposure: F64, y: F64, long: F64, short: F64) -> None:
    """Sums over the options held long and, without their sign, over those held short."""
    nodes = y.shape[0]
    step, lattice_size = 1.0, 0
    if nodes > 8:
        span, median_step = y[-1] - y[0], np.median(y[1:] - y[:-1])
        if median_step > 0.0 and span < 4 * nodes * median_step:
            lattice_size = round(span / median_step) + 1
            step = span / (lattice_size - 1)
    bumps, next_long, next_short = np.empty((3, a.shape[0])), 0, a.shape[0]
    for i in range(a.shape[0]):
        weight = height[i] * exposure[i]
        slot = next_long if weight > 0.0 else next_short - 1
        bumps[0, slot], bumps[1, slot], bumps[2, slot] = a[i], b[i], abs(weight)
        next_long += weight > 0.0
        next_short -= weight <= 0.0
    _sum_on_nodes(bumps[0, :next_long], bumps[1, :next_long], bumps[2, :next_long], y, lattice_size, step, long)
    _sum_on_nodes(bumps[0, next_long:], bumps[1, next_long:], bumps[2, next_long:], y, lattice_size, step, short)


@sum_inline
def _moments(a: F64, b: F64, height: F64, exposure: F64, y: float) -> tuple[float, float, float]:
    wide_vectors()
    value = slope = curvature = 0.0
    for i in range(a.shape[0]):
        d = a[i] * y + b[i]
        bump = exposure[i] * height[i] * exp(-0.5 * d * d)
        scaled_bump = a[i] * bump
        value += bump
        slope -= d * scaled_bump
        curvature += (d * d - 1.0) * (a[i] * scaled_bump)
    return value, slope, curvature


@loop(types.void(*[COLUMN_TYPE] * 5, ROW_TYPE, ROW_TYPE, ROW_TYPE))
def _gamma_derivatives(
    a: F64, b: F64, height: F64, exposure: F64, y: F64, value: F64, slope: F64, curvature: F64
) -> None:
    for j in range(y.shape[0]):
        value[j], slope[j], curvature[j] = _moments(a, b, height, exposure, y[j])


@loop(types.void(*[COLUMN_TYPE] * 8, float64, ROW_TYPE, ROW_TYPE))
def _polish(
    a: F64, b: F64, height: F64, exposure: F64, low: F64, high: F64, net_low: F64, net_high: F64, tolerance: float,
    zeros: F64, slopes: F64,
) -> None:  # fmt: skip
    for j in range(low.shape[0]):
        lower, upper, slope = low[j], high[j], 0.0
        y = lower + (upper - lower) * (net_low[j] / (net_low[j] - net_high[j]))
        for _ in range(_ITERATIONS):
            value, slope, curvature = _moments(a, b, height, exposure, y)
            newton = value / slope
            halley_term = 0.5 * newton * curvature / slope
            if (value < 0.0) == (net_low[j] < 0.0):
                lower = y
            else:
                upper = y
            step = newton / (1.0 - halley_term) if abs(halley_term) < 0.5 else newton
            target = y - step
            inside = lower <= target <= upper
            if not inside:
                target = 0.5 * (lower + upper)
            slope += curvature * (target - y)
            y = target
            if (inside and abs(step) * min(halley_term * halley_term, 1.0) <= tolerance) or upper - lower <= tolerance:
                break
        zeros[j], slopes[j] = y, slope


def profile(a: F64, b: F64, height: F64, y: F64, exposure: F64) -> F64:
    """Sums of exposure x height x exp(-(a y + b)^2 / 2) over the options.

    Units: of exposure x height.
    Shapes: a, b, height (n,), y (m,), exposure (n, k) -> (k, m).
    Domain: finite; a > 0; fastest where y ascends in equal steps, but for a few nodes between.
    Source: gamma_profile; recurrence of a Gaussian at equal steps.
    """
    columns = np.ascontiguousarray(exposure.T)
    sums, (long, short) = np.empty((columns.shape[0], y.shape[0])), np.empty((2, y.shape[0]))
    for i, (book, total) in enumerate(zip(columns, sums)):
        if i == 1 and np.array_equal(book, np.abs(columns[0])):
            np.add(long, short, total)  # the gross comes with the net
        else:
            call_with_contiguous(long_short_sums, (a, b, height, book, y), long, short)
            np.subtract(long, short, total)
    return sums


def gamma_derivatives(a: F64, b: F64, height: F64, y: F64, exposure: F64) -> tuple[F64, F64, F64]:
    """Net gamma at some places with its first two derivatives.

    Units, source: as gamma_profile.GammaDerivatives.
    Shapes: a, b, height, exposure (n,), y (r,) -> three (r,).
    Domain: finite.
    """
    value, slope, curvature = np.empty((3, y.shape[0]))
    call_with_contiguous(_gamma_derivatives, (a, b, height, exposure, y), value, slope, curvature)
    return value, slope, curvature


def polish(
    a: F64, b: F64, height: F64, exposure: F64, low: F64, high: F64, net_low: F64, net_high: F64, tolerance: float
) -> tuple[F64, F64]:
    """Zeros of net gamma inside their brackets, and the slopes there; the first guess is that of the chord.

    Units, source: as roots.polish.
    Shapes: a, b, height, exposure (n,), the others (r,) -> (r,), (r,).
    Domain: as roots.polish.
    """
    zeros, slopes = np.empty((2, low.shape[0]))
    columns = a, b, height, exposure, low, high, net_low, net_high
    call_with_contiguous(_polish, columns, tolerance, zeros, slopes)
    return zeros, slopes
