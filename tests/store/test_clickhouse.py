"""The history in ClickHouse: written and read as the embedded one, on a real server and the current engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dfmon.config import Config, load
from dfmon.evidence.band_forecasts import band_forecasts
from dfmon.evidence.history_series import series_of
from dfmon.model.errors import UsageError
from dfmon.model.units import HOUR, MINUTE, NAN
from dfmon.store.clickhouse import schema
from dfmon.store.clickhouse.client import ClickHouseAddress, ClickHouseClient, ClickHouseError
from dfmon.store.clickhouse.outbox import Batch, Outbox
from dfmon.store.clickhouse.reader import ClickHouseReader
from dfmon.store.clickhouse.writer import ClickHouseHistory
from dfmon.store.history import HistoryReader
from dfmon.store.history_file import ADDED_COLUMNS, FIRST_COLUMNS
from dfmon.store.history_records import RecordCollector
from dfmon.store.history_tables import RECORD_TABLES, SCORES, SPAN_NS
from tests.store.clickhouse_engines import PASSWORD, ClickHouseServer, in_process_client, variant
from tests.store.test_history import START, equal_rows, open_history, row
from tests.store.test_history_records import ALERT, CHANGE, FIRST, SECOND_CHANGE, state, tick


@pytest.fixture(params=["server", pytest.param("current engine", marks=pytest.mark.slow)])
def client(request: pytest.FixtureRequest) -> Iterator[ClickHouseClient]:
    """A client of an empty database."""
    if request.param == "server":
        server: ClickHouseServer = request.getfixturevalue("clickhouse")
        server.reset()
        found = server.client()
    else:
        found = in_process_client()
        found.execute(f"DROP DATABASE IF EXISTS {found.address.database}", "")
    yield found
    found.close()


def open_writer(client: ClickHouseClient, folder: Path, max_bytes: int = 1 << 24) -> ClickHouseHistory:
    return ClickHouseHistory(client, variant, Outbox(folder / "outbox.sqlite", max_bytes), flush_interval_s=None)


@pytest.mark.slow
def test_rows_roll_ups_and_records_are_those_of_the_embedded_store(client: ClickHouseClient, tmp_path: Path) -> None:
    rows = [row(n, 20, ngi=NAN if n % 7 == 0 else float(n)) for n in range(400)]  # two hours and 13 minutes
    changed = state(FIRST, SECOND_CHANGE, alerts=(ALERT,), changes=(CHANGE,))
    score = ("BTC", START, "flow", 0.9, None, None, None, 0.05, None, 3, 0.875, 40, None, 2, None, None, 0)
    records = [*RecordCollector().collect(changed, tick()), (SCORES.name, score)]
    clickhouse, path = open_writer(client, tmp_path), tmp_path / "h.db"
    with open_history(path) as embedded:
        for history in (embedded, clickhouse):
            for place, metric_row in enumerate([*rows, *rows[-5:]]):  # the last ones twice
                history.append_row("BTC", metric_row)
                if place % 90 == 0:
                    history.flush()
            history.append_records(records)
            history.flush()
    assert (clickhouse.waiting, clickhouse.dropped, clickhouse.waiting_rows) == (None, 0, 0)
    assert clickhouse.delivered == clickhouse.appended == len(rows) + 5 + len(records)
    ours = ClickHouseReader(client)
    with HistoryReader(path) as theirs:
        assert ours.underlyings() == theirs.underlyings() == ("BTC",)
        assert equal_rows(ours.rows_since("BTC", START + HOUR), theirs.rows_since("BTC", START + HOUR))
        part = ours.columns("BTC", START, ["ngi", "bucket"], START + HOUR)
        for name, cells in theirs.columns("BTC", START, ["ngi", "bucket"], START + HOUR).items():
            assert part[name].dtype == cells.dtype
            np.testing.assert_array_equal(part[name], cells)
        for span in SPAN_NS:
            for since_ns, until_ns in ((0, START + 9 * HOUR), (START + 50 * MINUTE + 7, START + 2 * HOUR + 7)):
                expected, found = (
                    reader.rollups("BTC", span, since_ns, ["spot", "ngi"], until_ns) for reader in (theirs, ours)
                )
                for name, values in expected.items():
                    np.testing.assert_allclose(found[name], values, rtol=1e-12, err_msg=f"{span} {name}")
        for table in RECORD_TABLES:
            assert list(ours.records(table, "BTC")) == list(theirs.records(table, "BTC"))
            assert list(ours.records(table, "BTC", START + HOUR)) == list(theirs.records(table, "BTC", START + HOUR))
            assert ours.time_range(table, "BTC") == theirs.time_range(table, "BTC")
            assert ours.time_range(table, "SOL") is None
        assert list(band_forecasts(ours, "BTC")) == list(band_forecasts(theirs, "BTC")) != []
        assert series_of(ours)[1] == series_of(theirs)[1] == ["BTC: 133 minutes with spot and psi, 2,880 are needed"]


@pytest.mark.slow
def test_another_client_sees_the_rows(clickhouse: ClickHouseServer, tmp_path: Path) -> None:
    clickhouse.reset()
    with open_writer(clickhouse.client(), tmp_path) as history:
        for n in range(10):
            history.append_row("BTC", row(n))
    (first, *_) = found = clickhouse.driver(f"SELECT {', '.join(FIRST_COLUMNS)} FROM ticks FINAL ORDER BY ts_ns")
    assert len(found) == 10
    assert first == (START, 90_000.0, None, 0.0, 0.0, 0.0, 1e7, 2.0, -0.25, 1, 0.93)
    assert clickhouse.driver("SELECT toString(time) FROM ticks LIMIT 1") == [("2026-01-22 12:00:00",)]


def test_the_steps_are_taken_once_and_a_database_of_a_newer_program_is_refused(client: ClickHouseClient) -> None:
    form = variant(client.version())
    for _ in range(2):
        schema.migrate(client, form)
    assert set(schema.taken_steps(client)) == {step.name for step in schema.migrations(form)}
    client.execute("INSERT INTO migrations (number, name) VALUES (99, 'add later')")
    with pytest.raises(ClickHouseError, match="is of a newer dfmon, with the step 'add later' that this one does not"):
        schema.migrate(client, form)


def test_a_metric_that_is_added_has_columns_in_ticks_and_roll_ups(
    client: ClickHouseClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = variant(client.version())
    schema.migrate(client, form)
    monkeypatch.setattr(schema, "ADDED_COLUMNS", (*ADDED_COLUMNS, "dex"))
    client.execute("ALTER TABLE ticks ADD COLUMN dex Nullable(Float64)")  # of a run that was killed in the step
    schema.migrate(client, form)
    assert "add dex" in schema.taken_steps(client)
    client.execute("SELECT dex FROM ticks")
    client.execute("SELECT dex_samples, dex_last FROM minutes")


@pytest.mark.slow
def test_tables_of_a_cluster_are_parsed_by_the_current_engine() -> None:
    client = in_process_client()
    client.execute(f"CREATE DATABASE IF NOT EXISTS {client.address.database}", "")
    statements = list(schema.all_statements(schema.Variant((26, 9), cluster="desk")))
    assert sum("ReplicatedReplacingMergeTree(" in s for s in statements) == 2 + len(SPAN_NS) + len(
        RECORD_TABLES
    )  # ticks, steps
    for statement in statements:
        assert client.execute(f"EXPLAIN AST {statement}").startswith(("CreateQuery", "AlterQuery")), statement


def test_tables_of_a_cluster_are_parsed_by_the_server(clickhouse: ClickHouseServer) -> None:
    """Without a Keeper none is created: the error is about that, not about the statement."""
    clickhouse.reset()
    client = clickhouse.client()
    client.execute(f"CREATE DATABASE {client.address.database}", "")
    for statement in schema.all_statements(schema.Variant(client.version(), cluster="desk")):
        with pytest.raises(ClickHouseError) as caught:
            client.execute(statement)
        assert "Syntax error: failed at" not in str(caught.value), statement


def test_codecs_and_expiry_are_left_out_for_an_early_version() -> None:
    early, current = (list(schema.all_statements(schema.Variant(version))) for version in ((18, 16), (26, 9)))
    assert not [s for s in early if "CODEC" in s or "TTL" in s]
    assert all("CODEC" in s for s in current if "migrations" not in s)
    assert all("TTL time + INTERVAL" in s for s in current if "migrations" not in s and s.startswith("CREATE"))
    assert len(early) == len(current)


def test_a_wrong_password_is_a_sentence_without_it(clickhouse: ClickHouseServer) -> None:
    with pytest.raises(ClickHouseError, match=r"ClickHouse at 127\.0\.0\.1:\d+ refused: ") as caught:
        clickhouse.client(password="wr0ng-one").version()
    assert "wr0ng-one" not in str(caught.value)
    assert PASSWORD not in repr(clickhouse.address())


def test_ticks_behind_the_newest_minute_are_rolled_up_by_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "migrate", lambda client, variant: None)
    server = _Statements({"max(start_ns)": str(5 * MINUTE), "max(ts_ns)": str(7 * MINUTE + 1)})
    history = open_writer(server, tmp_path)  # type: ignore[arg-type]  # three methods of a client
    history.flush()
    span = next(iter(SPAN_NS))
    assert schema.roll_up(span, 5 * MINUTE, 7 * MINUTE + 1) in server.executed
    history.close()


class _Statements:
    """A client that keeps its statements; `found` are the results by a part of the statement."""

    def __init__(self, found: dict[str, str]) -> None:
        self.found, self.executed = found, list[str]()

    def version(self) -> tuple[int, int]:
        return 26, 1

    def execute(self, statement: str) -> str:
        self.executed.append(statement)
        return next((text for part, text in self.found.items() if part in statement), "")

    def close(self) -> None: ...


def test_batches_are_joined_up_to_the_number_of_rows(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.sqlite", 1 << 20)
    outbox.append([Batch("ticks", 2, n, n + 1, b"%d" % n) for n in (1, 3, 5)])
    assert outbox.oldest(4) == (2, Batch("ticks", 4, 1, 4, b"1\n3"))
    outbox.close()


def test_a_server_that_is_none() -> None:
    with pytest.raises(ClickHouseError, match=r"ClickHouse at 127\.0\.0\.1:9 does not respond: "):
        ClickHouseClient(ClickHouseAddress("http://127.0.0.1:9/x")).version()


@pytest.mark.parametrize(
    "url", ["http://u:pa55word@h:8123/db", "h:8123/db", "http://h:8123", "http://h/a-b", "tcp://h/d"]
)
def test_an_address_of_another_form_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(UsageError, match=r"history\.url is .* allowed: http://HOST:PORT/DATABASE") as caught:
        load(None, {"DFMON_HISTORY_URL": url}, {})
    assert "pa55word" not in str(caught.value)


@pytest.mark.slow
def test_the_address_is_a_setting() -> None:
    environ = {"DFMON_HISTORY_URL": "https://ch.example:8443/flow", "DFMON_HISTORY_PASSWORD": "x"}
    assert load(None, environ, {}).history.url == "https://ch.example:8443/flow"
    assert Config().history.url == ""
