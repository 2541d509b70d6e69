import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfmon.engine.clock import VenueClock
from dfmon.model.events import ClockReading
from dfmon.model.units import MILLISECOND, MINUTE, SECOND
from tests.chains import NOW


def ask(
    clock: VenueClock, offset_ms: float, there_ms: float, back_ms: float, at: int = NOW, work_ms: float = 1.0
) -> None:
    """A question sent at `at`, with our clock `offset_ms` ahead of the venue's."""
    arrived = at + int(there_ms * MILLISECOND)
    left = arrived + int(work_ms * MILLISECOND)
    ahead = int(offset_ms * MILLISECOND)
    clock.read(ClockReading("x", at, arrived - ahead, left - ahead), left + int(back_ms * MILLISECOND))


def test_nothing_is_known_before_the_first_answer_and_nothing_is_corrected() -> None:
    clock = VenueClock()
    assert math.isnan(clock.ms)
    assert (clock.measured_ns, clock.words()) == (0, "")


@given(st.floats(-1e7, 1e7), st.floats(0.1, 2e3), st.floats(0.1, 2e3))
def test_an_answer_tells_the_offset_to_half_the_way(offset: float, there: float, back: float) -> None:
    clock = VenueClock()
    ask(clock, offset, there, back)
    assert abs(clock.ms - offset) <= abs(there - back) / 2 + 0.01


def test_an_answer_that_was_held_up_on_its_way_changes_nothing() -> None:
    clock = VenueClock()
    ask(clock, 30.0, 10.0, 10.0)
    ask(clock, 30.0, 10.0, 900.0, NOW + MINUTE)
    assert clock.ms == pytest.approx(30.0, abs=0.01)


def test_a_clock_that_is_set_is_followed_by_the_next_good_answer() -> None:
    clock = VenueClock()
    ask(clock, 30.0, 10.0, 10.0)
    ask(clock, 4_000.0, 11.0, 11.0, NOW + MINUTE)
    assert clock.ms == pytest.approx(4_000.0, abs=0.01)
    assert clock.words() == "our clock is 4.0 s ahead of the venue's"


def test_an_answer_before_its_question_is_no_reading() -> None:
    clock = VenueClock()
    clock.read(ClockReading("x", NOW, NOW, NOW + SECOND), NOW + SECOND // 2)
    assert math.isnan(clock.ms)


def test_without_answers_the_least_latency_of_five_minutes_bounds_the_offset() -> None:
    clock = VenueClock()
    for minute in range(7):
        clock.stamped(NOW + minute * MINUTE, NOW + minute * MINUTE + (80 + minute) * MILLISECOND)
        clock.stamped(NOW + minute * MINUTE, NOW + minute * MINUTE + 500 * MILLISECOND)
    assert clock.ms == 82.0
    assert clock.words() == ""


def test_late_data_and_a_clock_ahead_are_told_apart_only_by_asking() -> None:
    clock = VenueClock()
    clock.stamped(NOW, NOW + 1_200 * MILLISECOND)
    assert clock.words() == "our clock is 1.2 s ahead of the venue's, or its data are that late"
    behind = VenueClock()
    behind.stamped(NOW, NOW - 1_200 * MILLISECOND)
    assert behind.words() == "our clock is 1.2 s behind the venue's"
