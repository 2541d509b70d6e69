from hypothesis import given
from hypothesis import strategies as st

from dfmon.venues.token_bucket import TokenBucket


@given(st.lists(st.floats(0.0, 3.0), min_size=1, max_size=60), st.floats(0.5, 5.0), st.integers(1, 10))
def test_no_stretch_of_time_has_more_turns_than_the_burst_and_the_rate_allow(
    gaps: list[float], rate: float, burst: int
) -> None:
    bucket, now, granted_s = TokenBucket(rate, float(burst)), 0.0, list[float]()
    for gap in gaps:
        now += gap
        granted_s.append(now + bucket.reserve(now))
    for first in range(len(granted_s)):
        for last in range(first, len(granted_s)):
            assert last - first + 1 <= burst + rate * (granted_s[last] - granted_s[first]) + 1e-6


def test_a_dear_call_is_made_at_once_and_paid_by_those_after_it() -> None:
    bucket = TokenBucket(4.0)
    assert bucket.reserve(0.0, 4.0) == 0.0
    assert bucket.reserve(0.0) == 1.0
    assert bucket.reserve(0.0, 4.0) == 1.25


def test_a_turn_that_is_not_there_is_not_taken() -> None:
    bucket = TokenBucket(1.0, 2.0)
    assert [bucket.try_acquire(0.0) for _ in range(3)] == [True, True, False]
    assert not bucket.try_acquire(0.5)
    assert bucket.try_acquire(1.0)


def test_a_clock_that_goes_back_gives_nothing_away() -> None:
    bucket = TokenBucket(1.0)
    assert bucket.try_acquire(100.0)
    assert not bucket.try_acquire(0.0)
    assert not bucket.try_acquire(0.5)
    assert bucket.try_acquire(1.0)
