from dataclasses import replace

import numpy as np
import pytest

from dfmon.core.snapshot.smoothing import smoothed
from dfmon.core.snapshot.tables import TAPE_ROWS
from dfmon.core.step import FlowParams
from dfmon.model.snapshot import Detail, FlowSnapshot
from dfmon.model.tables import HeatMap
from dfmon.model.units import NAN
from tests.chains import frame, permuted, run, shot, trade_columns

NAIVE = FlowParams("naive")
BOARD = frame()


def detail(snapshot: FlowSnapshot) -> Detail:
    assert isinstance(snapshot.detail, Detail)
    return snapshot.detail


def total(cells: tuple[tuple[float | None, ...], ...]) -> float:
    return sum(cell for row in cells for cell in row if cell is not None)


@pytest.mark.parametrize("name", ["ngi", "vss", "chl", "volg"])
def test_rows_by_expiry_and_by_strike_and_the_heat_map_add_up_to_the_total(name: str) -> None:
    snapshot = shot(BOARD, NAIVE)
    value = getattr(snapshot.metrics, name).value
    scale = sum(abs(getattr(row, name)) for row in snapshot.by_strike)
    for parts in (snapshot.by_expiry, snapshot.by_strike):
        assert sum(getattr(row, name) for row in parts) == pytest.approx(value, abs=1e-9 * scale)
    cells = getattr(detail(snapshot).heatmap, name)
    for sums, lines in ((snapshot.by_strike, cells), (snapshot.by_expiry, zip(*cells))):
        for row, line in zip(sums, lines, strict=True):
            assert total((line,)) == pytest.approx(getattr(row, name), abs=1e-9 * scale)


def test_smoother_keeps_the_sum_of_all_cells_and_fills_holes_of_the_volatility() -> None:
    some = np.array([i for i in range(BOARD.size) if i not in (BOARD.size - 5, BOARD.size - 6)])
    snapshot = shot(permuted(BOARD, some), NAIVE)
    published = detail(snapshot).heatmap
    spread = smoothed(published, snapshot.by_expiry)
    for name in ("ngi", "vss", "chl", "volg"):
        before, after = getattr(published, name), getattr(spread, name)
        scale = sum(abs(cell) for row in before for cell in row if cell is not None)
        assert total(after) == pytest.approx(total(before), abs=1e-9 * scale)
        assert after != before
        assert [[v is None for v in row] for row in after] == [[v is None for v in row] for row in before]
    assert (spread.oi, spread.strikes, spread.expiries) == (published.oi, published.strikes, published.expiries)
    assert any(None in row for row in published.iv)
    assert not any(None in row for row in spread.iv)


def test_smoother_leaves_a_map_without_positions_or_volatilities_as_it_is() -> None:
    unknown = shot(BOARD, FlowParams("flow"))
    assert smoothed(detail(unknown).heatmap, unknown.by_expiry).ngi == detail(unknown).heatmap.ngi
    assert smoothed(detail(unknown).heatmap, ()) == detail(unknown).heatmap


def test_open_interest_is_split_by_type_and_lost_nowhere() -> None:
    snapshot = shot(BOARD, NAIVE)
    held = BOARD.open_interest.sum()
    assert sum(row.call_open_interest + row.put_open_interest for row in snapshot.by_strike) == pytest.approx(held)
    assert sum(row.open_interest for row in snapshot.by_expiry) == pytest.approx(held)
    assert total(detail(snapshot).heatmap.oi) == pytest.approx(held)
    assert sum(row.options for row in snapshot.by_expiry) == BOARD.size


def test_rows_ascend_in_strike_and_time() -> None:
    order = np.random.default_rng(1).permutation(BOARD.size)
    snapshot = shot(permuted(BOARD, order), NAIVE)
    strikes = [row.strike for row in snapshot.by_strike]
    assert strikes == sorted(strikes) == list(detail(snapshot).heatmap.strikes)
    assert [row.hours for row in snapshot.by_expiry] == sorted(row.hours for row in snapshot.by_expiry)


def test_cell_where_nothing_is_listed_is_none() -> None:
    some = np.array([i for i in range(BOARD.size) if i not in (0, 1)])  # nothing at the lowest strike, first expiry
    heat = detail(shot(permuted(BOARD, some), NAIVE)).heatmap
    assert (heat.ngi[0][0], heat.oi[0][0]) == (None, None)
    assert None not in heat.ngi[1]


def test_empty_board_has_empty_tables() -> None:
    snapshot = shot(frame(strikes=()), NAIVE)
    assert (snapshot.by_expiry, snapshot.by_strike) == ((), ())
    assert detail(snapshot).heatmap == HeatMap((), (), (), (), (), (), (), ())


def test_tape_is_newest_first_bounded_and_says_what_a_print_adds_to_dealer_gamma() -> None:
    first = replace(BOARD, trades=trade_columns([0, 1], [1, -1], [2.0, 3.0]))
    many = replace(BOARD, trades=trade_columns([4] * 2 * TAPE_ROWS, [1] * 2 * TAPE_ROWS, range(1, 2 * TAPE_ROWS + 1)))
    _, (one, two) = run([first, many], NAIVE)
    tape = detail(one).tape
    assert [(row.name, row.option_type) for row in tape] == [(BOARD.names[1], "P"), (BOARD.names[0], "C")]
    assert tape[0].gamma is not None
    assert tape[1].gamma is not None
    assert tape[0].gamma > 0.0 > tape[1].gamma  # a customer who buys leaves dealers short
    assert [row.size for row in detail(two).tape] == list(range(2 * TAPE_ROWS, TAPE_ROWS, -1))


def test_print_of_an_option_without_a_price_is_kept_without_gamma_and_one_that_left_is_dropped() -> None:
    sigma = np.where(np.arange(BOARD.size) == 3, NAN, BOARD.sigma)
    trades = replace(trade_columns([3, 999], [1, 1], [1.0, 1.0]), sigma=np.array([NAN, 0.5]))
    (row,) = detail(shot(replace(BOARD, sigma=sigma, trades=trades), NAIVE)).tape
    assert (row.name, row.gamma, row.iv) == (BOARD.names[3], None, None)
