"""The six scenarios, calm to violent: a pure classifier with hysteresis and a dwell time.

Comes last in a step. Rules are tried in a fixed order and the first that holds wins; a bucket is entered at its
threshold and left at 0.8 of it. Stale or thin inputs do not make a seventh bucket, they overlay the one that holds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final

import msgspec

from dfmon.model.units import HOUR, SECOND

LEAVE_AT: Final = 0.8
DWELL: Final = 60 * SECOND
FLIP_SIGMAS: Final = 0.25
PIN_SIGMAS: Final = 0.35
PIN_SHARE: Final = 0.2
CASCADE_Z: Final = 1.5
DRIFT_Z: Final = 0.5
UNSTABLE_PSI: Final = -0.5


class Bucket(IntEnum):
    """Scenario numbers as every output writes them."""

    PIN = 1
    DAMP = 2
    DRIFT = 3
    FLIP_ZONE = 4
    SQUEEZE = 5
    CASCADE = 6

    @property
    def title(self) -> str:
        return self.name.replace("_", "-")


class Thresholds(msgspec.Struct, frozen=True):
    """Cut-offs of each phi (hedge flow of an hour over hourly venue volume) and of forced orders."""

    gamma_lo: float = 0.01
    gamma_mid: float = 0.03
    gamma_hi: float = 0.06
    liquidations_hi: float = 0.02


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the rules read. None where it could not be computed: a rule that needs it then does not hold.

    phi_*: shares of hourly venue volume; x: signed distance spot - flip in daily sigmas; z: one-hour return in
    sigmas; liquidations: share of hourly volume, `liquidated` the direction forced orders pushed (+1 up);
    `short_side`: +1 when the heavier short strikes are above spot.
    """

    ngi: float
    psi: float | None
    phi_gamma: float | None
    phi_vanna: float | None
    phi_charm: float | None
    x: float | None
    flip_half_width: float | None
    z: float | None
    liquidations: float | None
    liquidated: int
    short_side: int
    vanna_adds: bool
    slow_sign: int
    expiry_hours: float | None
    pin_distance: float | None
    pin_share: float | None


@dataclass(frozen=True, slots=True)
class RuleState:
    """The bucket that holds, since when, and how long vanna and charm have pointed the same way."""

    bucket: Bucket | None
    since_ns: int
    slow_sign: int
    slow_since_ns: int

    @classmethod
    def initial(cls) -> RuleState:
        return cls(None, 0, 0, 0)


Rule = Callable[[Inputs, Thresholds, float, int], str]  # "" where the rule does not hold, else the reason


def _flip_zone(i: Inputs, t: Thresholds, ease: float, _: int) -> str:
    if i.x is None:
        return ""
    limit = max(FLIP_SIGMAS, i.flip_half_width or 0.0) / ease
    return f"|x| {abs(i.x):.2f} <= {limit:.2f} daily sigma of the flip" if abs(i.x) <= limit else ""


def _cascade(i: Inputs, t: Thresholds, ease: float, _: int) -> str:
    if i.psi is not None and i.psi <= UNSTABLE_PSI * ease:
        return f"psi {i.psi:.2f} <= {UNSTABLE_PSI * ease}"
    if i.ngi >= 0.0 or i.phi_gamma is None or i.z is None or i.liquidations is None:
        return ""
    forced = i.liquidations >= t.liquidations_hi * ease and i.liquidated * i.z > 0.0
    if forced and i.phi_gamma >= t.gamma_hi * ease and abs(i.z) >= CASCADE_Z * ease:
        return f"NGI < 0, phi_g {i.phi_gamma:.3f} >= hi, z {i.z:+.1f}, liquidations with the move"
    return ""


def _squeeze(i: Inputs, t: Thresholds, ease: float, _: int) -> str:
    if i.phi_gamma is None:
        return ""
    toward = i.z is not None and i.z * i.short_side > 0.0
    if i.ngi < 0.0 and i.phi_gamma >= t.gamma_mid * ease and toward:
        side = "above" if i.short_side > 0 else "below"
        return f"NGI < 0, phi_g {i.phi_gamma:.3f} >= mid, z {i.z:+.1f} toward the short strikes {side}"
    if i.phi_vanna is None or not i.vanna_adds:
        return ""
    if i.phi_vanna >= i.phi_gamma * ease and i.phi_gamma >= t.gamma_lo * ease:
        return f"phi_v {i.phi_vanna:.3f} >= phi_g {i.phi_gamma:.3f}, vol and spot add up"
    return ""


def _pin(i: Inputs, t: Thresholds, ease: float, _: int) -> str:
    if i.ngi <= 0.0 or i.phi_gamma is None or i.expiry_hours is None:
        return ""
    if i.pin_distance is None or i.pin_share is None or i.expiry_hours > 24.0:
        return ""
    close, heavy = i.pin_distance <= PIN_SIGMAS / ease, i.pin_share >= PIN_SHARE * ease
    if close and heavy and i.phi_gamma >= t.gamma_mid * ease:
        return f"NGI > 0, top strike {i.pin_distance:.2f} sigma away holds {i.pin_share:.0%} of the gamma"
    return ""


def _drift(i: Inputs, t: Thresholds, ease: float, slow_ns: int) -> str:
    if i.phi_gamma is None or i.phi_vanna is None or i.phi_charm is None or i.z is None:
        return ""
    slow = i.phi_charm + i.phi_vanna
    if slow >= i.phi_gamma * ease and slow_ns >= HOUR and abs(i.z) < DRIFT_Z / ease:
        return f"phi_c + phi_v {slow:.3f} >= phi_g {i.phi_gamma:.3f}, one sign for an hour, |z| {abs(i.z):.1f}"
    return ""


ORDER: Final[tuple[tuple[Bucket, Rule], ...]] = (
    (Bucket.FLIP_ZONE, _flip_zone),
    (Bucket.CASCADE, _cascade),
    (Bucket.SQUEEZE, _squeeze),
    (Bucket.PIN, _pin),
    (Bucket.DRIFT, _drift),
)


def classify(state: RuleState, inputs: Inputs, thresholds: Thresholds, ts_ns: int) -> tuple[RuleState, tuple[str, ...]]:
    """The next state and the inputs that decided.

    A change waits until the old bucket is a minute old, except into CASCADE by an unstable psi.
    Units: as `Inputs`. Shapes: scalars. Domain: total, every input gives exactly one bucket.
    Source: scenario table of dfmon's README; hysteresis as a Schmitt trigger with dwell.
    """
    state = _track_slow_sign(state, inputs.slow_sign, ts_ns)
    slow_ns = ts_ns - state.slow_since_ns if state.slow_sign else 0
    bucket, reason = Bucket.DAMP, "no other rule holds"
    for candidate, rule in ORDER:
        said = rule(inputs, thresholds, LEAVE_AT if candidate is state.bucket else 1.0, slow_ns)
        if said:
            bucket, reason = candidate, said
            break
    if bucket is state.bucket:
        return state, (reason,)
    unstable = inputs.psi is not None and inputs.psi <= UNSTABLE_PSI
    if state.bucket is not None and ts_ns - state.since_ns < DWELL and not (bucket is Bucket.CASCADE and unstable):
        waiting = (DWELL - (ts_ns - state.since_ns)) // SECOND
        return state, (f"held {waiting} s more before {bucket.title}: {reason}",)
    return replace(state, bucket=bucket, since_ns=ts_ns), (reason,)


def _track_slow_sign(state: RuleState, sign: int, ts_ns: int) -> RuleState:
    if sign == state.slow_sign:
        return state
    return replace(state, slow_sign=sign, slow_since_ns=ts_ns)
