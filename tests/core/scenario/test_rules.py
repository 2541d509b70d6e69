"""The rules against a second reading of the table of scenarios, written as plain conditions on one book."""

from __future__ import annotations

import itertools
import math
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfmon.core.scenario.buckets import Bucket, Scene
from dfmon.core.scenario.rules import (
    RuleInputs,
    RuleThresholds,
    call_codes,
    call_scene,
    is_material,
    member_share,
    rule_table,
)

NAN = math.nan
LIMITS = RuleThresholds(long_gamma_mid=0.04, short_gamma_mid=0.03, liquidations_hi=0.02)
QUIET = RuleInputs(
    ngi=40e6, vss=60e6, phi_gamma=0.02, phi_vanna=0.004, phi_charm=0.004, flip_distance=2.0, psi=0.2, z=0.2, points=0.1,
    mean_z=0.8, mean_points=0.6, liquidations=0.0, liquidation_sign=0, short_side=-1, hedge_flow=-1e6, slow_share=1.0,
    expiry_hours=30.0, top_distance=1.0, top_share=0.1,
)  # fmt: skip
FALLING = replace(
    QUIET, ngi=-40e6, psi=-0.2, phi_gamma=0.05, z=-1.7, liquidations=0.03, liquidation_sign=-1, short_side=1
)
UNSTABLE = replace(QUIET, ngi=-40e6, phi_gamma=0.005, psi=-0.6, z=1.6)
SHORT = replace(QUIET, ngi=-40e6, psi=-0.2, phi_gamma=0.05, z=-1.2, short_side=-1)
VANNA = replace(QUIET, phi_vanna=0.03, points=0.5, vss=60e6, z=-0.6, hedge_flow=-5e6)
PINNED = replace(QUIET, phi_gamma=0.05, z=0.9, expiry_hours=6.0, top_distance=0.2, top_share=0.4)
SLOW = replace(QUIET, phi_charm=0.02)
ARMED = replace(QUIET, ngi=-40e6, psi=-0.1, phi_gamma=0.0, phi_charm=0.0, phi_vanna=0.02, slow_share=0.6)
TYPICAL = {
    Bucket.FLIP_ZONE: replace(QUIET, flip_distance=0.1),
    Bucket.CASCADE: FALLING,
    Bucket.SQUEEZE: SHORT,
    Bucket.PIN: PINNED,
    Bucket.DRIFT: SLOW,
    Bucket.DAMP: QUIET,
}


def scene(bucket: Bucket | None) -> Scene | None:
    return None if bucket is None else Scene(bucket)


def read(book: RuleInputs, current: Bucket | None = None) -> Bucket:
    """The table once more; every input known."""
    i: Any = book
    z = abs(i.z)

    def keep(bucket: Bucket) -> float:
        return 0.8 if bucket is current else 1.0

    if i.flip_distance <= (0.3125 if current is Bucket.FLIP_ZONE else 0.25):
        return Bucket.FLIP_ZONE
    k = keep(Bucket.CASCADE)
    if z >= 1.5 * k:
        if i.psi <= -0.5 * k:
            return Bucket.CASCADE
        forced = i.liquidations >= k * max(LIMITS.liquidations_hi, 0.01) and i.liquidation_sign * i.z > 0
        if i.ngi < 0 and i.phi_gamma >= k * LIMITS.short_gamma_mid and forced:
            return Bucket.CASCADE
    k = keep(Bucket.SQUEEZE)
    toward_shorts = (i.z > 0 and i.short_side > 0) or (i.z < 0 and i.short_side < 0)
    if i.ngi < 0 and i.phi_gamma >= k * LIMITS.short_gamma_mid and toward_shorts and z >= (0.6 if k < 1 else 1.0):
        return Bucket.SQUEEZE
    moved = abs(i.points) >= k * i.mean_points / 2 and z >= k * i.mean_z / 2
    vanna_trade = -i.vss * i.points  # + = dealers buy
    if i.phi_vanna >= k * i.phi_gamma and moved and vanna_trade * i.z > 0 and i.hedge_flow * i.z > 0:
        return Bucket.SQUEEZE
    k = keep(Bucket.PIN)
    at_strike = i.expiry_hours <= 24 and i.top_distance <= (0.4375 if k < 1 else 0.35) and i.top_share >= 0.2 * k
    if i.ngi > 0 and i.phi_gamma >= k * LIMITS.long_gamma_mid and at_strike and z < (1.25 if k < 1 else 1.0):
        return Bucket.PIN
    k = keep(Bucket.DRIFT)
    slow = i.phi_charm + i.phi_vanna >= 0.5 * k * i.phi_gamma and i.slow_share >= 0.8 * k
    if slow and z < (1.0 if k < 1 else 0.5):
        return Bucket.DRIFT
    k = keep(Bucket.SQUEEZE)
    if i.ngi < 0 and max(i.phi_gamma, i.phi_vanna, i.phi_charm) >= 0.01 * k:
        return Bucket.SQUEEZE
    return Bucket.DAMP


