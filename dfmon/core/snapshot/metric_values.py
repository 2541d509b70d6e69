"""The metrics of the snapshot: value, band, unit, sign, quality and age of each.

A band is that of the ensemble's roll-ups, weighted as the metric weighs them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

import numpy as np

from dfmon.core.scenario.dimensions import UsdPerDay, UsdPerPercent, UsdPerPoint
from dfmon.core.scenario.hpp_score import pressure_terms
from dfmon.core.scenario.lookback import FULL_LOOKBACK_S
from dfmon.core.scenario.tick_result import TickResult
from dfmon.model.flip import Quality
from dfmon.model.frames import F64
from dfmon.model.metrics import EXPOSURE_INDEX, EXPOSURE_NAMES, EXPOSURES, METRICS
from dfmon.model.snapshot import HedgeFlow, Hpp, Metric, Metrics

Band: TypeAlias = tuple[float | None, float | None]
MIN_KNOWN_SHARE: Final = 0.9  # of the options, whose marks of the beginning of the look-back are known


def build_metrics(tick: TickResult, quality: Quality) -> Metrics:
    """Every metric of the snapshot, at the quality of the board. Without a board their numbers are None."""
    has_book, total, age_s = tick.has_book, tick.exposure.totals, tick.age_s
    bands: Mapping[str, Band] = tick.exposure.bands() if has_book else dict.fromkeys(EXPOSURE_NAMES, (None, None))
    return Metrics(
        hpp=_hpp(tick, quality),
        psi=_psi(tick, quality, bands["ngi"]),
        hedge_flow=_hedge_flow(tick, quality),
        **{
            spec.name: Metric(
                getattr(total, spec.name) if has_book else None, *bands[spec.name], spec.unit, spec.sign, quality, age_s
            )
            for spec in EXPOSURES
        },
    )


def _weights(weight_by_name: dict[str, float]) -> F64:
    """Weights of a sum of roll-ups, 0 for those not named."""
    weights = np.zeros(len(EXPOSURE_NAMES))
    for name, weight in weight_by_name.items():
        weights[EXPOSURE_INDEX[name]] = weight
    return weights


def _hpp(tick: TickResult, quality: Quality) -> Hpp:
    scale, shares = tick.scale, tick.hedge_shares
    value = low = high = gamma = vanna = charm = None
    if (terms := hpp_terms(tick)) is not None:
        gamma, vanna, charm = terms
        value = gamma + vanna + charm
        low, high = tick.exposure.band(_weights(_pressure(tick, 1.0, 1.0, 1.0)), "hpp")
        if not tick.ds_sign:
            gamma, quality = None, "partial" if quality == "ok" else quality
    return Hpp(
        value=value,
        lo=low,
        hi=high,
        unit=METRICS["hpp"].unit,
        sign=METRICS["hpp"].sign,
        quality=quality,
        age_s=tick.age_s,
        alpha=scale.alpha.value if scale.is_set else None,
        beta=scale.beta.value if scale.is_set else None,
        calibrated=scale.weight > 0.5,
        ds_sign=tick.ds_sign,
        hedged=shares.gamma,
        status=scale.status,
        hours=scale.hours,
        gamma_term=gamma,
        vanna_term=vanna,
        charm_term=charm,
    )


def hpp_terms(tick: TickResult) -> tuple[float, ...] | None:
    """The gamma, vanna and charm terms of HPP; None without a book."""
    if not tick.has_book:
        return None
    total = tick.exposure.totals
    return tuple(_pressure(tick, total.ngi, total.vss, total.chl).values())


def _pressure(tick: TickResult, ngi: float, vss: float, chl: float) -> dict[str, float]:
    """The terms of HPP by their roll-up, for these roll-ups: linear in each."""
    terms = pressure_terms(
        tick.ds_sign,
        UsdPerPercent(ngi),
        UsdPerPoint(vss),
        UsdPerDay(chl),
        tick.scale,
        tick.hedge_shares.gamma,
        tick.hedge_shares.vanna_charm,
    )
    return {"ngi": terms.gamma.value, "vss": terms.vanna.value, "chl": terms.charm.value}


def _psi(tick: TickResult, quality: Quality, ngi_band: Band) -> Metric:
    spec, psi = METRICS["psi"], tick.psi
    low, high = (None if ngi is None or psi is None else tick.psi_of(ngi) for ngi in ngi_band)  # it rises with NGI
    if psi is None:
        quality = "absent"
    elif quality == "ok":
        quality = tick.liquidity.depth.quality if tick.freshness.depth.fresh else "stale"
    return Metric(psi, low, high, spec.unit, spec.sign, quality, tick.age_s)


def _hedge_flow(tick: TickResult, quality: Quality) -> HedgeFlow:
    spec, flow = METRICS["hedge_flow"], tick.flows.hedge
    if flow is None:
        return HedgeFlow(None, None, None, spec.unit, spec.sign, "absent", tick.age_s, None, None, None, None)
    units = tick.moves.hedge
    is_short = flow.span_s < FULL_LOOKBACK_S
    if quality == "ok" and (is_short or (units is not None and units.known < MIN_KNOWN_SHARE)):
        quality = "partial"
    return HedgeFlow(
        value=flow.value,
        lo=flow.lo,
        hi=flow.hi,
        unit=spec.unit,
        sign=spec.sign,
        quality=quality,
        age_s=tick.age_s,
        gamma=flow.gamma,
        vanna=flow.vanna,
        charm=flow.charm,
        residual=flow.residual,
        settlement=flow.settlement,
        new_trades=flow.new_trades,
        span_s=flow.span_s,
    )
