"""`dfmon record-book` and `dfmon verify-book` from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.commands import run
from tests.evidence.cme_files import deribit_board

pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")


def test_board_is_recorded_and_verified(tmp_path: Path) -> None:
    board, folder = deribit_board(tmp_path / "board.csv"), tmp_path / "books"
    recorded = run("record-book", folder, board, "--positions", "naive")
    assert recorded.returncode == 0, recorded.stderr
    assert recorded.stdout.startswith("book-BTC-naive-2026-01-22.parquet recorded; last line ")
    head = recorded.stdout.split()[-1]
    verified = run("verify-book", folder, "--head", head)
    assert verified.stdout.startswith("1 books, 2026-01-22 to 2026-01-22, as they were recorded")
    (folder / "book-BTC-naive-2026-01-22.parquet").write_bytes(b"")
    changed = run("verify-book", folder)
    assert changed.returncode == 1
    assert changed.stderr == "dfmon: book-BTC-naive-2026-01-22.parquet was changed\n"


def test_each_coin_that_is_named_has_its_record(tmp_path: Path) -> None:
    board, folder = deribit_board(tmp_path / "board.csv"), tmp_path / "books"
    header, *rows = board.read_text(encoding="utf-8").splitlines()
    both = [header, *rows, *(row.replace("BTC", "ETH") for row in rows)]
    board.write_text("\n".join(both) + "\n", encoding="utf-8")
    recorded = run("record-book", folder, board, "--positions", "naive", "--currency", "BTC,ETH")
    assert recorded.returncode == 0, recorded.stderr
    assert [line.split()[0] for line in recorded.stdout.splitlines()] == [
        "book-BTC-naive-2026-01-22.parquet",
        "book-ETH-naive-2026-01-22.parquet",
    ]
    assert run("verify-book", folder).returncode == 0
