"""The gamma flip: every zero of the net gamma profile of a book, and the one nearest to spot.

Zeros are bracketed on a grid in log spot and polished on all options.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dfmon.core.flip.coin_gamma import CoinOptions
from dfmon.core.flip.gamma_profile import GammaBumps
from dfmon.core.flip.grid import FlipInputs, Stickiness, flip_inputs, log_spot_nodes
from dfmon.core.flip.roots import zeros_between
from dfmon.core.flip.scan import (
    ProfileScan,
    scan_profile,
)
from dfmon.core.pricing.black import F64

SEARCH_RANGES: Final = (0.20, 0.35, 0.50)
HORIZONS: Final[Mapping[str, float]] = {"today": 1.0 / 365.0, "week": 7.0 / 365.0, "all": float("inf")}
"""Longest time to expiry of each, in years."""


@dataclass(frozen=True, slots=True)
class Root:
    """One zero of net gamma."""

    level: float
    rising: bool
    """Net gamma goes from negative to positive as spot rises through the level."""
    slope: float
    """USD per 1 %, per 1 % of spot."""


@dataclass(frozen=True, slots=True)
class GammaFlip:
    """The zeros found, and the profile they were found on."""

    level: float | None
    """The zero nearest to spot in ln S; None where net gamma keeps one sign."""
    roots: tuple[Root, ...]
    """All zeros in the searched range, ascending."""
    searched: tuple[float, float]
    sign: int
    """Sign of net gamma at spot, which holds throughout the range if there is no zero; 0 where it is undetermined:
    a book without gamma, or with less than FLAT_SHARE of its gross throughout."""
    spots: F64
    ngi: F64
    """Net gamma on `spots`, USD per 1 %."""

    def weakest_point(self, spot: float) -> tuple[float, float]:
        """The spot within SEARCH_RANGES[0] where net gamma is smallest in size, and its value: how close it comes to a
        flip.

        Units: USD; USD per 1 %. Further out every gamma dies away, so a minimum there carries no information.
        """
        in_range = np.abs(self.spots / spot - 1.0) <= SEARCH_RANGES[0]
        at = int(np.argmin(np.where(in_range, np.abs(self.ngi), np.inf)))
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
    ranges: tuple[float, ...] = SEARCH_RANGES,
    coin: CoinOptions | None = None,
) -> GammaFlip:
    """Finds all zeros of the net gamma profile within the first search range that has any.

    The caller applies the strike, time and share of `settlement_terms` (exposure times share), so that profile and
    roll-ups use one treatment. A subset of expiries is a call with their rows. Invalid, settled and unexposed rows
    are left out. Zeros are exact to the rounding of the sum over all options. A zero that net gamma only touches is
    not counted: dealers trade the same way on both sides of it, and the last digit decides whether it is touched.

    Units: spot, forward, strike in USD; sigma decimal; tau in years; exposure = dealer position x multiplier, in
    units of underlying, long = +; expiry any label (sticky moneyness only; default: equal times); `coin` counts
    premium-adjusted gamma.
    Shapes: (n,) each.
    Domain: spot > 0; columns any floats; ranges ascending in (0, 1).
    Source: net gamma profile as the sum of Black (1976) gammas; Newton-bisection: Press et al., Numerical Recipes,
    section 9.4, with Halley's third-order step.

    >>> k, one = np.array([90.0, 110.0]), np.ones(2)
    >>> flip = find_flip(100.0, 100 * one, k, 0.5 * one, 0.02 * one, np.array([-1.0, 1.0]))
    >>> round(flip.level, 6), flip.roots[0].rising, flip.sign
    (99.250308, True, 1)
    """
    inputs = flip_inputs(forward, strike, sigma, tau, exposure, stickiness, expiry, coin)
    if inputs is None:
        ends = spot * np.array([1.0 - ranges[-1], 1.0 + ranges[-1]])
        return GammaFlip(None, (), (float(ends[0]), float(ends[1])), 0, ends, np.zeros(2))
    live_exposure = exposure[inputs.rows]
    profile = _scan_until_zero(spot, inputs, live_exposure, ranges)
    spots = spot * np.exp(profile.y)
    searched = float(spots[0]), float(spots[-1])
    if profile.flat or not profile.low.size:
        sign = 0 if profile.flat else int(profile.signs[np.abs(profile.net).argmax()])
        return GammaFlip(None, (), searched, sign, spots, profile.net)
    roots, nearest_root = _roots(spot, inputs.book, live_exposure, profile)
    sign = 1 if nearest_root.rising == (nearest_root.level <= spot) else -1
    return GammaFlip(nearest_root.level, roots, searched, sign, spots, profile.net)


def _scan_until_zero(spot: float, inputs: FlipInputs, exposure: F64, ranges: tuple[float, ...]) -> ProfileScan:
    """The profile within the first range that has a zero, else within the last."""
    profile: ProfileScan | None = None
    for search_range in ranges:
        nodes = log_spot_nodes(spot, search_range, inputs.extra_nodes)
        profile = scan_profile(inputs.book, exposure, nodes, profile)
        if profile.low.size and not profile.flat:
            break
    assert profile is not None
    return profile


def _roots(spot: float, book: GammaBumps, exposure: F64, profile: ProfileScan) -> tuple[tuple[Root, ...], Root]:
    """Polished zeros, ascending, and the one nearest to spot."""
    net_before = profile.net[profile.low]
    zeros, slopes = zeros_between(book, exposure, profile.y, profile.net, profile.low, profile.high)
    columns = (spot * np.exp(zeros)).tolist(), (net_before < 0.0).tolist(), (slopes * 0.01).tolist()
    roots = tuple(Root(*row) for row in zip(*columns))
    return roots, roots[int(np.abs(zeros).argmin())]
