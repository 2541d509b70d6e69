"""The gamma regime at spot: the side of net gamma, and the edges where it changes, with their bands."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from dfmon.core.flip.gamma_flip import GammaFlip
from dfmon.core.flip.matching import match_roots, root_bands
from dfmon.core.flip.member_roots import MemberRoots
from dfmon.core.pricing.black import F64


@dataclass(frozen=True, slots=True)
class RegimeEdge:
    """One zero of net gamma. `low` and `high` are its 5-95 % band, `p` the share of members that have it.

    The band is None where under half of the members have the edge; all three are None for a convention.
    """

    level: float
    rising: bool
    low: float | None
    high: float | None
    p: float | None


@dataclass(frozen=True, slots=True)
class Regime:
    """`side` is the sign of net gamma at spot, 0 where undetermined, `agree` the share of members of that sign.

    `edges` are all zeros in the searched range, ascending. `p_none` is the share of members that do not have the edge
    nearest to spot; where there is no edge, the share of members that have none. Shares are None for a convention.
    """

    side: int
    agree: float | None
    edges: tuple[RegimeEdge, ...]
    below: RegimeEdge | None
    above: RegimeEdge | None
    nearest: RegimeEdge | None
    p_none: float | None


def find_regime(spot: float, flip: GammaFlip, roots: MemberRoots | None = None, profiles: F64 | None = None) -> Regime:
    """The regime of a book, with bands and shares where there is an ensemble.

    Units: spot in USD, profiles in USD per 1 %. Shapes: profiles (M, m) on the nodes of the flip.
    Domain: roots and profiles both or neither; M >= 1.
    """
    edges = _convention_edges(flip) if roots is None else _edges(flip, roots)
    below, above = (
        next(iter(found), None)
        for found in (
            [edge for edge in reversed(edges) if edge.level <= spot],
            [edge for edge in edges if edge.level > spot],
        )
    )
    nearest = min(edges, key=lambda edge: abs(math.log(edge.level / spot)), default=None)
    if roots is None or profiles is None:
        return Regime(flip.sign, None, edges, below, above, nearest, None)
    agree = float(np.mean(member_sides(spot, flip.spots, roots, profiles) == flip.sign))
    p_none = 1.0 - np.unique(roots.member).size / roots.size
    if nearest is not None and nearest.p is not None:
        p_none = 1.0 - nearest.p
    return Regime(flip.sign, agree, edges, below, above, nearest, p_none)


def _convention_edges(flip: GammaFlip) -> tuple[RegimeEdge, ...]:
    return tuple(RegimeEdge(root.level, root.rising, None, None, None) for root in flip.roots)


def _edges(flip: GammaFlip, roots: MemberRoots) -> tuple[RegimeEdge, ...]:
    level, rising = np.array([root.level for root in flip.roots]), np.array([root.rising for root in flip.roots], bool)
    bands = root_bands(match_roots(level, rising, roots))
    return tuple(
        RegimeEdge(root.level, root.rising, low, high, p)
        for root, (low, high), p in zip(flip.roots, bands.as_pairs(), bands.p.tolist())
    )


def member_sides(spot: float, spots: F64, roots: MemberRoots, profiles: F64) -> F64:
    """Sign of each member's net gamma at spot: that of the node below, turned by each zero between the two.

    Units: spot and spots in USD. Shapes: (m,), (M, m) -> (M,). Domain: spots[0] <= spot.
    """
    node = int(np.searchsorted(spots, spot, side="right")) - 1
    between = roots.member[(roots.level > spots[node]) & (roots.level <= spot)]
    turned = np.bincount(between, minlength=roots.size) % 2 == 1
    return np.asarray(np.where(turned, -1.0, 1.0) * np.sign(profiles[:, node]))
