"""A range of the history as JSON: columns of equal length, thinned to one row an interval."""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec
import numpy as np

from dfmon.model.errors import UsageError
from dfmon.model.metrics import METRICS
from dfmon.model.snapshot import MetricRow
from dfmon.model.units import SECOND, iso, sanitize
from dfmon.sinks.rest.context import HistoryColumns
from dfmon.sinks.rest.responses import HistoryTable

MAX_ROWS: Final = 20_000
COLUMNS: Final = tuple(name for name in MetricRow.__struct_fields__ if name != "ts_ns")
UNITS: Final = {
    **dict.fromkeys(("spot", "flip", "edge_below", "edge_above"), "USD"),
    "bucket": "scenario, 0: none",
    "coverage": "share",
    **{name: METRICS[name].unit for name in COLUMNS if name in METRICS},
}


class HistoryRange(NamedTuple):
    """Rows of an underlying in [since_ns, until_ns), one each `every_s`, all where it is 0."""

    underlying: str
    since_ns: int
    until_ns: int
    every_s: int
    columns: tuple[str, ...]


def history_json(read: HistoryColumns, span: HistoryRange) -> bytes:
    """The range as JSON. Raises UsageError for unknown columns, or for more than MAX_ROWS rows."""
    for name in span.columns:
        if name not in COLUMNS:
            raise UsageError(f"columns: no column {sanitize(name, 20)!r}; allowed: {', '.join(COLUMNS)}")
    if span.since_ns >= span.until_ns:
        raise UsageError(f"since: {iso(span.since_ns)} is not before {iso(span.until_ns)}, the end")
    found = read(span.underlying, span.since_ns, span.columns, span.until_ns)
    ts_ns = np.asarray(found["ts_ns"])
    rows = np.arange(int(np.searchsorted(ts_ns, span.until_ns)))
    if span.every_s and rows.size:
        intervals = ts_ns[rows] // (span.every_s * SECOND)
        rows = rows[np.append(True, np.diff(intervals) != 0)]
    if rows.size > MAX_ROWS:
        length_s = (int(ts_ns[rows[-1]]) - int(ts_ns[rows[0]])) / SECOND
        minimum_s = int(length_s / (MAX_ROWS - 1)) + 1
        raise UsageError(f"every: these are {rows.size:,} rows, allowed: {MAX_ROWS:,}, as with every={minimum_s}")
    columns = {name: np.asarray(found[name], float)[rows] for name in span.columns}
    return msgspec.json.encode(
        HistoryTable(
            underlying=span.underlying,
            since=iso(span.since_ns),
            every_s=span.every_s,
            units={name: UNITS[name] for name in span.columns},
            ts=tuple(iso(each) for each in ts_ns[rows].tolist()),
            columns={
                name: tuple(None if value != value else value for value in column.tolist())
                for name, column in columns.items()
            },
        )
    )
