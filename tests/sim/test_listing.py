from __future__ import annotations

import calendar
import itertools

import pytest

from dfmon.model.units import DAY, HOUR, SECOND, utc
from dfmon.sim.market.listing import (
    listed_expiries,
    next_delivery_ns,
    option_contracts,
    strike_ladder,
)


def test_a_sunday_in_november_lists_what_deribit_lists(noon: int) -> None:
    labels = [e.label for e in listed_expiries(noon)]
    assert labels == [
        "23NOV26", "24NOV26", "25NOV26", "26NOV26", "27NOV26", "4DEC26", "11DEC26", "18DEC26",
        "25DEC26", "29JAN27", "26MAR27", "25JUN27", "24SEP27",
    ]  # fmt: skip


@pytest.mark.parametrize("days", range(0, 400, 7))
def test_calendar_rules_hold_all_year(noon: int, days: int) -> None:
    now = noon + days * DAY
    listed = listed_expiries(now)
    expiry_times = [utc(e.expiry_ns) for e in listed]
    assert expiry_times == sorted(set(expiry_times))
    assert all((m.hour, m.minute, m.second) == (8, 0, 0) for m in expiry_times)
    assert all(e.listed_ns < now < e.expiry_ns for e in listed)
    assert [e.expiry_ns for e in listed[:4]] == [next_delivery_ns(now) + n * DAY for n in range(4)]
    for expiry, expiry_time in zip(listed, expiry_times):
        if expiry.period != "day":
            assert expiry_time.weekday() == calendar.FRIDAY
        if expiry.period in {"month", "quarter"}:
            assert (expiry_time.month % 12) != utc(expiry.expiry_ns + 7 * DAY).month % 12, "not the last Friday"
        if expiry.period == "quarter":
            assert expiry_time.month % 3 == 0
    assert sum(e.period == "quarter" for e in listed) == 4


def test_no_expiry_disappears_before_it_expires(noon: int) -> None:
    for day in range(200):
        now, later = noon + day * DAY, noon + (day + 1) * DAY
        remaining = {e.expiry_ns for e in listed_expiries(now) if e.expiry_ns > later}
        assert remaining <= {e.expiry_ns for e in listed_expiries(later)}


def test_the_cut_itself_belongs_to_the_next_day(noon: int) -> None:
    delivery_ns = noon - 4 * HOUR
    assert next_delivery_ns(delivery_ns) == delivery_ns + DAY
    assert next_delivery_ns(delivery_ns - SECOND) == delivery_ns


def test_names_have_no_leading_zero_and_whole_strikes(noon: int) -> None:
    december = next(e for e in listed_expiries(noon) if e.label == "4DEC26")
    call, put = option_contracts("BTC", december, [98_000.0], 1)
    assert (call.name, put.name) == ("BTC-4DEC26-98000-C", "BTC-4DEC26-98000-P")
    assert (call.sign, put.sign) == (1, -1)


def test_strikes_are_finest_at_the_money_of_short_expiries() -> None:
    day = strike_ladder(82_000.0, 500.0, 1.0, 1.0)
    assert {b - a for a, b in itertools.pairwise(day) if 80_000 <= a < 84_000} == {500.0}
    quarter = strike_ladder(82_000.0, 500.0, 1.0, 200.0)
    assert min(b - a for a, b in itertools.pairwise(quarter)) >= 2_000.0
    assert quarter[0] < 40_000.0
    assert quarter[-1] > 150_000.0
