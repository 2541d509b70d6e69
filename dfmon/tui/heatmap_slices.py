"""Heat-maps of the last hour, one a minute, for changes by cell. Stored by the screen: known from its opening on."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from dfmon.model.snapshot import Detail, FlowSnapshot
from dfmon.model.tables import HeatMap
from dfmon.model.units import MINUTE, SECOND

_MAX_SLICES: Final = 62  # an hour and a minute to either side
_MAX_LAG_NS: Final = 90 * SECOND  # by which a slice may be older than its look-back

Slice = tuple[int, HeatMap]


class HeatmapSlices:
    """Slices by underlying and position model. A clock that was set back begins anew."""

    def __init__(self) -> None:
        self._slices: dict[tuple[str, str], deque[Slice]] = {}

    def push(self, snapshot: FlowSnapshot | None) -> Sequence[Slice]:
        """Adds the heat-map of a snapshot, at most one a minute; the slices of its book, oldest first."""
        if snapshot is None:
            return ()
        stored = self._slices.setdefault((snapshot.underlying, snapshot.positions.model), deque(maxlen=_MAX_SLICES))
        if stored and snapshot.ts_ns < stored[-1][0]:
            stored.clear()
        is_new_minute = not stored or snapshot.ts_ns - stored[-1][0] >= MINUTE
        if is_new_minute and snapshot.state != "stale" and isinstance(snapshot.detail, Detail):
            stored.append((snapshot.ts_ns, snapshot.detail.heatmap))
        return stored


def slice_at(slices: Sequence[Slice], ts_ns: int) -> HeatMap | None:
    """The last slice up to a time; None before the first, and in a gap."""
    found = next(((time, heat) for time, heat in reversed(slices) if time <= ts_ns), None)
    return found[1] if found is not None and ts_ns - found[0] <= _MAX_LAG_NS else None


def cells_then(then: HeatMap, now: HeatMap, layer: str) -> tuple[tuple[float | None, ...], ...]:
    """The cells of then on the strikes and expiries of now; None of what was not listed."""
    rows = dict(zip(then.strikes, then.layer(layer)))
    column = {expiry: j for j, expiry in enumerate(then.expiries)}
    places = [column.get(expiry) for expiry in now.expiries]
    empty: tuple[float | None, ...] = (None,) * len(then.expiries)
    return tuple(tuple(None if j is None else rows.get(strike, empty)[j] for j in places) for strike in now.strikes)
