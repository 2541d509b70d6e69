import pytest

from dfmon.model.backoff import backoff_delay


@pytest.mark.parametrize(("first", "limit"), [(0.5, 30.0), (5_000_000_000, 60_000_000_000)])
def test_delays_double_up_to_the_limit_in_the_unit_of_the_first(first: float, limit: float) -> None:
    delays = [backoff_delay(attempt, first, limit) for attempt in range(8)]
    assert delays[:3] == [first, 2 * first, 4 * first]
    assert delays[-1] == limit
    assert {type(delay) for delay in delays} == {type(first)}


def test_no_number_of_failures_overflows() -> None:
    assert backoff_delay(10**6, 0.25, 30.0) == 30.0
