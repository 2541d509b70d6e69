"""Hedge trades if spot moves: every option repriced at the moved forward, with the volatility that goes with the move.

Comes after reprice. The trades of one coin are computed once for all position models, then weighed with each book.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from dfmon.core.exposure.band_scales import BAND_SCALES
from dfmon.core.exposure.bands import bands_of_sums
from dfmon.core.exposure.desks import HedgeShares
from dfmon.core.exposure.reprice import MarketState, Options, open_share, unit_deltas, zero_if_nan
from dfmon.core.exposure.volatility_move import tenor_of
from dfmon.core.pricing.black import F64
from dfmon.core.pricing.settlement import HOUR, time_at_end

MIN_SIGMA: Final = 0.01  # volatility after the move at least, decimal


class BetaEstimate(NamedTuple):
    """Beta of volatility to spot and its standard deviation by tenor, (TENORS,), points per +1 %.

    `pairs` is the weight of the quarters of an hour that were measured.
    """

    value: F64
    sd: F64
    pairs: F64


class Case(NamedTuple):
    """A move of spot as a fraction, and whether an hour passes on the way, at most up to an option's own window."""

    name: str
    move: float
    hour_passes: bool


@dataclass(frozen=True, slots=True)
class OutlookUnits:
    """Dealer trade of one coin in each case, (cases, n): USD, + = dealers buy.

    `full` with volatility and time, `spot` with the move of spot alone, `beta_shift` the change of `full` with a beta
    one standard deviation higher.
    """

    cases: tuple[Case, ...]
    full: F64
    spot: F64
    beta_shift: F64


@dataclass(frozen=True, slots=True)
class Outlook:
    """Hedge trade of a book in one case, its 5-95 % band, and the part of spot alone. USD, + = dealers buy."""

    name: str
    value: float
    lo: float | None
    hi: float | None
    spot: float


def outlook_cases(sigma: float) -> tuple[Case, ...]:
    """Spot 1 % up or down at once, one standard deviation of an hour up or down within the hour, and at rest.

    Units: `sigma` decimal per sqrt(year). Domain: without a positive volatility only the other cases.
    """
    sd = sigma * math.sqrt(HOUR) if sigma > 0.0 else 0.0
    within_hour = (Case("+1 sd", sd, True), Case("-1 sd", -sd, True)) if sd else ()
    return Case("+1 %", 0.01, False), Case("-1 %", -0.01, False), *within_hour, Case("1 h", 0.0, True)


def outlook_units(options: Options, state: MarketState, cases: tuple[Case, ...], beta: BetaEstimate) -> OutlookUnits:
    """Trades of one coin of each option in each case.

    The average of a settlement under way stays where it is, and so does its open share.

    Units: as the results. Shapes: (n,) -> (cases, n). Domain: an option that cannot be priced has no trade.
    Source: delta hedging of each option on its own forward.
    """
    average = np.where(np.isnan(state.average), state.forward, state.average)
    tenor, share = tenor_of(state.tau), open_share(state.tau)
    mean, shifted = beta.value[tenor], (beta.value + beta.sd)[tenor]
    moves = [case for case in cases if case.move]
    # each reprice: move of spot, points per +1 % of it, whether an hour passes; first none at all
    reprices = [
        (0.0, mean, False),
        *((case.move, mean, case.hour_passes) for case in cases),
        *((case.move, 0.0 * mean, False) for case in moves),
        *((case.move, shifted, case.hour_passes) for case in moves),
    ]
    later = time_at_end(state.tau, HOUR)
    forward = np.array([state.forward * (1.0 + move) for move, _, _ in reprices])
    sigma = np.array([np.maximum(state.sigma + move * points, MIN_SIGMA) for move, points, _ in reprices])
    tau = np.array([later if hour_passes else state.tau for _, _, hour_passes in reprices])
    delta = unit_deltas(options, forward, sigma, tau, average)
    trade = zero_if_nan(-forward * share * (delta - delta[0]))
    full = trade[1 : len(cases) + 1]
    spot, beta_shift = np.zeros(full.shape), np.zeros(full.shape)
    at = [i for i, case in enumerate(cases) if case.move]
    spot[at], of_shifted = np.split(trade[len(cases) + 1 :], 2)
    beta_shift[at] = of_shifted - full[at]
    return OutlookUnits(cases, full, spot, beta_shift)


def outlook(
    units: OutlookUnits, position: F64, members: F64 | None, shares: tuple[HedgeShares, ...], off_venue_sd: float = 0.0
) -> tuple[Outlook, ...]:
    """The trade of a book in each case; `shares` of the desks that hedge by case.

    The band is that of the members, widened by the uncertainty of the beta, which does not depend on them.

    Units: coins -> USD. Shapes: (n,), (n, M). Domain: finite positions.
    """
    gamma, rest = np.array([[traded.gamma, traded.vanna_charm] for traded in shares]).T
    unit = gamma[:, None] * units.spot + rest[:, None] * (units.full - units.spot)
    value, spot = unit @ position, gamma * (units.spot @ position)
    off_venue = off_venue_sd * (np.abs(unit) @ np.abs(position))
    other_sd = np.hypot(off_venue, rest * (units.beta_shift @ position))
    low, high = bands_of_sums(unit, position, members, value, other_sd, BAND_SCALES["outlook"])
    names = (case.name for case in units.cases)
    return tuple(Outlook(*row) for row in zip(names, value.tolist(), low, high, spot.tolist()))
