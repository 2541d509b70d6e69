"""Dealers are not one desk: how much of the book's hedge is traded at a move, and the risk that other venues hold.

Comes after positions and roll-ups. Both are what-ifs of the user: they change what dealers do and how sure we are,
never what they hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

OFF_VENUE_SD: Final = 0.3  # of the gross exposure of the unseen book: how lopsided it may be


class Desk(msgspec.Struct, frozen=True):
    """A share of the dealers that trades `ratio` of its delta. `cost` of a hedge trade is a fraction of its notional.

    A desk without cost hedges at every move; one with cost waits until its delta has left a band.
    """

    share: float
    ratio: float = 1.0
    cost: float = 0.0

    @property
    def in_range(self) -> bool:
        """Share and cost from 0 to 1, ratio from 0 to 2."""
        return 0.0 <= self.share <= 1.0 and 0.0 <= self.ratio <= 2.0 and 0.0 <= self.cost <= 1.0


@dataclass(frozen=True, slots=True)
class HedgeShares:
    """Shares of the book's hedge that are traded: `gamma` at this move, `vanna_charm` as volatility and time pass."""

    gamma: float = 1.0
    vanna_charm: float = 1.0


def hedge_shares(
    desks: tuple[Desk, ...], risk_aversion: float, ngi: float, spot: float, move_usd: float
) -> HedgeShares:
    """Hedge trades of the desks after a move of spot.

    The half-width of a desk's no-trade band is (3/2 cost S gamma^2 / risk aversion)^(1/3) in delta, so that it trades
    once |dS| > (3/2 cost S / (risk aversion gamma))^(1/3), with gamma its share of the book's.
    Units: risk aversion 1/USD; NGI USD per 1 %; spot and move USD. Shapes: scalars. Domain: shares add up to 1;
    without gamma a desk with cost never trades for it.
    Source: Whalley & Wilmott (1997), small-cost asymptotics.

    >>> hedge_shares((Desk(0.5), Desk(0.35, 1.0, 0.0005), Desk(0.15, 0.0)), 1e-6, 3e7, 1e5, 500.0)
    HedgeShares(gamma=0.5, vanna_charm=0.85)
    >>> hedge_shares((Desk(0.5), Desk(0.35, 1.0, 0.0005), Desk(0.15, 0.0)), 1e-6, 3e7, 1e5, 1500.0).gamma
    0.85
    """
    gamma_hedged = vanna_charm = 0.0
    for desk in desks:
        weight = desk.share * desk.ratio
        vanna_charm += weight
        desk_gamma = desk.share * abs(ngi) / (0.01 * spot * spot) if spot > 0.0 else 0.0
        if desk.cost == 0.0 or abs(move_usd) ** 3 * risk_aversion * desk_gamma > 1.5 * desk.cost * spot:
            gamma_hedged += weight
    return HedgeShares(gamma_hedged, vanna_charm)


def off_venue_sd(venue_share: float) -> float:
    """Standard deviation of what other venues hold, as a share of the book seen here taken without its signs.

    U ~ N(0, (rho G (1/c - 1))^2) with G the gross exposure seen and c this venue's share of all open interest: the
    value of a roll-up stays, its band widens, and at c = 1 nothing changes.
    Shapes: scalar. Domain: 0 < c <= 1. Source: rho is an assumption.

    >>> off_venue_sd(1.0), round(off_venue_sd(0.4), 3)
    (0.0, 0.45)
    """
    return OFF_VENUE_SD * (1.0 / venue_share - 1.0)
