"""The price process that both kinds of market with feedback share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from dfmon.sim.feedback.cascades import CascadeSpec
from dfmon.sim.feedback.desks import Desk

TREND_DECAY: Final = 0.9
PSI_LIMIT: Final = 0.8  # beyond it the market would not be stable


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceSpec:
    """Returns of a market. `response` is the share of the hedging that acts on the price: 0 is a clean null.

    `vol_on_psi` is the change of log volatility per standard deviation of psi, or per psi where a book makes it;
    `momentum` mean and standard deviation of the weight of the trend in the next return.
    """

    response: float = 1.0
    vol: float = 0.5
    vol_of_vol: float = 1.8
    vol_half_life_days: float = 2.0
    vol_on_psi: float = 0.0
    jumps_per_day: float = 1.5
    jump_size: float = 0.006
    momentum: tuple[float, float] = (0.0, 0.0)
    cascades: CascadeSpec = field(default_factory=CascadeSpec)
    desks: tuple[Desk, ...] = (Desk(),)
