"""Crossings of the gamma flip: net gamma at spot has changed sign, spot is clear of the edge's band, and stays so.

An edge has a band of 5 to 95 % over the ensemble; spot inside it is on neither side. What caused a crossing is told
apart by the edges that stood before it: spot went through one of them, or they moved and spot did not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

from dfmon.core.flip.regime import Regime, RegimeEdge
from dfmon.model.units import SECOND

CLEAR_NS: Final = 10 * SECOND  # spot must be clear of the band for so long
CrossingCause = Literal["spot", "book"]


@dataclass(frozen=True, slots=True)
class FlipSide:
    """The side of net gamma that spot is clear on, 0 before the first, and the levels of the edges around it then.

    `candidate` is another side, clear since `candidate_since_ns`.
    """

    side: int
    below: float | None
    above: float | None
    candidate: int
    candidate_since_ns: int

    @classmethod
    def initial(cls) -> FlipSide:
        return cls(0, None, None, 0, 0)


@dataclass(frozen=True, slots=True)
class Crossing:
    """A change of the side to `side`. `edge` is the one behind spot now, None where there is none any more."""

    side: int
    cause: CrossingCause
    up: bool
    edge: RegimeEdge | None


def update_flip_side(
    state: FlipSide, regime: Regime | None, spot: float, ts_ns: int
) -> tuple[FlipSide, Crossing | None]:
    """The side after this tick, and the crossing that it completes.

    Units: USD. Domain: without a regime, as while inputs are stale, the side is kept and its candidate forgotten.
    """
    if regime is None or not regime.side or not _is_clear(regime, spot):
        return replace(state, candidate=0, candidate_since_ns=0), None
    below, above = (None if edge is None else edge.level for edge in (regime.below, regime.above))
    if regime.side == state.side:
        return FlipSide(state.side, below, above, 0, 0), None
    if state.side and regime.side != state.candidate:
        return replace(state, candidate=regime.side, candidate_since_ns=ts_ns), None
    if state.side and ts_ns - state.candidate_since_ns < CLEAR_NS:
        return state, None
    after = FlipSide(regime.side, below, above, 0, 0)
    return after, _crossing(state, regime, spot) if state.side else None


def _is_clear(regime: Regime, spot: float) -> bool:
    """True where spot is outside the bands of the edges around it; an edge of under half of the members has none."""
    low, high = regime.below, regime.above
    clear_of_low = low is None or (low.p is None or (low.high is not None and spot > low.high))
    clear_of_high = high is None or (high.p is None or (high.low is not None and spot < high.low))
    return clear_of_low and clear_of_high


def _crossing(state: FlipSide, regime: Regime, spot: float) -> Crossing:
    if state.above is not None and spot > state.above:
        return Crossing(regime.side, "spot", True, regime.below)
    if state.below is not None and spot < state.below:
        return Crossing(regime.side, "spot", False, regime.above)
    edges = [edge for edge in (regime.below, regime.above) if edge is not None]
    nearest = min(edges, key=lambda edge: abs(edge.level - spot), default=None)
    return Crossing(regime.side, "book", nearest is regime.below, nearest)
