"""Panel 1: spot against the flip level over time, with the walls where there is room.

Columns are whole time bins, and the range is rounded, so the picture stands still between steps and costs few bytes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from dfmon.model.snapshot import FlowSnapshot, MetricRow
from dfmon.model.units import DAY, HOUR, MINUTE, SECOND, expiry_label
from dfmon.tui.layout import Rect
from dfmon.tui.render.box import framed, inner
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.plot import Canvas
from dfmon.tui.render.text import Row, Run, clock, duration, level, percent
from dfmon.tui.series import since
from dfmon.tui.view import SPANS

_JOIN_NS: Final = 150 * SECOND  # history has a row a minute: a longer hole is a gap
_SHORTEST: Final = 2 * MINUTE
_STEPS: Final = tuple(
    SECOND * s for s in (10, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800)
)
_FAR: Final = 3.0  # a flip further off than this many ranges of spot is pinned to the edge
_LEGEND: Final[tuple[Run, ...]] = (
    ("╌ flip", "flip"),
    ("   ", "edge"),
    ("▔ call wall", "pos"),
    ("   ", "edge"),
    ("▁ put wall", "neg"),
    (" ", "edge"),
)


def chart(frame: Frame, rect: Rect) -> list[Row]:
    """The panel at any size."""
    width, height = inner(rect)
    focus = frame.view.panel == "chart"
    snapshot = frame.snapshot
    title = _title(frame, rect)
    foot = _LEGEND if rect.edge == "box" else ()
    rows = since(frame.rows, frame.clock_ns - frame.span[1])
    if snapshot is None or snapshot.spot is None or not rows:
        words = frame.waiting() if snapshot is None else "no spot price"
        return framed(rect, title, [(), ((f"  {words}", "dim"),)], focus=focus, foot=foot)
    body = _body(frame, snapshot, rows, width, height, legend=rect.edge != "box")
    return framed(rect, title, body, focus=focus, foot=foot)


def _title(frame: Frame, rect: Rect) -> list[Run]:
    span_name, span_ns = frame.span
    roomy = rect.width >= 90
    spans: list[Run] = []
    for name, _ in SPANS if rect.width >= 60 else ((span_name, 0),):
        chosen = name == span_name
        spans.append((f" [{name}]" if chosen and rect.width >= 60 else f" {name}", "strong" if chosen else "dim"))
    out: list[Run] = [("1 SPOT v G-FLIP" if rect.width >= 50 else "1 SPOT v FLIP", "title"), *spans]
    if frame.rows:
        have = frame.rows[-1].ts_ns - frame.rows[0].ts_ns
        if have < 0.9 * span_ns:
            out.append((f" ({duration(have / SECOND)} so far)", "dim"))
    flip = frame.snapshot.flip if frame.snapshot else None
    if not roomy or flip is None:
        return out
    if flip.level is None:
        out.append(("   no flip", "warn"))
        return out
    out.append((f"   flip {level(flip.level)}", "flip"))
    if flip.lo is not None and flip.hi is not None:
        out.append((f"  band {level(flip.lo)}..{level(flip.hi)}", "dim"))
    if flip.p_none is not None and rect.width >= 96:
        out.append((f"  none {percent(flip.p_none, 0, plus=False)}", "dim"))
    return out


def _window(rows: Sequence[MetricRow], span_ns: int, columns: int, now_ns: int) -> tuple[int, int]:
    """Start and bin width. Young data fill from the left and rescale now and then; a full span slides by bins."""
    first = rows[0].ts_ns
    have = now_ns - first
    if have >= 0.9 * span_ns:
        bin_ns = span_ns // columns
        return (now_ns // bin_ns + 1 - columns) * bin_ns, bin_ns
    shown = _SHORTEST
    while shown < have:
        shown = shown * 3 // 2
    bin_ns = max(1, min(shown, span_ns) // columns)
    return first // bin_ns * bin_ns, bin_ns


def binned(rows: Sequence[MetricRow], name: str, start: int, bin_ns: int, columns: int) -> list[float | None]:
    """The last value in each bin, carried over short holes; None before the first, in gaps and after the last."""
    at = MetricRow._fields.index(name)
    out: list[float | None] = [None] * columns
    seen = [0] * columns
    for row in rows:
        x = (row.ts_ns - start) // bin_ns
        if 0 <= x < columns:
            value = float(row[at])
            out[x], seen[x] = (None if math.isnan(value) else value), row.ts_ns
    newest, join_ns = rows[-1].ts_ns, _join_ns(rows)
    for x in range(1, columns):
        begins = start + x * bin_ns
        if not seen[x] and seen[x - 1] and begins <= newest and begins - seen[x - 1] <= join_ns:
            out[x], seen[x] = out[x - 1], seen[x - 1]
    return out


def _join_ns(rows: Sequence[MetricRow]) -> int:
    """Longest hole that is still a line: a few minutes, or three steps of rows that stand further apart."""
    steps = sorted(later.ts_ns - row.ts_ns for row, later in pairwise(rows))
    return max(_JOIN_NS, 3 * steps[len(steps) // 2]) if steps else _JOIN_NS


def _limits(spots: list[float], flips: list[float], rows: int) -> tuple[float, float]:
    """Rounded bottom and top; the flip is in sight unless it would flatten spot."""
    lo, hi = min(spots), max(spots)
    span = max(hi - lo, 0.0005 * hi)
    near = [v for v in flips if lo - _FAR * span <= v <= hi + _FAR * span]
    lo, hi = min([lo, *near]), max([hi, *near])
    return round_range(lo, hi, rows)


def round_range(lo: float, hi: float, rows: int) -> tuple[float, float]:
    """Limits that hold lo..hi and put a round number on every row."""
    least = max(hi - lo, 0.0005 * hi, 1e-9) / max(1, rows - 1)
    grain = 10.0 ** math.floor(math.log10(least))
    for step in (grain * k for k in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 15, 20, 30)):
        bottom = math.floor(lo / grain + 1e-9) * grain
        top = bottom + step * (rows - 1)
        if step < least * 0.999 or top < hi or (hi >= 1000 and step != round(step)):
            continue
        spare = int((top - hi) / step) // 2  # rows left over go evenly to both sides
        return bottom - spare * step, top - spare * step
    return lo, hi


def _body(
    frame: Frame, snapshot: FlowSnapshot, rows: Sequence[MetricRow], width: int, height: int, *, legend: bool
) -> list[Row]:
    high = max(2, height - 1)
    gutter = max(len(_label(r.spot)) for r in (rows[0], rows[-1])) + 1
    columns = max(4, width - gutter - 1)
    start, bin_ns = _window(rows, frame.span[1], columns, max(frame.clock_ns, rows[-1].ts_ns))
    spots = binned(rows, "spot", start, bin_ns, columns)
    flips = binned(rows, "flip", start, bin_ns, columns)
    known = [v for v in spots if v is not None] or [snapshot.spot or 0.0]
    lo, hi = _limits(known, [v for v in flips if v is not None], high)
    canvas = Canvas(columns, high, lo, hi)
    canvas.level(snapshot.levels.call_wall, "▔", "pos.faint")
    canvas.level(snapshot.levels.put_wall, "▁", "neg.faint")
    canvas.dashes(flips, "╌", "flip")
    if frame.view.icons == "braille":
        canvas.dots(binned(rows, "spot", start, bin_ns // 2 or 1, 2 * columns), frame.shade("spot"))
    else:
        canvas.line(spots, frame.shade("spot"))
    _pinned(canvas, snapshot.flip.level)
    every = 1 if high <= 8 else 2
    out: list[Row] = []
    for y, cells in enumerate(canvas.rows()):
        value = hi - (hi - lo) * y / (high - 1)
        shown = y % every == 0
        text = f"{_label(value):>{gutter}}┤" if shown else " " * gutter + "│"
        out.append(((text, "axis"), *cells))
    out.append(_axis(start, bin_ns, columns, gutter + 1, legend=legend))
    return out


def _pinned(canvas: Canvas, flip: float | None) -> None:
    """A flip out of sight is named at the edge it lies beyond."""
    if flip is None or canvas.inside(flip):
        return
    above = flip > canvas.hi
    text = f"{'▲' if above else '▼'} flip {level(flip)} "
    canvas.write(canvas.width - len(text), 0 if above else canvas.height - 1, text, "flip")


def _label(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.2f}" if value >= 10 else f"{value:.4f}"


def _axis(start: int, bin_ns: int, columns: int, gutter: int, *, legend: bool) -> Row:
    """Times under the chart, at round moments."""
    step = next((s for s in _STEPS if s >= 11 * bin_ns), _STEPS[-1])
    room = columns - (7 if legend else 0)
    cells = [" "] * columns
    moment = -(-start // step) * step
    while (x := (moment - start) // bin_ns) < columns:
        midnight = moment % DAY == 0 and step >= HOUR
        text = _day(moment) if midnight else clock(moment, seconds=step < MINUTE)
        if x + len(text) <= room:
            cells[x : x + len(text)] = text
        moment += step
    runs: list[Run] = [(" " * gutter, "axis"), ("".join(cells[:room]), "axis")]
    if legend:
        runs.append((" ╌ flip", "flip"))
    return tuple(runs)


def _day(ts_ns: int) -> str:
    return expiry_label(ts_ns)[:-2]
