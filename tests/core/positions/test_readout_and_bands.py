"""The read-out against numerical integration, bands against the distribution that they claim, and learned rates."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dfmon.core.positions import calibration
from dfmon.core.positions.bands import (
    band_edges,
    correlated_draws,
    factor_draws,
    factor_loadings,
    long_probability,
    marginals,
    member_shares,
    own_draws,
)
from dfmon.core.positions.netting_filter import MEAN_Q, VAR_Q, WEIGHT, known_moments
from dfmon.core.positions.opening_rates import SUMS, OpeningRates, learn, on_grid, with_board
from dfmon.core.positions.readout import error_sd, truncated_mixture
from dfmon.model.frames import F64


@cache
def quadrature() -> tuple[F64, F64]:
    """Nodes and weights of Gauss and Legendre on [-1, 1]."""
    return np.polynomial.legendre.leggauss(2000)


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-1.0, 1.0), min_size=7, max_size=7), st.floats(0.01, 0.6), st.integers(0, 999))
def test_the_mixture_is_truncated_at_open_interest(means: list[float], sd: float, seed: int) -> None:
    moments = known_moments(1)
    weight = np.random.default_rng(seed).dirichlet(np.ones(7))
    moments[WEIGHT, :, 0], moments[MEAN_Q, :, 0], moments[VAR_Q] = weight, 50.0 * np.array(means), (50.0 * sd) ** 2
    mean, found_sd = truncated_mixture(moments, np.array([1.0 / 50.0]))
    nodes, weights = quadrature()
    density = sum(w * np.exp(-0.5 * ((nodes - m) / sd) ** 2) for w, m in zip(weight, means)) * weights
    expected = float((density * nodes).sum() / density.sum())
    spread = math.sqrt(float((density * (nodes - expected) ** 2).sum() / density.sum()))
    np.testing.assert_allclose([mean[0], found_sd[0]], [expected, spread], rtol=1e-6, atol=1e-9)


def test_a_known_position_is_read_out_as_it_is() -> None:
    moments = known_moments(2)
    moments[MEAN_Q] = np.array([50.0, -20.0])
    mean, sd = truncated_mixture(moments, np.full(2, 1.0 / 50.0))
    np.testing.assert_allclose(mean, [1.0, -0.4], rtol=1e-14)
    np.testing.assert_array_equal(sd, [0.0, 0.0])
    exact = marginals(mean, sd)
    low, high = band_edges(mean, sd, exact)
    np.testing.assert_array_equal([low, high], [mean, mean])
    assert long_probability(mean, sd, exact).tolist() == [1.0, 0.0]


@settings(max_examples=60, deadline=None)
@given(st.floats(-0.997, 0.997), st.floats(0.01, 0.88))
@example(0.9375, 0.75)
@example(-0.97, 0.88)
def test_marginals_have_the_mean_and_deviation_asked_for(share: float, width: float) -> None:
    room = math.sqrt(1.0 - share * share)
    found = marginals(np.array([share]), np.array([width * room]))
    points = np.linspace(-9.0, 9.0, 5001)
    weights = np.exp(-0.5 * points**2) / np.exp(-0.5 * points**2).sum()
    values = np.tanh(found.mu[0] + found.sigma[0] * points)
    mean = float(values @ weights)
    assert abs(mean - share) < 2e-3 * room
    assert abs(math.sqrt(float(weights @ (values - mean) ** 2)) - width * room) < 2e-3 * room


def test_errors_are_bounded_by_the_room_that_is_left() -> None:
    share = np.array([0.0, 0.9, 1.0])
    sd = error_sd(share, np.full(3, 2.0), np.zeros(3), np.zeros(3), OpeningRates())
    np.testing.assert_allclose(sd, 0.9 * np.sqrt(1.0 - share**2))


def test_a_board_that_tells_nothing_and_a_life_without_open_interest_have_wider_bands() -> None:
    share, sd, zeros, ones = np.zeros(1), np.full(1, 0.25), np.zeros(1), np.ones(1)
    dark = OpeningRates(signal=0.0, signal_error=1e-4, direction=0.0, direction_error=1e-4)
    clear = replace(dark, signal=0.04, direction=0.01)
    assert dark.doubt > 0.97
    assert clear.doubt < 0.2
    widths = [float(error_sd(share, sd, part, zeros, rates)[0]) for rates, part in ((clear, zeros), (dark, zeros))]
    assert widths[1] > widths[0] + 0.15
    assert float(error_sd(share, sd, ones, zeros, clear)[0]) > widths[0] + 0.01
    exact = error_sd(share, np.zeros(1), ones, zeros, dark)
    assert exact.tolist() == [0.0]


def test_members_have_the_band_the_chance_and_the_mirror_of_their_marginals() -> None:
    count = 40
    names = tuple(f"A{row}" for row in range(count))
    share, types = np.linspace(-0.8, 0.8, count), np.where(np.arange(count) % 2, 1.0, -1.0)
    sd = 0.4 * np.sqrt(1.0 - share**2)
    own, factors = own_draws(names, 2048, 0), factor_draws("A", 2048, 0)
    moneyness, days = np.linspace(-0.3, 0.3, count), np.linspace(3.0, 200.0, count)
    draws = correlated_draws(own, factors, factor_loadings(share, types, moneyness, days))
    marginal = marginals(share, sd)
    members = member_shares(share, sd, marginal, draws)
    low, high = band_edges(share, sd, marginal)
    inside = (members >= low[:, None]) & (members <= high[:, None])
    assert 0.85 < inside.mean() < 0.95
    assert np.abs((members > 0).mean(axis=1) - long_probability(share, sd, marginal)).max() < 0.08
    mirror = correlated_draws(own, factors, factor_loadings(-share, types, moneyness, days))
    mirrored = member_shares(-share, sd, marginals(-share, sd), mirror)
    np.testing.assert_array_equal(mirrored, -np.roll(members, members.shape[1] // 2, axis=1))


def test_draws_belong_to_the_name() -> None:
    together, alone = own_draws(("A", "B", "C"), 128, 0), own_draws(("B",), 128, 0)
    np.testing.assert_array_equal(together[1], alone[0])
    assert (own_draws(("B",), 128, 5) != alone).any()
    assert own_draws(("B",), 6, 0).shape == (1, 3)
    np.testing.assert_array_equal(own_draws(("B",), 300, 0)[:, :64], alone)


def test_calibration_has_its_shapes() -> None:
    assert len(calibration.RIDGE) == 39
    assert len(calibration.WIDTH) == 5
    assert len(calibration.LOADINGS) == 6
    assert min(calibration.WIDTH) >= 0.0
    assert sum(loading**2 for loading in calibration.LOADINGS) < 0.8
    assert all(0.5 < scale < 2.0 for scale in calibration.ROLL_UP_SCALES.values())


def _prints(
    base: float, slope: float, seed: int, options: int = 60, prints: int = 100, own_sd: float = 0.0
) -> tuple[F64, F64]:
    """Sums of the board and of its options; the position lasts, and so does each option's own opening."""
    rng = np.random.default_rng(seed)
    y = rng.uniform(-1.0, 1.0, (options, 1)) * rng.choice([-1.0, 1.0], (options, prints))
    own = rng.normal(0.0, own_sd, (options, 1)) * np.sign(y)
    u = np.clip(2.0 * base - 1.0 + slope * y + own + rng.normal(0.0, 0.3, y.shape), -1.0, 1.0)
    rows = np.ones(y.shape)
    terms = on_grid(np.stack([rows, y, y * y, u, u * y, u * u, 0.0 * y, 0.0 * y, rows, u, u * u, rows]))
    of_option = terms.sum(axis=2)
    return of_option.sum(axis=1), np.concatenate([np.ones((3, options)), of_option[:5]])


