"""Prints that are kept: each once, whole again after a kill at any moment, forgotten when their option is long gone."""

from __future__ import annotations

import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from dfmon.model.events import OptionTrade
from dfmon.model.units import DAY, NAN
from dfmon.store import database
from dfmon.store.trades import Kept, Named, TradeStore, TradeStoreError, row_of

NOW = 1_795_305_600_000_000_000
CALL = Named("BTC-27NOV26-95000-C", "BTC", NOW + 5 * DAY)
PUT = Named("BTC-27NOV26-88000-P", "BTC", NOW + 5 * DAY)


def prints(first: int, last: int, name: str = CALL.name) -> list[OptionTrade]:
    return [
        OptionTrade(
            "deribit", name, f"t{seq}", seq, NOW - DAY + seq, 1 if seq % 3 else -1, 0.0123 * seq, 0.1 * seq,
            NAN if seq % 5 == 0 else 0.4969, 91_000.31, seq % 7 == 0, seq % 14 == 0, seq % 2 == 0,
            "T" if seq == 4 else "", f"e{seq // 2}" if seq % 2 == 0 else "",
        )
        for seq in range(first, last + 1)
    ]  # fmt: skip


def store(path: Path, **settings: object) -> TradeStore:
    return TradeStore(path / "trades.sqlite", clock=lambda: NOW, every_s=None, **settings)  # type: ignore[arg-type]


def test_prints_come_back_as_they_were(tmp_path: Path) -> None:
    with store(tmp_path) as kept:
        kept.append(CALL, prints(1, 30))
        rows = kept.read(CALL.name, 30)
    assert [repr(row) for row in rows] == [repr(row_of(trade)) for trade in prints(1, 30)]
    assert (tmp_path / "trades.sqlite").stat().st_mode & 0o777 == 0o600


def test_what_is_kept_is_told_up_to_the_first_gap(tmp_path: Path) -> None:
    with store(tmp_path) as kept:
        kept.append(CALL, [*prints(1, 4), *prints(6, 9)])
        kept.append(PUT, prints(3, 5, PUT.name))
        assert kept.kept() == {
            CALL.name: Kept("BTC", 4, NOW - DAY + 9, 0),
            PUT.name: Kept("BTC", 0, NOW - DAY + 5, 0),
        }
        kept.append(CALL, prints(5, 5))
        assert kept.kept()[CALL.name].whole == 9


def test_a_history_that_was_read_to_its_end_says_when_be_it_empty(tmp_path: Path) -> None:
    with store(tmp_path) as kept:
        kept.append(CALL, prints(1, 2), NOW)
        kept.append(PUT, [], NOW + 1)
        assert kept.kept() == {CALL.name: Kept("BTC", 2, NOW - DAY + 2, NOW), PUT.name: Kept("BTC", 0, 0, NOW + 1)}


def test_a_print_that_comes_twice_is_kept_once(tmp_path: Path) -> None:
    with store(tmp_path) as kept:
        for _ in range(3):
            kept.append(CALL, prints(1, 5))
            kept.flush()
        assert len(kept.read(CALL.name, 99)) == 5


def test_options_that_expired_long_ago_are_forgotten_at_the_start(tmp_path: Path) -> None:
    gone, recent = Named("BTC-1OCT26-1-C", "BTC", NOW - 36 * DAY), Named("BTC-1NOV26-1-C", "BTC", NOW - 34 * DAY)
    with store(tmp_path) as kept:
        for option in (gone, recent):
            kept.append(option, prints(1, 3, option.name))
    with store(tmp_path, keep_days=35.0) as kept:
        assert set(kept.kept()) == {recent.name}
        assert kept.read(gone.name, 9) == []


def test_dropped_prints_can_be_kept_anew(tmp_path: Path) -> None:
    with store(tmp_path) as kept:
        kept.append(CALL, prints(1, 5))
        kept.flush()
        kept.drop([CALL.name])
        kept.append(CALL, prints(1, 2))
        assert kept.kept()[CALL.name].whole == 2


def test_what_cannot_be_taken_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dfmon.store.trades._MOST_PENDING", 5)
    with store(tmp_path) as kept:
        kept.append(CALL, prints(1, 4))
        kept.append(CALL, prints(5, 6))
        assert kept.dropped == 2
        assert kept.kept()[CALL.name].whole == 4


def test_a_locked_store_is_tried_again_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_BUSY_S", 0.0)
    with store(tmp_path) as kept:
        other = sqlite3.connect(tmp_path / "trades.sqlite")
        other.execute("BEGIN IMMEDIATE")
        kept.append(CALL, prints(1, 3))
        kept.flush()
        other.rollback()
        other.close()
        assert kept.failed is None
        assert kept.kept()[CALL.name].whole == 3


