"""Damaged files: the monitor starts, moves the file aside, says so, and goes on."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import damage_stores
import pytest

from dfmon.config import Config, HistorySection
from dfmon.engine.hub import SnapshotHub
from dfmon.runtime.live_session import LiveSession
from dfmon.runtime.stores import exchange_folder, open_history, open_trades
from dfmon.store.damage import set_aside
from dfmon.store.history import History
from dfmon.store.history_file import HistoryError
from dfmon.store.trades import TradeStore
from tests.store.test_trades import CALL, prints


def test_a_file_goes_aside_with_its_journal_and_under_a_name_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    for number in range(3):
        path.write_text(f"{number}")
        path.with_name("s.sqlite-wal").write_text(f"journal {number}")
        moved = set_aside(path, ("-wal", "-shm"))
        assert moved.name.startswith("s.sqlite.damaged-20")
        assert moved.read_text() == f"{number}"
        assert moved.with_name(f"{moved.name}-wal").read_text() == f"journal {number}"
    assert len(list(tmp_path.iterdir())) == 6


@pytest.mark.slow
def test_starts_after_random_damages() -> None:
    """A part of the thousand that benchmarks/damage_stores.py makes."""
    assert sum(damage_stores.run(40, seed=7).values()) == 40


def damage_prints(path: Path) -> None:
    """Prints whose pages are noise, in a file that opens."""
    with TradeStore(path, flush_interval_s=None) as store:
        store.append_trades(CALL, prints(1, 2000))
    data = bytearray(path.read_bytes())
    data[3 * 4096 :] = os.urandom(len(data) - 3 * 4096)
    path.write_bytes(data)


def test_a_damage_that_is_met_while_reading_begins_a_new_file(tmp_path: Path) -> None:
    path = tmp_path / "trades.sqlite"
    damage_prints(path)
    with TradeStore(path, flush_interval_s=None) as store:
        store.stored()
        assert store.notice is not None
        assert "trades.sqlite was damaged (database disk image is malformed): moved to " in store.notice
        assert (store.newest_ms(), store.read_rows(CALL.name, 5), store.failure) == ({}, [], None)
        store.append_trades(CALL, prints(1, 3))
        assert store.stored()[CALL.name].contiguous_count == 3


def test_values_of_another_kind_are_damage(tmp_path: Path) -> None:
    path = tmp_path / "trades.sqlite"
    TradeStore(path, flush_interval_s=None).close()
    db = sqlite3.connect(path)
    db.execute("INSERT INTO options VALUES (1, x'ff', NULL, 'never', 0)")
    db.commit()
    db.close()
    with TradeStore(path, flush_interval_s=None) as store:
        assert store.stored() == {}
        assert store.notice is not None


def test_a_damage_of_the_disk_is_told_when_nothing_can_be_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> Path:
        raise PermissionError("read-only file system")

    path = tmp_path / "trades.sqlite"
    damage_prints(path)
    monkeypatch.setattr("dfmon.store.buffered_writer.set_aside", refuse)
    with TradeStore(path, flush_interval_s=None) as store:
        assert store.stored() == {}
        assert store.failure is not None
        assert store.failure.startswith("prints are no longer stored: ")
        assert store.stored() == {}


def link_to_itself(path: Path) -> None:
    path.symlink_to(path)


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, link_to_itself])
def test_what_is_no_file_goes_aside_where_it_has_the_name_of_one(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path, other = tmp_path / "history.sqlite", tmp_path / "home"
    make(path)
    with History(path, flush_interval_s=None) as history:
        assert "moved to history.sqlite.damaged-" in (history.notice or "")
    assert path.is_file()
    make(other)
    with pytest.raises(HistoryError, match=r"it is no regular file|is a directory|symbolic links"):
        History(other, flush_interval_s=None)


def test_a_session_says_what_was_moved_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = Config(history=HistorySection(path=str(tmp_path / "history.sqlite")))
    folder = exchange_folder(config)
    folder.mkdir(parents=True)
    for path in (tmp_path / "history.sqlite", folder / "trades.sqlite"):
        path.write_bytes(bytes(10_000))
    history, trades = open_history(config), open_trades(config)
    assert history is not None
    assert trades is not None
    session = LiveSession((), (), None, SnapshotHub(), pytest.fail, history=history, trades=trades)  # type: ignore[arg-type]
    expected = (f"history damaged: {history.notice}", f"trades damaged: {trades.notice}")
    with caplog.at_level(logging.WARNING, "dfmon"):
        assert session._check_conditions() == session._check_conditions() == expected
    assert tuple(record.getMessage() for record in caplog.records) == expected
    assert session._describe_stores() == f"{history.notice}; {trades.notice}"
    history.close()
    trades.close()
