"""The what-if sheet: what can be assumed otherwise, and every number beside its live value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from dfmon.engine.what_if import TickInputs
from dfmon.engine.what_if_results import WhatIfResult
from dfmon.model.hedging import with_doubt
from dfmon.model.snapshot import FlowSnapshot
from dfmon.tui.render.box import Rect, bordered_panel, divider, inner_size
from dfmon.tui.render.convention_fan import fan_rows
from dfmon.tui.render.formatting import (
    Row,
    Run,
    cell_text,
    fit,
    format_band,
    format_level,
    format_usd,
    linked,
    row_width,
    sign_style,
)
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.headline import BUCKET_STYLE
from dfmon.tui.render.hedge_text import hedge_run
from dfmon.tui.render.ngi_grid import grid_rows
from dfmon.tui.render.regime import side_run
from dfmon.tui.what_if_controls import CONTROLS, Control, current_value, tick_of

_WIDE: Final = 110
_METRICS: Final = ("ngi", "vss", "chl", "volg")
_LABEL_WIDTH: Final = 15
_UNITS: Final = {"spot": " %", "vol": " points", "hours": " h"}
_MIN_GRID_HEIGHT: Final = 8


def what_if_sheet(frame: Frame, rect: Rect) -> list[Row]:
    """The sheet at any size."""
    width, height = inner_size(rect)
    change, forget = frame.keys("cursor.left", "cursor.right"), frame.keys("what-if.reset", "panel.reset")
    title: list[Run] = [("WHAT-IF", "title"), (f"  {change} change, {forget} forget; never published", "dim")]
    tail: list[Run] = [(" WHAT-IF ", "mode.paused")] if frame.view.what_if else []
    tick = tick_of(frame)
    if tick is None or frame.stale:
        text = frame.waiting_text() if frame.snapshot is None else "a what-if needs the options of a market here"
        body = [(), ((f"  {'no what-if while stale' if frame.stale else text}", "warn" if frame.stale else "dim"),)]
        return bordered_panel(rect, title, body, focus=False, tail=tail)
    rows = _control_rows(frame, tick, width)
    rows += [divider([("NUMBERS", "title"), ("  now, what-if, change; 5-95 % of the what-if", "dim")], (), width)]
    rows += _number_rows(frame, width)
    rows += fan_rows(frame, width, max(3, height - len(rows) - (0 if height < 30 else _MIN_GRID_HEIGHT + 1)))
    if height - len(rows) >= _MIN_GRID_HEIGHT:
        rows += grid_rows(frame, width)
    return bordered_panel(rect, title, rows, focus=False, tail=tail)


# ---- controls ------------------------------------------------------------------------------------------------------


def _control_rows(frame: Frame, tick: TickInputs, width: int) -> list[Row]:
    """A line for each slider; the choices share lines, the selected one with all that it can be."""
    rows: list[Row] = []
    line: list[Run] = []
    for i, control in enumerate(CONTROLS):
        value, selected = current_value(control, frame.view, tick), i == frame.view.what_if_row
        if control.is_slider:
            rows.append(fit(linked(_slider(frame, tick, control, value, selected, width), f"cursor {i}"), width))
            continue
        runs = linked(_choice(frame, control, value, selected, width), f"cursor {i}")
        if line and row_width(line) + row_width(runs) > width:
            rows.append(fit(line, width))
            line = []
        line += runs
    return [*rows, fit(line, width)]


def _name_runs(control: Control, selected: bool, changed: bool) -> list[Run]:
    return [(" ▶ " if selected else "   ", "row.spot"), (control.title, "strong" if selected or changed else "label")]


def _slider(frame: Frame, tick: TickInputs, control: Control, value: str, selected: bool, width: int) -> list[Run]:
    """`▶ spot   ├────●────┼──────────┤  -4 %  86,339`."""
    cells = 41 if width >= _WIDE else 25
    numbers, number = [float(v) for v in control.values], float(value.removesuffix("%"))
    line = ["─"] * cells
    share = (number - numbers[0]) / (numbers[-1] - numbers[0])
    zero = round(-numbers[0] / (numbers[-1] - numbers[0]) * (cells - 1))
    line[0], line[-1] = "├", "┤"
    line[zero] = "┼" if zero else "├"
    at = round(min(1.0, max(0.0, share)) * (cells - 1))
    changed = control.name in frame.view.what_if
    text = f"  {number:+g}{_UNITS[control.name]}" if changed else "  now" if control.name == "hours" else "  as it is"
    if control.name == "spot" and changed:
        text += f"  {format_level(tick.chain.spot * (1.0 + number / 100.0))}"
    name = _name_runs(control, selected, changed)
    return [
        *name,
        (" " * (_LABEL_WIDTH - row_width(name)), "text"),
        ("".join(line[:at]), "faint"),
        ("●", "warn" if changed else "strong"),
        ("".join(line[at + 1 :]), "faint"),
        (text, "warn" if changed else "dim"),
    ]


def _choice(frame: Frame, control: Control, value: str, selected: bool, width: int) -> list[Run]:
    """`sign model [flow] naive short-all`; all values only of the selected one, and where there is room."""
    changed = control.name in frame.view.what_if
    runs = [*_name_runs(control, selected, changed), (" ", "text")]
    shown = control.values if (selected or width >= _WIDE) and control.name != "desks" else ()
    for other in shown if value in shown else (*shown, value):
        is_present = other == value
        label = cell_text(control.label(other), 50)
        style = "warn" if is_present and changed else "strong" if is_present else "dim"
        text = f"[{label}] " if is_present else f"{label} "
        runs += linked([(text, style)], f"what-if {control.name}={other}")
    return runs


# ---- numbers -------------------------------------------------------------------------------------------------------


def _number_rows(frame: Frame, width: int) -> list[Row]:
    """The metrics before and after; beside or below them regime, hedge and scenario."""
    found = frame.computed("what-if")
    head = fit(((f" {'':<6}{'NOW':>9}{'WHAT-IF':>10}{'CHANGE':>10}{'5-95 %':>20}", "head"),), width)
    if found is None:
        return [head, fit(((" computing ...", "dim"),), width)]
    result = found.value
    if not isinstance(result, WhatIfResult):
        return [head, fit(((f" {cell_text(found.error, 200)}", "warn"),), width)]
    rows = [head, *(_metric_row(result, name, width) for name in _METRICS)]
    notes = _note_runs(frame, result, width)
    if width >= _WIDE:
        notes = [[("  ", "text"), *note] for note in notes]
        return [_side_by_side(row, note, width) for row, note in zip(rows, [*notes, *[[]] * len(rows)])]
    return [*rows, *(fit([(" ", "text"), *note], width) for note in notes)]


def _side_by_side(left: Row, right: Sequence[Run], width: int) -> Row:
    return (*fit(left, 57), *fit(right, width - 57))


def _metric_row(result: WhatIfResult, name: str, width: int) -> Row:
    before, after = getattr(result.before.metrics, name), getattr(result.after.metrics, name)
    change = None if before.value is None or after.value is None else after.value - before.value
    return fit(
        (
            *linked([(f" {name.upper():<6}", "label")], f"explain {name}"),
            (f"{format_usd(before.value):>9}", sign_style(before.value)),
            (f"{format_usd(after.value):>10}", sign_style(after.value)),
            (f"{format_usd(change):>10}", "strong" if change else "dim"),
            (f"{format_band(after.lo, after.hi):>20}", "dim"),
        ),
        width,
    )


def _note_runs(frame: Frame, result: WhatIfResult, width: int) -> list[list[Run]]:
    """Lines on all else that changes, the most important first."""
    before, after = result.before, result.after
    regime: list[Run] = [("edges ", "dim"), *_edges(before), (" -> ", "dim"), *_edges(after), ("   regime ", "dim")]
    regime += [side_run(before), (" -> ", "dim"), side_run(after)]
    scenario: list[Run] = [("scenario ", "dim"), *_scenario(before.scenario.bucket, before.scenario.name)]
    scenario += [(" -> ", "dim"), *_scenario(*(result.scenario or (None, "")))]
    scenario.append(("  as the rules call it at once; z, liquidations as now" if width >= 140 else "  at once", "dim"))
    notes = [regime, _hedge_runs(result), _outlook_runs(before, after), scenario]
    if width >= _WIDE:
        query = "".join(f"&{name}={value}" for name, value in frame.view.what_if.items())
        notes.append([("REST ", "dim"), (f"/v1/whatif?currency={cell_text(before.underlying, 8)}{query}", "flip")])
    return notes


def _edges(snapshot: FlowSnapshot) -> list[Run]:
    below, above = (
        "none" if edge is None else format_level(edge.level) for edge in (snapshot.regime.below, snapshot.regime.above)
    )
    return [(below, "flip"), ("..", "dim"), (above, "flip")]


def _scenario(bucket: int | None, name: str) -> list[Run]:
    if bucket is None:
        return [("no verdict", "dim")]
    return [(f" {bucket} {cell_text(name, 18)} ", BUCKET_STYLE[bucket])]


def _hedge_runs(result: WhatIfResult) -> list[Run]:
    """`to get there dealers buy 62.7M [+50.1M,+76.1M]: of spot alone buy 9.2M`."""
    hedge, positions, flat_usd = result.hedge, result.after.positions, result.after.liquidity.flat_usd
    if hedge is None or positions.warming:
        return [("to get there: no verdict on the positions", "dim")]
    out: list[Run] = [("to get there dealers ", "dim"), hedge_run(*with_doubt(positions, *hedge[:3]), flat_usd)]
    band = format_band(hedge.lo, hedge.hi)
    out.append((f"{' ' if band else ''}{band}; spot alone ", "dim"))
    out.append(hedge_run(*with_doubt(positions, hedge.spot, None, None), flat_usd))
    return [*out, (f"; {result.expired} options expire before", "warn")] if result.expired else out


def _outlook_runs(before: FlowSnapshot, after: FlowSnapshot) -> list[Run]:
    """`+1%: sell 15.8M -> buy 2.0M   -1%: buy 15.6M -> sell 1.1M`."""
    out: list[Run] = []
    for case, label in (("+1 %", "+1%: "), ("-1 %", "-1%: ")):
        out.append((f"{'   ' if out else ''}{label}", "dim"))
        for snapshot, arrow in ((before, " -> "), (after, "")):
            row = next((row for row in snapshot.outlook if row.case == case), None)
            trade = (None, None, None) if row is None or snapshot.positions.warming else (row.value, row.lo, row.hi)
            flat_usd = snapshot.liquidity.flat_usd
            out += [hedge_run(*with_doubt(snapshot.positions, *trade), flat_usd), (arrow, "dim")]
    return out
