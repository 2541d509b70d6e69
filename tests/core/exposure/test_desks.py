"""Desk mix and unseen risk: settings that change what is hedged and how sure we are, never what is held."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfmon.core.exposure.desks import Desk, hedge_shares
from dfmon.core.step import FlowParams
from dfmon.model.snapshot import Detail, FlowSnapshot, Metric
from tests.chains import SPOT, frame, known, path, run, shot, trade_columns

MIX = (Desk(0.5), Desk(0.35, 1.0, 0.0005), Desk(0.15, 0.0))
N = frame().size
TRADED = replace(
    frame(full_history=np.ones(N, np.bool_)),
    trades=trade_columns(range(N), [1 if i % 3 else -1 for i in range(N)], [4.0] * N),
)


def ends(snapshot: FlowSnapshot, name: str) -> tuple[float, float, float]:
    metric: Metric = getattr(snapshot.metrics, name)
    return known(metric.lo), known(metric.value), known(metric.hi)


def detail(snapshot: FlowSnapshot) -> Detail:
    assert isinstance(snapshot.detail, Detail)
    return snapshot.detail


@given(st.floats(0.0, 3e4), st.floats(-1e9, 1e9))
def test_more_is_hedged_after_a_larger_move_and_never_more_than_all(move: float, ngi: float) -> None:
    near, far = hedge_shares(MIX, 1e-6, ngi, SPOT, move), hedge_shares(MIX, 1e-6, ngi, SPOT, 1.5 * move)
    assert near.gamma <= far.gamma <= 1.0
    assert near.vanna_charm == pytest.approx(0.85)
    assert near == hedge_shares(MIX, 1e-6, -ngi, SPOT, -move)


def test_band_is_that_of_whalley_and_wilmott() -> None:
    gamma = 0.35 * 3e7 / (0.01 * SPOT**2)
    half = (1.5 * 0.0005 * SPOT * gamma**2 / 1e-6) ** (1 / 3)  # in delta
    for move, share in ((0.999 * half / gamma, 0.5), (1.001 * half / gamma, 0.85)):
        assert hedge_shares(MIX, 1e-6, 3e7, SPOT, move).gamma == pytest.approx(share)


@pytest.mark.slow
def test_hpp_of_a_small_move_is_reduced_and_exposures_are_not() -> None:
    one = run(path([SPOT * (1 + 0.0003 * i) for i in range(16)]), FlowParams("naive"))[1][-1].metrics
    mixed = run(path([SPOT * (1 + 0.0003 * i) for i in range(16)]), FlowParams("naive", desks=MIX))[1][-1].metrics
    assert one.hpp.ds_sign == mixed.hpp.ds_sign == 1
    assert (one.hpp.hedged, mixed.hpp.hedged) == (1.0, 0.5)
    assert one.hpp.value is not None
    assert mixed.hpp.value is not None
    assert one.ngi == mixed.ngi
    vanna, charm = known(one.hpp.alpha) * known(one.vss.value), known(one.hpp.beta) * known(one.chl.value)
    assert mixed.hpp.value == pytest.approx(0.5 * known(one.ngi.value) + 0.85 * (vanna + charm))
    assert mixed.hedge_flow.gamma == pytest.approx(0.5 * known(one.hedge_flow.gamma))
    assert mixed.hedge_flow.charm == pytest.approx(0.85 * known(one.hedge_flow.charm))


def test_unseen_risk_widens_every_band_as_the_share_falls_and_moves_no_value() -> None:
    shots = [shot(TRADED, FlowParams(venue_share=c)) for c in (1.0, 0.8, 0.6, 0.4)]
    for name in ("ngi", "vss", "chl", "volg", "vega", "theta", "unwind", "hpp", "psi"):
        bands = [ends(s, name) for s in shots]
        width = [high - low for low, _, high in bands]
        assert width == sorted(width), name
        assert width[-1] > 1.02 * width[0] or name == "unwind", name  # nothing expires within a day
        assert len({value for _, value, _ in bands}) == 1, name
    assert [s.positions.venue_share for s in shots] == [1.0, 0.8, 0.6, 0.4]
    assert detail(shots[0]).positions == detail(shots[-1]).positions


def test_unseen_gamma_has_the_standard_deviation_it_claims() -> None:
    plain, wide = (ends(shot(TRADED, FlowParams(venue_share=c)), "ngi") for c in (1.0, 0.1))
    gross = shot(TRADED, FlowParams("file", {name: abs(p) for name, p in _held().items()})).metrics.ngi.value
    unseen = 1.645 * 0.3 * 9.0 * known(gross)
    for edge in (0, 2):
        assert abs(wide[edge] - wide[1]) == pytest.approx(math.hypot(plain[edge] - plain[1], unseen), rel=1e-3)


def _held() -> dict[str, float]:
    return {row.name: row.net for row in detail(shot(TRADED, FlowParams())).positions}
