"""What the snapshot says of positions: option by option, model by model, and what open interest says of the prints."""

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from msgspec import structs

from dfmon.core.snapshot import scenario_values
from dfmon.core.step import FlowParams, FlowState, step
from dfmon.model.frames import ChainFrame
from dfmon.model.snapshot import Detail, FlowSnapshot, from_json, to_json
from dfmon.model.tables import ExpiryRow, PositionRow
from dfmon.model.units import NAN, SECOND
from tests.chains import NOW, frame, market, run, shot, trade_columns

BOARD = frame()
N = BOARD.size
WHOLE = replace(BOARD, full_history=np.ones(N, np.bool_))
PRINTS = trade_columns(range(N), [1 if i % 3 else -1 for i in range(N)], [2.0] * N)
FILE = {name: float(i % 5 - 2) for i, name in enumerate(BOARD.names)}


def detail(snapshot: FlowSnapshot) -> Detail:
    assert isinstance(snapshot.detail, Detail)
    return snapshot.detail


@pytest.mark.parametrize("chosen", ["flow", "naive", "short-all", "file"])
def test_all_models_stand_side_by_side_whichever_is_chosen(chosen: str) -> None:
    board = replace(BOARD, trades=PRINTS)
    rows = shot(board, FlowParams(chosen, FILE)).models
    assert [row.model for row in rows] == ["flow", "naive", "short-all", "file"]
    for row in rows:
        alone = shot(board, FlowParams(row.model, FILE))
        for name in ("ngi", "vss", "chl", "volg"):
            assert getattr(row, name) == pytest.approx(getattr(alone.metrics, name).value, rel=1e-9), (row.model, name)
        if alone.flip.level is None:
            assert row.flip is None
            assert row.flip_net == alone.flip.net
        else:
            assert row.flip == pytest.approx(alone.flip.level, rel=1e-7)


def test_file_is_a_model_only_where_one_was_given() -> None:
    assert [row.model for row in shot(BOARD, FlowParams()).models] == ["flow", "naive", "short-all"]


def test_names_of_the_file_that_are_not_listed_are_counted() -> None:
    others = {"BTC-1JAN70-1-C": 3.0, "NOT-AN-OPTION": 1.0, "ETH-1JAN70-1-C": 1.0}
    said = shot(BOARD, FlowParams("file", {**FILE, **others})).unavailable
    assert f"2 of {len(FILE) + 2} positions of the file: not listed, left out" in said


def test_a_file_that_names_no_listed_option_leaves_positions_unknown() -> None:
    snapshot = shot(BOARD, FlowParams("file", {"BTC-1JAN70-1-C": 3.0}))
    assert snapshot.metrics.ngi.value is None
    assert snapshot.flip.level is None
    assert snapshot.positions.gross_coins == 0.0
    assert any("positions unknown, no option of the file is listed" in reason for reason in snapshot.unavailable)
    assert "1 of 1 positions of the file: not listed, left out" in snapshot.unavailable


def test_positions_option_by_option_carry_band_sign_and_last_print() -> None:
    shown = np.where(np.arange(N) == 0, 5.0, 0.0)
    snapshot = shot(replace(WHOLE, interest=shown, trades=trade_columns([0], [1], [5.0])))
    first, second = detail(snapshot).positions[:2]
    assert (first.name, first.strike, first.option_type) == (BOARD.names[0], BOARD.strike[0], "C")
    assert first.lo is not None
    assert first.hi is not None
    assert first.p_long is not None
    assert -5.0 <= first.lo <= first.net < 0.0
    assert first.net <= first.hi <= 5.0
    assert first.p_long < 0.5
    assert (first.seen, first.last_ns) == (1.0, NOW)
    assert (second.net, second.lo, second.hi, second.last_ns) == (0.0, 0.0, 0.0, None)
    naive = detail(shot(BOARD, FlowParams("naive"))).positions[0]
    assert (naive.net, naive.lo, naive.p_long, naive.seen) == (BOARD.open_interest[0], None, None, None)


def test_options_that_cannot_be_priced_have_no_row() -> None:
    sigma = BOARD.sigma.copy()
    sigma[4] = NAN
    rows = detail(shot(replace(BOARD, sigma=sigma))).positions
    assert BOARD.names[4] not in {row.name for row in rows}
    assert len(rows) == N - 1


