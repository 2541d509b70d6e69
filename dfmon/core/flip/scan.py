"""Sign changes of net gamma on a grid: brackets of zeros, and of pairs of zeros between two neighbouring nodes."""

from __future__ import annotations

from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dfmon.core.flip.gamma_profile import CHEBYSHEV_CUTOFF, GammaBumps, StickyStrike
from dfmon.core.pricing import compiled
from dfmon.core.pricing.black import F64

Index: TypeAlias = NDArray[np.intp]

ROUNDING_SHARE: Final = 1e-11
"""Net gamma below this share of the gross is rounding and has no sign."""
FLAT_SHARE: Final = 0.01
"""A book whose net gamma stays below this share of its gross throughout a range is flat: it has no sign."""
DIP_SHARE: Final = 0.5
"""A dip is examined where the minimum of its parabola is below this share of the value at its node."""
_MAX_ITERATIONS: Final = 16
_NO_ROWS: Final = np.empty(0, dtype=np.intp)
_NEIGHBOUR_OFFSETS: Final = np.arange(3)[:, None]


class ProfileScan(NamedTuple):
    """Net gamma of one book on nodes, and the pairs of nodes between which it changes sign."""

    y: F64
    net: F64
    gross: F64
    signs: F64
    """-1, 1, or 0 where net gamma is lost in rounding."""
    low: Index
    high: Index
    flat: bool
    """Net gamma stays below FLAT_SHARE of the gross."""


def scan_profile(book: GammaBumps, exposure: F64, y: F64, previous: ProfileScan | None = None) -> ProfileScan:
    """Net gamma on the nodes, with extra nodes where a pair of zeros hides between two of them.

    Units: y = ln(S'/S); exposure in units of underlying; net and gross in USD per 1 %.
    Shapes: exposure (n,), y (m,). Domain: y ascending; `previous` on a middle part of these nodes.
    """
    kernels = compiled.active_kernels()
    if kernels is not None and isinstance(book, StickyStrike):
        bumps = book.a, book.b, book.height
        net, gross, signs, low, high, flat, dips = kernels.scan_profile(
            *bumps, exposure, y, ROUNDING_SHARE, CHEBYSHEV_CUTOFF, DIP_SHARE, FLAT_SHARE
        )
        if not dips:
            return ProfileScan(y, net, gross, signs, low, high, flat)
    net_and_gross = np.array([exposure, np.abs(exposure)]).T
    net, gross = extend_profile(
        book, y, net_and_gross, None if previous is None else (previous.y, np.array([previous.net, previous.gross])), 1
    )
    error_bound = book.error_bound(exposure)
    signs = gamma_signs(net, gross, error_bound)
    dip_minima = find_dip_minima(book, exposure, y, net[None], signs[None], ROUNDING_SHARE * gross)
    if dip_minima.y.size:
        y = np.union1d(y, dip_minima.y)
        net, gross = book.profile(y, net_and_gross, 1)
        signs = gamma_signs(net, gross, error_bound)
    return ProfileScan(y, net, gross, signs, *brackets(signs), _flat(net, gross))


def _flat(net: F64, gross: F64) -> bool:
    return bool(np.abs(net).max() < FLAT_SHARE * gross.max())


def extend_profile(
    book: GammaBumps, y: F64, exposure: F64, inner_profile: tuple[F64, F64] | None, absolute: int = 0
) -> F64:
    """The profile on `y`, reusing a middle part that is already known: nodes (i,) and values (k, i).

    Units: as `GammaBumps.profile`. Shapes: y (m,), exposure (n, k) -> (k, m).
    Domain: known nodes that are not all among `y` are ignored.
    """
    if inner_profile is None:
        return book.profile(y, exposure, absolute)
    inner, values = inner_profile
    left = int(np.searchsorted(y, inner[0]))
    right = left + inner.shape[0]
    if not np.array_equal(y[left:right], inner):
        return book.profile(y, exposure, absolute)
    new_values = book.profile(np.concatenate([y[:left], y[right:]]), exposure, absolute)
    profile = np.empty((values.shape[0], y.shape[0]))
    profile[:, :left], profile[:, left:right], profile[:, right:] = new_values[:, :left], values, new_values[:, left:]
    return profile


def gamma_signs(net: F64, gross: F64, error_bound: float = 0.0) -> F64:
    """Sign of net gamma, 0 where it is below the rounding of the gross or the error bound of the profile.

    Shapes: (..., m) each.
    """
    return np.asarray(np.sign(net) * (np.abs(net) > ROUNDING_SHARE * gross + error_bound))


def brackets(signs: F64) -> tuple[Index, Index]:
    """Node pairs between which the sign changes; nodes without a sign are skipped.

    Shapes: (m,) -> (r,), (r,). Domain: -1, 0, 1.
    """
    signed = np.flatnonzero(signs)
    change = signs[signed[:-1]] != signs[signed[1:]]
    return signed[:-1][change], signed[1:][change]


class Brackets(NamedTuple):
    """Pairs of points in log spot between which the net gamma of a member changes sign."""

    member: Index
    low: F64
    high: F64
    net_low: F64
    net_high: F64


class DipMinima(NamedTuple):
    """Points where net gamma has the opposite sign to the nodes around them: two zeros inside one grid step."""

    member: Index
    node: Index
    y: F64
    net: F64


