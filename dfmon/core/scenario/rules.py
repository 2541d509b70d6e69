"""The six scenarios, calm to violent: a pure classifier with hysteresis and a dwell time.

Rules are tried in a fixed order and the first that holds wins; a bucket is entered at its threshold and left at 0.8
of it. Stale or thin inputs are not a seventh bucket: they overlay the current one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from dfmon.core.scenario.buckets import Bucket as Bucket
from dfmon.model.units import HOUR, SECOND

EXIT_RATIO: Final = 0.8
DWELL_NS: Final = 60 * SECOND
FLIP_SIGMAS: Final = 0.25
PIN_SIGMAS: Final = 0.35
PIN_SHARE: Final = 0.2
CASCADE_Z: Final = 1.5
DRIFT_Z: Final = 0.5
UNSTABLE_PSI: Final = -0.5


class Thresholds(msgspec.Struct, frozen=True):
    """Cut-offs of each phi (hedge flow of an hour over hourly venue volume) and of forced orders."""

    gamma_lo: float = 0.01
    gamma_mid: float = 0.03
    gamma_hi: float = 0.06
    liquidations_hi: float = 0.02


@dataclass(frozen=True, slots=True)
class ScenarioInputs:
    """Inputs of the rules. None where an input could not be computed: a rule that needs it does not hold.

    phi_*: shares of hourly venue volume; x: signed distance spot - flip in daily sigmas; z: one-hour return in
    sigmas; liquidations: share of hourly volume, `liquidation_sign` the direction forced orders pushed (+1 up);
    `heavier_short_side`: +1 when the heavier short strikes are above spot.
    """

    ngi: float
    psi: float | None
    phi_gamma: float | None
    phi_vanna: float | None
    phi_charm: float | None
    flip_distance: float | None
    flip_half_width: float | None
    return_z: float | None
    liquidations: float | None
    liquidation_sign: int
    heavier_short_side: int
    vanna_with_move: bool
    vanna_charm_sign: int
    expiry_hours: float | None
    pin_distance: float | None
    pin_share: float | None


@dataclass(frozen=True, slots=True)
class RuleState:
    """The current bucket, its start, and the sign of vanna and charm flow with its start."""

    bucket: Bucket | None
    since_ns: int
    vanna_charm_sign: int
    vanna_charm_since_ns: int

    @classmethod
    def initial(cls) -> RuleState:
        return cls(None, 0, 0, 0)


Rule = Callable[[ScenarioInputs, Thresholds, float, int], str]  # "" where the rule does not hold, else the reason


def _flip_zone(i: ScenarioInputs, t: Thresholds, hysteresis: float, _: int) -> str:
    if i.flip_distance is None:
        return ""
    limit = max(FLIP_SIGMAS, i.flip_half_width or 0.0) / hysteresis
    return (
        f"|x| {abs(i.flip_distance):.2f} <= {limit:.2f} daily sigma of the flip"
        if abs(i.flip_distance) <= limit
        else ""
    )


def _cascade(i: ScenarioInputs, t: Thresholds, hysteresis: float, _: int) -> str:
    if i.psi is not None and i.psi <= UNSTABLE_PSI * hysteresis:
        return f"psi {i.psi:.2f} <= {UNSTABLE_PSI * hysteresis}"
    if i.ngi >= 0.0 or i.phi_gamma is None or i.return_z is None or i.liquidations is None:
        return ""
    with_liquidations = i.liquidations >= t.liquidations_hi * hysteresis and i.liquidation_sign * i.return_z > 0.0
    if with_liquidations and i.phi_gamma >= t.gamma_hi * hysteresis and abs(i.return_z) >= CASCADE_Z * hysteresis:
        return f"NGI < 0, phi_g {i.phi_gamma:.3f} >= hi, z {i.return_z:+.1f}, liquidations with the move"
    return ""


def _squeeze(i: ScenarioInputs, t: Thresholds, hysteresis: float, _: int) -> str:
    if i.phi_gamma is None:
        return ""
    toward_short_strikes = i.return_z is not None and i.return_z * i.heavier_short_side > 0.0
    if i.ngi < 0.0 and i.phi_gamma >= t.gamma_mid * hysteresis and toward_short_strikes:
        side = "above" if i.heavier_short_side > 0 else "below"
        return f"NGI < 0, phi_g {i.phi_gamma:.3f} >= mid, z {i.return_z:+.1f} toward the short strikes {side}"
    if i.phi_vanna is None or not i.vanna_with_move:
        return ""
    if i.phi_vanna >= i.phi_gamma * hysteresis and i.phi_gamma >= t.gamma_lo * hysteresis:
        return f"phi_v {i.phi_vanna:.3f} >= phi_g {i.phi_gamma:.3f}, vol and spot add up"
    return ""


def _pin(i: ScenarioInputs, t: Thresholds, hysteresis: float, _: int) -> str:
    if i.ngi <= 0.0 or i.phi_gamma is None or i.expiry_hours is None:
        return ""
    if i.pin_distance is None or i.pin_share is None or i.expiry_hours > 24.0:
        return ""
    is_close, is_heavy = i.pin_distance <= PIN_SIGMAS / hysteresis, i.pin_share >= PIN_SHARE * hysteresis
    if is_close and is_heavy and i.phi_gamma >= t.gamma_mid * hysteresis:
        return f"NGI > 0, top strike {i.pin_distance:.2f} sigma away holds {i.pin_share:.0%} of the gamma"
    return ""


def _drift(i: ScenarioInputs, t: Thresholds, hysteresis: float, vanna_charm_ns: int) -> str:
    if i.phi_gamma is None or i.phi_vanna is None or i.phi_charm is None or i.return_z is None:
        return ""
    vanna_charm = i.phi_charm + i.phi_vanna
    if vanna_charm >= i.phi_gamma * hysteresis and vanna_charm_ns >= HOUR and abs(i.return_z) < DRIFT_Z / hysteresis:
        return (
            f"phi_c + phi_v {vanna_charm:.3f} >= phi_g {i.phi_gamma:.3f}, one sign for an hour, "
            f"|z| {abs(i.return_z):.1f}"
        )
    return ""


RULE_ORDER: Final[tuple[tuple[Bucket, Rule], ...]] = (
    (Bucket.FLIP_ZONE, _flip_zone),
    (Bucket.CASCADE, _cascade),
    (Bucket.SQUEEZE, _squeeze),
    (Bucket.PIN, _pin),
    (Bucket.DRIFT, _drift),
)


def classify(
    state: RuleState, inputs: ScenarioInputs, thresholds: Thresholds, ts_ns: int
) -> tuple[RuleState, tuple[str, ...]]:
    """The next state and the inputs that decided it.

    A change waits until the old bucket is a minute old, except into CASCADE by an unstable psi.

    Units: as `ScenarioInputs`. Domain: total, every input gives exactly one bucket.
    Source: scenario table of dfmon's README; hysteresis as a Schmitt trigger with dwell.
    """
    state = _track_vanna_charm_sign(state, inputs.vanna_charm_sign, ts_ns)
    vanna_charm_ns = ts_ns - state.vanna_charm_since_ns if state.vanna_charm_sign else 0
    bucket, reason = Bucket.DAMP, "no other rule holds"
    for candidate, rule in RULE_ORDER:
        rule_reason = rule(inputs, thresholds, EXIT_RATIO if candidate is state.bucket else 1.0, vanna_charm_ns)
        if rule_reason:
            bucket, reason = candidate, rule_reason
            break
    if bucket is state.bucket:
        return state, (reason,)
    unstable = inputs.psi is not None and inputs.psi <= UNSTABLE_PSI
    if state.bucket is not None and ts_ns - state.since_ns < DWELL_NS and not (bucket is Bucket.CASCADE and unstable):
        remaining_s = (DWELL_NS - (ts_ns - state.since_ns)) // SECOND
        return state, (f"held {remaining_s} s more before {bucket.title}: {reason}",)
    return replace(state, bucket=bucket, since_ns=ts_ns), (reason,)


def _track_vanna_charm_sign(state: RuleState, sign: int, ts_ns: int) -> RuleState:
    if sign == state.vanna_charm_sign:
        return state
    return replace(state, vanna_charm_sign=sign, vanna_charm_since_ns=ts_ns)
