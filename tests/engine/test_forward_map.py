"""The forward map of a tick agrees with the outlook of the same tick."""

from __future__ import annotations

import numpy as np
import pytest

from dfmon.core.step import FlowParams, FlowState, step
from dfmon.engine.forward_map import forward_map_of
from dfmon.model.frames import ChainFrame
from dfmon.model.snapshot import FlowSnapshot, from_json, to_json
from tests.chains import frame, market

MOVES = np.array([-0.01, 0.0, 0.01])
HOURS = np.array([0.0, 1.0])


def chain() -> ChainFrame:
    return frame(days=(0.4, 7.0, 30.0))


def snapshot(model: str) -> FlowSnapshot:
    return step(FlowState.initial(), chain(), market(), (), FlowParams(model), 1)[1]


@pytest.mark.parametrize("model", ["naive", "short-all"])
def test_the_first_hour_is_that_of_the_outlook(model: str) -> None:
    made = snapshot(model)
    found = forward_map_of(made, MOVES, HOURS)
    assert found is not None
    outlook = {row.case: row.value for row in made.outlook}
    tolerance = 1e-5 * 1e5 * float(np.nansum(chain().open_interest))  # of the gross position
    assert found.trade[0, 0] == pytest.approx(outlook["-1 %"], abs=tolerance)
    assert found.trade[2, 0] == pytest.approx(outlook["+1 %"], abs=tolerance)
    assert found.trade[1, 1] == pytest.approx(outlook["1 h"], abs=tolerance)
    assert found.trade[1, 0] == pytest.approx(0.0, abs=tolerance)


def test_a_snapshot_of_another_process_has_no_map() -> None:
    assert forward_map_of(from_json(to_json(snapshot("naive"), "live")), MOVES, HOURS) is None
