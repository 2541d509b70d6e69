"""CME's settlements as boards: volatilities, coins, forwards and times of files built from the documented layouts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dfmon.evidence.cme_file import read_cme
from dfmon.model.errors import UsageError
from tests.evidence.cme_files import EXPIRY_NS, OPTIONS, SETTLED_NS, Option, older_table, settlements, written


@pytest.mark.parametrize("lines", [settlements(), older_table()], ids=["settlements", "older"])
def test_options_are_those_that_were_written(tmp_path: Path, lines: list[str]) -> None:
    file = read_cme(written(tmp_path / "cme.csv", lines))
    ((name, _), board) = next(iter(file.boards.items()))
    assert name == "BTC"
    assert not file.skipped
    assert not file.notes
    assert board.ts_ns == SETTLED_NS
    assert set(board.expiry_ns.tolist()) == {EXPIRY_NS}
    assert board.spot == 90_000.0
    np.testing.assert_allclose(board.sigma, [o.sigma for o in OPTIONS], rtol=1e-9)
    np.testing.assert_allclose(board.open_interest, [200.0] * 10 + [30.0] * 10)
    np.testing.assert_array_equal(board.option_type, [o.sign for o in OPTIONS])


def test_ether_and_rows_of_other_products(tmp_path: Path) -> None:
    ether = [Option("ETH", 3_000.0, 1, 2, forward=3_100.0), Option("MET", 3_000.0, -1, 30, forward=3_100.0)]
    corn = settlements([Option("ZC", 450.0, 1, 9, forward=455.0)])[1:]
    file = read_cme(written(tmp_path / "cme.csv", [*settlements(ether), *corn]))
    (board,) = file.boards.values()
    assert next(iter(file.boards))[0] == "ETH"
    assert board.open_interest.tolist() == [100.0, 3.0]


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    lines = settlements()
    cells = [line.split(",") for line in lines]
    columns = {name: at for at, name in enumerate(cells[0])}
    cells[4][columns["SettlePrice"]] = '""'
    cells[5][columns["UndlyMMY"]] = '"202603"'
    cells[6][columns["MatDt"]] = '"2026-13-40"'
    cells[3][columns["SettlePrice"]] = '"1.0"'  # far below intrinsic
    cells[8][columns["PrevDayOI"]] = '""'
    cells[9][columns["PrevDayOI"]] = '"-100"'
    cells.append(cells[10])
    file = read_cme(written(tmp_path / "cme.csv", [",".join(row) for row in cells]))
    (board,) = file.boards.values()
    assert board.strike.size == len(OPTIONS) - 5
    assert file.skipped == {
        "options that are repeated, of which the first counts": 1,
        "options whose open interest is no number of contracts": 1,
        "options whose future has no settlement in the file": 1,
        "options whose settlement price no volatility gives": 1,
        "options without a settlement price": 1,
        "options without open interest, counted as 0": 1,
        "options without strike, call or put, or expiry": 1,
    }
    assert np.isnan(board.open_interest).sum() == 1


def test_new_column_is_named_and_costs_nothing(tmp_path: Path) -> None:
    lines = [f"{line},{'NewThing' if not n else 7}" for n, line in enumerate(settlements())]
    file = read_cme(written(tmp_path / "cme.csv", lines))
    (note,) = file.notes  # a long path is cut at its beginning
    assert note.endswith("/cme.csv: columns that are not read: NewThing")
    assert len(file.boards) == 1


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (settlements(day="2026-02-30"), "BizDt is '2026-02-30', a day such as 2026-01-22 is expected"),
        (["name,price", "BTC,1"], "is neither CME's end-of-day settlements nor CME's table"),
        ([line.replace("SettlePrice", "Settled") for line in settlements()], "has no column SettlePrice of CME's"),
        ([line.replace('"MBT"', '"XYZ"').replace('"BTC"', '"ABC"') for line in settlements()], "that can be priced"),
        ([line.replace('"80000.0"', '"8x"') for line in settlements()], "StrkPx is '8x', a number is expected"),
        (settlements()[:1] + settlements()[3:], "20 options whose future has no settlement in the file"),
        (["BizDt"], "has no column ID"),
    ],
)
def test_bad_file_is_one_sentence(tmp_path: Path, lines: list[str], sentence: str) -> None:
    with pytest.raises(UsageError, match="cme") as caught:
        read_cme(written(tmp_path / "cme.csv", lines))
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
