"""History: what is appended is read back from ticks and folded hours alike; trouble is a sentence, not a crash."""

from __future__ import annotations

import math
import os
import sqlite3
import stat
import threading
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import astuple, replace

from dfmon.model.errors import DfmonError
from dfmon.model.snapshot import MetricRow
from dfmon.model.units import DAY, HOUR, NAN, SECOND
from dfmon.store import database, history_file
from dfmon.store.history import History, HistoryError, HistoryReader
from dfmon.store.history_file import ADDED_COLUMNS, COLUMNS, FIRST_COLUMNS
from tests.shared_data import compat

START = 1_769_083_200 * SECOND  # a full hour
NEWER = history_file.HISTORY_SCHEMA.version + 1


def row(n: int, step_s: int = 1, **cells: float) -> MetricRow:
    base = MetricRow(START + n * step_s * SECOND, 90_000.0 + n, NAN, n * 1.5, -n, 0.0, 1e7, 2.0, -0.25, n % 6 + 1, 0.93)
    return replace(base, **cells)


def open_history(path: Path, now_ns: int = START, **options: float) -> History:
    return History(path, clock=lambda: now_ns, flush_interval_s=None, **options)


def equal_rows(found: list[MetricRow], expected: list[MetricRow]) -> bool:
    return np.array_equal([astuple(r) for r in found], [astuple(r) for r in expected], equal_nan=True)


def counts(path: Path) -> tuple[int, int]:
    """Ticks and folded blobs in the file."""
    db = sqlite3.connect(path)
    try:
        ticks, hours = (db.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in ("ticks", "hours"))
        return ticks, hours
    finally:
        db.close()


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    rows = [row(n) for n in range(50)]
    with open_history(tmp_path / "deep" / "h.db") as history:
        for metric_row in rows:
            history.append_row("BTC", metric_row)
            history.append_row("ETH", replace(metric_row, spot=3000.0))
        assert equal_rows(history.rows_since("BTC", 0), rows)
        assert equal_rows(history.rows_since("BTC", rows[20].ts_ns), rows[20:])
        assert history.rows_since("ETH", 0)[3].spot == 3000.0
        assert history.rows_since("SOL", 0) == []
    found = history_file.HISTORY_SCHEMA.open_read_only(tmp_path / "deep" / "h.db")
    assert found.execute("SELECT count(*) FROM ticks WHERE flip IS NULL").fetchone() == (100,)
    found.close()
    assert stat.S_IMODE((tmp_path / "deep" / "h.db").stat().st_mode) == 0o600


def test_types_of_a_row(tmp_path: Path) -> None:
    with open_history(tmp_path / "h.db") as history:
        history.append_row("BTC", row(7))
        (found,) = history.rows_since("BTC", 0)
    assert isinstance(found, MetricRow)
    assert [type(v) for v in astuple(found)] == [int, *[float] * 8, int, float, *[float] * len(ADDED_COLUMNS)]
    assert math.isnan(found.flip)


def test_columns_begin_with_those_of_the_first_schema() -> None:
    assert (*FIRST_COLUMNS, *ADDED_COLUMNS) == COLUMNS


def test_full_hours_are_folded_and_read_the_same(tmp_path: Path) -> None:
    path = tmp_path / "h.db"
    rows = [row(n, 60) for n in range(200)]  # three hours and twenty minutes
    with open_history(path) as history:
        for metric_row in rows:
            history.append_row("BTC", metric_row)
            history.flush()
        assert counts(path) == (20, 3 * len(COLUMNS))
        assert equal_rows(history.rows_since("BTC", 0), rows)
        assert equal_rows(history.rows_since("BTC", rows[70].ts_ns), rows[70:])
        assert equal_rows(history.rows_since("BTC", rows[190].ts_ns), rows[190:])
        found = history.columns("BTC", rows[100].ts_ns, ["ngi", "bucket"])
    assert {name: values.dtype.str for name, values in found.items()} == {"ts_ns": "<i8", "ngi": "<f8", "bucket": "<i8"}
    assert found["ngi"].tolist() == [r.ngi for r in rows[100:]]


def test_late_and_repeated_rows_are_merged(tmp_path: Path) -> None:
    """A clock stepped back into an hour that is folded already."""
    late, repeated = replace(row(30, 60), ts_ns=row(30, 60).ts_ns + SECOND), row(10, 60, ngi=77.0)
    with open_history(tmp_path / "h.db") as history:
        for n in range(70):
            history.append_row("BTC", row(n, 60))
        history.flush()
        history.append_row("BTC", late)
        history.append_row("BTC", repeated)
        expected = [row(n, 60) for n in range(70)]
        expected[10] = repeated
        expected.insert(31, late)
        assert equal_rows(history.rows_since("BTC", 0), expected)
        history.append_row("BTC", row(125, 60))  # the next hour folds the late ones
        assert equal_rows(history.rows_since("BTC", 0), [*expected, row(125, 60)])
    assert counts(tmp_path / "h.db")[0] == 1


