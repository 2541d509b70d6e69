"""Panel 1: spot against the flip level over time, with the walls where there is room.

A column is a time bin and the range is rounded, so most cells stay the same from frame to frame.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from dfmon.model.snapshot import FlowSnapshot, MetricRow
from dfmon.model.units import DAY, HOUR, MINUTE, SECOND, expiry_label
from dfmon.tui.metric_series import rows_since
from dfmon.tui.render.box import Rect, bordered_panel, inner_size
from dfmon.tui.render.formatting import (
    Row,
    Run,
    format_duration,
    format_level,
    format_percent,
    format_time,
)
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.plot import Canvas
from dfmon.tui.render.regime import edge_labels, flip_runs
from dfmon.tui.view import SPANS

_MAX_JOINED_GAP_NS: Final = 150 * SECOND  # history has a row a minute: a longer hole is drawn as a gap
_MIN_WINDOW_NS: Final = 2 * MINUTE
_TICK_STEPS_NS: Final = tuple(
    SECOND * s for s in (10, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800)
)
_MAX_FLIP_RANGES: Final = 3.0  # a flip further away than this many spot ranges is labelled at the edge
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
    width, height = inner_size(rect)
    focus = frame.view.panel == "chart"
    snapshot = frame.snapshot
    title = _title_runs(frame, rect)
    foot = _LEGEND if rect.edge == "box" else ()
    rows = rows_since(frame.rows, frame.clock_ns - frame.shown_span[1])
    if snapshot is None or snapshot.spot is None or not rows:
        message = frame.waiting_text() if snapshot is None else "no spot price"
        return bordered_panel(rect, title, [(), ((f"  {message}", "dim"),)], focus=focus, foot=foot)
    body = _plot_rows(frame, snapshot, rows, width, height, legend=rect.edge != "box")
    return bordered_panel(rect, title, body, focus=focus, foot=foot)


def _title_runs(frame: Frame, rect: Rect) -> list[Run]:
    span_name, span_ns = frame.shown_span
    is_wide = rect.width >= 90
    spans: list[Run] = []
    for name, _ in SPANS if rect.width >= 60 else ((span_name, 0),):
        chosen = name == span_name
        spans.append((f" [{name}]" if chosen and rect.width >= 60 else f" {name}", "strong" if chosen else "dim"))
    out: list[Run] = [("1 SPOT v G-FLIP" if rect.width >= 50 else "1 SPOT v FLIP", "title"), *spans]
    if frame.rows:
        covered_ns = frame.rows[-1].ts_ns - frame.rows[0].ts_ns
        if covered_ns < 0.9 * span_ns:
            out.append((f" ({format_duration(covered_ns / SECOND)} so far)", "dim"))
    flip = frame.snapshot.flip if frame.snapshot else None
    if not is_wide or flip is None:
        return out
    if flip.level is None:
        out.append(("   no flip", "warn"))
        return out
    out += [("   ", "dim"), *flip_runs(flip, None, verbose=False)]
    if flip.lo is not None and flip.hi is not None:
        out.append((f"  band {format_level(flip.lo)}..{format_level(flip.hi)}", "dim"))
    if flip.p_none is not None and rect.width >= 96:
        out.append((f"  none {format_percent(flip.p_none, 0, plus=False)}", "dim"))
    return out


def _time_window(rows: Sequence[MetricRow], span_ns: int, columns: int, now_ns: int) -> tuple[int, int]:
    """Start and bin width in ns. A young series fills from the left and rescales in steps; a full one slides."""
    first = rows[0].ts_ns
    covered_ns = now_ns - first
    if covered_ns >= 0.9 * span_ns:
        bin_ns = span_ns // columns
        return (now_ns // bin_ns + 1 - columns) * bin_ns, bin_ns
    window_ns = _MIN_WINDOW_NS
    while window_ns < covered_ns:
        window_ns = window_ns * 3 // 2
    bin_ns = max(1, min(window_ns, span_ns) // columns)
    return first // bin_ns * bin_ns, bin_ns


def bin_values(rows: Sequence[MetricRow], name: str, start: int, bin_ns: int, columns: int) -> list[float | None]:
    """The last value of each bin, carried over short holes; None before the first, in gaps and after the last."""
    out: list[float | None] = [None] * columns
    last_ts_ns = [0] * columns
    for row in rows:
        x = (row.ts_ns - start) // bin_ns
        if 0 <= x < columns:
            value = getattr(row, name)
            out[x], last_ts_ns[x] = (None if math.isnan(value) else value), row.ts_ns
    newest, max_joined_gap_ns = rows[-1].ts_ns, _max_joined_gap_ns(rows)
    for x in range(1, columns):
        bin_start_ns = start + x * bin_ns
        if (
            not last_ts_ns[x]
            and last_ts_ns[x - 1]
            and bin_start_ns <= newest
            and bin_start_ns - last_ts_ns[x - 1] <= max_joined_gap_ns
        ):
            out[x], last_ts_ns[x] = out[x - 1], last_ts_ns[x - 1]
    return out


def _max_joined_gap_ns(rows: Sequence[MetricRow]) -> int:
    """The longest hole drawn as a line, in ns: a few minutes, or three steps of a sparser series."""
    steps = sorted(later.ts_ns - row.ts_ns for row, later in pairwise(rows))
    return max(_MAX_JOINED_GAP_NS, 3 * steps[len(steps) // 2]) if steps else _MAX_JOINED_GAP_NS


def _price_limits(spots: list[float], flips: list[float], rows: int) -> tuple[float, float]:
    """Rounded bottom and top; includes the flip unless it would flatten spot."""
    lo, hi = min(spots), max(spots)
    span = max(hi - lo, 0.0005 * hi)
    nearby_flips = [v for v in flips if lo - _MAX_FLIP_RANGES * span <= v <= hi + _MAX_FLIP_RANGES * span]
    lo, hi = min([lo, *nearby_flips]), max([hi, *nearby_flips])
    return round_range(lo, hi, rows)


def round_range(lo: float, hi: float, rows: int) -> tuple[float, float]:
    """Limits that contain lo..hi and put a round number on every row."""
    min_step = max(hi - lo, 0.0005 * hi, 1e-9) / max(1, rows - 1)
    unit = 10.0 ** math.floor(math.log10(min_step))
    for step in (unit * k for k in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 15, 20, 30)):
        bottom = math.floor(lo / unit + 1e-9) * unit
        top = bottom + step * (rows - 1)
        if step < min_step * 0.999 or top < hi or (hi >= 1000 and step != round(step)):
            continue
        spare_rows = int((top - hi) / step) // 2  # rows left over go evenly to both sides
        return bottom - spare_rows * step, top - spare_rows * step
    return lo, hi


def _plot_rows(
    frame: Frame, snapshot: FlowSnapshot, rows: Sequence[MetricRow], width: int, height: int, *, legend: bool
) -> list[Row]:
    plot_height = max(2, height - 1)
    drawn_spots = [row.spot for row in rows if not math.isnan(row.spot)] or [snapshot.spot or 0.0]
    gutter = max(len(_price_label(spot)) for spot in (drawn_spots[0], drawn_spots[-1])) + 1
    columns = max(4, width - gutter - 1)
    start, bin_ns = _time_window(rows, frame.shown_span[1], columns, max(frame.clock_ns, rows[-1].ts_ns))
    spots = bin_values(rows, "spot", start, bin_ns, columns)
    flips = bin_values(rows, "flip", start, bin_ns, columns)
    known_spots = [v for v in spots if v is not None] or [snapshot.spot or 0.0]
    edges = edge_labels(snapshot)
    levels = [v for v in flips if v is not None] + [level for level, _ in edges]
    lo, hi = _price_limits(known_spots, levels, plot_height)
    canvas = Canvas(columns, plot_height, lo, hi)
    canvas.draw_level(snapshot.levels.call_wall, "▔", "pos.faint")
    canvas.draw_level(snapshot.levels.put_wall, "▁", "neg.faint")
    canvas.draw_dashes(flips, "╌", "flip")
    if frame.view.icons == "braille":
        canvas.draw_braille(bin_values(rows, "spot", start, bin_ns // 2 or 1, 2 * columns), frame.dim_if_stale("spot"))
    else:
        canvas.draw_line(spots, frame.dim_if_stale("spot"))
    _label_edges(canvas, edges, visible=snapshot.regime.side is not None)
    label_every = 1 if plot_height <= 8 else 2
    out: list[Row] = []
    for y, cells in enumerate(canvas.rows()):
        value = hi - (hi - lo) * y / (plot_height - 1)
        labelled = y % label_every == 0
        text = f"{_price_label(value):>{gutter}}┤" if labelled else " " * gutter + "│"
        out.append(((text, "axis"), *cells))
    out.append(_time_axis(start, bin_ns, columns, gutter + 1, legend=legend))
    return out


def _label_edges(canvas: Canvas, edges: list[tuple[float, str]], visible: bool) -> None:
    """Labels the edges of the regime on the right: at their level, or at the top or bottom beyond which they lie."""
    for level, label in edges:
        inside = canvas.contains(level)
        if inside and not visible:
            continue
        text = f"{'╌' if inside else '▲' if level > canvas.hi else '▼'} {label} "
        canvas.write_text(canvas.width - len(text), canvas.row_of(level), text, "flip")


def _price_label(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.2f}" if value >= 10 else f"{value:.4f}"


def _time_axis(start: int, bin_ns: int, columns: int, gutter: int, *, legend: bool) -> Row:
    """Round times under the chart."""
    step = next((s for s in _TICK_STEPS_NS if s >= 11 * bin_ns), _TICK_STEPS_NS[-1])
    available = columns - (7 if legend else 0)
    cells = [" "] * columns
    tick_ns = -(-start // step) * step
    while (x := (tick_ns - start) // bin_ns) < columns:
        midnight = tick_ns % DAY == 0 and step >= HOUR
        text = _date_label(tick_ns) if midnight else format_time(tick_ns, seconds=step < MINUTE)
        if x + len(text) <= available:
            cells[x : x + len(text)] = text
        tick_ns += step
    runs: list[Run] = [(" " * gutter, "axis"), ("".join(cells[:available]), "axis")]
    if legend:
        runs.append((" ╌ flip", "flip"))
    return tuple(runs)


def _date_label(ts_ns: int) -> str:
    return expiry_label(ts_ns)[:-2]
