"""Exposure of one book: roll-ups and flip of the mean position, and of every member of the ensemble.

A call and a put of one strike and expiry are priced as one point while their columns agree.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np

from dfmon.core.columns import Columns
from dfmon.core.exposure.unit_exposure import UnitExposure, unit_exposures
from dfmon.core.exposure.vanna_charm_volga import RollUp, Totals, member_totals, roll_up
from dfmon.core.flip.gamma_flip import GammaFlip, find_flip, flip_band, flip_members
from dfmon.core.flip.grid import Stickiness
from dfmon.core.positions.counter_rng import OFF_VENUE, common_normals
from dfmon.core.pricing.greek_calc import Numeraire
from dfmon.core.pricing.pairing import Pairing, PricingPoints
from dfmon.core.pricing.settlement import DAY
from dfmon.model.frames import F64, ChainFrame
from dfmon.model.metrics import EXPOSURE_NAMES, EXPOSURES

BAND_QUANTILES: Final = (0.05, 0.95)
NORMAL_95: Final = NormalDist().inv_cdf(0.95)


@dataclass(frozen=True, slots=True)
class PricedBoard:
    """One coin of each option of a board, priced once for all books on it.

    `unit` is what +1 coin is worth at each of the `points`; the profile is summed over `profile_points`.
    """

    unit: UnitExposure
    points: PricingPoints
    profile_points: PricingPoints

    def unit_ngi(self) -> F64:
        """NGI of +1 coin of each option."""
        return np.asarray(self.unit.ngi[self.points.point])


@dataclass(frozen=True, slots=True)
class Exposure:
    """Roll-ups in USD; `members` (exposures, M) in the order of EXPOSURE_NAMES, None without an ensemble.

    `board` prices one coin of each option, `sums` are those of the book, `off_venue_risk` (exposures,) is the standard
    deviation that books on other venues add to each roll-up. `flip` is None while there is no spot. `flip_lo` and
    `flip_hi` are its band, `p_none` the share of members without a flip; all None without an ensemble.
    """

    board: PricedBoard
    sums: RollUp
    members: F64 | None
    off_venue_risk: F64
    flip: GammaFlip | None
    flip_lo: float | None
    flip_hi: float | None
    p_none: float | None

    def band(self, weights: F64) -> tuple[float | None, float | None]:
        """5 % and 95 % quantiles of a weighted sum of the roll-ups over the ensemble; one weight per roll-up.

        The book on other venues is independent of the observed one, so its variance adds to that of the band.
        """
        if self.members is None:
            return None, None
        low, high = band_quantiles(weights @ self.members)
        if not self.off_venue_risk.any():
            return low, high
        value = float(weights @ self.totals.to_array())
        off_venue_width = NORMAL_95 * float(np.abs(weights) @ self.off_venue_risk)
        return value - math.hypot(value - low, off_venue_width), value + math.hypot(high - value, off_venue_width)

    @property
    def totals(self) -> Totals:
        return self.sums.totals


def band_quantiles(values: F64) -> tuple[float, float]:
    """5 % and 95 % quantiles of the members.

    Shapes: (M,) -> two scalars. Domain: finite, M >= 1. Source: Hyndman & Fan (1996), definition 7.
    """
    low, high = np.quantile(values, BAND_QUANTILES)
    return float(low), float(high)


def price_board(frame: ChainFrame, cols: Columns, numeraire: Numeraire) -> PricedBoard:
    """Prices one coin of each option.

    Units: USD. Shapes: as `PricedBoard`. Domain: any board, also an empty one.
    """
    pairing = Pairing.from_listing(cols.strike, cols.expiry_code, cols.option_type)
    points = _exposure_points(pairing, cols, numeraire)
    at = points.option
    unit = unit_exposures(
        cols.forward[at],
        cols.strike[at],
        cols.sigma[at],
        cols.tau[at],
        cols.option_type[at],
        average=None if cols.average is None else cols.average[at],
        numeraire=numeraire,
        inverse=frame.inverse[cols.rows[at]],
    )
    return PricedBoard(unit, points, pairing.points(cols.forward, cols.sigma, cols.tau))


def measure_exposure(
    board: PricedBoard, cols: Columns, spot: float, stickiness: Stickiness, off_venue_sd: float = 0.0
) -> Exposure:
    """Roll-ups and flip of the book of `cols` on a board priced from the same rows.

    `off_venue_sd` is the standard deviation of the book on other venues, as a share of the observed book without its
    signs. The flip is that of the dollar gamma under either numeraire.

    Units: USD. Shapes: as `Exposure`. Domain: an empty book has zero totals and no flip.
    """
    unit, points = board.unit, board.points
    cell = cols.cell[points.option]
    sums = roll_up(unit, points.sum_exposure(cols.position), cell, cols.expiries.size, cols.strikes.size)
    members = None if cols.members is None else member_totals(unit.for_rows(points.point), cols.members)
    off_venue_risk = np.zeros(len(EXPOSURE_NAMES))
    if off_venue_sd > 0.0:
        off_venue_risk = off_venue_sd * (np.abs(unit.for_rows(points.point).matrix) @ np.abs(cols.position))
    flip, band = _find_flip(spot, cols, board.profile_points, stickiness, off_venue_sd)
    return Exposure(board, sums, members, off_venue_risk, flip, *band)


def _exposure_points(pairing: Pairing, cols: Columns, numeraire: Numeraire) -> PricingPoints:
    """A call and its put on one point where every exposure is the same for both."""
    equality = {spec.same_for_call_and_put for spec in EXPOSURES}
    if numeraire == "coin" or "never" in equality:  # in coin the premium makes all deltas differ
        return PricingPoints.unmerged(cols.size)
    keep_separate = cols.tau <= DAY if "beyond a day" in equality else None
    return pairing.points(cols.forward, cols.sigma, cols.tau, keep_separate=keep_separate)


def _find_flip(
    spot: float, cols: Columns, points: PricingPoints, stickiness: Stickiness, off_venue_sd: float
) -> tuple[GammaFlip | None, tuple[float | None, float | None, float | None]]:
    """The flip, its band and the share of members without one."""
    no_band = None, None, None
    if not spot > 0.0 or not cols.size:
        return None, no_band
    at = points.option
    chain = cols.forward[at], cols.terms.strike[at], cols.sigma[at], cols.terms.tau[at]
    share, expiry = cols.terms.share[at], cols.expiries[cols.expiry_code[at]]
    exposure = points.sum_exposure(cols.position) * share
    flip = find_flip(spot, *chain, exposure, stickiness=stickiness, expiry=expiry)
    if cols.members is None:
        return flip, no_band
    members = points.sum_exposure(cols.members)
    if off_venue_sd > 0.0:
        gross = points.sum_exposure(np.abs(cols.position))
        members = members + gross[:, None] * (off_venue_sd * common_normals(OFF_VENUE))
    levels = flip_members(spot, *chain, members * share[:, None], stickiness=stickiness, expiry=expiry)
    return flip, flip_band(levels)
