"""Several books and an ensemble from one scan: against each book alone, and against a dense grid over all options."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfmon.core.flip.gamma_flip import HORIZONS, find_flip
from dfmon.core.flip.grid import STEP, Stickiness
from dfmon.core.flip.joint_search import find_flips
from dfmon.core.flip.member_roots import member_roots
from dfmon.core.pricing import compiled
from dfmon.core.pricing.black import F64
from tests.core.flip.books import SPOT, Listing, dense_roots, listed_book, net_gamma


def several_books(seed: int) -> tuple[Listing, F64]:
    """A listed book, others of its size, one without a sign change, and those of the horizons."""
    chain, position = listed_book(seed)
    rng = np.random.default_rng(seed + 100)
    size = np.abs(position)
    each = [position, size * rng.choice([-1.0, 1.0], size.size), -size, size * rng.normal(0.0, 1.0, size.size)]
    return chain, np.stack([book * (chain.tau <= tau) for book in each for tau in HORIZONS.values()], axis=1)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("stickiness", ["strike", "moneyness"])
def test_each_flip_is_that_of_its_book_alone(seed: int, stickiness: Stickiness) -> None:
    chain, books = several_books(seed)
    found = find_flips(SPOT, *chain, books, stickiness=stickiness, expiry=chain.tau).flips
    assert len(found) == books.shape[1]
    for book, flip in zip(books.T, found):
        alone = find_flip(SPOT, *chain, book, stickiness=stickiness, expiry=chain.tau)
        if stickiness == "strike":  # the kinks of a smile may hide a zero that is only touched
            assert len(flip.roots) == len(alone.roots)
        for one, other in zip(flip.roots, alone.roots):
            assert one.level == pytest.approx(other.level, rel=1e-12 if stickiness == "strike" else 1e-9)
            assert one.rising == other.rising
        assert flip.sign == alone.sign
        assert flip.searched == pytest.approx(alone.searched, rel=STEP)
        assert np.interp(SPOT, flip.spots, flip.ngi) == pytest.approx(np.interp(SPOT, alone.spots, alone.ngi), rel=1e-4)


def members_of(position: F64, count: int, noise: float, seed: int) -> F64:
    return np.asarray(position[:, None] * np.random.default_rng(seed).normal(1.0, noise, (position.size, count)))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("noise", [0.3, 1.0, 3.0])
def test_all_zeros_of_the_members_are_those_of_a_dense_grid(seed: int, noise: float) -> None:
    chain, position = listed_book(seed)
    members = members_of(position, 32, noise, seed)
    found = find_flips(SPOT, *chain, position[:, None], members)
    levels = np.geomspace(*found.flips[0].searched, 20_001)
    net = net_gamma(levels, chain, members)
    for m in range(32):
        rows = found.roots.member == m
        expected, rising = dense_roots(levels, net[:, m])
        assert found.roots.level[rows] == pytest.approx(expected, rel=5e-6)
        assert (found.roots.rising[rows] == rising).all()
    np.testing.assert_allclose(
        found.profiles, net_gamma(found.flips[0].spots, chain, members).T, atol=1e-10 * np.abs(net).max()
    )


@pytest.mark.parametrize(("steps", "share", "tolerance"), [(8.0, 1.0, 1e-5), (4.0, 0.95, 1e-4), (1.0, 0.95, 2e-4)])
def test_zeros_of_narrow_bumps_are_exact_to_the_stated_share_of_spot(
    steps: float, share: float, tolerance: float
) -> None:
    rng = np.random.default_rng(1)
    one, tau = np.ones(40), np.full(40, 0.3 / 365.0)
    strike = np.round(SPOT * np.exp(np.linspace(-0.03, 0.03, 40)), -2)
    chain = Listing(SPOT * one, strike, steps * STEP / np.sqrt(tau), tau)
    members = rng.normal(0.0, 1.0, (40, 128))
    found = find_flips(SPOT, *chain, members[:, :1], members).roots
    levels = np.geomspace(0.94 * SPOT, 1.06 * SPOT, 20_001)
    net, differing = net_gamma(levels, chain, members), 0
    errors: list[float] = []
    for m in range(128):
        expected, _ = dense_roots(levels, net[:, m])
        rows = (found.member == m) & (found.level > levels[0]) & (found.level < levels[-1])
        if rows.sum() == expected.size:
            errors += np.abs(found.level[rows] / expected - 1.0).tolist()
        else:  # a pair within a fraction of a step
            differing += 1
    assert differing < 6
    assert len(errors) > 130
    assert np.quantile(errors, share) < tolerance


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000), st.floats(0.0, 3.0))
def test_directions_alternate_within_each_member(seed: int, noise: float) -> None:
    chain, position = listed_book(seed, n=60)
    roots = find_flips(SPOT, *chain, position[:, None], members_of(position, 16, noise, seed)).roots
    same = roots.member[1:] == roots.member[:-1]
    assert (roots.level[1:] >= roots.level[:-1])[same].all()
    assert (roots.rising[1:] != roots.rising[:-1])[same].all()


def test_two_zeros_inside_one_step_are_both_found() -> None:
    y = np.linspace(-10 * STEP, 10 * STEP, 21)
    shift = 0.3 * STEP
    net = np.stack(
        [(y - shift) ** 2 - (0.2 * STEP) ** 2, -((y - shift) ** 2) + (0.2 * STEP) ** 2, (y - shift) ** 2 + 1e-9]
    )
    roots = member_roots(SPOT, y, net, np.zeros(y.size))
    assert roots.member.tolist() == [0, 0, 1, 1]
    assert np.log(roots.level / SPOT) == pytest.approx(np.array([0.1, 0.5, 0.1, 0.5]) * STEP, abs=1e-12)
    assert roots.rising.tolist() == [False, True, True, False]


def test_nodes_without_a_sign_are_skipped() -> None:
    y = np.arange(8.0) / 100.0
    net = np.array([[-2.0, -1.0, 1e-9, -1e-9, 1e-9, 1.0, 2.0, 3.0], [1e-9, -1e-9, 1.0, 2.0, 1e-9, -1e-9, 1e-9, 1.0]])
    roots = member_roots(SPOT, y, net, np.full(8, 1e-6))
    assert roots.member.tolist() == [0]
    assert np.log(roots.level[0] / SPOT) == pytest.approx(0.03)


def test_a_flat_member_has_no_zero_and_a_book_without_gamma_no_profile() -> None:
    strike = np.array([95_000.0, 95_000.0 * 1.0005, 105_000.0 * 1.0005, 105_000.0])
    chain = Listing(np.full(4, SPOT), strike, np.full(4, 0.5), np.full(4, 0.1))
    members = np.stack([[1.0, -1.0, 1.0, -1.0], [1.0, 0.0, 0.0, -1.0]], axis=1)
    found = find_flips(SPOT, *chain, members[:, 1:], members)
    assert set(found.roots.member.tolist()) == {1}
    empty = find_flips(SPOT, *chain, np.zeros((4, 2)), np.zeros((4, 3)))
    assert [flip.level for flip in empty.flips] == [None, None]
    assert (empty.roots.size, empty.roots.level.size, empty.profiles.shape) == (3, 0, (3, 2))


def test_members_follow_the_first_book_into_a_wider_range() -> None:
    one = np.ones(2)
    chain = Listing(SPOT * one, np.array([0.6, 1.0]) * SPOT, 0.5 * one, 0.02 * one)
    books = np.array([[-1.0, -1.0], [1.0, 0.0]])
    members = np.array([[-1.0, -2.0, 1.0], [1.0, 1.0, 1.0]])
    found = find_flips(SPOT, *chain, books, members)
    assert found.flips[0].searched[0] == pytest.approx(0.65 * SPOT, rel=STEP)
    assert found.profiles.shape[1] == found.flips[0].spots.size
    assert found.roots.member.tolist() == [0, 1]
    assert found.roots.level[0] == pytest.approx(found.flips[0].level, rel=5e-6)
    assert found.flips[1].searched == (0.5 * SPOT, 1.5 * SPOT)  # of one sign: none anywhere


oddities = st.one_of(st.floats(width=64), st.sampled_from([0.0, 1.0, -1.0, 100.0, 1e-300, 1e300, 5e-324, 0.5]))


@pytest.mark.slow
@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(*[oddities] * 6), max_size=5), st.floats(1e-3, 1e7), st.sampled_from(["strike", "moneyness"]))
def test_nothing_raises_or_warns(rows: list[tuple[float, ...]], spot: float, stickiness: Stickiness) -> None:
    forward, strike, sigma, tau, *positions = np.array(rows, float).reshape(-1, 6).T.copy()
    books = np.stack(positions, axis=1)
    found = find_flips(spot, forward, strike, sigma, tau, books, -books, stickiness=stickiness)
    assert all(flip.sign in (-1, 0, 1) for flip in found.flips)
    assert found.roots.size == 2


@pytest.mark.parametrize("seed", range(8))
def test_compiled_zeros_of_the_members_are_those_of_numpy(seed: int) -> None:
    """Walks with nodes that are exactly zero or below the size that counts, on even and uneven nodes."""
    if not compiled.load_kernels():
        pytest.skip("numba is not installed")
    rng = np.random.default_rng(seed)
    nodes = int(rng.integers(4, 200))
    y = np.linspace(-0.3, 0.3, nodes) if seed % 2 else np.sort(rng.uniform(-0.3, 0.3, nodes))
    net = np.cumsum(rng.normal(size=(40, nodes)), axis=1)
    net[:, rng.integers(0, nodes, 3)] = 0.0
    min_size = np.full(nodes, 10.0 ** rng.uniform(-9.0, -0.5))
    found = []
    for enabled in (False, True):
        with compiled.kernels_for_step(enabled):
            found.append(member_roots(SPOT, y, net, min_size))
    assert found[0].member.tolist() == found[1].member.tolist()
    assert found[0].rising.tolist() == found[1].rising.tolist()
    assert found[0].level == pytest.approx(found[1].level, rel=1e-11)
