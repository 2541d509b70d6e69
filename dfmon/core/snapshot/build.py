"""The snapshot of a tick: its scenario and context, and the parts made by the modules beside this one.

Computes nothing that another module owns.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np

from dfmon.core.columns import group_sums
from dfmon.core.exposure.changes import BookChanges
from dfmon.core.exposure.levels import levels, max_pain
from dfmon.core.freshness import BOOK_INPUTS, are_fresh
from dfmon.core.positions.dealer_net import POSITION_MODELS
from dfmon.core.pricing.compiled import bound_to_kernels
from dfmon.core.scenario.book_scene import BookScene
from dfmon.core.scenario.liquidity import MarketView
from dfmon.core.scenario.lookback import FULL_LOOKBACK_S
from dfmon.core.scenario.tick_result import TickResult
from dfmon.core.scenario.transitions import Transition
from dfmon.core.snapshot import flip_values, hedging, position_rows, scenario_values, tables
from dfmon.core.snapshot.change_rows import change_tables, largest_changes, roll_report
from dfmon.core.snapshot.metric_values import build_metrics
from dfmon.core.snapshot.micro import build_micro, missing_micro_reasons
from dfmon.core.snapshot.score_values import missing_score_reasons
from dfmon.core.snapshot.unavailable import unavailable
from dfmon.model.events import FeedState
from dfmon.model.flip import Quality
from dfmon.model.frames import FeedHealth
from dfmon.model.metrics import EXPOSURE_INDEX
from dfmon.model.score import Score
from dfmon.model.snapshot import (
    Alert,
    Context,
    Detail,
    Feed,
    FlowSnapshot,
    Levels,
    Liquidity,
    ModelRow,
    Views,
)
from dfmon.model.tables import TapeRow
from dfmon.model.units import HOUR, iso

SnapshotBuilders: TypeAlias = Mapping[str, Callable[[], FlowSnapshot]]

SCHEMA = 2
NO_ROLL = "roll: no expiry of options since we watch"
SLOW_FEED_AGE_S = 5.0  # without a frame a live connection is slow
MIN_PRICEABLE_SHARE = 0.9  # share of open interest below which a number is "partial"


@dataclass(frozen=True, slots=True)
class BookResult:
    """All results of one position model at one tick, from which its snapshot is built."""

    tick: TickResult
    scene: BookScene
    alerts: tuple[Alert, ...]
    changes: BookChanges
    transitions: tuple[Transition, ...]
    score: Score


def with_views(results: Mapping[str, BookResult], published: str, tape: tuple[TapeRow, ...], seq: int) -> FlowSnapshot:
    """The snapshot of the published model. Those of the others are built when they are looked at."""
    rows = tuple(
        position_rows.model_row(result.tick, result.scene.buckets.bucket)
        for name in POSITION_MODELS
        if (result := results.get(name)) is not None
    )
    others = {
        model: bound_to_kernels(partial(build_snapshot, result, rows, tape, seq, {}))
        for model, result in results.items()
        if model != published
    }
    return build_snapshot(results[published], rows, tape, seq, others)


def build_snapshot(
    result: BookResult, models: tuple[ModelRow, ...], tape: tuple[TapeRow, ...], seq: int, others: SnapshotBuilders
) -> FlowSnapshot:
    """The frozen snapshot of this tick under one position model; `others` build those of the other models."""
    tick, chain, ts_ns, quality = result.tick, result.tick.chain, result.tick.chain.ts_ns, quality_of(result.tick)
    metrics, flip, regime = build_metrics(tick, quality), flip_values.flip(tick, quality), flip_values.regime(tick)
    levels, context = _levels(tick), _context(tick)
    roll, micro = roll_report(result.changes), build_micro(tick, metrics.hpp)
    scenario = scenario_values.scenario(tick, result.scene, micro.disagreement)
    features = scenario_values.features(result.scene)
    missing = (*unavailable(tick, flip, regime, levels, context, scenario, features), *(() if roll else (NO_ROLL,)))
    return FlowSnapshot(
        schema=SCHEMA,
        seq=seq,
        ts=iso(ts_ns),
        ts_ns=ts_ns,
        state="stale" if tick.freshness.stale else "live",
        underlying=chain.underlying,
        options_venue=chain.venue,
        spot=_finite_or_none(chain.spot),
        instruments=chain.size,
        positions=position_rows.positions_summary(tick),
        metrics=metrics,
        flip=flip,
        scenario=scenario,
        levels=levels,
        by_expiry=tables.by_expiry(tick),
        by_strike=tables.by_strike(tick),
        liquidity=_liquidity(tick.liquidity),
        context=context,
        micro=micro,
        feeds=tuple(_feed(feed) for feed in tick.feeds),
        unavailable=(*missing, *missing_micro_reasons(tick, micro), *missing_score_reasons(result.score)),
        models=models,
        regime=regime,
        numeraire=tick.numeraire,
        stickiness=tick.stickiness,
        features=features,
        largest_changes=largest_changes(result.changes),
        roll=roll,
        outlook=hedging.outlook_rows(tick),
        unwind=hedging.unwind(tick),
        volatility_beta=hedging.tenor_betas(tick),
        freshness=tick.freshness,
        score=result.score,
        views=Views(others, result, bound_to_kernels(partial(_detail, result, tape))),
    )


def _detail(result: BookResult, tape: tuple[TapeRow, ...]) -> Detail:
    tick = result.tick
    return Detail(
        heatmap=tables.heat_map(tick),
        profile=flip_values.profile(tick),
        tape=tape,
        alerts=result.alerts,
        positions=position_rows.position_rows(tick),
        changes=change_tables(result.changes),
        transitions=scenario_values.scenario_changes(result.transitions),
    )


def _liquidity(view: MarketView) -> Liquidity:
    depth, volume = view.depth, view.volume
    return Liquidity(
        depth.usd,
        volume.usd,
        view.markets,
        depth_markets=depth.markets,
        depth_missing=depth.missing,
        depth_quality=depth.quality,
        adv_markets=volume.markets,
        adv_missing=volume.missing,
        adv_quality=volume.quality,
    )


def _finite_or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None


def quality_of(tick: TickResult) -> Quality:
    if not tick.has_book:
        return "absent"
    if not are_fresh(tick.freshness, BOOK_INPUTS):
        return "stale"
    is_complete = tick.cols.priceable_share >= MIN_PRICEABLE_SHARE and not tick.chain.unlisted_names
    return "ok" if is_complete and not tick.warming else "partial"


# ---- the rest ------------------------------------------------------------------------------------------------------


def _levels(tick: TickResult) -> Levels:
    cols, frame = tick.cols, tick.chain
    ngi = tick.exposure.sums.by_strike[EXPOSURE_INDEX["ngi"]] if tick.has_book else np.zeros(cols.strikes.size)
    open_interest = group_sums(cols.strike_code, cols.open_interest, cols.strikes.size)
    max_pain_level = None
    if cols.size:
        nearest = cols.rows[cols.expiry_code == 0]
        max_pain_level = max_pain(frame.strike[nearest], frame.option_type[nearest], frame.open_interest[nearest])
    return levels(cols.strikes, ngi, open_interest, max_pain_level)


def _context(tick: TickResult) -> Context:
    chain, cols = tick.chain, tick.cols
    next_ns = int(cols.expiries[0]) if cols.size else None
    return Context(
        dvol=_finite_or_none(chain.vol_index),
        atm_iv=_finite_or_none(tick.sigma),
        funding=tick.liquidity.funding_8h,
        basis=_basis(tick),
        next_expiry=None if next_ns is None else iso(next_ns),
        next_expiry_hours=None if next_ns is None else (next_ns - chain.venue_ns) / HOUR,
        return_1h=tick.spot_moves.ret_1h,
        return_15m=tick.spot_moves.ret_15m if tick.spot_moves.span_s >= FULL_LOOKBACK_S else None,
    )


def _basis(tick: TickResult) -> float | None:
    """Annualised premium of the forward nearest to thirty days over spot."""
    if not tick.cols.size or not tick.chain.spot > 0.0:
        return None
    nearest = int(np.argmin(np.abs(tick.cols.tau - 30.0 / 365.0)))
    return math.log(float(tick.cols.forward[nearest]) / tick.chain.spot) / float(tick.cols.tau[nearest])


def _feed(feed: FeedHealth) -> Feed:
    return Feed(
        name=feed.source,
        state="slow" if feed.state is FeedState.LIVE and feed.age_s > SLOW_FEED_AGE_S else str(feed.state),
        age_s=_finite_or_none(feed.age_s),
        lag_ms=_finite_or_none(feed.lag_ms),
        frames=feed.frames,
        rejected=feed.rejected,
        reconnects=feed.reconnects,
        note=feed.reason,
        clock_ms=_finite_or_none(feed.clock_ms),
        greeks_checked=feed.greeks[0],
        greeks_differing=feed.greeks[1],
    )
