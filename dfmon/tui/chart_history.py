"""What the charts look back on: older rows from the history, then a row of each snapshot as the hub gets it.

The history is read on threads of its own, snapshots arrive on the market's, and `collect` is called before a frame.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from dfmon.engine.hub import SnapshotHub
from dfmon.model.snapshot import FlowSnapshot, MetricRow
from dfmon.tui.series import Series

History = Callable[[str, int], Sequence[MetricRow]]
_ARRIVED: Final = 10_000  # rows between two frames


class Past:
    """A series for each underlying of a hub."""

    def __init__(self, hub: SnapshotHub) -> None:
        self._hub = hub
        self._series: dict[str, Series] = {}
        self._arrived: deque[tuple[str, MetricRow]] = deque(maxlen=_ARRIVED)
        hub.listen(self._arrive)

    def rows(self, name: str) -> Sequence[MetricRow]:
        series = self._series.get(name)
        return series.rows() if series else ()

    def seed(self, name: str, rows: Iterable[MetricRow]) -> None:
        """Put older rows before those already collected."""
        self._series.setdefault(name, Series()).seed(rows)

    def _arrive(self, snapshot: FlowSnapshot) -> None:
        """On the market's thread: a fast replay publishes more often than the screen draws."""
        self._arrived.append((snapshot.underlying, MetricRow.of(snapshot)))

    def collect(self) -> None:
        """Remember a row of each new snapshot; also while paused, so that the chart has no hole after it."""
        while self._arrived:
            name, row = self._arrived.popleft()
            self._series.setdefault(name, Series()).add(row)
        for name in self._hub.underlyings():
            snapshot = self._hub.latest(name)
            if snapshot is not None:
                self._series.setdefault(name, Series()).add(MetricRow.of(snapshot))


def read_beside(
    history: History,
    names: Iterable[str],
    start_ns: int,
    take: Callable[[str, Sequence[MetricRow]], None],
    failed: Callable[[str], None],
) -> None:
    """Read the rows from `start_ns` on, a thread for each name: a slow disk or database must not hold the screen.

    `take` and `failed` are called on the loop that asks.
    """
    loop = asyncio.get_running_loop()

    def read(name: str) -> None:
        try:
            rows = history(name, start_ns)
        except Exception as error:
            loop.call_soon_threadsafe(failed, f"history of {name} cannot be read: {error}")
        else:
            loop.call_soon_threadsafe(take, name, rows)

    for name in names:
        threading.Thread(target=read, args=(name,), name=f"history-{name}", daemon=True).start()
