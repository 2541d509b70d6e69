import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dfmon.core.exposure.levels import levels, max_pain

STRIKES = np.array([90.0, 100.0, 110.0])


def test_walls_are_the_extremes_of_dealer_gamma_by_sign() -> None:
    found = levels(STRIKES, np.array([-5.0, 3.0, 4.0]), np.array([1.0, 9.0, 2.0]), 100.0)
    assert (found.call_wall, found.put_wall, found.key_gamma, found.oi_wall, found.max_pain) == (110, 90, 90, 100, 100)


def test_wall_of_a_sign_that_no_strike_has_is_none() -> None:
    long = levels(STRIKES, np.array([1.0, 3.0, 2.0]), np.ones(3), None)
    assert (long.call_wall, long.put_wall) == (100.0, None)
    short = levels(STRIKES, -np.array([1.0, 3.0, 2.0]), np.ones(3), None)
    assert (short.call_wall, short.put_wall) == (None, 100.0)


def test_board_without_positions_or_without_options_has_no_levels() -> None:
    nothing = (None,) * 5
    for found in (levels(STRIKES, np.zeros(3), np.zeros(3), None), levels(np.zeros(0), np.zeros(0), np.zeros(0), None)):
        assert (found.call_wall, found.put_wall, found.key_gamma, found.oi_wall, found.max_pain) == nothing


def test_max_pain_counts_an_unknown_open_interest_as_none() -> None:
    kinds = np.array([1, 1, 1], np.int8)
    assert max_pain(STRIKES, kinds, np.array([np.nan, 5.0, np.nan])) == 90.0
    assert max_pain(STRIKES, kinds, np.full(3, np.nan)) is None


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 9), st.sampled_from([1, -1]), st.integers(0, 5)), min_size=1, max_size=12))
def test_max_pain_pays_out_no_more_than_any_other_strike(rows: list[tuple[int, int, int]]) -> None:
    strike, kind, held = (np.array(column, np.float64) for column in zip(*rows))
    found = max_pain(strike, kind.astype(np.int8), held)

    def paid(level: float) -> float:
        return float((np.maximum(kind * (level - strike), 0.0) * held).sum())

    if held.any():
        assert found is not None
        assert found in strike
        assert paid(found) == min(paid(k) for k in strike)
    else:
        assert found is None
