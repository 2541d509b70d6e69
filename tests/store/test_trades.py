"""Prints that are kept: each once, whole again after a kill at any moment, forgotten when their option is long gone."""

from __future__ import annotations

import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dfmon.model.events import OptionTrade
from dfmon.model.units import DAY, NAN
from dfmon.store import database
from dfmon.store.trades import OptionKey, StoredTrades, TradeStore, TradeStoreError, row_from_trade

NOW = 1_795_305_600_000_000_000
CALL = OptionKey("BTC-27NOV26-95000-C", "BTC", NOW + 5 * DAY)
PUT = OptionKey("BTC-27NOV26-88000-P", "BTC", NOW + 5 * DAY)


def prints(first: int, last: int, name: str = CALL.name) -> list[OptionTrade]:
    return [
        OptionTrade(
            "deribit", name, f"t{seq}", seq, NOW - DAY + seq, 1 if seq % 3 else -1, 0.0123 * seq, 0.1 * seq,
            NAN if seq % 5 == 0 else 0.4969, 91_000.31, seq % 7 == 0, seq % 14 == 0, seq % 2 == 0,
            "T" if seq == 4 else "", f"e{seq // 2}" if seq % 2 == 0 else "",
        )
        for seq in range(first, last + 1)
    ]  # fmt: skip


def open_store(path: Path, **settings: Any) -> TradeStore:
    return TradeStore(path / "trades.sqlite", clock=lambda: NOW, flush_interval_s=None, **settings)


def test_prints_come_back_as_they_were(tmp_path: Path) -> None:
    with open_store(tmp_path) as stored:
        stored.append_trades(CALL, prints(1, 30))
        rows = stored.read_rows(CALL.name, 30)
    assert [repr(row) for row in rows] == [repr(row_from_trade(trade)) for trade in prints(1, 30)]
    assert (tmp_path / "trades.sqlite").stat().st_mode & 0o777 == 0o600


def test_what_is_kept_is_told_up_to_the_first_gap(tmp_path: Path) -> None:
    with open_store(tmp_path) as stored:
        stored.append_trades(CALL, [*prints(1, 4), *prints(6, 9)])
        stored.append_trades(PUT, prints(3, 5, PUT.name))
        assert stored.stored() == {
            CALL.name: StoredTrades("BTC", 4, NOW - DAY + 9, 0),
            PUT.name: StoredTrades("BTC", 0, NOW - DAY + 5, 0),
        }
        stored.append_trades(CALL, prints(5, 5))
        assert stored.stored()[CALL.name].contiguous_count == 9


def test_a_history_that_was_read_to_its_end_says_when_be_it_empty(tmp_path: Path) -> None:
    with open_store(tmp_path) as stored:
        stored.append_trades(CALL, prints(1, 2), NOW)
        stored.append_trades(PUT, [], NOW + 1)
        assert stored.stored() == {
            CALL.name: StoredTrades("BTC", 2, NOW - DAY + 2, NOW),
            PUT.name: StoredTrades("BTC", 0, 0, NOW + 1),
        }


def test_a_print_that_comes_twice_is_kept_once(tmp_path: Path) -> None:
    with open_store(tmp_path) as stored:
        for _ in range(3):
            stored.append_trades(CALL, prints(1, 5))
            stored.flush()
        assert len(stored.read_rows(CALL.name, 99)) == 5


def test_options_that_expired_long_ago_are_forgotten_at_the_start(tmp_path: Path) -> None:
    expired, unexpired = (
        OptionKey("BTC-1OCT26-1-C", "BTC", NOW - 36 * DAY),
        OptionKey("BTC-1NOV26-1-C", "BTC", NOW - 34 * DAY),
    )
    with open_store(tmp_path) as stored:
        for option in (expired, unexpired):
            stored.append_trades(option, prints(1, 3, option.name))
    with open_store(tmp_path, keep_days=35.0) as stored:
        assert set(stored.stored()) == {unexpired.name}
        assert stored.read_rows(expired.name, 9) == []


def test_dropped_prints_can_be_kept_anew(tmp_path: Path) -> None:
    with open_store(tmp_path) as stored:
        stored.append_trades(CALL, prints(1, 5))
        stored.flush()
        stored.drop_options([CALL.name])
        stored.append_trades(CALL, prints(1, 2))
        assert stored.stored()[CALL.name].contiguous_count == 2


def test_what_cannot_be_taken_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dfmon.store.trades._MAX_PENDING", 5)
    with open_store(tmp_path) as stored:
        stored.append_trades(CALL, prints(1, 4))
        stored.append_trades(CALL, prints(5, 6))
        assert stored.dropped == 2
        assert stored.stored()[CALL.name].contiguous_count == 4


def test_a_locked_store_is_tried_again_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_BUSY_TIMEOUT_S", 0.0)
    with open_store(tmp_path) as stored:
        blocker = sqlite3.connect(tmp_path / "trades.sqlite")
        blocker.execute("BEGIN IMMEDIATE")
        stored.append_trades(CALL, prints(1, 3))
        stored.flush()
        blocker.rollback()
        blocker.close()
        assert stored.failure is None
        assert stored.stored()[CALL.name].contiguous_count == 3


