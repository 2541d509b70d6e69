"""Zeros of the net gamma profile: against brentq over all options, and every state that has none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.optimize import brentq

from dfmon.core.flip.gamma_flip import find_flip
from dfmon.core.flip.gamma_profile import _CHEBYSHEV_LEVELS, GammaDerivatives, StickyStrike
from dfmon.core.flip.grid import STEP, Stickiness
from dfmon.core.flip.joint_search import find_flips
from dfmon.core.flip.roots import cubic_zero, polish
from dfmon.core.pricing.black import F64
from tests.core.flip import books

SPOT = 100_000.0
STICKINESS: tuple[Stickiness, ...] = ("strike", "moneyness")


def book(seed: int = 0, n: int = 400, spot: float = SPOT) -> tuple[F64, F64, F64, F64, F64]:
    """A random listed book with basis, a smile and signs that change with the strike."""
    rng = np.random.default_rng(seed)
    tau = rng.choice([0.02, 0.05, 0.1, 0.25, 0.5], n)
    forward = spot * np.exp(0.05 * tau)
    strike = np.round(forward * np.exp(rng.normal(0.0, 0.8, n) * 0.6 * np.sqrt(tau)), -2)
    sigma = 0.5 + 0.2 * np.log(strike / forward) ** 2
    exposure = np.where(strike > 0.98 * spot, 1.0, -1.0) * rng.lognormal(3.0, 1.0, n)
    return forward, strike, sigma, tau, exposure


def net_gamma(spot: float, level: float, forward: F64, strike: F64, sigma: F64, tau: F64, exposure: F64) -> float:
    """The definition, option by option: D gamma F'^2 1 % with every forward moved in proportion."""
    moved = forward * (level / spot)
    v = sigma * np.sqrt(tau)
    d1 = np.log(moved / strike) / v + v / 2
    gamma = np.exp(-0.5 * d1 * d1) / np.sqrt(2 * np.pi) / (moved * v)
    return float((exposure * gamma * moved**2 * 0.01).sum())


def nearest_levels(
    spot: float, columns: tuple[F64, F64, F64, F64], members: F64, stickiness: Stickiness = "strike"
) -> F64:
    """The zero of each member that is nearest to spot; NaN where it has none."""
    roots = find_flips(spot, *columns, members, members, stickiness=stickiness).roots
    return np.array(
        [
            min(roots.level[roots.member == m], key=lambda level: abs(np.log(level / spot)), default=np.nan)
            for m in range(roots.size)
        ]
    )


@pytest.mark.parametrize("seed", range(8))
def test_roots_are_those_of_brentq_on_all_options(seed: int) -> None:
    columns = book(seed)
    flip = find_flip(SPOT, *columns)
    assert flip.roots
    for root in flip.roots:
        near = root.level * (1 - 1e-4), root.level * (1 + 1e-4)
        exact = brentq(lambda level: net_gamma(SPOT, level, *columns), *near, xtol=1e-9, rtol=9e-16)
        assert root.level == pytest.approx(exact, rel=1e-12)
        low, high = (net_gamma(SPOT, level, *columns) for level in near)
        assert root.rising == (low < 0.0 < high)
        step = 4e-4  # five points: off by its fourth power
        down2, down, up, up2 = (net_gamma(SPOT, root.level * np.exp(i * step), *columns) for i in (-2, -1, 1, 2))
        slope = (8.0 * (up - down) - (up2 - down2)) / (12.0 * step)
        assert root.slope == pytest.approx(slope * 0.01, rel=2e-8)
    nearest = min(flip.roots, key=lambda root: abs(np.log(root.level / SPOT)))
    assert flip.level == nearest.level
    assert flip.sign == np.sign(net_gamma(SPOT, SPOT, *columns))


@pytest.mark.slow
def test_no_root_is_missed_on_a_fine_scan() -> None:
    for seed in range(8):
        forward, strike, sigma, tau, exposure = book(seed)
        flip = find_flip(SPOT, forward, strike, sigma, tau, exposure)
        levels = np.geomspace(*flip.searched, 8001)
        chain = books.Listing(forward, strike, sigma, tau)
        both = np.stack([exposure, np.abs(exposure)], axis=1)
        net, gross = np.concatenate([books.net_gamma(part, chain, both) for part in np.array_split(levels, 8)]).T
        signs = np.sign(net[np.abs(net) > 1e-10 * gross])
        assert len(flip.roots) == np.count_nonzero(np.diff(signs))


