"""The scene of one book at one tick: features, the rules' call, the bucket that holds, alerts and their logs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from dfmon.core.scenario.alerts import MAX_ALERTS, flip_alert, scene_alert, threshold_alert
from dfmon.core.scenario.buckets import BucketState, next_bucket_state
from dfmon.core.scenario.dimensions import UsdPerHour, UsdPerPoint
from dfmon.core.scenario.features import (
    BookFeatures,
    BookSums,
    HourMarket,
    StrikeFeatures,
    book_features,
    flip_distances,
    strike_features,
)
from dfmon.core.scenario.flip_crossing import FlipSide, update_flip_side
from dfmon.core.scenario.rolling import RollingWindow
from dfmon.core.scenario.rules import Call, RuleThresholds, call_scene, is_material, member_share
from dfmon.core.scenario.slow_flow import empty_flow_window, measure_hour, slow_flow
from dfmon.core.scenario.thresholds import Levels, PhiThresholds, update_phi_thresholds
from dfmon.core.scenario.tick_result import TickResult
from dfmon.core.scenario.transitions import Transition, log_transition
from dfmon.model.metrics import EXPOSURE_INDEX
from dfmon.model.snapshot import Alert
from dfmon.model.units import HOUR, MINUTE, NAN, SECOND, YEAR

SERIES_PER_BOOK: Final = 4
SHOWN_FEATURES: Final = (
    "phi_gamma", "phi_vanna", "phi_charm", "flip_distance", "psi", "z", "points", "liquidations", "hedge_flow",
    "slow_share", "top_distance", "top_share",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SceneState:
    """State of the scene of one position model. `alerts` are newest first, `log` is oldest first."""

    buckets: BucketState
    thresholds: PhiThresholds
    flows: RollingWindow
    side: FlipSide
    alerts: tuple[Alert, ...]
    log: tuple[Transition, ...]

    @classmethod
    def initial(cls) -> SceneState:
        return cls(BucketState.initial(), PhiThresholds.initial(), empty_flow_window(), FlipSide.initial(), (), ())


@dataclass(frozen=True, slots=True)
class BookScene:
    """The scene of one book at one tick, and what decided it.

    `features` is None without a book, `gap` the reason why there is no call ("" where there is one). `confidence` is
    the share of the members that are in the bucket that holds; None without a call, without a bucket, for a convention.
    """

    features: BookFeatures | None
    thresholds: PhiThresholds
    liquidations: Levels
    market: HourMarket
    call: Call
    gap: str
    buckets: BucketState
    material: bool | None
    confidence: float | None
    alerts: tuple[Alert, ...]


def update_scene(
    state: SceneState, tick: TickResult, market: HourMarket, liquidations: Levels, prior: Levels, book_index: int
) -> tuple[SceneState, BookScene]:
    """The state and the scene after this tick. Without complete and fresh inputs the bucket is kept.

    `prior` are the thresholds of phi before they are measured; `book_index` spreads the hourly updates of the books.
    """
    ts_ns = tick.chain.ts_ns
    gap = _missing_input(tick, market)
    flows = _with_flows(state.flows, tick, market)
    features = _features(tick, market, flows) if tick.has_book else None
    thresholds = state.thresholds
    call, material = Call(None, (f"held: {tick.freshness.stale or gap}",)), None
    if features is not None:
        limits = rule_thresholds(thresholds, liquidations.hi)
        material = is_material(features.inputs, prior.lo)
        if not gap:
            call = call_scene(features.inputs, limits, state.buckets.scene)
            thresholds = _updated_thresholds(thresholds, ts_ns, features, prior, book_index)
    buckets = next_bucket_state(state.buckets, call.scene, ts_ns, _start_grace_ns(tick))
    confidence = None
    if call.scene is not None and features is not None and features.members is not None and buckets.scene is not None:
        confidence = member_share(features.members, limits, buckets.scene)
    side, alerts = _updated_alerts(state, tick, call, buckets, thresholds, is_complete=not gap)
    shown = () if features is None or buckets.scene == state.buckets.scene else shown_features(features)
    log = log_transition(state.log, ts_ns, tick.model, state.buckets.scene, buckets.scene, call.reasons, shown)
    scene = BookScene(features, thresholds, liquidations, market, call, gap, buckets, material, confidence, alerts)
    return SceneState(buckets, thresholds, flows, side, alerts, log), scene


def rule_thresholds(thresholds: PhiThresholds, liquidations_hi: float) -> RuleThresholds:
    """The thresholds that the rules use."""
    return RuleThresholds(thresholds.long_gamma.levels.mid, thresholds.short_gamma.levels.mid, liquidations_hi)


def shown_features(features: BookFeatures) -> tuple[tuple[str, float | None], ...]:
    """Names and values of the features that a transition is logged with."""
    values = ((name, float(getattr(features.inputs, name))) for name in SHOWN_FEATURES)
    return tuple((name, value if math.isfinite(value) else None) for name, value in values)


def _missing_input(tick: TickResult, market: HourMarket) -> str:
    """The first input without which there is no call, "" where all are there."""
    conditions = (
        (not tick.positions.known and not (tick.chain.open_interest >= 0.0).any(), "no open interest yet"),
        (not tick.positions.known, "positions unknown"),
        (bool(tick.freshness.stale), "inputs stale"),
        (not tick.cols.size, "no priceable option"),
        (tick.warming, "positions warming"),
        (not tick.chain.spot > 0.0, "no spot"),
        (not market.volume > 0.0, "no venue volume"),
        (not market.depth > 0.0, "no venue depth"),
    )
    return next((reason for missing, reason in conditions if missing), "")


def _start_grace_ns(tick: TickResult) -> int:
    """Age of the newest call up to which a candidate goes on waiting, 0 once all inputs of a call have come.

    A session that never stopped would have been stale after it.
    """
    ages = tick.freshness
    if all(age.age_s is not None for age in (ages.spot, ages.marks, ages.open_interest, ages.depth, ages.volumes)):
        return 0
    return round(min(ages.spot.limit_s, ages.marks.limit_s) * SECOND)


# ---- features --------------------------------------------------------------------------------------------------------


def _with_flows(flows: RollingWindow, tick: TickResult, market: HourMarket) -> RollingWindow:
    """The hour of slow and measured hedge flow with this minute."""
    if not tick.has_book or tick.freshness.stale:
        return flows
    total = tick.exposure.totals
    points = None if math.isnan(market.points) else market.points
    slow = slow_flow(UsdPerPoint(total.vss), UsdPerHour(total.chl_1h), points)
    hedge = NAN if tick.flows.hedge is None else tick.flows.hedge.value
    return flows.push(tick.chain.ts_ns, (NAN if slow is None else slow.value, hedge))


def _features(tick: TickResult, market: HourMarket, flows: RollingWindow) -> BookFeatures:
    hour = measure_hour(flows, tick.chain.ts_ns)
    total, members = tick.exposure.totals, tick.exposure.members
    daily_sigma = tick.sigma * math.sqrt(24.0 * HOUR / YEAR)
    flips, spot = tick.exposure.flips, tick.chain.spot
    distance, distances = NAN, np.full(0 if members is None else members.shape[1], NAN)
    if flips is not None and daily_sigma > 0.0:
        level = flips.flip.level
        distance = math.inf if level is None else abs(level / spot - 1.0) / daily_sigma
        if flips.roots is not None:
            roots = flips.roots
            distances = flip_distances(roots.level, roots.member, roots.size, spot, daily_sigma)
    book = BookSums(total.ngi, total.vss, total.chl_1h, distance)
    ensemble = None
    if members is not None:
        ngi, vss, chl_1h = (members[EXPOSURE_INDEX[name]] for name in ("ngi", "vss", "chl_1h"))
        ensemble = BookSums(ngi, vss, chl_1h, distances)
    return book_features(
        market,
        book,
        ensemble,
        _strikes(tick),
        NAN if hour.hedge_flow is None else hour.hedge_flow,
        NAN if hour.slow_share is None else hour.slow_sign * hour.slow_share,
    )


def _strikes(tick: TickResult) -> StrikeFeatures:
    """The strikes of the mean book, and of its nearest expiry."""
    cols, row = tick.cols, EXPOSURE_INDEX["ngi"]
    first = int(np.flatnonzero(cols.expiry_code == 0)[0])
    tau = float(cols.tau[first])
    return strike_features(
        tick.chain.spot,
        tick.exposure.sums.by_strike[row],
        cols.strikes,
        tick.exposure.sums.cells[row, 0],
        cols.strikes,
        float(cols.forward[first]),
        float(tick.atm[0]) * math.sqrt(tau),
        tau * YEAR / HOUR,
    )


# ---- what follows from them ------------------------------------------------------------------------------------------


def _updated_thresholds(
    thresholds: PhiThresholds, ts_ns: int, features: BookFeatures, prior: Levels, book_index: int
) -> PhiThresholds:
    inputs = features.inputs
    phis = (float(inputs.phi_gamma), float(inputs.phi_vanna), float(inputs.phi_charm))
    gamma, vanna, charm = (phi if math.isfinite(phi) else None for phi in phis)
    phase = book_index * SERIES_PER_BOOK * MINUTE
    return update_phi_thresholds(thresholds, ts_ns, float(inputs.ngi), (gamma, vanna, charm), prior, phase)


def _updated_alerts(
    state: SceneState,
    tick: TickResult,
    call: Call,
    buckets: BucketState,
    thresholds: PhiThresholds,
    *,
    is_complete: bool,
) -> tuple[FlipSide, tuple[Alert, ...]]:
    """Side of the flip, and the alerts with those of this tick; none while the inputs are incomplete or stale."""
    ts_ns, coin, model = tick.chain.ts_ns, tick.chain.underlying, tick.model
    alerts = [scene_alert(ts_ns, coin, model, state.buckets.scene, buckets.scene, call.reasons)]
    regime = tick.exposure.flips.regime if is_complete and tick.exposure.flips is not None else None
    side, crossing = update_flip_side(state.side, regime, tick.chain.spot, ts_ns)
    if crossing is not None:
        alerts.append(flip_alert(ts_ns, coin, model, tick.chain.spot, crossing))
    for name in thresholds.__slots__:
        before, after = getattr(state.thresholds, name), getattr(thresholds, name)
        if after.is_drifting(after.update_ns) and not before.is_drifting(before.update_ns):
            alerts.append(threshold_alert(ts_ns, coin, model, name.replace("_", " ")))
    found = tuple(alert for alert in alerts if alert is not None)
    return side, (*found, *state.alerts)[:MAX_ALERTS] if found else state.alerts
