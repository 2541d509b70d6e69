"""Positions from tapes with lost and repeated prints, and with wrong open interest, against the true book."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dfmon.api.tape_columns import read_tape
from dfmon.core.positions.advance import advance
from dfmon.core.positions.estimate import PositionEstimate, estimate
from dfmon.core.positions.position_state import PositionState, with_options
from dfmon.core.positions.print_kinds import PositionPriors
from dfmon.model.units import MILLISECOND
from dfmon.sim.populations import FAMILIES, MarketTape, simulate

pytestmark = pytest.mark.slow
DAYS = 8.0


@cache
def _world() -> MarketTape:
    accounts = FAMILIES["B"].accounts
    assert accounts is not None
    return simulate(replace(FAMILIES["B"], accounts=replace(accounts, options=60)), 3, days=DAYS)


def _rmse(trades: Mapping[str, NDArray[Any]], interest: Mapping[str, NDArray[Any]]) -> float:
    """Of positions over true open interest, at the end of the watch."""
    world = _world()
    tape = read_tape(trades, interest, world.instruments)
    at_ms = world.start_ms + int(DAYS * 86_400_000)
    now_ns, state = at_ms * MILLISECOND, with_options(PositionState.empty(), tape.listing)
    state = advance(state, *tape.until(state, now_ns), now_ns, PositionPriors())
    found = estimate(state, PositionEstimate.initial(tape.underlying, 16))
    assert all(np.isfinite(column).all() for column in (found.net, found.members, state.moments, state.sums))
    index = {name: row for row, name in enumerate(world.instruments["name"].tolist())}
    rows = np.array([index[name] for name in state.listing.names])
    open_interest, customers = world.open_interest_at(at_ms)[rows], world.customer_net(at_ms)[rows]
    shown = open_interest > 0.0
    return float(np.sqrt(np.mean(((found.net[shown] + customers[shown]) / open_interest[shown]) ** 2)))


@cache
def _undisturbed() -> float:
    return _rmse(_world().trades, _world().open_interest)


@pytest.mark.parametrize("share", [0.01, 0.20])
def test_lost_prints_cost_little(share: float) -> None:
    trades = _world().trades
    kept = np.random.default_rng(1).random(trades["ts_ms"].size) >= share
    found = _rmse({name: column[kept] for name, column in trades.items()}, _world().open_interest)
    assert found < _undisturbed() + 0.02


def test_repeated_prints_cost_little() -> None:
    trades = _world().trades
    again = np.flatnonzero(np.random.default_rng(2).random(trades["ts_ms"].size) < 0.05)
    repeated = {name: np.concatenate([column, column[again]]) for name, column in trades.items() if name != "seq"}
    assert _rmse(repeated, _world().open_interest) < _undisturbed() + 0.02


def test_wrong_open_interest_costs_little() -> None:
    rng, interest = np.random.default_rng(3), _world().open_interest
    value = interest["value"]
    wrong = (rng.random(value.size) < 0.05) * rng.uniform(-1.0, 1.0, value.size)
    assert _rmse(_world().trades, {**interest, "value": np.maximum(value + wrong, 0.0)}) < _undisturbed() + 0.02


def test_positions_are_better_than_none() -> None:
    world = _world()
    at_ms = world.start_ms + int(DAYS * 86_400_000)
    open_interest, customers = world.open_interest_at(at_ms), world.customer_net(at_ms)
    shown = open_interest > 0.0
    assert _undisturbed() < 0.85 * float(np.sqrt(np.mean((customers[shown] / open_interest[shown]) ** 2)))
