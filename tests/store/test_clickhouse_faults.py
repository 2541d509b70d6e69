"""A ClickHouse that is away, refuses, is slow or of another schema, a full disk: every row is accounted for."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from dfmon.config import load
from dfmon.runtime.stores import open_history, open_history_reader
from dfmon.store.clickhouse import writer
from dfmon.store.clickhouse.client import ClickHouseClient
from dfmon.store.clickhouse.outbox import Outbox
from dfmon.store.clickhouse.writer import ClickHouseHistory
from tests.store.clickhouse_engines import DATABASE, PASSWORD, ClickHouseServer, variant
from tests.store.test_history import row

pytestmark = pytest.mark.slow


@pytest.fixture
def server(clickhouse: ClickHouseServer) -> Iterator[ClickHouseServer]:
    clickhouse.reset()
    yield clickhouse
    clickhouse.kill()
    clickhouse.start()


class Clock:
    """Time that tests move on."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Session:
    """A writer whose rows are numbered."""

    def __init__(self, client: ClickHouseClient, folder: Path, max_bytes: int = 1 << 24) -> None:
        self.clock, self.next_row = Clock(), 0
        outbox = Outbox(folder / "outbox.sqlite", max_bytes)
        self.history = ClickHouseHistory(client, variant, outbox, clock=self.clock, flush_interval_s=None)

    def append(self, count: int) -> None:
        """Appends rows in five flushes, a minute apart."""
        for n in range(count):
            self.history.append_row("BTC", row(self.next_row))
            self.next_row += 1
            if n % max(count // 4, 1) == 0:
                self.flush()
        self.flush()

    def flush(self) -> None:
        self.clock.now += 60.0
        self.history.flush()

    def close(self) -> None:
        self.history.close()

    def check(self, *, waiting: int = 0, dropped: int = 0) -> None:
        """Every row appended is delivered, waits or is lost, and no other is."""
        history = self.history
        assert (history.waiting_rows, history.dropped) == (waiting, dropped)
        assert history.appended == self.next_row == history.delivered + waiting + dropped


def stored(server: ClickHouseServer) -> tuple[int, int]:
    """Distinct rows by another client, and the samples of the hours' roll-ups."""
    (rows,), (samples,) = (
        server.driver(f"SELECT {what} FINAL")[0] for what in ("count() FROM ticks", "sum(spot_samples) FROM hours")
    )
    return rows, samples


def test_away_from_the_start_and_killed_in_between(server: ClickHouseServer, tmp_path: Path) -> None:
    server.kill()
    session = Session(server.client(), tmp_path)
    session.append(100)
    session.check(waiting=100)
    assert "does not respond" in str(session.history.waiting)
    for _ in range(3):
        server.start()
        session.append(100)
        session.check()
        assert session.history.waiting is None
        server.kill()
        session.append(50)
        session.check(waiting=50)
    server.start()
    session.flush()
    session.check()
    session.close()
    assert stored(server) == (session.next_row, session.next_row) == (550, 550)


def test_rows_that_wait_are_sent_by_the_next_run(server: ClickHouseServer, tmp_path: Path) -> None:
    server.kill()
    session = Session(server.client(), tmp_path)
    session.append(100)
    session.close()
    assert session.history.dropped == 0
    server.start()
    later = Session(server.client(), tmp_path)
    later.next_row = 100
    later.append(50)
    later.close()
    assert later.history.delivered == 150
    assert stored(server) == (150, 150)


def test_read_only(server: ClickHouseServer, tmp_path: Path) -> None:
    session = Session(server.client("reader"), tmp_path)
    session.append(100)
    session.check(waiting=100)
    assert "refused: " in str(session.history.waiting)
    assert PASSWORD not in str(session.history.waiting)
    session.close()
    allowed = Session(server.client(), tmp_path)
    allowed.flush()
    assert allowed.history.delivered == 100
    assert stored(server) == (100, 100)


def test_tables_of_an_older_schema_are_migrated_and_damaged_ones_wait(server: ClickHouseServer, tmp_path: Path) -> None:
    session = Session(server.client(), tmp_path)
    session.append(10)
    server.client().execute("ALTER TABLE ticks DROP COLUMN hpp")
    session.append(100)
    session.check(waiting=100)
    assert "code 117" in str(session.history.waiting), "an unknown field"
    server.client().execute("ALTER TABLE ticks ADD COLUMN hpp Nullable(Float64)")
    session.append(10)
    session.check()
    server.client().execute(f"DROP DATABASE {DATABASE}", "")  # restored from an old copy, with nothing in it
    session.append(100)
    session.flush()
    session.check()
    assert stored(server)[0] == 100


def test_a_newer_schema_is_refused_and_rows_wait(server: ClickHouseServer, tmp_path: Path) -> None:
    session = Session(server.client(), tmp_path)
    session.append(10)
    server.client().execute("INSERT INTO migrations (number, name) VALUES (99, 'add later')")
    again = Session(server.client(), tmp_path)
    again.append(10)
    again.check(waiting=10)
    assert "is of a newer dfmon, with the step 'add later'" in str(again.history.waiting)


def test_rows_whose_roll_up_is_refused_are_counted_once(server: ClickHouseServer, tmp_path: Path) -> None:
    inner, failing = httpx.HTTPTransport(), ["INSERT INTO ticks"]

    def handle(request: httpx.Request) -> httpx.Response:
        query = str(request.url.params.get("query", "")) + request.read().decode("utf-8", "replace")
        if any(text in query for text in failing):
            return httpx.Response(500, text="Code: 241. Memory limit exceeded")
        response = inner.handle_request(request)
        response.read()
        return response

    session = Session(server.client(transport=httpx.MockTransport(handle)), tmp_path)
    session.append(10)
    session.check(waiting=10)
    failing[0] = "INSERT INTO minutes"
    for _ in range(3):
        session.flush()
        session.check(waiting=10)
    failing.clear()
    session.flush()
    session.check()
    inner.close()


def test_answers_that_are_lost_double_nothing(server: ClickHouseServer, tmp_path: Path) -> None:
    """A slow server inserts, and the answer comes after the time-out."""
    inner, calls = httpx.HTTPTransport(), [0]

    def handle(request: httpx.Request) -> httpx.Response:
        response = inner.handle_request(request)
        response.read()
        calls[0] += "INSERT INTO ticks" in str(request.url.params.get("query", ""))
        if calls[0] % 3 == 2:
            calls[0] += 1
            raise httpx.ReadTimeout("timed out", request=request)
        return response

    session = Session(server.client(transport=httpx.MockTransport(handle)), tmp_path)
    session.append(300)
    for _ in range(5):
        session.flush()
    session.check()
    session.close()
    inner.close()
    assert calls[0] > 10
    assert stored(server) == (300, 300)


def test_a_full_disk_beside_an_outage(
    server: ClickHouseServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The outbox is full: rows wait in memory up to a bound, then the oldest are lost, and counted."""
    monkeypatch.setattr(writer, "_MAX_PENDING", 200)
    server.kill()
    session = Session(server.client(), tmp_path)
    outbox: sqlite3.Connection = session.history._outbox._db
    session.append(100)
    outbox.execute(f"PRAGMA max_page_count = {outbox.execute('PRAGMA page_count').fetchone()[0]}")
    session.append(500)
    assert "database or disk is full" in str(session.history.waiting)
    history = session.history
    assert history.appended == 600 == history.waiting_rows + history.dropped
    assert 200 <= history.waiting_rows < 600
    outbox.execute("PRAGMA max_page_count = 1000000")
    server.start()
    session.flush()
    session.check(dropped=history.dropped)
    session.close()
    assert stored(server) == (600 - history.dropped, 600 - history.dropped)


def test_an_outbox_has_a_bound_and_drops_the_oldest(server: ClickHouseServer, tmp_path: Path) -> None:
    server.kill()
    session = Session(server.client(), tmp_path, max_bytes=10_000)
    session.append(100)
    dropped = session.history.dropped
    assert 0 < dropped < 100
    session.check(waiting=100 - dropped, dropped=dropped)
    server.start()
    session.flush()
    session.check(dropped=dropped)
    newest = server.driver("SELECT max(ts_ns), min(ts_ns), count() FROM ticks FINAL")[0]
    assert newest == (row(99).ts_ns, row(dropped).ts_ns, 100 - dropped)


def test_two_writers_share_tables_and_an_outbox(server: ClickHouseServer, tmp_path: Path) -> None:
    server.kill()
    first, second = Session(server.client(), tmp_path), Session(server.client(), tmp_path)
    second.next_row = 1000
    first.append(100)
    second.append(100)
    server.start()
    for _ in range(2):
        first.append(50)
        second.append(50)
    assert first.history.waiting_rows == second.history.waiting_rows == first.history.dropped == 0
    assert first.history.delivered + second.history.delivered == 400
    first.close()
    second.close()
    assert stored(server) == (400, 400)


def test_a_row_that_cannot_be_stored_costs_no_other(server: ClickHouseServer, tmp_path: Path) -> None:
    session = Session(server.client(), tmp_path)
    session.append(10)
    for metric_row in (row(10, spot=np.float64(7.5)), row(11, ts_ns=1 << 70), row(12)):
        session.history.append_row("BTC", metric_row)
    session.next_row += 3
    session.flush()
    session.check(dropped=1)
    assert "a row of ticks cannot be stored: " in str(session.history.notice)
    assert server.driver("SELECT count(), countIf(spot = 7.5) FROM ticks FINAL") == [(12, 1)]


def test_as_configured(server: ClickHouseServer, tmp_path: Path) -> None:
    """Address, user and password from the environment and a file; the outbox stands beside the embedded history."""
    secret = tmp_path / "password"
    secret.write_text(f"{PASSWORD}\n")
    environ = {
        "DFMON_HISTORY_URL": server.address().url,
        "DFMON_HISTORY_USER": "default",
        "DFMON_HISTORY_PASSWORD_FILE": str(secret),
        "DFMON_HISTORY_PATH": str(tmp_path / "state" / "history.sqlite"),
        "DFMON_HISTORY_KEEP_DAYS": "3650",
    }
    config = load(None, environ, {})
    history = open_history(config)
    assert history is not None
    history.append_row("BTC", row(1))
    history.close()
    assert history.dropped == 0
    assert (tmp_path / "state" / "clickhouse-outbox.sqlite").exists()
    with open_history_reader(config) as reader:
        assert [found.ts_ns for found in reader.rows_since("BTC", 0)] == [row(1).ts_ns]


def test_a_damaged_outbox_is_moved_aside(tmp_path: Path) -> None:
    path = tmp_path / "clickhouse-outbox.sqlite"
    path.write_bytes(b"SQLite format 3\0" + bytes(5000))
    environ = {"DFMON_HISTORY_URL": "http://127.0.0.1:9/x", "DFMON_HISTORY_PATH": str(tmp_path / "history.sqlite")}
    history = open_history(load(None, environ, {}))
    assert history is not None
    history.close()
    assert "was damaged: moved to clickhouse-outbox.sqlite.damaged-" in str(history.notice)
