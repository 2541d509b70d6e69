import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfmon.core.scenario.kyle_lambda import kyle_lambda, theil_sen
from dfmon.model.frames import F64


def sample(seed: int, n: int, ties: bool = False) -> tuple[F64, F64]:
    rng = np.random.default_rng(seed)
    x = rng.normal(0.0, 4e6, n)
    y = 3e-11 * x + rng.standard_t(2, n) * 1e-4
    return (np.round(x, -6), np.round(y, 4)) if ties else (x, y)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize(("seed", "n"), [(1, 5), (2, 20), (3, 61), (4, 120), (5, 240)])
def test_slope_and_interval_are_those_of_scipy(seed: int, n: int, ties: bool) -> None:
    from scipy import stats  # takes a second to load, which collecting need not wait for

    x, y = sample(seed, n, ties)
    expected = stats.theilslopes(y, x, alpha=0.9)
    assert theil_sen(x, y) == pytest.approx((expected.slope, expected.low_slope, expected.high_slope), rel=1e-12)


@given(st.lists(st.tuples(st.integers(-20, 20), st.integers(-20, 20)), min_size=2, max_size=30))
def test_slope_is_the_median_over_all_pairs(points: list[tuple[int, int]]) -> None:
    slopes = [(d - b) / (c - a) for at, (a, b) in enumerate(points) for c, d in points[at + 1 :] if c != a]
    fit = theil_sen(*np.array(points, float).T)
    assert fit is None if not slopes else fit is not None and fit[0] == pytest.approx(np.median(slopes))
    assert fit is None or fit[1] <= fit[0] <= fit[2]


def test_quarter_of_the_minutes_may_be_wrong() -> None:
    x, y = sample(7, 200)
    clean, spoilt = kyle_lambda(y, x), kyle_lambda(np.where(np.arange(200) % 4 == 0, 0.5, y), x)
    assert clean is not None
    assert spoilt is not None
    assert abs(spoilt.value - 3e-11) < 1.5e-11
    least_squares = np.polyfit(x, np.where(np.arange(200) % 4 == 0, 0.5, y), 1)[0]
    assert abs(least_squares - 3e-11) > 10 * abs(spoilt.value - 3e-11)


def test_interval_holds_the_true_slope_nine_times_in_ten() -> None:
    hits = 0
    for seed in range(400):
        fit = theil_sen(*sample(seed, 60))
        assert fit is not None
        hits += fit[1] <= 3e-11 <= fit[2]
    assert 0.86 <= hits / 400 <= 0.94


def test_equal_flows_have_no_slope() -> None:
    assert theil_sen(np.zeros(9), np.arange(9.0)) is None
    assert kyle_lambda(np.arange(9.0), np.ones(9)) is None
