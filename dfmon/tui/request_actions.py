"""What the actions ask of the market, by action id: another position model, and the ways through a replay.

The answer comes with the next snapshot. What changes the view alone is in `deeds`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from dfmon.engine.hub import Request
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.models import known_models
from dfmon.tui.view import cycle

Wish = Callable[[Frame], Request]
_SPEEDS: Final = ("0.25", "0.5", "1", "2", "4", "8", "16", "32", "64", "max")


def model(frame: Frame) -> Request:
    """The next position model; the numbers change with the next snapshot."""
    snapshot = frame.newest
    names = known_models(snapshot)
    return Request("positions", cycle(names, snapshot.positions.model if snapshot else names[-1]))


def step(steps: str, frame: Frame) -> Request:
    return Request("replay.step", steps)


def seek(seconds: str, frame: Frame) -> Request:
    return Request("replay.seek", seconds)


def speed(step: int, frame: Frame) -> Request:
    """The next faster or slower one; a speed that is none of them counts as the fastest."""
    now = frame.runtime.replay_speed
    word = "1" if now is None else f"{now:g}"
    at = _SPEEDS.index(word) if word in _SPEEDS else len(_SPEEDS) - 1
    return Request("replay.speed", _SPEEDS[max(0, min(at + step, len(_SPEEDS) - 1))])


WISHES: Final[dict[str, Wish]] = {
    "view.model": model,
    "replay.step": partial(step, "1"),
    "replay.step.prev": partial(step, "-1"),
    "replay.forward": partial(seek, "+60"),
    "replay.back": partial(seek, "-60"),
    "replay.hour": partial(seek, "+3600"),
    "replay.hour.back": partial(seek, "-3600"),
    "replay.faster": partial(speed, 1),
    "replay.slower": partial(speed, -1),
}
