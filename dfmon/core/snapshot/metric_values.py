"""What the snapshot says of each metric: its value, its band, its unit, what its sign means, its quality and age.

Comes last in a step, beside `report`. A band is that of the ensemble's roll-ups, weighted as the metric weighs them.
"""

from __future__ import annotations

import numpy as np

from dfmon.core.exposure.unit_exposure import METRICS
from dfmon.core.scenario.hpp_score import hedge_pressure
from dfmon.core.scenario.tick_result import TickResult
from dfmon.model.frames import F64
from dfmon.model.snapshot import HedgeFlow, Hpp, Metric, Metrics, Quality

METRIC_LABELS = {
    "ngi": ("USD/+1%", "+ dealers sell a rise, - they buy it"),
    "vss": ("USD/+1 vol pt", "+ dealers sell as vol rises, - they buy"),
    "chl": ("USD/24h", "+ dealers sell as time passes, - buy"),
    "volg": ("USD vega/+1 vol pt", "+ they gain vega as vol rises, - lose it"),
    "vega": ("USD/vol pt", "+ dealers gain as vol rises, - they lose"),
    "theta": ("USD/day", "+ dealers earn as a day passes, - they pay"),
    "unwind": ("USD", "+ dealers buy at settlement, - they sell"),
}


def metrics(tick: TickResult, quality: Quality) -> Metrics:
    """Every metric of the snapshot, at the quality of the board.

    Units: as `METRIC_LABELS`. Shapes: one underlying. Domain: without a board their numbers are None. Source: none.
    """
    rolled_up = {name: _rolled_up_metric(tick, name, quality) for name in METRICS}
    return Metrics(
        ngi=rolled_up["ngi"],
        vss=rolled_up["vss"],
        chl=rolled_up["chl"],
        volg=rolled_up["volg"],
        hpp=_hpp(tick, quality),
        psi=_psi(tick, quality),
        hedge_flow=_hedge_flow(tick, quality),
        unwind=rolled_up["unwind"],
        vega=rolled_up["vega"],
        theta=rolled_up["theta"],
    )


def _rolled_up_metric(tick: TickResult, name: str, quality: Quality) -> Metric:
    unit, sign = METRIC_LABELS[name]
    value = getattr(tick.exposure.totals, name) if tick.cols.size else None
    low, high = tick.exposure.band(_single_weight(name)) if tick.cols.size else (None, None)
    return Metric(value, low, high, unit, sign, quality, tick.age_s)


def _single_weight(name: str, weight: float = 1.0) -> F64:
    """Weights that leave one roll-up."""
    weights = np.zeros(len(METRICS))
    weights[METRICS.index(name)] = weight
    return weights


def _hpp(tick: TickResult, quality: Quality) -> Hpp:
    value = low = high = None
    if tick.cols.size:
        unit_vectors = np.eye(
            3, len(METRICS)
        )  # HPP is linear: its weights are what it makes of one dollar of each roll-up
        weights = hedge_pressure(
            tick.spot_moves.sign,
            unit_vectors[0],
            unit_vectors[1],
            unit_vectors[2],
            tick.scaling,
            tick.hedged.gamma,
            tick.hedged.vanna_charm,
        )
        value = float(weights @ tick.exposure.totals.to_array())
        low, high = tick.exposure.band(weights)
    return Hpp(
        value=value,
        lo=low,
        hi=high,
        unit="USD",
        sign="+ dealers must sell, - they must buy",
        quality=quality,
        age_s=tick.age_s,
        alpha=tick.scaling.alpha,
        beta=tick.scaling.beta,
        calibrated=tick.scaling.calibrated,
        ds_sign=tick.spot_moves.sign,
        hedged=tick.hedged.gamma,
    )


def _psi(tick: TickResult, quality: Quality) -> Metric:
    depth, psi = tick.liquidity.depth_usd, tick.psi
    low, high = (None, None) if psi is None or not depth else tick.exposure.band(_single_weight("ngi", 1.0 / depth))
    sign = "+ hedging damps moves, - amplifies them"
    return Metric(psi, low, high, "NGI/depth", sign, quality if psi is not None else "absent", tick.age_s)


def _hedge_flow(tick: TickResult, quality: Quality) -> HedgeFlow:
    trade = tick.hedge_trade()
    low = high = None
    if trade is not None:
        parts = zip((trade.gamma, trade.vanna, trade.charm), tick.exposure.totals.to_array()[:3].tolist())
        weights = np.zeros(len(METRICS))
        weights[:3] = [part / total if total else 0.0 for part, total in parts]
        low, high = tick.exposure.band(weights)
    return HedgeFlow(
        value=None if trade is None else trade.linear,
        lo=low,
        hi=high,
        unit="USD/15min",
        sign="+ dealers bought, - they sold",
        quality=quality if trade is not None else "absent",
        age_s=tick.age_s,
        gamma=None if trade is None else trade.gamma,
        vanna=None if trade is None else trade.vanna,
        charm=None if trade is None else trade.charm,
        residual=None if trade is None else trade.residual,
    )
