"""The flips of several books on one board, and all zeros of an ensemble of the first one, from one scan of nodes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dfmon.core.flip.coin_gamma import CoinOptions
from dfmon.core.flip.gamma_flip import SEARCH_RANGES, GammaFlip, Root
from dfmon.core.flip.gamma_profile import GammaBumps
from dfmon.core.flip.grid import FlipInputs, Stickiness, flip_inputs, log_spot_nodes
from dfmon.core.flip.member_roots import MemberRoots, member_roots
from dfmon.core.flip.roots import polish
from dfmon.core.flip.scan import (
    FLAT_SHARE,
    ROUNDING_SHARE,
    Index,
    dip_brackets,
    extend_profile,
    find_dip_minima,
    flat_members,
    gamma_signs,
    member_brackets,
)
from dfmon.core.pricing.black import F64

_NO_NODES: Final = np.empty(0)
_NODE_TOLERANCE: Final = 1e-9


@dataclass(frozen=True, slots=True)
class JointFlips:
    """The flip of each book, and the zeros of the M members and their profiles on the m nodes of the first flip.

    `profiles` are (M, m) in USD per 1 %.
    """

    flips: tuple[GammaFlip, ...]
    roots: MemberRoots
    profiles: F64


class _Scan(NamedTuple):
    """Profiles on the nodes: of the books (k, m) with their gross, of the members (M, m) with a bound on all gross."""

    y: F64
    books: F64
    net: F64
    gross: F64
    members: F64
    member_net: F64
    max_gross: F64
    error_bound: float


def find_flips(
    spot: float,
    forward: F64,
    strike: F64,
    sigma: F64,
    tau: F64,
    books: F64,
    members: F64 | None = None,
    *,
    stickiness: Stickiness = "strike",
    expiry: NDArray[np.generic] | None = None,
    ranges: tuple[float, ...] = SEARCH_RANGES,
    coin: CoinOptions | None = None,
) -> JointFlips:
    """Finds the zeros of every book as `find_flip` does, and those of the members in the range of the first book.

    A book of one sign has no zero in dollars: its search is not widened. `member_roots` says how exact a member's zeros
    are.

    Units, domain, source: as `find_flip`. Shapes: columns (n,), books (n, k), members (n, M).

    >>> k, one = np.array([90.0, 110.0]), np.ones(2)
    >>> books = np.array([[-1.0, 1.0], [1.0, 1.0]])
    >>> found = find_flips(100.0, 100 * one, k, 0.5 * one, 0.02 * one, books)
    >>> round(found.flips[0].level, 6), found.flips[1].level, found.flips[1].sign
    (99.250308, None, 1)
    """
    members = np.empty((books.shape[0], 0)) if members is None else members
    columns = _Columns(spot, forward, strike, sigma, tau, stickiness, expiry, coin)
    bound = np.maximum(members.max(axis=1, initial=0.0), -members.min(axis=1, initial=0.0))
    return _search(columns, books, members, bound, ranges, None)


class _Columns(NamedTuple):
    """Arguments of `find_flips` that are the same for every range."""

    spot: float
    forward: F64
    strike: F64
    sigma: F64
    tau: F64
    stickiness: Stickiness
    expiry: NDArray[np.generic] | None
    coin: CoinOptions | None


def _search(
    columns: _Columns,
    books: F64,
    members: F64,
    member_bound: F64,
    ranges: tuple[float, ...],
    inner: tuple[F64, F64] | None,
    inputs: FlipInputs | None = None,
) -> JointFlips:
    """`find_flips` on the nodes of the first range, or of all ranges where those of an inner part are known.

    `member_bound` (n,) is the largest size of each exposure over the members. `inputs` are those of more books.
    """
    spot, forward, strike, sigma, tau, stickiness, expiry, coin = columns
    max_exposure = np.maximum(np.abs(books).max(axis=1), member_bound)
    if inputs is None or not max_exposure[inputs.rows].all():
        inputs = flip_inputs(forward, strike, sigma, tau, max_exposure[:, None], stickiness, expiry, coin)
    if inputs is None:
        ends = spot * np.array([1.0 - ranges[-1], 1.0 + ranges[-1]])
        empty = GammaFlip(None, (), (float(ends[0]), float(ends[1])), 0, ends, np.zeros(2))
        return JointFlips((empty,) * books.shape[1], _no_roots(members), np.zeros((members.shape[1], 2)))
    first, *wider_ranges = ranges
    limits = [_ends(spot, search_range) for search_range in (ranges if inner is not None else ranges[:1])]
    y = log_spot_nodes(spot, first if inner is None else ranges[-1], inputs.extra_nodes)
    scan = _scan(inputs, y, books, members, max_exposure, inner)
    flips = _flips(spot, inputs.book, scan, limits)
    two_sided = ((books.min(axis=0) < 0.0) & (books.max(axis=0) > 0.0)) | (coin is not None)
    widest = spot * (1.0 - ranges[-1]), spot * (1.0 + ranges[-1])
    both_signs: list[bool] = two_sided.tolist()
    flips = [flip if both else replace(flip, searched=widest) for flip, both in zip(flips, both_signs)]
    wider = [i for i, flip in enumerate(flips) if flip.level is None and both_signs[i]]
    if inner is not None or not wider_ranges or not wider:
        return JointFlips(tuple(flips), *_members_within(spot, inputs.book, scan, flips[0]))
    with_members = wider[0] == 0
    if not with_members:
        found = _members_within(spot, inputs.book, scan, flips[0])
        members, member_bound = members[:, :0], np.zeros_like(member_bound)
    known = np.concatenate(
        [scan.net[wider], scan.member_net[: members.shape[1]], scan.gross[wider], scan.max_gross[None]]
    )
    retried = _search(columns, books[:, wider], members, member_bound, tuple(wider_ranges), (scan.y, known), inputs)
    for i, flip in zip(wider, retried.flips):
        flips[i] = flip
    return JointFlips(tuple(flips), *((retried.roots, retried.profiles) if with_members else found))


def _ends(spot: float, search_range: float) -> tuple[float, float]:
    """First and last node of a range in log spot."""
    nodes = log_spot_nodes(spot, search_range, _NO_NODES)
    return float(nodes[0]), float(nodes[-1])


def _no_roots(members: F64) -> MemberRoots:
    return MemberRoots.from_rows(members.shape[1], (), (), ())


def _scan(
    inputs: FlipInputs, y: F64, books: F64, members: F64, max_exposure: F64, inner: tuple[F64, F64] | None
) -> _Scan:
    """All profiles by one product."""
    count, size = books.shape[1], books.shape[1] + members.shape[1]
    exposure = np.empty((inputs.rows.size, size + count + 1))
    exposure[:, :count] = books[inputs.rows]
    exposure[:, count:size] = members[inputs.rows]
    np.abs(exposure[:, :count], out=exposure[:, size:-1])
    exposure[:, -1] = max_exposure[inputs.rows]
    profiles = extend_profile(inputs.book, y, exposure, inner, count + 1)
    return _Scan(
        y=y,
        books=exposure[:, :count],
        net=profiles[:count],
        gross=profiles[size:-1],
        members=exposure[:, count:size],
        member_net=profiles[count:size],
        max_gross=profiles[-1],
        error_bound=inputs.book.error_bound(exposure[:, -1]),
    )


def _flips(spot: float, book: GammaBumps, scan: _Scan, limits: list[tuple[float, float]]) -> list[GammaFlip]:
    """The flip of each book within the first limits that have a zero, its zeros polished on all options."""
    y, net = scan.y, scan.net
    signs = gamma_signs(net, scan.gross, scan.error_bound)
    flat = np.abs(net).max(axis=1) < FLAT_SHARE * scan.gross.max(axis=1)
    signs[flat] = 0.0
    minima = find_dip_minima(book, scan.books, y, net, signs, ROUNDING_SHARE * scan.max_gross)
    column, low, high, net_low, net_high = (
        np.concatenate(pair) for pair in zip(member_brackets(y, net, signs), dip_brackets(minima, y, net))
    )
    zero = slope = np.empty(0)
    if column.size:
        zero, slope = polish(book, scan.books[:, column], low, high, net_low, net_high)
    zeros = _sorted_zeros(spot, column, zero, net_low, slope)
    parts = [_part_within(spot, y, ends) for ends in limits]
    largest = np.take_along_axis(signs, np.abs(net).argmax(axis=1)[:, None], axis=1)[:, 0].tolist()
    flips = []
    for i, largest_sign in enumerate(largest):
        level, sign, chosen = None, int(largest_sign), -1
        within: list[tuple[float, Root]] = []
        for k, (first, last) in enumerate(limits):
            within = [found for found in zeros.get(i, ()) if first <= found[0] <= last]
            if within:
                chosen = k
                break
        if within:
            nearest = min(within, key=lambda found: abs(found[0]))[1]
            level, sign = nearest.level, 1 if nearest.rising == (nearest.level <= spot) else -1
        nodes, spots, searched = parts[chosen]
        flips.append(GammaFlip(level, tuple(root for _, root in within), searched, sign, spots, net[i, nodes]))
    return flips


def _sorted_zeros(spot: float, book: Index, zero: F64, net_low: F64, slope: F64) -> dict[int, list[tuple[float, Root]]]:
    """The zeros of each book that has any, ascending, in log spot and as roots. Shapes: (r,) each."""
    order = np.argsort(zero)
    columns = book[order], zero[order], spot * np.exp(zero[order]), net_low[order] < 0.0, 0.01 * slope[order]
    found: dict[int, list[tuple[float, Root]]] = {}
    for i, y, *root in zip(*(values.tolist() for values in columns)):
        found.setdefault(i, []).append((y, Root(*root)))
    return found


def _part_within(spot: float, y: F64, ends: tuple[float, float]) -> tuple[slice, F64, tuple[float, float]]:
    """The nodes from the first end to the last, as a slice, as spots, and as the range of these."""
    nodes = slice(int(np.searchsorted(y, ends[0])), int(np.searchsorted(y, ends[1], side="right")))
    spots = spot * np.exp(y[nodes])
    return nodes, spots, (float(spots[0]), float(spots[-1]))


def _members_within(spot: float, book: GammaBumps, scan: _Scan, flip: GammaFlip) -> tuple[MemberRoots, F64]:
    """Zeros and profiles of the members on the nodes of a flip; a flat member has no zero."""
    if not scan.members.shape[1]:
        return _no_roots(scan.members), np.zeros((0, flip.spots.size))
    first = int(np.searchsorted(scan.y, np.log(flip.spots[0] / spot) - _NODE_TOLERANCE))
    nodes = slice(first, first + flip.spots.size)
    y, net, max_gross = scan.y[nodes], scan.member_net[:, nodes], scan.max_gross[nodes]
    roots = member_roots(spot, y, net, ROUNDING_SHARE * max_gross + scan.error_bound)
    return roots.without(flat_members(book, y, net, max_gross, scan.members)), net
