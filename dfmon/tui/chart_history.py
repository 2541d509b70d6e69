"""Rows behind the charts: older ones from the stored history, then one for each snapshot that the hub receives.

The history is read on threads of its own, snapshots arrive on the market's thread, and the app calls `drain_pending`
before each frame.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from dfmon.engine.hub import SnapshotHub
from dfmon.model.snapshot import FlowSnapshot, MetricRow
from dfmon.tui.metric_series import MetricSeries

HistoryReader = Callable[[str, int], Sequence[MetricRow]]
_MAX_PENDING_ROWS: Final = 10_000  # rows between two frames


class ChartHistory:
    """One series for each underlying of a hub."""

    def __init__(self, hub: SnapshotHub) -> None:
        self._hub = hub
        self._series: dict[str, MetricSeries] = {}
        self._pending_rows: deque[tuple[str, MetricRow]] = deque(maxlen=_MAX_PENDING_ROWS)
        hub.add_listener(self._on_snapshot)

    def rows(self, name: str) -> Sequence[MetricRow]:
        series = self._series.get(name)
        return series.rows() if series else ()

    def seed(self, name: str, rows: Iterable[MetricRow]) -> None:
        """Inserts older rows before those already collected."""
        self._series.setdefault(name, MetricSeries()).seed(rows)

    def _on_snapshot(self, snapshot: FlowSnapshot) -> None:
        """Queues a row; runs on the market's thread, and a fast replay publishes more often than the screen draws."""
        self._pending_rows.append((snapshot.underlying, MetricRow.from_snapshot(snapshot)))

    def drain_pending(self) -> None:
        """Appends a row for each new snapshot; also while paused, so that the pause leaves no gap in the chart."""
        while self._pending_rows:
            name, row = self._pending_rows.popleft()
            self._series.setdefault(name, MetricSeries()).append(row)
        for name in self._hub.underlyings():
            snapshot = self._hub.latest(name)
            if snapshot is not None:
                self._series.setdefault(name, MetricSeries()).append(MetricRow.from_snapshot(snapshot))


def load_in_thread(
    history: HistoryReader,
    names: Iterable[str],
    start_ns: int,
    on_rows: Callable[[str, Sequence[MetricRow]], None],
    on_error: Callable[[str], None],
) -> None:
    """Reads the rows from `start_ns` on, in one thread per name: a slow disk or database must not block the screen.

    `on_rows` and `on_error` are called on the loop of the caller.
    """
    loop = asyncio.get_running_loop()

    def load(name: str) -> None:
        try:
            rows = history(name, start_ns)
        except Exception as error:
            loop.call_soon_threadsafe(on_error, f"cannot read the history of {name}: {error}")
        else:
            loop.call_soon_threadsafe(on_rows, name, rows)

    for name in names:
        threading.Thread(target=load, args=(name,), name=f"history-{name}", daemon=True).start()
