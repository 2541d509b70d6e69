"""The compiled filter against numpy: every bit of the state, ticked and replayed."""

from __future__ import annotations

import numpy as np
import pytest

from dfmon.core.positions import compiled_filter
from dfmon.core.positions.advance import advance
from dfmon.core.positions.observed_columns import InterestColumns, PrintColumns
from dfmon.core.positions.position_state import PositionState
from dfmon.core.positions.print_kinds import PositionPriors
from dfmon.core.positions.replay import with_histories
from dfmon.model.units import DAY, HOUR
from tests.core.positions.tapes import END, START, listing, run, state_arrays, tape

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def loops() -> compiled_filter.FilterLoops:
    found = compiled_filter.load_loops()
    if found is None:
        pytest.skip("numba is not installed: pip install 'dfmon[fast]'")
    return found


def _states(seed: int) -> list[PositionState]:
    """After one call, after many, and with whole lives in between."""
    prints, observed = tape(seed)
    options = listing(6, seen=2)
    whole = run(options, prints, observed, [END], PositionPriors())
    ticked = run(options, prints, observed, [START + 5 * HOUR, START + DAY, END], PositionPriors())
    rng = np.random.default_rng(seed)
    lives = PrintColumns(
        rng.integers(0, 3, 90), START - rng.integers(0, 9 * DAY, 90), rng.choice([-1.0, 1.0], 90),
        rng.exponential(2.0, 90), rng.integers(0, 7, 90), np.arange(90),
    )  # fmt: skip
    replayed = with_histories(whole, lives, PositionPriors())
    later = advance(replayed, PrintColumns.empty(), InterestColumns.empty(), END + 3 * HOUR, PositionPriors())
    shares = PositionPriors().with_shares({"screen": (1.0, 0.0, 0.0, 0.0)})
    exact = run(options, prints.take(prints.kind == 0), observed, [END], shares)
    return [whole, ticked, replayed, later, exact]


@pytest.mark.parametrize("seed", range(4))
def test_both_paths_give_the_same_bits(
    seed: int, loops: compiled_filter.FilterLoops, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dfmon.core.positions.advance.active_loops", lambda: None)
    by_numpy = _states(seed)
    monkeypatch.setattr("dfmon.core.positions.advance.active_loops", lambda: loops)
    for one, other in zip(by_numpy, _states(seed), strict=True):
        expected = state_arrays(one)
        for name, value in state_arrays(other).items():
            np.testing.assert_array_equal(value, expected[name], err_msg=name)


def test_without_numba_numpy_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled_filter, "active_kernels", lambda: None)
    assert compiled_filter.active_loops() is None
