"""One book measured: roll-ups and flip of the mean position, and of every member of the ensemble.

Comes after `columns`; everything that follows in a step only reads these numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from dfmon.core.columns import Columns
from dfmon.core.gamma_flip import Flip, Stickiness, find_flip, flip_band, flip_members
from dfmon.core.greek_calc import Numeraire
from dfmon.core.pairing import Pairing
from dfmon.core.vanna_charm_volga import Totals, UnitExposure, member_totals, totals, unit_exposures
from dfmon.model.frames import F64, ChainFrame

BAND: Final = (0.05, 0.95)


@dataclass(frozen=True, slots=True)
class Exposure:
    """Roll-ups in USD as `Totals`; `members` (7, M) in the order of METRICS, None without an ensemble.

    `flip` is None while there is no spot. `flip_lo` and `flip_hi` are its band, `p_none` the share of members
    without a flip; all None without an ensemble.
    """

    unit: UnitExposure
    totals: Totals
    members: F64 | None
    flip: Flip | None
    flip_lo: float | None
    flip_hi: float | None
    p_none: float | None

    def band(self, metric: int) -> tuple[float | None, float | None]:
        """5 % and 95 % quantiles of one roll-up over the ensemble."""
        return (None, None) if self.members is None else quantiles(self.members[metric])


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
    unit = unit_exposures(
        cols.forward,
        cols.strike,
        cols.sigma,
        cols.tau,
        cols.option_type,
        average=cols.average,
        numeraire=numeraire,
        inverse=frame.inverse[cols.rows],
    )
    members = None if cols.members is None else member_totals(unit, cols.members)
    flip, low, high, none = _flips(frame.spot, cols, stickiness)
    return Exposure(unit, totals(unit, cols.position), members, flip, low, high, none)


def _flips(
    spot: float, cols: Columns, stickiness: Stickiness
) -> tuple[Flip | None, float | None, float | None, float | None]:
    if not spot > 0.0 or not cols.size:
        return None, None, None, None
    points = Pairing.of(cols.strike, cols.expiry_code, cols.option_type).points(cols.forward, cols.sigma, cols.tau)
    at = points.option
    chain = cols.forward[at], cols.terms.strike[at], cols.sigma[at], cols.terms.tau[at]
    share, expiry = cols.terms.share[at], cols.expiries[cols.expiry_code[at]]
    flip = find_flip(spot, *chain, points.add(cols.position) * share, stickiness=stickiness, expiry=expiry)
    if cols.members is None:
        return flip, None, None, None
    members = points.add(cols.members) * share[:, None]
    levels = flip_members(spot, *chain, members, stickiness=stickiness, expiry=expiry)
    return flip, *flip_band(levels)
