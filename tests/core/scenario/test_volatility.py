import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfmon.core.scenario.volatility import constant_horizon_sigma

DAY = 1 / 365.0


def test_flat_term_structure_is_itself() -> None:
    tau = np.array([0.01, 0.9, 7.0]) * DAY
    assert constant_horizon_sigma(tau, np.full(3, 0.55)) == pytest.approx(0.55)


def test_first_expiry_beyond_a_day_counts_from_the_origin() -> None:
    assert constant_horizon_sigma(np.array([3.0]) * DAY, np.array([0.4])) == pytest.approx(0.4)


def test_a_board_that_ends_within_a_day_gives_its_last_volatility() -> None:
    assert constant_horizon_sigma(np.array([0.1, 0.5]) * DAY, np.array([0.9, 0.7])) == 0.7
    assert math.isnan(constant_horizon_sigma(np.zeros(0), np.zeros(0)))


@given(seconds=st.integers(1, 120), near=st.floats(0.1, 3.0), far=st.floats(0.1, 3.0))
def test_settlement_of_the_nearest_expiry_is_no_jump(seconds: int, near: float, far: float) -> None:
    """One expiry settles, the next is a day away: the volatility of a day is that of the next before and after."""
    left = seconds / 86_400.0
    atm = np.array([near, far])
    before = constant_horizon_sigma(np.array([left, 1.0 + left]) * DAY, atm)
    after = constant_horizon_sigma(np.array([1.0]) * DAY, atm[1:])
    assert before == pytest.approx(after, abs=0.05 * (near + far))