def find_dip_minima(book: GammaBumps, exposure: F64, y: F64, net: F64, signs: F64, min_size: F64) -> DipMinima:
    """Finds, for every member at once, dips between nodes of one sign that cross zero.

    A dip is a node with a smaller net, in absolute value, than its neighbours of the same sign. Where the parabola
    through the three comes near zero, its minimum is located by Newton's step on the slope, else by bisection.

    Units: y = ln(S'/S); net, and the smallest crossing that counts, `min_size`, in USD per 1 %.
    Shapes: exposure (n,), for one member, or (n, M); y, min_size (m,); net, signs (M, m) -> (k,) each.
    Source: quadratic interpolation: Brent, Algorithms for Minimization without Derivatives (1973), section 5.4.
    """
    member, node = _find_dips(y, net, signs)
    if not node.size:
        return DipMinima(_NO_ROWS, _NO_ROWS, np.empty(0), np.empty(0))
    sign, columns = signs[member, node], exposure if exposure.ndim == 1 else exposure[:, member]
    at, low, high, value = y[node], y[node - 1], y[node + 1], net[member, node]
    crossed = np.zeros(node.shape, dtype=np.bool_)
    for _ in range(_MAX_ITERATIONS):
        value, slope, curvature = book.gamma_derivatives(at, columns)
        crossed = value * sign < -min_size[node]
        if crossed.all():
            break
        rises = slope * sign > 0.0
        low, high = np.where(rises, low, at), np.where(rises, at, high)
        with np.errstate(all="ignore"):
            newton = at - slope / curvature
            inside = (newton > low) & (newton < high) & (curvature * sign > 0.0)
        at = np.where(crossed, at, np.where(inside, newton, 0.5 * (low + high)))
    return DipMinima(member[crossed], node[crossed], at[crossed], value[crossed])


def _find_dips(y: F64, net: F64, signs: F64) -> tuple[Index, Index]:
    """Members and nodes of the dips whose parabola falls below DIP_SHARE of the value at its node."""
    size = np.abs(net)
    member, left = np.nonzero((size[:, 1:-1] <= size[:, :-2]) & (size[:, 1:-1] <= size[:, 2:]))
    neighbours = left + _NEIGHBOUR_OFFSETS
    same_sign = np.abs(signs[member, neighbours].sum(axis=0)) == 3.0
    if not same_sign.any():
        return _NO_ROWS, _NO_ROWS
    before, middle, after = y[neighbours]
    size_before, size_at, size_after = size[member, neighbours]
    step_after = after - middle
    slope_after = (size_after - size_at) / step_after
    second_difference = ((size_before - size_at) / (middle - before) + slope_after) / (after - before)
    slope_at = slope_after - second_difference * step_after
    found = same_sign & (slope_at * slope_at >= (4.0 - 4.0 * DIP_SHARE) * second_difference * size_at)
    return member[found], left[found] + 1


def member_brackets(y: F64, net: F64, signs: F64) -> Brackets:
    """Every sign change on the nodes, member by member; nodes without a sign are skipped.

    Units: y = ln(S'/S). Shapes: (m,), (M, m), (M, m) -> (r,) each. Domain: signs as `gamma_signs`.
    """
    has_sign = signs != 0.0
    if has_sign.all():
        member, low = np.nonzero(signs[:, 1:] != signs[:, :-1])
        high = low + 1
        return Brackets(member, y[low], y[high], net[member, low], net[member, high])
    node = np.where(has_sign, np.arange(y.shape[0]), 0)
    last = np.maximum.accumulate(node, axis=1)[:, :-1]
    before = np.take_along_axis(signs, last, axis=1)
    member, high = np.nonzero(before * signs[:, 1:] < 0.0)
    low = last[member, high]
    high += 1
    return Brackets(member, y[low], y[high], net[member, low], net[member, high])


def dip_brackets(minima: DipMinima, y: F64, net: F64) -> Brackets:
    """The two brackets of each dip: from the node before its minimum, and to the node after it.

    Units: y = ln(S'/S). Shapes: (k,), (m,), (M, m) -> (2 k,) each.
    """
    member, node, at, value = minima
    before, after = node - 1, node + 1
    return Brackets(
        np.concatenate([member, member]),
        np.concatenate([y[before], at]),
        np.concatenate([at, y[after]]),
        np.concatenate([net[member, before], value]),
        np.concatenate([value, net[member, after]]),
    )


def flat_members(book: GammaBumps, y: F64, net: F64, max_gross: F64, exposure: F64) -> Index:
    """Members whose net gamma stays below FLAT_SHARE of their own gross, which is at most `max_gross`.

    Units: USD per 1 %. Shapes: y (m,), net (M, m), max_gross (m,), exposure (n, >= M) -> (k,).
    """
    size = np.maximum(net.max(axis=1), -net.min(axis=1))
    candidates = np.flatnonzero(size < FLAT_SHARE * max_gross.max())
    if not candidates.size:
        return candidates
    gross = book.profile(y, np.abs(exposure[:, candidates]), candidates.size)
    return np.asarray(candidates[size[candidates] < FLAT_SHARE * gross.max(axis=1)])
