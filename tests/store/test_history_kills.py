"""An embedded history whose writer is killed while it folds, whose disk is full, and that two programs would write."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from dfmon.model.units import HOUR, MINUTE
from dfmon.store.history import HistoryReader
from tests.store.test_history import START, open_history, row
from tests.store.test_history_rollups import check

MINUTES_A_FLUSH = 7
_WRITER = """
import sys
from contextlib import closing
from pathlib import Path
from tests.store.test_history import open_history, row
path, first = Path(sys.argv[1]), int(sys.argv[2])
with open_history(path) as history:
    while True:  # an hour is folded every ninth flush
        for n in range(first, first + {step}):
            history.append_row("BTC", row(n, 60))
        history.flush()
        first += {step}
        print(first, flush=True)
"""


@pytest.mark.slow
def test_kills_during_folds_cost_no_row_and_double_none(tmp_path: Path) -> None:
    path, first = tmp_path / "h.db", 0
    rng = random.Random(5)
    for _ in range(6):
        command = [sys.executable, "-c", _WRITER.format(step=MINUTES_A_FLUSH), str(path), str(first)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            for _ in range(rng.randrange(20, 60)):
                first = int(writer.stdout.readline())
            writer.kill()
            rest = writer.stdout.read().split("\n")
        first = max([first, *(int(text) for text in rest[:-1])])
        with HistoryReader(path) as reader:
            times = reader.columns("BTC", 0, ["ngi"])["ts_ns"]
            flushed = START + MINUTE * np.arange(len(times))
            np.testing.assert_array_equal(times, flushed)
            assert len(times) - first in (0, MINUTES_A_FLUSH), "the last flush is there as a whole or not at all"
            first = len(times)
    rows = [row(n, 60) for n in range(first)]
    with open_history(path, START + first * MINUTE + HOUR), HistoryReader(path) as reader:
        for span in ("minutes", "hours"):
            check(reader.rollups("BTC", span, 0, ["ngi", "spot"]), rows, span, ["ngi", "spot"])


def test_a_full_disk_ends_the_history_with_every_row_accounted_for(tmp_path: Path) -> None:
    path = tmp_path / "h.db"
    with open_history(path) as history:
        for n in range(200):
            history.append_row("BTC", row(n))
        history.flush()
        database: sqlite3.Connection = history._db
        database.execute(f"PRAGMA max_page_count = {database.execute('PRAGMA page_count').fetchone()[0] + 2}")
        for n in range(200, 1200):
            history.append_row("BTC", row(n))
            if n % 100 == 0:
                history.flush()
        history.flush()
        assert "database or disk is full" in str(history.failure)
        with HistoryReader(path) as reader:
            stored = len(reader.columns("BTC", 0, ["ngi"])["ts_ns"])
        assert stored + history.dropped == 1200


def test_a_second_writer_waits_for_the_end_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "h.db"
    first, second = [row(n, 60) for n in range(0, 400, 2)], [row(n, 60) for n in range(1, 400, 2)]
    with open_history(path, START + 9 * HOUR) as other:
        with open_history(path) as one:
            for left, right in zip(first, second[:-50]):
                one.append_row("BTC", left)
                one.flush()
                other.append_row("BTC", right)
                other.append_row("ETH", right)  # which nothing else writes
                other.flush()
            assert str(other.waiting) == f"another dfmon writes BTC in {path}; this one only reads it"
            assert (one.waiting, one.ceded, other.ceded) == (None, 0, 150)
        for right in second[-50:]:
            other.append_row("BTC", right)
        other.flush()
        assert (other.waiting, other.ceded, one.dropped, other.dropped, other.failure) == (None, 150, 0, 0, None)
    kept = [*first[:150], *second[-50:]]
    with open_history(path, START + 9 * HOUR), HistoryReader(path) as reader:
        assert [found.ts_ns for found in reader.rows_since("BTC", 0)] == [each.ts_ns for each in kept]
        assert len(reader.rows_since("ETH", 0)) == 150
        check(reader.rollups("BTC", "hours", 0, ["ngi"]), kept, "hours", ["ngi"])


def test_a_killed_writer_is_followed_by_the_next(tmp_path: Path) -> None:
    path = tmp_path / "h.db"
    with open_history(path) as history:
        command = [sys.executable, "-c", _WRITER.format(step=1), str(path), "0"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline(), "the other writes"
            history.append_row("BTC", row(0, 60, ngi=1e9))
            history.flush()
            assert history.ceded == 1
            writer.kill()
        history.append_row("BTC", row(10_000, 60, ngi=1e9))
        history.flush()
        assert (history.ceded, history.dropped, history.waiting) == (1, 0, None)
        assert [found.ngi == 1e9 for found in history.rows_since("BTC", 0)][-1]


def test_a_file_that_another_program_has_locked_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dfmon.store.database._BUSY_TIMEOUT_S", 0.0)
    path = tmp_path / "h.db"
    with open_history(path) as history:
        with closing(sqlite3.connect(path)) as other:
            other.execute("BEGIN IMMEDIATE")
            history.append_row("BTC", row(0))
            history.flush()
            assert "is locked by another program" in str(history.waiting)
        history.flush()
        assert (history.waiting, history.dropped, history.failure) == (None, 0, None)
        assert [found.ts_ns for found in history.rows_since("BTC", 0)] == [START]
