"""The filter against a loop over nodes, points and classes written from its definition, and its symmetries."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dfmon.core.positions import netting_filter as nf
from dfmon.core.positions.opening_rates import OpeningRates
from dfmon.core.positions.print_kinds import DIRECTION_WEIGHTS, KIND_NAMES, PositionPriors

F64 = NDArray[np.float64]
PRIORS = PositionPriors(start_mean=0.0)
RATES = OpeningRates(base=0.47, slope=0.45, reversion=0.3)


def _oracle(moments: F64, side: float, size: float, kind: int, u: float, interest: float) -> F64:
    """One option, one print: weights of node x point x class, then moments over all of them."""
    shares = getattr(PRIORS, KIND_NAMES[kind])
    points, weights = np.polynomial.hermite_e.hermegauss(5)
    weights = weights / weights.sum()
    weight_of_kind = float(DIRECTION_WEIGHTS[kind])
    reversion = RATES.reversion if weight_of_kind > 0 else 0.0

    def opens(tilt: float, y: float) -> float:
        return min(max(RATES.base + tilt * RATES.slope * y, 0.04), 0.96)

    out, total = np.zeros((6, 7)), 0.0
    for node in range(7):
        w, mq, mg, vq, vc, vg = moments[:, node]
        direction = 2.0 * (node - 3) / 7.0
        slope = vc / vg if vg > 0 else 0.0
        particles: list[tuple[float, float, float, float]] = []
        for point, point_weight in zip(points, weights):
            g = mg + math.sqrt(vg) * point
            q = mq + slope * (g - mg)
            y = side * min(max(g / interest, -1.0), 1.0)
            b = weight_of_kind * (1 - reversion) * direction - reversion * math.tanh(3.0 * q / interest)
            sides = [shares[0] * (1 + side * b) / 2, shares[1] * (1 - side * b) / 2, shares[2] / 2, shares[3] / 2]
            pairs = [
                (opens(0.12, y), opens(0.88, y)), (opens(0.12, -y), opens(0.88, -y)),
                (opens(0.12, y), opens(0.12, -y)), (opens(0.88, y), opens(0.88, -y)),
            ]  # fmt: skip
            likelihood = 0.0
            for share, (one, two) in zip(sides, pairs):
                both, none = one * two, (1 - one) * (1 - two)
                mixed = 1 - both - none
                likelihood += share * (u * both + (1 - u) * mixed if u >= 0 else -u * none + (1 + u) * mixed)
            mean_likelihood = 1.0 if math.isnan(u) else likelihood / sum(sides)
            for share, move in zip(sides, (side * size, -side * size, 0.0, 0.0)):
                particles.append((w * point_weight * share * mean_likelihood, q + move, g + 0.5 * move, move))
        mass = sum(p[0] for p in particles)
        total += mass
        mean_q, mean_g = (sum(p[0] * p[i] for p in particles) / mass for i in (1, 2))
        extra = vq - slope * vc
        out[:, node] = (
            mass, mean_q, mean_g,
            sum(p[0] * (p[1] - mean_q) ** 2 for p in particles) / mass + extra,
            sum(p[0] * (p[1] - mean_q) * (p[2] - mean_g) for p in particles) / mass,
            sum(p[0] * ((p[2] - mean_g) ** 2 + (0.5 * p[3]) ** 2) for p in particles) / mass,
        )  # fmt: skip
    out[0] /= total
    return out


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([-1.0, 1.0]), st.floats(0.1, 30.0), st.integers(0, 6),
    st.one_of(st.just(math.nan), st.floats(-1.0, 1.0)), st.floats(20.0, 500.0), st.integers(0, 4),
)  # fmt: skip
def test_a_print_moves_the_mixture_as_the_loop_says(
    side: float, size: float, kind: int, u: float, interest: float, earlier: int
) -> None:
    moments = nf.start_moments(np.array([interest]), PRIORS)
    expected = moments[:, :, 0].copy()
    for step in range(earlier + 1):
        signed = side if step == earlier else -side
        prints = nf.FilterInput(
            np.array([signed]), np.array([size]), np.array([kind]), np.array([u]), np.array([interest])
        )
        expected = _oracle(expected, signed, size, kind, u, interest)
        moments, by_print, by_interest = nf.apply_prints(moments, prints, RATES, PRIORS)
        np.testing.assert_allclose(moments[:, :, 0], expected, rtol=1e-9, atol=1e-9 * interest**2)
        assert math.isfinite(by_print[0])
        assert math.isfinite(by_interest[0])


def test_the_parts_of_a_move_add_up_to_it() -> None:
    moments = nf.start_moments(np.array([50.0, 80.0]), PositionPriors())
    prints = nf.FilterInput(
        np.array([1.0, -1.0]), np.array([3.0, 7.0]), np.array([0, 3]), np.array([0.4, -1.0]), np.array([50.0, 80.0])
    )
    after, by_print, by_interest = nf.apply_prints(moments, prints, RATES, PRIORS)
    mean = [nf.fold_nodes(state[nf.WEIGHT] * state[nf.MEAN_Q]) for state in (moments, after)]
    np.testing.assert_allclose(by_print + by_interest, mean[1] - mean[0], rtol=1e-12)


def _mirrored(moments: F64) -> F64:
    out = moments[:, ::-1].copy()
    out[[nf.MEAN_Q, nf.MEAN_G]] *= -1.0
    return out


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_exchanging_buys_and_sells_negates_the_state_to_the_bit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    interest = rng.uniform(10.0, 100.0, 5)
    one = nf.start_moments(interest, PRIORS)
    other = _mirrored(one)
    for _ in range(6):
        side, size = rng.choice([-1.0, 1.0], 5), rng.exponential(5.0, 5)
        kind, u = rng.integers(0, 7, 5), rng.uniform(-1.0, 1.0, 5)
        one = nf.apply_prints(one, nf.FilterInput(side, size, kind, u, interest), RATES, PRIORS)[0]
        other = nf.apply_prints(other, nf.FilterInput(-side, size, kind, u, interest), RATES, PRIORS)[0]
        one, other = (
            nf.age(nf.bounded(one, interest), interest, 0.3),
            nf.age(nf.bounded(other, interest), interest, 0.3),
        )
        np.testing.assert_array_equal(_mirrored(one), other)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 9))
def test_an_option_does_not_depend_on_the_others_of_its_step(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    interest = rng.uniform(10.0, 100.0, count)
    moments = nf.start_moments(interest, PositionPriors())
    side, size, kind = rng.choice([-1.0, 1.0], count), rng.exponential(5.0, count), rng.integers(0, 7, count)
    u = rng.uniform(-1.0, 1.0, count)
    together = nf.age(
        nf.apply_prints(moments, nf.FilterInput(side, size, kind, u, interest), RATES, PRIORS)[0], interest, 0.1
    )
    for row in range(count):
        at = slice(row, row + 1)
        alone = nf.FilterInput(side[at], size[at], kind[at], u[at], interest[at])
        moved = nf.apply_prints(np.ascontiguousarray(moments[:, :, at]), alone, RATES, PRIORS)[0]
        np.testing.assert_array_equal(nf.age(moved, interest[at], 0.1)[:, :, 0], together[:, :, row])


def test_customers_who_always_take_are_known_exactly() -> None:
    priors = PositionPriors(screen=(1.0, 0.0, 0.0, 0.0))
    moments, interest = nf.known_moments(1), np.array([100.0])
    for side, size in ((1.0, 7.0), (1.0, 3.5), (-1.0, 2.25)):
        given_print = nf.FilterInput(np.array([side]), np.array([size]), np.zeros(1, int), np.array([1.0]), interest)
        moments = nf.age(nf.apply_prints(moments, given_print, RATES, priors)[0], interest, 1.0)
    np.testing.assert_allclose(moments[nf.MEAN_Q], 8.25, rtol=1e-14)
    np.testing.assert_allclose(moments[nf.VAR_Q], 0.0, atol=1e-20)


@pytest.mark.parametrize("days", [0.1, 1.0, 20.0])
def test_age_keeps_the_mean_and_forgets_the_netting_noise(days: float) -> None:
    interest = np.array([100.0])
    moments = nf.start_moments(interest, PositionPriors())
    moments[nf.MEAN_G] += 7.0
    older = nf.age(moments, interest, days)
    mean = [nf.fold_nodes(state[nf.WEIGHT] * state[nf.MEAN_Q]) for state in (moments, older)]
    np.testing.assert_allclose(mean[0], mean[1], rtol=1e-12, atol=1e-12)
    noise = nf.fold_nodes(older[nf.WEIGHT] * (older[nf.MEAN_G] - older[nf.MEAN_Q]))
    np.testing.assert_allclose(noise, 7.0 * math.exp(-days / 30.0), rtol=1e-9)


def test_two_short_ages_are_one_long_one_without_turns_of_direction() -> None:
    interest = np.array([100.0])
    moments = nf.known_moments(1)
    moments[nf.MEAN_G] = 5.0
    moments[nf.VAR_G] = 30.0
    twice = nf.age(nf.age(moments, interest, 2.0), interest, 3.0)
    np.testing.assert_allclose(twice, nf.age(moments, interest, 5.0), rtol=1e-12, atol=1e-12)


def test_each_option_ages_by_its_own_time() -> None:
    interest = np.array([100.0, 40.0, 7.0])
    moments = nf.start_moments(interest, PRIORS)
    given_prints = nf.FilterInput(
        np.array([1.0, -1.0, 1.0]), np.array([5.0, 2.0, 0.5]), np.zeros(3, np.int64), np.full(3, 0.3), interest
    )
    moments, _, _ = nf.apply_prints(moments, given_prints, RATES, PRIORS)
    days = np.array([0.2, 3.0, 11.0])
    together = nf.age(moments, interest, days)
    for at, one in enumerate(days.tolist()):
        np.testing.assert_allclose(together[..., at], nf.age(moments, interest, one)[..., at], rtol=1e-13)
    parts = nf.age(nf.age(moments, interest, 0.25 * days), interest, 0.75 * days)
    np.testing.assert_allclose(parts[nf.WEIGHT], together[nf.WEIGHT], rtol=1e-12)
    np.testing.assert_allclose(parts, together, rtol=0.02)


@pytest.mark.parametrize("lean", [-3.0, 0.0, 0.9, 3.0])
def test_an_unseen_start_leans_to_at_most_nine_tenths(lean: float) -> None:
    moments = nf.start_moments(np.array([100.0]), PositionPriors(start_mean=0.2, trend_coefficient=lean))
    expected = [100.0 * min(max(0.2 + lean * 2.0 * (node - 3) / 7.0, -0.9), 0.9) for node in range(7)]
    assert moments[nf.MEAN_Q, :, 0] == pytest.approx(expected, rel=1e-12)
    assert moments[nf.MEAN_G, :, 0] == pytest.approx(expected, rel=1e-12)
