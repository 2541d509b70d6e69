"""The tables of a history in ClickHouse, by version and for one server or a cluster, and their numbered migrations.

A repeated row replaces the one with its key when parts are merged (ReplacingMergeTree); readers use FINAL. Versions
from 20.3 on have codecs and TTL, others the same tables without. On a cluster each table is a Replicated one on every
shard, of the name with `_local` behind it, below a Distributed one of the name itself.

minutes, hours  roll-ups: samples, mean, low, high and last of each column of the ticks, which are written again
                whenever ticks of their time arrive
migrations      the steps taken: number and name, as in the embedded file
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from dfmon.store.clickhouse.client import DUPLICATE_COLUMN, ClickHouseClient, ClickHouseError
from dfmon.store.database import Migration
from dfmon.store.history_file import ADDED_COLUMNS, FIRST_COLUMNS
from dfmon.store.history_tables import (
    AGGREGATES,
    POSITIONS,
    RECORD_TABLES,
    ROLLED_COLUMNS,
    SPAN_NS,
    TICKS,
    ColumnKind,
    Span,
)

CODECS_SINCE: Final = (20, 3)
_SQL_TYPES: Final[dict[ColumnKind, str]] = {"text": "String", "integer": "Int64", "real": "Nullable(Float64)"}
_CODECS: Final[dict[ColumnKind, str]] = {"text": "ZSTD(1)", "integer": "Delta, ZSTD(1)", "real": "Gorilla, ZSTD(1)"}
_ROLLUP_KINDS: Final[dict[str, ColumnKind]] = {a: "integer" if a == "samples" else "real" for a in AGGREGATES}
_AGGREGATE_SQL: Final = ("count({0})", "avg({0})", "min({0})", "max({0})", "argMax({0}, ts_ns)")
_SPAN_PARTITIONS: Final[dict[Span, str]] = {"minutes": "toYYYYMM(time)", "hours": "toYear(time)"}


@dataclass(frozen=True, slots=True)
class Variant:
    """A form of the tables: server version, name of the cluster ("" for one server), days that rows are retained."""

    version: tuple[int, int]
    cluster: str = ""
    ticks_days: int = 35
    minutes_days: int = 400
    hours_days: int = 3650

    @property
    def has_codecs(self) -> bool:
        return self.version >= CODECS_SINCE


def migrations(variant: Variant) -> tuple[Migration, ...]:
    """The steps to the present tables. A name stands for ever; its statements depend on the variant."""
    ticks: dict[str, ColumnKind] = {name: _tick_kind(name) for name in FIRST_COLUMNS}
    steps = [Migration("create ticks", _create(variant, TICKS, ticks, variant.ticks_days, "toMonday(time)"))]
    rolled = [name for name in FIRST_COLUMNS if name in ROLLED_COLUMNS]
    spans: tuple[tuple[Span, int], ...] = (("minutes", variant.minutes_days), ("hours", variant.hours_days))
    for span, days in spans:
        columns: dict[str, ColumnKind] = {"start_ns": "integer"}
        for column in rolled:
            columns |= _rollup_columns(column)
        steps.append(Migration(f"create {span}", _create(variant, span, columns, days, _SPAN_PARTITIONS[span])))
    for table in RECORD_TABLES.values():
        records = {column: kind for column, kind in table.columns.items() if column != "underlying"}
        days = variant.ticks_days if table == POSITIONS else variant.hours_days
        statements = _create(variant, table.name, records, days, "toYYYYMM(time)", ", ".join(table.key))
        steps.append(Migration(f"create {table.name}", statements))
    steps += (Migration(f"add {name}", tuple(_add_metric(variant, name))) for name in ADDED_COLUMNS)
    return tuple(steps)


def _add_metric(variant: Variant, name: str) -> Iterator[str]:
    yield from _add_columns(variant, TICKS, {name: _tick_kind(name)})
    for span in SPAN_NS:
        yield from _add_columns(variant, span, _rollup_columns(name))


def migrate(client: ClickHouseClient, variant: Variant) -> None:
    """Creates the database and applies the steps that it has not taken. Raises ClickHouseError.

    Refuses tables of a newer dfmon. Another dfmon may apply the same steps at the same time.
    """
    known = migrations(variant)
    database = client.address.database
    exists = client.execute(f"SELECT count() FROM system.databases WHERE name = '{database}'", "")
    if exists == "0":
        client.execute(f"CREATE DATABASE IF NOT EXISTS {database}{_on_cluster(variant)}", "")
    taken = taken_steps(client)
    if unknown := [name for name in taken if name not in {step.name for step in known}]:
        raise ClickHouseError(
            f"the database {database} is of a newer dfmon, with the step {unknown[0]!r} that this one does not know:"
            " update dfmon, or name another database"
        )
    if len(taken) == len(known):
        return
    for statement in _create_migrations(variant):
        client.execute(statement)
    for number, step in enumerate(known, start=1):
        if step.name not in taken:
            for statement in step.statements:
                _execute_once(client, statement)
            client.execute(f"INSERT INTO migrations (number, name) VALUES ({number}, '{step.name}')")


def taken_steps(client: ClickHouseClient) -> tuple[str, ...]:
    """The names of the steps that the database has taken."""
    database = client.address.database
    found = client.execute(
        f"SELECT count() FROM system.tables WHERE database = '{database}' AND name = 'migrations'", ""
    )
    if found == "0":
        return ()
    return tuple(client.execute("SELECT DISTINCT name FROM migrations ORDER BY name FORMAT TabSeparated").splitlines())


def roll_up(span: Span, since_ns: int, until_ns: int) -> str:
    """The statement that rolls up the minutes or hours of ticks in [since_ns, until_ns], each as a whole."""
    length = SPAN_NS[span]
    columns = [f"{name}_{aggregate}" for name in ROLLED_COLUMNS for aggregate in AGGREGATES]
    values = [sql.format(name) for name in ROLLED_COLUMNS for sql in _AGGREGATE_SQL]
    return (
        f"INSERT INTO {span} (underlying, start_ns, {', '.join(columns)})"
        f" SELECT underlying, intDiv(ts_ns, {length}) * {length} AS start_ns, {', '.join(values)}"
        f" FROM {TICKS} FINAL WHERE ts_ns >= {since_ns // length * length}"
        f" AND ts_ns < {(until_ns // length + 1) * length} GROUP BY underlying, start_ns"
    )


def all_statements(variant: Variant) -> Iterator[str]:
    """Every statement that makes the tables of a new database."""
    yield from _create_migrations(variant)
    for step in migrations(variant):
        yield from step.statements


# ---- statements --------------------------------------------------------------------------------------------------


def _tick_kind(name: str) -> ColumnKind:
    return "integer" if name in ("ts_ns", "bucket") else "real"


def _rollup_columns(name: str) -> dict[str, ColumnKind]:
    return {f"{name}_{aggregate}": kind for aggregate, kind in _ROLLUP_KINDS.items()}


def _column(variant: Variant, name: str, kind: ColumnKind) -> str:
    return f"{name} {_SQL_TYPES[kind]}" + (f" CODEC({_CODECS[kind]})" if variant.has_codecs else "")


def _create(
    variant: Variant, name: str, columns: dict[str, ColumnKind], days: int, partition: str, key: str = ""
) -> tuple[str, ...]:
    """The statements of a table of `underlying`, a time in nanoseconds, its `time` in seconds and other columns."""
    time_column = next(iter(columns))
    codec = " CODEC(Delta, ZSTD(1))" if variant.has_codecs else ""
    seconds = f"toDateTime(intDiv({time_column}, 1000000000), 'UTC')"
    cells = [_column(variant, "underlying", "text")]
    cells += [_column(variant, column, kind) for column, kind in columns.items()]
    cells.append(f"time DateTime('UTC') MATERIALIZED {seconds}{codec}")
    expiry = f" TTL time + INTERVAL {days} DAY" if variant.has_codecs else ""
    tail = f"PARTITION BY {partition} ORDER BY ({key or f'underlying, {time_column}'}){expiry}"
    return tuple(_table(variant, name, cells, tail, "cityHash64(underlying)"))


def _table(variant: Variant, name: str, cells: list[str], tail: str, sharding_key: str) -> Iterator[str]:
    body = ",\n    ".join(cells)
    if not variant.cluster:
        yield f"CREATE TABLE IF NOT EXISTS {name} (\n    {body}\n) ENGINE = ReplacingMergeTree {tail}"
        return
    path = f"/clickhouse/tables/{{shard}}/{{database}}/{name}"
    yield (
        f"CREATE TABLE IF NOT EXISTS {name}_local{_on_cluster(variant)} (\n    {body}\n)"
        f" ENGINE = ReplicatedReplacingMergeTree('{path}', '{{replica}}') {tail}"
    )
    yield (
        f"CREATE TABLE IF NOT EXISTS {name}{_on_cluster(variant)} AS {name}_local"
        f" ENGINE = Distributed({variant.cluster}, currentDatabase(), {name}_local, {sharding_key})"
    )


def _create_migrations(variant: Variant) -> Iterator[str]:
    cells = ["number UInt32", "name String", "taken_at DateTime DEFAULT now()"]
    yield from _table(variant, "migrations", cells, "ORDER BY number", "number")


def _add_columns(variant: Variant, table: str, columns: dict[str, ColumnKind]) -> Iterator[str]:
    tables = [f"{table}_local", table] if variant.cluster else [table]
    for name in tables:
        for column, kind in columns.items():
            is_distributed = bool(variant.cluster) and name == table
            cell = f"{column} {_SQL_TYPES[kind]}" if is_distributed else _column(variant, column, kind)
            yield f"ALTER TABLE {name}{_on_cluster(variant)} ADD COLUMN {cell}"


def _on_cluster(variant: Variant) -> str:
    return f" ON CLUSTER {variant.cluster}" if variant.cluster else ""


def _execute_once(client: ClickHouseClient, statement: str) -> None:
    """Executes a step's statement, which a killed run may have executed before."""
    try:
        client.execute(statement)
    except ClickHouseError as exc:
        if exc.code not in DUPLICATE_COLUMN:
            raise
