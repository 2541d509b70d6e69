"""Opens a locator: runs the commands that show it, and says what a screen of now cannot show of an earlier time."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from copy import copy
from datetime import datetime

from dfmon.engine.hub import Request
from dfmon.model.errors import UsageError
from dfmon.model.locator import Locator
from dfmon.model.units import MINUTE, nanoseconds
from dfmon.tui.commands import run_command
from dfmon.tui.locators import commands_of
from dfmon.tui.render.formatting import format_price, format_usd
from dfmon.tui.render.frame import Frame
from dfmon.tui.view import View


def show_locator(locator: Locator, view: View, frame_of: Callable[[], Frame]) -> list[Request]:
    """Shows what a locator names, and returns the requests that it takes: a replay goes to its time.

    Raises UsageError, having changed nothing, where the market on screen has no such view.
    """
    before, mode = copy(view), frame_of().mode
    try:
        results = [run_command(view, frame_of(), line) for line in commands_of(locator, mode)]
    except UsageError:
        for field in dataclasses.fields(View):
            setattr(view, field.name, getattr(before, field.name))
        raise
    if (at := locator.get("at")) is not None and mode != "replay":
        frame = frame_of()
        view.show_notice(_past_text(frame, at), frame.now_ns, 12)
    return [result for result in results if isinstance(result, Request)]


def _past_text(frame: Frame, at: str) -> str:
    """The history at the time of a locator, which a screen of now cannot show."""
    at_ns = nanoseconds(datetime.fromisoformat(at))
    row = min(frame.rows, key=lambda row: abs(row.ts_ns - at_ns), default=None)
    if row is None or abs(row.ts_ns - at_ns) > 2 * MINUTE:
        return f"shown as of now: {at} is not in the history here, open it on a recording"
    then = f"spot {format_price(_known(row.spot))}, NGI {format_usd(_known(row.ngi))}, scenario {row.bucket or 'none'}"
    return f"shown as of now; at {at}: {then}"


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
