"""Layers and marks of the heat-map that rest on prints, volumes and earlier slices."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from dfmon.core.step import FlowParams, FlowState, step
from dfmon.engine.option_volume import volume_cells
from dfmon.model.snapshot import Detail, FlowSnapshot
from dfmon.model.tables import HeatMap
from dfmon.model.units import HOUR, MINUTE
from dfmon.tui.heatmap_slices import HeatmapSlices, cells_then, slice_at
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.heatmap_grid import change_marks, current_grid
from dfmon.tui.render.heatmap_layers import layer_cells
from dfmon.tui.view import LOOKBACKS, View
from dfmon.tui.view_actions import VIEW_ACTIONS
from tests import chains

from . import factory
from .test_render import frame, panels


def scaled(heat: HeatMap, factor: float) -> HeatMap:
    cells = tuple(tuple(None if v is None else v * factor for v in row) for row in heat.ngi)
    return msgspec.structs.replace(heat, ngi=cells)


def shown(minutes: int, factor: float, **fields: object) -> Frame:
    """The usual map, beside a slice so many minutes ago in which net gamma was `factor` times as large."""
    made = factory.snapshot()
    assert isinstance(made.detail, Detail)
    slices = ((factory.NOW - minutes * MINUTE, scaled(made.detail.heatmap, factor)),)
    return frame(made, View("BTC", panel="heatmap", **fields), slices=slices)  # type: ignore[arg-type]


@pytest.mark.parametrize("place", [1, 2, 3, 4])
def test_the_change_is_now_less_then(place: int) -> None:
    at = shown(LOOKBACKS[place], 0.75, metric="change", lookback=place)
    assert isinstance(at.detail, Detail)
    heat = at.detail.heatmap
    cells = layer_cells(at, heat, "change")
    for row, values in zip(cells, heat.ngi):
        assert row == pytest.approx([None if v is None else 0.25 * v for v in values])
    assert f"$M NGI in {LOOKBACKS[place]} min" in panels(at, 160, 48)["heatmap"]


def test_a_change_that_is_not_known_is_empty() -> None:
    for minutes in (3, 40):  # too young, and older than the look-back by more than a gap
        at = shown(minutes, 0.5, metric="change", lookback=3)
        assert isinstance(at.detail, Detail)
        assert {v for row in layer_cells(at, at.detail.heatmap, "change") for v in row} == {None}


def test_cells_that_moved_or_turned_are_marked() -> None:
    for factor, mark in ((0.5, {"▲", "▼"}), (-1.0, {"*"}), (1.0, set())):
        at = shown(15, factor, lookback=3)
        grid = current_grid(at)
        assert grid is not None
        marks = change_marks(at, grid)
        assert set(marks.values()) == mark
        for (i, j), sign in marks.items():
            now = grid.cells[i][j] or 0.0
            assert sign == "*" or (sign == "▲") == (now > 0.0)
        text = panels(at, 160, 48)["heatmap"]
        assert all(sign in text for sign in mark)
    assert "▲ ▼ against 15 min ago" in text


def test_the_smoother_is_named_and_keeps_the_total() -> None:
    at = frame(factory.snapshot(), View("BTC", panel="heatmap", lookback=3))
    published = current_grid(at)
    VIEW_ACTIONS["view.smoother"](at.view, at)
    spread = current_grid(at)
    assert published is not None
    assert spread is not None
    assert spread.cells != published.cells
    known = [[v for v in grid.totals if v is not None] for grid in (published, spread)]
    assert sum(known[1]) == pytest.approx(sum(known[0]))
    assert change_marks(at, spread) == {}
    text = panels(at, 160, 48)["heatmap"]
    assert "smoothed 3x2" in text
    assert "ago" not in text
    assert "3x2" in panels(at, 80, 24)["heatmap"].splitlines()[0]


def test_the_flow_is_the_sum_of_the_tape() -> None:
    at = frame(factory.snapshot(), View("BTC", panel="heatmap", metric="flow"))
    assert isinstance(at.detail, Detail)
    cells = layer_cells(at, at.detail.heatmap, "flow")
    total = sum(v for row in cells for v in row if v is not None)
    assert total == pytest.approx(sum(row.gamma or 0.0 for row in at.detail.tape))
    assert "[FLOW]" in panels(at, 160, 48)["heatmap"]


def test_the_volume_is_that_of_the_options_of_a_cell() -> None:
    chain = chains.frame()
    volume = np.arange(chain.size, dtype=float)
    volume[3] = np.nan
    made = step(FlowState.initial(), replace(chain, volume=volume), chains.market(), (), FlowParams("naive"), 1)[1]
    found = volume_cells(made)
    assert found is not None
    assert isinstance(made.detail, Detail)
    heat = made.detail.heatmap
    for strike, row in zip(heat.strikes, found):
        for j, value in enumerate(row):
            at = (chain.strike == strike) & (chain.expiry_ns == np.unique(chain.expiry_ns)[j])
            assert value == np.nansum(volume[at])
    text = panels(frame(made, View("BTC", panel="heatmap", metric="volume"), now_ns=made.ts_ns), 160, 48)["heatmap"]
    assert "coins of 24 h" in text
    assert volume_cells(factory.snapshot()) is None


def test_slices_are_kept_once_a_minute_for_an_hour() -> None:
    slices, made = HeatmapSlices(), factory.snapshot()

    def at(seconds: int) -> FlowSnapshot:
        return msgspec.structs.replace(made, ts_ns=factory.NOW + seconds * 10**9)

    for second in range(0, 2 * 3600, 20):
        stored = slices.push(at(second))
    assert len(stored) == 62
    assert stored[-1][0] - stored[0][0] == 61 * MINUTE
    assert slice_at(stored, stored[-1][0] - HOUR) is not None
    assert slice_at(stored, stored[0][0] - 1) is None
    assert len(slices.push(at(5))) == 1, "a clock that was set back begins anew"
    assert len(slices.push(msgspec.structs.replace(at(100), state="stale"))) == 1
    assert slices.push(None) == ()


def test_a_strike_that_was_not_listed_has_no_value_of_then() -> None:
    made = factory.snapshot()
    assert isinstance(made.detail, Detail)
    heat = made.detail.heatmap
    then = msgspec.structs.replace(heat, strikes=heat.strikes[1:], ngi=heat.ngi[1:], expiries=heat.expiries[::-1])
    cells = cells_then(then, heat, "ngi")
    assert set(cells[0]) == {None}
    assert cells[1] == heat.ngi[1][::-1]


def test_the_key_goes_through_the_slices() -> None:
    view = View("BTC")
    for minutes in (1, 5, 15, 60, 0):
        VIEW_ACTIONS["view.lookback"](view, frame(factory.snapshot(), view))
        assert LOOKBACKS[view.lookback] == minutes
