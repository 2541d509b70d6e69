"""Look-backs and rolls at the boundaries of a minute, an hour and 08:00."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dfmon.core.exposure.changes import LOOKBACKS, MAX_LAG, SAMPLES, BookChanges, BookSample, changes_since
from dfmon.model.units import DAY, HOUR, MINUTE, SECOND

EIGHT = 1_767_340_800_000_000_000  # 2 January 2026, 08:00 UTC
STRIKES = np.array([90.0, 100.0])


def sample(ts_ns: int, *expiries: int) -> BookSample:
    """Each expiry holds a net gamma, an unwind and an open interest of its own."""
    order = np.arange(1.0, len(expiries) + 1.0)
    ones = np.ones(STRIKES.size)
    return BookSample(ts_ns, STRIKES, ones, np.array(expiries, np.int64), order, 10.0 * order, 100.0 * order)


def pushed(*samples: BookSample) -> BookChanges:
    changes = BookChanges.empty()
    for one in samples:
        changes = changes.push(one)
    return changes


def test_lookbacks_and_memory() -> None:
    assert LOOKBACKS == (60 * SECOND, 300 * SECOND, 900 * SECOND, 3600 * SECOND)
    assert (SAMPLES, MAX_LAG) == (62, 90)


@pytest.mark.parametrize("every_s", [60, 61, 89, 90])
def test_an_hour_of_minutes_reaches_back_an_hour(every_s: int) -> None:
    times = [EIGHT + HOUR + i * every_s * SECOND for i in range(80)]
    changes = pushed(*(sample(ts_ns, EIGHT + DAY) for ts_ns in times))
    for lookback, reference in zip(LOOKBACKS, changes.references(times[-1]), strict=False):
        assert reference is not None
        assert reference.ts_ns == max(ts_ns for ts_ns in times if ts_ns <= times[-1] - lookback)


def test_minutes_are_a_whole_minute_apart_and_an_equal_time_is_no_step_back() -> None:
    start = EIGHT + HOUR
    times = [start, start + MINUTE - 1, start + MINUTE, start + 2 * MINUTE - 1, start + 2 * MINUTE]
    changes = pushed(*(sample(ts_ns, EIGHT + DAY) for ts_ns in times))
    assert [one.ts_ns for one in changes.minutes] == [start, start + MINUTE, start + 2 * MINUTE]
    again = changes.push(sample(times[-1], EIGHT + DAY))
    assert again.minutes == changes.minutes
    assert len(changes.push(sample(times[-1] - 1, EIGHT + DAY)).minutes) == 1


def test_the_sample_at_a_lookback_is_the_one_of_that_very_time() -> None:
    start = EIGHT + HOUR
    changes = pushed(sample(start, EIGHT + DAY), sample(start + MINUTE, EIGHT + DAY))
    found = changes.sample_before(start + MINUTE)
    assert found is changes.minutes[1]
    assert changes.sample_before(start + MINUTE - 1) is changes.minutes[0]


@pytest.mark.parametrize(("early_ns", "is_roll"), [(-SECOND, True), (0, True), (MINUTE, True), (MINUTE + 1, False)])
def test_an_expiry_rolls_from_a_minute_before_its_time(early_ns: int, is_roll: bool) -> None:
    before = sample(EIGHT - HOUR, EIGHT, EIGHT + DAY)
    roll = pushed(before, sample(EIGHT - early_ns, EIGHT + DAY)).roll
    assert (roll is not None) is is_roll
    if roll is not None:
        assert (roll.expired, roll.gamma_gone, roll.hedge_lifted, roll.open_interest) == ((EIGHT,), 1.0, 10.0, 100.0)


@pytest.mark.parametrize(("after_ns", "is_listed"), [(HOUR - 1, True), (HOUR, False)])
def test_listings_of_the_hour_after_a_roll_are_added_to_it(after_ns: int, is_listed: bool) -> None:
    first, second, third = EIGHT + DAY, EIGHT + 2 * DAY, EIGHT + 3 * DAY
    changes = pushed(sample(EIGHT - SECOND, EIGHT, first), sample(EIGHT, first, second))
    later = changes.push(sample(EIGHT + after_ns, first, second, third))
    assert later.roll is not None
    assert later.roll.listed == ((second, third) if is_listed else (second,))


def test_the_sample_since_the_roll_is_the_first_at_or_after_eight_where_the_time_before_was_seen() -> None:
    at_eight, later = sample(EIGHT, EIGHT + DAY), sample(EIGHT + SECOND, EIGHT + DAY)
    before = sample(EIGHT - SECOND, EIGHT + DAY)
    assert pushed(at_eight, later).since_roll is at_eight
    assert pushed(later).since_roll is None
    assert pushed(later, replace(later, ts_ns=EIGHT + MINUTE)).since_roll is None
    assert pushed(before, later, replace(later, ts_ns=EIGHT + MINUTE)).since_roll is later
    next_day = sample(EIGHT + DAY, EIGHT + 2 * DAY)
    assert pushed(at_eight, later, next_day).since_roll is next_day


def test_a_book_without_strikes_or_expiries_has_no_change() -> None:
    empty = replace(sample(EIGHT), strikes=np.zeros(0), ngi_by_strike=np.zeros(0))
    strikes, expiries = changes_since(empty, sample(EIGHT + MINUTE, EIGHT + DAY))
    assert np.isnan(strikes).all()
    assert np.isnan(expiries).all()
    assert [column.size for column in changes_since(sample(EIGHT, EIGHT + DAY), empty)] == [0, 0]


def test_change_of_the_last_strike_and_of_those_beyond_all_others() -> None:
    before = replace(sample(EIGHT), ngi_by_strike=np.array([1.0, 2.0]))
    now = replace(sample(EIGHT), strikes=np.array([80.0, 90.0, 100.0, 110.0]), ngi_by_strike=np.full(4, 5.0))
    np.testing.assert_array_equal(changes_since(before, now)[0], [np.nan, 4.0, 3.0, np.nan])
