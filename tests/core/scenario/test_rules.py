from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfmon.core.scenario.rules import (
    DWELL_NS,
    Bucket,
    RuleState,
    ScenarioInputs,
    Thresholds,
    classify,
)
from dfmon.model.units import HOUR, SECOND
from tests.chains import NOW

LIMITS = Thresholds(gamma_lo=0.01, gamma_mid=0.03, gamma_hi=0.06, liquidations_hi=0.02)
QUIET = ScenarioInputs(
    ngi=1e6, psi=0.1, phi_gamma=0.02, phi_vanna=0.005, phi_charm=0.005, flip_distance=2.0, flip_half_width=None,
    return_z=0.1,
    liquidations=0.0, liquidation_sign=0, heavier_short_side=0, vanna_with_move=False, vanna_charm_sign=1,
    expiry_hours=48.0,
    pin_distance=1.0, pin_share=0.1,
)  # fmt: skip
NEAR_FLIP = replace(QUIET, flip_distance=-0.2)
FALLING = replace(QUIET, ngi=-1e6, phi_gamma=0.07, return_z=-2.0, liquidations=0.03, liquidation_sign=-1, psi=-0.2)
UNSTABLE = replace(QUIET, ngi=-1e6, psi=-0.6)
SHORT = replace(QUIET, ngi=-1e6, phi_gamma=0.04, return_z=0.8, heavier_short_side=1)
VANNA = replace(QUIET, phi_vanna=0.03, vanna_with_move=True)
PINNED = replace(QUIET, phi_gamma=0.04, expiry_hours=6.0, pin_distance=0.1, pin_share=0.4)
SLOW = replace(QUIET, phi_charm=0.03)


def now(inputs: ScenarioInputs, held: Bucket | None = None, age_ns: int = 2 * DWELL_NS) -> Bucket | None:
    """The bucket after one tick, vanna and charm having pointed one way for two hours."""
    state = RuleState(held, NOW - age_ns, inputs.vanna_charm_sign, NOW - 2 * HOUR)
    return classify(state, inputs, LIMITS, NOW)[0].bucket


