"""The rows of the what-if sheet that can be changed, and the steps in which the keys change them.

What was changed is kept as names and values in text, the same words as on the command line and in REST.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import Final

from dfmon.core.step import FlowParams
from dfmon.engine.what_if import TickInputs, inputs_of
from dfmon.engine.what_if_arguments import shock_and_params, unchanged_arguments
from dfmon.model.errors import UsageError
from dfmon.model.what_if import Shock
from dfmon.tui.render.frame import Frame
from dfmon.tui.view import View


@dataclass(frozen=True, slots=True)
class Control:
    """One row. `values` are what the keys step through; `labels` are printed in their place where they differ."""

    name: str
    title: str
    values: tuple[str, ...]
    labels: tuple[str, ...] = ()
    is_slider: bool = False

    def label(self, value: str) -> str:
        """The text of a value on the screen."""
        return self.labels[self.values.index(value)] if self.labels and value in self.values else value


def _numbers(low: float, high: float, step: float) -> tuple[str, ...]:
    return tuple(f"{low + step * i:g}" for i in range(round((high - low) / step) + 1))


_THREE_DESKS: Final = "0.5:1:0,0.35:1:0.0005,0.15:0:0"
CONTROLS: Final = (
    Control("spot", "spot", _numbers(-10, 10, 0.5), is_slider=True),
    Control("vol", "vol", _numbers(-10, 10, 0.5), is_slider=True),
    Control("hours", "hours ahead", ("0", "1", "2", "4", "8", "12", "20", "24", "36", "48", "72"), is_slider=True),
    Control("positions", "sign model", ("flow", "naive", "short-all", "file")),
    Control("stickiness", "stickiness", ("strike", "moneyness")),
    Control("numeraire", "numeraire", ("usd", "coin")),
    Control("desks", "desks", ("1:1:0", _THREE_DESKS), ("one", "three: half hedge, a third late, the rest never")),
    Control("share", "venue share", ("0.4", "0.6", "0.8", "1")),
    Control("law", "impact", ("linear", "sqrt"), ("linear", "square root")),
)


def tick_of(frame: Frame) -> TickInputs | None:
    """The tick and the position model on screen; None for a snapshot of another process."""
    shown = [snapshot for snapshot in (frame.snapshot, frame.latest_snapshot) if snapshot is not None]
    tick = next((tick for snapshot in shown if (tick := inputs_of(snapshot)) is not None), None)
    if tick is not None and frame.view.model:
        tick = tick._replace(params=tick.params.with_positions(frame.view.model))
    return tick


def what_if_of(view: View, tick: TickInputs) -> tuple[Shock, FlowParams]:
    """The shock and the parameters of the view. Raises UsageError."""
    return shock_and_params(view.what_if.items(), tick.params)


def current_value(control: Control, view: View, tick: TickInputs) -> str:
    """The value in force, changed or not."""
    return view.what_if.get(control.name) or unchanged_arguments(tick.params)[control.name]


def step_control(view: View, frame: Frame, step: int) -> None:
    """Moves the selected row by so many values; back where it changes nothing, it is no change any more."""
    tick, control = tick_of(frame), CONTROLS[view.what_if_row]
    if tick is None:
        return
    unchanged = unchanged_arguments(tick.params)[control.name]
    allowed = tuple(v for v in control.values if v != "file" or tick.params.file_positions is not None)
    value = _stepped(allowed, current_value(control, view, tick), step, wraps=not control.is_slider)
    changed = {name: text for name, text in view.what_if.items() if name != control.name}
    view.what_if = changed if value == unchanged else {**changed, control.name: value}


def _stepped(values: tuple[str, ...], current: str, step: int, *, wraps: bool) -> str:
    """The value `step` places on. Numbers between two of the list go to the next one."""
    if current in values:
        place = values.index(current) + step
    else:
        try:
            numbers, number = [float(value) for value in values], float(current.removesuffix("%"))
        except ValueError:
            return values[0]
        place = bisect_left(numbers, number) + step if step < 0 else bisect_right(numbers, number) - 1 + step
    return values[place % len(values) if wraps else max(0, min(place, len(values) - 1))]


def set_arguments(view: View, frame: Frame, arguments: dict[str, str]) -> None:
    """Adds arguments that were typed. Raises UsageError, having changed nothing."""
    tick = tick_of(frame)
    if tick is None:
        raise UsageError("what-if needs the options of a market in this process")
    shock_and_params(arguments.items(), tick.params)
    view.what_if = {**view.what_if, **arguments}
