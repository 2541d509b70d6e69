"""The gamma regime at spot: the side of net gamma, and the edges where it changes, with their bands."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from dfmon.core.flip.gamma_flip import GammaFlip
from dfmon.core.flip.matching import match_roots, root_bands
from dfmon.core.flip.member_roots import MemberRoots
from dfmon.core.pricing.black import F64


class Calibration(NamedTuple):
    """Reach of the bands of edges and of the profile against those of the members, and what odds of shares are made to.

    Odds have an exponent and a factor, and both of 1 leave the share of the members as it is: `sign` of those that
    agree, `flip` of those with an edge.
    """

    edges: float = 1.0
    profile: float = 1.0
    sign: tuple[float, float] = (1.0, 1.0)
    flip: tuple[float, float] = (1.0, 1.0)


AS_THE_MEMBERS: Final = Calibration()


@dataclass(frozen=True, slots=True)
class RegimeEdge:
    """One zero of net gamma. `low` and `high` are its 5-95 % band, `p` the chance that it exists, by the members.

    The band is None where under half of the members have the edge; all three are None for a convention.
    """

    level: float
    rising: bool
    low: float | None
    high: float | None
    p: float | None


@dataclass(frozen=True, slots=True)
class Regime:
    """`side` is the sign of net gamma at spot, 0 where undetermined, `agree` its chance by the members of that sign.

    `edges` are all zeros in the searched range, ascending. `p_none` is the chance that the edge nearest to spot does
    not exist, by the members without it; where there is no edge, by the members without any. Chances are None for a
    convention; without a calibration they are the shares of the members.
    """

    side: int
    agree: float | None
    edges: tuple[RegimeEdge, ...]
    below: RegimeEdge | None
    above: RegimeEdge | None
    nearest: RegimeEdge | None
    p_none: float | None


def find_regime(
    spot: float,
    flip: GammaFlip,
    roots: MemberRoots | None = None,
    profiles: F64 | None = None,
    calibration: Calibration = AS_THE_MEMBERS,
) -> Regime:
    """The regime of a book, with bands and shares where there is an ensemble.

    The bands of the edges are calibrated in log distance from the edge.

    Units: spot in USD, profiles in USD per 1 %. Shapes: profiles (M, m) on the nodes of the flip.
    Domain: roots and profiles both or neither; M >= 1.
    """
    edges = _convention_edges(flip) if roots is None else _edges(flip, roots, calibration)
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
    same = float(np.mean(member_sides(spot, flip.spots, roots, profiles) == flip.sign))
    agree = calibrated(same, *calibration.sign)
    p_none = 1.0 - calibrated(np.unique(roots.member).size / roots.size, *calibration.flip)
    if nearest is not None and nearest.p is not None:
        p_none = 1.0 - nearest.p
    return Regime(flip.sign, agree, edges, below, above, nearest, p_none)


def _convention_edges(flip: GammaFlip) -> tuple[RegimeEdge, ...]:
    return tuple(RegimeEdge(root.level, root.rising, None, None, None) for root in flip.roots)


def calibrated(share: float, exponent: float, factor: float) -> float:
    """The chance by a share of the members: its odds raised to a power, times a factor; 0 and 1 stay.

    >>> calibrated(0.75, 1.0, 1.0), calibrated(0.75, 2.0, 1.0), calibrated(0.5, 2.0, 3.0), calibrated(1.0, 2.0, 3.0)
    (0.75, 0.9, 0.75, 1.0)
    """
    if exponent == factor == 1.0:
        return share
    chance, other = factor * math.pow(share, exponent), math.pow(1.0 - share, exponent)
    return chance / (chance + other)


def _edges(flip: GammaFlip, roots: MemberRoots, calibration: Calibration) -> tuple[RegimeEdge, ...]:
    level, rising = np.array([root.level for root in flip.roots]), np.array([root.rising for root in flip.roots], bool)
    bands = root_bands(match_roots(level, rising, roots))
    return tuple(
        RegimeEdge(
            root.level,
            root.rising,
            _spread(root.level, low, calibration.edges),
            _spread(root.level, high, calibration.edges),
            calibrated(p, *calibration.flip),
        )
        for root, (low, high), p in zip(flip.roots, bands.as_pairs(), bands.p.tolist())
    )


def _spread(level: float, bound: float | None, scale: float) -> float | None:
    """The bound at `scale` times its log distance from the level."""
    return bound if bound is None or scale == 1.0 else level * (bound / level) ** scale


def member_sides(spot: float, spots: F64, roots: MemberRoots, profiles: F64) -> F64:
    """Sign of each member's net gamma at spot: that of the node below, turned by each zero between the two.

    Units: spot and spots in USD. Shapes: (m,), (M, m) -> (M,). Domain: spots[0] <= spot.
    """
    node = int(np.searchsorted(spots, spot, side="right")) - 1
    between = roots.member[(roots.level > spots[node]) & (roots.level <= spot)]
    turned = np.bincount(between, minlength=roots.size) % 2 == 1
    return np.asarray(np.where(turned, -1.0, 1.0) * np.sign(profiles[:, node]))
