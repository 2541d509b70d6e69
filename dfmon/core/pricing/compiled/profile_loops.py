"""The gamma profile by a recurrence, net gamma at single places, and the polish of its zeros."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numba import float64, types

from dfmon.core.pricing.black import F64
from dfmon.core.pricing.compiled.parts import COLUMN, ROW, exp, inline, loop, on_contiguous, summed

_ITERATIONS: Final = 100
_LANES: Final = 256  # options whose bumps are carried along together: their five columns stay in the first-level cache
_FAR: Final = 9.5  # so many deviations away, what is left of a bump is 3e-20 of its height: nothing
_STRIDE: Final = 16.0  # deviations from one true exponential to the next
_LONGEST: Final = 72  # nodes likewise: the rounding of the products grows with the square of their number
_SHARP: Final = 250.0  # bumps with more deviations to a unit of log spot feel the rounding of a node's place
_SAME: Final = 1e-14  # nodes so near to a place of the lattice stand on it


@inline
def _begin(lanes: int, a: F64, b: F64, weight: F64, y: float, step: float, bump: F64, ratio: F64) -> int:
    """Bumps at y, and what takes each to the next node; how many of them are any there."""
    seen = 0
    for k in range(lanes):
        d, width = a[k] * y + b[k], a[k] * step
        here, onward = weight[k] * exp(-0.5 * d * d), exp(-(d + 0.5 * width) * width)
        near = (d < _FAR) & (d > -_FAR - _STRIDE)
        seen += near
        bump[k] = here if near else 0.0
        ratio[k] = onward if near else 0.0
    return seen


@summed
def _four_nodes(lanes: int, bump: F64, ratio: F64, square: F64) -> tuple[float, float, float, float]:
    """Sums of the bumps on this node and the three after it; leaves bumps and ratios at the next one."""
    one = two = three = four = 0.0
    for k in range(lanes):
        g, r, q = bump[k], ratio[k], square[k]
        one += g
        g, r = g * r, r * q
        two += g
        g, r = g * r, r * q
        three += g
        g, r = g * r, r * q
        four += g
        bump[k], ratio[k] = g * r, r * q
    return one, two, three, four


@inline
def _on_lattice(a: F64, b: F64, weight: F64, first: float, step: float, out: F64) -> None:
    """Sum the bumps on nodes at first + j step; those sharper than _SHARP are left out.

    At equal steps a Gaussian obeys g <- g r, r <- r q with a constant q: two products instead of an exponential.
    """
    nodes = out.shape[0] - 3
    rows = np.empty((6, _LANES + 8))  # no two of them a page apart: see closed_forms.aligned
    wide, at, high, bump, ratio, square = rows[0], rows[1], rows[2], rows[3], rows[4], rows[5]
    for start in range(0, a.shape[0], _LANES):
        sharpest, lanes = 0.0, min(_LANES, (a.shape[0] - start + 15) // 16 * 16)
        for k in range(lanes):
            i = start + k
            there = i < a.shape[0] and a[i] <= _SHARP
            wide[k], at[k], high[k] = (a[i], b[i], weight[i]) if there else (0.0, 2.0 * _FAR, 0.0)
            sharpest = max(sharpest, wide[k])
        for k in range(lanes):
            square[k] = exp(-(wide[k] * step) * (wide[k] * step))
        most = max(4.0, min(_STRIDE / (sharpest * step + 1e-9), _LONGEST))
        stride = (math.ceil(nodes / math.ceil(nodes / most)) + 3) // 4 * 4  # as few starts, as short ways
        for base in range(0, nodes, stride):
            if not _begin(lanes, wide, at, high, first + base * step, step, bump, ratio):
                continue
            for j in range(base, min(base + stride, nodes), 4):
                one, two, three, four = _four_nodes(lanes, bump, ratio, square)
                out[j] += one
                out[j + 1] += two
                out[j + 2] += three
                out[j + 3] += four


@summed
def _at_node(a: F64, b: F64, weight: F64, y: float, least: float) -> float:
    """The sum at one place, of the bumps that are sharper than `least`."""
    total = 0.0
    for i in range(a.shape[0]):
        d = a[i] * y + b[i]
        bump = weight[i] * exp(-0.5 * d * d)
        total += bump if a[i] > least else 0.0
    return total


@inline
def _sum(a: F64, b: F64, weight: F64, y: F64, places: int, step: float, out: F64) -> None:
    """By the recurrence on the nodes that stand on a lattice of so many places, one by one on those between."""
    lattice = np.zeros(places + 3)
    _on_lattice(a, b, weight, y[0], step, lattice)
    sharp = False
    for i in range(a.shape[0]):
        sharp |= a[i] > _SHARP
    for j in range(y.shape[0]):
        place = round((y[j] - y[0]) / step) if places else 0
        if places and abs(y[0] + place * step - y[j]) < _SAME:
            out[j] = lattice[place] + (_at_node(a, b, weight, y[j], _SHARP) if sharp else 0.0)
        else:
            out[j] = _at_node(a, b, weight, y[j], 0.0)


@loop(types.void(*[COLUMN] * 5, ROW, ROW))
def both_sides(a: F64, b: F64, height: F64, exposure: F64, y: F64, long: F64, short: F64) -> None:
    """Sums over the options held long and, without their sign, over those held short."""
    nodes = y.shape[0]
    step, places = 1.0, 0
    if nodes > 8:
        span, usual = y[-1] - y[0], np.median(y[1:] - y[:-1])
        if usual > 0.0 and span < 4 * nodes * usual:
            places = round(span / usual) + 1
            step = span / (places - 1)
    few, longs, shorts = np.empty((3, a.shape[0])), 0, a.shape[0]
    for i in range(a.shape[0]):
        held = height[i] * exposure[i]
        at = longs if held > 0.0 else shorts - 1
        few[0, at], few[1, at], few[2, at] = a[i], b[i], abs(held)
        longs += held > 0.0
        shorts -= held <= 0.0
    _sum(few[0, :longs], few[1, :longs], few[2, :longs], y, places, step, long)
    _sum(few[0, longs:], few[1, longs:], few[2, longs:], y, places, step, short)


@summed
def _moments(a: F64, b: F64, height: F64, exposure: F64, y: float) -> tuple[float, float, float]:
    value = slope = curvature = 0.0
    for i in range(a.shape[0]):
        d = a[i] * y + b[i]
        bump = exposure[i] * height[i] * exp(-0.5 * d * d)
        tilt = a[i] * bump
        value += bump
        slope -= d * tilt
        curvature += (d * d - 1.0) * (a[i] * tilt)
    return value, slope, curvature


@loop(types.void(*[COLUMN] * 5, ROW, ROW, ROW))
def _local(a: F64, b: F64, height: F64, exposure: F64, y: F64, value: F64, slope: F64, curvature: F64) -> None:
    for j in range(y.shape[0]):
        value[j], slope[j], curvature[j] = _moments(a, b, height, exposure, y[j])


@loop(types.void(*[COLUMN] * 8, float64, ROW, ROW))
def _polish(
    a: F64, b: F64, height: F64, exposure: F64, low: F64, high: F64, net_low: F64, net_high: F64, tolerance: float,
    zeros: F64, slopes: F64,
) -> None:  # fmt: skip
    for j in range(low.shape[0]):
        under, over, slope = low[j], high[j], 0.0
        y = under + (over - under) * (net_low[j] / (net_low[j] - net_high[j]))
        for _ in range(_ITERATIONS):
            value, slope, curvature = _moments(a, b, height, exposure, y)
            newton = value / slope
            bend = 0.5 * newton * curvature / slope
            if (value < 0.0) == (net_low[j] < 0.0):
                under = y
            else:
                over = y
            step = newton / (1.0 - bend) if abs(bend) < 0.5 else newton
            target = y - step
            inside = under <= target <= over
            if not inside:
                target = 0.5 * (under + over)
            slope += curvature * (target - y)
            y = target
            if (inside and abs(step) * min(bend * bend, 1.0) <= tolerance) or over - under <= tolerance:
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
    for i, (held, total) in enumerate(zip(columns, sums)):
        if i == 1 and np.array_equal(held, np.abs(columns[0])):
            np.add(long, short, total)  # the gross comes with the net
        else:
            on_contiguous(both_sides, (a, b, height, held, y), long, short)
            np.subtract(long, short, total)
    return sums


def local(a: F64, b: F64, height: F64, y: F64, exposure: F64) -> tuple[F64, F64, F64]:
    """Net gamma at some places with its first two derivatives.

    Units, source: as gamma_profile.Local.
    Shapes: a, b, height, exposure (n,), y (r,) -> three (r,).
    Domain: finite.
    """
    value, slope, curvature = np.empty((3, y.shape[0]))
    on_contiguous(_local, (a, b, height, exposure, y), value, slope, curvature)
    return value, slope, curvature


def polish(
    a: F64, b: F64, height: F64, exposure: F64, low: F64, high: F64, net_low: F64, net_high: F64, tolerance: float
) -> tuple[F64, F64]:
    """Zeros of net gamma inside their brackets, and the slopes there; the first guess is that of the chord.

    Units, source: as flip_roots.polish.
    Shapes: a, b, height, exposure (n,), the others (r,) -> (r,), (r,).
    Domain: as flip_roots.polish.
    """
    zeros, slopes = np.empty((2, low.shape[0]))
    columns = a, b, height, exposure, low, high, net_low, net_high
    on_contiguous(_polish, columns, tolerance, zeros, slopes)
    return zeros, slopes
