"""Rows behind the charts: older ones from the stored history, then one for each snapshot that the hub receives.

The history is read on threads of its own, snapshots arrive on the market's thread, and the app calls `drain_pending`
before each frame.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Final

from dfmon.engine.hub import SnapshotHub
from dfmon.model.snapshot import FlowSnapshot, MetricRow
from dfmon.tui.metric_series import MetricSeries

SeriesKey = tuple[str, str]  # underlying, position model
HistoryReader = Callable[[str, int], Sequence[MetricRow]]
_MAX_PENDING_ROWS: Final = 10_000  # rows between two frames


class ChartHistory:
    """One series for each underlying and position model of a hub. The stored rows are those of the published model."""

    def __init__(self, hub: SnapshotHub, published_model: str = "flow") -> None:
        self._hub = hub
        self._published_model = published_model
        self._series: dict[SeriesKey, MetricSeries] = {}
        self._pending_rows: deque[tuple[SeriesKey, MetricRow]] = deque(maxlen=_MAX_PENDING_ROWS)
        hub.add_listener(self._on_snapshot)

    def rows(self, name: str, model: str) -> Sequence[MetricRow]:
        """Rows of one underlying under one position model, oldest first."""
        series = self._series.get((name, model))
        return series.rows() if series else ()

    def seed(self, name: str, rows: Iterable[MetricRow]) -> None:
        """Inserts stored rows before those already collected."""
        self._series.setdefault((name, self._published_model), MetricSeries()).seed(rows)

    def _on_snapshot(self, snapshot: FlowSnapshot) -> None:
        """Queues a row per model; runs on the market's thread, since a fast replay outruns the screen."""
        self._pending_rows.extend(_rows_by_model(snapshot))

    def drain_pending(self) -> None:
        """Appends a row for each new snapshot; also while paused, so that the pause leaves no gap in the chart."""
        while self._pending_rows:
            key, row = self._pending_rows.popleft()
            self._series.setdefault(key, MetricSeries()).append(row)
        for name in self._hub.underlyings():
            snapshot = self._hub.latest(name)
            if snapshot is not None:
                for key, row in _rows_by_model(snapshot):
                    self._series.setdefault(key, MetricSeries()).append(row)


def _rows_by_model(snapshot: FlowSnapshot) -> Iterator[tuple[SeriesKey, MetricRow]]:
    published = snapshot.positions.model
    yield (snapshot.underlying, published), MetricRow.from_snapshot(snapshot)
    for row in snapshot.models:
        if row.model != published:
            yield (snapshot.underlying, row.model), MetricRow.from_model(snapshot, row)


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
            deliver = partial(on_error, f"cannot read the history of {name}: {error}")
        else:
            deliver = partial(on_rows, name, rows)
        with suppress(RuntimeError):  # the screen was closed meanwhile
            loop.call_soon_threadsafe(deliver)

    for name in names:
        threading.Thread(target=load, args=(name,), name=f"history-{name}", daemon=True).start()