def test_hours_left_by_the_last_run_are_folded_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "h.db"
    with open_history(path) as history:
        for n in range(50):
            history.append_row("BTC", row(n))
    assert counts(path) == (50, 0)
    with open_history(path, START + 2 * HOUR) as history:
        assert counts(path) == (0, len(COLUMNS))
        assert equal_rows(history.rows_since("BTC", 0), [row(n) for n in range(50)])


def test_retention(tmp_path: Path) -> None:
    path = tmp_path / "h.db"
    with open_history(path) as history:
        for n in range(30):
            history.append_row("BTC", row(n, 3600))
    with open_history(path, START + DAY + 5 * HOUR, retention_days=1.0) as history:
        assert [r.ts_ns for r in history.rows_since("BTC", 0)] == [START + n * HOUR for n in range(5, 30)]


def test_thread_flushes_by_itself(tmp_path: Path) -> None:
    seen = threading.Event()
    with History(tmp_path / "h.db", clock=lambda: START, flush_interval_s=0.01) as history:
        history.append_row("BTC", row(1))
        with HistoryReader(tmp_path / "h.db") as reader:
            for _ in range(1000):
                if reader.rows_since("BTC", 0):
                    break
                seen.wait(0.01)
            assert equal_rows(reader.rows_since("BTC", 0), [row(1)])


def test_readers_beside_a_writer_see_whole_prefixes(tmp_path: Path) -> None:
    """Folding moves rows between tables: a reader at any moment sees each row once."""
    path = tmp_path / "h.db"
    wrong_lengths: list[int] = []
    done = threading.Event()

    def read_repeatedly() -> None:
        with HistoryReader(path) as reader:
            while not done.is_set():
                times = reader.columns("BTC", 0, ["ngi"])["ts_ns"]
                if len(times) and not np.array_equal(times, START + 300 * SECOND * np.arange(len(times))):
                    wrong_lengths.append(len(times))

    with open_history(path) as history:
        reader = threading.Thread(target=read_repeatedly)
        reader.start()
        for n in range(400):
            history.append_row("BTC", row(n, 300))
            history.flush()
        done.set()
        reader.join()
    assert not wrong_lengths


# ---- trouble -----------------------------------------------------------------------------------------------------


def test_append_never_waits_for_a_locked_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_BUSY_TIMEOUT_S", 0.0)
    path = tmp_path / "h.db"
    with open_history(path) as history:
        blocker = sqlite3.connect(path, isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        history.append_row("BTC", row(1))
        history.flush()
        assert (history.failure, history.dropped) == (None, 0)
        history.append_row("BTC", row(2))
        blocker.execute("ROLLBACK")
        blocker.close()
        assert equal_rows(history.rows_since("BTC", 0), [row(1), row(2)])


def test_locked_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_BUSY_TIMEOUT_S", 0.0)
    path = tmp_path / "h.db"
    open_history(path).close()
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN EXCLUSIVE")
    with pytest.raises(HistoryError, match=r"h\.db is locked by another program"):
        open_history(path)
    blocker.close()


def test_buffer_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dfmon.store.history._MAX_PENDING", 5)
    with open_history(tmp_path / "h.db") as history:
        for n in range(8):
            history.append_row("BTC", row(n))
        assert len(history.rows_since("BTC", 0)) == 5
        assert history.dropped == 3


def test_corrupt_and_foreign_files(tmp_path: Path) -> None:
    random_file, foreign_file, newer_file = tmp_path / "notes.txt", tmp_path / "foreign.db", tmp_path / "later.db"
    random_file.write_bytes(os.urandom(5000))
    for path, statement in ((foreign_file, "CREATE TABLE t (x)"), (newer_file, f"UPDATE meta SET value = {NEWER}")):
        if path is newer_file:
            open_history(path).close()
        db = sqlite3.connect(path)
        db.execute(statement)
        db.commit()
        db.close()
    for path, message in (
        (random_file, "is damaged or not a history"),
        (foreign_file, "is a database of another program"),
        (newer_file, f"newer dfmon, in schema {NEWER}, and this one reads up to {NEWER - 1}: update dfmon"),
        (tmp_path, "is a directory"),
    ):
        with pytest.raises(HistoryError, match=message) as caught:
            open_history(path)
        assert isinstance(caught.value, DfmonError)
        assert "\n" not in str(caught.value)


def test_unwritable_and_missing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HistoryError, match=r"cannot write .*: (not a directory|file exists)"):
        open_history(tmp_path / "file" / "h.db")
    with pytest.raises(HistoryError, match="there is no history yet"):
        HistoryReader(tmp_path / "none.db")


