"""Scenes of whole ticks: from the first frame to a bucket, with inputs that are missing, stale or late."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from dfmon.core.scenario.buckets import Bucket, Scene
from dfmon.core.scenario.transitions import transitions
from dfmon.core.step import FlowParams, FlowState, step
from dfmon.engine.flow_codec import decode_flow, encode_flow
from dfmon.model.events import FeedState
from dfmon.model.frames import ChainFrame, FeedHealth, MarketFrame, ReceiveTimes
from dfmon.model.snapshot import FlowSnapshot
from dfmon.model.units import NAN, SECOND
from tests.chains import NOW, SPOT, frame, known, market, path, run, trade_columns

HEAVY = 5e3  # coins in each option
LONG = FlowParams("file", dict.fromkeys(frame(days=(0.25,), strikes=(SPOT,)).names, HEAVY))


def calm(minutes: int = 80, **columns: Any) -> list[ChainFrame]:
    """One strike at spot, six hours from its expiry, while spot stands still."""
    return path([SPOT] * minutes, days=(0.25,), strikes=(SPOT,), **columns)


@cache
def after_calm(minutes: int) -> tuple[FlowState, list[FlowSnapshot]]:
    """The calm market under the file's positions, which several tests look at or go on from."""
    return run(calm(minutes), LONG)


def names(snapshots: list[FlowSnapshot]) -> list[str]:
    return [snapshot.scenario.name for snapshot in snapshots]


@pytest.mark.slow
def test_first_bucket_waits_for_an_hour_of_spot_and_its_dwell_time_and_is_no_alert() -> None:
    snapshots = after_calm(80)[1]
    first = names(snapshots).index("PIN")
    assert 60 <= first <= 66  # z needs an hour, then five minutes without a break
    assert set(names(snapshots[:first])) == {"UNKNOWN"}
    assert set(names(snapshots[first:])) == {"PIN"}
    assert snapshots[30].scenario.overlay.startswith("UNKNOWN: ")
    assert "|z|: not known before an hour of spot" in snapshots[30].scenario.reasons
    waiting = snapshots[first - 1].scenario
    assert (waiting.overlay, waiting.reasons[0]) == (
        "UNKNOWN: PIN has not lasted yet", "PIN holds in 1:00 min if it lasts",
    )  # fmt: skip
    assert snapshots[-1].detail
    assert [alert.kind for alert in snapshots[-1].detail.alerts] == []


def test_reasons_are_the_comparisons_that_were_true() -> None:
    scenario = after_calm(80)[1][-1].scenario
    assert [reason.split(" ")[0] for reason in scenario.reasons] == ["NGI", "phi_g", "|z|", "hours", "top", "top"]
    assert (scenario.overlay, scenario.material, scenario.side) == ("", True, "two-sided")


@pytest.mark.slow
@pytest.mark.parametrize("model", ["naive", "short-all", "file"])
def test_a_convention_has_no_confidence(model: str) -> None:
    assert run(calm(70), LONG.with_positions(model))[1][-1].scenario.confidence is None


@pytest.mark.slow
def test_confidence_is_the_share_of_the_members_in_the_bucket() -> None:
    board = frame(days=(0.25,), strikes=(SPOT,))
    prints = trade_columns(uid=(0, 1) * 40, side=[1] * 80, size=[1.0] * 80)
    walk = calm(75, full_history=np.ones(2, bool), open_interest=np.full(2, 400.0))
    walk = [replace(walk[0], trades=prints), *walk[1:]]
    last = run(walk, FlowParams("flow"))[1][-1]
    assert board.size == 2
    assert last.positions.coverage == 1.0
    assert last.scenario.bucket is not None
    assert last.scenario.confidence is not None
    assert 0.0 <= last.scenario.confidence <= 1.0
    assert last.scenario.confidence * 128 == pytest.approx(round(last.scenario.confidence * 128))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("around", "reason"),
    [
        (MarketFrame((), 0.0, 0.0), "no venue volume"),
        (market(volume=0.0), "no venue volume"),
        (market(depth=0.0), "no venue depth"),
    ],
)
def test_an_input_that_goes_missing_keeps_the_bucket_and_is_named(around: MarketFrame, reason: str) -> None:
    walk = calm(100)
    state, before = after_calm(80)
    for board in walk[80:]:  # the median depth of 15 minutes goes slowly
        state, snapshot = step(state, board, around, (), LONG, 1)
    assert snapshot.scenario.bucket == before[-1].scenario.bucket == int(Bucket.PIN)
    assert snapshot.scenario.overlay == f"UNKNOWN: {reason}"
    assert snapshot.scenario.since == before[-1].scenario.since
    assert snapshot.scenario.confidence is None
    if reason == "no venue volume":
        assert snapshot.scenario.material is None
        assert snapshot.features.phi_gamma.value is None


