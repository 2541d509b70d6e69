"""`:what-if`: the tick and the position model on screen under a shock and other assumptions."""

from __future__ import annotations

from dfmon.engine.what_if import inputs_of, what_if_of_tick
from dfmon.engine.what_if_arguments import parse_what_if
from dfmon.model.errors import UsageError
from dfmon.model.what_if import WhatIf
from dfmon.tui.render.frame import Frame


def compute_what_if(frame: Frame, text: str) -> WhatIf:
    """The what-if of the tick and the position model on screen. Raises UsageError."""
    shown = [snapshot for snapshot in (frame.snapshot, frame.latest_snapshot) if snapshot is not None]
    tick = next((tick for snapshot in shown if (tick := inputs_of(snapshot)) is not None), None)
    if tick is None:
        raise UsageError("what-if needs the options of a market in this process")
    if frame.view.model:
        tick = tick._replace(params=tick.params.with_positions(frame.view.model))
    try:
        return what_if_of_tick(tick, *parse_what_if(text, tick.params))
    except ValueError as exc:
        raise UsageError(str(exc)) from None