@pytest.mark.parametrize("spot", [85_000.0, 97_000.0, 106_000.0, 113_000.0])
def test_of_several_roots_the_nearest_to_spot_is_the_flip(spot: float) -> None:
    strike = np.array([80_000.0, 90_000.0, 100_000.0, 110_000.0, 120_000.0])
    one = np.ones(5)
    flip = find_flip(spot, spot * one, strike, 0.5 * one, 0.003 * one, np.array([-1.0, 1.0, -1.0, 1.0, -1.0]))
    levels = [root.level for root in flip.roots]
    assert len(levels) >= 2
    assert levels == sorted(levels)
    assert [root.rising for root in flip.roots[1:]] == [not root.rising for root in flip.roots[:-1]]
    assert all(root.rising == (root.slope > 0.0) for root in flip.roots)
    assert flip.level == min(levels, key=lambda level: abs(np.log(level / spot)))
    members = np.array([-1.0, 1.0, -1.0, 1.0, -1.0])[:, None] * np.array([1.0, -2.0])
    both = nearest_levels(spot, (spot * one, strike, 0.5 * one, 0.003 * one), members)
    assert both.tolist() == pytest.approx([flip.level] * 2, rel=1e-5)


def test_profile_is_the_definition() -> None:
    columns = book(3)
    flip = find_flip(SPOT, *columns)
    expected = np.array([net_gamma(SPOT, level, *columns) for level in flip.spots])
    np.testing.assert_allclose(flip.ngi, expected, atol=1e-12 * np.abs(expected).max())


def test_profile_of_sharp_bumps_is_the_definition() -> None:
    forward, strike, sigma, tau, exposure = book(3, n=60)
    tau = np.resize([1e-6, 1e-5, 0.05], 60)
    bumps = StickyStrike.from_options(forward, strike, sigma, tau)
    y = np.sort(np.concatenate([bumps.log_strike_over_forward, np.linspace(-0.2, 0.2, 31)]))
    expected = [net_gamma(SPOT, SPOT * np.exp(at), forward, strike, sigma, tau, exposure) for at in y]
    got = bumps.profile(y, exposure[:, None])[0]
    np.testing.assert_allclose(got, expected, atol=1e-12 * np.abs(expected).max())
    alone = bumps.profile(y[7:8], exposure[:, None])[0]
    np.testing.assert_allclose(alone, expected[7], rtol=1e-9, atol=1e-12 * np.abs(expected).max())


def test_a_sharp_bump_far_from_spot_keeps_its_digits() -> None:
    one = np.ones(1)
    bump = StickyStrike.from_options(SPOT * one, SPOT * np.exp(0.19) * one, 5e-4 * one, one)
    y = np.append(np.linspace(-0.2, 0.2, 161), 0.19 + np.array([1e-4, 4e-4, 9e-4]))
    y.sort()
    d2 = bump.a * y + bump.b
    np.testing.assert_allclose(bump.profile(y, one[:, None])[0], bump.height * np.exp(-0.5 * d2 * d2), rtol=2e-12)


def test_on_many_nodes_close_together_sharp_bumps_are_summed_once() -> None:
    width, one = np.array([0.0005, 0.001, 0.002, 0.0039, 0.02]), np.ones(5)
    bumps = StickyStrike.from_options(SPOT * one, SPOT * np.exp([0.001, -0.002, 0.003, 0.0, 0.004]), width[::-1], one)
    y, exposure = np.linspace(-0.006, 0.006, 201), np.array([1.0, -2.0, 3.0, -1.0, 0.5])
    d2 = np.multiply.outer(bumps.a, y) + bumps.b[:, None]
    expected = exposure @ (bumps.height[:, None] * np.exp(-0.5 * d2 * d2))
    got = bumps.profile(y, exposure[:, None])[0]
    np.testing.assert_allclose(got, expected, atol=1e-13 * np.abs(expected).max())


def test_many_books_at_their_own_points_are_each_book_at_its_point() -> None:
    forward, strike, sigma, tau, exposure = book(2)
    bumps = StickyStrike.from_options(forward, strike, sigma, tau)
    books = exposure[:, None] * np.random.default_rng(3).normal(1.0, 1.0, (exposure.size, 7))
    y = np.linspace(-0.1, 0.12, 7)
    together = bumps.gamma_derivatives(y, books)
    for column in range(7):
        alone = bumps.gamma_derivatives(y[column : column + 1], books[:, column])
        for many, one in zip(together, alone):
            assert many[column] == pytest.approx(one[0], rel=1e-9)
    step = 1e-5
    below, at, above = (bumps.gamma_derivatives(np.array([0.03 + shift]), exposure) for shift in (-step, 0.0, step))
    assert at.slope[0] == pytest.approx((above.value - below.value)[0] / (2 * step), rel=1e-6)
    assert at.curvature[0] == pytest.approx((above.slope - below.slope)[0] / (2 * step), rel=1e-6)