@pytest.mark.parametrize(("base", "slope"), [(0.5, 0.4), (0.45, 0.0), (0.6, 0.2)])
def test_opening_rates_are_found_with_their_error(base: float, slope: float) -> None:
    rates = learn(*_prints(base, slope, 1, prints=300), OpeningRates())
    assert rates.slope_error is not None
    assert abs(rates.base - base) < 0.01
    assert abs(rates.slope - slope) < 4.0 * rates.slope_error + 0.005


@pytest.mark.parametrize("own_sd", [0.0, 0.15])
def test_the_error_of_the_slope_is_its_spread_over_boards(own_sd: float) -> None:
    found = [learn(*_prints(0.5, 0.4, seed, own_sd=own_sd), OpeningRates()) for seed in range(120)]
    spread = float(np.std([rates.slope for rates in found]))
    assert float(np.mean([rates.slope_error or 0.0 for rates in found])) == pytest.approx(spread, rel=0.2)


def test_the_error_of_the_slope_holds_for_a_part_of_the_options() -> None:
    sums, options = _prints(0.5, 0.4, 2)
    whole, part = (learn(sums, rows, OpeningRates()).slope_error for rows in (options, options[:, ::2]))
    assert whole is not None
    assert part == pytest.approx(whole, rel=0.3)
    assert learn(sums, options[:, :0], OpeningRates()).slope_error is None


