"""Price impact of a trade under two laws: linear in the depth of the books, and the square root of its volume.

A static book overstates what a patient order moves and understates a small one's effect, so the two make an interval.
They cross at `crossing_usd`: below it the square root is the larger one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

ImpactLaw = Literal["linear", "sqrt"]
_DEPTH_RANGE: Final = 0.01  # the move that the depth is quoted for
_SQRT_COEFFICIENT: Final = 1.0  # Y: of order one on every market it was measured on


@dataclass(frozen=True, slots=True)
class Impact:
    """Moves as fractions of the price, both positive, of a trade of `usd`."""

    usd: float
    linear: float
    sqrt: float
    crossing_usd: float

    def by_law(self, law: ImpactLaw) -> float:
        """The move under the law that is in force."""
        return self.linear if law == "linear" else self.sqrt


def impact(usd: float, depth_usd: float, daily_volume_usd: float, sigma: float) -> Impact | None:
    """Impact of a trade of |usd|.

    Units: USD; `depth_usd` moves the mid 1 %; `sigma` decimal per sqrt(year). Domain: None unless all are positive.
    Source: Donier & Bonart (2015), "A million metaorder analysis of market impact on the Bitcoin".

    >>> impact(-3e8, 3e8, 2e10, 0.5).linear
    0.01
    """
    if not (depth_usd > 0.0 and daily_volume_usd > 0.0 and sigma > 0.0) or not math.isfinite(usd):
        return None
    daily_sigma = _SQRT_COEFFICIENT * sigma / math.sqrt(365.0)
    return Impact(
        usd=abs(usd),
        linear=_DEPTH_RANGE * abs(usd) / depth_usd,
        sqrt=daily_sigma * math.sqrt(abs(usd) / daily_volume_usd),
        crossing_usd=(daily_sigma * depth_usd / _DEPTH_RANGE) ** 2 / daily_volume_usd,
    )
