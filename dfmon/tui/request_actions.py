"""Actions that send a request to the market, by action id: moves through a replay.

The effect comes with a later snapshot. Actions that change only the view are in `view_actions`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from dfmon.engine.hub import Request
from dfmon.tui.render.frame import Frame

RequestAction = Callable[[Frame], Request]
_SPEEDS: Final = ("0.25", "0.5", "1", "2", "4", "8", "16", "32", "64", "max")


def step_replay(steps: str, frame: Frame) -> Request:
    return Request("replay.step", steps)


def seek_replay(seconds: str, frame: Frame) -> Request:
    return Request("replay.seek", seconds)


def change_speed(step: int, frame: Frame) -> Request:
    """Requests the next faster or slower speed; a speed not in the list counts as the fastest."""
    current_speed = frame.runtime.replay_speed
    speed_text = "1" if current_speed is None else f"{current_speed:g}"
    index = _SPEEDS.index(speed_text) if speed_text in _SPEEDS else len(_SPEEDS) - 1
    return Request("replay.speed", _SPEEDS[max(0, min(index + step, len(_SPEEDS) - 1))])


REQUEST_ACTIONS: Final[dict[str, RequestAction]] = {
    "replay.step": partial(step_replay, "1"),
    "replay.step.prev": partial(step_replay, "-1"),
    "replay.forward": partial(seek_replay, "+60"),
    "replay.back": partial(seek_replay, "-60"),
    "replay.hour": partial(seek_replay, "+3600"),
    "replay.hour.back": partial(seek_replay, "-3600"),
    "replay.faster": partial(change_speed, 1),
    "replay.slower": partial(change_speed, -1),
}
