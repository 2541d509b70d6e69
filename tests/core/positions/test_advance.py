"""The state of the estimator: the cut into ticks, order, numbering, expiry, bad input."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfmon.core.positions import position_state as columns
from dfmon.core.positions.advance import advance
from dfmon.core.positions.estimate import PositionEstimate, estimate
from dfmon.core.positions.netting_filter import MEAN_G, MEAN_Q
from dfmon.core.positions.observed_columns import InterestColumns, PrintColumns
from dfmon.core.positions.position_state import PositionState, with_options
from dfmon.core.positions.print_kinds import PositionPriors
from dfmon.model.units import DAY, HOUR, MINUTE, SECOND
from tests.core.positions.tapes import END, START, SYMMETRIC, listing, run, state_arrays, tape


def _assert_equal(one: PositionState, other: PositionState) -> None:
    second = state_arrays(other)
    for name, value in state_arrays(one).items():
        np.testing.assert_array_equal(value, second[name], err_msg=name)


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 40))
def test_ticks_of_any_length_give_the_same_bits(seed: int, ticks: int) -> None:
    prints, observed = tape(seed)
    cuts = np.sort(np.random.default_rng(seed).integers(START, END, ticks)).tolist()
    options = listing(6, seen=2, expiry_days=1.3)
    options = replace(options, expiry_ns=np.where(np.arange(6) == 1, options.expiry_ns, START + 40 * DAY))
    batch = run(options, prints, observed, [END])
    ticked = run(options, prints, observed, [*cuts, END])
    assert batch.size == 5
    _assert_equal(batch, ticked)


def test_days_without_anything_are_as_many_ticks_of_an_hour() -> None:
    """Options expire on the way, on the hour and within one."""
    options = listing(6, seen=2)
    days = np.array([40.0, 3.0, 4.0 + 1e-9, 5.01, 40.0, 40.0])
    options = replace(options, expiry_ns=START + (days * DAY).astype(np.int64))
    hourly = list(range(END, END + 7 * DAY, HOUR))
    _assert_equal(run(options, *tape(3), [END, hourly[-1]]), run(options, *tape(3), hourly))


@pytest.fixture(scope="module")
def batch() -> PositionState:
    return run(listing(6, seen=2), *tape(3), [END])


def test_the_order_of_arrival_changes_no_bit(batch: PositionState) -> None:
    prints, observed = tape(3)
    rng = np.random.default_rng(1)
    shuffled = rng.permutation(observed.row.size)
    mixed = InterestColumns(observed.row[shuffled], observed.ts_ns[shuffled], observed.value[shuffled])
    _assert_equal(batch, run(listing(6, seen=2), prints.take(rng.permutation(prints.row.size)), mixed, [END]))


def test_the_numbering_of_options_changes_no_bit(batch: PositionState) -> None:
    prints, observed = tape(3)
    order = np.array([4, 1, 5, 0, 3, 2])
    new_row = np.argsort(order)
    renumbered = run(
        listing(6, seen=2).take(order.tolist()),
        replace(prints, row=new_row[prints.row]),
        replace(observed, row=new_row[observed.row]),
        [END],
    )
    np.testing.assert_array_equal(renumbered.moments, batch.moments[:, :, order])
    np.testing.assert_array_equal(renumbered.sums, batch.sums[order])
    assert renumbered.rates == batch.rates
    found = estimate(renumbered, PositionEstimate.initial("A", 16))
    expected = estimate(batch, PositionEstimate.initial("A", 16))
    np.testing.assert_array_equal(found.members, expected.members[order])


@pytest.mark.parametrize("seen", [2, 0])
@pytest.mark.parametrize("start_mean", [0.0, -0.1])
def test_exchanging_buys_and_sells_negates_positions_to_the_bit(seen: int, start_mean: float) -> None:
    """Also where no listing was seen, with the mean of the unseen start exchanged as well."""
    prints, observed = tape(3)
    opposite = replace(prints, side=-prints.side)
    state, other = (
        run(listing(6, seen=seen), part, observed, [END], PositionPriors(start_mean=mean))
        for part, mean in ((prints, start_mean), (opposite, -start_mean))
    )
    mirrored = other.moments[:, ::-1].copy()
    mirrored[[MEAN_Q, MEAN_G]] *= -1.0
    np.testing.assert_array_equal(mirrored, state.moments)
    assert other.rates == state.rates
    one, two = (estimate(each, PositionEstimate.initial("A", 128)) for each in (state, other))
    np.testing.assert_array_equal(one.net, -two.net)
    np.testing.assert_array_equal(one.low, -two.high)
    half = one.members.shape[1] // 2
    np.testing.assert_array_equal(one.members, -np.roll(two.members, half, axis=1))
    np.testing.assert_allclose(one.p_long, 1.0 - two.p_long, atol=1e-15)


def test_estimates_of_changed_rows_are_those_of_all_rows() -> None:
    prints, observed = tape(5)
    cuts = [START + DAY, START + DAY + 7 * MINUTE, START + DAY + 20 * MINUTE]
    current, state, start = PositionEstimate.initial("A", 64), with_options(PositionState.empty(), listing(6)), 0
    for end in cuts:
        part = (observed.ts_ns > start) & (observed.ts_ns <= end)
        shown = InterestColumns(observed.row[part], observed.ts_ns[part], observed.value[part])
        state = advance(state, prints.take((prints.ts_ns > start) & (prints.ts_ns <= end)), shown, end, SYMMETRIC)
        current = estimate(state, current)
        start = end
    fresh = estimate(state, PositionEstimate.initial("A", 64))
    for name in ("net", "low", "high", "p_long", "members", "sources"):
        np.testing.assert_array_equal(getattr(current, name), getattr(fresh, name))


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6))
def test_positions_stay_within_open_interest_and_their_sources_add_up(seed: int) -> None:
    state = run(listing(6, seen=2), *tape(seed), [END], PositionPriors())
    found = estimate(state, PositionEstimate.initial("A", 32))
    limit = state.interest * (1.0 + 1e-12)
    assert (np.abs(found.net) <= limit).all()
    assert (np.abs(found.members) <= limit[:, None]).all()
    assert ((found.low <= found.net) & (found.net <= found.high)).all()
    assert ((found.p_long >= 0.0) & (found.p_long <= 1.0)).all()
    np.testing.assert_allclose(found.sources.sum(axis=1), found.net, atol=1e-9)


def test_expiry_leaves_no_trace() -> None:
    prints, observed = tape(4)
    options = listing(6)
    options = replace(options, expiry_ns=np.where(np.arange(6) == 2, START + 30 * HOUR, options.expiry_ns))
    state = run(options, prints, observed, [END])
    assert "A2" not in state.listing.names
    assert state.moments.shape[2] == len(state.listing.names) == 5


def test_an_option_listed_in_view_whose_customers_always_take_is_exact() -> None:
    priors = PositionPriors().with_shares(dict.fromkeys(("screen", "combo", "block", "rfq"), (1.0, 0.0, 0.0, 0.0)))
    rng = np.random.default_rng(2)
    count = 60
    side, size = rng.choice([-1.0, 1.0], count), np.round(rng.exponential(5.0, count), 1) + 0.1
    ts = START + np.sort(rng.integers(0, 20 * DAY, count))
    prints = PrintColumns(np.zeros(count, int), ts, side, size, rng.integers(0, 4, count), np.arange(count))
    observed = InterestColumns(np.zeros(count, int), ts, np.cumsum(size))
    state = run(listing(1, seen=1), prints, observed, [START + 21 * DAY], priors)
    found = estimate(state, PositionEstimate.initial("A", 32))
    np.testing.assert_allclose(found.net[0], -(side * size).sum(), rtol=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([0, 30, 300, 3000]), st.booleans())
def test_what_is_exact_stays_exact_whatever_is_seen_of_open_interest(
    seed: int, poll_s: int, changed_only: bool
) -> None:
    """Polls of open interest at any distance, or none: it is never below a position that is known."""
    rng, count = np.random.default_rng(seed), 40
    side, size = rng.choice([-1.0, 1.0], count), np.round(rng.exponential(5.0, count), 1) + 0.1
    ts = START + np.sort(rng.integers(0, 5 * HOUR, count))
    prints = PrintColumns(np.zeros(count, int), ts, side, size, np.zeros(count, int), np.arange(count))
    polls = np.arange(START, START + 6 * HOUR, poll_s * SECOND) if poll_s else np.zeros(0, np.int64)
    position = np.abs(np.concatenate([[0.0], np.cumsum(side * size)]))[np.searchsorted(ts, polls, side="right")]
    shown = np.diff(position, prepend=-1.0) != 0.0 if changed_only else np.ones(polls.size, bool)
    observed = InterestColumns(np.zeros(polls.size, int), polls, position).take(shown)
    exact = PositionPriors(drift=0.0).with_shares({"screen": (1.0, 0.0, 0.0, 0.0)})
    state = run(listing(1, seen=1), prints, observed, [START + 3 * HOUR, START + 7 * HOUR], exact)
    found = estimate(state, PositionEstimate.initial("A", 32))
    for value in (found.net, found.low, found.high):
        np.testing.assert_allclose(value[0], -(side * size).sum(), rtol=1e-9, atol=1e-9)


def test_bad_input_is_counted_and_nothing_is_lost() -> None:
    prints, observed = tape(6)
    size, value = prints.size.copy(), observed.value.copy()
    size[3], size[9], size[20:30] = np.nan, -1.0, 1e5
    value[10], value[20], value[30], value[40] = np.nan, -3.0, np.inf, 1e7
    options = listing(6, seen=2)
    options = replace(options, listed_ns=np.where(options.listed_ns > 0, START + 9 * HOUR, 0))
    state = run(options, replace(prints, size=size), replace(observed, value=value), [END])
    assert state.faults[columns.BAD_PRINTS] == 2
    assert state.faults[columns.BAD_INTEREST] == 3
    for fault in (columns.ABOVE_INTEREST, columns.JUMPS, columns.BEFORE_LISTING, columns.NO_INTEREST):
        assert state.faults[fault] > 0
    found = estimate(state, PositionEstimate.initial("A", 32))
    for values in (state.moments, state.sums, found.net, found.low, found.high, found.members, found.p_long):
        assert np.isfinite(values).all()


def one_print(ts_ns: int, size: float) -> PrintColumns:
    """A purchase in the first option."""
    return PrintColumns(
        np.zeros(1, int), np.array([ts_ns]), np.ones(1), np.full(1, size), np.zeros(1, int), np.zeros(1, int)
    )


def test_a_print_without_a_size_is_bad() -> None:
    state = run(listing(1, seen=1), one_print(START + 1, 0.0), InterestColumns.empty(), [START + HOUR])
    assert state.faults[columns.BAD_PRINTS] == 1


def test_a_print_at_the_time_of_the_last_value_is_late() -> None:
    value = InterestColumns(np.zeros(1, int), np.array([START + SECOND]), np.full(1, 50.0))
    state = run(listing(1), PrintColumns.empty(), value, [START + MINUTE])
    late, in_time = (
        advance(state, one_print(ts_ns, 5.0), InterestColumns.empty(), START + HOUR, SYMMETRIC)
        for ts_ns in (START + SECOND, START + SECOND + 1)
    )
    assert (late.faults[columns.LATE_PRINTS], in_time.faults[columns.LATE_PRINTS]) == (1, 0)


def test_what_is_released_at_the_expiry_counts_no_more() -> None:
    options, expiry_ns = listing(1, seen=1, expiry_days=1.0), START + DAY
    for ts_ns, faults in ((expiry_ns - 1, 1), (expiry_ns, 0)):
        value = InterestColumns(np.zeros(1, int), np.array([ts_ns]), np.full(1, 5.0))
        state = run(options, one_print(ts_ns, 50.0), value, [expiry_ns])
        assert state.faults[columns.ABOVE_INTEREST] == faults


def test_open_interest_below_the_position_bounds_it() -> None:
    prints = one_print(START + 1, 50.0)
    observed = InterestColumns(np.zeros(2, int), np.array([START + 1, START + SECOND]), np.array([50.0, 2.0]))
    state = run(listing(1, seen=1), prints, observed, [START + 3 * MINUTE])
    found = estimate(state, PositionEstimate.initial("A", 32))
    assert state.faults[columns.BELOW_POSITION] == 1
    assert np.abs(found.members).max() <= 2.0


def test_a_tape_without_open_interest_is_bounded_by_its_volume() -> None:
    prints, _ = tape(7)
    state = run(listing(6, seen=6), prints, InterestColumns.empty(), [END])
    found = estimate(state, PositionEstimate.initial("A", 32))
    assert (np.abs(found.net) <= state.sums[:, columns.VOLUME]).all()
    assert (found.net != 0.0).all()
