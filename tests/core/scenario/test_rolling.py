import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dfmon.core.scenario.rolling import RollingWindow


def window_of(times: list[int], step: int = 1, rows: int = 5) -> RollingWindow:
    window = RollingWindow.empty(step, rows, 1)
    for time in times:
        window = window.push(time, (float(time),))
    return window


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 1000), max_size=30).map(sorted), st.integers(1, 50), st.integers(1, 8))
def test_window_holds_the_newest_samples_that_were_due(times: list[int], step: int, rows: int) -> None:
    expected: list[int] = []
    for time in times:
        if not expected or time - expected[-1] >= step:
            expected.append(time)
    window = window_of(times, step, rows)
    assert window.times.tolist() == expected[-rows:]
    assert window.values[:, 0].tolist() == expected[-rows:]


def test_push_leaves_the_old_window_as_it_was() -> None:
    old = window_of([1, 2])
    old.push(3, (3.0,))
    assert old.times.tolist() == [1, 2]


def test_clock_that_goes_back_adds_nothing() -> None:
    assert window_of([5, 4, 3]).times.tolist() == [5]


def test_since_includes_the_moment_itself() -> None:
    assert window_of([1, 2, 3]).since(2)[:, 0].tolist() == [2.0, 3.0]


def test_first_since_is_the_oldest_sample_that_is_young_enough() -> None:
    window = window_of([10, 20, 30])
    found = window.first_since(11)
    assert found is not None
    assert (found[0], found[1].tolist()) == (20, [20.0])
    assert window.first_since(31) is None
    assert RollingWindow.empty(1, 5, 1).first_since(0) is None


def test_samples_of_many_columns_stay_together() -> None:
    window = RollingWindow.empty(1, 3, 2).push(1, (1.0, -1.0)).push(2, (2.0, -2.0))
    np.testing.assert_array_equal(window.since(2), [[2.0, -2.0]])
