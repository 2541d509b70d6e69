"""The normal tail against 50-digit arithmetic, and what must hold of it everywhere."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dfmon.core.pricing.black import log_moneyness
from dfmon.core.pricing.normal import cdf, density, mills_ratio

EPS = 2.0**-52
DISTANCES = np.concatenate([np.linspace(0.0, 8.0, 801), np.geomspace(8.0, 39.5, 200), [1e-300, 1e-9]])


def test_the_ratio_of_tail_and_density_has_all_its_digits() -> None:
    found = mills_ratio(DISTANCES)
    with mpmath.workdps(50):
        known = [mpmath.ncdf(-mpmath.mpf(d)) / mpmath.npdf(mpmath.mpf(d)) for d in DISTANCES.tolist()]
        worst = max(abs(float(value / truth - 1)) for value, truth in zip(found.tolist(), known))
    assert worst < 8 * EPS


@pytest.mark.slow
def test_both_tails_are_as_exact_as_their_argument_allows() -> None:
    d = np.concatenate([-DISTANCES[DISTANCES < 37.0], DISTANCES])
    found = cdf(d)
    with mpmath.workdps(50):
        for at, value in zip(d.tolist(), found.tolist()):
            truth = mpmath.ncdf(mpmath.mpf(at))
            assert abs(float(value / truth - 1)) < 4 * EPS * (1.0 + at * at), at


@given(st.floats(-40.0, 40.0))
def test_the_two_sides_are_one(d: float) -> None:
    low, high = cdf(np.array([d, -d]))
    assert low + high == pytest.approx(1.0, abs=2 * EPS)


def test_ends_and_middle() -> None:
    assert cdf(np.array([-np.inf, -1e300, 0.0, 1e300, np.inf])).tolist() == [0.0, 0.0, 0.5, 1.0, 1.0]
    assert mills_ratio(np.array([np.inf])) < 1e-15
    assert density(np.zeros(1)) == pytest.approx(0.3989422804014327, rel=EPS)


@pytest.mark.slow
@given(hnp.arrays(float, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0), elements=st.floats(width=64)))
def test_any_shape_and_any_number(d: np.ndarray) -> None:
    found = cdf(d)
    assert found.shape == d.shape
    assert (np.isnan(found) == np.isnan(d)).all()


@pytest.mark.parametrize("together", [True, False])
def test_the_logarithm_of_moneyness_has_its_digits_near_the_money_and_far_from_it(together: bool) -> None:
    forward = np.concatenate([1.0 + np.geomspace(1e-15, 1e-3, 40), np.geomspace(1e-250, 1e250, 121), [0.0201, 0.0199]])
    chains = [forward] if together else forward[:, None]
    found = np.concatenate([log_moneyness(chain, np.ones_like(chain)) for chain in chains])
    with mpmath.workdps(50):
        known = np.array([float(mpmath.log(mpmath.mpf(x))) for x in forward.tolist()])
    assert (np.abs(found - known) <= 3.0 * EPS * np.maximum(np.abs(known), 1e-12)).all()
