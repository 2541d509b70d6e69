"""The layers of the heat-map beside those of the snapshot: volume, flow of the prints shown, and change of NGI."""

from __future__ import annotations

from typing import Final

from dfmon.core.snapshot.smoothing import smoothed
from dfmon.engine.option_volume import Cells, flow_cells, volume_cells
from dfmon.model.tables import HeatMap
from dfmon.model.units import MINUTE
from dfmon.tui.heatmap_slices import cells_then, slice_at
from dfmon.tui.render.frame import Frame
from dfmon.tui.view import LOOKBACKS, SNAPSHOT_LAYERS

DEFAULT_LOOKBACK: Final = 15  # minutes of the change while no slice is chosen, and of the marks of a sign that turned


def layer_cells(frame: Frame, heat: HeatMap, layer: str) -> Cells:
    """The cells of any layer, on the strikes and expiries of the heat-map."""
    if layer in SNAPSHOT_LAYERS:
        return shown_map(frame, heat).layer(layer)
    empty: Cells = ((None,) * len(heat.expiries),) * len(heat.strikes)
    if layer == "volume":
        found = volume_cells(frame.snapshot) if frame.snapshot is not None else None
        return found if found is not None and len(found) == len(heat.strikes) else empty
    if layer == "flow":
        return empty if frame.detail is None else flow_cells(frame.detail)
    then = previous_cells(frame, heat, "ngi", lookback_minutes(frame))
    return empty if then is None else _changes(heat.layer("ngi"), then)


def shown_map(frame: Frame, heat: HeatMap) -> HeatMap:
    """The heat-map as published, or through the smoother where the view asks for it."""
    if not frame.view.smoothed or frame.snapshot is None:
        return heat
    return smoothed(heat, frame.snapshot.by_expiry)


def lookback_minutes(frame: Frame) -> int:
    """Minutes back to the slice that is compared with."""
    return LOOKBACKS[frame.view.lookback] or DEFAULT_LOOKBACK


def previous_cells(frame: Frame, heat: HeatMap, layer: str, minutes: int) -> Cells | None:
    """The cells of a layer of the snapshot so many minutes ago; None where they are not known."""
    if frame.snapshot is None or layer not in SNAPSHOT_LAYERS:
        return None
    then = slice_at(frame.slices, frame.snapshot.ts_ns - minutes * MINUTE)
    return None if then is None else cells_then(then, heat, layer)


def _changes(now: Cells, then: Cells) -> Cells:
    return tuple(
        tuple(None if a is None or b is None else a - b for a, b in zip(new, old)) for new, old in zip(now, then)
    )
