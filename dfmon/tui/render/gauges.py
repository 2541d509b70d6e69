"""Panel 3: the four roll-ups with their change, band and place about zero; under them the outlook.

A full bar is the largest value seen. An exposure has a sign; the outlook below has verbs.
"""

from __future__ import annotations

from typing import Final

from dfmon.model.metrics import metrics_at
from dfmon.model.snapshot import FlowSnapshot, Metric
from dfmon.model.units import HOUR, MINUTE
from dfmon.tui.metric_series import rows_since
from dfmon.tui.render.box import Rect, bordered_panel, inner_size
from dfmon.tui.render.chart import bin_values
from dfmon.tui.render.formatting import (
    Row,
    Run,
    fit,
    format_band,
    format_duration,
    format_usd,
    linked,
    quality_mark,
    quality_style,
)
from dfmon.tui.render.frame import Frame, change_since, observed_range, trend
from dfmon.tui.render.outlook import outlook_rows
from dfmon.tui.render.plot import bar_runs, sparkline

GAUGE_METRICS: Final = metrics_at("gauge")
BAND_WIDTH: Final = 56  # columns from which the bands are printed
_TALL: Final = 24  # rows from which each gauge has its curve
_SIGN_BARS: Final = ("bar.neg", "bar.pos")


def gauges(frame: Frame, rect: Rect) -> list[Row]:
    """The panel at any size."""
    width, height = inner_size(rect)
    focus = frame.view.panel == "gauges"
    snapshot = frame.snapshot
    title = _title_runs(frame, width)
    if snapshot is None:
        return bordered_panel(rect, title, [(), ((f" {frame.waiting_text()}", "dim"),)], focus=focus)
    body: list[Row] = []
    for name in GAUGE_METRICS:
        body.append(_gauge_row(frame, snapshot, name, width))
        if height >= _TALL:
            body += _curve_rows(frame, name, width)
    body += outlook_rows(frame, snapshot, width, height - len(body))
    return bordered_panel(rect, title, body, focus=focus)


def _title_runs(frame: Frame, width: int) -> list[Run]:
    if width < 42:
        return [("3 GAUGES", "title"), (f" $  {_since(frame)} ago", "dim")]
    band = "   5-95 % band" if width >= BAND_WIDTH else ""
    return [("3 GAUGES", "title"), (f"  USD   since {_since(frame)}{band}", "dim")]


def _since(frame: Frame) -> str:
    """The look-back of the changes: an hour, or as long as the rows go back."""
    covered_ns = frame.rows[-1].ts_ns - frame.rows[0].ts_ns if frame.rows else 0
    return "1 h" if covered_ns >= HOUR - MINUTE else format_duration(covered_ns / 1e9)


def metric_of(snapshot: FlowSnapshot, name: str) -> Metric:
    metric: Metric = getattr(snapshot.metrics, name)
    return metric


def _gauge_row(frame: Frame, snapshot: FlowSnapshot, name: str, width: int) -> Row:
    """`NGI   +12.0M ▲  +1.0M   [+7.1M,+15.9M] ····│██▏···`."""
    metric = metric_of(snapshot, name)
    scale = observed_range(frame.rows, name, metric)
    has_band = width >= BAND_WIDTH
    taken = 25 + (17 if has_band else 0)
    runs: list[Run] = [
        (f" {name.upper():<5.5}", "label"),
        (f"{format_usd(metric.value) + quality_mark(metric, frame.stale):>8}", quality_style(metric, frame.stale)),
        (f"{trend(frame.rows, name, scale)} ", "dim"),
        (f"{_change_text(frame, name):>7} ", "dim"),
    ]
    if has_band:
        runs.append(_band_run(metric))
    style = _SIGN_BARS if not frame.stale and metric.quality != "stale" else ("dim", "dim")
    runs += bar_runs(metric.value, scale, max(1, (width - taken) // 2), style, (metric.lo, metric.hi))
    return fit(linked(runs, f"explain {name}"), width)


def _change_text(frame: Frame, name: str) -> str:
    change = change_since(frame.rows, name, HOUR)
    return "" if change is None else format_usd(change)


def _band_run(metric: Metric) -> Run:
    if metric.quality == "partial":
        return f"{'partial':>16} ", "warn"
    text = format_band(metric.lo, metric.hi) if metric.value is not None else "unknown"
    return f"{text:>16} ", "dim"


def _curve_rows(frame: Frame, name: str, width: int) -> list[Row]:
    """A curve of two rows over the span of the chart."""
    columns = max(1, (width - 27) // 2 * 2)
    label, span_ns = frame.shown_span
    rows_in_span = rows_since(frame.rows, frame.clock_ns - span_ns)
    if not rows_in_span:
        return [fit((), width)] * 2
    span = min(span_ns, max(frame.clock_ns - rows_in_span[0].ts_ns, 2 * MINUTE))
    bin_ns = max(1, span // columns)
    end = frame.clock_ns // bin_ns + 1
    upper, lower = sparkline(bin_values(rows_in_span, name, (end - columns) * bin_ns, bin_ns, columns), columns, 2)
    return [
        fit(((" " * 25, "text"), (upper, "history"), (f" {label}", "faint")), width),
        fit(((" " * 25, "text"), (lower, "history")), width),
    ]