def test_what_waits_for_a_locked_store_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also by what is appended while a flush waits in vain: the newest does not fit, and is counted."""
    monkeypatch.setattr(database, "_BUSY_S", 0.0)
    monkeypatch.setattr("dfmon.store.trades._MOST_PENDING", 5)
    with store(tmp_path) as kept:
        other = sqlite3.connect(tmp_path / "trades.sqlite")
        other.execute("BEGIN IMMEDIATE")
        kept.append(CALL, prints(1, 4))
        monkeypatch.setattr(kept, "_undone", lambda: kept.append(CALL, prints(5, 8), read_ns=7))
        kept.flush()
        monkeypatch.undo()
        other.rollback()
        other.close()
        assert (kept.failed, kept.dropped) == (None, 3)
        found = kept.kept()[CALL.name]
        assert (found.whole, found.read_ns) == (5, 0), "a history that lost prints does not count as read"


def test_a_damaged_store_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "trades.sqlite").write_bytes(b"no database at all, but long enough to be looked at" * 40)
    with pytest.raises(TradeStoreError, match=r"damaged or not a trade store: .*; move it away to begin a new one"):
        store(tmp_path)


def test_another_kind_of_database_is_not_touched(tmp_path: Path) -> None:
    from dfmon.store.history import History

    History(tmp_path / "trades.sqlite").close()
    with pytest.raises(TradeStoreError, match="database of another program"):
        store(tmp_path)


WRITER = """
import sys
from pathlib import Path
from tests.store.test_trades import CALL, PUT, prints, store
kept = store(Path(sys.argv[1]))
whole = kept.kept()
reached = {name: whole[name].whole if name in whole else 0 for name in (CALL.name, PUT.name)}
print("ready", flush=True)
while min(reached.values()) < 12_000:
    for option in (CALL, PUT):
        first = reached[option.name] + 1
        kept.append(option, prints(first, first + 36, option.name))
        reached[option.name] += 37
    kept.flush()
kept.close()
"""


@pytest.mark.slow
def test_a_kill_at_any_moment_leaves_whole_pages_and_the_rest_can_be_gone_on_with(tmp_path: Path) -> None:
    """Started again and again, killed after a random time, until it has come to its end by itself."""
    draw, kills = random.Random(7), 0
    for _ in range(60):
        command = [sys.executable, "-c", WRITER, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == b"ready\n"
            try:
                if child.wait(draw.uniform(0.0, 0.05) if kills < 12 else 60.0) == 0:
                    break
            except subprocess.TimeoutExpired:
                child.send_signal(signal.SIGKILL)
                child.wait()
                kills += 1
        _check(tmp_path)
    assert kills >= 5
    with store(tmp_path) as kept:
        for option in (CALL, PUT):
            whole = kept.kept()[option.name].whole
            assert whole >= 12_000
            assert [repr(row) for row in kept.read(option.name, whole)] == [
                repr(row_of(trade)) for trade in prints(1, whole, option.name)
            ]


def _check(folder: Path) -> None:
    """Whatever is there is sound, and both options end with a whole page."""
    with sqlite3.connect(folder / "trades.sqlite") as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        for (count,) in db.execute("SELECT count(*) FROM prints GROUP BY option"):
            assert count % 37 == 0
    db.close()


def test_a_write_that_was_torn_at_any_byte_leaves_the_transactions_before_it(tmp_path: Path) -> None:
    kept = store(tmp_path)
    for page in range(6):
        kept.append(CALL, prints(1 + 10 * page, 10 + 10 * page))
        kept.flush()
    torn = tmp_path / "torn"
    wal = (tmp_path / "trades.sqlite-wal").read_bytes()
    seen = set()
    for length in [*range(0, len(wal), 1237), len(wal)]:
        shutil.rmtree(torn, ignore_errors=True)
        torn.mkdir()
        shutil.copy(tmp_path / "trades.sqlite", torn)
        (torn / "trades.sqlite-wal").write_bytes(wal[:length])
        try:
            with store(torn) as again:
                found = again.kept()
                whole = found[CALL.name].whole if found else 0
                assert len(again.read(CALL.name, 99)) == whole
        except TradeStoreError as exc:  # the very first page of the file was not written
            pytest.fail(str(exc))
        assert whole % 10 == 0
        seen.add(whole)
    kept.close()
    assert seen == {0, 10, 20, 30, 40, 50, 60}
