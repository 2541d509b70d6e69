"""Zeros of a function known on ascending nodes: brackets, pairs of zeros between two nodes, and the polish.

Comes between gamma_profile (the values) and gamma_flip (which chooses the nodes and names the zeros).
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dfmon.core import compiled
from dfmon.core.black import F64
from dfmon.core.gamma_profile import Book, StickyStrike

Index: TypeAlias = NDArray[np.intp]

NOISE: Final = 1e-11
"""A net below this share of the gross is rounding, not a sign."""
_ITERATIONS: Final = 100
_CLOSE: Final = 0.5
"""A dip is looked into where the parabola through it leaves less than this share of the value at its node."""
_ROUNDS: Final = 16
_NOWHERE: Final = np.empty(0, dtype=np.intp)
_AROUND: Final = np.arange(3)[:, None]


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


class Brackets(NamedTuple):
    """Two points of log spot each, between which the net gamma of a member changes sign."""

    member: Index
    low: F64
    high: F64
    net_low: F64
    net_high: F64


class Bottoms(NamedTuple):
    """Points where net gamma has the other sign than at the nodes around them: two zeros hide in one grid step."""

    member: Index
    node: Index
    y: F64
    net: F64


def bottoms(book: Book, held: F64, y: F64, net: F64, signs: F64, least: F64) -> Bottoms:
    """What lies below zero in the dips between nodes of one sign, for every member at once.

    A dip is a node with a smaller net, in absolute value, than its neighbours of the same sign. Where the parabola
    through the three comes near zero, its lowest point is sought by Newton's step on the slope, else by halving.

    Units: y = ln(S'/S); net, and the `least` that counts as one, in USD per 1 %.
    Shapes: held (n,), for one member, or (n, M); y, least (m,); net, signs (M, m) -> (k,) each.
    Domain: any profile.
    Source: quadratic interpolation: Brent, Algorithms for Minimization without Derivatives (1973), section 5.4.
    """
    kernels = compiled.in_use()
    if kernels is not None and net.shape[0] == 1 and not kernels.dips(y, net[0], signs[0], _CLOSE):
        return Bottoms(_NOWHERE, _NOWHERE, np.empty(0), np.empty(0))
    alike, size = (signs[:, :-1] == signs[:, 1:]) & (signs[:, 1:] != 0.0), np.abs(net)
    falls = size[:, 1:] <= size[:, :-1]
    dip = alike[:, :-1] & alike[:, 1:] & falls[:, :-1] & (size[:, 1:-1] <= size[:, 2:])
    gaps = y[1:] - y[:-1]
    uneven = float(gaps.max() / gaps.min())
    most = uneven * uneven / (4.0 * (1.0 + uneven))  # of the rise to its higher neighbour, a parabola falls below a dip
    dip &= (1.0 - _CLOSE + most) * size[:, 1:-1] <= most * np.maximum(size[:, :-2], size[:, 2:])
    if not dip.any():
        return Bottoms(_NOWHERE, _NOWHERE, np.empty(0), np.empty(0))
    member, left = np.nonzero(dip)
    node, around = left + 1, left + _AROUND
    left, at, right = size[member, around]
    below, above = np.diff(y[around], axis=0)
    down, up = (left - at) / below, (right - at) / above
    bend, tilt = (down + up) / (below + above), (up * below - down * above) / (below + above)
    with np.errstate(all="ignore"):
        close = (bend <= 0.0) | (at - tilt * tilt / (4.0 * bend) <= _CLOSE * at)
    if not close.any():
        return Bottoms(_NOWHERE, _NOWHERE, np.empty(0), np.empty(0))
    member, node = member[close], node[close]
    sign, columns = signs[member, node], held if held.ndim == 1 else held[:, member]
    at, low, high, value = y[node], y[node - 1], y[node + 1], net[member, node]
    crossed = np.zeros(node.shape, dtype=np.bool_)
    for _ in range(_ROUNDS):
        value, slope, curvature = book.local(at, columns)
        crossed = value * sign < -least[node]
        if crossed.all():
            break
        rises = slope * sign > 0.0
        low, high = np.where(rises, low, at), np.where(rises, at, high)
        with np.errstate(all="ignore"):
            newton = at - slope / curvature
            inside = (newton > low) & (newton < high) & (curvature * sign > 0.0)
        at = np.where(crossed, at, np.where(inside, newton, 0.5 * (low + high)))
    return Bottoms(member[crossed], node[crossed], at[crossed], value[crossed])


def member_brackets(y: F64, net: F64, signs: F64) -> Brackets:
    """Every sign change on the nodes, member by member; nodes without a sign are stepped over.

    Units: y = ln(S'/S).
    Shapes: (m,), (M, m), (M, m) -> (r,) each.
    Domain: signs as signs_of.
    Source: intermediate value theorem.
    """
    node = np.where(signs != 0.0, np.arange(y.shape[0]), 0)
    last = np.maximum.accumulate(node, axis=1)[:, :-1]
    before = np.take_along_axis(signs, last, axis=1)
    member, high = np.nonzero(before * signs[:, 1:] < 0.0)
    low = last[member, high]
    high += 1
    return Brackets(member, y[low], y[high], net[member, low], net[member, high])


def either_side(found: Bottoms, y: F64, net: F64) -> Brackets:
    """The two brackets of each bottom: from the node before it, and to the node after it.

    Units: y = ln(S'/S).
    Shapes: (k,), (m,), (M, m) -> (2 k,) each.
    Domain: as bottoms.
    Source: intermediate value theorem.
    """
    member, node, at, value = found
    before, after = node - 1, node + 1
    return Brackets(
        np.concatenate([member, member]),
        np.concatenate([y[before], at]),
        np.concatenate([at, y[after]]),
        np.concatenate([net[member, before], value]),
        np.concatenate([value, net[member, after]]),
    )


def nearest(*found: Brackets) -> Brackets:
    """For each member with a bracket, the one whose linear zero is nearest to spot.

    Units: y = ln(S'/S).
    Shapes: (r,) each -> (members that have one,) each.
    Domain: any brackets.
    Source: definition.
    """
    member, low, high, net_low, net_high = (np.concatenate(columns) for columns in zip(*found))
    zero = linear_zero(low, high, net_low, net_high)
    order = np.lexsort((np.abs(zero), member))
    first = order[np.diff(member[order], prepend=-1) != 0]
    return Brackets(member[first], low[first], high[first], net_low[first], net_high[first])


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
    Domain: ends of opposite signs; where y is no function of net there: the chord's zero.
    Source: inverse interpolation: Press et al., Numerical Recipes (2007), section 9.3.
    """
    zeros = []
    for left, right in zip(low.tolist(), high.tolist()):  # few: plain numbers are faster than columns
        nodes = [node for node in (left - 1, left, right, right + 1) if 0 <= node < y.shape[0]]
        zeros.append(_inverse_zero(y[nodes].tolist(), net[nodes].tolist()))
    zero = np.array(zeros)
    good = (zero > y[low]) & (zero < y[high])
    return zero if good.all() else np.where(good, zero, linear_zero(y[low], y[high], net[low], net[high]))


def _inverse_zero(places: list[float], values: list[float]) -> float:
    """The place of value 0 on the polynomial through places over values; NaN where a value comes twice."""
    if len(set(values)) < len(values):
        return math.nan
    zero = 0.0
    for value, place in zip(values, places):
        others = (other for other in values if other != value)
        zero += place * math.prod(other / (other - value) for other in others)
    return zero


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
    kernels = compiled.in_use()
    if kernels is not None and isinstance(book, StickyStrike) and held.ndim == 1:
        return kernels.polish(book.a, book.b, book.height, held, low, high, net_low, y, tolerance)
    for _ in range(_ITERATIONS):
        value, slope, curvature = book.local(y, held)
        with np.errstate(all="ignore"):
            newton = value / slope
            bend = 0.5 * newton * curvature / slope
            halley = newton / (1.0 - bend)
            target = y - halley
            done = (target >= low) & (target <= high) & (np.abs(halley) * bend * bend <= tolerance)
            if done.all():
                return target, slope - curvature * halley
            below = (value < 0.0) == rising
            low, high = np.where(below, y, low), np.where(below, high, y)
            step = np.where(np.abs(bend) < 0.5, halley, newton)
            target = y - step
            inside = (target >= low) & (target <= high)
            expected = np.abs(step) * np.fmin(bend * bend, 1.0)
        target = np.where(inside, target, 0.5 * (low + high))
        done = (inside & (expected <= tolerance)) | (high - low <= tolerance)
        slope = slope + np.where(np.isnan(curvature), 0.0, curvature * (target - y))
        y = target
        if done.all():
            break
    return np.asarray(y), np.asarray(slope)
