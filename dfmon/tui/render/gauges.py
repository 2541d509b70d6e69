"""Panel 3: the four roll-ups as bars from zero, and what hedging does if spot, vol or time moves.

A full bar is the largest value seen; numbers are USD. A positive HPP means dealers must sell.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from dfmon.model.metrics import metrics_at
from dfmon.model.snapshot import FlowSnapshot, Hpp, Metric
from dfmon.model.units import MINUTE
from dfmon.tui.metric_series import rows_since
from dfmon.tui.render.box import Rect, bordered_panel, inner_size
from dfmon.tui.render.chart import bin_values
from dfmon.tui.render.formatting import (
    Row,
    Run,
    cell_text,
    fit,
    format_duration,
    format_millions,
    format_percent,
    format_usd,
    join_by_priority,
    justify,
    quality_mark,
    quality_style,
)
from dfmon.tui.render.frame import Frame, observed_range, trend
from dfmon.tui.render.plot import bar, sparkline

GAUGE_METRICS: Final = metrics_at("gauge")


def gauges(frame: Frame, rect: Rect) -> list[Row]:
    """The panel at any size."""
    width, height = inner_size(rect)
    focus = frame.view.panel == "gauges"
    is_wide = width >= 42
    title: list[Run] = [("3 GAUGES", "title"), ("  USD, bar scaled to range seen" if is_wide else " $M", "dim")]
    snapshot = frame.snapshot
    if snapshot is None:
        return bordered_panel(rect, title, [(), ((f" {frame.waiting_text()}", "dim"),)], focus=focus)
    foot = _model_runs(frame, snapshot, width)
    if not is_wide:
        body = [
            *(_compact_gauge(frame, snapshot, name, width) for name in GAUGE_METRICS),
            *_compact_pressure(frame, snapshot, width),
            fit(foot, width),
        ]
        if height < len(body):
            body = [*body[: height - 1], body[-1]]
        return bordered_panel(rect, title, body, focus=focus)
    body = []
    is_tall = height >= 14
    for name in GAUGE_METRICS:
        body.append(_wide_gauge(frame, snapshot, name, width))
        if is_tall:
            body += _history_rows(frame, name, width, 2 if height >= 18 else 1)
    body += _wide_pressure(frame, snapshot, width)
    if rect.edge != "box":
        body.append(fit(foot, width))
    return bordered_panel(rect, title, body, focus=focus, foot=[*foot, (" ", "edge")])


def metric_of(snapshot: FlowSnapshot, name: str) -> Metric:
    metric: Metric = getattr(snapshot.metrics, name)
    return metric


def _bar_runs(metric: Metric, scale: float, half: int, frame: Frame) -> list[Run]:
    left, right, style = bar(metric.value, scale, half)
    style_name = "dim" if metric.value is not None and (frame.stale or metric.quality == "stale") else f"bar.{style}"
    if metric.value is None:
        style_name = "absent"
    out: list[Run] = []
    for half_bar in (left, right):
        filled = half_bar.strip("·")
        empty = "·" * (len(half_bar) - len(filled))
        out += (
            [(empty, "faint"), (filled, style_name)]
            if half_bar.startswith("·")
            else [(filled, style_name), (empty, "faint")]
        )
    return [*out[:2], ("│", "axis"), *out[2:]]


def _compact_gauge(frame: Frame, snapshot: FlowSnapshot, name: str, width: int) -> Row:
    metric = metric_of(snapshot, name)
    scale = observed_range(frame.rows, name, metric)
    number = quality_mark(metric, frame.stale).strip() + format_millions(metric.value)
    return fit(
        (
            (f" {name.upper():<5.5}", "label"),
            (f"{number:>6}", quality_style(metric, frame.stale)),
            (f" {trend(frame.rows, name, scale)} ", "dim"),
            *_bar_runs(metric, scale, (width - 16) // 2, frame),
        ),
        width,
    )


def _wide_gauge(frame: Frame, snapshot: FlowSnapshot, name: str, width: int) -> Row:
    metric = metric_of(snapshot, name)
    scale = observed_range(frame.rows, name, metric)
    number = quality_mark(metric, frame.stale).strip() + format_usd(metric.value)
    band = ""
    if metric.lo is not None and metric.hi is not None:
        band = f"[{_compact_usd(metric.lo)},{_compact_usd(metric.hi)}]"
    if metric.quality == "absent" or metric.value is None:
        band = "absent"
    elif metric.quality == "partial":
        band = "partial"
    return fit(
        (
            (f" {name.upper():<5.5}", "label"),
            (f"{number:>7}", quality_style(metric, frame.stale)),
            (f" {trend(frame.rows, name, scale)} ", "dim"),
            *_bar_runs(metric, scale, (width - 31) // 2, frame),
            (f" {band:<13}", "warn" if metric.quality == "partial" else "dim"),
        ),
        width,
    )


def _compact_usd(value: float) -> str:
    """USD without the decimal of a two-digit number."""
    text = format_usd(value)
    return text.replace(text[-3:-1], "") if text[-3:-2] == "." and len(text) > 5 else text


def _history_rows(frame: Frame, name: str, width: int, rows: int) -> list[Row]:
    """A sparkline over the span of the chart."""
    columns = (width - 31) // 2 * 2 + 1
    label, span_ns = frame.shown_span
    rows_in_span = rows_since(frame.rows, frame.clock_ns - span_ns)
    if not rows_in_span:
        return [fit((), width)] * rows
    span = min(span_ns, max(frame.clock_ns - rows_in_span[0].ts_ns, 2 * MINUTE))
    bin_ns = max(1, span // columns)
    end = frame.clock_ns // bin_ns + 1
    values = bin_values(rows_in_span, name, (end - columns) * bin_ns, bin_ns, columns)
    if rows == 1:
        return [fit(((" " * 16, "text"), (sparkline(values, columns), "history"), (f" {label}", "faint")), width)]
    tops = _two_row_sparkline(values)
    return [
        fit(((" " * 16, "text"), (tops[0], "history"), (f" {label}", "faint")), width),
        fit(((" " * 16, "text"), (tops[1], "history")), width),
    ]


def _two_row_sparkline(values: list[float | None]) -> tuple[str, str]:
    known_values = [v for v in values if v is not None]
    low, high = min(known_values, default=0.0), max(known_values, default=0.0)
    blocks = " ▁▂▃▄▅▆▇█"
    upper, lower = [], []
    for v in values:
        eighths = 0 if v is None else 1 + round((v - low) / (high - low) * 15) if high > low else 8
        lower.append(blocks[min(8, eighths)])
        upper.append(blocks[max(0, eighths - 8)])
    return "".join(upper), "".join(lower)


def _side_runs(hpp: Hpp, condition: str) -> tuple[Run, ...]:
    """The side that dealers must take if the last move goes on; nothing before there was one, unsure where the band
    holds 0.
    """
    move = {1: "rise", -1: "fall"}.get(hpp.ds_sign)
    if not hpp.value or move is None:
        return ()
    side: Run = ("SELL", "pos") if hpp.value > 0 else ("BUY", "neg")
    return (condition.format(move=move), "text"), ("?", "dim") if _holds_zero(hpp.lo, hpp.hi) else side


def _psi_text(metric: Metric) -> str:
    return "psi n/a" if metric.value is None else f"psi {metric.value:+.2f}"


def _compact_pressure(frame: Frame, snapshot: FlowSnapshot, width: int) -> list[Row]:
    hpp = snapshot.metrics.hpp
    scale = observed_range(frame.rows, "hpp", hpp)
    number = quality_mark(hpp, frame.stale).strip() + format_millions(hpp.value)
    head: list[Run] = [
        (" HPP  ", "label"),
        (f"{number:>6}", quality_style(hpp, frame.stale)),
        (f" {trend(frame.rows, 'hpp', scale)} ", "dim"),
        *(_side_runs(hpp, "{move}: ") if width >= 36 else ()),
    ]
    return [
        justify(head, [(_psi_text(snapshot.metrics.psi), _psi_style(snapshot.metrics.psi))], width),
        fit(((" buy  ", "neg"), *_bar_runs(hpp, scale, (width - 13) // 2, frame), ("  sell", "pos")), width),
    ]


def _psi_style(psi: Metric) -> str:
    if psi.value is None:
        return "absent"
    return "bad" if psi.value <= -0.5 else "warn" if psi.value < 0 else "text"


def _wide_pressure(frame: Frame, snapshot: FlowSnapshot, width: int) -> list[Row]:
    hpp = snapshot.metrics.hpp
    number = quality_mark(hpp, frame.stale).strip() + format_usd(hpp.value)
    head: list[Run] = [
        ("─ ", "edge"),
        ("HEDGE PRESSURE" if width >= 64 else "HEDGE", "title"),
        ("  HPP ", "label"),
        (number, quality_style(hpp, frame.stale)),
        *_side_runs(hpp, "  if the {move} goes on: " if width >= 56 else "  {move}: "),
        ("  ", "text"),
        (_psi_text(snapshot.metrics.psi), _psi_style(snapshot.metrics.psi)),
        (" ", "edge"),
    ]
    available = width - sum(len(t) for t, _ in head)
    rows: list[Row] = [fit((*head, ("─" * max(0, available), "edge")), width)]
    shocks = _shocks(snapshot)
    scale = max((abs(m.value) for _, m in shocks if m.value is not None), default=0.0)
    rows += [_shock_row(frame, text, metric, scale, width) for text, metric in shocks]
    rows.append(_calibration_row(snapshot, width))
    if hpp.value is not None:
        rows.append(_term_row(hpp, width))
    return rows


def _shocks(snapshot: FlowSnapshot) -> list[tuple[str, Metric]]:
    """The dealers' trade after each shock, USD, + = dealers buy, with its band."""
    ngi, vss, chl = snapshot.metrics.ngi, snapshot.metrics.vss, snapshot.metrics.chl
    trades = {row.case: replace(ngi, value=row.value, lo=row.lo, hi=row.hi) for row in snapshot.outlook}
    return [
        ("spot +1%", trades.get("+1 %", _negative(ngi))),
        ("spot -1%", trades.get("-1 %", ngi)),
        ("vol +1 pt", _negative(vss)),
        ("next 24h", _negative(chl)),
    ]


