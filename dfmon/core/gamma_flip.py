"""Where the dealers' net gamma changes sign: every zero of the profile, the one nearest to spot, and its band.

Comes after positions and settlement_terms (which give strike, time and the share to multiply exposures with) and
before the scenario rules and the screen. The zeros are found on a grid in log spot and polished on all options.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dfmon.core import compiled
from dfmon.core.black import F64
from dfmon.core.closed_forms import MAX_SIGMA
from dfmon.core.flip_roots import (
    NOISE,
    bottoms,
    brackets,
    cubic_zero,
    either_side,
    member_brackets,
    nearest,
    polish,
    signs_of,
)
from dfmon.core.gamma_profile import Book, StickyStrike
from dfmon.core.sticky_moneyness import StickyMoneyness

Stickiness: TypeAlias = Literal["strike", "moneyness"]

RANGES: Final = (0.20, 0.35, 0.50)
STEP: Final = 0.002
"""Grid step in ln S; nodes are whole multiples of it, so they stay where they are while spot ticks."""
HORIZONS: Final[Mapping[str, float]] = {"today": 1.0 / 365.0, "week": 7.0 / 365.0, "all": float("inf")}
"""Longest time to expiry of each, in years."""
NEAR_EXPIRY: Final = 2.0 / 365.0
RESOLVED: Final = 4.0
"""Below two days, a bump narrower than this many steps slips through the grid: its strike becomes a node too."""
FLAT: Final = 0.01
"""Below this share of the gross throughout a range, net gamma has no sign worth the name."""
MEMBER_TOLERANCE: Final = 1e-9
"""Of ln S: finer than any use of a band."""
_BOUNDS: Final = np.array([[1e-60, 1e-60, 0.0, 0.0, 1e-9, 0.0], [1e60, 1e60, MAX_SIGMA, 1e60, np.inf, 1e60]])[..., None]
"""Forward, strike, sigma, time, total deviation and size of the exposure: above the first, up to the second."""


@dataclass(frozen=True, slots=True)
class Root:
    """One zero of net gamma."""

    level: float
    rising: bool
    """Net gamma goes from negative to positive as spot rises through the level."""
    slope: float
    """USD per 1 %, per 1 % of spot."""


@dataclass(frozen=True, slots=True)
class Flip:
    """The zeros found, and the profile they were found on."""

    level: float | None
    """The zero nearest to spot in ln S; None is a state, not a failure."""
    roots: tuple[Root, ...]
    """All zeros in the searched range, ascending."""
    searched: tuple[float, float]
    sign: int
    """Sign of net gamma at spot, which holds throughout the range if there is no zero; 0 where it is undetermined:
    a book without gamma, or with less than FLAT of its gross throughout."""
    spots: F64
    ngi: F64
    """Net gamma on `spots`, USD per 1 %."""

    def weakest(self, spot: float) -> tuple[float, float]:
        """Where net gamma is least in size within RANGES[0] of spot, and its value there: how near a flip it comes.

        Units: USD; USD per 1 %.
        Shapes: scalars.
        Domain: a profile around spot; further out every gamma dies away, which says nothing.
        Source: definition.
        """
        near = np.abs(self.spots / spot - 1.0) <= RANGES[0]
        at = int(np.argmin(np.where(near, np.abs(self.ngi), np.inf)))
        return float(self.spots[at]), float(self.ngi[at])


def find_flip(
    spot: float,
    forward: F64,
    strike: F64,
    sigma: F64,
    tau: F64,
    exposure: F64,
    *,
    stickiness: Stickiness = "strike",
    expiry: NDArray[np.generic] | None = None,
    ranges: tuple[float, ...] = RANGES,
) -> Flip:
    """All zeros of the net gamma profile within the first range that has any.

    The strike, time and share of settlement_terms are applied by the caller (exposure times share), so that the
    profile and the roll-ups use one treatment. A subset of expiries is a call with their rows. Rows that are
    invalid, settled or without exposure are left out. Zeros are exact to the rounding of the sum over all options.
    A zero that net gamma only touches is none: dealers trade the same way on both sides of it, and whether it is
    touched is decided by the last digit.

    Units: spot, forward, strike in USD; sigma decimal; tau in years; exposure = dealer position x multiplier, in
    units of underlying, long = +; expiry any label (sticky moneyness only; default: equal times).
    Shapes: (n,) each.
    Domain: spot > 0; columns any floats; ranges ascending in (0, 1).
    Source: net gamma profile as the sum of Black (1976) gammas; Newton-bisection: Press et al., Numerical Recipes,
    section 9.4, with Halley's third-order step.

    >>> k, one = np.array([90.0, 110.0]), np.ones(2)
    >>> flip = find_flip(100.0, 100 * one, k, 0.5 * one, 0.02 * one, np.array([-1.0, 1.0]))
    >>> round(flip.level, 6), flip.roots[0].rising, flip.sign
    (99.250308, True, 1)
    """
    rows, columns = _live(forward, strike, sigma, tau, exposure)
    if not rows.size:
        ends = spot * np.array([1.0 - ranges[-1], 1.0 + ranges[-1]])
        return Flip(None, (), (float(ends[0]), float(ends[1])), 0, ends, np.zeros(2))
    book = _book(columns, stickiness, None if expiry is None else expiry[rows])
    held = exposure[rows]
    both = np.array([held, np.abs(held)]).T
    near, blur = _near_strikes(book, columns), book.blur(held)
    known = None
    for reach in ranges:
        y = _nodes(spot, reach, near)
        known = y, _profile(book, y, both, known)
        net, gross = known[1]
        signs = signs_of(net, gross, blur)
        hidden = bottoms(book, held, y, net[None], signs[None], NOISE * gross)
        if hidden.y.size:
            y = np.union1d(y, hidden.y)
            net, gross = book.profile(y, both)
            signs = signs_of(net, gross, blur)
        low, high = brackets(signs)
        flat = np.abs(net).max() < FLAT * gross.max()
        if low.size and not flat:
            break
    if flat:
        ends = spot * np.exp(y)
        return Flip(None, (), (float(ends[0]), float(ends[-1])), 0, ends, net)
    roots, level = _roots(spot, book, held, y, net, low, high)
    if level is None:
        sign = int(signs[np.argmax(np.abs(net))])
    else:
        marked = next(root for root in roots if root.level == level)
        sign = 1 if marked.rising == (level <= spot) else -1
    spots = spot * np.exp(y)
    return Flip(level, roots, (float(spots[0]), float(spots[-1])), sign, spots, net)


def flip_members(
    spot: float,
    forward: F64,
    strike: F64,
    sigma: F64,
    tau: F64,
    members: F64,
    *,
    stickiness: Stickiness = "strike",
    expiry: NDArray[np.generic] | None = None,
    ranges: tuple[float, ...] = RANGES,
) -> F64:
    """Flip level nearest to spot for every member of an ensemble of positions; NaN where a member has none.

    One matrix product makes all profiles; the polish evaluates all options for each member, to 1e-9 of spot.

    Units, domain: as find_flip.
    Shapes: columns (n,), members (n, M) -> (M,).
    Source: as find_flip.

    >>> k, one = np.array([90.0, 110.0]), np.ones(2)
    >>> members = np.array([[-1.0, 1.0], [1.0, 1.0]])
    >>> flip_members(100.0, 100 * one, k, 0.5 * one, 0.02 * one, members).round(6).tolist()
    [99.250308, nan]
    """
    levels = np.full(members.shape[1], np.nan)
    rows, columns = _live(forward, strike, sigma, tau, members)
    if not rows.size:
        return levels
    book = _book(columns, stickiness, None if expiry is None else expiry[rows])
    near = _near_strikes(book, columns)
    count = members.shape[1]
    held = np.empty((rows.shape[0], count + 1))
    held[:, :count] = members[rows]
    largest = np.maximum(held[:, :count].max(axis=1), -held[:, :count].min(axis=1))
    held[:, count] = largest  # a gross that is none of theirs, and at least that of each
    blur, searching, known = book.blur(largest), np.arange(count), None
    for reach in ranges:
        y = _nodes(spot, reach, near)
        known = y, _profile(book, y, held, known)
        net, gross = known[1][:-1], known[1][-1]
        signs = signs_of(net, gross, blur)
        signs[_flat(book, y, net, gross, held)] = 0.0
        hidden = bottoms(book, held, y, net, signs, NOISE * gross + blur)
        found, low, high, net_low, net_high = nearest(member_brackets(y, net, signs), either_side(hidden, y, net))
        if found.size:
            zeros = polish(book, held[:, found], low, high, net_low, net_high, MEMBER_TOLERANCE)[0]
            levels[searching[found]] = spot * np.exp(zeros)
            searching = np.delete(searching, found)
            held, known = np.delete(held, found, axis=1), (y, np.delete(known[1], found, axis=0))
        if not searching.size:
            break
    return levels


def _flat(book: Book, y: F64, net: F64, most: F64, held: F64) -> NDArray[np.intp]:
    """Members whose net gamma stays below FLAT of their own gross, which is at most `most`."""
    size = np.abs(net).max(axis=1)
    low = np.flatnonzero(size < FLAT * most.max())
    return low[size[low] < FLAT * book.profile(y, np.abs(held[:, low])).max(axis=1)] if low.size else low


def _profile(book: Book, y: F64, exposure: F64, known: tuple[F64, F64] | None) -> F64:
    """The profile on `y`, of which the middle part is known on some nodes already."""
    if known is None:
        return book.profile(y, exposure)
    inner, values = known
    left = int(np.searchsorted(y, inner[0]))
    wings = np.delete(y, slice(left, left + inner.shape[0]))
    fresh = book.profile(wings, exposure)
    return np.concatenate([fresh[:, :left], values, fresh[:, left:]], axis=1)


def flips_by_horizon(
    spot: float,
    forward: F64,
    strike: F64,
    sigma: F64,
    tau: F64,
    exposure: F64,
    *,
    time_left: F64 | None = None,
    horizons: Mapping[str, float] = HORIZONS,
    stickiness: Stickiness = "strike",
    expiry: NDArray[np.generic] | None = None,
) -> dict[str, Flip]:
    """The flip of the options that expire within each horizon: what is left of it when the later ones are ignored.

    Units: as find_flip; horizons and `time_left` (before settlement_terms; default tau) in years.
    Shapes: (n,) each.
    Domain: as find_flip.
    Source: as find_flip, on a subset of the rows.

    >>> one = np.ones(3)
    >>> book = 100 * one, np.array([90.0, 110.0, 120.0]), 0.5 * one, np.array([0.01, 0.01, 0.2])
    >>> flips = flips_by_horizon(100.0, *book, np.array([-1.0, 1.0, 1.0]))
    >>> [name for name, flip in flips.items() if flip.level is not None]
    ['week', 'all']
    """
    left = tau if time_left is None else time_left
    flips = {}
    for name, limit in horizons.items():
        with np.errstate(invalid="ignore"):
            held = np.where(left <= limit, exposure, 0.0)
        flips[name] = find_flip(spot, forward, strike, sigma, tau, held, stickiness=stickiness, expiry=expiry)
    return flips


def flip_band(levels: F64) -> tuple[float | None, float | None, float]:
    """5 % and 95 % quantiles of the members that have a flip, and the share of members that have none.

    Units: those of the levels; share in [0, 1].
    Shapes: (M,) -> three scalars.
    Domain: NaN = none.
    Source: Hyndman & Fan (1996), definition 7.

    >>> flip_band(np.array([90.0, 110.0, np.nan, np.nan]))
    (91.0, 109.0, 0.5)
    """
    found = levels[~np.isnan(levels)]
    if not found.size:
        return None, None, 1.0
    low, high = np.quantile(found, (0.05, 0.95))
    return float(low), float(high), 1.0 - found.size / levels.size


def _live(forward: F64, strike: F64, sigma: F64, tau: F64, exposure: F64) -> tuple[NDArray[np.intp], F64]:
    """Options with gamma that somebody holds, from wide to narrow bumps, and their columns in the order of _BOUNDS."""
    kernels = compiled.in_use()
    if kernels is not None and exposure.ndim == 1:  # a compiled loop sums one book as soon in any order
        return kernels.counting(forward, strike, sigma, tau, exposure, _BOUNDS)
    with np.errstate(all="ignore"):
        total_sd, size = sigma * np.sqrt(tau), np.abs(exposure)
        if size.ndim == 2:
            size = size.max(axis=1)
        columns = np.array([forward, strike, sigma, tau, total_sd, size])
        low, high = _BOUNDS
        rows = np.flatnonzero(((columns > low) & (columns <= high)).all(axis=0))
    rows = rows[np.argsort(-total_sd[rows], kind="stable")]
    return rows, np.take(columns, rows, axis=1)


def _book(columns: F64, stickiness: Stickiness, labels: NDArray[np.generic] | None) -> Book:
    forward, strike, sigma, tau, _, _ = columns
    if stickiness == "strike":
        return StickyStrike.of(forward, strike, sigma, tau)
    return StickyMoneyness.of(forward, strike, sigma, tau, tau if labels is None else labels)


def _near_strikes(book: Book, columns: F64) -> F64:
    _, _, _, tau, total_sd, _ = columns
    narrow = np.flatnonzero((tau < NEAR_EXPIRY) & (total_sd < RESOLVED * STEP))
    return np.unique(book.log_strike_over_forward[narrow]) if narrow.size else np.empty(0)


def _nodes(spot: float, reach: float, near: F64) -> F64:
    """Log-spot nodes over at least +-reach: whole multiples of the step in ln S, and the strikes of near expiries."""
    anchor = math.log(spot)
    origin = math.floor(anchor / STEP)
    first = math.floor((anchor + math.log1p(-reach)) / STEP) - origin
    last = math.ceil((anchor + math.log1p(reach)) / STEP) - origin
    shift = anchor - origin * STEP  # one rounding shifts all nodes alike
    grid: F64 = np.arange(first, last + 1, dtype=np.float64) * STEP - shift
    return np.union1d(grid, near[(near > grid[0]) & (near < grid[-1])]) if near.size else grid


def _roots(
    spot: float, book: Book, held: F64, y: F64, net: F64, low: NDArray[np.intp], high: NDArray[np.intp]
) -> tuple[tuple[Root, ...], float | None]:
    """Polished zeros, ascending, and the level of the nearest one."""
    if not low.size:
        return (), None
    start = cubic_zero(y, net, low, high)
    zeros, slopes = polish(book, held, y[low], y[high], net[low], net[high], start=start)
    levels = spot * np.exp(zeros)
    roots = tuple(
        Root(float(level), bool(below < 0.0), float(slope) * 0.01)
        for level, below, slope in zip(levels, net[low], slopes)
    )
    return roots, roots[int(np.argmin(np.abs(zeros)))].level
