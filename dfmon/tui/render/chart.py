"""Panel 1: spot moving through the field of the regime: long gamma, short gamma, and the edges between them.

A column is a time bin and the range is rounded, so most cells stay the same from frame to frame. Now is at the right,
where the axis is. Under the chart run the scenario and the alerts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from dfmon.model.snapshot import FlowSnapshot, MetricRow
from dfmon.model.units import DAY, HOUR, MINUTE, SECOND, YEAR, expiry_label
from dfmon.tui.metric_series import rows_since
from dfmon.tui.render.box import Rect, bordered_panel, inner_size
from dfmon.tui.render.formatting import (
    Row,
    Run,
    fit,
    format_duration,
    format_level,
    format_percent,
    format_time,
    linked,
)
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.headline import BUCKET_STYLE
from dfmon.tui.render.plot import Canvas
from dfmon.tui.render.regime import edges_of
from dfmon.tui.view import SPANS

_MAX_JOINED_GAP_NS: Final = 150 * SECOND  # history has a row a minute: a longer hole is drawn as a gap
_MIN_WINDOW_NS: Final = 2 * MINUTE
_TICK_STEPS_NS: Final = tuple(
    SECOND * s for s in (10, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800)
)
_MIN_RANGE_SIGMAS: Final = 0.9  # each way, of the time shown: a quiet market is drawn quiet
_CLOSE_EDGE_SIGMAS: Final = 1.6  # an edge within this distance of spot widens the range
_RIBBON_STYLES: Final = {"scene.calm": "dim", "scene.watch": "warn", "scene.violent": "bad"}


def chart(frame: Frame, rect: Rect) -> list[Row]:
    """The panel at any size."""
    width, height = inner_size(rect)
    focus = frame.view.panel == "chart"
    snapshot = frame.snapshot
    title = _title_runs(frame, rect)
    rows = rows_since(frame.rows, frame.clock_ns - frame.shown_span[1])
    if snapshot is None or snapshot.spot is None or not rows:
        message = frame.waiting_text() if snapshot is None else "no spot price"
        return bordered_panel(rect, title, [(), ((f"  {message}", "dim"),)], focus=focus)
    tail = _band_runs(snapshot) if rect.width >= 90 else ()
    return bordered_panel(rect, title, _plot_rows(frame, snapshot, rows, width, height), focus=focus, tail=tail)


def _title_runs(frame: Frame, rect: Rect) -> list[Run]:
    span_name, span_ns = frame.shown_span
    is_wide = rect.width >= 60
    spans: list[Run] = []
    for name, _ in SPANS if is_wide else ((span_name, 0),):
        chosen = name == span_name
        text = f" [{name}]" if chosen and is_wide else f" {name}"
        spans += linked([(text, "strong" if chosen else "dim")], f"span {name}")
    out: list[Run] = [("1 SPOT AND REGIME" if rect.width >= 50 else "1 SPOT", "title"), (" ", "dim"), *spans]
    if frame.rows:
        covered_ns = frame.rows[-1].ts_ns - frame.rows[0].ts_ns
        if covered_ns < 0.9 * span_ns:
            out.append((f" ({format_duration(covered_ns / SECOND)} so far)", "dim"))
    return out


def _band_runs(snapshot: FlowSnapshot) -> list[Run]:
    """The edge that is nearest to spot with its band and its chance."""
    edges, spot = edges_of(snapshot), snapshot.spot
    if not edges or spot is None:
        return []
    edge = min(edges, key=lambda item: abs(item.level - spot))
    out = linked([("edge ", "dim"), (format_level(edge.level), "flip")], "explain edges")
    if edge.lo is not None and edge.hi is not None:
        out.append((f" [{format_level(edge.lo)}..{format_level(edge.hi)}]", "dim"))
    return [*out, (f" {format_percent(edge.p, 0, plus=False)}", "dim")] if edge.p is not None else out


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


def _price_limits(snapshot: FlowSnapshot, spots: list[float], span_ns: int, rows: int) -> tuple[float, float]:
    """Rounded bottom and top: the range of spot or a share of its volatility, and the edges that are near."""
    lo, hi = min(spots), max(spots)
    volatility = snapshot.context.atm_iv or snapshot.context.dvol or 0.5
    sigma = spots[-1] * volatility * math.sqrt(span_ns / YEAR)
    middle, half = (lo + hi) / 2, max((hi - lo) / 2, _MIN_RANGE_SIGMAS * sigma, 0.0002 * hi)
    close = [edge.level for edge in edges_of(snapshot) if abs(edge.level - spots[-1]) <= _CLOSE_EDGE_SIGMAS * sigma]
    return round_range(min([middle - half, *close]), max([middle + half, *close]), rows)


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


def _plot_rows(frame: Frame, snapshot: FlowSnapshot, rows: Sequence[MetricRow], width: int, height: int) -> list[Row]:
    plot_height = max(2, height - 2)
    known = [row.spot for row in rows if not math.isnan(row.spot)] or [snapshot.spot or 0.0]
    gutter = max(len(_price_label(price)) for price in (max(known), snapshot.spot or 0.0)) + 3
    columns = max(4, width - gutter)
    start, bin_ns = _time_window(rows, frame.shown_span[1], columns, max(frame.clock_ns, rows[-1].ts_ns))
    lo, hi = _price_limits(snapshot, known, columns * bin_ns, plot_height)
    canvas = Canvas(columns, plot_height, lo, hi)
    spots = bin_values(rows, "spot", start, bin_ns, columns)
    _draw_field(canvas, rows, spots, start, bin_ns)
    style = frame.dim_if_stale("spot")
    if frame.view.icons == "braille":
        canvas.draw_braille(bin_values(rows, "spot", start, bin_ns // 2 or 1, 2 * columns), style)
    else:
        canvas.draw_line(spots, style)
    _draw_gaps(canvas, spots)
    labels = _axis_labels(canvas, frame, snapshot, gutter)
    out: list[Row] = [(*cells, labels[y]) for y, cells in enumerate(canvas.rows())]
    out.append(fit((*scene_ribbon(frame, rows, spots, start, bin_ns), (" scene", "axis")), width))
    out.append(time_axis(start, bin_ns, columns))
    return out


def _draw_field(canvas: Canvas, rows: Sequence[MetricRow], spots: list[float | None], start: int, bin_ns: int) -> None:
    """The background: long or short gamma at each time and price by the edges of then; dots where it is short."""
    series = [bin_values(rows, name, start, bin_ns, canvas.width) for name in ("ngi", "edge_below", "edge_above")]
    for x, (ngi, below, above) in enumerate(zip(*series, strict=True)):
        if spots[x] is None or not ngi:
            continue
        inside, outside = ("@long", "@short") if ngi > 0 else ("@short", "@long")
        for y in range(canvas.height):
            price = canvas.value_of(y)
            is_inside = (below is None or price > below) and (above is None or price < above)
            canvas.set_field(x, y, inside if is_inside else outside)
            if (inside if is_inside else outside) == "@short" and y % 2 == 0 and x % 4 == 1:
                canvas.set_cell(x, y, "·", "faint")
        for level in (below, above):
            if canvas.contains(level):
                canvas.set_cell(x, canvas.row_of(level or 0.0), "╌", "flip")


def _draw_gaps(canvas: Canvas, spots: list[float | None]) -> None:
    """Hatches the columns without data between the first and the last that have some."""
    known = [x for x, spot in enumerate(spots) if spot is not None]
    for x in range(known[0], known[-1]) if known else ():
        if spots[x] is None:
            for y in range(canvas.height):
                canvas.set_cell(x, y, "╱", "faint")


def _axis_labels(canvas: Canvas, frame: Frame, snapshot: FlowSnapshot, gutter: int) -> list[Run]:
    """The axis at the right: spot, the edges (with an arrow where they are out of sight), and round prices between."""
    labels: dict[int, Run] = {}
    for edge in edges_of(snapshot):
        arrow = " " if canvas.contains(edge.level) else "↑" if edge.level > canvas.hi else "↓"
        labels[canvas.row_of(edge.level)] = (f"{arrow}{_price_label(edge.level)}", "flip")
    spot = snapshot.spot or 0.0
    y = canvas.row_of(spot)
    if y in labels:  # the edge keeps its place
        y += 1 if y + 1 < canvas.height else -1
    labels[y] = (f"◂{_price_label(spot)}", frame.dim_if_stale("strong"))
    every = 2 if canvas.height > 8 else 1
    for row in range(0, canvas.height, every):
        if not {row - 1, row, row + 1} & set(labels) or (every == 1 and row not in labels):
            labels[row] = (f" {_price_label(canvas.value_of(row))}", "axis")
    blank: Run = ("", "axis")
    return [(f"{labels.get(row, blank)[0]:<{gutter}}", labels.get(row, blank)[1]) for row in range(canvas.height)]


def scene_ribbon(
    frame: Frame, rows: Sequence[MetricRow], spots: list[float | None], start: int, bin_ns: int
) -> list[Run]:
    """The scenario over time, its digit where it begins, and the alerts of the flip."""
    buckets = bin_values(rows, "bucket", start, bin_ns, len(spots))
    cells: list[Run] = []
    before = 0
    for x, bucket in enumerate(buckets):
        number = int(bucket or 0)
        style = _RIBBON_STYLES.get(BUCKET_STYLE.get(number, ""), "faint")
        text = " " if spots[x] is None else str(number) if number and number != before else "▬" if number else "·"
        cells.append((text, style))
        before = number or before
    for alert in frame.alerts:
        x = (alert.ts_ns - start) // bin_ns
        if alert.kind == "FLIP" and 0 <= x < len(cells) and not cells[x][0].isdigit():
            cells[x] = ("◆", "flip")
    return cells


def _price_label(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.2f}" if value >= 10 else f"{value:.4f}"


def time_axis(start: int, bin_ns: int, columns: int) -> Row:
    """Round times under the chart."""
    step = next((s for s in _TICK_STEPS_NS if s >= 11 * bin_ns), _TICK_STEPS_NS[-1])
    cells = [" "] * columns
    tick_ns = -(-start // step) * step
    while (x := (tick_ns - start) // bin_ns) < columns:
        midnight = tick_ns % DAY == 0 and step >= HOUR
        text = _date_label(tick_ns) if midnight else format_time(tick_ns, seconds=step < MINUTE)
        if x + len(text) <= columns:
            cells[x : x + len(text)] = text
        tick_ns += step
    return (("".join(cells), "axis"),)


def _date_label(ts_ns: int) -> str:
    return expiry_label(ts_ns)[:-2]
