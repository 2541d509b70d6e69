"""The snapshot: every number with its unit, sign sentence, band, quality and age, and a reason for each null.

Comes last in a step. Decides nothing and computes nothing that another module owns.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

import numpy as np

from dfmon.core import position_report, report
from dfmon.core.columns import summed
from dfmon.core.hpp_score import hedge_pressure
from dfmon.core.levels import levels, max_pain
from dfmon.core.measured import Measured
from dfmon.core.rules import Inputs, RuleState, Thresholds
from dfmon.core.vanna_charm_volga import METRICS
from dfmon.model.frames import F64, FeedHealth
from dfmon.model.snapshot import (
    Alert,
    Context,
    Detail,
    Feed,
    Flip,
    FlipRoot,
    FlowSnapshot,
    HedgeFlow,
    Hpp,
    Levels,
    Liquidity,
    Metric,
    Metrics,
    Profile,
    Quality,
    Scenario,
    State,
    TapeRow,
)
from dfmon.model.units import HOUR, SECOND, iso

SCHEMA = 1
WHOLE = 0.9  # share of open interest below which a number is "partial"

READS = {
    "ngi": ("USD/+1%", "+ dealers sell a rise, - they buy it"),
    "vss": ("USD/+1 vol pt", "+ dealers sell as vol rises, - they buy"),
    "chl": ("USD/24h", "+ dealers sell as time passes, - buy"),
    "volg": ("USD vega/+1 vol pt", "+ they gain vega as vol rises, - lose it"),
    "vega": ("USD/vol pt", "+ dealers gain as vol rises, - they lose"),
    "theta": ("USD/day", "+ dealers earn as a day passes, - they pay"),
    "unwind": ("USD", "+ dealers buy at settlement, - they sell"),
}


def assemble(
    m: Measured,
    inputs: Inputs,
    rules: RuleState,
    reasons: tuple[str, ...],
    thresholds: Thresholds,
    tape: tuple[TapeRow, ...],
    alerts: tuple[Alert, ...],
    seq: int,
) -> FlowSnapshot:
    """The frozen snapshot of this tick.

    Units: as the snapshot's fields. Shapes: one underlying. Domain: any. Source: none.
    """
    chain, ts_ns, age = m.chain, m.chain.ts_ns, m.age_s
    quality = _quality(m)
    expiries = report.by_expiry(m.cols, m.exposure, m.atm, m.positions, m.reconciled)
    strikes = report.by_strike(m.cols, m.exposure)
    metrics = _metrics(m, quality)
    flip = _flip(m, quality)
    levels = _levels(m)
    context = _context(m)
    state: State = "live" if age is not None and age <= m.stale_after_s else "stale"
    detail = Detail(
        heatmap=report.heat_map(m.cols, m.exposure, m.atm),
        profile=_profile(m),
        tape=tape,
        alerts=alerts,
        positions=position_report.rows(m),
    )
    return FlowSnapshot(
        schema=SCHEMA,
        seq=seq,
        ts=iso(ts_ns),
        ts_ns=ts_ns,
        state=state,
        underlying=chain.underlying,
        spot=_finite(chain.spot),
        instruments=chain.size,
        positions=position_report.summary(m),
        metrics=metrics,
        flip=flip,
        scenario=_scenario(m, inputs, rules, reasons, thresholds, metrics.hpp.value, quality),
        levels=levels,
        by_expiry=expiries,
        by_strike=strikes,
        liquidity=Liquidity(m.liquidity.depth_usd, m.liquidity.adv_usd, m.liquidity.markets),
        context=context,
        feeds=tuple(_feed(feed) for feed in m.feeds),
        unavailable=_unavailable(m, metrics, flip, levels, context),
        models=position_report.models(m),
        detail=detail,
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _quality(m: Measured) -> Quality:
    if not m.cols.size:
        return "absent"
    if m.age_s is None or m.age_s > m.stale_after_s:
        return "stale"
    return "ok" if m.cols.usable >= WHOLE and not m.warming else "partial"


# ---- numbers -------------------------------------------------------------------------------------------------------


def _metrics(m: Measured, quality: Quality) -> Metrics:
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


def _flip(m: Measured, quality: Quality) -> Flip:
    found, spot = m.exposure.flip, m.chain.spot
    if found is None:
        return Flip(None, None, None, None, None, None, None, (), None, 0, "absent", m.age_s)
    distance = None if found.level is None else spot - found.level
    share = None if distance is None else distance / spot
    daily = m.sigma / math.sqrt(365.0)
    return Flip(
        level=found.level,
        lo=m.exposure.flip_lo,
        hi=m.exposure.flip_hi,
        p_none=m.exposure.p_none,
        distance_usd=distance,
        distance_pct=None if share is None else share * 100.0,
        distance_sigma=None if share is None or not daily > 0.0 else share / daily,
        roots=tuple(FlipRoot(root.level, "up" if root.rising else "down") for root in found.roots),
        searched=found.searched,
        net=found.sign,
        quality=quality,
        age_s=m.age_s,
    )


def _weakest(m: Measured) -> str:
    """How near a book without a flip comes to one, in words."""
    found = m.exposure.flip
    if found is None or not found.sign:
        return ""
    level, ngi = found.weakest(m.chain.spot)
    return f"; weakest near {level:,.0f}, {ngi:+,.0f} USD per 1 %"


def _profile(m: Measured) -> Profile:
    flip = m.exposure.flip
    if flip is None:
        return Profile((), (), None, None)
    return Profile(tuple(flip.spots.tolist()), tuple(flip.ngi.tolist()), None, None)


# ---- scenario ------------------------------------------------------------------------------------------------------


def _scenario(
    m: Measured,
    inputs: Inputs,
    rules: RuleState,
    reasons: tuple[str, ...],
    thresholds: Thresholds,
    hpp: float | None,
    quality: Quality,
) -> Scenario:
    bucket = rules.bucket
    assert bucket is not None  # the classifier always decides
    phis = [phi for phi in (inputs.phi_gamma, inputs.phi_vanna, inputs.phi_charm) if phi is not None]
    side: Literal["buy", "sell", "none"] = "none" if not hpp else "sell" if hpp > 0.0 else "buy"
    return Scenario(
        bucket=int(bucket),
        name=bucket.title,
        side=side,
        material=sum(phis) >= thresholds.gamma_lo if phis else False,
        age_s=(m.chain.ts_ns - rules.since_ns) / SECOND,
        since=iso(rules.since_ns),
        confidence=_confidence(m),
        reasons=reasons,
        overlay=_overlay(m, quality, bool(phis)),
    )


def _overlay(m: Measured, quality: Quality, has_volume: bool) -> str:
    if quality in ("absent", "stale"):
        return f"UNKNOWN: inputs {quality}"
    if not has_volume:
        return "UNKNOWN: no venue volume"
    return "UNKNOWN: positions warming" if m.warming else ""


def _confidence(m: Measured) -> float:
    """Usable share of the board x coverage x agreement of the ensemble on the sign of NGI, 0 to 1."""
    coverage = m.positions.coverage if m.positions.coverage is not None else 1.0
    agree = 1.0
    if m.exposure.members is not None and m.cols.size:
        long = float(np.mean(m.exposure.members[0] > 0.0))
        agree = max(long, 1.0 - long)
    return m.cols.usable * coverage * agree


# ---- the rest ------------------------------------------------------------------------------------------------------


def _levels(m: Measured) -> Levels:
    cols, frame = m.cols, m.chain
    ngi = m.exposure.by_strike()[0]
    interest = summed(cols.strike_code, cols.interest, cols.strikes.size)
    pain = None
    if cols.size:
        nearest = cols.rows[cols.expiry_code == 0]
        pain = max_pain(frame.strike[nearest], frame.option_type[nearest], frame.open_interest[nearest])
    return levels(cols.strikes, ngi, interest, pain)


def _context(m: Measured) -> Context:
    chain, cols = m.chain, m.cols
    next_ns = int(cols.expiries[0]) if cols.size else None
    return Context(
        dvol=_finite(chain.vol_index),
        atm_iv=_finite(m.sigma),
        funding=m.liquidity.funding_8h,
        basis=_basis(m),
        next_expiry=None if next_ns is None else iso(next_ns),
        next_expiry_hours=None if next_ns is None else (next_ns - chain.venue_ns) / HOUR,
        return_1h=m.moved.ret_1h,
        return_15m=m.moved.ret_15m,
    )


def _basis(m: Measured) -> float | None:
    """Annualised premium of the forward nearest to thirty days over spot."""
    if not m.cols.size or not m.chain.spot > 0.0:
        return None
    nearest = int(np.argmin(np.abs(m.cols.tau - 30.0 / 365.0)))
    return math.log(float(m.cols.forward[nearest]) / m.chain.spot) / float(m.cols.tau[nearest])


def _feed(feed: FeedHealth) -> Feed:
    return Feed(
        name=feed.source,
        state=str(feed.state),
        age_s=_finite(feed.age_s),
        lag_ms=_finite(feed.lag_ms),
        frames=feed.frames,
        rejected=feed.rejected,
        reconnects=feed.reconnects,
        note=feed.reason,
        clock_ms=_finite(feed.clock_ms),
        greeks_checked=feed.greeks[0],
        greeks_differing=feed.greeks[1],
    )


def _unavailable(m: Measured, metrics: Metrics, flip: Flip, levels: Levels, context: Context) -> tuple[str, ...]:
    """A sentence for each null of the snapshot, and one for each kind of thing that was left out.

    Before its colon a sentence names the fields; a name stands for the fields that start with it or lie below it.
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
    said += position_report.reasons(m, flip.level)
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