def test_there_are_exactly_six_buckets_with_one_name_each() -> None:
    assert [(int(b), b.title) for b in Bucket] == [
        (1, "PIN"), (2, "DAMP"), (3, "DRIFT"), (4, "FLIP-ZONE"), (5, "SQUEEZE"), (6, "CASCADE"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("inputs", "bucket"),
    [
        (QUIET, Bucket.DAMP), (NEAR_FLIP, Bucket.FLIP_ZONE), (FALLING, Bucket.CASCADE), (UNSTABLE, Bucket.CASCADE),
        (SHORT, Bucket.SQUEEZE), (VANNA, Bucket.SQUEEZE), (PINNED, Bucket.PIN), (SLOW, Bucket.DRIFT),
    ],
)  # fmt: skip
def test_each_bucket_has_inputs_that_lead_to_it(inputs: ScenarioInputs, bucket: Bucket) -> None:
    assert now(inputs) is bucket


def test_first_match_in_the_order_wins() -> None:
    everything = replace(FALLING, flip_distance=0.1, heavier_short_side=-1, phi_charm=1.0)
    assert now(everything) is Bucket.FLIP_ZONE
    assert now(replace(everything, flip_distance=2.0)) is Bucket.CASCADE
    assert now(replace(everything, flip_distance=2.0, liquidations=0.0)) is Bucket.SQUEEZE


@pytest.mark.parametrize("ngi", [0.0, -1e6])
def test_pin_needs_long_gamma(ngi: float) -> None:
    assert now(replace(PINNED, ngi=ngi)) is not Bucket.PIN


@pytest.mark.parametrize("phi", [0.0, 1e-9, 0.029, None])
def test_pin_never_holds_on_near_zero_gamma(phi: float | None) -> None:
    assert now(replace(PINNED, phi_gamma=phi)) is not Bucket.PIN


@pytest.mark.parametrize("missed", [{"expiry_hours": 24.1}, {"pin_distance": 0.36}, {"pin_share": 0.19}])
def test_pin_needs_a_close_expiry_a_close_strike_and_a_heavy_one(missed: dict[str, Any]) -> None:
    assert now(replace(PINNED, **missed)) is Bucket.DAMP


@pytest.mark.parametrize(
    "missed", [{"ngi": 1e6}, {"phi_gamma": 0.05}, {"return_z": -1.4}, {"liquidations": 0.01}, {"liquidation_sign": 1}]
)
def test_cascade_needs_short_gamma_a_move_and_forced_orders_with_it(missed: dict[str, Any]) -> None:
    assert now(replace(FALLING, **missed)) is not Bucket.CASCADE


def test_squeeze_needs_the_move_to_go_toward_the_heavier_short_strikes() -> None:
    assert now(replace(SHORT, return_z=-0.8)) is Bucket.DAMP
    assert now(replace(SHORT, return_z=-0.8, heavier_short_side=-1)) is Bucket.SQUEEZE
    assert now(replace(SHORT, heavier_short_side=0)) is Bucket.DAMP


def test_wide_band_of_the_flip_widens_the_flip_zone() -> None:
    assert now(replace(QUIET, flip_distance=1.0)) is Bucket.DAMP
    assert now(replace(QUIET, flip_distance=1.0, flip_half_width=1.1)) is Bucket.FLIP_ZONE


@pytest.mark.parametrize(
    ("held", "entered", "kept", "left"),
    [
        (Bucket.FLIP_ZONE, {"flip_distance": 0.25}, {"flip_distance": 0.31}, {"flip_distance": 0.32}),
        (Bucket.CASCADE, {"psi": -0.5}, {"psi": -0.41}, {"psi": -0.39}),
        (Bucket.CASCADE, {"return_z": -1.5}, {"return_z": -1.21}, {"return_z": -1.19}),
        (Bucket.CASCADE, {"liquidations": 0.02}, {"liquidations": 0.0161}, {"liquidations": 0.0159}),
        (Bucket.SQUEEZE, {"phi_gamma": 0.03}, {"phi_gamma": 0.0241}, {"phi_gamma": 0.0239}),
        (Bucket.SQUEEZE, {"phi_vanna": 0.02}, {"phi_vanna": 0.0161}, {"phi_vanna": 0.0159}),
        (Bucket.PIN, {"phi_gamma": 0.03}, {"phi_gamma": 0.0241}, {"phi_gamma": 0.0239}),
        (Bucket.PIN, {"pin_distance": 0.35}, {"pin_distance": 0.437}, {"pin_distance": 0.438}),
        (Bucket.PIN, {"pin_share": 0.2}, {"pin_share": 0.161}, {"pin_share": 0.159}),
        (Bucket.DRIFT, {"phi_charm": 0.015}, {"phi_charm": 0.0111}, {"phi_charm": 0.0109}),
        (Bucket.DRIFT, {"return_z": 0.499}, {"return_z": 0.624}, {"return_z": 0.626}),
    ],
)
def test_bucket_is_entered_at_the_threshold_and_left_at_four_fifths_of_it(
    held: Bucket, entered: dict[str, Any], kept: dict[str, Any], left: dict[str, Any]
) -> None:
    base = {Bucket.FLIP_ZONE: NEAR_FLIP, Bucket.PIN: PINNED, Bucket.DRIFT: SLOW}.get(held)
    if held is Bucket.CASCADE:
        base = UNSTABLE if "psi" in entered else FALLING
    if held is Bucket.SQUEEZE:
        base = VANNA if "phi_vanna" in entered else SHORT
    assert base is not None
    assert now(replace(base, **entered)) is held
    assert now(replace(base, **kept)) is not held
    assert now(replace(base, **kept), held) is held
    assert now(replace(base, **left), held) is not held


def test_reason_names_the_limit_in_force() -> None:
    state = RuleState(Bucket.CASCADE, NOW - HOUR, 1, NOW)
    assert classify(state, replace(UNSTABLE, psi=-0.45), LIMITS, NOW)[1] == ("psi -0.45 <= -0.4",)


def test_change_waits_for_the_dwell_time_and_says_so() -> None:
    state, _ = classify(RuleState.initial(), QUIET, LIMITS, NOW)
    early, said = classify(state, NEAR_FLIP, LIMITS, NOW + 59 * SECOND)
    assert (early.bucket, said[0].split(":")[0]) == (Bucket.DAMP, "held 1 s more before FLIP-ZONE")
    late, _ = classify(early, NEAR_FLIP, LIMITS, NOW + 60 * SECOND)
    assert (late.bucket, late.since_ns) == (Bucket.FLIP_ZONE, NOW + 60 * SECOND)


def test_unstable_psi_does_not_wait() -> None:
    assert now(UNSTABLE, Bucket.DAMP, age_ns=SECOND) is Bucket.CASCADE
    assert now(FALLING, Bucket.DAMP, age_ns=SECOND) is Bucket.DAMP


def test_drift_needs_vanna_and_charm_to_point_one_way_for_an_hour() -> None:
    state = RuleState(Bucket.DAMP, 0, 0, 0)
    found = []
    for minutes, sign in ((0, 1), (59, 1), (60, 1), (61, -1), (120, -1), (121, -1)):
        state, _ = classify(state, replace(SLOW, vanna_charm_sign=sign), LIMITS, NOW + minutes * 60 * SECOND)
        found.append(state.bucket)
    damp, drift = Bucket.DAMP, Bucket.DRIFT
    assert found == [damp, damp, drift, damp, damp, drift]


def test_nothing_measured_is_damp() -> None:
    nothing = ScenarioInputs(
        0.0, None, None, None, None, None, None, None, None, 0, 0, False, 0, None, None, None
    )  # fmt: skip
    assert now(nothing) is Bucket.DAMP


_optional_share = st.none() | st.floats(0.0, 2.0)
INPUTS = st.builds(
    ScenarioInputs,
    ngi=st.floats(-1e9, 1e9), psi=st.none() | st.floats(-2, 2), phi_gamma=_optional_share,
    phi_vanna=_optional_share, phi_charm=_optional_share,
    flip_distance=st.none() | st.floats(-3, 3), flip_half_width=_optional_share,
    return_z=st.none() | st.floats(-4, 4), liquidations=_optional_share,
    liquidation_sign=st.sampled_from([-1, 0, 1]), heavier_short_side=st.sampled_from([-1, 0, 1]),
    vanna_with_move=st.booleans(),
    vanna_charm_sign=st.sampled_from([-1, 0, 1]), expiry_hours=st.none() | st.floats(0, 100),
    pin_distance=_optional_share,
    pin_share=st.none() | st.floats(0, 1),
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(INPUTS, st.integers(1, 90)), min_size=1, max_size=12))
def test_any_inputs_give_one_bucket_and_changes_keep_the_dwell_time(ticks: list[tuple[ScenarioInputs, int]]) -> None:
    state, ts_ns = RuleState.initial(), NOW
    for inputs, seconds in ticks:
        ts_ns += seconds * SECOND
        before, (state, reasons) = state, classify(state, inputs, LIMITS, ts_ns)
        assert isinstance(state.bucket, Bucket)
        assert all(reasons)
        if before.bucket is not None and state.bucket is not before.bucket:
            assert ts_ns - before.since_ns >= DWELL_NS or state.bucket is Bucket.CASCADE


