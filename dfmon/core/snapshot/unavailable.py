"""Why a number of the snapshot is missing: a sentence for each null.

Comes last in a step, when all else of the snapshot is there. Before its colon a sentence names the fields; a name
stands for the fields that start with it or lie below it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from dfmon.core.scenario.tick_result import Measured
from dfmon.core.snapshot import positions
from dfmon.model.frames import FeedHealth
from dfmon.model.snapshot import Context, Flip, Levels


def unavailable(m: Measured, flip: Flip, levels: Levels, context: Context) -> tuple[str, ...]:
    """A sentence for each null of the snapshot, and one for each kind of thing that was left out.

    Units: none. Shapes: any number of sentences. Domain: any board. Source: none.
    """
    said: list[str] = [*m.cols.missing, *(f"{n} {what}: left out" for what, n in m.chain.rejected)]
    if m.chain.spot_ns == 0:
        said.append("spot, flip, age_s: no index price yet")
    if not m.cols.size:
        said.append("metrics, flip, levels, context.atm_iv, context.next_expiry: no priceable option yet")
    elif m.exposure.members is None:
        said.append(f"lo, hi, p_none: positions {m.model} are a convention, which has no band")
    if flip.level is None and flip.searched is not None:
        net = {1: "long", -1: "short", 0: "flat"}[flip.net]
        low, high = flip.searched
        reach = f"{low:,.0f} to {high:,.0f}"
        said.append(f"flip.level, flip.distance: no sign change from {reach}, net {net} gamma throughout{_weakest(m)}")
    if flip.searched is not None and m.exposure.members is not None and flip.lo is None:
        said.append("flip.lo, flip.hi: no member of the ensemble has a flip")
    said += positions.reasons(m, flip.level)
    if m.moved.ret_15m is None:
        said.append("hedge_flow, context.return_15m: less than a minute of spot history; hpp has no gamma term yet")
    if m.moved.ret_1h is None:
        said.append("context.return_1h: less than half an hour of spot history")
    if not m.liquidity.depth_usd:
        said.append("psi, liquidity.depth_1pct_usd: no venue depth")
    if m.liquidity.adv_usd is None:
        said.append("liquidity.adv_usd: no venue volume")
    missing = {"dvol": "no volatility index", "funding": "no perpetual's funding", "basis": "no forward and spot"}
    said += [f"context.{name}: {why}" for name, why in missing.items() if getattr(context, name) is None]
    if m.cols.size:
        said += [
            f"levels.{name}: no strike has it" for name in Levels.__struct_fields__ if getattr(levels, name) is None
        ]
    return (*said, *(sentence for feed in m.feeds for sentence in _silent(feed)))


def _silent(feed: FeedHealth) -> Iterator[str]:
    if not math.isfinite(feed.age_s):
        yield f"feeds.{feed.source}: no data yet"
    elif not math.isfinite(feed.lag_ms):
        yield f"feeds.{feed.source}.lag_ms: its data carry no time of the venue"
    if math.isfinite(feed.age_s) and not math.isfinite(feed.clock_ms):
        yield f"feeds.{feed.source}.clock_ms: no time of the venue to compare with"


def _weakest(m: Measured) -> str:
    """How near a book without a flip comes to one, in words."""
    found = m.exposure.flip
    if found is None or not found.sign:
        return ""
    level, ngi = found.weakest(m.chain.spot)
    return f"; weakest near {level:,.0f}, {ngi:+,.0f} USD per 1 %"
