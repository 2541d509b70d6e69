"""Where net gamma changes sign on the nodes of a grid: brackets of zeros, also of pairs that hide between two nodes.

Comes after flip_grid (options and nodes) and gamma_profile (the values), before flip_roots (the polish).
"""

from __future__ import annotations

from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dfmon.core.flip.gamma_profile import CUT, Book, StickyStrike
from dfmon.core.flip.roots import linear_zero
from dfmon.core.pricing import compiled
from dfmon.core.pricing.black import F64

Index: TypeAlias = NDArray[np.intp]

NOISE: Final = 1e-11
"""A net below this share of the gross is rounding, not a sign."""
FLAT: Final = 0.01
"""Below this share of the gross throughout a range, net gamma has no sign worth the name."""
_CLOSE: Final = 0.5
"""A dip is looked into where the parabola through it leaves less than this share of the value at its node."""
_ROUNDS: Final = 16
_NOWHERE: Final = np.empty(0, dtype=np.intp)
_AROUND: Final = np.arange(3)[:, None]


class Scan(NamedTuple):
    """Net gamma of one book on nodes, and the pairs of nodes between which it changes sign."""

    y: F64
    net: F64
    gross: F64
    signs: F64
    """-1, 1, or 0 where net gamma is lost in rounding."""
    low: Index
    high: Index
    flat: bool
    """Net gamma stays below FLAT of the gross."""


def scan(book: Book, held: F64, y: F64, before: Scan | None = None) -> Scan:
    """Net gamma on the nodes, to which places are added where a pair of zeros hides between two of them.

    Units: y = ln(S'/S); held in units of underlying; net and gross in USD per 1 %.
    Shapes: held (n,), y (m,).
    Domain: y ascending; `before` on a middle part of these nodes.
    Source: intermediate value theorem; `bottoms`.
    """
    kernels = compiled.in_use()
    if kernels is not None and isinstance(book, StickyStrike):
        bumps = book.a, book.b, book.height
        net, gross, signs, low, high, flat, dips = kernels.scan(*bumps, held, y, NOISE, CUT, _CLOSE, FLAT)
        if not dips:
            return Scan(y, net, gross, signs, low, high, flat)
    both = np.array([held, np.abs(held)]).T
    net, gross = beyond(book, y, both, None if before is None else (before.y, np.array([before.net, before.gross])))
    blur = book.blur(held)
    signs = signs_of(net, gross, blur)
    hidden = bottoms(book, held, y, net[None], signs[None], NOISE * gross)
    if hidden.y.size:
        y = np.union1d(y, hidden.y)
        net, gross = book.profile(y, both)
        signs = signs_of(net, gross, blur)
    return Scan(y, net, gross, signs, *brackets(signs), _flat(net, gross))


def _flat(net: F64, gross: F64) -> bool:
    return bool(np.abs(net).max() < FLAT * gross.max())


def beyond(book: Book, y: F64, exposure: F64, known: tuple[F64, F64] | None) -> F64:
    """The profile on `y`, of which a middle part may be known already: nodes (i,) and values (k, i).

    Units: as Book.profile.
    Shapes: y (m,), exposure (n, k) -> (k, m).
    Domain: nodes that are not all among `y` are of no use, and no harm.
    Source: none; book-keeping.
    """
    if known is None:
        return book.profile(y, exposure)
    inner, values = known
    left = int(np.searchsorted(y, inner[0]))
    right = left + inner.shape[0]
    if not np.array_equal(y[left:right], inner):
        return book.profile(y, exposure)
    fresh = book.profile(np.concatenate([y[:left], y[right:]]), exposure)
    return np.concatenate([fresh[:, :left], values, fresh[:, left:]], axis=1)


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
    member, node = _dips(y, net, signs)
    if not node.size:
        return Bottoms(_NOWHERE, _NOWHERE, np.empty(0), np.empty(0))
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


def _dips(y: F64, net: F64, signs: F64) -> tuple[Index, Index]:
    """Members and nodes of the dips whose parabola, if it has a lowest point, comes down to the share _CLOSE there."""
    size = np.abs(net)
    member, left = np.nonzero((size[:, 1:-1] <= size[:, :-2]) & (size[:, 1:-1] <= size[:, 2:]))
    around = left + _AROUND
    alike = np.abs(signs[member, around].sum(axis=0)) == 3.0
    if not alike.any():
        return _NOWHERE, _NOWHERE
    before, here, after = y[around]
    falling, at, rising = size[member, around]
    onward = after - here
    up = (rising - at) / onward
    bend = ((falling - at) / (here - before) + up) / (after - before)
    tilt = up - bend * onward
    found = alike & (tilt * tilt >= (4.0 - 4.0 * _CLOSE) * bend * at)
    return member[found], left[found] + 1


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


def flat_members(book: Book, y: F64, net: F64, most: F64, held: F64) -> Index:
    """Members whose net gamma stays below FLAT of their own gross, which is at most `most`.

    Units: USD per 1 %.
    Shapes: y (m,), net (M, m), most (m,), held (n, >= M) -> (k,).
    Domain: any profile.
    Source: definition.
    """
    size = np.abs(net).max(axis=1)
    low = np.flatnonzero(size < FLAT * most.max())
    return low[size[low] < FLAT * book.profile(y, np.abs(held[:, low])).max(axis=1)] if low.size else low