GRID: dict[str, tuple[float, ...]] = {
    "ngi": (-40e6, 40e6),
    "phi_gamma": (0.0, 0.009, 0.025, 0.033, 0.05),
    "phi_vanna": (0.0, 0.03),
    "phi_charm": (0.001, 0.012),
    "flip_distance": (0.2, 0.3, math.inf),
    "psi": (-0.6, -0.45, 0.2),
    "z": (-1.7, -1.3, -0.7, 0.0, 0.36, 0.9, 1.1, 2.0),
    "liquidations": (0.0, 0.018, 0.03),
}
CORNERS = [
    {"points": 0.4, "vss": -60e6, "hedge_flow": 1e6, "liquidation_sign": 1, "short_side": 1, "expiry_hours": 5.0},
    {"points": -0.25, "vss": -60e6, "hedge_flow": -1e6, "liquidation_sign": -1, "short_side": -1, "slow_share": 0.7},
    {"points": 0.31, "hedge_flow": -1e6, "liquidation_sign": -1, "expiry_hours": 23.0, "top_distance": 0.4},
    {"expiry_hours": 5.0, "top_distance": 0.3, "top_share": 0.17, "slow_share": 0.6, "short_side": 1},
    {"expiry_hours": 24.0, "top_distance": 0.35, "top_share": 0.2, "slow_share": 0.8, "short_side": 0},
]


@pytest.mark.slow
@pytest.mark.parametrize("corner", range(len(CORNERS)))
def test_the_table_is_read_alike_on_the_whole_grid(corner: int) -> None:
    """Every combination of the grid, for each bucket that may hold: 302,400 readings in all."""
    rows = np.array(list(itertools.product(*GRID.values())))
    base = replace(QUIET, **{"top_distance": 0.2, "top_share": 0.4, **CORNERS[corner]})
    many = replace(base, **dict(zip(GRID, rows.T)))
    books = [replace(base, **dict(zip(GRID, row))) for row in rows.tolist()]
    found = set()
    for current in (None, *Bucket):
        codes = call_codes(rule_table(many, LIMITS, scene(current)))
        read_codes = [int(read(book, current)) for book in books]
        assert codes.tolist() == read_codes
        found |= set(read_codes)
    assert len(found) >= 5


