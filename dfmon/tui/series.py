"""Bounded memory of what was on screen: every row of the last two hours, then one a minute for eight days.

Fed from the history at start and from each new snapshot after that; charts, gauges and trend glyphs look back on it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

from dfmon.model.snapshot import MetricRow
from dfmon.model.units import DAY, HOUR, MINUTE

_FINE_ROWS = 7200
_FINE_NS = 2 * HOUR
_COARSE_NS = 8 * DAY


class Series:
    """Rows of one underlying in order of time."""

    def __init__(self) -> None:
        self._fine: list[MetricRow] = []
        self._coarse: list[MetricRow] = []

    def add(self, row: MetricRow) -> None:
        """Append; a row from before the newest one (a seek in a replay) forgets what came after it."""
        if self._fine and row.ts_ns <= self._fine[-1].ts_ns:
            self._forget_from(row.ts_ns)
        self._fine.append(row)
        if len(self._fine) >= 2 * _FINE_ROWS or row.ts_ns - self._fine[0].ts_ns > 2 * _FINE_NS:
            self._thin()

    def seed(self, rows: Iterable[MetricRow]) -> None:
        """Put older rows before those already collected."""
        now = self.rows()
        before = now[0].ts_ns if now else None
        older = sorted((r for r in rows if before is None or r.ts_ns < before), key=lambda r: r.ts_ns)
        if older:
            self._coarse, self._fine = [], [*older, *now]
            self._thin()

    def rows(self) -> list[MetricRow]:
        return [*self._coarse, *self._fine]

    def _forget_from(self, ts_ns: int) -> None:
        self._fine = [r for r in self._fine if r.ts_ns < ts_ns]
        self._coarse = [r for r in self._coarse if r.ts_ns < ts_ns]

    def _thin(self) -> None:
        newest = self._fine[-1].ts_ns
        cut = max(0, len(self._fine) - _FINE_ROWS, bisect_left(self._fine, newest - _FINE_NS, key=lambda r: r.ts_ns))
        per_minute = {r.ts_ns // MINUTE: r for r in (*self._coarse, *self._fine[:cut])}
        self._coarse = [r for r in per_minute.values() if r.ts_ns >= newest - _COARSE_NS]
        self._fine = self._fine[cut:]


def since(rows: Sequence[MetricRow], start_ns: int) -> Sequence[MetricRow]:
    """The rows from `start_ns` on."""
    return rows[bisect_left(rows, start_ns, key=lambda r: r.ts_ns) :]