def _negative(metric: Metric) -> Metric:
    value, low, high = (None if number is None else -number for number in (metric.value, metric.hi, metric.lo))
    return replace(metric, value=value, lo=low, hi=high)


def _holds_zero(low: float | None, high: float | None) -> bool:
    """True for a band with 0 in it."""
    return low is not None and high is not None and low <= 0.0 <= high


def _shock_row(frame: Frame, text: str, trade: Metric, scale: float, width: int) -> Row:
    """The dealers' trade after a shock: buying is drawn to the left, selling to the right, as on the meter."""
    if trade.value is None:
        return fit(((f" {text:<10} ", "dim"), ("n/a", "absent")), width)
    side: Run = ("BUY ", "neg") if trade.value > 0 else ("SELL", "pos") if trade.value < 0 else ("    ", "text")
    if _holds_zero(trade.lo, trade.hi):
        side = ("?   ", "dim")
    half = max(3, (width - 36) // 2)
    pressure = Metric(-trade.value, None, None, trade.unit, "", trade.quality, trade.age_s)
    amount = quality_mark(trade, frame.stale).strip() + format_usd(abs(trade.value), plus=False)
    return fit(
        (
            (f" {text:<10}", "text"),
            ("dealers ", "dim"),
            side,
            (f"{amount:>8}", frame.dim_if_stale("text")),
            ("   ", "text"),
            *_bar_runs(pressure, scale, half, frame),
        ),
        width,
    )


def _calibration_row(snapshot: FlowSnapshot, width: int) -> Row:
    hpp, flow = snapshot.metrics.hpp, snapshot.metrics.hedge_flow
    right: list[Run] = [("buy", "neg"), (" │ ", "axis"), ("sell", "pos")]
    half = max(3, (width - 36) // 2)
    right.append((" " * max(1, half - 5 if width >= 52 else 1), "text"))
    calibration: tuple[Run, ...] = ((f" a {hpp.alpha:.2g}  b {hpp.beta:.2g}", "dim"),)
    status: tuple[Run, ...] = () if hpp.calibrated else ((cell_text(hpp.status, 20), "warn"),)
    traded: tuple[Run, ...] = ()
    if flow.value is not None:
        span = f"{(flow.span_s or 900.0) / 60.0:.0f}m"
        traded = (
            (f"{span} {'bought' if flow.value > 0 else 'sold'} {format_usd(abs(flow.value), plus=False)}", "dim"),
        )
    unwind = snapshot.unwind
    settles: tuple[Run, ...] = ()
    if unwind.at_window:
        side = "buy" if unwind.at_window > 0 else "sell"
        side = "?" if _holds_zero(unwind.at_window_lo, unwind.at_window_hi) else side
        settles = ((f"settlement {side} {format_usd(abs(unwind.at_window), plus=False)}", "dim"),)
    parts = [(0, calibration), (2, status), (1, traded), (1, settles)]
    return justify(join_by_priority(parts, width - sum(len(t) for t, _ in right) - 1), right, width)


def _term_row(hpp: Hpp, width: int) -> Row:
    """The three terms of HPP and its band."""
    terms = (("gamma", hpp.gamma_term), ("vanna", hpp.vanna_term), ("charm", hpp.charm_term))
    parts: list[tuple[int, tuple[Run, ...]]] = [(0, ((" HPP", "dim"),))]
    if hpp.lo is not None and hpp.hi is not None:
        parts.append((1, ((f"[{_compact_usd(hpp.lo)},{_compact_usd(hpp.hi)}]", "dim"),)))
    parts += [(2, ((f"{name} ", "dim"), (format_usd(term), "text"))) for name, term in terms]
    return fit(tuple(join_by_priority(parts, width, gap=1)), width)


def _model_runs(frame: Frame, snapshot: FlowSnapshot, width: int) -> list[Run]:
    """`flow  cover 93%  age 0.4s`: the position model, its coverage and the age of the numbers."""
    p = snapshot.positions
    coverage_text = "cover n/a" if p.coverage is None else f"cover {format_percent(p.coverage, 0, plus=False)}"
    low_coverage = p.warming or (p.coverage is not None and p.coverage < 0.9)
    newest = frame.latest_snapshot or snapshot  # while paused the ages go on
    age = frame.stale_s if frame.stale_s is not None else newest.metrics.ngi.age_s
    coverage_text = f"{coverage_text}!" if low_coverage else coverage_text
    parts: list[tuple[int, tuple[Run, ...]]] = [
        (0, ((f" {cell_text(p.model, 10)}", "strong"),)),
        (1, ((coverage_text, "warn" if low_coverage else "dim"),)),
        (2, (("warming", "warn"),) if p.warming else ()),
        (0 if p.decided is False else 3, ((p.sign_caveat, "warn"),) if p.sign_caveat else ()),
    ]
    if age is not None:
        parts.append((3, ((f"age {format_duration(age)}", "warn" if frame.stale else "dim"),)))
    return join_by_priority(parts, width - 1)
