"""The read-out of the estimator against its formulas, written out for one option and one member at a time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dfmon.core.positions.attribution import Priors, attribution_tables
from dfmon.core.positions.inventory import HIGH, LOW, NET, P_LONG, Inventory, default_print_size
from dfmon.core.positions.posterior import _draw_stream_and_node, sample_posterior
from dfmon.core.positions.update import RECONCILE_DELAY_NS, TRANSFER_SD_SHARE, update_inventory
from dfmon.model.frames import F64, ChainFrame, TradeHistory
from dfmon.model.units import HOUR, SECOND
from tests.chains import NOW, frame, trade_columns

BOARD = frame()
N = BOARD.size
PRIORS = Priors()
TRADED = trade_columns([0, 0, 1], [1, -1, 1], [3.0, 2.0, 0.5], exch_ns=[NOW, NOW + SECOND, NOW + 2 * SECOND])


def traded_inventory() -> Inventory:
    started = update_inventory(Inventory.empty(), BOARD, PRIORS)
    return update_inventory(started, replace(BOARD, ts_ns=NOW + 3 * SECOND, trades=TRADED), PRIORS)


def member_position(inventory: Inventory, row: int, member: int, age_hours: int) -> float:
    """Start, flow and drift of one member, clipped to open interest: the formulas of docs/positions.md."""
    tables, record = attribution_tables(PRIORS), inventory.records[row]
    quantiles, start_normals, drift_normals, stream_draws = inventory.member_draws[:, [row]]
    streams, nodes = _draw_stream_and_node(record["counts"][None, :], quantiles, stream_draws, tables)
    stream, node = int(streams[0, member]), int(nodes[0, member])
    start_share = (
        PRIORS.start_mean + PRIORS.trend_coefficient * tables.trend[node] + PRIORS.start_sd * start_normals[0, member]
    )
    start_share = min(1.0, max(-1.0, start_share))
    if record["volume"] > 0.0:
        typical_size = record["sum_sq_size"] / record["volume"]
    else:
        typical_size = float(default_print_size(inventory.records[[row]])[0])
    variance = (
        (PRIORS.drift * record["open_interest"]) ** 2 * (age_hours / 24.0)
        + record["variance"]
        + record["lost_qty"] * typical_size
    )
    customers = inventory.flows[row][node, stream] + record["unobserved_oi"] * start_share
    customers += variance**0.5 * drift_normals[0, member]
    return float(min(record["open_interest"], max(-record["open_interest"], -customers)))


@pytest.mark.parametrize("age_hours", [0, 1, 24, 96])
def test_each_member_holds_start_flow_and_drift_within_open_interest(age_hours: int) -> None:
    inventory = traded_inventory()
    inventory.records["variance"][:2] = 4.0
    inventory.records["lost_qty"][:3] = 1.5
    rows = np.arange(N)
    read = sample_posterior(inventory, rows, np.full(N, age_hours), attribution_tables(PRIORS), PRIORS)
    for row in range(N):
        members = read.members[row]
        for member in range(0, members.size, 7):
            assert members[member] == pytest.approx(member_position(inventory, row, member, age_hours), abs=1e-12)
        assert read.summary[row, NET] == members.mean()
        assert read.summary[row, P_LONG] == 0.5 + 0.5 * np.sign(members).mean()
        assert (read.summary[row, LOW], read.summary[row, HIGH]) == tuple(np.quantile(members, (0.05, 0.95)))


def test_start_shares_beyond_open_interest_are_clipped_before_prints_are_added() -> None:
    """With a clip only at the end a flow against the start would be lost in the excess."""
    wide = replace_priors(start_sd=4.0)
    inventory = traded_inventory()
    read = sample_posterior(inventory, np.arange(N), np.zeros(N, np.int64), attribution_tables(wide), wide)
    unobserved, open_interest = inventory.records["unobserved_oi"], inventory.records["open_interest"]
    flow = np.array([np.abs(flows).max() for flows in inventory.flows])
    reached = np.array([np.abs(members).max() for members in read.members])
    assert np.all(reached <= np.minimum(open_interest, unobserved + flow) + 1e-9)
    untouched = int(np.argmax(flow == 0.0))
    assert set(np.abs(read.members[untouched]).round(9)) >= {round(float(unobserved[untouched]), 9)}


def replace_priors(**changes: float) -> Priors:
    fields = {name: getattr(PRIORS, name) for name in PRIORS.__struct_fields__}
    return Priors(**(fields | changes))


def moved(inventory: Inventory, row: int, change: float, at_ns: int) -> tuple[Inventory, ChainFrame]:
    open_interest: F64 = BOARD.open_interest.copy()
    open_interest[row] += change
    board = replace(BOARD, ts_ns=at_ns, open_interest=open_interest)
    return update_inventory(inventory, board, PRIORS), board


def test_unexplained_moves_of_open_interest_add_their_square_to_the_variance_once_both_had_time() -> None:
    inventory, board = moved(update_inventory(Inventory.empty(), BOARD, PRIORS), 1, -6.0, NOW + SECOND)
    at_the_limit = update_inventory(inventory, replace(board, ts_ns=NOW + SECOND + RECONCILE_DELAY_NS), PRIORS)
    assert at_the_limit.records["unexplained"][1] == 0.0
    settled = update_inventory(inventory, replace(board, ts_ns=NOW + SECOND + RECONCILE_DELAY_NS + 1), PRIORS)
    assert settled.records["unexplained"][1] == 6.0
    assert settled.records["variance"][1] == (TRANSFER_SD_SHARE * 6.0) ** 2
    again, board = moved(settled, 1, -10.0, NOW + HOUR)
    later = update_inventory(again, replace(board, ts_ns=NOW + HOUR + RECONCILE_DELAY_NS + 1), PRIORS)
    assert later.records["variance"][1] == (TRANSFER_SD_SHARE * 6.0) ** 2 + (TRANSFER_SD_SHARE * 4.0) ** 2


def test_a_whole_history_leaves_nothing_to_reconcile() -> None:
    """Open interest has shown its prints long ago: they must not explain a later move."""
    inventory = traded_inventory()
    history = TradeHistory(int(BOARD.uid[0]), replace(TRADED.rows(np.array([0, 1])), seq=np.array([1, 2])))
    read = update_inventory(inventory, replace(BOARD, ts_ns=NOW + 4 * SECOND, trade_histories=(history,)), PRIORS)
    assert read.records["prints_minus_oi"][0] == 0.0
    dropped, board = moved(read, 0, -5.0, NOW + 5 * SECOND)
    settled = update_inventory(dropped, replace(board, ts_ns=NOW + HOUR), PRIORS)
    assert settled.records["unexplained"][0] == 5.0
