"""The regime: both edges with directions and bands, the share of members that agree, and the flip zone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfmon.core.flip.gamma_flip import find_flip
from dfmon.core.flip.joint_search import find_flips
from dfmon.core.flip.member_roots import MemberRoots
from dfmon.core.flip.regime import find_regime, member_sides
from dfmon.core.pricing.black import F64
from tests.core.flip.books import SPOT, Listing, dense_roots, listed_book, net_gamma

STRIKES = np.array([76_000.0, 80_500.0, 86_000.0, 92_000.0])
CHAIN = Listing(np.full(4, 81_000.0), STRIKES, np.full(4, 0.5), np.full(4, 2.0 / 365.0))
THREE_EDGES = np.array([-1.0, 1.0, -1.0, 1.0])


def test_the_book_of_the_audit_has_both_edges_with_directions() -> None:
    """Three zeros, up, down, up, spot between the first two and nearer to the second."""
    flip = find_flip(81_000.0, *CHAIN, THREE_EDGES)
    assert [root.rising for root in flip.roots] == [True, False, True]
    regime = find_regime(81_000.0, flip)
    assert (regime.side, regime.agree, regime.p_none) == (1, None, None)
    assert regime.below is not None
    assert regime.above is not None
    assert regime.nearest is not None
    assert (regime.below.level, regime.below.rising) == (flip.roots[0].level, True)
    assert (regime.above.level, regime.above.rising) == (flip.roots[1].level, False)
    assert regime.nearest.level == flip.level
    assert (regime.above.low, regime.above.high, regime.above.p) == (None, None, None)
    below_the_down_root = find_regime(flip.roots[1].level * 0.999, find_flip(81_000.0, *CHAIN, THREE_EDGES))
    assert below_the_down_root.side == 1  # below a "down" root dealers are long gamma


def test_no_edge_leaves_both_sides_open() -> None:
    flip = find_flip(81_000.0, *CHAIN, -np.ones(4))
    regime = find_regime(81_000.0, flip)
    assert (regime.side, regime.edges, regime.below, regime.above, regime.nearest) == (-1, (), None, None, None)


def test_an_edge_at_spot_is_the_one_below() -> None:
    level = find_flip(81_000.0, *CHAIN, THREE_EDGES).roots[0].level
    regime = find_regime(level, find_flip(81_000.0, *CHAIN, THREE_EDGES))
    assert regime.below is not None
    assert regime.above is not None
    assert regime.below is regime.nearest
    assert regime.below.level == level
    assert regime.above.level > level


def ensemble(seed: int, noise: float, count: int = 64) -> tuple[Listing, F64, F64]:
    chain, position = listed_book(seed, n=150)
    rng = np.random.default_rng(seed)
    members = position[:, None] + noise * np.abs(position)[:, None] * rng.normal(0.0, 1.0, (position.size, count))
    return chain, position, members


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("noise", [0.2, 1.0, 3.0])
def test_agreement_and_flip_zone_are_shares_of_dense_profiles(seed: int, noise: float) -> None:
    chain, position, members = ensemble(seed, noise)
    found = find_flips(SPOT, *chain, position[:, None], members)
    flip = found.flips[0]
    regime = find_regime(SPOT, flip, found.roots, found.profiles)
    at_spot = net_gamma(np.array([SPOT]), chain, members)[0]
    assert regime.agree == np.mean(np.sign(at_spot) == flip.sign)
    assert (member_sides(SPOT, flip.spots, found.roots, found.profiles) == np.sign(at_spot)).all()
    for width in (0.25 * 0.026, 0.3125 * 0.026, 0.05):
        levels = np.linspace(SPOT * (1.0 - width), SPOT * (1.0 + width), 2001)
        net = net_gamma(levels, chain, members)
        changes = [dense_roots(levels, book)[0].size > 0 for book in net.T]
        assert share_within(width, SPOT, found.roots) == pytest.approx(np.mean(changes), abs=1.5 / 64)


def share_within(width: float, spot: float, roots: MemberRoots) -> float:
    """Share of the members with a zero within a share of spot."""
    return np.unique(roots.member[np.abs(roots.level / spot - 1.0) <= width]).size / roots.size


def test_members_that_are_the_headline_have_its_edges_as_their_bands() -> None:
    found = find_flips(81_000.0, *CHAIN, THREE_EDGES[:, None], np.repeat(THREE_EDGES[:, None], 5, axis=1))
    regime = find_regime(81_000.0, found.flips[0], found.roots, found.profiles)
    assert (regime.agree, regime.p_none) == (1.0, 0.0)
    assert len(regime.edges) == 3
    for edge in regime.edges:
        assert edge.p == 1.0
        assert (edge.low, edge.high) == pytest.approx((edge.level, edge.level), rel=1e-5)


def test_a_band_does_not_reach_over_to_another_root() -> None:
    """Half of the members lose the lower edge: their nearest zero is the upper one, 7 % away."""
    with_both, upper_only = THREE_EDGES, np.array([1.0, 1.0, -1.0, 1.0])
    members = np.stack([with_both] * 6 + [upper_only] * 4, axis=1)
    spot = 79_000.0
    found = find_flips(spot, np.full(4, spot), *CHAIN[1:], with_both[:, None], members)
    regime = find_regime(spot, found.flips[0], found.roots, found.profiles)
    assert regime.nearest is regime.below is not None
    assert regime.above is not None
    assert regime.below.p == 0.6
    assert regime.p_none == pytest.approx(0.4)
    assert regime.below.low == pytest.approx(regime.below.high, rel=1e-9)
    assert regime.above.p == 1.0
    nearest = [min(found.roots.level[found.roots.member == m], key=lambda at: abs(at / spot - 1)) for m in range(10)]
    assert max(nearest) / min(nearest) > 1.05  # the band of the nearest zeros would reach over


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(st.integers(0, 1000), st.floats(0.0, 4.0), st.floats(0.9, 1.1))
def test_what_always_holds(seed: int, noise: float, moved: float) -> None:
    chain, position, members = ensemble(seed, noise, count=16)
    spot = SPOT * moved
    chain = chain._replace(forward=chain.forward * moved)
    found = find_flips(spot, *chain, position[:, None], members)
    regime = find_regime(spot, found.flips[0], found.roots, found.profiles)
    levels = [edge.level for edge in regime.edges]
    assert levels == sorted(levels)
    assert regime.agree is not None
    assert regime.p_none is not None
    assert 0.0 <= regime.agree <= 1.0
    assert 0.0 <= regime.p_none <= 1.0
    if regime.below is not None:
        assert regime.below.level <= spot
        assert regime.below.rising == (regime.side > 0)
    if regime.above is not None:
        assert regime.above.level > spot
        assert regime.above.rising == (regime.side < 0)
    for edge in regime.edges:
        assert edge.p is not None
        assert (edge.low is None) == (edge.high is None) == (edge.p < 0.5)
        assert edge.low is None or edge.high is None or edge.low <= edge.high
