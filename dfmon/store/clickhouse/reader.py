"""Reader of a history in ClickHouse, with the methods of the reader of the embedded one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Final, Self

import numpy as np

from dfmon.model.snapshot import MetricRow
from dfmon.model.units import HOUR
from dfmon.store.clickhouse.client import ClickHouseClient
from dfmon.store.history import check_names
from dfmon.store.history_file import COLUMNS, Column
from dfmon.store.history_rollups import MAX_NS, RollUps, next_start, roll_up_ticks
from dfmon.store.history_tables import AGGREGATES, RECORD_TABLES, ROLLED_COLUMNS, SPAN_NS, TICKS, Span

_INTEGERS: Final = frozenset(("ts_ns", "bucket"))


class ClickHouseReader:
    """Reads a history. Raises ClickHouseError; use it from one thread at a time."""

    def __init__(self, client: ClickHouseClient) -> None:
        self._client = client

    def underlyings(self) -> tuple[str, ...]:
        found: set[str] = set()
        for table in (TICKS, "hours"):
            found.update(self._client.execute(f"SELECT DISTINCT underlying FROM {table} FORMAT TSV").splitlines())
        return tuple(sorted(found))

    def columns(
        self, underlying: str, since_ns: int, names: Sequence[str] = COLUMNS, until_ns: int = MAX_NS
    ) -> dict[str, Column]:
        """As HistoryReader."""
        check_names(names, COLUMNS)
        names = ("ts_ns", *(name for name in names if name != "ts_ns"))
        types = np.dtype([(name, "<i8" if name in _INTEGERS else "<f8") for name in names])
        cells = ", ".join(name if name in _INTEGERS else f"ifNull({name}, nan)" for name in names)
        query = f"SELECT {cells} FROM {TICKS} FINAL WHERE {_where('ts_ns', underlying, since_ns, until_ns)}"
        found = self._client.array(f"{query} ORDER BY ts_ns", types)
        return {name: np.ascontiguousarray(found[name]) for name in names}

    def rows_since(self, underlying: str, ts_ns: int) -> list[MetricRow]:
        """Rows at or after `ts_ns`, ordered by time."""
        found = self.columns(underlying, ts_ns)
        return [MetricRow(*row) for row in zip(*(found[name].tolist() for name in COLUMNS))]

    def rollups(
        self,
        underlying: str,
        span: Span,
        since_ns: int,
        names: Sequence[str] = ROLLED_COLUMNS,
        until_ns: int = MAX_NS,
    ) -> RollUps:
        """As HistoryReader; from the hour of the last stored one on they are computed from the ticks."""
        check_names(names, ROLLED_COLUMNS)
        last = int(self._client.execute(f"SELECT max(start_ns) FROM {span} WHERE underlying = '{_quoted(underlying)}'"))
        recent_ns = max(last // HOUR * HOUR, next_start(since_ns, span))
        ticks = self.columns(underlying, recent_ns, names, next_start(until_ns, span))
        recent = roll_up_ticks(ticks, span, names)
        cells = [(f"{name}_{aggregate}", name, aggregate) for name in names for aggregate in AGGREGATES]
        types = np.dtype([("start_ns", "<i8"), *((column, "<f8") for column, _, _ in cells)])
        values = [f"ifNull(toFloat64({column}), nan)" for column, _, _ in cells]
        where = _where("start_ns", underlying, since_ns, min(until_ns, recent_ns))
        query = f"SELECT {', '.join(['start_ns', *values])} FROM {span} FINAL WHERE {where} ORDER BY start_ns"
        stored = self._client.array(query, types)
        rollups: RollUps = {"start_ns": np.concatenate([stored["start_ns"], recent["start_ns"]])}
        for name in names:
            aggregates = [stored[f"{name}_{aggregate}"] for aggregate in AGGREGATES]
            rollups[name] = np.concatenate([np.stack(aggregates, axis=1), recent[name]])
        return rollups

    def records(
        self, table: str, underlying: str, since_ns: int = 0, until_ns: int = MAX_NS
    ) -> Iterator[tuple[Any, ...]]:
        """As HistoryReader."""
        description = RECORD_TABLES[table]
        query = f"SELECT {', '.join(description.columns)} FROM {table} FINAL"
        query += f" WHERE {_where('ts_ns', underlying, since_ns, until_ns)} ORDER BY {', '.join(description.key)}"
        is_integer = [kind == "integer" for kind in description.columns.values()]
        for row in self._client.rows(query):
            yield tuple(int(cell) if as_integer else cell for as_integer, cell in zip(is_integer, row.values()))

    def time_range(self, table: str, underlying: str) -> tuple[int, int] | None:
        """As HistoryReader."""
        ranges = []
        for name in {table, TICKS} if table in SPAN_NS else {table}:
            column = "start_ns" if name in SPAN_NS else "ts_ns"
            where = f"underlying = '{_quoted(underlying)}' FORMAT TSV"
            found = self._client.execute(f"SELECT count(), min({column}), max({column}) FROM {name} WHERE {where}")
            count, first, last = map(int, found.split())
            if count:
                ranges.append((first, last))
        return (min(first for first, _ in ranges), max(last for _, last in ranges)) if ranges else None

    def close(self) -> None:
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


def _where(column: str, underlying: str, since_ns: int, until_ns: int) -> str:
    return f"underlying = '{_quoted(underlying)}' AND {column} >= {since_ns} AND {column} < {until_ns}"


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")
