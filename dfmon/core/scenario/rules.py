"""The rules of the six scenarios as a table of comparisons, read in a fixed order: the first rule that holds wins.

A rule is one or more alternatives, an alternative is a list of comparisons that must all be true. NaN stands for an
input that is not known: a comparison with it is neither true nor false, and where that could change the bucket there
is no call. All functions take one book (floats) or many (arrays of one length) alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dfmon.core.scenario.buckets import Bucket, Scene
from dfmon.core.scenario.comparisons import Alternative, Comparison, Rule, all_true
from dfmon.model.frames import F64

Number: TypeAlias = "float | F64"
LEAVE: Final = 0.8  # of the entering threshold, where the table gives no leaving value
FLIP_SIGMAS: Final = (0.25, 0.3125)  # enter, leave; so are the pairs below
CASCADE_Z: Final = 1.5
UNSTABLE_PSI: Final = -0.5
SQUEEZE_Z: Final = (1.0, 0.6)
PIN_Z: Final = (1.0, 1.25)
PIN_HOURS: Final = 24.0
PIN_SIGMAS: Final = (0.35, 0.4375)
PIN_SHARE: Final = 0.2
DRIFT_Z: Final = (0.5, 1.0)
DRIFT_SHARE: Final = 0.5  # of phi_gamma
DRIFT_HOUR_SHARE: Final = 0.8
DEAD_BAND: Final = 0.5  # of the mean size of an hourly move
MATERIAL: Final = 0.01
MIN_LIQUIDATIONS: Final = 0.01
_FIRST_HOUR: Final = {"|z|": " before an hour of spot", "|dsigma|": " before an hour of volatilities"}


@dataclass(frozen=True, slots=True)
class RuleInputs:
    """Inputs of the rules for one book or for each of many.

    phi_*: shares of hourly venue volume. `flip_distance`: daily sigmas within which at least half of the members change
    the sign of NGI, infinite where fewer have a flip; `psi`: the value that 90 % of the members do not exceed.
    `z`, `points`: return of the hour in sigmas and volatility move of the hour in points, `mean_z` and `mean_points`
    their mean sizes. `liquidation_sign` is the direction of forced orders, `short_side` +1 where the heavier short
    strikes are above spot; `hedge_flow` the measured hedge trade of the hour, USD, + = bought; `slow_share` the share
    of the hour in which the slow flow had one sign, negative where dealers had to buy. `top_*`: the top strike of the
    nearest expiry, its distance in sigma sqrt(T) and its share of gamma.
    """

    ngi: Number
    vss: Number
    phi_gamma: Number
    phi_vanna: Number
    phi_charm: Number
    flip_distance: Number
    psi: Number
    z: Number
    points: Number
    mean_z: Number
    mean_points: Number
    liquidations: Number
    liquidation_sign: Number
    short_side: Number
    hedge_flow: Number
    slow_share: Number
    expiry_hours: Number
    top_distance: Number
    top_share: Number


class RuleThresholds(NamedTuple):
    """Adaptive thresholds: the middle one of phi_gamma by the sign of NGI, the high one of liquidations."""

    long_gamma_mid: float = 0.03
    short_gamma_mid: float = 0.03
    liquidations_hi: float = MIN_LIQUIDATIONS


class Call(NamedTuple):
    """The scene that the rules call for, None where missing inputs could change it, and the inputs that decided."""

    scene: Scene | None
    reasons: tuple[str, ...]

    @property
    def bucket(self) -> Bucket | None:
        return None if self.scene is None else self.scene.bucket


def call_scene(inputs: RuleInputs, thresholds: RuleThresholds, current: Scene | None) -> Call:
    """The call for one book; `current` is the scene that holds, which is left at its leaving values."""
    rules = rule_table(inputs, thresholds, current)
    undecided: list[Rule] = []
    for rule in rules:
        truth = rule.truth()
        if truth.true:
            if any(other.bucket is not rule.bucket for other in undecided):
                break
            alternative = next(a for a in rule.alternatives if all_true(a).true)
            return Call(Scene(rule.bucket, rule.armed), tuple(str(comparison) for comparison in alternative))
        if not truth.false:
            undecided.append(rule)
    if undecided:
        return Call(None, _missing_inputs(undecided))
    return Call(Scene(Bucket.DAMP), _failed_inputs(rules, current))


def call_codes(rules: Iterable[Rule]) -> Any:
    """Number of the bucket called for, 0 where missing inputs could change it.

    Shapes: as the inputs, a scalar or (M,).
    """
    undecided: Any = 1
    candidates: Any = 0
    for rule in rules:
        truth = rule.truth()
        if truth.false is True:
            continue
        candidates = candidates | (undecided & (1 - truth.false)) << int(rule.bucket)
        undecided = undecided & (1 - truth.true)
    candidates = candidates | undecided << int(Bucket.DAMP)
    return sum((candidates == 1 << int(bucket)) * int(bucket) for bucket in Bucket)


def member_share(inputs: RuleInputs, thresholds: RuleThresholds, current: Scene) -> float:
    """Share of the members whose own inputs are in the bucket of `current`, which they leave at its leaving values.

    Shapes: inputs of (M,), those that all members share may be scalars.
    """
    codes: NDArray[np.int64] = call_codes(rule_table(inputs, thresholds, current))
    return float(np.mean(codes == int(current.bucket)))


def is_material(inputs: RuleInputs, limit: float = MATERIAL) -> bool | None:
    """True where any phi of one book reaches `limit`; None where a missing one could."""
    phis = inputs.phi_gamma, inputs.phi_vanna, inputs.phi_charm
    if any(phi >= limit for phi in phis):
        return True
    return False if all(phi < limit for phi in phis) else None


# ---- the table -------------------------------------------------------------------------------------------------------


def rule_table(i: RuleInputs, t: RuleThresholds, current: Scene | None) -> tuple[Rule, ...]:
    """The rules in the order in which they are tried; where none holds the bucket is DAMP.

    A squeeze that is only armed begins at the entering values.
    """
    bucket = None if current is None else current.bucket
    in_zone, in_pin, in_drift = (bucket is b for b in (Bucket.FLIP_ZONE, Bucket.PIN, Bucket.DRIFT))
    in_squeeze = current == Scene(Bucket.SQUEEZE)
    hysteresis = {b: LEAVE if b is bucket else 1.0 for b in Bucket}
    return (
        Rule(Bucket.FLIP_ZONE, _flip_zone(i, FLIP_SIGMAS[in_zone])),
        Rule(Bucket.CASCADE, _cascade(i, t, hysteresis[Bucket.CASCADE])),
        Rule(Bucket.SQUEEZE, _squeeze(i, t, LEAVE if in_squeeze else 1.0, SQUEEZE_Z[in_squeeze])),
        Rule(Bucket.PIN, _pin(i, t, hysteresis[Bucket.PIN], in_pin)),
        Rule(Bucket.DRIFT, _drift(i, hysteresis[Bucket.DRIFT], DRIFT_Z[in_drift])),
        Rule(Bucket.SQUEEZE, _armed(i, hysteresis[Bucket.SQUEEZE]), armed=True),
    )


def _flip_zone(i: RuleInputs, limit: float) -> tuple[Alternative, ...]:
    return ((Comparison("flip distance in daily sigmas", i.flip_distance, "<=", limit),),)


def _cascade(i: RuleInputs, t: RuleThresholds, hysteresis: float) -> tuple[Alternative, ...]:
    move = Comparison("|z|", abs(i.z), ">=", CASCADE_Z * hysteresis)
    forced = (
        Comparison("NGI", i.ngi, "<", 0.0),
        Comparison("phi_g", i.phi_gamma, ">=", t.short_gamma_mid * hysteresis),
        move,
        Comparison("liquidations", i.liquidations, ">=", max(t.liquidations_hi, MIN_LIQUIDATIONS) * hysteresis),
        Comparison("liquidated side", i.liquidation_sign * i.z, ">", 0.0, "liquidations with the move"),
    )
    return forced, (Comparison("psi", i.psi, "<=", UNSTABLE_PSI * hysteresis), move)


def _squeeze(i: RuleInputs, t: RuleThresholds, hysteresis: float, z_limit: float) -> tuple[Alternative, ...]:
    gamma = (
        Comparison("NGI", i.ngi, "<", 0.0),
        Comparison("phi_g", i.phi_gamma, ">=", t.short_gamma_mid * hysteresis),
        Comparison("|z|", abs(i.z), ">=", z_limit),
        Comparison("short strikes", i.z * i.short_side, ">", 0.0, "moving toward the heavier short strikes"),
    )
    vanna = (
        Comparison("phi_v", i.phi_vanna, ">=", hysteresis * i.phi_gamma),
        Comparison("|dsigma|", abs(i.points), ">=", DEAD_BAND * hysteresis * i.mean_points),
        Comparison("|z|", abs(i.z), ">=", DEAD_BAND * hysteresis * i.mean_z),
        Comparison("vanna flow", -i.vss * i.points * i.z, ">", 0.0, "vanna hedging adds to the move"),
        Comparison("hedge flow", i.hedge_flow * i.z, ">", 0.0, "the hour's hedge flow went with the move"),
    )
    return gamma, vanna


def _pin(i: RuleInputs, t: RuleThresholds, hysteresis: float, leaving: bool) -> tuple[Alternative, ...]:
    return (
        (
            Comparison("NGI", i.ngi, ">", 0.0),
            Comparison("phi_g", i.phi_gamma, ">=", t.long_gamma_mid * hysteresis),
            Comparison("|z|", abs(i.z), "<", PIN_Z[leaving]),
            Comparison("hours to expiry", i.expiry_hours, "<=", PIN_HOURS),
            Comparison("top strike's distance in sigmas", i.top_distance, "<=", PIN_SIGMAS[leaving]),
            Comparison("top strike's share of gamma", i.top_share, ">=", PIN_SHARE * hysteresis),
        ),
    )


def _slow_name(share: Number) -> str:
    """Name of the comparison of the slow flow, with the side that dealers had to take."""
    if isinstance(share, np.ndarray) or not abs(share) > 0.0:
        return "one sign for a share of the hour"
    return f"dealers {'sell' if share > 0.0 else 'buy'} for a share of the hour"


def _drift(i: RuleInputs, hysteresis: float, z_limit: float) -> tuple[Alternative, ...]:
    rest = (
        Comparison(_slow_name(i.slow_share), abs(i.slow_share), ">=", DRIFT_HOUR_SHARE * hysteresis),
        Comparison("|z|", abs(i.z), "<", z_limit),
    )
    # one of the two may be enough while the other is not known
    slow = (("phi_c + phi_v", i.phi_charm + i.phi_vanna), ("phi_v", i.phi_vanna), ("phi_c", i.phi_charm))
    limit = DRIFT_SHARE * hysteresis * i.phi_gamma
    return tuple((Comparison(name, phi, ">=", limit), *rest) for name, phi in slow)


def _armed(i: RuleInputs, hysteresis: float) -> tuple[Alternative, ...]:
    short, limit = Comparison("NGI", i.ngi, "<", 0.0), MATERIAL * hysteresis
    phis = (("phi_g", i.phi_gamma), ("phi_v", i.phi_vanna), ("phi_c", i.phi_charm))
    return tuple((short, Comparison(name, phi, ">=", limit)) for name, phi in phis)


# ---- reasons where no rule holds -------------------------------------------------------------------------------------


def _missing_inputs(undecided: list[Rule]) -> tuple[str, ...]:
    """Names of the inputs that leave these rules undecided."""
    names: list[str] = []
    for rule in undecided:
        for alternative in rule.alternatives:
            if not all_true(alternative).false:
                names += [c.name for c in alternative if not c.truth().true]
    return tuple(f"{name}: not known{_FIRST_HOUR.get(name, '')}" for name in dict.fromkeys(names))


def _failed_inputs(rules: tuple[Rule, ...], current: Scene | None) -> tuple[str, ...]:
    """For each bucket that was tried the first comparison that is not true: why it is DAMP.

    That of the bucket which is being left comes first.
    """
    failed: dict[str, str] = {}
    for rule in rules:
        comparison = next(c for c in rule.alternatives[0] if c.truth().false)
        failed.setdefault(rule.bucket.title, f"no {rule.bucket.title}: {_denied(comparison)}")
    left = failed.pop(current.bucket.title, "") if current is not None else ""
    return (*filter(None, (left,)), "no other rule holds", *failed.values())


def _denied(comparison: Comparison) -> str:
    if comparison.phrase:
        return f"not {comparison.phrase}"
    if comparison.name == "NGI":
        return str(comparison)
    opposite = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}[comparison.relation]
    left = "none" if math.isinf(comparison.left) else f"{comparison.left:.3g}"
    return f"{comparison.name} {left} {opposite} {comparison.right:.3g}"