floats = {
    "ngi": st.sampled_from([-4e7, 0.0, 4e7]), "vss": st.sampled_from([-6e7, 0.0, 6e7]),
    "phi_gamma": st.floats(0, 0.08), "phi_vanna": st.floats(0, 0.08), "phi_charm": st.floats(0, 0.08),
    "flip_distance": st.floats(0, 1) | st.just(math.inf), "psi": st.floats(-1, 1), "z": st.floats(-3, 3),
    "points": st.floats(-2, 2), "mean_z": st.floats(0.1, 2), "mean_points": st.floats(0.1, 2),
    "liquidations": st.floats(0, 0.05), "liquidation_sign": st.sampled_from([-1, 0, 1]),
    "short_side": st.sampled_from([-1, 0, 1]), "hedge_flow": st.sampled_from([-1e6, 0.0, 1e6]),
    "slow_share": st.floats(0, 1), "expiry_hours": st.floats(0, 48), "top_distance": st.floats(0, 1),
    "top_share": st.floats(0, 1),
}  # fmt: skip
BOOKS = st.builds(RuleInputs, **floats)
HOLDING = st.sampled_from([None, *Bucket])


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(BOOKS, HOLDING)
def test_one_book_is_called_as_the_table_reads(book: RuleInputs, current: Bucket | None) -> None:
    call = call_scene(book, LIMITS, scene(current))
    assert call.bucket is read(book, current)
    assert call.bucket == int(call_codes(rule_table(book, LIMITS, scene(current))))
    assert call.reasons
    assert all(call.reasons)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(BOOKS, HOLDING, st.sets(st.sampled_from(sorted(floats)), min_size=1, max_size=3), st.data())
def test_a_call_with_missing_inputs_holds_whatever_they_are(
    book: RuleInputs, current: Bucket | None, missing: set[str], data: st.DataObject
) -> None:
    call = call_scene(replace(book, **dict.fromkeys(missing, NAN)), LIMITS, scene(current))
    for _ in range(5):
        guess = replace(book, **{name: data.draw(floats[name]) for name in sorted(missing)})
        assert call.bucket in (None, read(guess, current))
    if call.bucket is None:
        assert all("not known" in reason for reason in call.reasons)


@pytest.mark.parametrize("name", ["z", "psi", "phi_gamma", "liquidations", "flip_distance", "top_share"])
def test_an_input_that_is_missing_and_could_change_the_bucket_leaves_it_unknown(name: str) -> None:
    """Where there is no call, two values of the missing input give two buckets."""
    fine = {
        "z": np.linspace(-3, 3, 61), "psi": np.linspace(-1, 1, 21), "phi_gamma": np.linspace(0, 0.1, 101),
        "liquidations": np.linspace(0, 0.1, 21), "flip_distance": np.linspace(0, 1, 21),
        "top_share": np.linspace(0, 1, 21),
    }[name]  # fmt: skip
    for book in (*TYPICAL.values(), VANNA, UNSTABLE, ARMED):
        call = call_scene(replace(book, **{name: NAN}), LIMITS, None)
        readings = {read(replace(book, **{name: float(value)})) for value in fine}
        assert (call.bucket is None) == (len(readings) > 1)


def test_nothing_known_is_no_call() -> None:
    nothing = RuleInputs(**{field.name: NAN for field in fields(RuleInputs)})
    assert call_scene(nothing, LIMITS, None).bucket is None
    assert is_material(nothing) is None


@pytest.mark.parametrize("bucket", list(Bucket))
def test_each_bucket_has_a_typical_book(bucket: Bucket) -> None:
    assert call_scene(TYPICAL[bucket], LIMITS, None).bucket is bucket


@pytest.mark.parametrize("bucket", [bucket for bucket in Bucket if bucket is not Bucket.DAMP])
def test_the_first_reason_of_damp_is_why_the_bucket_before_it_was_left(bucket: Bucket) -> None:
    calm = replace(QUIET, phi_charm=0.0, phi_vanna=0.0)  # else DRIFT is not left yet
    assert call_scene(calm, LIMITS, Scene(bucket)).reasons[0].startswith(f"no {bucket.title}: ")
    for current in (None, Scene(Bucket.DAMP)):
        assert call_scene(QUIET, LIMITS, current).reasons[0] == "no other rule holds"