def test_the_polish_needs_two_looks_at_all_options() -> None:
    columns = book(1)
    sizes: list[int] = []

    class Counting(StickyStrike):
        def gamma_derivatives(self, y: F64, exposure: F64) -> GammaDerivatives:
            sizes.append(y.size)
            return super().gamma_derivatives(y, exposure)

    flip = find_flip(SPOT, *columns)
    y = np.log(flip.spots / SPOT)
    low = np.flatnonzero(np.sign(flip.ngi[:-1]) != np.sign(flip.ngi[1:]))
    bumps = Counting.from_options(*columns[:4])
    zeros, _ = polish(bumps, columns[4], y[low], y[low + 1], flip.ngi[low], flip.ngi[low + 1])
    assert zeros == pytest.approx(np.log([root.level / SPOT for root in flip.roots]), abs=1e-13)
    assert len(sizes) <= 2


def test_nodes_do_not_slide_with_the_spot() -> None:
    columns = book(1)
    one, other = (find_flip(spot, *columns) for spot in (SPOT, SPOT * 1.0001))
    steps = np.log(one.spots) / STEP
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-8)
    shared = np.intersect1d(np.round(np.log(one.spots) / STEP), np.round(np.log(other.spots) / STEP))
    assert shared.size >= one.spots.size - 1


def test_strikes_of_sharp_near_expiries_are_nodes() -> None:
    forward, strike = np.full(3, SPOT), np.array([97_123.0, 100_777.0, 104_031.0])
    tau = np.full(3, 1.0 / 8760.0)
    flip = find_flip(SPOT, forward, strike, np.full(3, 0.4), tau, np.array([1.0, -1.0, 1.0]))
    for level in strike:
        assert np.abs(flip.spots / level - 1).min() < 1e-12
    assert len(flip.roots) == 2
    later = find_flip(SPOT, forward, strike, np.full(3, 0.01), np.full(3, 3.0 / 365.0), np.array([1.0, -1.0, 1.0]))
    assert all(np.abs(later.spots / level - 1).min() > 1e-6 for level in strike)


def test_none_with_the_sign_that_holds_throughout() -> None:
    forward, strike, sigma, tau, exposure = book(2)
    for sign in (1, -1):
        flip = find_flip(SPOT, forward, strike, sigma, tau, sign * np.abs(exposure))
        assert (flip.level, flip.roots, flip.sign) == (None, (), sign)
        assert flip.searched[0] <= 0.5 * SPOT
        assert flip.searched[1] >= 1.5 * SPOT
        level, ngi = flip.weakest_point(SPOT)
        levels = np.linspace(0.8 * SPOT, 1.2 * SPOT, 4001)
        net = np.array([net_gamma(SPOT, at, forward, strike, sigma, tau, sign * np.abs(exposure)) for at in levels])
        assert ngi == pytest.approx(net_gamma(SPOT, level, forward, strike, sigma, tau, sign * np.abs(exposure)))
        assert level == pytest.approx(levels[np.argmin(np.abs(net))], rel=2 * STEP)


@pytest.mark.parametrize("position", [2.0, -2.0])
def test_the_sign_of_a_book_whose_gamma_is_gone_at_the_ends_of_the_range(position: float) -> None:
    one = np.ones(1)
    flip = find_flip(SPOT, SPOT * one, SPOT * one, 0.3 * one, one / 8760.0, position * one)
    assert flip.ngi[0] == flip.ngi[-1] == 0.0
    assert (flip.level, flip.sign) == (None, np.sign(position))


@pytest.mark.parametrize("exposure", [0.0, np.nan])
def test_a_book_without_gamma(exposure: float) -> None:
    forward, strike, sigma, tau, _ = book(2, n=5)
    flip = find_flip(SPOT, forward, strike, sigma, tau, np.full(5, exposure))
    assert (flip.level, flip.sign, flip.ngi.tolist()) == (None, 0, [0.0, 0.0])
    settled = find_flip(SPOT, forward, strike, sigma, np.zeros(5), np.ones(5))
    assert settled.sign == 0


