"""Volatility from a price, back to the last digits a price can hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dfmon.core.pricing.black import F64
from dfmon.core.pricing.greek_calc import greeks
from dfmon.core.pricing.implied_vol import implied_volatility


@pytest.mark.slow
@given(st.floats(-3.0, 3.0), st.floats(0.05, 8.0), st.floats(1e-4, 3.0))
def test_round_trip_out_of_the_money(x: float, sigma: float, tau: float) -> None:
    strike = np.array([np.exp(-x)])
    columns = np.ones(1), strike, np.array([sigma]), np.array([tau]), np.array([1.0 if x <= 0.0 else -1.0])
    g = greeks(*columns)
    smaller = min(1.0, strike[0])
    found = implied_volatility(g.price, columns[0], strike, columns[3], columns[4])
    if 1e-290 < g.price[0] < 0.999 * smaller:
        # what one rounding of the price does to sigma, and of the price's own evaluation
        d1 = abs(x) / (sigma * np.sqrt(tau)) + sigma * np.sqrt(tau)
        conditioning = g.price[0] / (g.vega[0] * sigma)
        assert found.failures == 0
        assert found.sigma[0] == pytest.approx(sigma, rel=2e-15 * (50 + d1**2 * conditioning * 50 + 50 * conditioning))


def test_a_board_in_and_out_of_the_money() -> None:
    strike = np.linspace(60.0, 160.0, 41)
    sigma = 0.5 + 0.3 * np.log(strike / 100.0) ** 2
    for th in (1.0, -1.0):
        one = np.ones_like(strike)
        g = greeks(100.0 * one, strike, sigma, 0.1 * one, th * one)
        found = implied_volatility(g.price, 100.0 * one, strike, 0.1 * one, th * one)
        np.testing.assert_allclose(found.sigma, sigma, rtol=1e-8)


@pytest.mark.parametrize(("price", "forward", "strike", "tau", "th"), [
    (10.0, 110.0, 100.0, 1.0, 1.0),   # intrinsic only
    (9.0, 110.0, 100.0, 1.0, 1.0),    # below intrinsic
    (110.0, 110.0, 100.0, 1.0, 1.0),  # at the bound of a call
    (100.0, 90.0, 100.0, 1.0, -1.0),  # at the bound of a put
    (0.0, 100.0, 120.0, 1.0, 1.0),
    (5.0, 100.0, 100.0, 0.0, 1.0),
    (5.0, 100.0, 100.0, -1.0, 1.0),
    (5.0, 100.0, 100.0, 1.0, 0.0),
    (5.0, -100.0, 100.0, 1.0, 1.0),
    (np.nan, 100.0, 100.0, 1.0, 1.0),
    (99.0, 100.0, 100.0, 1e-4, 1.0),  # would need sigma far above 20
])  # fmt: skip
def test_no_answer_is_masked(price: float, forward: float, strike: float, tau: float, th: float) -> None:
    found = implied_volatility(*(np.array([value]) for value in (price, forward, strike, tau, th)))
    assert np.isnan(found.sigma[0])
    assert found.failed[0]
    assert found.failures == 1


@pytest.mark.slow
@settings(max_examples=150)
@given(hnp.arrays(float, st.tuples(st.just(5), st.integers(0, 5)), elements=st.floats(width=64)))
def test_nothing_raises_or_warns(columns: F64) -> None:
    found = implied_volatility(*columns)
    assert found.failures == np.count_nonzero(np.isnan(found.sigma))
