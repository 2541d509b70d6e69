"""The convention fan: the same figure under each convention, and how much of it is choice."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from dfmon.engine.what_if_results import FanRow
from dfmon.tui.render.box import divider
from dfmon.tui.render.formatting import Row, Run, cell_text, fit, format_level, format_usd, join_by_priority, sign_style
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.plot import bar_runs

_SPAN: Final = 0.2  # of spot, to either end of the picture of the edges
_SCALE_CELLS: Final = 33


def fan_rows(frame: Frame, width: int, available: int) -> list[Row]:
    """At most `available` lines with their title; what has no line of its own is named with its value on the last."""
    title = divider([("CONVENTION FAN", "title"), ("  NGI sqrt, edges, now, under each convention", "dim")], (), width)
    found = frame.computed("what-if fan")
    if found is None:
        return [title, fit(((" computing ...", "dim"),), width)]
    if not isinstance(found.value, tuple):
        return [title, fit(((f" {cell_text(found.error, 200)}", "warn"),), width)]
    fan: Sequence[FanRow] = found.value
    room = available - 2
    shown = fan if len(fan) <= room else fan[: max(1, room)]
    scale = math.sqrt(max((abs(row.ngi) for row in fan if row.ngi is not None), default=0.0))
    spot = frame.snapshot.spot if frame.snapshot is not None else None
    rows = [_fan_row(row, scale, spot, width) for row in shown]
    return [title, *rows, _hidden_row(fan[len(shown) :], width) if len(shown) < len(fan) else _summary_row(fan, width)]


def _fan_row(row: FanRow, scale: float, spot: float | None, width: int) -> Row:
    half = 31 if width >= 150 else 20 if width >= 110 else 11
    root = None if row.ngi is None else math.copysign(math.sqrt(abs(row.ngi)), row.ngi)
    runs: list[Run] = [
        (f" {cell_text(row.name, 21):<22}", "strong" if row.name.endswith("(shown)") else "label"),
        (f"{format_usd(row.ngi):>9}  ", sign_style(row.ngi)),
        *bar_runs(root, scale, half, ("bar.neg", "bar.pos")),
    ]
    if row.ngi is not None:
        runs.append((f"  {_edge_text(row.below):>8}..{_edge_text(row.above):<8}", "flip"))
    if width >= 150 and spot is not None and row.ngi is not None:
        runs += [("  ", "text"), *_edge_picture(row, spot)]
    return fit(runs, width)


def _edge_text(level: float | None) -> str:
    return "none" if level is None else format_level(level)


def _edge_picture(row: FanRow, spot: float) -> list[Run]:
    """`····┣━●━┫····`: the range in which the side of spot holds, in its colour."""
    middle = _SCALE_CELLS // 2

    def place(level: float | None, end: int) -> int:
        return end if level is None else middle + round((level / spot - 1.0) / _SPAN * middle)

    left, right = max(0, place(row.below, 0)), min(_SCALE_CELLS - 1, place(row.above, _SCALE_CELLS - 1))
    style = {"long": "pos", "short": "neg"}.get(row.side or "", "absent")
    out: list[Run] = []
    for i in range(_SCALE_CELLS):
        if i == middle:
            out.append(("●", "strong"))
        elif i == left and row.below is not None:
            out.append(("┣", "flip"))
        elif i == right and row.above is not None:
            out.append(("┫", "flip"))
        else:
            out.append(("━", style) if left < i < right or i in (left, right) else ("·", "faint"))
    return out


def _hidden_row(hidden: Sequence[FanRow], width: int) -> Row:
    parts: list[tuple[int, tuple[Run, ...]]] = [(0, ((f"{len(hidden)} more:", "warn"),))]
    for row in reversed(hidden):  # the conventions of positions differ most
        name = row.name.removeprefix("positions ")
        parts.append((len(parts), ((f"{cell_text(name, 21)} ", "dim"), (format_usd(row.ngi), sign_style(row.ngi)))))
    return fit(((" ", "text"), *join_by_priority(parts, width - 1)), width)


def _summary_row(fan: Sequence[FanRow], width: int) -> Row:
    """`spread -595M .. +40.3M; the sign is positive in 5 of 8.`"""
    values = [row.ngi for row in fan if row.ngi is not None]
    if not values:
        return fit(((" no convention has a value", "dim"),), width)
    positive = sum(value > 0.0 for value in values)
    without = "; naive and short-all are conventions without a band" if width >= 100 else ""
    runs: list[Run] = [
        (" spread ", "dim"),
        (f"{format_usd(min(values))} .. {format_usd(max(values))}", "strong"),
        ("; the sign is positive in ", "dim"),
        (f"{positive} of {len(values)}", "strong"),
        (without, "dim"),
    ]
    return fit(runs, width)
