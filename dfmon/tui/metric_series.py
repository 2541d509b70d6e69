"""Bounded series of metric rows: every row of the last two hours, then one a minute for eight days.

Seeded from the history at start and extended by each snapshot; charts, gauges and trend glyphs read it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

from dfmon.model.snapshot import MetricRow
from dfmon.model.units import DAY, HOUR, MINUTE

_MAX_FINE_ROWS = 7200
_FINE_NS = 2 * HOUR
_MINUTE_ROWS_NS = 8 * DAY


class MetricSeries:
    """Rows of one underlying in time order."""

    def __init__(self) -> None:
        self._fine_rows: list[MetricRow] = []
        self._minute_rows: list[MetricRow] = []

    def append(self, row: MetricRow) -> None:
        """Appends a row; one that is older than the last (a seek in a replay) drops the rows after it."""
        if self._fine_rows and row.ts_ns <= self._fine_rows[-1].ts_ns:
            self._drop_from(row.ts_ns)
        self._fine_rows.append(row)
        if len(self._fine_rows) >= 2 * _MAX_FINE_ROWS or row.ts_ns - self._fine_rows[0].ts_ns > 2 * _FINE_NS:
            self._downsample()

    def seed(self, rows: Iterable[MetricRow]) -> None:
        """Inserts older rows before those already collected."""
        current_rows = self.rows()
        first_ts_ns = current_rows[0].ts_ns if current_rows else None
        older_rows = sorted((r for r in rows if first_ts_ns is None or r.ts_ns < first_ts_ns), key=lambda r: r.ts_ns)
        if older_rows:
            self._minute_rows, self._fine_rows = [], [*older_rows, *current_rows]
            self._downsample()

    def rows(self) -> list[MetricRow]:
        return [*self._minute_rows, *self._fine_rows]

    def _drop_from(self, ts_ns: int) -> None:
        self._fine_rows = [r for r in self._fine_rows if r.ts_ns < ts_ns]
        self._minute_rows = [r for r in self._minute_rows if r.ts_ns < ts_ns]

    def _downsample(self) -> None:
        newest = self._fine_rows[-1].ts_ns
        split = max(
            0,
            len(self._fine_rows) - _MAX_FINE_ROWS,
            bisect_left(self._fine_rows, newest - _FINE_NS, key=lambda r: r.ts_ns),
        )
        per_minute = {r.ts_ns // MINUTE: r for r in (*self._minute_rows, *self._fine_rows[:split])}
        self._minute_rows = [r for r in per_minute.values() if r.ts_ns >= newest - _MINUTE_ROWS_NS]
        self._fine_rows = self._fine_rows[split:]


def rows_since(rows: Sequence[MetricRow], start_ns: int) -> Sequence[MetricRow]:
    """The rows from `start_ns` on."""
    return rows[bisect_left(rows, start_ns, key=lambda r: r.ts_ns) :]