def test_before_any_print_rates_are_their_priors() -> None:
    rates = learn(np.zeros(SUMS), np.zeros((8, 4)), OpeningRates())
    assert (rates.base, rates.slope, rates.slope_error, rates.signal_error) == (0.52, 0.5, None, None)


def test_signal_is_the_variance_between_options_beyond_chance() -> None:
    rng = np.random.default_rng(3)
    options, prints, sd = 400, 200, 0.18
    own = rng.normal(0.0, sd, options)
    side = rng.choice([-1.0, 1.0], (options, prints))
    u = np.clip(side * own[:, None] + rng.normal(0.0, 0.4, (options, prints)), -1.0, 1.0)
    sums = np.zeros(SUMS)
    sums[8], sums[9], sums[10] = u.size, u.sum(), (u * u).sum()
    rows = np.zeros((8, options))
    rows[0], rows[1], rows[2] = prints, side.sum(axis=1), (side * u).sum(axis=1)
    rates = learn(sums, rows, OpeningRates())
    assert abs(rates.signal_sd - sd) < 0.02
    assert rates.signal_error is not None
    assert rates.signal > 5.0 * rates.signal_error


@pytest.mark.parametrize("signal_sd", [0.0, 0.3])
def test_what_the_board_shows_enters_by_its_error(signal_sd: float) -> None:
    """From the prior to what is measured, in small steps, although each brings a print of every option."""
    rng = np.random.default_rng(4)
    options, prints = 100, 200
    own = rng.normal(0.0, signal_sd, options)
    side = rng.choice([-1.0, 1.0], (options, prints))
    u = np.clip(side * own[:, None] + rng.normal(0.0, 0.4, side.shape), -1.0, 1.0)
    found = [OpeningRates().likely_signal]
    for count in range(1, prints + 1):
        seen, sides = u[:, :count], side[:, :count]
        sums = np.zeros(SUMS)
        sums[8], sums[9], sums[10] = seen.size, seen.sum(), (seen * seen).sum()
        rows = np.zeros((8, options))
        rows[0], rows[1], rows[2] = count, sides.sum(axis=1), (sides * seen).sum(axis=1)
        found.append(learn(sums, rows, OpeningRates()).likely_signal)
    assert found[0] == pytest.approx(0.127, abs=0.001)
    assert found[-1] == pytest.approx(signal_sd, abs=0.04)
    assert np.abs(np.diff(found)).max() < 0.08


def test_directions_differ_between_options_where_their_takers_do() -> None:
    rng = np.random.default_rng(5)
    prints, chance = np.full(300, 100.0), 0.5 + rng.normal(0.0, 0.1, 300)
    zeros, interest, strike = np.zeros(300), np.full(300, 50.0), np.log(np.full(300, 9e4))
    for likely, expected in ((np.full(300, 0.5), 0.0), (chance, 0.2)):
        sides = np.asarray(2.0 * rng.binomial(100, np.clip(likely, 0.0, 1.0)) - 100.0, np.float64)
        rates = with_board(OpeningRates(), 2.0 * interest, interest, strike, prints, sides)
        assert rates.direction_error is not None
        assert abs(rates.direction - expected**2) < 4.0 * rates.direction_error + 0.01 * expected
    assert rates.churn == pytest.approx(math.exp(-2.0))
    nothing = with_board(OpeningRates(), zeros, zeros, strike, zeros, zeros)
    assert (nothing.direction_error, nothing.churn, nothing.log_strike) == (None, 1.0, None)


def test_sums_on_the_grid_have_no_order() -> None:
    values = np.random.default_rng(0).uniform(-1.0, 1.0, 10_000)
    assert on_grid(values).sum() == on_grid(values[::-1]).sum() == math.fsum(on_grid(values))
