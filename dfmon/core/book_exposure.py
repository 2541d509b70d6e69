"""Exposure of one book: roll-ups of the mean position and of every member of the ensemble.

A call and a put of one strike and expiry are priced as one point while their columns agree.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from dfmon.core.columns import Columns
from dfmon.core.exposure.band_scales import BAND_SCALES, ODDS
from dfmon.core.exposure.bands import NORMAL_95, band_quantiles, bands_of_rows
from dfmon.core.exposure.unit_exposure import UnitExposure, unit_exposures
from dfmon.core.exposure.vanna_charm_volga import RollUp, Totals, member_totals, roll_up
from dfmon.core.flip.board_flips import BookFlips, ProfileChain, find_board_flips
from dfmon.core.flip.coin_gamma import CoinOptions
from dfmon.core.flip.gamma_flip import GammaFlip
from dfmon.core.flip.grid import Stickiness
from dfmon.core.flip.regime import Calibration
from dfmon.core.positions.calibration import ROLL_UP_SCALES
from dfmon.core.positions.counter_rng import OFF_VENUE, common_normals
from dfmon.core.pricing.greek_calc import Numeraire
from dfmon.core.pricing.pairing import Pairing, PricingPoints
from dfmon.core.pricing.settlement import DAY, Terms
from dfmon.model.frames import F64, ChainFrame
from dfmon.model.metrics import EXPOSURE_NAMES, EXPOSURES

SCALES: Final = {**ROLL_UP_SCALES, **BAND_SCALES}
"""By roll-up: how many times further than the members a band reaches."""


@dataclass(frozen=True, slots=True)
class PricedBoard:
    """One coin of each option of a board, priced once for all books on it.

    `unit` is what +1 coin is worth at each of the `points`; the profile is summed over `profile_points`. `coin` has
    the types of the options where they count in coin, None in dollars.
    """

    unit: UnitExposure
    points: PricingPoints
    profile_points: PricingPoints
    coin: CoinOptions | None

    def unit_ngi(self) -> F64:
        """NGI of +1 coin of each option."""
        return np.asarray(self.unit.ngi[self.points.point])


@dataclass(frozen=True, slots=True)
class Exposure:
    """Roll-ups in USD; `members` (exposures, M) in the order of EXPOSURE_NAMES, None without an ensemble.

    `board` prices one coin of each option, `sums` are those of the book, `off_venue_risk` (exposures,) is the standard
    deviation that books on other venues add to each roll-up. `flips` is None while there is no spot.
    """

    board: PricedBoard
    sums: RollUp
    members: F64 | None
    off_venue_risk: F64
    flips: BookFlips | None

    @property
    def flip(self) -> GammaFlip | None:
        """The flip of all expiries."""
        return None if self.flips is None else self.flips.flip

    def band(self, weights: F64, roll_up: str = "") -> tuple[float | None, float | None]:
        """5 % and 95 % quantiles of a weighted sum of the roll-ups over the ensemble; one weight per roll-up.

        The distance from the value of the book is multiplied by the calibrated scale of `roll_up`, if it has one.
        The book on other venues is independent of the observed one, so its variance adds to that of the band.
        """
        if self.members is None:
            return None, None
        value, other_risk = float(weights @ self.totals.to_array()), float(np.abs(weights) @ self.off_venue_risk)
        return _calibrated(band_quantiles(weights @ self.members), value, other_risk, roll_up)

    def bands(self) -> dict[str, tuple[float | None, float | None]]:
        """The band of each roll-up, by its name."""
        if self.members is None:
            return dict.fromkeys(EXPOSURE_NAMES, (None, None))
        rows = zip(EXPOSURE_NAMES, bands_of_rows(self.members).T.tolist(), self.off_venue_risk.tolist())
        return {name: _calibrated(bounds, getattr(self.totals, name), risk, name) for name, bounds, risk in rows}

    @property
    def totals(self) -> Totals:
        return self.sums.totals


def _calibrated(bounds: Sequence[float], value: float, other_risk: float, roll_up: str) -> tuple[float, float]:
    """The band at its calibrated distance from the value, widened by the risk of other venues.

    It reaches to the value where that, a mean, lies outside of quantiles that the limits of open interest skew.
    """
    scale, low, high = SCALES.get(roll_up, 1.0), min(bounds[0], value), max(bounds[1], value)
    if scale != 1.0:
        low, high = value + scale * (low - value), value + scale * (high - value)
    if not other_risk:
        return low, high
    off_venue_width = NORMAL_95 * other_risk
    return value - math.hypot(value - low, off_venue_width), value + math.hypot(high - value, off_venue_width)


def price_board(frame: ChainFrame, cols: Columns, numeraire: Numeraire) -> PricedBoard:
    """Prices one coin of each option.

    Units: USD. Shapes: as `PricedBoard`. Domain: any board, also an empty one.
    """
    pairing = _pairing(cols.strike.tobytes(), cols.expiry_code.tobytes(), cols.option_type.tobytes())
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
    if numeraire == "coin":
        coin = CoinOptions(cols.option_type, frame.inverse[cols.rows])
        return PricedBoard(unit, points, PricingPoints.unmerged(cols.size), coin)
    return PricedBoard(unit, points, pairing.points(cols.forward, cols.sigma, cols.tau), None)


def measure_exposure(
    board: PricedBoard, cols: Columns, flips: BookFlips | None = None, off_venue_sd: float = 0.0
) -> Exposure:
    """Roll-ups of the book of `cols` on a board priced from the same rows, with the flips found on it.

    `off_venue_sd` is the standard deviation of the book on other venues, as a share of the observed book without its
    signs.

    Units: USD. Shapes: as `Exposure`. Domain: an empty book has zero totals.
    """
    unit, points = board.unit, board.points
    cell = cols.cell[points.option]
    sums = roll_up(unit, points.sum_exposure(cols.position), cell, cols.expiries.size, cols.strikes.size)
    members = None if cols.members is None else member_totals(unit.for_rows(points.point), cols.members)
    off_venue_risk = np.zeros(len(EXPOSURE_NAMES))
    if off_venue_sd > 0.0:
        off_venue_risk = off_venue_sd * (np.abs(unit.for_rows(points.point).matrix) @ np.abs(cols.position))
    return Exposure(board, sums, members, off_venue_risk, flips)


def flips_of_books(
    spot: float, board: PricedBoard, books: Mapping[str, Columns], stickiness: Stickiness, off_venue_sd: float = 0.0
) -> dict[str, BookFlips]:
    """Flips of each book, by its name; empty without a spot or without options.

    `off_venue_sd` is as in `measure_exposure`: it widens the bands.

    Units: spot in USD. Domain: `books` are on the rows that the board was priced from; at most one has members.
    """
    names = sorted(books, key=lambda name: books[name].members is None)  # members belong to the first book
    if not names or not spot > 0.0 or not books[names[0]].size:
        return {}
    cols, points = books[names[0]], board.profile_points
    at = points.option
    terms = Terms(*(column[at] for column in cols.terms))
    expiry, coin = cols.expiries[cols.expiry_code[at]], None if board.coin is None else board.coin.take(at)
    chain = ProfileChain(cols.forward[at], cols.sigma[at], cols.tau[at], terms, expiry, coin)
    positions = {name: points.sum_exposure(books[name].position) for name in names}
    members = None if cols.members is None else points.sum_exposure(cols.members)
    if members is not None and off_venue_sd > 0.0:
        gross = points.sum_exposure(np.abs(cols.position))
        members = members + gross[:, None] * (off_venue_sd * common_normals(OFF_VENUE))
    calibration = Calibration(SCALES["edges"], SCALES["ngi"], ODDS["sign"], ODDS["flip"])
    return find_board_flips(spot, chain, positions, members, stickiness, calibration)


@lru_cache(maxsize=16)
def _pairing(strike: bytes, expiry_code: bytes, option_type: bytes) -> Pairing:
    """The pairs of a listing, which is the same from tick to tick."""
    return Pairing.from_listing(np.frombuffer(strike), np.frombuffer(expiry_code, np.intp), np.frombuffer(option_type))


def _exposure_points(pairing: Pairing, cols: Columns, numeraire: Numeraire) -> PricingPoints:
    """A call and its put on one point where every exposure is the same for both."""
    equality = {spec.same_for_call_and_put for spec in EXPOSURES}
    if numeraire == "coin" or "never" in equality:  # in coin the premium makes all deltas differ
        return PricingPoints.unmerged(cols.size)
    keep_separate = cols.tau <= DAY if "beyond a day" in equality else None
    return pairing.points(cols.forward, cols.sigma, cols.tau, keep_separate=keep_separate)