def test_a_file_damaged_while_running_is_replaced_once(tmp_path: Path) -> None:
    path = tmp_path / "h.db"
    with open_history(path) as history:
        db = sqlite3.connect(path)
        db.execute("DROP TABLE ticks")
        db.commit()
        db.close()
        history.append_row("BTC", row(1))
        history.flush()
        assert str(history.failure) == "None"
        assert "h.db was damaged (no such table: ticks): moved to h.db.damaged-" in str(history.notice)
        assert equal_rows(history.rows_since("BTC", 0), [row(1)])
        db = sqlite3.connect(path)
        db.execute("DROP TABLE ticks")
        db.commit()
        db.close()
        history.append_row("BTC", row(2))
        history.flush()
        assert str(history.failure).startswith("history stopped: ")  # once a run: the cause may be the disk
        history.append_row("BTC", row(3))
        assert history.dropped == 2


def test_a_row_that_cannot_be_stored_stops_the_history_only(tmp_path: Path) -> None:
    with open_history(tmp_path / "h.db") as history:
        history.append_row("BTC", replace(row(1), ts_ns=1 << 70))
        history.flush()
        assert history.failure is not None
        assert (history.dropped, history.rows_since("BTC", 0)) == (1, [])


def test_damaged_blobs_are_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "h.db"
    with open_history(path) as history:
        for n in range(100):
            history.append_row("BTC", row(n, 60))
    for damage in ("x'00'", "x''", "x'0000000000000000'"):
        db = sqlite3.connect(path)
        db.execute(f"UPDATE hours SET cells = {damage} WHERE name = 'ngi'")
        db.commit()
        db.close()
        with HistoryReader(path) as reader, pytest.raises(HistoryError, match="cannot use"):
            reader.rows_since("BTC", 0)


def test_reader_cannot_write(tmp_path: Path) -> None:
    open_history(tmp_path / "h.db").close()
    db = history_file.HISTORY_SCHEMA.open_read_only(tmp_path / "h.db")
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        db.execute("DELETE FROM ticks")
    db.close()


def test_unknown_column_is_named(tmp_path: Path) -> None:
    with open_history(tmp_path / "h.db") as history, pytest.raises(ValueError, match="no column 'gamma'"):
        history.columns("BTC", 0, ["gamma"])


def test_a_history_of_an_earlier_version_is_read_and_continued(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    path.write_bytes((compat() / "history.sqlite").read_bytes())
    with HistoryReader(path) as reader:
        (first, *_, newest) = found = reader.rows_since("BTC", 0)
    assert (len(found), newest.ts_ns, newest.spot, newest.bucket) == (50, 1_796_006_526_000_866_153, 82_061.48, 2)
    assert (newest.ngi, newest.psi, newest.coverage) == (2577576.824238393, 0.02134807591076769, 1.0)
    with open_history(path, first.ts_ns) as history:
        history.append_row("BTC", replace(newest, ts_ns=newest.ts_ns + HOUR))  # folds the hour before
        assert equal_rows(history.rows_since("BTC", 0)[:50], found)


def test_values_of_an_earlier_definition_are_kept_apart(tmp_path: Path) -> None:
    """hpp was USD and chl ran past a settlement: they seed no chart, and no older program adds to them."""
    path = tmp_path / "history.sqlite"
    path.write_bytes((compat() / "history.sqlite").read_bytes())
    with closing(sqlite3.connect(path)) as db:
        query = "SELECT ts_ns, hpp, chl FROM ticks WHERE underlying = 'BTC' ORDER BY ts_ns"
        earlier = np.array(db.execute(query).fetchall(), dtype=float)
    assert len(earlier) == 50
    assert np.isfinite(earlier).any(axis=0).all()
    with HistoryReader(path) as reader:  # before the file is migrated
        assert all(math.isnan(r.hpp) and math.isnan(r.chl) for r in reader.rows_since("BTC", 0))
    newest_ns = int(earlier[-1, 0])
    with open_history(path, newest_ns) as history:
        for later_ns in (newest_ns + SECOND, newest_ns + HOUR):  # the second folds the hour of the first
            history.append_row("BTC", replace(row(1), ts_ns=later_ns, hpp=7.0, chl=8.0))
            history.flush()
        rows = history.rows_since("BTC", 0)
        assert [(r.hpp, r.chl) for r in rows if r.hpp == r.hpp] == [(7.0, 8.0)] * 2
    with closing(history_file.HISTORY_SCHEMA.open_read_only(path)) as db:
        stored = history_file.columns(db, "BTC", 0, ("ts_ns", "hpp_1", "chl_1"))
        (retired_blobs,) = db.execute("SELECT count(DISTINCT hour) FROM hours WHERE name = 'hpp_1'").fetchone()
    assert np.array_equal(np.stack([stored[name][:50] for name in stored], axis=1), earlier, equal_nan=True)
    assert np.isnan(stored["hpp_1"][50:]).all()
    assert retired_blobs == 1
