"""The embedded history against DuckDB in one run: appending seven days of a row a second, reading three columns.

Our append is all of it: buffer, transactions of half a second's rows, folding, roll-ups. DuckDB appends the same rows
in transactions of a minute, which is kinder to it. Needs the package duckdb. Also the client's cost of a row of
ClickHouse, with a server that answers at once.
"""

from __future__ import annotations

import gc
import sqlite3
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import httpx
import numpy as np
from msgspec.structs import astuple

from dfmon.model.snapshot import MetricRow
from dfmon.model.units import DAY, SECOND
from dfmon.store.clickhouse.client import ClickHouseAddress, ClickHouseClient
from dfmon.store.clickhouse.outbox import Outbox
from dfmon.store.clickhouse.schema import Variant, migrations
from dfmon.store.clickhouse.writer import ClickHouseHistory
from dfmon.store.history import History, HistoryReader
from dfmon.store.history_file import COLUMNS

START = 1_769_083_200 * SECOND
DAYS = 7
APPENDED_ROWS = 36_000  # ten hours: each folds and rolls up
DUCKDB_ROWS = 3_600
NAMES = ("spot", "ngi", "hpp")
APPEND_BUDGET_US, READ_BUDGET = 20.0, 0.5
READS = 9


def rows(count: int) -> list[MetricRow]:
    rng = np.random.default_rng(3)
    steps = rng.normal(size=(count, len(COLUMNS)))
    steps[:, 2:7] *= 1e6
    steps[:, :2] += 9e4
    return [
        MetricRow(START + n * SECOND, c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7], 2, 0.93)
        for n, c in enumerate(steps.tolist())
    ]


def cpu_us_a_row(run: Callable[[], object], count: int) -> float:
    gc.collect()
    begun = time.process_time()
    run()
    return (time.process_time() - begun) / count * 1e6


def fill(history: History | ClickHouseHistory, found: Sequence[MetricRow], flush_rows: int = 1) -> None:
    for n, row in enumerate(found):
        history.append_row("BTC", row)
        if n % flush_rows == 0:
            history.flush()
    history.flush()


def append_duckdb(db: duckdb.DuckDBPyConnection, found: Sequence[MetricRow]) -> None:
    statement = f"INSERT INTO ticks VALUES ({', '.join('?' * (len(COLUMNS) + 1))})"
    for first in range(0, len(found), 60):
        db.execute("BEGIN")
        db.executemany(statement, [("BTC", *astuple(row)) for row in found[first : first + 60]])
        db.execute("COMMIT")


def append_sqlite(path: Path, found: Sequence[MetricRow]) -> None:
    """The rows into a table, two a transaction, without anything else."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute(
            f"CREATE TABLE ticks (underlying, {', '.join(COLUMNS)}, PRIMARY KEY (underlying, ts_ns)) WITHOUT ROWID"
        )
        statement = f"INSERT INTO ticks VALUES ({', '.join('?' * (len(COLUMNS) + 1))})"
        for first in range(0, len(found), 2):
            db.execute("BEGIN IMMEDIATE")
            db.executemany(statement, [("BTC", *astuple(row)) for row in found[first : first + 2]])
            db.execute("COMMIT")


def clickhouse_writer(folder: Path) -> ClickHouseHistory:
    """A writer whose server has every table and answers at once."""

    def answer(request: httpx.Request) -> httpx.Response:
        if b"SELECT version()" in request.content:
            return httpx.Response(200, text="26.9.1")
        if b"DISTINCT name" in request.content:
            return httpx.Response(200, text="\n".join(step.name for step in migrations(Variant((26, 9)))))
        return httpx.Response(200, text="1")

    client = ClickHouseClient(ClickHouseAddress("http://127.0.0.1:1/x"), httpx.MockTransport(answer))
    return ClickHouseHistory(client, Variant, Outbox(folder / "outbox.sqlite", 1 << 24), flush_interval_s=None)


def median_s(run: Callable[[], object]) -> float:
    times = []
    for _ in range(READS):
        begun = time.perf_counter()
        run()
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def main() -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        measure_appends(folder)
        measure_reads(folder)


def measure_appends(folder: Path) -> None:
    found = rows(APPENDED_ROWS)
    db = duckdb.connect(str(folder / "append.duckdb"))
    types = ", ".join(f"{c} {'BIGINT' if c in ('ts_ns', 'bucket') else 'DOUBLE'}" for c in COLUMNS)
    db.execute(f"CREATE TABLE ticks (underlying TEXT, {types})")
    with History(folder / "append.sqlite", clock=lambda: START, flush_interval_s=None) as history:
        ours = cpu_us_a_row(lambda: fill(history, found, 2), APPENDED_ROWS)  # two underlyings: two rows a flush
    bare = cpu_us_a_row(lambda: append_sqlite(folder / "bare.sqlite", found), APPENDED_ROWS)
    theirs = cpu_us_a_row(lambda: append_duckdb(db, found[:DUCKDB_ROWS]), DUCKDB_ROWS)
    with clickhouse_writer(folder) as clickhouse:
        sent = cpu_us_a_row(lambda: fill(clickhouse, found, 60), APPENDED_ROWS)
    db.close()
    verdict = "met" if ours <= APPEND_BUDGET_US else "missed"
    print(
        f"append, CPU a row: ours {ours:.1f} us, bare SQLite {bare:.1f} us, limit {APPEND_BUDGET_US:.0f} us: {verdict}"
    )
    print(f"                   DuckDB, transactions of 60 rows {theirs:.0f} us, ClickHouse's client {sent:.1f} us")


def measure_reads(folder: Path) -> None:
    found = rows(int(DAYS * DAY // SECOND))
    path = folder / "read.sqlite"
    with History(path, clock=lambda: START, flush_interval_s=None) as history:
        fill(history, found, 3600)
    db = duckdb.connect(str(folder / "read.duckdb"))
    db.execute("PRAGMA threads = 1")
    columns = {name: np.array([getattr(row, name) for row in found]) for name in COLUMNS}
    db.register("columns", columns)
    db.execute("CREATE TABLE ticks AS SELECT 'BTC' AS underlying, * FROM columns")
    db.execute("CHECKPOINT")
    query = f"SELECT ts_ns, {', '.join(NAMES)} FROM ticks WHERE underlying = 'BTC' AND ts_ns >= {START} ORDER BY ts_ns"
    with HistoryReader(path) as reader:
        for name, values in reader.columns("BTC", START, NAMES).items():
            np.testing.assert_array_equal(values, db.execute(query).fetchnumpy()[name])
        ours = median_s(lambda: reader.columns("BTC", START, NAMES))
        theirs = median_s(lambda: db.execute(query).fetchnumpy())
        unordered = median_s(lambda: db.execute(query.partition(" ORDER")[0]).fetchnumpy())
        minutes = median_s(lambda: reader.rollups("BTC", "minutes", START, NAMES))
    db.close()
    ratio = ours / min(theirs, unordered)
    verdict = "met" if ratio <= READ_BUDGET else "missed"
    print(f"three columns of {DAYS} days: ours {ours * 1e3:.1f} ms, DuckDB {theirs * 1e3:.1f} ms, without an order "
          f"{unordered * 1e3:.1f} ms: {ratio:.2f} of its best, limit {READ_BUDGET}: {verdict}")  # fmt: skip
    print(f"                         as minutes {minutes * 1e3:.1f} ms")


if __name__ == "__main__":
    main()
