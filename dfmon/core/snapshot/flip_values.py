"""The flip, the regime and the net gamma profile in the snapshot, and the reasons for their missing numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final, Literal

from dfmon.core.flip import regime as core_regime
from dfmon.core.flip.gamma_flip import GammaFlip
from dfmon.core.scenario.tick_result import TickResult
from dfmon.model.flip import Flip, FlipRoot, HorizonFlip, Quality, Regime, RegimeEdge
from dfmon.model.tables import Profile

_SIDES: Final[dict[int, Literal["long", "short"] | None]] = {1: "long", -1: "short", 0: None}
_HORIZON_NAMES: Final = {"today": "within 24 hours", "week": "within a week", "all": "at all"}


def flip(tick: TickResult, quality: Quality) -> Flip:
    """The flip of all expiries, and by horizon."""
    flips, spot = tick.exposure.flips, tick.chain.spot
    if flips is None:
        return Flip(None, None, None, None, None, None, None, (), None, 0, "absent", tick.age_s)
    found, edge = flips.flip, flips.regime.nearest
    distance = None if found.level is None else spot - found.level
    share = None if distance is None else distance / spot
    daily_sigma = tick.sigma / math.sqrt(365.0)
    return Flip(
        level=found.level,
        lo=None if edge is None else edge.low,
        hi=None if edge is None else edge.high,
        p_none=flips.regime.p_none,
        distance_usd=distance,
        distance_pct=None if share is None else share * 100.0,
        distance_sigma=None if share is None or not daily_sigma > 0.0 else share / daily_sigma,
        roots=tuple(FlipRoot(root.level, _direction(root.rising)) for root in found.roots),
        searched=found.searched,
        net=found.sign,
        quality=quality,
        age_s=tick.age_s,
        by_horizon=tuple(_horizon_flip(name, flips.by_horizon[name]) for name in ("today", "week", "all")),
    )


def _direction(rising: bool) -> Literal["up", "down"]:
    return "up" if rising else "down"


def _horizon_flip(name: Literal["today", "week", "all"], found: GammaFlip) -> HorizonFlip:
    direction = next((_direction(root.rising) for root in found.roots if root.level == found.level), None)
    return HorizonFlip(name, found.level, direction, found.sign)


def regime(tick: TickResult) -> Regime:
    """The side of net gamma at spot, and its edges."""
    if tick.exposure.flips is None:
        return Regime()
    found = tick.exposure.flips.regime
    return Regime(_SIDES[found.side], found.agree, _edge(found.below), _edge(found.above))


def _edge(edge: core_regime.RegimeEdge | None) -> RegimeEdge | None:
    return None if edge is None else RegimeEdge(edge.level, edge.low, edge.high, _direction(edge.rising), edge.p)


def profile(tick: TickResult) -> Profile:
    """Net gamma against spot, with the band of the members."""
    if tick.exposure.flips is None:
        return Profile((), (), None, None)
    found, band = tick.exposure.flip, tick.exposure.flips.band
    assert found is not None
    low, high = (None, None) if band is None else (tuple(row) for row in band.tolist())
    return Profile(tuple(found.spots.tolist()), tuple(found.ngi.tolist()), low, high)


def missing_flip_reasons(tick: TickResult, flip: Flip, regime: Regime) -> Iterator[str]:
    """A sentence for each missing number of the flip and the regime."""
    if flip.searched is None:
        return
    low, high = flip.searched
    if flip.level is None:
        net = {1: "long", -1: "short", 0: "flat"}[flip.net]
        yield (
            f"flip.level, flip.lo, flip.hi, flip.distance, regime.below, regime.above: no sign change from {low:,.0f} "
            f"to {high:,.0f}, net {net} gamma throughout{_nearest_to_flip(tick)}"
        )
    elif regime.below is None:
        yield f"regime.below: no sign change down to {low:,.0f}"
    elif regime.above is None:
        yield f"regime.above: no sign change up to {high:,.0f}"
    if regime.side is None:
        yield "regime.side: net gamma is below a hundredth of its gross at every spot searched"
    if flip.level is not None and tick.exposure.members is not None:
        edges = {"flip": flip, "regime.below": regime.below, "regime.above": regime.above}
        missing = [name for name, edge in edges.items() if edge is not None and edge.lo is None]
        if missing:
            yield f"{', '.join(missing)}: no band, under half of the members have this flip"
    without = [
        f"{_HORIZON_NAMES[row.horizon]} {'no sign change' if row.net else 'no gamma'}"
        for row in flip.by_horizon
        if row.level is None
    ]
    if without:
        yield f"flip.by_horizon: of the options that expire {', '.join(without)}"


def _nearest_to_flip(tick: TickResult) -> str:
    """The point at which a book without a flip comes nearest to one."""
    found = tick.exposure.flip
    if found is None or not found.sign:
        return ""
    level, ngi = found.weakest_point(tick.chain.spot)
    return f"; weakest near {level:,.0f}, {ngi:+,.0f} USD per 1 %"
