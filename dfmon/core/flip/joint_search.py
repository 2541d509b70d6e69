"""The flips of several books on one board, and all zeros of an ensemble of the first one, from one scan of nodes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

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
    dip_brackets,
    find_dip_minima,
    flat_members,
    gamma_signs,
    member_brackets,
)
from dfmon.core.pricing.black import F64


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
    columns, count = np.concatenate([books, members], axis=1), books.shape[1]
    max_exposure = np.maximum(columns.max(axis=1), -columns.min(axis=1))
    inputs = flip_inputs(forward, strike, sigma, tau, max_exposure[:, None], stickiness, expiry, coin)
    if inputs is None:
        ends = spot * np.array([1.0 - ranges[-1], 1.0 + ranges[-1]])
        empty = GammaFlip(None, (), (float(ends[0]), float(ends[1])), 0, ends, np.zeros(2))
        return JointFlips((empty,) * count, _no_roots(members), np.zeros((members.shape[1], 2)))
    scan = _scan(inputs, log_spot_nodes(spot, ranges[0], inputs.extra_nodes), columns, count)
    flips = _flips(spot, inputs.book, scan)
    two_sided = ((books.min(axis=0) < 0.0) & (books.max(axis=0) > 0.0)) | (coin is not None)
    wider = [i for i, flip in enumerate(flips) if flip.level is None and two_sided[i]] if len(ranges) > 1 else []
    widest = spot * (1.0 - ranges[-1]), spot * (1.0 + ranges[-1])
    flips = [flip if two_sided[i] else replace(flip, searched=widest) for i, flip in enumerate(flips)]
    if wider:
        retried = find_flips(
            spot, forward, strike, sigma, tau, books[:, wider], members if wider[0] == 0 else None,
            stickiness=stickiness, expiry=expiry, ranges=ranges[1:], coin=coin,
        )  # fmt: skip
        for i, flip in zip(wider, retried.flips):
            flips[i] = flip
        if wider[0] == 0:
            return JointFlips(tuple(flips), retried.roots, retried.profiles)
    return JointFlips(tuple(flips), _member_roots(spot, inputs.book, scan), scan.member_net)


def _no_roots(members: F64) -> MemberRoots:
    return MemberRoots.from_rows(members.shape[1], (), (), ())


def _scan(inputs: FlipInputs, y: F64, columns: F64, count: int) -> _Scan:
    """All profiles by one product; the first `count` columns are the books."""
    live, size = columns[inputs.rows], columns.shape[1]
    exposure = np.empty((live.shape[0], size + count + 1))
    exposure[:, :size] = live
    np.abs(live[:, :count], out=exposure[:, size:-1])
    np.maximum(live.max(axis=1), -live.min(axis=1), out=exposure[:, -1])
    profiles = inputs.book.profile(y, exposure, count + 1)
    return _Scan(
        y=y,
        books=live[:, :count],
        net=profiles[:count],
        gross=profiles[size:-1],
        members=live[:, count:],
        member_net=profiles[count:size],
        max_gross=profiles[-1],
        error_bound=inputs.book.error_bound(exposure[:, -1]),
    )


def _flips(spot: float, book: GammaBumps, scan: _Scan) -> list[GammaFlip]:
    """The flip of each book, its zeros polished on all options."""
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
    spots, flips = spot * np.exp(y), []
    for i, largest in enumerate(np.abs(net).argmax(axis=1).tolist()):
        rows = np.flatnonzero(column == i)
        rows = rows[np.argsort(zero[rows])]
        root_columns = spot * np.exp(zero[rows]), net_low[rows] < 0.0, 0.01 * slope[rows]
        roots = tuple(Root(*row) for row in zip(*(values.tolist() for values in root_columns)))
        level, sign = None, int(signs[i, largest])
        if roots:
            nearest = roots[int(np.abs(zero[rows]).argmin())]
            level, sign = nearest.level, 1 if nearest.rising == (nearest.level <= spot) else -1
        flips.append(GammaFlip(level, roots, (float(spots[0]), float(spots[-1])), sign, spots, net[i]))
    return flips


def _member_roots(spot: float, book: GammaBumps, scan: _Scan) -> MemberRoots:
    """The zeros of the members; a flat member has none."""
    if not scan.members.shape[1]:
        return _no_roots(scan.members)
    roots = member_roots(spot, scan.y, scan.member_net, ROUNDING_SHARE * scan.max_gross + scan.error_bound)
    return roots.without(flat_members(book, scan.y, scan.member_net, scan.max_gross, scan.members))
