"""Open interest beside the prints, at the boundaries: what is reconciled, predates the session, or is limited."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dfmon.core.positions import update
from dfmon.core.positions.attribution import Priors
from dfmon.core.positions.dealer_net import mean_share, observed_share, open_interest_check
from dfmon.core.positions.inventory import Inventory, align_to_frame, default_print_size, round_to_size_grid
from dfmon.core.positions.update import update_inventory
from dfmon.model.frames import ChainFrame, TradeColumns, TradeHistory
from dfmon.model.units import HOUR, NAN, SECOND
from tests.chains import NOW, frame, permuted, trade_columns

BOARD = frame(days=(9.0,), strikes=(90_000.0, 100_000.0))
N = BOARD.size
PRIORS = Priors()
OI = float(BOARD.open_interest[0])


def after(*boards: ChainFrame) -> Inventory:
    inventory = Inventory.empty()
    for board in boards:
        inventory = update_inventory(inventory, board, PRIORS)
    return inventory


def board_at(seconds: float = 0.0, open_interest: float = OI, trades: TradeColumns | None = None) -> ChainFrame:
    """The board some seconds on; its first option has this open interest."""
    column = BOARD.open_interest.copy()
    column[0] = open_interest
    ts_ns = NOW + round(seconds * SECOND)
    return replace(BOARD, ts_ns=ts_ns, open_interest=column, trades=trade_columns() if trades is None else trades)


def prints(*sizes: float, seconds: float = 0.0, seq: int = 1) -> TradeColumns:
    count = len(sizes)
    times = [NOW + round(seconds * SECOND) + i for i in range(count)]
    return trade_columns([0] * count, [1] * count, sizes, exch_ns=times, seq=range(seq, seq + count))


def test_constants_of_the_reconciliation() -> None:
    assert update.RECONCILE_DELAY_NS == 120 * SECOND
    assert update.TRANSFER_SD_SHARE == 0.5
    assert update.MAX_QUANTITY == 1e12
    assert default_print_size(after(BOARD).records[:1]).tolist() == [0.05 * OI]


def test_a_size_is_rounded_to_a_fraction_of_two_to_the_minus_26() -> None:
    assert round_to_size_grid(np.array([2.0**-26, 1.4 * 2.0**-26, 1.6 * 2.0**-26])).tolist() == [
        2.0**-26,
        2.0**-26,
        2.0**-25,
    ]


def test_a_print_at_the_start_is_of_the_session_and_one_before_it_is_not() -> None:
    before = replace(prints(3.0), exch_ns=np.array([NOW - 1]))
    records = after(BOARD, board_at(1.0, trades=before)).records[0]
    assert (records["unobserved_oi"], records["qty_since_start"], records["prints_minus_oi"]) == (OI - 3.0, 0.0, 0.0)
    records = after(BOARD, board_at(1.0, trades=prints(3.0))).records[0]
    assert (records["unobserved_oi"], records["qty_since_start"], records["prints_minus_oi"]) == (OI, 3.0, 3.0)


@pytest.mark.parametrize("sizes", [(OI + 5.0,), (OI, 5.0)])
def test_earlier_prints_beyond_open_interest_leave_none_of_it_unobserved(sizes: tuple[float, ...]) -> None:
    trades = replace(prints(*sizes), exch_ns=np.full(len(sizes), NOW - 1))
    assert after(BOARD, board_at(1.0, trades=trades)).records["unobserved_oi"][0] == 0.0
    assert after(board_at(trades=trades)).records["unobserved_oi"][0] == 0.0


def test_prints_beyond_the_change_of_open_interest_are_not_unexplained() -> None:
    inventory = after(BOARD, board_at(1.0, OI + 2.0, prints(5.0, seconds=1.0)), board_at(130.0, OI + 2.0))
    records = inventory.records[0]
    assert (records["unexplained"], records["variance"], records["prints_minus_oi"]) == (0.0, 0.0, 0.0)


def test_a_late_print_explains_a_change_until_two_minutes_after_the_later_of_the_two() -> None:
    boards = BOARD, board_at(1.0, OI + 5.0), board_at(100.0, OI + 5.0, prints(5.0, seconds=100.0))
    assert after(*boards, board_at(180.0, OI + 5.0)).records["unexplained"][0] == 0.0
    waiting = after(BOARD, board_at(1.0, OI + 5.0), board_at(100.0, OI + 5.0, prints(2.0, seconds=100.0)))
    still = update_inventory(waiting, board_at(220.0, OI + 5.0), PRIORS)
    assert (still.records["unexplained"][0], still.records["prints_minus_oi"][0]) == (0.0, -3.0)
    settled = update_inventory(waiting, board_at(221.0, OI + 5.0), PRIORS)
    assert (settled.records["unexplained"][0], settled.records["variance"][0]) == (3.0, 1.5**2)


@pytest.mark.parametrize(
    ("reported", "is_taken"), [(0.0, True), (-1.0, False), (NAN, False), (1e12, False), (np.nextafter(1e12, 0.0), True)]
)
def test_open_interest_counts_from_zero_to_below_the_limit(reported: float, is_taken: bool) -> None:
    records = after(BOARD, board_at(1.0, reported)).records[0]
    assert records["open_interest"] == (reported if is_taken else OI)
    first = after(board_at(0.0, reported)).records[0]
    assert first["since_ns"] == (NOW if is_taken else 0)
    assert np.isnan(first["open_interest"]) == (not is_taken)


def test_a_history_before_the_first_open_interest_leaves_nothing_to_reconcile() -> None:
    history = TradeHistory(0, prints(3.0, 4.0))
    inventory = after(replace(board_at(1.0, NAN), trade_histories=(history,)), board_at(2.0, 7.0), board_at(900.0, 7.0))
    records = inventory.records[0]
    assert (records["prints_minus_oi"], records["unexplained"], records["open_interest"]) == (0.0, 0.0, 7.0)


def test_a_history_replaces_every_count_of_an_option() -> None:
    lossy = replace(board_at(1.0, trades=prints(2.0, 3.0, seconds=1.0)), lost_prints=np.array([2.0, 0.0, 0.0, 0.0]))
    inventory = after(BOARD, lossy)
    assert inventory.records["lost_qty"][0] == 2.0 * 2.5
    whole = TradeHistory(0, replace(prints(2.0, 4.0), exch_ns=np.array([NOW - 50, NOW - 20])))
    records = update_inventory(inventory, replace(board_at(2.0), trade_histories=(whole,)), PRIORS).records[0]
    assert (records["volume"], records["sum_sq_size"], records["lost_qty"]) == (6.0, 20.0, 0.0)
    assert (records["counts"].sum(), records["last_ns"], records["since_ns"]) == (2.0, NOW - 20, NOW - 50)
    assert (records["qty_since_start"], records["oi_at_start"], records["full_history"]) == (6.0, 0.0, 1)


def test_an_option_listed_during_the_session_starts_at_zero_with_all_its_prints() -> None:
    listed = np.arange(N) == 0
    (record,) = after(replace(board_at(trades=prints(2.0, 1.0)), full_history=listed)).records[:1]
    assert (record["unobserved_oi"], record["oi_at_start"], record["qty_since_start"]) == (0.0, 0.0, 3.0)
    assert record["prints_minus_oi"] == 3.0 - OI
    (other,) = after(board_at(trades=prints(2.0, 1.0))).records[:1]
    assert (other["unobserved_oi"], other["oi_at_start"], other["qty_since_start"]) == (OI - 3.0, OI, 0.0)
    assert other["prints_minus_oi"] == 0.0
    late = after(BOARD, board_at(1.0, trades=prints(2.0)), replace(board_at(2.0), full_history=listed))
    assert late.records["qty_since_start"][0] == 2.0
    assert late.records["unobserved_oi"][0] == late.records["oi_at_start"][0] == 0.0


def test_the_newest_sequence_number_and_time_stay_whatever_comes_late() -> None:
    late = replace(prints(1.0, 1.0, seq=5), seq=np.array([6, 5]), exch_ns=np.array([NOW + 6, NOW + 5]))
    records = after(BOARD, board_at(1.0, trades=late), board_at(2.0, trades=prints(1.0, seq=4))).records[0]
    assert (records["seq"], records["last_ns"]) == (6, NOW + 6)


def test_lost_prints_count_from_the_first_at_the_size_of_a_typical_one() -> None:
    lost = np.array([1.0, 1.0, 0.0, 0.0])
    records = after(BOARD, replace(board_at(1.0, trades=prints(2.0, 4.0)), lost_prints=lost)).records
    assert records["lost_qty"][0] == 3.0
    assert records["lost_qty"][1] == round_to_size_grid(np.array([0.05 * BOARD.open_interest[1]]))[0]
    assert records["lost_qty"][2:].tolist() == [0.0, 0.0]


def test_observed_share_is_limited_to_one_before_the_lost_prints_are_taken_off() -> None:
    inventory = after(BOARD)
    inventory.records["volume"] = (OI / 2.0, 3.0 * BOARD.open_interest[1], 8.0, 0.0)
    inventory.records["open_interest"][2:] = 8.0, 0.0
    inventory.records["lost_qty"][2] = 2.0
    assert observed_share(inventory).tolist() == [0.5, 1.0, 0.8, 1.0]


def test_a_mean_share_without_open_interest_is_unknown() -> None:
    share = np.array([0.5, 1.0])
    assert mean_share(share, np.array([0.0, 0.0])) is None
    assert mean_share(share, np.array([NAN, -1.0])) is None
    assert mean_share(share, np.array([1.0, np.inf])) is None
    assert mean_share(share, np.array([3.0, 1.0])) == 0.625


def test_the_check_of_an_option_without_open_interest_is_zero() -> None:
    check = open_interest_check(after(board_at(0.0, NAN)))
    assert check.change.tolist() == [0.0] * N


def test_an_option_leaves_the_state_at_its_expiry_once_it_is_not_listed() -> None:
    inventory, rest = after(BOARD), permuted(BOARD, np.arange(1, N))
    expiry_ns = int(BOARD.expiry_ns[0])
    assert BOARD.names[0] in align_to_frame(inventory, replace(rest, ts_ns=expiry_ns - 1)).names
    assert BOARD.names[0] not in align_to_frame(inventory, replace(rest, ts_ns=expiry_ns)).names
    assert BOARD.names[0] in align_to_frame(inventory, replace(BOARD, ts_ns=expiry_ns)).names


def test_drift_begins_after_the_first_whole_hour() -> None:
    inventory = after(BOARD)
    assert inventory.age_hours.tolist() == [0] * N
    assert update_inventory(inventory, replace(BOARD, ts_ns=NOW + HOUR - 1), PRIORS) is inventory
    aged = update_inventory(inventory, replace(BOARD, ts_ns=NOW + HOUR), PRIORS)
    assert aged.age_hours.tolist() == [1] * N
    drifted = np.concatenate(aged.members) - np.concatenate(inventory.members)
    assert np.abs(drifted).max() > 0.0