@pytest.mark.parametrize(
    ("inputs", "bucket"),
    [
        (replace(FALLING, ngi=0.0), Bucket.DAMP),
        (replace(FALLING, ngi=-1e-9), Bucket.CASCADE),
        (replace(FALLING, liquidation_sign=0), Bucket.DAMP),
        (replace(FALLING, liquidations=0.02), Bucket.CASCADE),
        (replace(FALLING, phi_gamma=0.06), Bucket.CASCADE),
        (replace(FALLING, return_z=-1.5), Bucket.CASCADE),
        (replace(SHORT, ngi=0.0), Bucket.DAMP),
        (replace(SHORT, return_z=0.0), Bucket.DAMP),
        (replace(PINNED, expiry_hours=24.0), Bucket.PIN),
        (replace(PINNED, pin_distance=0.35, pin_share=0.2, phi_gamma=0.03), Bucket.PIN),
        (replace(SLOW, return_z=0.5), Bucket.DAMP),
        (replace(SLOW, return_z=-0.5), Bucket.DAMP),
        (replace(SLOW, phi_charm=0.015), Bucket.DRIFT),
        (replace(VANNA, phi_gamma=0.01), Bucket.SQUEEZE),
        (replace(VANNA, phi_gamma=0.0099), Bucket.DRIFT),
        (replace(UNSTABLE, psi=-0.5), Bucket.CASCADE),
    ],
)
def test_rules_at_the_edge_of_their_limits(inputs: ScenarioInputs, bucket: Bucket) -> None:
    assert now(inputs) is bucket


@pytest.mark.parametrize(("phi_gamma", "bucket"), [(0.0081, Bucket.SQUEEZE), (0.0079, Bucket.DRIFT)])
def test_a_squeeze_by_vanna_is_left_at_four_fifths_of_the_low_threshold_of_gamma(
    phi_gamma: float, bucket: Bucket
) -> None:
    assert now(replace(VANNA, phi_gamma=phi_gamma), Bucket.SQUEEZE) is bucket


def test_the_hour_of_a_drift_begins_when_the_sign_changes() -> None:
    state = RuleState(Bucket.DAMP, 0, 1, NOW - HOUR)
    assert classify(state, SLOW, LIMITS, NOW)[0].bucket is Bucket.DRIFT
    assert classify(state, SLOW, LIMITS, NOW - 1)[0].bucket is Bucket.DAMP
    assert classify(replace(state, vanna_charm_sign=0), replace(SLOW, vanna_charm_sign=0), LIMITS, NOW)[0].bucket is (
        Bucket.DAMP
    )
