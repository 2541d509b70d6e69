from __future__ import annotations

import itertools

import numpy as np
import pytest

from dfmon.sim.market.simulated_market import SimulatedMarket
from dfmon.sim.market.surface import Smile, black76, greeks

TENORS = np.array([0.25, 1.0, 4.0, 7.0, 30.0, 90.0, 365.0, 730.0]) / 365.0
GRID = np.linspace(-3.0, 3.0, 1201)


@pytest.mark.parametrize("rho", [-0.5, -0.15, 0.0, 0.5])
@pytest.mark.parametrize(("v0", "v_inf"), [(0.2, 0.25), (2.5, 0.4), (0.08, 0.6)])
def test_surface_admits_no_static_arbitrage(rho: float, v0: float, v_inf: float) -> None:
    smile = Smile(v0, v_inf, rho=rho)
    total = [smile.total_variance(GRID, np.full_like(GRID, T)) for T in TENORS]
    for T in TENORS:
        assert np.all(smile.durrleman_g(GRID, np.full_like(GRID, T)) >= 0.0)
    for near, far in itertools.pairwise(total):
        assert np.all(far > near)


def test_a_surface_with_arbitrage_is_refused() -> None:
    with pytest.raises(ValueError, match="butterfly arbitrage"):
        Smile(0.2, 0.2, rho=-0.9, eta=1.2)


def test_density_matches_finite_differences_of_the_price() -> None:
    smile, T, h = Smile(0.25, 0.3), np.array([30.0 / 365.0]), 1e-3
    for K in (80.0, 100.0, 130.0):
        strikes = np.array([K - h * K, K, K + h * K])
        vol = smile.volatility(np.log(strikes / 100.0), T)
        calls = black76(np.full(3, 100.0), strikes, np.repeat(T, 3), vol, np.ones(3))
        density = (calls[0] - 2.0 * calls[1] + calls[2]) / (h * K) ** 2
        k = np.log(np.array([K]) / 100.0)
        w = smile.total_variance(k, T)
        d2 = -k / np.sqrt(w) - 0.5 * np.sqrt(w)
        expected = smile.durrleman_g(k, T) * np.exp(-0.5 * d2**2) / np.sqrt(2.0 * np.pi * w) / K
        assert density == pytest.approx(float(expected[0]), rel=2e-4)


@pytest.mark.slow
def test_board_has_no_arbitrage_after_some_minutes(aged_market: SimulatedMarket) -> None:
    for currency in aged_market.currencies.values():
        board = currency.board
        for expiry_slice, F in zip(board.slices, board.forwards):
            calls, puts = (board.mark[rows] * F for rows in (expiry_slice.calls, expiry_slice.puts))
            K = np.array(expiry_slice.strikes)
            assert np.allclose(calls - puts, F - K, atol=1e-6 * F)
            slope = np.diff(calls) / np.diff(K)
            assert np.all((slope <= 1e-12) & (slope >= -1.0 - 1e-12))
            assert np.all(np.diff(slope) >= -1e-9), "a butterfly costs less than nothing"


@pytest.mark.slow
def test_variance_grows_with_expiry_at_every_moneyness(aged_market: SimulatedMarket) -> None:
    for currency in aged_market.currencies.values():
        years = np.array([s.expiry.years(currency.now_ns) for s in currency.board.slices])
        grid = np.linspace(-1.0, 1.0, 81)
        total = np.array([currency.path.smile.total_variance(grid, np.full_like(grid, T)) for T in years])
        assert np.all(np.diff(total, axis=0) > 0.0)


def test_greeks_are_the_derivatives_of_the_value() -> None:
    F, K, T, vol = (np.array([x]) for x in (82_000.0, 90_000.0, 0.1, 0.5))
    for sign in (np.array([1.0]), np.array([-1.0])):
        g = greeks(F, K, T, vol, sign)
        up, down = black76(F + 1.0, K, T, vol, sign), black76(F - 1.0, K, T, vol, sign)
        assert g.delta == pytest.approx(0.5 * (up - down), rel=1e-6)
        assert g.gamma == pytest.approx(up - 2.0 * g.value + down, rel=1e-3)
        vega = black76(F, K, T, vol + 0.001, sign) - black76(F, K, T, vol - 0.001, sign)
        assert g.vega == pytest.approx(vega / 0.2, rel=1e-4)
        day = black76(F, K, T - 0.01 / 365.0, vol, sign) - g.value
        assert g.theta == pytest.approx(100.0 * day, rel=1e-3)
