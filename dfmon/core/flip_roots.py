"""Zeros of a function known on ascending nodes: brackets, pairs of zeros between two nodes, and the polish.

Comes between gamma_profile (the values) and gamma_flip (which chooses the nodes and names the zeros).
"""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dfmon.core.black import F64
from dfmon.core.gamma_profile import Book

Index: TypeAlias = NDArray[np.intp]

NOISE: Final = 1e-11
"""A net below this share of the gross is rounding, not a sign."""
_ITERATIONS: Final = 100
_CLOSE: Final = 0.5
"""A dip is looked into where the parabola through it leaves less than this share of the value at its node."""
_FINER: Final = 9
_ROUNDS: Final = 8


def signs_of(net: F64, gross: F64, blur: float = 0.0) -> F64:
    """Sign of net gamma, 0 where it is lost in the rounding of the gross or in the blur of the profile.

    Units: any.
    Shapes: (..., m) each.
    Domain: finite.
    Source: definition.
    """
    return np.asarray(np.sign(net) * (np.abs(net) > NOISE * gross + blur))


def brackets(signs: F64) -> tuple[Index, Index]:
    """Node pairs between which the sign changes; nodes without a sign are stepped over.

    Units: none.
    Shapes: (m,) -> (r,), (r,).
    Domain: -1, 0, 1.
    Source: intermediate value theorem.
    """
    signed = np.flatnonzero(signs)
    change = signs[signed[:-1]] != signs[signed[1:]]
    return signed[:-1][change], signed[1:][change]


def nodes_between(book: Book, both: F64, y: F64, net: F64, signs: F64) -> F64:
    """Nodes to add where two zeros hide between neighbours of one sign: one inside each dip that passes through zero.

    A dip is a node with a smaller net, in absolute value, than its neighbours of the same sign. Where the parabola
    through the three comes near zero, ever finer nodes are laid around the lowest until one has the other sign.

    Units: y = ln(S'/S).
    Shapes: both (n, 2) as for the profile, net and gross; y, net, signs (m,) -> (k,).
    Domain: any profile.
    Source: quadratic interpolation: Brent, Algorithms for Minimization without Derivatives (1973), section 5.4.
    """
    size = np.abs(net)
    left, at, right = size[:-2], size[1:-1], size[2:]
    dip = (signs[:-2] == signs[1:-1]) & (signs[1:-1] == signs[2:]) & (signs[1:-1] != 0.0)
    dip &= (at <= left) & (at <= right)
    found = []
    for node in np.flatnonzero(dip) + 1:
        low, high = y[node] - y[node - 1], y[node + 1] - y[node]
        down, up = (size[node - 1] - size[node]) / low, (size[node + 1] - size[node]) / high
        bend = (down + up) / (low + high)
        tilt = (up * low - down * high) / (low + high)
        if bend > 0.0 and size[node] - tilt * tilt / (4.0 * bend) > _CLOSE * size[node]:
            continue
        ends = y[node - 1], y[node + 1]
        for _ in range(_ROUNDS):
            fine = np.linspace(*ends, _FINER)
            value, gross = book.profile(fine, both)
            other = signs_of(value, gross) * signs[node]
            lowest = int(np.argmin(value * signs[node]))
            if other[lowest] < 0.0:
                found.append(fine[lowest])
                break
            ends = fine[max(lowest - 1, 0)], fine[min(lowest + 1, _FINER - 1)]
    return np.array(found)


def nearest_brackets(y: F64, net: F64, signs: F64) -> tuple[Index, Index, Index]:
    """For each member with a sign change: its number and the bracket whose linear zero is nearest to spot.

    Units: y = ln(S'/S).
    Shapes: (m,), (M, m), (M, m) -> (r,) each.
    Domain: signs as signs_of.
    Source: definition.
    """
    node = np.where(signs != 0.0, np.arange(y.shape[0]), 0)
    last = np.maximum.accumulate(node, axis=1)[:, :-1]
    before = np.take_along_axis(signs, last, axis=1)
    member, high = np.nonzero(before * signs[:, 1:] < 0.0)
    low = last[member, high]
    high += 1
    zero = linear_zero(y[low], y[high], net[member, low], net[member, high])
    order = np.lexsort((np.abs(zero), member))
    first = order[np.diff(member[order], prepend=-1) != 0]
    return member[first], low[first], high[first]


def linear_zero(low: F64, high: F64, net_low: F64, net_high: F64) -> F64:
    """Zero of the chord.

    Units: of the ends.
    Shapes: (r,) each.
    Domain: values of opposite signs.
    Source: regula falsi.
    """
    return np.asarray(low + (high - low) * (net_low / (net_low - net_high)))


def cubic_zero(y: F64, net: F64, low: Index, high: Index) -> F64:
    """Zero of y as a cubic of net gamma, through the ends of each bracket and a node on either side.

    Units: of y.
    Shapes: (m,), (m,), (r,), (r,) -> (r,).
    Domain: ends of opposite signs; where a neighbour is missing, or y is no function of net there: the chord's zero.
    Source: inverse interpolation: Press et al., Numerical Recipes (2007), section 9.3.
    """
    chord = linear_zero(y[low], y[high], net[low], net[high])
    nodes = np.stack([low - 1, low, high, high + 1])
    inside = (nodes[0] >= 0) & (nodes[3] < y.shape[0])
    at = np.where(inside, nodes, 0)
    values = net[at]
    zero = np.zeros_like(chord)
    with np.errstate(all="ignore"):
        for i in range(4):
            others = [j for j in range(4) if j != i]
            weight = -values[others] / (values[i] - values[others])
            zero += y[at[i]] * np.multiply.reduce(weight)
        good = inside & (zero > y[low]) & (zero < y[high])
    return np.where(good, zero, chord)


def polish(
    book: Book,
    held: F64,
    low: F64,
    high: F64,
    net_low: F64,
    net_high: F64,
    tolerance: float = 0.0,
    start: F64 | None = None,
) -> tuple[F64, F64]:
    """Zeros of net gamma inside their brackets, all at once, and the slopes there.

    Halley's step where it stays inside the bracket (Newton's where the curvature is unknown), else the middle. A
    root is done when the error expected after the step, cubic in it, is below the tolerance or below rounding.

    Units: brackets and zeros in y = ln(S'/S); net gamma in USD per 1 %; slope per unit of y.
    Shapes: held (n,) or (n, r); brackets (r,) -> (r,), (r,).
    Domain: net_low and net_high of opposite signs.
    Source: Press et al., Numerical Recipes (2007), section 9.4; third-order step: Halley (1694).
    """
    rising = net_low < 0.0
    y = linear_zero(low, high, net_low, net_high) if start is None else start
    tolerance = max(tolerance, 1e-16)
    for _ in range(_ITERATIONS):
        value, slope, curvature = book.local(y, held)
        below = (value < 0.0) == rising
        low, high = np.where(below, y, low), np.where(below, high, y)
        with np.errstate(all="ignore"):
            newton = value / slope
            bend = 0.5 * newton * curvature / slope
            step = np.where(np.abs(bend) < 0.5, newton / (1.0 - bend), newton)
            target = y - step
            inside = (target >= low) & (target <= high)
            expected = np.abs(step) * np.where(np.isnan(bend), 1.0, bend * bend)
        target = np.where(inside, target, 0.5 * (low + high))
        target = np.where(value == 0.0, y, target)
        done = (value == 0.0) | (inside & (expected <= tolerance)) | (high - low <= tolerance)
        slope = slope + np.where(np.isnan(curvature), 0.0, curvature * (target - y))
        y = target
        if done.all():
            break
    return np.asarray(y), np.asarray(slope)
