"""Rows of a history as blocks of bounded size, for files: an hour of ticks, a day of anything else at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from dfmon.model.snapshot import MetricRow
from dfmon.model.units import DAY, HOUR
from dfmon.store.history_interface import HistorySource
from dfmon.store.history_tables import AGGREGATES, RECORD_TABLES, ROLLED_COLUMNS, SPAN_NS, TICKS, ColumnKind, Span

TABLES: Final = (TICKS, *SPAN_NS, *RECORD_TABLES)
TICK_COLUMNS: Final = tuple(name for name in MetricRow.__struct_fields__ if name != "ts_ns")
FileKind = ColumnKind | Literal["time"]
_MAX_ROWS: Final = 50_000  # of a block of records


@dataclass(frozen=True, slots=True)
class Selection:
    """Rows of a table in [since_ns, until_ns), with the columns `names` of ticks and roll-ups, all if it is empty."""

    table: str
    underlyings: tuple[str, ...]
    since_ns: int
    until_ns: int
    names: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        allowed = TICK_COLUMNS if self.table == TICKS else ROLLED_COLUMNS
        return tuple(name for name in allowed if name in self.names or not self.names)

    def header(self) -> dict[str, FileKind]:
        """The columns of the file with their kinds."""
        first: dict[str, FileKind] = {"underlying": "text", "time": "time"}
        if self.table in RECORD_TABLES:
            cells = RECORD_TABLES[self.table].columns
            return first | {name: kind for name, kind in cells.items() if name not in ("underlying", "ts_ns")}
        if self.table == TICKS:
            return first | {name: "integer" if name == "bucket" else "real" for name in self.columns}
        return first | {
            f"{name}_{aggregate}": "integer" if aggregate == "samples" else "real"
            for name in self.columns
            for aggregate in AGGREGATES
        }


@dataclass(frozen=True, slots=True)
class Block:
    """Cells by column, None or NaN where there is none, and the share of the selection that ends with it."""

    cells: Mapping[str, Sequence[Any] | NDArray[Any]]
    rows: int
    share: float


def read_blocks(source: HistorySource, selection: Selection) -> Iterator[Block]:
    """The rows by underlying and time. Raises what the source raises."""
    length = HOUR if selection.table == TICKS else DAY
    duration_ns = max(selection.until_ns - selection.since_ns, 1)
    for place, underlying in enumerate(selection.underlyings):
        since_ns = selection.since_ns
        while since_ns < selection.until_ns:
            until_ns = min((since_ns // length + 1) * length, selection.until_ns)
            share = (place + (until_ns - selection.since_ns) / duration_ns) / len(selection.underlyings)
            for cells in _read(source, selection, underlying, since_ns, until_ns):
                rows = len(cells["time"])
                yield Block({"underlying": [underlying] * rows, **cells}, rows, share)
            since_ns = until_ns


def _read(
    source: HistorySource, selection: Selection, underlying: str, since_ns: int, until_ns: int
) -> Iterator[dict[str, Any]]:
    if selection.table == TICKS:
        ticks = source.columns(underlying, since_ns, selection.columns, until_ns)
        cells: dict[str, Any] = {"time": ticks["ts_ns"]} | {name: ticks[name] for name in selection.columns}
        if "bucket" in cells:
            cells["bucket"] = [bucket or None for bucket in cells["bucket"].tolist()]
        yield cells
    elif selection.table in RECORD_TABLES:
        yield from _read_records(source, selection.table, underlying, since_ns, until_ns)
    else:
        span: Span = "minutes" if selection.table == "minutes" else "hours"
        rollups = source.rollups(underlying, span, since_ns, selection.columns, until_ns)
        aggregates = {
            f"{name}_{aggregate}": rollups[name][:, place].astype(np.int64 if aggregate == "samples" else np.float64)
            for name in selection.columns
            for place, aggregate in enumerate(AGGREGATES)
        }
        yield {"time": rollups["start_ns"], **aggregates}


def _read_records(
    source: HistorySource, table: str, underlying: str, since_ns: int, until_ns: int
) -> Iterator[dict[str, Any]]:
    names = ["underlying", "time", *list(RECORD_TABLES[table].columns)[2:]]
    rows: list[tuple[Any, ...]] = []

    def block() -> dict[str, Any]:
        return dict(zip(names[1:], list(zip(*rows))[1:])) if rows else dict.fromkeys(names[1:], ())

    for row in source.records(table, underlying, since_ns, until_ns):
        rows.append(row)
        if len(rows) >= _MAX_ROWS:
            yield block()
            rows.clear()
    yield block()
