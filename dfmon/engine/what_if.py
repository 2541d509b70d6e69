"""One tick again under a moved market and other parameters, by `step` itself.

A spot move counts as having just happened: the sign of hedge pressure is that of the move, and hedge flow has its
hedge. Hours pass on the options venue's clock only, so that look-backs keep their data; the decay of these hours counts
as hedge flow too.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
from msgspec import UNSET

from dfmon.core.columns import SIGMA_BOUNDS
from dfmon.core.flip.grid import Stickiness
from dfmon.core.flip.sticky_moneyness import expiry_smiles
from dfmon.core.step import FlowParams, FlowState, step
from dfmon.model.frames import F64, ChainFrame, FeedHealth, MarketFrame
from dfmon.model.metrics import METRICS
from dfmon.model.snapshot import FlowSnapshot
from dfmon.model.units import HOUR, NAN
from dfmon.model.what_if import MetricChange, Shock, WhatIf

_UNLIKE_TERMS: Final = "before or after without its gamma term: spot is in its dead band"
_SHOCK_HEDGED: Final = "after with the hedge of the shock and of its hours"


class TickInputs(NamedTuple):
    """The arguments of one `step`."""

    state: FlowState
    chain: ChainFrame
    market: MarketFrame
    feeds: tuple[FeedHealth, ...]
    params: FlowParams
    seq: int


def keep_inputs(snapshot: FlowSnapshot, tick: TickInputs) -> None:
    """Leaves the arguments of the step with its snapshot, in this process only."""
    if snapshot.views is not UNSET:
        snapshot.views.inputs = tick


def inputs_of(snapshot: FlowSnapshot) -> TickInputs | None:
    """The arguments that `keep_inputs` left; None for a snapshot of another process."""
    inputs = None if snapshot.views is UNSET else snapshot.views.inputs
    return inputs if isinstance(inputs, TickInputs) else None


def what_if_of_tick(tick: TickInputs, shock: Shock, params: FlowParams | None = None) -> WhatIf:
    """Metrics of a tick before and after; `params` replace those of the tick after the shock.

    Units: of the snapshot. Domain: any tick; a number that cannot be computed is None.
    """
    assumed = params or tick.params
    chain = shocked_chain(tick.chain, shock, assumed.stickiness)
    before, after = before_and_after(tick, chain, assumed)
    return WhatIf(
        underlying=before.underlying,
        ts=before.ts,
        model=before.positions.model,
        shock=shock,
        assumed=_differences(tick.params, assumed),
        rows=compare_snapshots(before, after, shock),
        left_out=expired_options(tick.chain, chain),
    )


def before_and_after(tick: TickInputs, chain: ChainFrame, params: FlowParams) -> tuple[FlowSnapshot, FlowSnapshot]:
    """The snapshot of a tick, and that of the same tick on another board under other parameters."""
    state, before = step(*tick)
    # a and b are measured: a shock of volatility does not change them
    scaled = replace(tick.state, hour=replace(tick.state.hour, scale=state.hour.scale))
    return before, step(*tick._replace(state=scaled, chain=chain, params=params))[1]


def expired_options(before: ChainFrame, after: ChainFrame) -> int:
    """Number of options that a shock expires."""
    return int(np.count_nonzero((after.expiry_ns <= after.venue_ns) & (before.expiry_ns > before.venue_ns)))


def shocked_chain(chain: ChainFrame, shock: Shock, stickiness: Stickiness) -> ChainFrame:
    """The board after a shock; a volatility does not fall below the least that is priced.

    Raises ValueError for a fall that takes the volatility of most options that far.

    Units: as `Shock`. Shapes: of the frame. Domain: spot_pct > -100.
    """
    middle = float(np.nanmedian(chain.sigma)) if np.isfinite(chain.sigma).any() else NAN
    if middle + shock.vol_points / 100.0 < SIGMA_BOUNDS[0]:
        raise ValueError(
            f"vol_points: half of the options have a volatility up to {100.0 * middle:.1f} %, which cannot fall by "
            f"{-shock.vol_points:g} points"
        )
    factor = 1.0 + shock.spot_pct / 100.0
    sigma = chain.sigma
    if stickiness == "moneyness" and factor != 1.0:
        sigma = moved_smiles(chain, factor)
    if shock.vol_points:
        sigma = np.maximum(sigma + shock.vol_points / 100.0, SIGMA_BOUNDS[0])
    return replace(
        chain,
        spot=chain.spot * factor,
        forward=chain.forward * factor,
        sigma=sigma,
        clock_ns=chain.clock_ns - round(shock.hours * HOUR),
        delivery_average=NAN if shock.hours else chain.delivery_average,
    )


def moved_smiles(chain: ChainFrame, factor: float) -> F64:
    """Volatility of each option when its expiry's smile has moved with the forward by `factor`.

    Units: decimal. Shapes: (n,). Domain: rows without forward or volatility keep theirs.
    Source: Derman, Regimes of Volatility (1999): the sticky-moneyness rule.
    """
    sigma = chain.sigma.copy()
    usable = np.flatnonzero((chain.forward > 0.0) & (chain.sigma > 0.0))
    log_moneyness = np.log(chain.strike[usable] / chain.forward[usable])
    for smile in expiry_smiles(log_moneyness, chain.sigma[usable], chain.expiry_ns[usable]):
        shifted = log_moneyness[smile.rows] - np.log(factor)
        sigma[usable[smile.rows]] = np.interp(shifted, smile.k, smile.sigma)
    return sigma


def compare_snapshots(
    before: FlowSnapshot, after: FlowSnapshot, shock: Shock | None = None
) -> tuple[MetricChange, ...]:
    """A row for each metric, and one for the gamma flip."""
    rows = [
        _row(name, spec.title, spec.unit, getattr(before.metrics, name), getattr(after.metrics, name))
        for name, spec in METRICS.items()
    ]
    at = list(METRICS).index("hpp")
    if (before.metrics.hpp.gamma_term is None) != (after.metrics.hpp.gamma_term is None):
        rows[at] = msgspec.structs.replace(rows[at], change=None, note=_UNLIKE_TERMS)
    if shock not in (None, Shock()):
        at = list(METRICS).index("hedge_flow")
        rows[at] = msgspec.structs.replace(rows[at], note=_SHOCK_HEDGED)
    old, new = ((flip.level, flip.lo, flip.hi) for flip in (before.flip, after.flip))
    return (*rows, _change("flip", "gamma flip", "USD", old, new))


def _row(name: str, title: str, unit: str, before: Any, after: Any) -> MetricChange:
    return _change(name, title, unit, (before.value, before.lo, before.hi), (after.value, after.lo, after.hi))


def _change(
    name: str,
    title: str,
    unit: str,
    before: tuple[float | None, float | None, float | None],
    after: tuple[float | None, float | None, float | None],
) -> MetricChange:
    change = None if before[0] is None or after[0] is None else after[0] - before[0]
    return MetricChange(name, title, unit, *before, *after, change)


def _differences(before: FlowParams, after: FlowParams) -> dict[str, str]:
    """The parameters that differ, as text."""
    names = (field.name for field in msgspec.structs.fields(FlowParams))
    changed = {name: getattr(after, name) for name in names if getattr(after, name) != getattr(before, name)}
    return {name: _param_text(value) for name, value in changed.items()}


def _param_text(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(":".join(f"{number:g}" for number in msgspec.structs.astuple(desk)) for desk in value)
    return f"{len(value)} options" if isinstance(value, dict) else str(value)