def test_what_waits_for_a_locked_store_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also by what is appended while a flush waits in vain: the newest does not fit, and is counted."""
    monkeypatch.setattr(database, "_BUSY_TIMEOUT_S", 0.0)
    monkeypatch.setattr("dfmon.store.trades._MAX_PENDING", 5)
    with open_store(tmp_path) as stored:
        blocker = sqlite3.connect(tmp_path / "trades.sqlite")
        blocker.execute("BEGIN IMMEDIATE")
        stored.append_trades(CALL, prints(1, 4))
        monkeypatch.setattr(stored, "_on_rollback", lambda: stored.append_trades(CALL, prints(5, 8), read_ns=7))
        stored.flush()
        monkeypatch.undo()
        blocker.rollback()
        blocker.close()
        assert (stored.failure, stored.dropped) == (None, 3)
        found = stored.stored()[CALL.name]
        assert (found.contiguous_count, found.read_ns) == (5, 0), "a history that lost prints does not count as read"


def test_a_file_that_is_no_database_is_moved_aside(tmp_path: Path) -> None:
    content = b"no database at all, but long enough to be looked at" * 40
    (tmp_path / "trades.sqlite").write_bytes(content)
    with open_store(tmp_path) as stored:
        assert stored.notice is not None
        assert re.fullmatch(
            r".*trades\.sqlite was damaged \(file is not a database\): moved to trades\.sqlite\.damaged-\d{8}T\d{6}Z,"
            " a new trade store begins",
            stored.notice,
        )
        stored.append_trades(CALL, prints(1, 4))
        assert stored.stored()[CALL.name].contiguous_count == 4
    (moved,) = tmp_path.glob("*.damaged-*")
    assert moved.read_bytes() == content


def test_another_kind_of_database_is_not_touched(tmp_path: Path) -> None:
    from dfmon.store.history import History

    History(tmp_path / "trades.sqlite").close()
    with pytest.raises(TradeStoreError, match="database of another program"):
        open_store(tmp_path)


WRITER_SCRIPT = """
import sys
from pathlib import Path
from tests.store.test_trades import CALL, PUT, prints, open_store
stored = open_store(Path(sys.argv[1]))
stored_trades = stored.stored()
reached = {name: stored_trades[name].contiguous_count if name in stored_trades else 0 for name in (CALL.name, PUT.name)}
print("ready", flush=True)
while min(reached.values()) < 12_000:
    for option in (CALL, PUT):
        first = reached[option.name] + 1
        stored.append_trades(option, prints(first, first + 36, option.name))
        reached[option.name] += 37
    stored.flush()
stored.close()
"""


@pytest.mark.slow
def test_a_kill_at_any_moment_leaves_whole_pages_and_the_rest_can_be_gone_on_with(tmp_path: Path) -> None:
    """Started again and again, killed after a random time, until it has come to its end by itself."""
    rng, kills = random.Random(7), 0
    for _ in range(60):
        command = [sys.executable, "-c", WRITER_SCRIPT, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == b"ready\n"
            try:
                if child.wait(rng.uniform(0.0, 0.05) if kills < 12 else 60.0) == 0:
                    break
            except subprocess.TimeoutExpired:
                child.send_signal(signal.SIGKILL)
                child.wait()
                kills += 1
        _check_integrity(tmp_path)
    assert kills >= 5
    with open_store(tmp_path) as stored:
        for option in (CALL, PUT):
            contiguous_count = stored.stored()[option.name].contiguous_count
            assert contiguous_count >= 12_000
            assert [repr(row) for row in stored.read_rows(option.name, contiguous_count)] == [
                repr(row_from_trade(trade)) for trade in prints(1, contiguous_count, option.name)
            ]


def _check_integrity(directory: Path) -> None:
    """Whatever is there is sound, and both options end with a whole page."""
    with sqlite3.connect(directory / "trades.sqlite") as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        for (count,) in db.execute("SELECT count(*) FROM prints GROUP BY option"):
            assert count % 37 == 0
    db.close()


def test_a_write_that_was_torn_at_any_byte_leaves_the_transactions_before_it(tmp_path: Path) -> None:
    stored = open_store(tmp_path)
    for batch in range(6):
        stored.append_trades(CALL, prints(1 + 10 * batch, 10 + 10 * batch))
        stored.flush()
    torn_directory = tmp_path / "torn"
    wal = (tmp_path / "trades.sqlite-wal").read_bytes()
    seen = set()
    for length in [*range(0, len(wal), 1237), len(wal)]:
        shutil.rmtree(torn_directory, ignore_errors=True)
        torn_directory.mkdir()
        shutil.copy(tmp_path / "trades.sqlite", torn_directory)
        (torn_directory / "trades.sqlite-wal").write_bytes(wal[:length])
        try:
            with open_store(torn_directory) as reopened:
                found = reopened.stored()
                contiguous_count = found[CALL.name].contiguous_count if found else 0
                assert len(reopened.read_rows(CALL.name, 99)) == contiguous_count
        except TradeStoreError as exc:  # the very first page of the file was not written
            pytest.fail(str(exc))
        assert contiguous_count % 10 == 0
        seen.add(contiguous_count)
    stored.close()
    assert seen == {0, 10, 20, 30, 40, 50, 60}