def test_rounding_of_a_cancelling_book_is_no_root() -> None:
    forward, strike, sigma, tau, exposure = book(4)
    forward, strike, sigma, tau = (np.tile(column, 2) for column in (forward, strike, sigma, tau))
    flip = find_flip(SPOT, forward, strike, sigma, tau, np.concatenate([exposure, -exposure]))
    assert flip.level is None
    assert flip.sign == 0


def flat_book(share: float) -> tuple[F64, F64, F64, F64, F64]:
    """Pairs of opposite positions a little apart in strike: net gamma crosses zero, at `share` of the gross at most."""
    strike = np.array([95_000.0, 95_000.0 * (1 + share), 105_000.0 * (1 + share), 105_000.0])
    one = np.ones(4)
    return SPOT * one, strike, 0.5 * one, 0.1 * one, np.array([1.0, -1.0, 1.0, -1.0])


@pytest.mark.parametrize(("share", "sign"), [(0.0005, 0), (0.05, 1)])
def test_a_net_within_a_hundredth_of_the_gross_is_undetermined(share: float, sign: int) -> None:
    columns = flat_book(share)
    flip = find_flip(SPOT, *columns)
    assert abs(flip.sign) == sign
    assert (flip.level is None) == (flip.roots == ()) == (sign == 0)
    assert np.abs(flip.ngi).max() > 0.0
    forward, strike, sigma, tau, exposure = columns
    members = np.stack([exposure, [1.0, 0.0, 0.0, -1.0], [1e4] * 4], axis=1)
    levels = nearest_levels(SPOT, (forward, strike, sigma, tau), members)
    assert np.isnan(levels[0]) == (sign == 0)
    assert not np.isnan(levels[1])


def test_a_zero_that_is_only_touched_is_no_flip() -> None:
    one = np.ones(3)
    columns = SPOT * one, SPOT * np.exp([-0.08, 0.0, 0.08]), 0.5 * one, 0.02 * one
    y = np.linspace(-0.05, 0.05, 20_001)
    unit = StickyStrike.from_options(*columns).profile(y, np.eye(3))
    least = ((unit[0] + unit[2]) / unit[1]).min()
    for share, roots in ((1.0 - 1e-9, 0), (1.0 + 1e-5, 2)):
        found = find_flip(SPOT, *columns, np.array([1.0, -least * share, 1.0])).roots
        assert [root.rising for root in found] == [False, True][:roots]


def test_widening_stops_at_the_first_range_with_a_root() -> None:
    one = np.ones(2)
    columns = SPOT * one, np.array([0.6, 1.0]) * SPOT, 0.5 * one, 0.02 * one, np.array([-1.0, 1.0])
    assert find_flip(SPOT, *columns, ranges=(0.15,)).level is None
    flip = find_flip(SPOT, *columns)
    assert flip.level == pytest.approx(SPOT * np.exp(0.5 * np.log(0.6) - 0.5 * 0.5**2 * 0.02), rel=1e-12)
    assert flip.searched[0] == pytest.approx(0.65 * SPOT, rel=STEP)
    assert flip.sign == 1


@pytest.mark.slow
@given(st.floats(0.6, 1.6), st.floats(0.6, 1.6), st.floats(0.1, 2.0), st.floats(0.005, 1.0), st.floats(0.5, 2.0))
def test_two_strikes_have_their_closed_form(low: float, high: float, sigma: float, tau: float, basis: float) -> None:
    """Exposures as 1/K: both bumps have one height and the zero is half-way between their centres."""
    v2 = sigma**2 * tau
    if abs(np.log(high / low)) < 0.01 or abs(np.log(high / low)) > 12 * np.sqrt(v2):
        return
    one = np.ones(2)
    strike = np.array([low, high]) * SPOT
    flip = find_flip(SPOT, SPOT * basis * one, strike, sigma * one, tau * one, np.array([-1.0, 1.0]) / strike)
    y = 0.5 * np.log(low * high) - np.log(basis) + v2 / 2
    if flip.level is not None:
        assert flip.level == pytest.approx(SPOT * np.exp(y), rel=1e-11)
        assert flip.roots[0].rising == (high > low)
    else:
        undetermined = flip.sign == 0 and abs(np.log(high / low)) < 0.1 * np.sqrt(v2)
        assert undetermined or abs(np.exp(y) - 1.0) > 0.49 or abs(np.log(high / low)) > 5 * np.sqrt(v2)


