"""Prints and the change of open interest around them: at the print, late, coarse, missing, wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dfmon.core.positions.observed_columns import InterestColumns, LastInterest, PrintColumns
from dfmon.core.positions.print_alignment import EARLY_NS, Releases, align
from dfmon.model.units import NAN, SECOND

START = 1_700_000_000 * SECOND


def _prints(*rows: tuple[int, float, float]) -> PrintColumns:
    """Prints of (row, seconds, signed size)."""
    row, ts, size = (np.array(column) for column in zip(*rows))
    ns = (START + ts * SECOND).astype(np.int64)
    return PrintColumns(row, ns, np.sign(size), np.abs(size), np.zeros(row.size, np.int64), np.arange(row.size))


def _interest(*rows: tuple[int, float, float]) -> InterestColumns:
    row, ts, value = (
        (np.array(column) for column in zip(*rows)) if rows else (np.zeros(0, int), np.zeros(0), np.zeros(0))
    )
    return InterestColumns(row.astype(np.int64), (START + ts * SECOND).astype(np.int64), value.astype(float))


def _last(value: float = 100.0, gap_s: float = 60.0, unmatched: float = 0.0) -> LastInterest:
    known = 0 if np.isnan(value) else START - SECOND
    start = LastInterest.never_shown(np.array([value]))
    return replace(
        start, ts_ns=np.array([known]), gap_ns=np.array([int(gap_s * SECOND)]), unmatched=np.array([unmatched])
    )


def _align(
    prints: PrintColumns, interest: InterestColumns, last: LastInterest, at: float
) -> tuple[Releases, PrintColumns]:
    released, pending, _, _ = align(PrintColumns.empty(), prints, interest, last, START + int(at * SECOND))
    return released, pending


def test_open_interest_at_the_print_gives_u() -> None:
    released, pending = _align(
        _prints((0, 1.0, 4.0), (0, 2.0, -4.0)), _interest((0, 1.0, 104.0), (0, 2.0, 102.0)), _last(), 3
    )
    assert released.u.tolist() == [1.0, -0.5]
    assert released.interest.tolist() == [104.0, 102.0]
    assert released.unexplained.tolist() == [0.0, 0.0]
    assert not pending.row.size


@pytest.mark.parametrize(
    ("prints", "values", "u"),
    [
        ([1.0], [(0.999, 104.0)], [1.0]),  # the clock of open interest is behind
        ([1.0, 1.005], [(0.999, 104.0), (1.004, 104.0)], [1.0, 0.0]),
        ([1.0, 1.0], [(0.999, 108.0)], [1.0, 1.0]),  # both prints of one time
        ([0.5, 1.0], [(0.999, 104.0), (2.0, 108.0)], [1.0, 1.0]),  # a print before explains it
        ([1.0], [(0.98, 104.0), (2.0, 108.0)], [1.0]),  # too early: moved without a print
        ([1.0], [(0.995, 102.0), (1.0, 106.0)], [1.0]),  # the next value is at the print
    ],
)
def test_a_value_just_before_its_print_belongs_to_it(
    prints: list[float], values: list[tuple[float, float]], u: list[float]
) -> None:
    released, pending = _align(
        _prints(*((0, ts, 4.0) for ts in prints)), _interest(*((0, *value) for value in values)), _last(), 3
    )
    assert released.u[released.prints.size > 0.0].tolist() == u
    assert not pending.row.size


@pytest.mark.parametrize(("early_ns", "u"), [(EARLY_NS, [1.0]), (EARLY_NS + 1, [])])
def test_a_value_may_be_ten_milliseconds_before_its_print(early_ns: int, u: list[float]) -> None:
    value = InterestColumns(np.zeros(1, np.int64), np.array([START + SECOND - early_ns]), np.full(1, 104.0))
    released, _ = _align(_prints((0, 1.0, 4.0)), value, _last(), 3)
    assert released.u[released.prints.size > 0.0].tolist() == u


def test_prints_between_two_values_share_their_change() -> None:
    released, _ = _align(_prints((0, 1.0, 4.0), (0, 2.0, 6.0)), _interest((0, 60.0, 105.0)), _last(), 60)
    assert released.u.tolist() == [0.5, 0.5]
    assert np.isnan(released.interest[0])
    assert released.interest[1] == 105.0
    assert (released.release_ns == START + 60 * SECOND).all()


def test_a_change_beyond_the_prints_is_unexplained() -> None:
    released, _ = _align(_prints((0, 1.0, 4.0)), _interest((0, 5.0, 110.0), (0, 9.0, 110.0)), _last(), 60)
    assert released.u.tolist() == [1.0]
    assert released.unexplained.tolist() == [6.0]
    assert released.release_ns.tolist() == [START + 9 * SECOND]  # the next value confirms it


def test_a_change_without_a_print_is_an_event_of_its_own() -> None:
    released, _ = _align(PrintColumns.empty(), _interest((0, 5.0, 90.0), (0, 9.0, 90.0)), _last(), 60)
    assert released.prints.size.tolist() == [0.0]
    assert released.unexplained.tolist() == [10.0]


def test_a_print_waits_for_its_poll_and_is_released_without_it() -> None:
    prints = _prints((0, 1.0, 4.0))
    released, pending = _align(prints, _interest(), _last(gap_s=60.0), 180)
    assert not released.u.size
    assert pending.row.size == 1
    released, pending = _align(prints, _interest(), _last(gap_s=60.0), 182)
    assert np.isnan(released.u).tolist() == [True]
    assert not pending.row.size


def test_a_value_at_the_deadline_is_that_of_the_print_and_one_later_is_not() -> None:
    for seconds, u in ((181.0, 1.0), (181.000001, NAN)):
        released, _ = _align(_prints((0, 1.0, 4.0)), _interest((0, seconds, 104.0)), _last(gap_s=60.0), 200)
        assert released.u[released.prints.size > 0.0].tolist() == pytest.approx([u], nan_ok=True)


def test_prints_that_did_not_wait_belong_to_the_next_value_alone() -> None:
    values = _interest((0, 10.0, 104.0), (0, 20.0, 112.0), (0, 25.0, 112.0))
    released, _ = _align(_prints((0, 15.0, 4.0)), values, _last(unmatched=4.0), 30)
    is_print = released.prints.size > 0.0
    assert released.u[is_print].tolist() == [1.0]
    assert released.unexplained[is_print].tolist() == [4.0]


def test_a_late_value_explains_the_prints_that_did_not_wait() -> None:
    last = _last(gap_s=60.0)
    released, pending, last, _ = align(
        PrintColumns.empty(), _prints((0, 1.0, 4.0)), _interest(), last, START + 300 * SECOND
    )
    assert last.unmatched.tolist() == [4.0]
    released, _, last, _ = align(
        pending, _prints((0, 400.0, 4.0)), _interest((0, 410.0, 108.0)), last, START + 420 * SECOND
    )
    assert released.u.tolist() == [1.0]
    assert released.unexplained.tolist() == [0.0]
    assert last.unmatched.tolist() == [0.0]


def test_the_first_value_of_an_option_starts_it() -> None:
    released, _ = _align(_prints((0, 1.0, 4.0)), _interest((0, 5.0, 110.0)), _last(NAN, 0.0), 10)
    assert released.first.tolist() == [True, False]
    assert released.prints.size.tolist() == [0.0, 4.0]
    assert np.isnan(released.u).all()


def test_a_print_older_than_the_last_value_goes_on_at_once() -> None:
    released, pending = _align(_prints((0, -5.0, 4.0)), _interest(), _last(), 10)
    assert np.isnan(released.u).all()
    assert released.release_ns.tolist() == [START + 10 * SECOND]
    assert not pending.row.size


def test_the_last_of_equal_times_counts_and_older_values_do_not() -> None:
    released, _ = _align(_prints((0, 1.0, 4.0)), _interest((0, 5.0, 1.0), (0, 5.0, 104.0), (0, -9.0, 7.0)), _last(), 10)
    assert released.u.tolist() == [1.0]
    assert released.interest.tolist() == [104.0]


def test_rounding_of_sums_is_no_change() -> None:
    prints = _prints((0, 1.0, 0.1), (0, 2.0, 0.2))
    released, _ = _align(prints, _interest((0, 5.0, 100.0 + 0.1 + 0.2)), _last(), 10)
    assert released.u.tolist() == [1.0, 1.0]
    assert released.unexplained.tolist() == [0.0, 0.0]
