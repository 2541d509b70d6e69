"""Single wrong values of open interest: what the next value takes back, and what it confirms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfmon.core.positions import position_state as columns
from dfmon.core.positions.estimate import PositionEstimate, estimate
from dfmon.core.positions.interest_outliers import DOUBTFUL_SHARE, verdicts
from dfmon.core.positions.observed_columns import InterestColumns, PrintColumns
from dfmon.core.positions.position_state import PositionState
from dfmon.core.positions.print_kinds import PositionPriors
from dfmon.model.units import HOUR, MINUTE
from tests.core.positions.tapes import START, listing, run, state_arrays, tape

EXACT = PositionPriors(drift=0.0).with_shares({"screen": (1.0, 0.0, 0.0, 0.0)})


def _buys(*rows: tuple[float, float]) -> PrintColumns:
    """Buys of the first option: hours, size."""
    hours, size = (np.array(column) for column in zip(*rows))
    row, ones = np.zeros(size.size, np.int64), np.ones(size.size)
    return PrintColumns(row, START + (hours * HOUR).astype(np.int64), ones, size, row, np.arange(size.size))


def _values(*rows: tuple[float, float]) -> InterestColumns:
    hours, value = (np.array(column) for column in zip(*rows))
    return InterestColumns(np.zeros(value.size, np.int64), START + (hours * HOUR).astype(np.int64), value)


def _position(state: PositionState) -> tuple[float, float, float]:
    found = estimate(state, PositionEstimate.initial("A", 32))
    return float(found.net[0]), float(found.low[0]), float(found.high[0])


@pytest.mark.parametrize(
    ("prints", "values"),
    [
        ([(1, 100), (2, 10), (3, 10)], [(1, 100), (2, 40), (3, 120)]),
        ([(1, 100), (3, 10)], [(1, 100), (2, 0), (2.5, 100), (3, 110)]),  # without a print, corrected later
        ([(1, 100), (2, 10)], [(1, 100), (2, 0), (2.5, 110)]),  # at a print, corrected without another
        ([(1, 100), (2, 10), (3, 10)], [(1, 100), (2, 900), (3, 120)]),
        ([(1, 100), (2, 10), (3, 10), (4, 10), (5, 10)], [(1, 100), (2, 40), (3, 120), (4, 60), (5, 140)]),
    ],
)
@pytest.mark.parametrize("ticks", [1, 9])
def test_a_single_wrong_value_leaves_a_known_life_known(
    prints: list[tuple[float, float]], values: list[tuple[float, float]], ticks: int
) -> None:
    cuts = np.linspace(START, START + 6 * HOUR, ticks + 1)[1:].astype(np.int64).tolist()
    state = run(listing(1, seen=1), _buys(*prints), _values(*values), cuts, EXACT)
    bought = sum(size for _, size in prints)
    assert _position(state) == pytest.approx((-bought,) * 3)
    assert state.interest[0] >= bought * (1.0 - 1e-12)


def test_a_second_value_confirms_the_first() -> None:
    state = run(listing(1, seen=1), _buys((1, 100)), _values((1, 100), (2, 40), (3, 40)), [START + 4 * HOUR], EXACT)
    assert state.interest[0] == 40.0
    assert state.faults[columns.BELOW_POSITION] == 1
    assert abs(_position(state)[0]) <= 40.0


def test_a_value_counts_when_no_other_comes() -> None:
    prints, values = _buys((1, 100)), _values((0.9, 0), (1, 100), (1.1, 40))
    waiting, counted = (
        run(listing(1, seen=1), prints, values, [START + int(hours * HOUR)], EXACT).interest[0] for hours in (2.7, 2.74)
    )
    assert (waiting, counted) == (100.0, 40.0)


def test_wrong_values_are_counted() -> None:
    state = run(listing(1, seen=1), _buys((1, 9)), _values((1, 9), (2, 0), (3, 9)), [START + 4 * HOUR], EXACT)
    assert state.faults[columns.JUMPS] == 1
    assert state.sums[0, columns.CHANGE] == 0.0


def _one_by_one(ts: list[int], value: list[float], printed: list[float], limit: list[int]) -> list[str]:
    """Verdicts on the values of one option, the first of which follows a true one of 100."""
    out, before, coins = [], 100.0, 0.0
    for at, shown in enumerate(value):
        coins += printed[at]
        doubtful = abs(shown - before) - coins > DOUBTFUL_SHARE * max(shown, before)
        if not doubtful:
            out.append("counts")
        elif at + 1 == len(value):
            out.append("in doubt")
        else:
            following, more = value[at + 1], printed[at + 1]
            returns = abs(following - before) <= coins + more and abs(following - shown) > more
            out.append("wrong" if returns and ts[at + 1] <= limit[at] else "counts")
        if out[-1] != "wrong":
            before, coins = shown, 0.0
    return out


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10**9), st.integers(1, 9))
def test_verdicts_are_those_of_one_value_after_the_other(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    ts, printed = np.cumsum(rng.integers(1, 4, count)), 4.0 * rng.integers(0, 3, count).astype(np.float64)
    value = rng.choice([100.0, 104.0, 60.0, 64.0, 0.0], count)
    limit = ts + rng.integers(1, 6, count)
    expected = _one_by_one(ts.tolist(), value.tolist(), printed.tolist(), limit.tolist())
    before = np.concatenate([[100.0], value[:-1]])
    found = verdicts(np.zeros(count, np.int64), ts, before, value, printed, limit, 0)
    if found is None:
        assert set(expected) == {"counts"}
        return
    names = np.where(
        found.wrong, "wrong", np.where(found.in_doubt & (np.arange(count) == count - 1), "in doubt", "counts")
    )
    assert names.tolist() == expected


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 30))
def test_ticks_give_the_same_bits_with_wrong_values(seed: int, ticks: int) -> None:
    prints, observed = tape(seed, prints=150, days=0.6)
    rng = np.random.default_rng(seed)
    wrong = rng.random(observed.row.size) < 0.15
    observed = replace(
        observed, value=np.where(wrong, observed.value * rng.uniform(0.0, 3.0, wrong.size), observed.value)
    )
    end = START + 16 * HOUR + 5 * MINUTE
    cuts = np.sort(rng.integers(START, end, ticks)).tolist()
    one, other = (run(listing(6, seen=2), prints, observed, ends) for ends in ([end], [*cuts, end]))
    second = state_arrays(other)
    for name, array in state_arrays(one).items():
        np.testing.assert_array_equal(array, second[name], err_msg=name)
    assert one.faults[columns.JUMPS] > 0
