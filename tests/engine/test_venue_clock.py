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


# ---- clocks that are set ---------------------------------------------------------------------------------------------


def test_our_clock_set_back_takes_the_warning_with_it_at_the_first_data() -> None:
    clock = VenueClock()
    hour_ms = 3_600_000.0
    add_round_trip(clock, hour_ms, 5.0, 5.0)  # an hour ahead, measured best of all
    assert clock.status_text() == "our clock is 3600.0 s ahead of the venue's"
    clock.add_latency(40 * MILLISECOND, NOW - 3_599 * SECOND)
    assert (clock.offset_ns, clock.status_text()) == (0, "")


@pytest.mark.parametrize(("latency_ms", "is_kept"), [(-249, True), (-251, False)])
def test_a_reading_allows_a_latency_down_to_half_its_round_trip(latency_ms: int, is_kept: bool) -> None:
    clock = VenueClock()
    add_round_trip(clock, 30.0, 230.0, 230.0)  # 30 - 230, less 50 of slack
    clock.add_latency(latency_ms * MILLISECOND, NOW)
    assert bool(clock._readings) is is_kept


def test_our_clock_set_forward_is_seen_at_the_next_timer() -> None:
    clock = VenueClock()
    add_round_trip(clock, 0.0, 5.0, 5.0)
    clock.add_latency(20 * MILLISECOND, NOW)
    clock.on_timer(NOW)
    later = NOW + 3_600 * SECOND
    clock.on_timer(later)
    assert math.isnan(clock.offset_ms)
    clock.add_latency(3_600 * SECOND, later)
    assert clock.status_text() == "our clock is 3600.0 s ahead of the venue's, or its data are that late"
    add_round_trip(clock, 3_600_000.0, 200.0, 200.0, later)
    assert clock.status_text() == "our clock is 3600.0 s ahead of the venue's"


def test_a_new_reading_overrules_an_old_one_that_it_contradicts_however_short_its_round_trip_was() -> None:
    clock = VenueClock()
    add_round_trip(clock, 3_000.0, 1.0, 1.0)
    add_round_trip(clock, 0.0, 200.0, 200.0, NOW + 9 * SECOND)
    assert clock.offset_ms == pytest.approx(0.0, abs=0.01)


def test_readings_that_agree_are_kept_and_the_shortest_round_trip_wins() -> None:
    clock = VenueClock()
    add_round_trip(clock, 30.0, 1.0, 1.0)
    add_round_trip(clock, 30.0, 10.0, 150.0, NOW + MINUTE)
    assert clock.offset_ms == pytest.approx(30.0, abs=0.01)


@pytest.mark.parametrize(("age_ns", "known"), [(5 * MINUTE - 1, True), (5 * MINUTE, False)])
def test_a_reading_ages_out_after_five_minutes(age_ns: int, known: bool) -> None:
    clock = VenueClock()
    add_round_trip(clock, 700.0, 0.0, 0.0, work_ms=0.0)
    for second in range(0, age_ns, 5 * SECOND):
        clock.on_timer(NOW + second)
    clock.on_timer(NOW + age_ns)
    assert (clock.status_text() != "") is known


def test_latencies_age_out_without_new_ones() -> None:
    clock = VenueClock()
    clock.add_latency(1_200 * MILLISECOND, NOW)
    for second in range(0, 6 * 60, 5):
        clock.on_timer(NOW + second * SECOND)
    assert clock.status_text() == ""


def test_data_from_the_future_prove_that_our_clock_is_behind_and_by_how_much_at_least() -> None:
    clock = VenueClock()
    clock.add_latency(-90_000 * MILLISECOND, NOW)
    assert clock.offset_ns == -90 * SECOND
    clock.add_latency(-30 * MILLISECOND, NOW + 6 * MINUTE)
    clock.on_timer(NOW + 6 * MINUTE)
    assert clock.offset_ns == 0, "within the noise"


@pytest.mark.slow
@given(st.lists(st.tuples(st.floats(-1e5, 1e5), st.floats(0.1, 500.0), st.floats(0.1, 500.0)), min_size=1, max_size=9))
def test_whatever_the_clock_did_the_offset_fits_the_newest_reading(
    readings: list[tuple[float, float, float]],
) -> None:
    clock = VenueClock()
    for number, (offset, outbound, inbound) in enumerate(readings):
        add_round_trip(clock, offset, outbound, inbound, NOW + number * MINUTE)
    offset, outbound, inbound = readings[-1]
    longest = max(sum(way) for _, *way in readings)
    assert abs(clock.offset_ms - offset) <= (outbound + inbound) / 2 + longest / 2 + 50.1
