"""A settlement through the whole step: what has expired still counts, with the members that it had."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from dfmon.core.step import FlowParams, FlowState, step
from dfmon.engine.flow_codec import decode_flow, encode_flow
from dfmon.model.frames import ChainFrame
from dfmon.model.snapshot import FlowSnapshot
from dfmon.model.units import DAY, MINUTE
from tests.chains import NOW, SPOT, frame, market, permuted, trade_columns

EXPIRY_NS = NOW + 45 * MINUTE
STRIKES = (99_000.0, 100_500.0, 103_000.0)
EXPIRING = 2 * len(STRIKES)


def board(minute: int) -> ChainFrame:
    """The listing of a minute: the nearest expiry is gone once it has settled."""
    prints = trade_columns([1, 3, 7], [1, -1, 1], [3.0, 2.0, 5.0]) if minute == 0 else trade_columns()
    made = frame(STRIKES, (45 * MINUTE / DAY, 9.0), ts_ns=NOW + minute * MINUTE)
    made = replace(made, trades=prints, delivery_average=SPOT if 15 < minute < 45 else np.nan)
    return made if minute < 45 else permuted(made, np.arange(EXPIRING, made.size))


@lru_cache(maxsize=2)
def session(model: str, renumber_at: int | None = None) -> list[FlowSnapshot]:
    """Snapshots of every minute; options are numbered anew, and the state read from its bytes, where told to."""
    state, snapshots = FlowState.initial(), []
    for minute in range(70):
        chain = board(minute)
        if renumber_at is not None and minute >= renumber_at:
            chain = replace(chain, uid=chain.uid[::-1].copy() + 500)
        if minute == renumber_at:
            state = decode_flow(encode_flow(state), state.book)
        state, snapshot = step(state, chain, market(), (), FlowParams(model), minute)
        snapshots.append(snapshot)
    return snapshots


@pytest.mark.slow
@pytest.mark.parametrize("model", ["naive", "flow"])
def test_the_flow_between_the_window_and_settlement_is_the_unwind(model: str) -> None:
    snapshots = session(model)
    before = snapshots[15].unwind
    assert before.value == pytest.approx(before.at_window)
    lifted = 0.0
    for minute in (30, 45):
        flow = snapshots[minute].metrics.hedge_flow
        assert flow.settlement is not None
        assert flow.charm is not None
        assert (flow.gamma, flow.vanna) == (0.0, 0.0)
        lifted += flow.settlement + flow.charm
    others = sum(row.chl or 0.0 for row in snapshots[50].by_expiry) / 48.0  # decay of half an hour of the later expiry
    aged = 3e-2 if model == "flow" else 1e-3  # positions of the estimator move at the full hour in between
    assert lifted == pytest.approx(before.at_window, abs=2.0 * abs(others) + aged * abs(before.at_window or 0.0))
    assert snapshots[59].metrics.hedge_flow.settlement != 0.0
    assert snapshots[60].metrics.hedge_flow.settlement == pytest.approx(0.0, abs=1e-6)


@pytest.mark.slow
def test_inside_the_window_what_is_left_is_lifted_minute_by_minute() -> None:
    snapshots = session("naive")
    for minute in (16, 30, 44):
        unwind = snapshots[minute].unwind
        assert unwind.minutes_left == 45 - minute
        flow = snapshots[minute].metrics.hedge_flow
        assert abs(flow.residual or 0.0) < 0.05 * abs(unwind.left or 0.0)  # what settles is no error of the linear form
        assert unwind.left == pytest.approx(unwind.value)
        assert unwind.left is not None
        assert unwind.per_minute == pytest.approx(unwind.left / (45 - minute))
        assert unwind.until_window == 0.0
    for minute in (14, 46):
        unwind = snapshots[minute].unwind
        assert (unwind.left, unwind.per_minute, unwind.minutes_left) == (0.0, 0.0, 0.0)


@pytest.mark.slow
def test_members_of_what_expired_widen_the_band_until_it_leaves_the_look_back() -> None:
    snapshots = session("flow")
    flows = [snapshot.metrics.hedge_flow for snapshot in snapshots[40:]]
    widths = [flow.hi - flow.lo for flow in flows if flow.lo is not None and flow.hi is not None]
    assert len(widths) == 30
    assert min(widths[:19]) > 20.0 * max(widths[21:])


@pytest.mark.slow
@pytest.mark.parametrize("minute", [20, 50])
def test_a_restart_that_numbers_options_anew_changes_no_flow(minute: int) -> None:
    straight, restarted = session("naive"), session("naive", renumber_at=minute)
    for one, other in zip(straight, restarted):
        assert other.metrics.hedge_flow.value == pytest.approx(one.metrics.hedge_flow.value, rel=1e-12)
        assert other.metrics.hedge_flow.new_trades == pytest.approx(one.metrics.hedge_flow.new_trades, abs=1e-6)
