"""The forward map of the sheet: computed at its opening, every ten seconds, and where what it rests on changes."""

from __future__ import annotations

from typing import Final

import numpy as np

from dfmon.engine.forward_map import forward_map_of
from dfmon.model.units import SECOND
from dfmon.tui.render.forward_map import map_axes
from dfmon.tui.render.frame import Frame

_INTERVAL_NS: Final = 10 * SECOND


def refresh_forward_map(frame: Frame) -> None:
    """Leaves the map of the snapshot on screen with the view."""
    snapshot, view = frame.snapshot, frame.view
    if snapshot is None:
        return
    key = snapshot.underlying, snapshot.positions.model, view.size, snapshot.ts_ns // _INTERVAL_NS
    if key != view.forward_map_key:
        moves, hours = map_axes(snapshot, *view.size)
        view.forward_map = forward_map_of(snapshot, np.array(moves), np.array(hours))
        view.forward_map_key = key
