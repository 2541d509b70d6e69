"""HPP, the hedge-pressure projection: sign(dS) NGI + a VSS + b CHL, USD per 1 %. Positive: dealers must sell.

a and b put the three terms on the scale of a move of spot of 1 % (`move_scale`); they are published with every value,
because a number scaled by hidden factors cannot be checked.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from dfmon.core.scenario.dimensions import UsdPerDay, UsdPerPercent, UsdPerPoint
from dfmon.core.scenario.move_scale import MoveScale

DEAD_BAND: Final = 0.25  # of sigma sqrt(look-back): a smaller move has no sign


def move_sign(log_return: float, sigma: float, span_years: float) -> int:
    """Sign of a spot move, 0 inside the dead band of a quarter of a standard deviation.

    Without a dead band HPP would change sign at every tick.

    Units: log return; sigma decimal; span in years. Domain: NaN anywhere gives 0.

    >>> move_sign(0.002, 0.5, 15 / 525600), move_sign(0.0001, 0.5, 15 / 525600), move_sign(-0.01, 0.5, 15 / 525600)
    (1, 0, -1)
    """
    band = DEAD_BAND * sigma * math.sqrt(max(span_years, 0.0))
    return 1 if log_return > band else -1 if log_return < -band else 0


def remembered_sign(previous: int, log_return: float | None, sigma: float, span_years: float) -> int:
    """Sign of the move of spot: inside the dead band that of the last move that left it.

    Units: log return; sigma decimal; span in years. Domain: without a move there is no sign, 0; with one inside the
    band and nothing to remember it is 0 too.

    >>> quarter = 15 / 525600
    >>> remembered_sign(1, -0.0005, 0.5, quarter), remembered_sign(1, -0.0007, 0.5, quarter)
    (1, -1)
    """
    if log_return is None:
        return 0
    return move_sign(log_return, sigma, span_years) or previous


@dataclass(frozen=True, slots=True)
class PressureTerms:
    """HPP by cause: delta that dealers must sell per 1 % of spot."""

    gamma: UsdPerPercent
    vanna: UsdPerPercent
    charm: UsdPerPercent

    @property
    def total(self) -> UsdPerPercent:
        return self.gamma + self.vanna + self.charm


def pressure_terms(
    ds_sign: int,
    ngi: UsdPerPercent,
    vss: UsdPerPoint,
    chl: UsdPerDay,
    scale: MoveScale,
    gamma_share: float = 1.0,
    vanna_charm_share: float = 1.0,
) -> PressureTerms:
    """The three terms of HPP, each linear in its own roll-up. Positive: dealers must sell.

    `gamma_share` and `vanna_charm_share` are the shares of the hedge that is traded.
    """
    return PressureTerms(
        gamma=ngi.scaled(ds_sign * gamma_share),
        vanna=vss.per_percent(scale.alpha).scaled(vanna_charm_share),
        charm=chl.per_percent(scale.beta).scaled(vanna_charm_share),
    )
