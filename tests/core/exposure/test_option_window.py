"""Samples by option: interpolated, aligned while the listing changes, bounded."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfmon.core.exposure.option_window import OptionWindow, pick

STEP = 60


def window(*samples: tuple[int, dict[int, float]], rows: int = 5) -> OptionWindow:
    made = OptionWindow.empty(STEP, rows, fields=1, numbers=1)
    for ts, values in samples:
        key = np.array(list(values), np.int64)
        made = made.push(ts, key, np.array([list(values.values())], float), (float(ts),))
    return made


def value_at(made: OptionWindow, ts: int, key: int) -> tuple[int, float, float]:
    found = made.at(ts)
    assert found is not None
    return found[0], float(pick(found[1][0], made.find(np.array([key])))[0]), float(found[2][0])


def test_values_are_linear_between_samples_and_exact_on_them() -> None:
    made = window((0, {7: 1.0, 3: 5.0}), (60, {3: 8.0, 7: 2.0}))
    assert value_at(made, 0, 7) == (0, 1.0, 0.0)
    assert value_at(made, 15, 7) == (15, 1.25, 15.0)
    assert value_at(made, 20, 3) == (20, 6.0, 20.0)
    assert value_at(made, 60, 3) == (60, 8.0, 60.0)
    assert made.at(61) is None


def test_before_the_window_and_in_a_gap_the_next_sample_counts() -> None:
    made = window((100, {1: 1.0}), (160, {1: 2.0}), (160 + 3 * STEP, {1: 9.0}))
    assert value_at(made, 5, 1) == (100, 1.0, 100.0)
    assert value_at(made, 200, 1) == (340, 9.0, 340.0)
    assert OptionWindow.empty(STEP, 5, 1).at(0) is None


def test_an_option_that_comes_or_goes_has_the_value_of_the_one_sample_that_has_it() -> None:
    made = window((0, {1: 1.0, 2: 2.0}), (60, {2: 4.0, 9: 6.0}))
    assert [value_at(made, 30, key)[1] for key in (1, 2, 9)] == [1.0, 3.0, 6.0]
    assert np.isnan(value_at(made, 60, 1)[1])
    assert np.isnan(value_at(made, 60, 5)[1])
    assert made.last_values().tolist() == [[1.0, 4.0, 6.0]]


def test_samples_are_bounded_and_options_without_one_are_dropped() -> None:
    made = window(*((60 * i, {i: 1.0, 100: 2.0}) for i in range(9)), rows=3)
    assert made.times.tolist() == [360, 420, 480]
    assert made.key.tolist() == [6, 7, 8, 100]
    assert made.values.shape == (3, 1, 4)


def test_a_sample_is_taken_once_a_step_and_the_window_before_is_not_changed() -> None:
    first = window((0, {1: 1.0}))
    assert first.push(59, np.array([1]), np.ones((1, 1)), (0.0,)) is first
    second = first.push(60, np.array([2]), np.ones((1, 1)), (0.0,))
    assert (first.key.tolist(), first.values.tolist()) == ([1], [[[1.0]]])
    assert second.key.tolist() == [1, 2]


def test_a_clock_set_back_begins_anew() -> None:
    made = window((1000, {1: 1.0}), (400, {2: 2.0}))
    assert (made.times.tolist(), made.key.tolist()) == ([400], [2])


@pytest.mark.slow
@given(
    st.lists(st.dictionaries(st.integers(0, 8), st.floats(-9, 9), max_size=6), min_size=1, max_size=8),
    st.integers(0, 500),
)
def test_every_sample_is_found_as_it_was_put(samples: list[dict[int, float]], ts: int) -> None:
    made = window(*((STEP * i, values) for i, values in enumerate(samples)), rows=4)
    for i, values in list(enumerate(samples))[-4:]:
        for key in range(9):
            assert value_at(made, STEP * i, key)[1] == pytest.approx(values.get(key, np.nan), nan_ok=True)
    found = made.at(ts)
    assert (found is None) == (ts > STEP * (len(samples) - 1))
