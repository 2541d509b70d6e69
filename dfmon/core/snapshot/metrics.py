"""What the snapshot says of each metric: its value, its band, its unit, what its sign means, its quality and age.

Comes last in a step, beside `report`. A band is that of the ensemble's roll-ups, weighted as the metric weighs them.
"""

from __future__ import annotations

import numpy as np

from dfmon.core.exposure.unit_exposure import METRICS
from dfmon.core.scenario.hpp_score import hedge_pressure
from dfmon.core.scenario.tick_result import Measured
from dfmon.model.frames import F64
from dfmon.model.snapshot import HedgeFlow, Hpp, Metric, Metrics, Quality

READS = {
    "ngi": ("USD/+1%", "+ dealers sell a rise, - they buy it"),
    "vss": ("USD/+1 vol pt", "+ dealers sell as vol rises, - they buy"),
    "chl": ("USD/24h", "+ dealers sell as time passes, - buy"),
    "volg": ("USD vega/+1 vol pt", "+ they gain vega as vol rises, - lose it"),
    "vega": ("USD/vol pt", "+ dealers gain as vol rises, - they lose"),
    "theta": ("USD/day", "+ dealers earn as a day passes, - they pay"),
    "unwind": ("USD", "+ dealers buy at settlement, - they sell"),
}


def metrics(m: Measured, quality: Quality) -> Metrics:
    """Every metric of the snapshot, at the quality of the board.

    Units: as `READS`. Shapes: one underlying. Domain: without a board their numbers are None. Source: none.
    """
    rolled = {name: _rolled(m, name, quality) for name in METRICS}
    return Metrics(
        ngi=rolled["ngi"],
        vss=rolled["vss"],
        chl=rolled["chl"],
        volg=rolled["volg"],
        hpp=_hpp(m, quality),
        psi=_psi(m, quality),
        hedge_flow=_hedge_flow(m, quality),
        unwind=rolled["unwind"],
        vega=rolled["vega"],
        theta=rolled["theta"],
    )


def _rolled(m: Measured, name: str, quality: Quality) -> Metric:
    unit, sign = READS[name]
    value = getattr(m.exposure.totals, name) if m.cols.size else None
    low, high = m.exposure.band(_only(name)) if m.cols.size else (None, None)
    return Metric(value, low, high, unit, sign, quality, m.age_s)


def _only(name: str, weight: float = 1.0) -> F64:
    """Weights that leave one roll-up."""
    weights = np.zeros(len(METRICS))
    weights[METRICS.index(name)] = weight
    return weights


def _hpp(m: Measured, quality: Quality) -> Hpp:
    value = low = high = None
    if m.cols.size:
        one = np.eye(3, len(METRICS))  # HPP is linear: its weights are what it makes of one dollar of each roll-up
        weights = hedge_pressure(m.moved.sign, one[0], one[1], one[2], m.scaling, m.hedged.gamma, m.hedged.slow)
        value = float(weights @ m.exposure.totals.column())
        low, high = m.exposure.band(weights)
    return Hpp(
        value=value,
        lo=low,
        hi=high,
        unit="USD",
        sign="+ dealers must sell, - they must buy",
        quality=quality,
        age_s=m.age_s,
        alpha=m.scaling.alpha,
        beta=m.scaling.beta,
        calibrated=m.scaling.calibrated,
        ds_sign=m.moved.sign,
        hedged=m.hedged.gamma,
    )


def _psi(m: Measured, quality: Quality) -> Metric:
    depth, psi = m.liquidity.depth_usd, m.psi
    low, high = (None, None) if psi is None or not depth else m.exposure.band(_only("ngi", 1.0 / depth))
    sign = "+ hedging damps moves, - amplifies them"
    return Metric(psi, low, high, "NGI/depth", sign, quality if psi is not None else "absent", m.age_s)


def _hedge_flow(m: Measured, quality: Quality) -> HedgeFlow:
    trade = m.hedge_trade()
    low = high = None
    if trade is not None:
        parts = zip((trade.gamma, trade.vanna, trade.charm), m.exposure.totals.column()[:3].tolist())
        weights = np.zeros(len(METRICS))
        weights[:3] = [part / total if total else 0.0 for part, total in parts]
        low, high = m.exposure.band(weights)
    return HedgeFlow(
        value=None if trade is None else trade.linear,
        lo=low,
        hi=high,
        unit="USD/15min",
        sign="+ dealers bought, - they sold",
        quality=quality if trade is not None else "absent",
        age_s=m.age_s,
        gamma=None if trade is None else trade.gamma,
        vanna=None if trade is None else trade.vanna,
        charm=None if trade is None else trade.charm,
        residual=None if trade is None else trade.residual,
    )
