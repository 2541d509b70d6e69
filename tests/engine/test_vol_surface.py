"""Term structure and skew against a smile that is known everywhere."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest
from scipy.optimize import brentq

from dfmon.core.step import FlowParams, FlowState, step
from dfmon.engine.vol_surface import vol_surface_of
from dfmon.engine.what_if import TickInputs, keep_inputs
from dfmon.model.frames import ChainFrame
from dfmon.model.snapshot import FlowSnapshot, from_json, to_json
from dfmon.model.units import MINUTE
from tests.chains import NOW, SPOT, frame, market, trade_columns

STRIKES = tuple(SPOT + 1_000.0 * i for i in range(-30, 31))
DAYS = (0.4, 9.0, 37.0)


def smile(strike: np.ndarray, level: float = 0.5) -> np.ndarray:
    moneyness = np.log(strike / SPOT)
    return level - 0.2 * moneyness + 0.8 * moneyness**2


def board(level: float = 0.5, ts_ns: int = NOW) -> ChainFrame:
    made = frame(strikes=STRIKES, days=DAYS, ts_ns=ts_ns)
    return replace(made, sigma=smile(made.strike, level))


def snapshot(chain: ChainFrame, model: str = "naive") -> FlowSnapshot:
    return step(FlowState.initial(), chain, market(), (), FlowParams(model), 1)[1]


@pytest.mark.parametrize("expiry", [1, 2])
def test_wings_are_those_of_the_smile(expiry: int) -> None:
    found = vol_surface_of(snapshot(board()))
    assert found is not None
    tau = DAYS[expiry] / 365.0

    def volatility(sign: float) -> float:
        def excess(moneyness: float) -> float:
            sigma = float(smile(np.array(SPOT * math.exp(moneyness))))
            deviation = sigma * math.sqrt(tau)
            return NormalDist().cdf(sign * (-moneyness / deviation + 0.5 * deviation)) - 0.25

        at = brentq(excess, -0.4, 0.4)
        return float(smile(np.array(SPOT * math.exp(at))))

    call, put = volatility(1.0), volatility(-1.0)
    assert found[expiry].atm == pytest.approx(0.5, abs=1e-6)
    assert found[expiry].rr25 == pytest.approx(call - put, abs=2e-4)
    assert found[expiry].bf25 == pytest.approx(0.5 * (call + put) - 0.5, abs=2e-4)


def test_basis_is_the_yield_of_the_forward_over_spot() -> None:
    made = board()
    found = vol_surface_of(snapshot(replace(made, forward=np.full(made.size, 1.01 * SPOT))))
    assert found is not None
    for row, days in zip(found, DAYS):
        assert row.basis == pytest.approx(np.log(1.01) * 365.0 / days)


def test_forward_volatility_adds_up_to_the_variance_of_the_later_expiry() -> None:
    made = board()
    later = made.expiry_ns == made.expiry_ns.max()
    found = vol_surface_of(snapshot(replace(made, sigma=np.where(later, made.sigma + 0.05, made.sigma))))
    assert found is not None
    tau = [row.hours / 8760.0 for row in found]
    variance = found[1].atm ** 2 * tau[1] + (found[2].forward_vol or 0.0) ** 2 * (tau[2] - tau[1])
    assert variance == pytest.approx(found[2].atm ** 2 * tau[2], rel=1e-12)
    falling = vol_surface_of(snapshot(replace(made, sigma=np.where(later, 0.1, made.sigma))))
    assert falling is not None
    assert falling[2].forward_vol is None


def test_strikes_add_up_to_the_expiry_and_its_settlement_to_the_unwind() -> None:
    prints = trade_columns(uid=[0, 3, 5, 9], side=[1, -1, 1, 1], size=[5.0, 4.0, 3.0, 2.0])
    made = snapshot(replace(board(), trades=prints), "flow")
    found = vol_surface_of(made)
    assert found is not None
    for row, expiry in zip(found, made.by_expiry):
        assert row.calls + row.puts == pytest.approx(expiry.open_interest)
        assert sum(s.net for s in row.strikes) == pytest.approx(expiry.net)
        assert all(s.lo is not None and s.hi is not None and s.lo <= s.hi for s in row.strikes)
    assert found[0].settles == pytest.approx((made.unwind.value, made.unwind.lo, made.unwind.hi), rel=1e-9)
    assert sum(row.gamma_share or 0.0 for row in found) == pytest.approx(1.0)


def test_quotes_that_do_not_reach_25_delta_leave_no_wing() -> None:
    narrow = frame(strikes=(99_000.0, 100_000.0, 101_000.0), days=(9.0, 37.0))
    found = vol_surface_of(snapshot(narrow))
    assert found is not None
    assert {(row.rr25, row.bf25) for row in found} == {(None, None)}
    made = board()
    one_sided = np.where(made.strike > SPOT, np.nan, made.sigma - 0.01)
    quoted = replace(made, bid_sigma=one_sided, ask_sigma=made.sigma + 0.01)
    without_calls = vol_surface_of(snapshot(quoted))
    assert without_calls is not None
    assert without_calls[1].rr25 is None


def test_a_quartic_has_no_residual_and_a_bent_strike_one() -> None:
    made = board()
    flat = vol_surface_of(snapshot(made))
    bent = vol_surface_of(snapshot(replace(made, sigma=made.sigma + 0.02 * (made.strike == 103_000.0))))
    assert flat is not None
    assert bent is not None
    assert max(abs(s.residual or 0.0) for s in flat[2].strikes) < 1e-6
    largest = max(bent[2].strikes, key=lambda s: abs(s.residual or 0.0))
    assert largest.strike == 103_000.0
    assert largest.residual == pytest.approx(0.02, abs=0.005)


@pytest.mark.slow
def test_changes_of_an_hour_are_those_of_the_volatility() -> None:
    state, minutes = FlowState.initial(), 62
    for seq in range(minutes):
        inputs = TickInputs(
            state, board(0.5 + 1e-4 * seq, NOW + seq * MINUTE), market(), (), FlowParams("naive"), seq + 1
        )
        state, made = step(*inputs)
    keep_inputs(made, inputs)
    found = vol_surface_of(made)
    assert found is not None
    for row in found[1:]:
        assert row.change == pytest.approx(60e-4, abs=1e-9)
        assert row.strikes[10].change == pytest.approx(60e-4, abs=1e-9)


def test_a_snapshot_of_another_process_has_none() -> None:
    assert vol_surface_of(from_json(to_json(snapshot(board()), "live"))) is None
