"""Calls and puts that share a point: merged only while they agree to the last bit."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from dfmon.core.pricing.black import F64
from dfmon.core.pricing.pairing import Pairing


def listing() -> tuple[F64, NDArray[np.int64], F64]:
    strike = np.array([90.0, 100.0, 90.0, 110.0, 100.0, 90.0])
    expiry = np.array([1, 1, 1, 1, 2, 2])
    option_type = np.array([1.0, 1.0, -1.0, -1.0, 1.0, -1.0])
    return strike, expiry, option_type


def test_only_one_call_and_one_put_of_one_strike_and_expiry_pair() -> None:
    pairing = Pairing.from_listing(*listing())
    assert pairing.first.tolist() == [0]
    assert pairing.second.tolist() == [2]


def test_a_pair_is_one_point_while_its_columns_agree() -> None:
    pairing = Pairing.from_listing(*listing())
    forward, sigma, tau = np.full(6, 100.0), np.full(6, 0.5), np.full(6, 0.1)
    points = pairing.points(forward, sigma, tau)
    assert points.option.tolist() == [0, 1, 3, 4, 5]
    assert points.point.tolist() == [0, 1, 0, 2, 3, 4]
    assert points.sum_exposure(np.arange(6.0)).tolist() == [2.0, 1.0, 3.0, 4.0, 5.0]
    assert points.sum_exposure(np.ones((6, 2))).tolist() == [[2.0, 2.0]] + [[1.0, 1.0]] * 4
    for column in (forward, sigma, tau):
        column[2] *= 1 + 2**-52
        assert pairing.points(forward, sigma, tau).option.size == 6
        column[2] = column[0]


def test_nan_agrees_with_nothing() -> None:
    sigma = np.full(6, np.nan)
    assert Pairing.from_listing(*listing()).points(np.ones(6), sigma, np.ones(6)).option.size == 6


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 3), st.sampled_from([1.0, -1.0])), max_size=30))
def test_nothing_is_lost_whatever_is_listed(rows: list[tuple[int, int, float]]) -> None:
    strike, expiry, option_type = (np.array([row[i] for row in rows], dtype=float) for i in range(3))
    pairing = Pairing.from_listing(strike, expiry, option_type)
    n = len(rows)
    points = pairing.points(np.ones(n), np.ones(n), np.ones(n))
    exposure = np.arange(1.0, n + 1)
    assert points.sum_exposure(exposure).sum() == exposure.sum()
    assert (strike[points.option[points.point]] == strike).all()
    assert (expiry[points.option[points.point]] == expiry).all()


def test_pairs_may_be_kept_apart() -> None:
    columns = np.full(6, 100.0), np.full(6, 0.5), np.full(6, 0.1)
    assert Pairing.from_listing(*listing()).points(*columns, keep_separate=np.ones(6, dtype=bool)).option.size == 6
    assert Pairing.from_listing(*listing()).points(*columns, keep_separate=np.zeros(6, dtype=bool)).option.size == 5