def test_a_flat_smile_is_the_same_under_both_dynamics() -> None:
    forward, strike, _, tau, exposure = book(5)
    columns = forward, strike, np.full_like(strike, 0.6), tau, exposure
    strikes, moneyness = (find_flip(SPOT, *columns, stickiness=kind) for kind in STICKINESS)
    np.testing.assert_allclose(moneyness.ngi, strikes.ngi, atol=1e-12 * np.abs(strikes.ngi).max())
    assert moneyness.level == pytest.approx(strikes.level, rel=1e-12)


def test_sticky_moneyness_is_the_definition() -> None:
    forward, strike, sigma, tau, exposure = book(6)
    flip = find_flip(SPOT, forward, strike, sigma, tau, exposure, stickiness="moneyness", expiry=tau)
    for level in flip.spots[::40]:
        k = np.log(strike / (forward * level / SPOT))
        moved = np.empty_like(sigma)
        for date in np.unique(tau):
            rows = tau == date
            order = np.argsort(np.log(strike / forward)[rows], kind="stable")
            nodes = np.log(strike / forward)[rows][order]
            moved[rows] = np.interp(k[rows], nodes, sigma[rows][order])
        expected = net_gamma(SPOT, level, forward, strike, moved, tau, exposure)
        at = np.flatnonzero(flip.spots == level)[0]
        assert flip.ngi[at] == pytest.approx(expected, rel=1e-9, abs=1e-6 * np.abs(flip.ngi).max())
    assert flip.level is not None


@pytest.mark.parametrize("stickiness", ["strike", "moneyness"])
def test_members_are_many_books_at_once(stickiness: Stickiness) -> None:
    forward, strike, sigma, tau, exposure = book(7, n=200)
    rng = np.random.default_rng(1)
    members = exposure[:, None] * rng.normal(1.0, 1.0, (200, 16))
    members[:, 3] = np.abs(members[:, 3])
    members[:, 4] = 0.0
    levels = nearest_levels(SPOT, (forward, strike, sigma, tau), members, stickiness)
    for column, level in enumerate(levels):
        alone = find_flip(SPOT, forward, strike, sigma, tau, members[:, column], stickiness=stickiness).level
        assert level == pytest.approx(np.nan if alone is None else alone, rel=1e-5, nan_ok=True)
    assert np.isnan(levels).mean() >= 2 / 16


def test_no_member_has_a_flip() -> None:
    forward, strike, sigma, tau, exposure = book(7, n=20)
    of_one_sign = np.abs(exposure)[:, None].repeat(3, axis=1)
    assert np.isnan(nearest_levels(SPOT, (forward, strike, sigma, tau), of_one_sign)).all()
    assert np.isnan(nearest_levels(SPOT, (forward, strike, sigma, tau), np.zeros((20, 2)))).all()


def test_the_same_input_gives_the_same_bits() -> None:
    columns = book(9)
    one, other = find_flip(SPOT, *columns), find_flip(SPOT, *(column.copy() for column in columns))
    assert one.roots == other.roots
    assert one.ngi.tobytes() == other.ngi.tobytes()


oddities = st.one_of(st.floats(width=64), st.sampled_from([0.0, 1.0, -1.0, 100.0, 1e-300, 1e300, 5e-324, 0.5]))


@pytest.mark.slow
@settings(max_examples=200)
@given(
    hnp.arrays(float, st.tuples(st.just(5), st.integers(0, 5)), elements=oddities),
    st.floats(1e-3, 1e7),
    st.sampled_from(["strike", "moneyness"]),
)
def test_nothing_raises_or_warns(columns: F64, spot: float, stickiness: Stickiness) -> None:
    forward, strike, sigma, tau, exposure = columns
    flip = find_flip(spot, forward, strike, sigma, tau, exposure, stickiness=stickiness)
    assert flip.sign in (-1, 0, 1)
    nearest_levels(spot, (forward, strike, sigma, tau), np.stack([exposure, -exposure], axis=1), stickiness)