@pytest.mark.slow
def test_stale_inputs_keep_the_bucket_raise_no_alert_and_add_no_sample() -> None:
    walk = calm(80)
    old = ReceiveTimes(NOW, NOW, NOW, NOW)
    stale = [replace(board, received=old) for board in path([0.9 * SPOT] * 100, days=(0.25,), strikes=(SPOT,))[80:]]
    state, snapshots = run([*walk, *stale], LONG)
    assert names(snapshots)[-1] == "PIN"
    assert snapshots[-1].scenario.overlay == "UNKNOWN: inputs stale"
    assert snapshots[-1].detail
    assert snapshots[-1].detail.alerts == ()
    assert int(state.books["file"].scene.flows.times[-1]) == walk[-1].ts_ns


@pytest.mark.slow
def test_a_change_is_an_alert_and_a_transition_with_its_features() -> None:
    spots = [SPOT] * 70 + [SPOT * (1.0 + 0.004 * i) for i in range(1, 40)]
    state, snapshots = run(path(spots, days=(0.25,), strikes=(SPOT,)), LONG)
    changes = transitions(state.books["file"].scene.log)
    assert [change.after for change in changes[:2]] == [Scene(Bucket.PIN), changes[1].after]
    assert changes[1].before == Scene(Bucket.PIN)
    assert dict(changes[1].features)["phi_gamma"] is not None
    assert snapshots[-1].detail
    alerts = [alert for alert in snapshots[-1].detail.alerts if alert.kind == "SCENE"]
    assert len(alerts) == len(changes) - 1
    assert alerts[-1].text.startswith("BTC file: PIN -> ")
    assert (alerts[-1].underlying, alerts[-1].model) == ("BTC", "file")


@pytest.mark.slow
def test_looking_at_the_state_of_another_model_changes_nothing() -> None:
    state = after_calm(70)[0]
    assert set(state.books) >= {"naive", "short-all", "file"}
    assert state.books["short-all"].scene.buckets != state.books["file"].scene.buckets


@pytest.mark.slow
def test_all_of_the_scene_survives_a_restart() -> None:
    walk = calm(90)
    state, _ = run(walk[:75], LONG)
    restored = decode_flow(encode_flow(state), state.book)
    assert restored.books["file"].scene.buckets == state.books["file"].scene.buckets
    assert restored.books["file"].scene.log == state.books["file"].scene.log
    assert restored.hour.scale.alpha == state.hour.scale.alpha
    shown = [step(each, walk[75], market(), (), LONG, 1)[1] for each in (state, restored)]
    assert shown[0].digest() == shown[1].digest()


@pytest.mark.slow
def test_terms_of_hedge_pressure_add_up_and_say_where_the_factors_come_from() -> None:
    snapshots = run(path([SPOT * (1.0 + 0.0005 * (i % 7)) for i in range(75)]), FlowParams("naive"))[1]
    hpp = snapshots[-1].metrics.hpp
    assert hpp.value is not None
    terms = (hpp.gamma_term, hpp.vanna_term, hpp.charm_term)
    assert sum(term for term in terms if term is not None) == pytest.approx(hpp.value)
    assert hpp.status == "prior" or hpp.status.startswith("measured ")
    alpha, beta = known(hpp.alpha), known(hpp.beta)
    assert alpha > 0.0
    assert hpp.vanna_term == pytest.approx(alpha * (snapshots[-1].metrics.vss.value or 0.0))
    assert hpp.charm_term == pytest.approx(beta * (snapshots[-1].metrics.chl.value or 0.0))


def test_side_is_unsure_where_the_band_of_a_hedge_holds_zero() -> None:
    walk = [replace(board, full_history=np.ones(2, bool)) for board in calm(3, open_interest=np.full(2, 400.0))]
    last = run(walk, FlowParams("flow"))[1][-1]
    assert last.metrics.ngi.lo is not None
    assert last.metrics.ngi.hi is not None
    assert last.scenario.side == ("unsure" if last.metrics.ngi.lo <= 0.0 <= last.metrics.ngi.hi else "two-sided")


def test_one_incident_for_an_outage_is_among_the_alerts_of_every_model() -> None:
    state, shown = FlowState.initial(), []
    for second, health in enumerate([FeedState.LIVE, FeedState.DOWN, FeedState.CONNECTING, FeedState.LIVE]):
        feeds = tuple(FeedHealth(name, health, NAN, NAN, 0, 0, 0, "refused") for name in ("binance", "okx"))
        board = frame(ts_ns=NOW + second * SECOND)
        state, snapshot = step(state, board, market(), feeds, FlowParams("naive"), second)
        shown.append(snapshot)
    assert shown[-1].detail
    assert [alert.text for alert in shown[-1].detail.alerts] == ["binance, okx back after 2 s (refused)"]