def test_first_match_in_the_order_wins() -> None:
    everything = replace(FALLING, flip_distance=0.1, short_side=-1, phi_charm=1.0)
    assert call_scene(everything, LIMITS, None).bucket is Bucket.FLIP_ZONE
    assert call_scene(replace(everything, flip_distance=2.0), LIMITS, None).bucket is Bucket.CASCADE
    assert call_scene(replace(everything, flip_distance=2.0, liquidations=0.0), LIMITS, None).bucket is Bucket.SQUEEZE


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(BOOKS, st.floats(-1, 1), HOLDING)
def test_monotone_in_psi(book: RuleInputs, lower: float, current: Bucket | None) -> None:
    """A smaller psi never leads out of CASCADE, and leads nowhere else than into it."""
    low, high = (
        replace(book, psi=lower),
        replace(book, psi=max(lower, float(book.psi))),
    )
    before, after = (call_scene(b, LIMITS, scene(current)).bucket for b in (high, low))
    assert after in (before, Bucket.CASCADE)


@pytest.mark.parametrize(
    ("bucket", "base", "entered", "left_at", "left"),
    [
        (Bucket.FLIP_ZONE, QUIET, {"flip_distance": 0.25}, {"flip_distance": 0.3125}, {"flip_distance": 0.3126}),
        (Bucket.CASCADE, UNSTABLE, {"psi": -0.5}, {"psi": -0.4}, {"psi": -0.399}),
        (Bucket.CASCADE, UNSTABLE, {"z": 1.5}, {"z": 1.5 * 0.8}, {"z": 1.199}),
        (Bucket.CASCADE, FALLING, {"phi_gamma": 0.03}, {"phi_gamma": 0.03 * 0.8}, {"phi_gamma": 0.0239}),
        (Bucket.CASCADE, FALLING, {"liquidations": 0.02}, {"liquidations": 0.016}, {"liquidations": 0.0159}),
        (Bucket.SQUEEZE, SHORT, {"z": -1.0}, {"z": -0.6}, {"z": -0.59, "phi_gamma": 0.007}),
        (Bucket.SQUEEZE, VANNA, {"phi_vanna": 0.02}, {"phi_vanna": 0.016}, {"phi_vanna": 0.0159}),
        (Bucket.SQUEEZE, VANNA, {"points": 0.3}, {"points": 0.24}, {"points": 0.239}),
        (Bucket.SQUEEZE, VANNA, {"z": -0.4}, {"z": -0.8 * 0.4}, {"z": -0.319}),
        (Bucket.SQUEEZE, ARMED, {"phi_vanna": 0.01}, {"phi_vanna": 0.008}, {"phi_vanna": 0.0079}),
        (Bucket.PIN, PINNED, {"z": 0.999}, {"z": 1.249}, {"z": 1.25}),
        (Bucket.PIN, PINNED, {"phi_gamma": 0.04}, {"phi_gamma": 0.032}, {"phi_gamma": 0.0319}),
        (Bucket.PIN, PINNED, {"top_distance": 0.35}, {"top_distance": 0.4375}, {"top_distance": 0.438}),
        (Bucket.PIN, PINNED, {"top_share": 0.2}, {"top_share": 0.2 * 0.8}, {"top_share": 0.159}),
        (Bucket.PIN, PINNED, {"expiry_hours": 24.0}, {"expiry_hours": 24.0}, {"expiry_hours": 24.01}),
        (Bucket.DRIFT, SLOW, {"z": 0.499}, {"z": 0.999}, {"z": 1.0}),
        (Bucket.DRIFT, SLOW, {"slow_share": 0.8}, {"slow_share": 0.8 * 0.8}, {"slow_share": 0.639}),
        (Bucket.DRIFT, SLOW, {"phi_charm": 0.006}, {"phi_charm": 0.00401}, {"phi_charm": 0.0039}),
    ],
)
def test_entered_at_the_threshold_and_left_at_the_leaving_value(
    bucket: Bucket, base: RuleInputs, entered: dict[str, float], left_at: dict[str, float], left: dict[str, float]
) -> None:
    assert call_scene(replace(base, **entered), LIMITS, None).bucket is bucket
    assert call_scene(replace(base, **left_at), LIMITS, Scene(bucket)).bucket is bucket
    assert call_scene(replace(base, **left), LIMITS, Scene(bucket)).bucket is not bucket
    if left_at != entered:
        outside = call_scene(replace(base, **left_at), LIMITS, None)
        assert outside.scene != Scene(bucket)


