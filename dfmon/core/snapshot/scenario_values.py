"""The scenario and its features as values of the snapshot, and the reasons for their missing numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from dfmon.core.scenario.book_scene import BookScene
from dfmon.core.scenario.hedge_side import hedge_side
from dfmon.core.scenario.tick_result import TickResult
from dfmon.core.scenario.transitions import Transition
from dfmon.model.scenario import Feature, Features, HedgeSide, Scenario, ScenarioChange, ShareOfVolume
from dfmon.model.units import SECOND, iso

SHOWN_CHANGES: Final = 50  # of the scenario, in the detail of a snapshot
_FEATURE_REASONS: Final = {
    "phi_gamma": "no venue volume",
    "phi_vanna": "no venue volume, or no volatility to scale its moves",
    "phi_charm": "no venue volume",
    "psi": "no venue depth",
    "z": "less than an hour of spot",
    "dsigma": "less than an hour of volatilities",
    "liquidations": "no venue volume",
    "hedge_flow": "less than an hour of hedge flow",
    "slow_share": "less than 48 minutes of the hour",
    "flip_distance": "no flip",
    "flip_zone_share": "no spot or no volatility",
    "top_strike_share": "no gamma in the nearest expiry",
    "top_strike_distance": "no gamma in the nearest expiry",
}


def scenario(tick: TickResult, scene: BookScene, disagreement: str = "") -> Scenario:
    """The bucket that holds, with its attributes and what decided it.

    `disagreement` is the sentence on order flow that goes against the hedge pressure, "" for none.
    """
    buckets, ts_ns = scene.buckets, tick.chain.ts_ns
    holding = buckets.scene
    return Scenario(
        bucket=None if holding is None else int(holding.bucket),
        name="UNKNOWN" if holding is None else holding.bucket.title,
        side=_side(tick),
        material=scene.material,
        age_s=0.0 if holding is None else (ts_ns - buckets.since_ns) / SECOND,
        since="" if holding is None else iso(buckets.since_ns),
        confidence=scene.confidence,
        reasons=(*_reasons(scene, ts_ns), *filter(None, (disagreement,))),
        overlay=_overlay(scene),
        armed=holding is not None and holding.armed,
    )


def features(scene: BookScene) -> Features:
    """The inputs of the rules, each with its adaptive thresholds where it has some."""
    found, limits = scene.features, scene.thresholds
    inputs = None if found is None else found.inputs

    def value(name: str) -> float | None:
        number = math.nan if inputs is None else float(getattr(inputs, name))
        return number if math.isfinite(number) else None

    gamma = limits.gamma(0.0 if inputs is None else float(inputs.ngi))
    in_zone = math.nan if found is None else found.flip_zone_share
    return Features(
        phi_gamma=ShareOfVolume(value("phi_gamma"), *gamma.levels),
        phi_vanna=ShareOfVolume(value("phi_vanna"), *limits.vanna.levels),
        phi_charm=ShareOfVolume(value("phi_charm"), *limits.charm.levels),
        z=Feature(value("z")),
        psi=Feature(value("psi")),
        liquidations=ShareOfVolume(value("liquidations"), *scene.liquidations),
        top_strike_share=Feature(value("top_share")),
        top_strike_distance=Feature(value("top_distance")),
        flip_distance=Feature(value("flip_distance")),
        flip_zone_share=Feature(in_zone if math.isfinite(in_zone) else None),
        dsigma=Feature(value("points")),
        slow_share=Feature(value("slow_share")),
        hedge_flow=Feature(value("hedge_flow")),
    )


def scenario_changes(log: tuple[Transition, ...]) -> tuple[ScenarioChange, ...]:
    """The last SHOWN_CHANGES changes of a log, the newest first."""
    return tuple(
        ScenarioChange(
            ts=iso(change.ts_ns),
            model=change.model,
            before=None if change.before is None else change.before.title,
            after=change.after.title,
            reasons=change.reasons,
            features=dict(change.features),
        )
        for change in reversed(log[-SHOWN_CHANGES:])
    )


def missing_scenario_reasons(found: Features, result: Scenario) -> Iterator[str]:
    """A sentence for each missing number of the scenario and its features."""
    missing: dict[str, list[str]] = {}
    for name, reason in _FEATURE_REASONS.items():
        if getattr(found, name).value is None:
            missing.setdefault(reason, []).append(f"features.{name}")
    yield from (f"{', '.join(names)}: {reason}" for reason, names in missing.items())
    if result.bucket is None:
        yield f"scenario.bucket: {result.overlay.removeprefix('UNKNOWN: ')}"
    if result.material is None:
        yield "scenario.material: a share of volume that is not known could reach the threshold"
    if result.confidence is None:
        yield "scenario.confidence: no ensemble of positions, no bucket, or inputs that are missing or stale"


def _side(tick: TickResult) -> HedgeSide:
    """The side of the hedges within the hour, if spot rises or falls by a standard deviation: that of the outlook."""
    amounts = {row.name: (row.value, row.lo, row.hi) for row in tick.flows.outlook}
    if "+1 sd" in amounts and tick.model == "flow" and not tick.decided:
        return "unsure"
    return hedge_side(amounts["+1 sd"], amounts["-1 sd"]) if "+1 sd" in amounts else "none"


def _overlay(scene: BookScene) -> str:
    """The reason why the bucket is unknown or only kept, "" where it is known. No number in it changes by tick."""
    if scene.gap:
        return f"UNKNOWN: {scene.gap}"
    if scene.call.scene is None:
        return f"UNKNOWN: {'; '.join(scene.call.reasons)}"
    return f"UNKNOWN: {scene.call.scene.title} has not lasted yet" if scene.buckets.scene is None else ""


def _reasons(scene: BookScene, ts_ns: int) -> tuple[str, ...]:
    """The inputs that decided; while a candidate waits, first how long it still has to."""
    if scene.buckets.candidate is None:
        return scene.call.reasons
    return _waiting(scene, ts_ns), *scene.call.reasons


def _waiting(scene: BookScene, ts_ns: int) -> str:
    candidate = scene.buckets.candidate
    if candidate is None:
        return "no candidate"
    remaining_s = -(-scene.buckets.remaining_ns(ts_ns) // SECOND)
    return f"{candidate.title} holds in {remaining_s // 60}:{remaining_s % 60:02d} min if it lasts"
