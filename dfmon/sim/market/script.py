"""Scripts of the simulated market: phases that lead spot, volatility, the dealers' book and forced orders.

A script fixes the start, the book that customers have built until then, and what each phase does. Between the fixed
points the market keeps its own noise. `find_script` knows them by name.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate

from dfmon.model.units import MINUTE


@dataclass(frozen=True, slots=True)
class BookLine:
    """Customers' orders in one option: `side` +1 buys. `delivery` 0 is the first delivery after the script's start."""

    delivery: int
    strike: float
    sign: int
    side: int
    coins: float
    closes: bool = False


@dataclass(frozen=True, slots=True)
class Phase:
    """One leg of the walk. `spot` (USD) and `vol` (short-dated, decimal) are those at its end.

    `scenario` is the bucket that the true book is in by the middle of the phase, "" where none is meant. `orders` trade
    within its first minutes, `liquidations` is the forced flow in USD a minute (negative: longs are sold out), and
    while `feeds_lost` neither channels nor REST deliver.
    """

    name: str
    minutes: float
    spot: float
    vol: float
    scenario: str = ""
    orders: tuple[BookLine, ...] = ()
    liquidations: float = 0.0
    feeds_lost: bool = False


@dataclass(frozen=True)
class Script:
    """A walk of one coin. `speed` is market time per wall time; the scales are shares of the usual market's.

    `history` is the share of the usual customers' prints before the start, `book` what is traded besides.
    """

    name: str
    currency: str
    start_ns: int
    speed: float
    volume_scale: float
    depth_scale: float
    history: float
    spot: float
    vol: float
    book: tuple[BookLine, ...]
    phases: tuple[Phase, ...] = field(default_factory=tuple)

    @cached_property
    def phase_ends_ns(self) -> tuple[int, ...]:
        """Market time at the end of each phase."""
        minutes = accumulate(phase.minutes for phase in self.phases)
        return tuple(self.start_ns + int(minute * MINUTE) for minute in minutes)

    @property
    def end_ns(self) -> int:
        return self.phase_ends_ns[-1]

    def phase_start_ns(self, index: int) -> int:
        """Market time at the start of a phase."""
        return self.phase_ends_ns[index - 1] if index else self.start_ns

    def phase_index(self, now_ns: int) -> int | None:
        """Index of the phase at `now_ns`; None after the last."""
        index = bisect_right(self.phase_ends_ns, now_ns)
        return index if index < len(self.phases) else None

    def targets(self, now_ns: int) -> tuple[float, float] | None:
        """Log spot and log volatility on the way to the end of the phase; None after the last."""
        index = self.phase_index(now_ns)
        if index is None:
            return None
        start_ns, end_ns = self.phase_start_ns(index), self.phase_ends_ns[index]
        share = min(max((now_ns - start_ns) / (end_ns - start_ns), 0.0), 1.0)
        before = self.phases[index - 1] if index else None
        spot, vol = (before.spot, before.vol) if before else (self.spot, self.vol)
        phase = self.phases[index]
        return (
            math.log(spot) + share * math.log(phase.spot / spot),
            math.log(vol) + share * math.log(phase.vol / vol),
        )
