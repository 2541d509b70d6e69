"""The forward map against a plain reprice of each option, cell by cell."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
from scipy.special import ndtr

from dfmon.core.exposure.bands import band_quantiles
from dfmon.core.exposure.forward_map import _central_probability, forward_map
from dfmon.core.exposure.outlook import BetaEstimate
from dfmon.core.exposure.reprice import MarketState, Options, open_share, unit_deltas
from dfmon.core.exposure.volatility_move import TENORS
from dfmon.core.pricing.greek_calc import Numeraire

HOUR_YEARS = 1.0 / 8760.0
HOURS = np.array([0.0, 1.0, 12.0, 30.0, 60.0])
TOLERANCE = 4e-6  # of the gross position: single precision, and an approximation to 1.5e-6
MOVES = np.array([-0.05, -0.01, 0.0, 0.02])


def board(n: int = 24) -> tuple[Options, MarketState, np.ndarray]:
    rng = np.random.default_rng(5)
    days = rng.choice([2.0, 3.0, 9.0, 40.0], n)
    forward = np.full(n, 90_000.0)
    options = Options(forward * rng.uniform(0.8, 1.25, n), rng.choice([-1.0, 1.0], n), np.ones(n, bool), "usd")
    state = MarketState(forward, rng.uniform(0.3, 0.7, n), days / 365.0, np.full(n, np.nan))
    return options, state, rng.normal(0.0, 30.0, n)


def beta(points: float) -> BetaEstimate:
    return BetaEstimate(np.full(TENORS, points), np.zeros(TENORS), np.zeros(TENORS))


def black_delta(forward: float, strike: float, sigma: float, tau: float, sign: float) -> float:
    d1 = (np.log(forward / strike) + sigma**2 * tau / 2) / (sigma * np.sqrt(tau))
    return float(sign * ndtr(sign * d1))


def gross(options: Options, position: np.ndarray) -> float:
    return float(90_000.0 * np.abs(position).sum())


@pytest.mark.parametrize("points", [0.0, -0.3])
def test_each_cell_is_a_reprice_of_each_option(points: float) -> None:
    options, state, position = board()
    found = forward_map(options, state, beta(points), (position, None), MOVES, HOURS)
    for i, move in enumerate(MOVES):
        for j, hours in enumerate(HOURS):
            total = 0.0
            for k in range(position.size):
                strike, sign = float(options.strike[k]), float(options.option_type[k])
                sigma, tau = float(state.sigma[k]), float(state.tau[k])
                forward = 90_000.0 * (1.0 + move)
                later = tau - hours * HOUR_YEARS
                after = 0.0
                if later > 0.0:
                    after = black_delta(forward, strike, sigma + move * points, later, sign)
                total -= position[k] * forward * (after - black_delta(90_000.0, strike, sigma, tau, sign))
            assert found.trade[i, j] == pytest.approx(total, abs=gross(options, position) * TOLERANCE)


def test_nothing_is_traded_at_once_at_the_same_spot() -> None:
    options, state, position = board()
    members = position[:, None] * np.array([0.5, 1.0, 1.5])
    found = forward_map(options, state, beta(0.0), (position, members), MOVES, HOURS)
    assert (found.trade[2, 0], found.lo[2, 0], found.hi[2, 0]) == (0.0, 0.0, 0.0)


def test_after_its_expiry_the_hedge_of_an_option_is_lifted_whole() -> None:
    """A long call far in the money is hedged by a short coin: at its expiry dealers buy it back."""
    options = Options(np.array([10_000.0]), np.array([1.0]), np.array([True]), "usd")
    state = MarketState(np.array([90_000.0]), np.array([0.4]), np.array([1.0 / 365.0]), np.array([np.nan]))
    found = forward_map(
        options, state, beta(0.0), (np.array([2.0]), None), np.array([0.0, 0.1]), np.array([12.0, 25.0])
    )
    assert found.trade[:, 0] == pytest.approx([0.0, 0.0], abs=2.0)
    assert found.trade[:, 1] == pytest.approx([2 * 90_000.0, 2 * 99_000.0])


def test_the_band_is_that_of_the_members() -> None:
    options, state, position = board()
    rng = np.random.default_rng(1)
    members = position[:, None] + rng.normal(0.0, 5.0, (position.size, 128))
    found = forward_map(options, state, beta(0.0), (position, members), MOVES, HOURS)
    one_by_one = np.array([
        forward_map(options, state, beta(0.0), (members[:, m], None), MOVES, HOURS).trade for m in range(128)
    ])  # fmt: skip
    low, high = np.quantile(one_by_one, [0.05, 0.95], axis=0)
    assert found.lo == pytest.approx(low, abs=gross(options, position) * TOLERANCE)
    assert found.hi == pytest.approx(high, abs=gross(options, position) * TOLERANCE)
    for (low_band, high_band), sums in zip(zip(found.lo.ravel(), found.hi.ravel()), one_by_one.reshape(128, -1).T):
        assert band_quantiles(sums) == pytest.approx((low_band, high_band), abs=gross(options, position) * TOLERANCE)


@pytest.mark.parametrize("numeraire", ["usd", "coin"])
def test_settlements_on_the_way_are_those_of_the_averaged_delta(numeraire: Numeraire) -> None:
    """Hours that end inside windows, with an average that some strikes have passed for good."""
    rng, n = np.random.default_rng(8), 40
    tau = rng.choice([0.3, 2.2, 5.0, 30.0], n) * HOUR_YEARS
    forward = np.full(n, 90_000.0)
    options = Options(forward * rng.uniform(0.97, 1.03, n), rng.choice([-1.0, 1.0], n), rng.random(n) < 0.8, numeraire)
    average = np.where(tau < HOUR_YEARS, 90_400.0, np.nan)
    state = MarketState(forward, rng.uniform(0.3, 0.7, n), tau, average)
    position, hours = rng.normal(0.0, 30.0, n), np.array([0.0, 0.1, 1.9, 4.6, 29.9])
    found = forward_map(options, state, beta(-0.3), (position, None), MOVES, hours)
    shown = np.where(np.isnan(average), forward, average)
    now = open_share(tau) * unit_deltas(options, forward[None], state.sigma[None], tau[None], shown)[0]
    for j, hour in enumerate(hours.tolist()):
        later = tau - hour * HOUR_YEARS
        live = later > 0.0
        terms = Options(options.strike[live], options.option_type[live], options.inverse[live], numeraire)
        for i, move in enumerate(MOVES.tolist()):
            moved = forward[live] * (1.0 + move)
            sigma = state.sigma[live] + move * -0.3
            after = np.zeros(n)
            after[live] = (
                open_share(later[live])
                * unit_deltas(terms, moved[None], sigma[None], later[live][None], shown[live])[0]
            )
            expected = -float((90_000.0 * (1.0 + move) * (after - now)) @ position)
            assert found.trade[i, j] == pytest.approx(expected, abs=gross(options, position) * TOLERANCE), (hour, move)


def test_an_option_that_cannot_be_priced_has_no_trade() -> None:
    options, state, position = board()
    sigma = state.sigma.copy()
    sigma[0] = np.nan
    found = forward_map(options, state._replace(sigma=sigma), beta(0.0), (position, None), MOVES, HOURS)
    rest = position.copy()
    rest[0] = 0.0
    expected = forward_map(options, state, beta(0.0), (rest, None), MOVES, HOURS)
    assert found.trade == pytest.approx(expected.trade, abs=gross(options, position) * TOLERANCE)


def test_the_approximation_is_as_good_as_its_docstring() -> None:
    d = np.linspace(-12.0, 12.0, 8_001).astype(np.float32)
    found = 0.5 * (1.0 + _central_probability(d.copy()).astype(float))
    assert np.abs(found - np.array([NormalDist().cdf(x) for x in d.tolist()])).max() < 1.7e-6
    assert (np.diff(found) >= -2e-7).all()
    ends = _central_probability(np.array([-np.inf, np.inf, 1e9], np.float32))
    assert ends.tolist() == [-1.0, 1.0, 1.0]
