"""The profile in coin against premium-adjusted greeks of every option, and against central differences of delta."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import ndtr

from dfmon.core.flip.coin_gamma import CoinOptions
from dfmon.core.flip.gamma_flip import find_flip
from dfmon.core.flip.grid import Stickiness
from dfmon.core.flip.joint_search import find_flips
from dfmon.core.pricing.black import F64
from dfmon.core.pricing.greek_calc import greeks
from tests.core.flip.books import SPOT, Listing, dense_roots, listed_book


def coin_book(seed: int = 0, n: int = 200) -> tuple[Listing, CoinOptions, F64]:
    chain, position = listed_book(seed, n)
    rng = np.random.default_rng(seed + 50)
    return chain, CoinOptions(rng.choice([-1.0, 1.0], n), rng.random(n) < 0.8), position


def coin_net_gamma(levels: F64, chain: Listing, options: CoinOptions, positions: F64) -> F64:
    """D F'^2 1 % d/dF' (delta - V/F') for inverse options, without V/F' for others: (levels, ...)."""
    rows = []
    for level in levels:
        forward = chain.forward * (level / SPOT)
        v = chain.sigma * np.sqrt(chain.tau)
        d1 = np.log(forward / chain.strike) / v + 0.5 * v
        gamma = np.exp(-0.5 * d1**2) / np.sqrt(2.0 * np.pi) / (forward * v)
        adjusted = options.option_type * chain.strike / forward * ndtr(options.option_type * (d1 - v))
        rows.append(0.01 * forward**2 * (gamma - options.inverse * adjusted / forward) @ positions)
    return np.array(rows)


def test_the_profile_at_spot_is_that_of_the_greeks() -> None:
    chain, options, position = coin_book()
    g = greeks(*chain, options.option_type, with_price=False, numeraire="coin", inverse=options.inverse)
    expected = float((0.01 * chain.forward**2 * g.gamma) @ position)
    assert coin_net_gamma(np.array([SPOT]), chain, options, position)[0] == pytest.approx(expected, rel=1e-12)
    flip = find_flip(SPOT, *chain, position, coin=options)
    at_nodes = coin_net_gamma(flip.spots, chain, options, position)
    np.testing.assert_allclose(flip.ngi, at_nodes, atol=1e-12 * float(np.abs(at_nodes).max()))


@pytest.mark.parametrize("seed", range(4))
def test_roots_in_coin_are_those_of_brentq(seed: int) -> None:
    chain, options, position = coin_book(seed)
    flip = find_flip(SPOT, *chain, position, coin=options)
    for root in flip.roots:
        around = root.level * (1 - 1e-4), root.level * (1 + 1e-4)
        exact = brentq(
            lambda level: coin_net_gamma(np.array([level]), chain, options, position)[0], *around, xtol=1e-9, rtol=9e-16
        )
        assert root.level == pytest.approx(exact, rel=1e-12)
    levels = np.geomspace(*flip.searched, 8001)
    zeros, rising = dense_roots(levels, coin_net_gamma(levels, chain, options, position))
    assert [root.level for root in flip.roots] == pytest.approx(zeros.tolist(), rel=1e-5)
    assert [root.rising for root in flip.roots] == rising.tolist()
    dollar = find_flip(SPOT, *chain, position)
    assert [root.level for root in dollar.roots] != [root.level for root in flip.roots]


@pytest.mark.parametrize("stickiness", ["strike", "moneyness"])
def test_books_and_members_in_coin_are_each_book_alone(stickiness: Stickiness) -> None:
    chain, options, position = coin_book(2)
    members = position[:, None] * np.random.default_rng(1).normal(1.0, 0.7, (position.size, 8))
    found = find_flips(SPOT, *chain, position[:, None], members, stickiness=stickiness, expiry=chain.tau, coin=options)
    for m in range(8):
        alone = find_flip(
            SPOT, *chain, members[:, m], stickiness=stickiness, expiry=chain.tau, coin=options, ranges=(0.2,)
        )
        levels = found.roots.level[found.roots.member == m]
        assert levels.tolist() == pytest.approx([root.level for root in alone.roots], rel=2e-5)


def test_without_inverse_options_coin_and_dollar_are_the_same() -> None:
    chain, options, position = coin_book(3)
    linear = options._replace(inverse=np.zeros(position.size, np.bool_))
    coin, dollar = find_flip(SPOT, *chain, position, coin=linear), find_flip(SPOT, *chain, position)
    assert [root.level for root in coin.roots] == pytest.approx([root.level for root in dollar.roots], rel=1e-12)


def test_one_long_call_in_coin_turns_short_where_its_premium_outgrows_its_gamma() -> None:
    one = np.ones(1)
    options = CoinOptions(one, one > 0.0)
    flip = find_flip(SPOT, SPOT * one, SPOT * one, 0.5 * one, 7.0 / 365.0 * one, one, coin=options)
    assert [root.rising for root in flip.roots] == [False]
    assert flip.level is not None
    assert flip.level > SPOT
    assert flip.sign == 1
