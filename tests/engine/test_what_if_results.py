"""The parts of the what-if sheet against snapshots of boards that were moved by hand."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from dfmon.core.step import FlowParams, step
from dfmon.engine.what_if import shocked_chain
from dfmon.engine.what_if_results import GRID_POINTS, convention_fan, ngi_grid, what_if_result
from dfmon.model.what_if import Shock

from .test_what_if import NAIVE, tick


def test_without_a_shock_nothing_is_traded_and_nothing_changes() -> None:
    inputs = tick(NAIVE)
    found = what_if_result(inputs, Shock(), NAIVE)
    assert found.before.metrics == found.after.metrics
    assert found.hedge is not None
    assert found.hedge.value == pytest.approx(0.0, abs=1e-6)
    assert found.expired == 0


@pytest.mark.parametrize("move", [-1.0, 1.0])
def test_a_move_of_spot_alone_is_that_of_the_outlook(move: float) -> None:
    inputs = tick(NAIVE)
    found = what_if_result(inputs, Shock(spot_pct=move), NAIVE)
    outlook = {row.case: row for row in found.before.outlook}[f"{move:+.0f} %"]
    assert found.hedge is not None
    assert found.hedge.value == pytest.approx(outlook.spot, rel=1e-9)
    assert found.hedge.spot == found.hedge.value


def test_the_fan_is_a_step_under_each_convention() -> None:
    inputs = tick(NAIVE)
    rows = {row.name: row for row in convention_fan(inputs)}
    coin = step(*inputs._replace(params=msgspec.structs.replace(NAIVE, numeraire="coin")))[1]
    assert rows["numeraire coin"].ngi == coin.metrics.ngi.value
    shown = step(*inputs)[1]
    assert (rows["naive (shown)"].ngi, rows["naive (shown)"].side) == (shown.metrics.ngi.value, shown.regime.side)
    assert rows["naive reversed"].ngi == -(shown.metrics.ngi.value or 0.0)
    assert rows["positions short-all"].ngi == shown.view("short-all").metrics.ngi.value
    first = shown.by_expiry[0]
    (without,) = [row for name, row in rows.items() if name.startswith("without")]
    assert without.ngi == pytest.approx((shown.metrics.ngi.value or 0.0) - (first.ngi or 0.0), rel=1e-9)


def test_the_grid_holds_the_what_if_and_a_step_in_each_cell() -> None:
    inputs, shock = tick(NAIVE), Shock(-3.5, 5.0, 2.0)
    grid = ngi_grid(inputs, shock, NAIVE)
    assert grid.points == tuple(sorted({*GRID_POINTS, 5.0}, reverse=True))
    assert -0.035 in grid.moves
    exact = what_if_result(inputs, shock, NAIVE).after.metrics.ngi.value
    assert grid.ngi[grid.points.index(5.0), grid.moves.index(-0.035)] == exact
    scale = float(np.abs(grid.ngi).max())
    for points, move in ((5.0, -0.035), (0.0, 0.0), (-3.0, 0.04)):
        chain = shocked_chain(inputs.chain, Shock(100.0 * move, points, 2.0), "strike")
        expected = step(*inputs._replace(chain=chain))[1].metrics.ngi.value or 0.0
        found = grid.ngi[grid.points.index(points), grid.moves.index(move)]
        assert found == pytest.approx(expected, abs=0.005 * scale)


def test_a_volatility_that_cannot_be_priced_has_no_row() -> None:
    inputs = tick(FlowParams("naive"))
    low = inputs._replace(chain=shocked_chain(inputs.chain, Shock(vol_points=-47.0), "strike"))
    assert min(ngi_grid(low, Shock(), NAIVE).points) > min(GRID_POINTS)
