"""`dfmon import` and `dfmon compare venues` from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dfmon.store.trades import TradeStore
from tests.cli.commands import run
from tests.evidence.cme_files import deribit_board, settlements, written

TRADES = [
    "q,p,t,trade_seq,trade_id,iv,instrument_name,index_price,direction,block_trade_id",
    "0.6,0.0165,1769000000000,1,1001,61.5,BTC-30JAN26-90000-P,89786,sell,",
    "0.6,0.0165,1769000000000,1,1001,61.5,BTC-30JAN26-90000-P,89786,sell,",
    "2.5,0.0170,1769000001000,2,1002,61.9,BTC-30JAN26-90000-P,89790,buy,BLOCK-7",
    "1.0,0.0020,1769000002000,9,1003,70.1,BTC-30JAN26-99000-C,89790,buy,",
    "10,89790,1769000002000,9,1004,,BTC-PERPETUAL,89790,buy,",
]


def test_cme_alone_and_beside_a_board(tmp_path: Path) -> None:
    cme, board = written(tmp_path / "cme.csv", settlements()), deribit_board(tmp_path / "board.csv")
    alone = run("import", "cme", cme)
    assert alone.returncode == 0
    assert "20 options of 1 expiries, 2,300 coins" in alone.stdout
    paired = run("import", "cme", cme, "--board", board)
    assert paired.returncode == 0
    assert "share of CME in open interest: 69.7 %" in paired.stdout
    assert "30JAN26" in paired.stdout
    assert all(len(line) <= 120 for line in paired.stdout.splitlines())


def test_venues_as_text_and_lines(tmp_path: Path) -> None:
    first, second = deribit_board(tmp_path / "first.csv"), deribit_board(tmp_path / "second.csv")
    assert "correlation of the naive profiles, spot within 20 %: 1.00" in run(
        "compare", "venues", first, "--other", second
    ).stdout  # fmt: skip
    (line,) = run("compare", "venues", first, "--other", second, "--json").stdout.splitlines()
    assert json.loads(line)["share"] == 0.5


def test_trades_are_stored_once(tmp_path: Path) -> None:
    late = TRADES[1].replace("1769000000000", "1800000004000")
    path = written(tmp_path / "trades.csv", [*TRADES, late])
    environ = {"HOME": str(tmp_path), "DFMON_HISTORY_PATH": str(tmp_path / "history.sqlite")}
    environ["DFMON_HISTORY_KEEP_DAYS"] = "3650"
    done = run("import", "deribit-csv", path, **environ)
    assert done.returncode == 0, done.stderr
    assert "3 prints of 2 options" in done.stdout
    assert "1 of these options are whole from their first print on, 0 were in the store before" in done.stdout
    assert "1 rows that repeat a print" in done.stdout
    assert "1 rows dated at or after the expiry of their option, left out" in done.stdout
    assert "1 rows of contracts that are no options" in done.stdout
    again = run("import", "deribit-csv", path, **environ)
    assert "2 were in the store before" in again.stdout
    (stored,) = tmp_path.rglob("trades.sqlite")
    with TradeStore(stored, keep_days=3_650.0, flush_interval_s=None) as store:
        rows = store.read_rows("BTC-30JAN26-90000-P", 2)
    assert [(row[0], row[3], row[5], row[8]) for row in rows] == [("1001", -1, 0.6, False), ("1002", 1, 2.5, True)]


@pytest.mark.parametrize(
    ("arguments", "lines", "sentence"),
    [
        (["import", "cme"], ["a,b", "1,2"], "is neither CME's"),
        (["import", "deribit-csv"], ["a,b", "1,2"], "has no column instrument_name, timestamp"),
        (["import", "deribit-csv"], [TRADES[0], TRADES[1].replace("sell", "up")], "row 1: direction is 'up'"),
        (
            ["import", "deribit-csv"],
            [TRADES[0], TRADES[1].replace("30JAN", "31FEB")],
            "names a day that does not exist",
        ),
        (["import", "deribit-csv"], [TRADES[0], TRADES[1].replace("1769000000000", "soon")], "row 1 is no print"),
        (["import", "deribit-csv"], [TRADES[0], TRADES[-1]], "has no print of an option"),
        (
            ["import", "deribit-csv"],
            [TRADES[0], TRADES[1].replace("1769000000000", "1800000004000")],
            "before its expiry",
        ),
        (["compare", "venues"], ["a,b", "1,2"], "needs --other FILE"),
        (["compare", "okx", "--json"], ["a,b", "1,2"], "takes no --other and no --json"),
    ],
)
def test_bad_file_is_one_sentence(tmp_path: Path, arguments: list[str], lines: list[str], sentence: str) -> None:
    path = written(tmp_path / "file.csv", lines)
    done = run(*arguments[:2], path, *arguments[2:], HOME=str(tmp_path))
    assert done.returncode == 2
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