def test_share_of_the_members_counts_each_by_its_own_inputs() -> None:
    psi = np.where(np.arange(128) < 32, -0.6, 0.1)
    members = replace(UNSTABLE, psi=psi, ngi=np.where(np.arange(128) < 64, -1e6, 1e6))
    assert member_share(members, LIMITS, Scene(Bucket.CASCADE)) == 32 / 128
    assert member_share(members, LIMITS, Scene(Bucket.DAMP)) == 96 / 128
    assert member_share(replace(members, z=NAN), LIMITS, Scene(Bucket.CASCADE)) == 0.0


def test_short_gamma_with_size_is_armed_until_it_moves() -> None:
    armed = Scene(Bucket.SQUEEZE, armed=True)
    assert call_scene(ARMED, LIMITS, None) == (armed, ("NGI -40.0M", "phi_v 0.02 >= 0.01"))
    assert call_scene(SHORT, LIMITS, armed).scene == Scene(Bucket.SQUEEZE)


def test_an_armed_squeeze_begins_at_the_entering_values() -> None:
    armed, begun = Scene(Bucket.SQUEEZE, armed=True), Scene(Bucket.SQUEEZE)
    slower = replace(SHORT, z=-0.9)
    assert call_scene(slower, LIMITS, armed).scene == armed
    assert call_scene(slower, LIMITS, begun).scene == begun


def test_material_is_one_per_cent_of_the_hourly_volume() -> None:
    quiet = replace(QUIET, phi_gamma=0.0099, phi_vanna=0.0099, phi_charm=0.0099)
    assert is_material(quiet) is False
    assert is_material(replace(quiet, phi_charm=0.01)) is True
    assert is_material(replace(quiet, phi_vanna=NAN)) is None
    assert is_material(replace(quiet, phi_vanna=NAN, phi_charm=0.01)) is True


# ---- what went wrong before ------------------------------------------------------------------------------------------


def test_no_squeeze_in_a_calm_long_gamma_market_where_volatility_only_trembles() -> None:
    for points in (-0.29, 0.0, 0.29):
        calm = replace(VANNA, points=points, z=-0.3, hedge_flow=-1e6)
        assert call_scene(calm, LIMITS, None).bucket is not Bucket.SQUEEZE
    assert call_scene(replace(VANNA, hedge_flow=5e6), LIMITS, None).bucket is not Bucket.SQUEEZE


def test_cascade_needs_a_move_whatever_psi_is() -> None:
    assert call_scene(replace(UNSTABLE, psi=-5.0, z=0.3), LIMITS, None).bucket is not Bucket.CASCADE


@pytest.mark.parametrize("phi", [0.0, 1e-9, 0.0399, NAN])
def test_pin_never_holds_on_little_gamma(phi: float) -> None:
    assert call_scene(replace(PINNED, phi_gamma=phi), LIMITS, None).bucket is not Bucket.PIN


@pytest.mark.parametrize(("phi_charm", "phi_vanna", "bucket"), [
    (0.01, NAN, Bucket.DRIFT), (NAN, 0.01, Bucket.DRIFT), (0.0099, NAN, None), (NAN, 0.0099, None), (NAN, NAN, None),
])  # fmt: skip
def test_a_drift_is_called_where_one_of_its_two_parts_is_enough(
    phi_charm: float, phi_vanna: float, bucket: Bucket | None
) -> None:
    scene = call_scene(replace(SLOW, phi_gamma=0.02, phi_charm=phi_charm, phi_vanna=phi_vanna), LIMITS, None).scene
    assert (scene and scene.bucket) == bucket


def test_a_slow_flow_that_is_not_known_has_no_side() -> None:
    call = call_scene(replace(SLOW, slow_share=NAN), LIMITS, None)
    assert "one sign for a share of the hour: not known" in call.reasons
    buying = call_scene(replace(SLOW, slow_share=-0.9), LIMITS, None)
    assert "dealers buy for a share of the hour 0.9 >= 0.8" in buying.reasons
