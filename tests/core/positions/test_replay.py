"""Starts from the whole life of an option, and from an earlier estimate."""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from dfmon.core.positions import position_state as columns
from dfmon.core.positions.advance import advance
from dfmon.core.positions.estimate import PositionEstimate, estimate, observed_share
from dfmon.core.positions.netting_filter import COV, MEAN_Q, VAR_Q
from dfmon.core.positions.observed_columns import InterestColumns, PrintColumns
from dfmon.core.positions.position_state import PositionState, with_options
from dfmon.core.positions.print_kinds import PositionPriors
from dfmon.core.positions.replay import (
    Replays,
    advanced,
    merged,
    with_histories,
    with_replays,
    with_start,
)
from dfmon.model.units import DAY, HOUR
from tests.core.positions.tapes import END, START, SYMMETRIC, listing, run, tape

EXACT = PositionPriors().with_shares({"screen": (1.0, 0.0, 0.0, 0.0)})


def _life(row: int, sides: list[float], start: int) -> PrintColumns:
    count = len(sides)
    ts = start + np.arange(count) * HOUR
    zeros = np.zeros(count, np.int64)
    return PrintColumns(np.full(count, row), ts, np.array(sides), np.full(count, 2.0), zeros, np.arange(count))


def test_a_life_of_customers_who_take_is_exact_and_leaves_the_others_alone() -> None:
    state = run(listing(6), *tape(3), [END])
    life = _life(2, [1.0, 1.0, -1.0, 1.0], START - 3 * DAY)
    after = with_histories(state, life, EXACT)
    np.testing.assert_allclose(after.moments[MEAN_Q, :, 2], 4.0, rtol=1e-12)
    others = np.arange(6) != 2
    np.testing.assert_array_equal(after.moments[:, :, others], state.moments[:, :, others])
    learned = ("base", "slope", "reversion", "slope_error", "mean_u", "signal")
    assert [getattr(after.rates, name) for name in learned] == [getattr(state.rates, name) for name in learned]
    assert after.rates.churn != state.rates.churn
    assert observed_share(after)[2] == 1.0
    assert (after.revision > state.revision).all()


def test_lives_do_not_depend_on_each_other_nor_on_their_order() -> None:
    state = run(listing(6), *tape(3), [END])
    rng = np.random.default_rng(0)
    lives = [_life(row, rng.choice([-1.0, 1.0], 30).tolist(), START - 2 * DAY) for row in (1, 4)]
    both = lives[0].joined(lives[1])
    together = with_histories(state, both.take(rng.permutation(60)), PositionPriors())
    one_by_one = with_histories(with_histories(state, lives[1], PositionPriors()), lives[0], PositionPriors())
    np.testing.assert_array_equal(together.moments, one_by_one.moments)
    np.testing.assert_array_equal(together.sums, one_by_one.sums)
    assert together.rates == one_by_one.rates


def test_lives_that_are_replayed_in_parts_are_those_replayed_at_once() -> None:
    state = run(listing(6), *tape(3), [END])
    rng = np.random.default_rng(0)
    lives = [_life(row, rng.choice([-1.0, 1.0], count).tolist(), START - 2 * DAY) for row, count in ((1, 40), (4, 9))]
    once = with_histories(state, lives[0].joined(lives[1]), SYMMETRIC)
    parts = advanced(with_replays(Replays.empty(), state, lives[0], SYMMETRIC), SYMMETRIC, steps=5)
    assert parts.events.release_ns.size == 41 - 5
    parts = with_replays(parts, state, lives[1], SYMMETRIC)
    count = 0
    while not parts.done.all():
        parts, count = advanced(parts, SYMMETRIC, steps=7, events=10), count + 1
    after = merged(state, parts, SYMMETRIC)
    assert count > 4
    for field in fields(PositionState):
        assert repr(getattr(after, field.name)) == repr(getattr(once, field.name)), field.name
    np.testing.assert_array_equal(after.moments, once.moments)
    np.testing.assert_array_equal(after.sums, once.sums)


def test_open_interest_goes_on_from_its_last_value() -> None:
    state = run(listing(6), *tape(3), [END])
    after = with_histories(state, _life(2, [1.0] * 20, START - 3 * DAY), PositionPriors())
    value = float(after.last.value[2])
    prints = PrintColumns(
        np.array([2]), np.array([END + 1]), np.ones(1), np.ones(1), np.zeros(1, int), np.zeros(1, int)
    )
    observed = InterestColumns(np.array([2]), np.array([END + 1]), np.array([value + 1.0]))
    moved = advance(after, prints, observed, END + 2, PositionPriors())
    assert moved.sums[2, columns.UNEXPLAINED] == after.sums[2, columns.UNEXPLAINED]
    assert moved.interest[2] == value + 1.0


def test_an_earlier_estimate_starts_the_state() -> None:
    state = with_options(PositionState.empty(), listing(2))
    observed = InterestColumns(np.arange(2), np.full(2, START), np.array([100.0, 10.0]))
    mean, sd = np.array([20.0, -30.0]), np.array([5.0, 1.0])
    started = with_start(state, observed, mean, sd)
    np.testing.assert_array_equal(started.moments[MEAN_Q, 3], [20.0, -10.0])
    np.testing.assert_allclose(started.moments[VAR_Q, 3], [25.0, 1.0])
    assert (started.moments[COV] <= started.moments[VAR_Q] * (1.0 + 1e-12)).all()
    later = advance(started, PrintColumns.empty(), InterestColumns.empty(), START + HOUR, SYMMETRIC)
    found = estimate(later, PositionEstimate.initial("A", 16))
    assert found.net[0] < 0.0 < found.net[1]
    np.testing.assert_allclose(found.sources.sum(axis=1), found.net, atol=1e-12)
