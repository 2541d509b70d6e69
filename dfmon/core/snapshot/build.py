"""The snapshot: the flip, the scenario and the context of a tick, and what the reports beside it say of the rest.

Comes last in a step. Decides nothing and computes nothing that another module owns.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from dfmon.core.columns import summed
from dfmon.core.exposure.levels import levels, max_pain
from dfmon.core.scenario.rules import Inputs, RuleState, Thresholds
from dfmon.core.scenario.tick_result import Measured
from dfmon.core.snapshot import (
    metrics as metric_report,
)
from dfmon.core.snapshot import (
    positions as position_report,
)
from dfmon.core.snapshot import (
    tables as report,
)
from dfmon.core.snapshot.unavailable import unavailable
from dfmon.model.frames import FeedHealth
from dfmon.model.snapshot import (
    Alert,
    Context,
    Detail,
    Feed,
    Flip,
    FlipRoot,
    FlowSnapshot,
    Levels,
    Liquidity,
    Profile,
    Quality,
    Scenario,
    State,
    TapeRow,
)
from dfmon.model.units import HOUR, SECOND, iso

SCHEMA = 1
WHOLE = 0.9  # share of open interest below which a number is "partial"


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
    metrics = metric_report.metrics(m, quality)
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
        unavailable=unavailable(m, flip, levels, context),
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


# ---- flip ----------------------------------------------------------------------------------------------------------


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
    ngi = m.exposure.sums.by_strike[0]
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
