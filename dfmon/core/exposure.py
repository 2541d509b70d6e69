"""One book measured: roll-ups and flip of the mean position, and of every member of the ensemble.

Comes after `columns`; everything that follows in a step only reads these numbers. A call and a put of one strike and
expiry are priced as one point while their columns agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dfmon.core.columns import Columns
from dfmon.core.gamma_flip import Flip, Stickiness, find_flip, flip_band, flip_members
from dfmon.core.greek_calc import Numeraire
from dfmon.core.pairing import Pairing, Points
from dfmon.core.settlement import DAY
from dfmon.core.vanna_charm_volga import Totals, UnitExposure, group_totals, member_totals, totals, unit_exposures
from dfmon.model.frames import F64, ChainFrame

BAND: Final = (0.05, 0.95)


@dataclass(frozen=True, slots=True)
class Exposure:
    """Roll-ups in USD as `Totals`; `members` (7, M) in the order of METRICS, None without an ensemble.

    `unit` is what +1 coin is worth at each of the `points`, `held` the dealer position there.
    `flip` is None while there is no spot. `flip_lo` and `flip_hi` are its band, `p_none` the share of members
    without a flip; all None without an ensemble.
    """

    unit: UnitExposure
    points: Points
    held: F64
    totals: Totals
    members: F64 | None
    flip: Flip | None
    flip_lo: float | None
    flip_hi: float | None
    p_none: float | None

    def band(self, metric: int) -> tuple[float | None, float | None]:
        """5 % and 95 % quantiles of one roll-up over the ensemble."""
        return (None, None) if self.members is None else quantiles(self.members[metric])

    def by_group(self, codes: NDArray[np.intp], groups: int) -> F64:
        """Roll-ups (7, groups) of the book; `codes` number the groups of the options, pairs undivided."""
        return group_totals(self.unit, self.held, codes[self.points.option], groups)

    def unit_ngi(self) -> F64:
        """NGI of +1 coin of each option."""
        return np.asarray(self.unit.ngi[self.points.point])


def quantiles(values: F64) -> tuple[float, float]:
    """5 % and 95 % quantiles of the members.

    Units: of the values. Shapes: (M,) -> two scalars. Domain: finite, M >= 1.
    Source: Hyndman & Fan (1996), definition 7.
    """
    low, high = np.quantile(values, BAND)
    return float(low), float(high)


def measure(frame: ChainFrame, cols: Columns, numeraire: Numeraire, stickiness: Stickiness) -> Exposure:
    """Roll-ups and flip of the book.

    The flip is that of the dollar gamma under either numeraire.
    Units: USD. Shapes: as `Exposure`. Domain: an empty book has zero totals and no flip. Source: the kernels called.
    """
    pairing = Pairing.of(cols.strike, cols.expiry_code, cols.option_type)
    columns = cols.forward, cols.sigma, cols.tau
    # within a day settlement lifts other hedges of a call than of a put; in coin the premiums make all deltas differ
    apart = cols.tau <= DAY
    points = pairing.points(*columns, apart=apart) if numeraire == "usd" else Points.alone(cols.size)
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
    held = points.add(cols.position)
    members = None if cols.members is None else member_totals(unit.spread(points.point), cols.members)
    flip, low, high, none = _flips(frame.spot, cols, pairing.points(*columns), stickiness)
    return Exposure(unit, points, held, totals(unit, held), members, flip, low, high, none)


def _flips(
    spot: float, cols: Columns, points: Points, stickiness: Stickiness
) -> tuple[Flip | None, float | None, float | None, float | None]:
    if not spot > 0.0 or not cols.size:
        return None, None, None, None
    at = points.option
    chain = cols.forward[at], cols.terms.strike[at], cols.sigma[at], cols.terms.tau[at]
    share, expiry = cols.terms.share[at], cols.expiries[cols.expiry_code[at]]
    flip = find_flip(spot, *chain, points.add(cols.position) * share, stickiness=stickiness, expiry=expiry)
    if cols.members is None:
        return flip, None, None, None
    members = points.add(cols.members)
    members *= share[:, None]
    levels = flip_members(spot, *chain, members, stickiness=stickiness, expiry=expiry)
    return flip, *flip_band(levels)