def snapshot_after(change: np.ndarray, trades: ChainFrame) -> FlowSnapshot:
    later = BOARD.open_interest + change
    shown = {"open_interest": later, "interest": later, "interest_ns": np.full(N, NOW + 2 * SECOND)}
    return run([
        BOARD,
        replace(trades, ts_ns=NOW + SECOND),
        replace(BOARD, ts_ns=NOW + 2 * SECOND, **shown),
        replace(BOARD, ts_ns=NOW + 300 * SECOND, **shown),
    ])[1][-1]  # fmt: skip


def test_churn_is_the_move_of_open_interest_over_the_volume_behind_it() -> None:
    opened, half = np.zeros(N), np.zeros(N)
    opened[:] = 2.0
    half[: N // 3] = 1.0
    traded = replace(BOARD, trades=replace(PRINTS, exch_ns=np.full(N, NOW + SECOND)))
    assert snapshot_after(opened, traded).positions.churn == pytest.approx(1.0)
    assert snapshot_after(-opened, traded).positions.churn == pytest.approx(-1.0)
    part = snapshot_after(half, traded)
    assert part.positions.churn == pytest.approx(1.0 / 6.0)
    assert [row.churn for row in part.by_expiry] == pytest.approx([0.5, 0.0, 0.0])
    assert part.positions.residual == 0.0


def test_residual_is_what_moved_without_a_print() -> None:
    fell = np.zeros(N)
    fell[0] = -4.0
    said = snapshot_after(fell, BOARD)
    changed = float(BOARD.open_interest[0]) - 4.0
    assert said.positions.residual == said.by_expiry[0].residual == pytest.approx(4.0 / changed)
    assert [row.residual for row in said.by_expiry[1:]] == [None, None], (
        "nothing changed, so nothing could be unexplained"
    )
    assert said.positions.churn is None


@pytest.mark.parametrize("listed", [True, False])
def test_the_first_open_interest_is_no_change_and_leaves_the_residual_unknown(listed: bool) -> None:
    board = replace(BOARD, full_history=np.full(N, listed), trades=PRINTS)
    once = shot(board)
    rows = detail(once).positions
    assert {row.unexplained for row in rows} == {row.unexplained for row in once.by_expiry} == {None}
    assert {row.residual for row in once.by_expiry} == {once.positions.residual} == {None}
    assert once.positions.residual_of_change is None
    assert any(text.startswith("residual, unexplained: ") for text in once.unavailable)
    assert any(text.startswith("residual_of_change: ") for text in once.unavailable)


def test_expiries_carry_net_and_coverage_that_add_up() -> None:
    snapshot = shot(replace(BOARD, trades=PRINTS))
    rows = snapshot.by_expiry
    assert sum(row.net or 0.0 for row in rows) == pytest.approx(sum(p.net for p in detail(snapshot).positions))
    interest = np.array([row.open_interest for row in rows])
    covered = np.array([row.coverage for row in rows], np.float64)
    assert snapshot.positions.coverage == pytest.approx(float(interest @ covered / interest.sum()))


def test_bands_shrink_as_history_comes_in() -> None:
    first_print = trade_columns([0], [1], [0.01])
    state, before = step(FlowState.initial(), replace(BOARD, trades=first_print), market(), (), FlowParams(), 1)
    _, after = step(state, replace(WHOLE, ts_ns=NOW + SECOND, trades=PRINTS), market(), (), FlowParams(), 2)
    for name in ("ngi", "vss", "volg", "vega", "hpp", "psi"):
        old, new = getattr(before.metrics, name), getattr(after.metrics, name)
        assert new.hi - new.lo < 0.8 * (old.hi - old.lo), name
    assert before.positions.coverage == pytest.approx(0.0, abs=1e-3)
    assert after.positions.coverage == pytest.approx(1.0, abs=0.05), "all but that of the first option, seen before"


def known_sources(row: PositionRow | ExpiryRow) -> tuple[float, ...]:
    assert row.sources is not None
    values: tuple[float, ...] = structs.astuple(row.sources)
    return values


def test_sources_add_up_to_the_position_of_each_option_and_expiry() -> None:
    trades = replace(PRINTS, block=np.arange(N) % 4 == 0, combo=np.arange(N) % 4 == 1)
    later = BOARD.open_interest + np.where(np.arange(N) % 2, 2.0, -6.0)
    moved = replace(BOARD, open_interest=later, interest=later, interest_ns=np.full(N, NOW + 2 * SECOND))
    snapshot = run([
        replace(BOARD, full_history=np.arange(N) < 5),
        replace(BOARD, ts_ns=NOW + SECOND, trades=replace(trades, exch_ns=np.full(N, NOW + SECOND))),
        replace(moved, ts_ns=NOW + 2 * SECOND),
        replace(moved, ts_ns=NOW + 300 * SECOND),
    ])[1][-1]  # fmt: skip
    rows = detail(snapshot).positions
    everything: tuple[PositionRow | ExpiryRow, ...] = (*rows, *snapshot.by_expiry)
    for row in everything:
        assert sum(known_sources(row)) == pytest.approx(row.net, rel=1e-9, abs=1e-9)
    assert [row.full_history for row in rows] == [True] * 5 + [False] * (N - 5)
    for expiry in snapshot.by_expiry:
        inside = [row for row in rows if row.expiry == expiry.label]
        columns = np.array([known_sources(row) for row in inside])
        assert known_sources(expiry) == pytest.approx(tuple(columns.sum(axis=0)), abs=1e-9)
        assert expiry.full_history_net == pytest.approx(sum(row.net for row in inside if row.full_history))
        assert expiry.change == pytest.approx(sum(row.change or 0.0 for row in inside))
        assert expiry.unexplained == pytest.approx(sum(row.unexplained or 0.0 for row in inside))
    assert rows[0].sources is not None
    assert rows[1].sources is not None
    assert (rows[0].sources.screen, rows[0].sources.combo) == (0.0, 0.0), "its print was a block"
    assert rows[0].sources.block != 0.0
    assert rows[1].sources.combo != 0.0
    assert (rows[6].printed, rows[6].change, rows[6].unexplained) == pytest.approx((2.0, 6.0, 4.0))
    assert snapshot.positions.residual_of_change == pytest.approx(
        sum(row.unexplained or 0.0 for row in rows) / sum(row.change or 0.0 for row in rows)
    )
    assert snapshot.positions.faults


def test_a_convention_has_no_sources_and_says_why() -> None:
    snapshot = shot(BOARD, FlowParams("naive"))
    row = detail(snapshot).positions[0]
    assert (row.sources, row.full_history, row.printed, row.lost, row.change, row.unexplained) == (None,) * 6
    assert all(expiry.sources is None and expiry.full_history_net is None for expiry in snapshot.by_expiry)
    assert (snapshot.positions.residual_of_change, snapshot.positions.faults) == (None, {})
    assert any(text.startswith("sources, ") and "naive" in text for text in snapshot.unavailable)


def test_rows_written_before_there_were_sources_are_read() -> None:
    written = json.loads(to_json(shot(BOARD), "live", detail=True))
    for row in (*written["detail"]["positions"], *written["by_expiry"]):
        for name in ("sources", "full_history", "full_history_net", "printed", "lost", "change", "unexplained"):
            row.pop(name, None)
    for name in ("residual_of_change", "faults"):
        del written["positions"][name]
    read = from_json(json.dumps(written).encode())
    assert detail(read).positions[0].sources is None
    assert read.positions.faults == {}


@pytest.mark.parametrize(
    ("model", "decided", "side"),
    [("flow", True, "two-sided"), ("flow", False, "unsure"), ("flow", None, "unsure"), ("naive", None, "two-sided")],
)
def test_no_side_of_the_hedges_is_named_before_the_board_has_shown_its_sign(
    model: str, decided: bool | None, side: str
) -> None:
    amounts = {"+1 sd": (-2e6, -3e6, -1e6), "-1 sd": (2e6, 1e6, 3e6)}
    rows = [SimpleNamespace(name=name, value=v, lo=lo, hi=hi) for name, (v, lo, hi) in amounts.items()]
    tick: Any = SimpleNamespace(flows=SimpleNamespace(outlook=rows), model=model, decided=decided)
    assert scenario_values._side(tick) == side
