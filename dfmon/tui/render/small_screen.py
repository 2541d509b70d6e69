"""The screen of a terminal that is too small for the panels: the sentence, the chart where it fits, feeds and keys."""

from __future__ import annotations

from dfmon.model.snapshot import FlowSnapshot
from dfmon.tui.render.box import Rect
from dfmon.tui.render.chart import chart
from dfmon.tui.render.context_strip import context_strip
from dfmon.tui.render.formatting import Row, cell_text, fit, format_percent, justify, row_width
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.headline import headline, mode_runs, outlook_parts, spot_runs
from dfmon.tui.render.regime import regime_runs
from dfmon.tui.render.status_line import footer_line, status_line


def small_screen(frame: Frame, width: int, height: int) -> list[Row]:
    """The screen of a small terminal: three lines of words, the chart where there is room, feeds and keys."""
    snapshot = frame.snapshot
    if width >= 60:
        lines = [*headline(frame, width), *context_strip(frame, width)]
    elif snapshot is None:
        lines = headline(frame, width)
    else:
        lines = [_spot_row(frame, snapshot, width), *_small_verdict_rows(frame, snapshot, width)]
    rows_left = height - len(lines) - 2
    if rows_left >= 4 and width >= 30:
        lines += chart(frame, Rect(0, 0, width, rows_left, "none"))
    if height > len(lines):
        lines += [fit((), width)] * (height - len(lines) - 2)
        lines += [*status_line(frame, width), *footer_line(frame, width)][: height - len(lines)]
    return lines[:height]


def _spot_row(frame: Frame, snapshot: FlowSnapshot, width: int) -> Row:
    left: Row = ((" ", "text"), *spot_runs(frame, snapshot))
    right: Row = (*mode_runs(frame), (" ", "text"))
    if row_width(left) + row_width(right) > width:
        right = (*mode_runs(frame, seconds=False), (" ", "text"))
    return justify(left, right, width)


def _small_verdict_rows(frame: Frame, snapshot: FlowSnapshot, width: int) -> list[Row]:
    """Regime and scenario, then the outlook in two rows."""
    scenario = snapshot.scenario
    bucket = f"{scenario.bucket or ''} {cell_text(scenario.name, 16)}".strip()
    mark = "held " if frame.stale and scenario.bucket else ""
    regime = regime_runs(snapshot, is_long=False, beyond=False)
    confidence = "" if scenario.confidence is None else f" {format_percent(scenario.confidence, 0, plus=False)}"
    outlook = [] if frame.stale else outlook_parts(snapshot, width, ("hour", "settlement"))
    rows = [[*regime, (f"  {mark}", "dim"), (bucket, frame.dim_if_stale("scene")), (confidence, "dim")]]
    rows += [[run for part in pair for run in (*part, ("  ", "text"))] for pair in (outlook[:2], outlook[2:])]
    return [fit(((" ", "text"), *row), width) for row in rows if row]
