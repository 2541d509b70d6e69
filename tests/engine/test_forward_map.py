"""The forward map of a tick agrees with the outlook of the same tick."""

from __future__ import annotations

import numpy as np
import pytest

from dfmon.core.step import FlowParams, FlowState, step
from dfmon.engine.forward_map import forward_map_of
from dfmon.model.snapshot import FlowSnapshot, from_json, to_json
from tests.chains import frame, market

MOVES = np.array([-0.01, 0.0, 0.01])
HOURS = np.array([0.0, 1.0])


def snapshot(model: str) -> FlowSnapshot:
    chain = frame(days=(0.4, 7.0, 30.0))
    return step(FlowState.initial(), chain, market(), (), FlowParams(model), 1)[1]


@pytest.mark.parametrize("model", ["naive", "short-all"])
def test_the_first_hour_is_that_of_the_outlook(model: str) -> None:
    made = snapshot(model)
    found = forward_map_of(made, MOVES, HOURS)
    assert found is not None
    outlook = {row.case: row.value for row in made.outlook}
    assert found.trade[0, 0] == pytest.approx(outlook["-1 %"], rel=1e-9)
    assert found.trade[2, 0] == pytest.approx(outlook["+1 %"], rel=1e-9)
    assert found.trade[1, 1] == pytest.approx(outlook["1 h"], rel=1e-6, abs=1.0)
    assert found.trade[1, 0] == pytest.approx(0.0, abs=1e-3)


def test_a_snapshot_of_another_process_has_no_map() -> None:
    assert forward_map_of(from_json(to_json(snapshot("naive"), "live")), MOVES, HOURS) is None
