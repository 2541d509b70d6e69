import pytest

from dfmon.model.clock_step import ClockStepDetector
from dfmon.model.units import HOUR, MILLISECOND, SECOND


def steps(*gaps_ns: int) -> list[int]:
    """Indices of the gaps that are steps."""
    detector, now_ns = ClockStepDetector(), 1_769_085_005_047_000_000
    detector.is_step(now_ns)
    found = []
    for number, gap_ns in enumerate(gaps_ns):
        now_ns += gap_ns
        if detector.is_step(now_ns):
            found.append(number)
    return found


@pytest.mark.parametrize(
    ("gaps_ns", "expected"),
    [
        ([SECOND, 3 * SECOND, SECOND + MILLISECOND], []),
        ([SECOND, 10 * SECOND], []),
        ([SECOND, 10 * SECOND + 1], [1]),
        ([SECOND, -1, SECOND], [1]),
        ([SECOND, HOUR, SECOND, -HOUR, SECOND], [1, 3]),
        ([30 * SECOND] * 5, [0]),
    ],
)
def test_a_step_is_a_time_before_the_last_or_a_gap_out_of_proportion(gaps_ns: list[int], expected: list[int]) -> None:
    assert steps(*gaps_ns) == expected