@pytest.mark.slow
@pytest.mark.parametrize("place", np.linspace(0.0, 0.0019, 7))
@pytest.mark.parametrize("stickiness", ["strike", "moneyness"])
def test_two_zeros_between_neighbouring_nodes_are_both_found(place: float, stickiness: Stickiness) -> None:
    spot = SPOT * np.exp(place)
    one = np.ones(3)
    columns = spot * one, spot * np.exp([-0.08, 0.0, 0.08]), 0.5 * one, 0.02 * one
    y = np.linspace(-0.05, 0.05, 200_001)
    unit = StickyStrike.from_options(*columns).profile(y, np.eye(3))
    ratio = (unit[0] + unit[2]) / unit[1]
    short = ratio.min() + 0.25 * (ratio[np.argmin(ratio) + 800] - ratio.min())  # zeros 0.0004 apart, a fifth of a step
    flip = find_flip(spot, *columns, np.array([1.0, -short, 1.0]), stickiness=stickiness)
    inner = [root for root in flip.roots if abs(root.level / (spot * np.exp(y[np.argmin(ratio)])) - 1.0) < 0.001]
    assert [root.rising for root in inner] == [False, True]
    assert inner[1].level / inner[0].level - 1.0 == pytest.approx(4e-4, rel=0.05)
    barely = np.array([1.0, -0.999 * ratio.min(), 1.0])
    above = find_flip(spot, *columns, barely, stickiness=stickiness)
    assert above.roots == ()
    members = np.stack([barely, [1.0, -short, 1.0], [1.0, -4.0, 1.0]], axis=1)
    levels = nearest_levels(spot, columns, members, stickiness)
    assert np.isnan(levels[0])
    assert levels[1] == pytest.approx(flip.level, rel=1e-5)
    assert levels[2] == pytest.approx(find_flip(spot, *columns, members[:, 2], stickiness=stickiness).level, rel=1e-5)


@pytest.mark.parametrize("strikes", [(), (0.0031,), (-0.1502, 0.0874)])
@pytest.mark.parametrize("width", [*(0.2005 * width for width, _ in _CHEBYSHEV_LEVELS), 0.07, 0.1, 0.3])
def test_wide_bumps_lose_nothing_on_fewer_nodes(width: float, strikes: tuple[float, ...]) -> None:
    rng = np.random.default_rng(0)
    strike = SPOT * np.exp(rng.uniform(-0.3, 0.3, 200))
    book = StickyStrike.from_options(np.full(200, SPOT), strike, np.full(200, width), np.ones(200))
    exposure, even = rng.normal(0.0, 1.0, 200), np.union1d(np.linspace(-0.2, 0.2, 205), strikes)
    for y in (even, even + np.where(np.arange(even.size) == 50, 1e-5, 0.0)):
        d2 = (book.x[:, None] + y) / book.total_sd[:, None] - 0.5 * book.total_sd[:, None]
        expected = exposure @ (book.height[:, None] * np.exp(-0.5 * d2 * d2))
        error = np.abs(book.profile(y, exposure[:, None])[0] - expected).max()
        assert error <= book.error_bound(exposure)
        assert error < 1e-13 * np.abs(expected).max()


def test_the_first_guess_is_exact_for_a_cubic_and_at_an_end_of_the_grid_for_a_parabola() -> None:
    net = np.array([-5.0, -1.5, 2.0, 4.5, 6.0])
    for coefficients, low in (((0.3, 0.02, -0.001, 0.0004), 1), ((0.3, 0.02, -0.001, 0.0), 0)):
        y = np.polynomial.polynomial.polyval(net[1 - low :], coefficients)
        zero = cubic_zero(y, net[1 - low :], np.array([low]), np.array([low + 1]))
        assert zero[0] == pytest.approx(0.3, abs=1e-15)


def test_a_guess_where_one_net_comes_twice_is_that_of_the_chord() -> None:
    y, net = np.arange(4.0), np.array([2.0, -1.0, 1.0, 2.0])
    assert cubic_zero(y, net, np.array([1]), np.array([2])).tolist() == [1.5]


def test_a_profile_does_not_depend_on_the_order_of_the_options() -> None:
    forward, strike, sigma, tau, exposure = book(5)
    sigma = sigma * np.resize([0.2, 0.5, 1.0, 3.0], sigma.size)
    wide_first = np.argsort(-sigma * np.sqrt(tau))
    y = np.linspace(-0.2, 0.2, 205)
    one, other = (
        StickyStrike.from_options(*(column[rows] for column in (forward, strike, sigma, tau))).profile(
            y, exposure[rows, None]
        )
        for rows in (wide_first, np.random.default_rng(0).permutation(sigma.size))
    )
    np.testing.assert_allclose(one, other, atol=1e-13 * np.abs(one).max())
