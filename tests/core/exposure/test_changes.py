from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dfmon.core.exposure.changes import SAMPLES, BookChanges, BookSample, changes_since, last_roll_ns
from dfmon.model.units import DAY, HOUR, MINUTE, SECOND

EIGHT = 1_767_340_800_000_000_000  # 2 January 2026, 08:00 UTC
STRIKES = np.array([90.0, 100.0, 110.0])


def sample(ts_ns: int, *ngi: float, expiries: tuple[int, ...] = (EIGHT + DAY,)) -> BookSample:
    by_expiry = np.full(len(expiries), sum(ngi) / max(len(expiries), 1))
    ones = np.ones(len(expiries))
    values = np.array(ngi or (1.0, 1.0, 1.0))
    return BookSample(ts_ns, STRIKES, values, np.array(expiries, np.int64), by_expiry, 5.0 * ones, 7.0 * ones)


def pushed(*samples: BookSample) -> BookChanges:
    changes = BookChanges.empty()
    for one in samples:
        changes = changes.push(one)
    return changes


def test_change_is_counted_from_the_sample_at_the_lookback() -> None:
    start = EIGHT + HOUR
    changes = pushed(*(sample(start + i * 10 * SECOND, i, -i, 0.0) for i in range(91)))  # 15 minutes
    now = start + 900 * SECOND
    assert changes.newest is not None
    minute, five, quarter, hour, roll = changes.references(now)
    for reference, ticks in ((minute, 6), (five, 30), (quarter, 90)):
        strikes, _ = changes_since(reference, changes.newest)
        assert strikes.tolist() == [ticks, -ticks, 0.0]
    assert hour is None
    assert roll is None  # the session began after the roll


def test_nothing_is_known_across_a_gap() -> None:
    start = EIGHT + HOUR
    changes = pushed(sample(start), sample(start + 20 * MINUTE))
    assert changes.references(start + 20 * MINUTE) == (None,) * 5


@pytest.mark.parametrize(("lag_s", "known"), [(0, True), (90, True), (91, False)])
def test_a_sample_counts_up_to_its_age_limit(lag_s: int, known: bool) -> None:
    start = EIGHT + HOUR
    changes = pushed(sample(start))
    assert (changes.sample_before(start + lag_s * SECOND) is not None) is known
    assert changes.sample_before(start - 1) is None


def test_a_strike_that_was_not_listed_then_has_no_change() -> None:
    before = replace(sample(EIGHT), strikes=np.array([90.0, 110.0]), ngi_by_strike=np.array([1.0, 2.0]))
    strikes, expiries = changes_since(before, sample(EIGHT + MINUTE, 4.0, 4.0, 4.0))
    np.testing.assert_array_equal(strikes, [3.0, np.nan, 2.0])
    assert np.isfinite(expiries).all()


def test_memory_is_bounded_to_an_hour() -> None:
    changes = pushed(*(sample(EIGHT + i * MINUTE) for i in range(200)))
    assert len(changes.minutes) == SAMPLES
    assert changes.references(EIGHT + 199 * MINUTE)[3] is not None


def test_the_roll_tells_what_expired_and_what_is_new() -> None:
    old, kept, new = EIGHT, EIGHT + DAY, EIGHT + 2 * DAY
    before = sample(EIGHT - SECOND, 3.0, 3.0, 3.0, expiries=(old, kept))
    after = sample(EIGHT + SECOND, 1.0, 1.0, 1.0, expiries=(kept,))
    listed = sample(EIGHT + 5 * MINUTE, expiries=(kept, new))
    changes = pushed(before, after)
    assert changes.roll is not None
    assert (changes.roll.expired, changes.roll.listed) == ((old,), ())
    assert (changes.roll.gamma_gone, changes.roll.hedge_lifted, changes.roll.open_interest) == (4.5, 5.0, 7.0)
    assert changes.roll.unwind == 5.0
    assert changes.push(listed).roll == replace(changes.roll, listed=(new,))
    assert changes.since_roll is after
    much_later = replace(listed, ts_ns=EIGHT + 2 * HOUR)
    assert changes.push(much_later).roll == changes.roll


@pytest.mark.parametrize("removed_s", [0, 1, 40])
def test_a_roll_reports_the_gamma_and_the_hedge_of_the_beginning_of_the_averaging(removed_s: int) -> None:
    """At a standing market the open hedge falls in proportion, and all of it is lifted, however it is sampled."""
    old, kept = EIGHT, EIGHT + DAY
    samples = []
    for second in [-2100, -1801, *range(-1799, 0, 37), *range(removed_s)]:
        share = min(max(-second / 1800.0, 0.0), 1.0)
        one = sample(EIGHT + second * SECOND, 3.0, 3.0, 3.0, expiries=(old, kept))
        by_expiry = one.ngi_by_expiry * [share**2, 1.0]
        samples.append(replace(one, ngi_by_expiry=by_expiry, unwind=np.array([80.0 * share, 0.0])))
    changes = pushed(*samples, sample(EIGHT + removed_s * SECOND + 1, expiries=(kept,)))
    assert changes.roll is not None
    assert changes.roll.hedge_lifted == pytest.approx(80.0)
    assert changes.roll.unwind == pytest.approx(80.0)
    assert changes.roll.gamma_gone == pytest.approx(4.5)
    assert changes.settlement is None or changes.push(sample(EIGHT + MINUTE, expiries=(kept,))).settlement is None


def test_an_expiry_that_is_missing_before_its_time_is_no_roll() -> None:
    changes = pushed(sample(EIGHT, expiries=(EIGHT + DAY, EIGHT + 2 * DAY)), sample(EIGHT + MINUTE))
    assert changes.roll is None


def test_a_clock_set_back_begins_anew() -> None:
    changes = pushed(sample(EIGHT + HOUR), sample(EIGHT))
    assert len(changes.minutes) == 1


@pytest.mark.parametrize("offset", [0, 1, DAY - 1])
def test_the_last_roll_is_at_eight(offset: int) -> None:
    assert last_roll_ns(EIGHT + offset) == EIGHT
