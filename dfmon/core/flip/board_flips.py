"""Flip, regime and band of the profile of every book on a board, by horizon, from one scan of the nodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dfmon.core.flip.coin_gamma import CoinOptions
from dfmon.core.flip.gamma_flip import HORIZONS, GammaFlip
from dfmon.core.flip.grid import Stickiness
from dfmon.core.flip.joint_search import find_flips
from dfmon.core.flip.matching import sorted_quantiles
from dfmon.core.flip.member_roots import MemberRoots
from dfmon.core.flip.regime import AS_THE_MEMBERS, Calibration, Regime, find_regime
from dfmon.core.pricing.black import F64
from dfmon.core.pricing.settlement import Terms


class ProfileChain(NamedTuple):
    """Columns (n,) of the options that a profile is summed over; `coin` counts premium-adjusted gamma."""

    forward: F64
    sigma: F64
    tau: F64
    terms: Terms
    expiry: NDArray[np.generic]
    coin: CoinOptions | None


@dataclass(frozen=True, slots=True)
class BookFlips:
    """Flips of one book by the horizons of HORIZONS, and its regime over all expiries.

    `roots` are all zeros of the members, `band` is (2, m), 5 and 95 % of their profiles on the spots of the flip of all
    expiries; both None for a convention.
    """

    by_horizon: Mapping[str, GammaFlip]
    regime: Regime
    roots: MemberRoots | None
    band: F64 | None

    @property
    def flip(self) -> GammaFlip:
        """The flip of all expiries."""
        return self.by_horizon["all"]


def find_board_flips(
    spot: float,
    chain: ProfileChain,
    positions: Mapping[str, F64],
    members: F64 | None,
    stickiness: Stickiness,
    calibration: Calibration = AS_THE_MEMBERS,
) -> dict[str, BookFlips]:
    """Flips of each book, by its name. The members are those of the first book.

    Bands of the edges and of the profile are calibrated about those of the book, chances by the shares of the members.

    Units: spot in USD; positions and members in units of underlying. Shapes: positions (n,), members (n, M).
    Domain: spot > 0, at least one book.
    """
    horizons = sorted(HORIZONS, key=lambda horizon: -HORIZONS[horizon])
    within = np.stack([chain.tau <= HORIZONS[horizon] for horizon in horizons], axis=1) * chain.terms.share[:, None]
    books = np.stack(list(positions.values()), axis=1)
    if members is not None and np.minimum.reduce(chain.terms.share) < 1.0:
        members = members * chain.terms.share[:, None]
    found = find_flips(
        spot, chain.forward, chain.terms.strike, chain.sigma, chain.terms.tau,
        (books[:, :, None] * within[:, None, :]).reshape(chain.tau.size, -1),
        members,
        stickiness=stickiness, expiry=chain.expiry, coin=chain.coin,
    )  # fmt: skip
    flips = iter(found.flips)
    result: dict[str, BookFlips] = {}
    for name in positions:
        by_horizon = {horizon: next(flips) for horizon in horizons}
        if members is None or result:
            result[name] = BookFlips(by_horizon, find_regime(spot, by_horizon["all"]), None, None)
        else:
            regime = find_regime(spot, by_horizon["all"], found.roots, found.profiles, calibration)
            band = sorted_quantiles(np.sort(found.profiles.T, axis=1), found.roots.size)
            band = by_horizon["all"].ngi + calibration.profile * (band - by_horizon["all"].ngi)
            result[name] = BookFlips(by_horizon, regime, found.roots, band)
    return result
