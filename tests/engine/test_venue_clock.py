import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfmon.engine.venue_clock import VenueClock
from dfmon.model.events import ClockReading
from dfmon.model.units import MILLISECOND, MINUTE, SECOND
from tests.chains import NOW


def add_round_trip(
    clock: VenueClock, offset_ms: float, outbound_ms: float, inbound_ms: float, sent_ns: int = NOW, work_ms: float = 1.0
) -> None:
    """A question sent at `sent_ns`, with our clock `offset_ms` ahead of the venue's."""
    venue_recv_ns = sent_ns + int(outbound_ms * MILLISECOND)
    venue_sent_ns = venue_recv_ns + int(work_ms * MILLISECOND)
    clock_ahead_ns = int(offset_ms * MILLISECOND)
    clock.add_reading(
        ClockReading("x", sent_ns, venue_recv_ns - clock_ahead_ns, venue_sent_ns - clock_ahead_ns),
        venue_sent_ns + int(inbound_ms * MILLISECOND),
    )


def test_nothing_is_known_before_the_first_answer_and_nothing_is_corrected() -> None:
    clock = VenueClock()
    assert math.isnan(clock.offset_ms)
    assert (clock.offset_ns, clock.status_text()) == (0, "")


@given(st.floats(-1e7, 1e7), st.floats(0.1, 2e3), st.floats(0.1, 2e3))
def test_an_answer_tells_the_offset_to_half_the_way(offset: float, outbound: float, inbound: float) -> None:
    clock = VenueClock()
    add_round_trip(clock, offset, outbound, inbound)
    assert abs(clock.offset_ms - offset) <= abs(outbound - inbound) / 2 + 0.01


def test_an_answer_that_was_held_up_on_its_way_changes_nothing() -> None:
    clock = VenueClock()
    add_round_trip(clock, 30.0, 10.0, 10.0)
    add_round_trip(clock, 30.0, 10.0, 900.0, NOW + MINUTE)
    assert clock.offset_ms == pytest.approx(30.0, abs=0.01)


def test_a_clock_that_is_set_is_followed_by_the_next_good_answer() -> None:
    clock = VenueClock()
    add_round_trip(clock, 30.0, 10.0, 10.0)
    add_round_trip(clock, 4_000.0, 11.0, 11.0, NOW + MINUTE)
    assert clock.offset_ms == pytest.approx(4_000.0, abs=0.01)
    assert clock.status_text() == "our clock is 4.0 s ahead of the venue's"


def test_an_answer_before_its_question_is_no_reading() -> None:
    clock = VenueClock()
    clock.add_reading(ClockReading("x", NOW, NOW, NOW + SECOND), NOW + SECOND // 2)
    assert math.isnan(clock.offset_ms)


def test_without_answers_the_least_latency_of_five_minutes_bounds_the_offset() -> None:
    clock = VenueClock()
    for minute in range(7):
        clock.add_latency((80 + minute) * MILLISECOND, NOW + minute * MINUTE + (80 + minute) * MILLISECOND)
        clock.add_latency(500 * MILLISECOND, NOW + minute * MINUTE + 500 * MILLISECOND)
    assert clock.offset_ms == 82.0
    assert clock.status_text() == ""


def test_late_data_and_a_clock_ahead_are_told_apart_only_by_asking() -> None:
    clock = VenueClock()
    clock.add_latency(1_200 * MILLISECOND, NOW + 1_200 * MILLISECOND)
    assert clock.status_text() == "our clock is 1.2 s ahead of the venue's, or its data are that late"
    behind = VenueClock()
    behind.add_latency(-1_200 * MILLISECOND, NOW - 1_200 * MILLISECOND)
    assert behind.status_text() == "our clock is 1.2 s behind the venue's"
