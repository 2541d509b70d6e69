"""A market that its dealers' hedges move: off it is the same market, on it answers each minute by psi."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dfmon.cli.main import run
from dfmon.model.units import MINUTE, SECOND
from dfmon.sim.market.dealer_feedback import MAX_GAIN, PSI_LIMIT, DealerFeedback, true_psi
from dfmon.sim.market.simulated_market import SimulatedMarket

START = 1_772_438_400_000_000_000


def test_push_is_minus_psi_times_the_last_minute() -> None:
    feedback = DealerFeedback(1.0, 600.0)
    feedback.end_minute(100.0, 0.2)
    assert feedback.push == 0.0  # nothing to answer yet
    feedback.end_minute(101.0, 0.2)
    assert 600.0 * feedback.push == pytest.approx(-0.2 * math.log(1.01))
    feedback.end_minute(101.0, -5.0)
    assert feedback.push == 0.0
    feedback.end_minute(100.0, -5.0)
    assert 600.0 * feedback.push == pytest.approx(PSI_LIMIT * math.log(100.0 / 101.0))


def test_psi_of_one_option() -> None:
    one = np.ones(1)
    assert true_psi(10.0 * one, 2e-5 * one, 1e5 * one, 1e8) == pytest.approx(10.0 * 2e-5 * 1e10 * 0.01 / 1e8)


@pytest.mark.slow
def test_returns_answer_the_minute_before() -> None:
    def minutes(feedback: float) -> tuple[np.ndarray, float]:
        market = SimulatedMarket(3, START, ("BTC",), 0.02, step_ns=30 * SECOND, strike_spacing=10.0, feedback=feedback)
        prices, psi = [], market.currencies["BTC"].true_psi
        for n in range(121):
            market.advance(START + n * MINUTE)
            prices.append(market.currencies["BTC"].path.price)
        return np.diff(np.log(prices)), psi

    off, psi = minutes(0.0)
    on, _ = minutes(MAX_GAIN)
    assert off[0] == on[0], "the first minute has nothing to answer"
    response = min(max(MAX_GAIN * psi, -PSI_LIMIT), PSI_LIMIT)
    assert abs(response) > 0.3, "a book worth hedging"
    slope = float(on[1:] @ on[:-1] / (on[:-1] @ on[:-1]))
    assert slope == pytest.approx(-response, abs=0.25)
    assert abs(float(off[1:] @ off[:-1] / (off[:-1] @ off[:-1]))) < 0.25


@pytest.mark.parametrize("command", ["demo", "sim"])
def test_share_out_of_range_is_one_sentence(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    publish = ["--publish", "all"] if command == "demo" else []
    assert run([command, "--feedback", "1000", *publish]) == 2
    assert "feedback: found 1000, allowed are 0 to 100" in capsys.readouterr().err
