"""Panel 3: the four roll-ups as bars from zero, and what hedging does if spot, vol or time moves.

A bar shows the place of a value in the range seen so far; the number is USD. A positive HPP means dealers must sell.
"""

from __future__ import annotations

from typing import Final

from dfmon.model.snapshot import FlowSnapshot, Metric
from dfmon.model.units import MINUTE
from dfmon.tui.layout import Rect
from dfmon.tui.render.box import framed, inner
from dfmon.tui.render.chart import binned
from dfmon.tui.render.frame import Frame, range_seen, trend
from dfmon.tui.render.plot import bar, spark
from dfmon.tui.render.text import (
    Row,
    Run,
    by_priority,
    duration,
    fit,
    foreign,
    millions,
    money,
    percent,
    quality_mark,
    quality_style,
    spread,
)
from dfmon.tui.series import since

NAMES: Final = ("ngi", "vss", "chl", "volg")


def gauges(frame: Frame, rect: Rect) -> list[Row]:
    """The panel at any size."""
    width, height = inner(rect)
    focus = frame.view.panel == "gauges"
    roomy = width >= 42
    title: list[Run] = [("3 GAUGES", "title"), ("  USD, bar = place in range seen" if roomy else " $M", "dim")]
    s = frame.snapshot
    if s is None:
        return framed(rect, title, [(), ((f" {frame.waiting()}", "dim"),)], focus=focus)
    foot = _model(frame, s, width)
    if not roomy:
        body = [*(_short(frame, s, name, width) for name in NAMES), *_pressure_short(frame, s, width), fit(foot, width)]
        if height < len(body):
            body = [*body[: height - 1], body[-1]]
        return framed(rect, title, body, focus=focus)
    body = []
    tall = height >= 14
    for name in NAMES:
        body.append(_long(frame, s, name, width))
        if tall:
            body += _history(frame, name, width, 2 if height >= 18 else 1)
    body += _pressure_long(frame, s, width)
    if rect.edge != "box":
        body.append(fit(foot, width))
    return framed(rect, title, body, focus=focus, foot=[*foot, (" ", "edge")])


def metric_of(s: FlowSnapshot, name: str) -> Metric:
    metric: Metric = getattr(s.metrics, name)
    return metric


def _bar(metric: Metric, scale: float, half: int, frame: Frame) -> list[Run]:
    left, right, style = bar(metric.value, scale, half)
    tone = "dim" if metric.value is not None and (frame.stale or metric.quality == "stale") else f"bar.{style}"
    if metric.value is None:
        tone = "absent"
    out: list[Run] = []
    for part in (left, right):
        full = part.strip("·")
        free = "·" * (len(part) - len(full))
        out += [(free, "faint"), (full, tone)] if part.startswith("·") else [(full, tone), (free, "faint")]
    return [*out[:2], ("│", "axis"), *out[2:]]


def _short(frame: Frame, s: FlowSnapshot, name: str, width: int) -> Row:
    metric = metric_of(s, name)
    scale = range_seen(frame.rows, name, metric)
    number = quality_mark(metric, frame.stale).strip() + millions(metric.value)
    return fit(
        (
            (f" {name.upper():<5}", "label"),
            (f"{number:>6}", quality_style(metric, frame.stale)),
            (f" {trend(frame.rows, name, scale)} ", "dim"),
            *_bar(metric, scale, (width - 16) // 2, frame),
        ),
        width,
    )


def _long(frame: Frame, s: FlowSnapshot, name: str, width: int) -> Row:
    metric = metric_of(s, name)
    scale = range_seen(frame.rows, name, metric)
    number = quality_mark(metric, frame.stale).strip() + money(metric.value)
    band = ""
    if metric.lo is not None and metric.hi is not None:
        band = f"[{_short_money(metric.lo)},{_short_money(metric.hi)}]"
    if metric.quality == "absent" or metric.value is None:
        band = "absent"
    elif metric.quality == "partial":
        band = "partial"
    return fit(
        (
            (f" {name.upper():<5}", "label"),
            (f"{number:>7}", quality_style(metric, frame.stale)),
            (f" {trend(frame.rows, name, scale)} ", "dim"),
            *_bar(metric, scale, (width - 31) // 2, frame),
            (f" {band:<13}", "warn" if metric.quality == "partial" else "dim"),
        ),
        width,
    )


def _short_money(value: float) -> str:
    """Money without a decimal where two digits say enough."""
    text = money(value)
    return text.replace(text[-3:-1], "") if text[-3:-2] == "." and len(text) > 5 else text


def _history(frame: Frame, name: str, width: int, rows: int) -> list[Row]:
    """The same span as the chart, as blocks of one colour."""
    columns = (width - 31) // 2 * 2 + 1
    label, span_ns = frame.span
    seen = since(frame.rows, frame.clock_ns - span_ns)
    if not seen:
        return [fit((), width)] * rows
    span = min(span_ns, max(frame.clock_ns - seen[0].ts_ns, 2 * MINUTE))
    bin_ns = max(1, span // columns)
    end = frame.clock_ns // bin_ns + 1
    values = binned(seen, name, (end - columns) * bin_ns, bin_ns, columns)
    if rows == 1:
        return [fit(((" " * 16, "text"), (spark(values, columns), "history"), (f" {label}", "faint")), width)]
    tops = _two_rows(values)
    return [
        fit(((" " * 16, "text"), (tops[0], "history"), (f" {label}", "faint")), width),
        fit(((" " * 16, "text"), (tops[1], "history")), width),
    ]


def _two_rows(values: list[float | None]) -> tuple[str, str]:
    known = [v for v in values if v is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    blocks = " ▁▂▃▄▅▆▇█"
    upper, lower = [], []
    for v in values:
        eighths = 0 if v is None else 1 + round((v - low) / (high - low) * 15) if high > low else 8
        lower.append(blocks[min(8, eighths)])
        upper.append(blocks[max(0, eighths - 8)])
    return "".join(upper), "".join(lower)


def _side(hpp: float | None) -> Run:
    if hpp is None:
        return ("n/a", "absent")
    return ("SELL", "pos") if hpp > 0 else ("BUY", "neg") if hpp < 0 else ("none", "dim")


def _psi(metric: Metric) -> str:
    return "psi n/a" if metric.value is None else f"psi {metric.value:+.2f}"


def _pressure_short(frame: Frame, s: FlowSnapshot, width: int) -> list[Row]:
    hpp = s.metrics.hpp
    scale = range_seen(frame.rows, "hpp", hpp)
    number = quality_mark(hpp, frame.stale).strip() + millions(hpp.value)
    head: list[Run] = [
        (" HPP  ", "label"),
        (f"{number:>6}", quality_style(hpp, frame.stale)),
        (f" {trend(frame.rows, 'hpp', scale)} ", "dim"),
        _side(hpp.value),
    ]
    return [
        spread(head, [(_psi(s.metrics.psi), _psi_style(s.metrics.psi))], width),
        fit(((" buy  ", "neg"), *_bar(hpp, scale, (width - 13) // 2, frame), ("  sell", "pos")), width),
    ]


def _psi_style(psi: Metric) -> str:
    if psi.value is None:
        return "absent"
    return "bad" if psi.value <= -0.5 else "warn" if psi.value < 0 else "text"


def _pressure_long(frame: Frame, s: FlowSnapshot, width: int) -> list[Row]:
    hpp = s.metrics.hpp
    must = _side(hpp.value)
    number = quality_mark(hpp, frame.stale).strip() + money(hpp.value)
    head: list[Run] = [
        ("─ ", "edge"),
        ("HEDGE PRESSURE" if width >= 52 else "HEDGE", "title"),
        ("  HPP ", "label"),
        (number, quality_style(hpp, frame.stale)),
        ("" if hpp.value is None else "  dealers must " if width >= 56 else "  must ", "text"),
        ("", "text") if hpp.value is None else must,
        ("  ", "text"),
        (_psi(s.metrics.psi), _psi_style(s.metrics.psi)),
        (" ", "edge"),
    ]
    room = width - sum(len(t) for t, _ in head)
    rows: list[Row] = [fit((*head, ("─" * max(0, room), "edge")), width)]
    moves = (
        ("spot +1%", s.metrics.ngi, -1.0),
        ("spot -1%", s.metrics.ngi, 1.0),
        ("vol +1 pt", s.metrics.vss, -1.0),
        ("next 24h", s.metrics.chl, -1.0),
    )
    scale = max((abs(m.value) for _, m, _ in moves if m.value is not None), default=0.0)
    rows += [_if_it_moves(frame, text, metric, sign, scale, width) for text, metric, sign in moves]
    rows.append(_calibration(s, width))
    return rows


def _if_it_moves(frame: Frame, text: str, metric: Metric, sign: float, scale: float, width: int) -> Row:
    """What dealers trade then: buying is drawn to the left, selling to the right, as on the meter."""
    if metric.value is None:
        return fit(((f" {text:<10} ", "dim"), ("n/a", "absent")), width)
    trade = sign * metric.value  # + dealers buy
    side: Run = ("BUY ", "neg") if trade > 0 else ("SELL", "pos") if trade < 0 else ("    ", "text")
    half = max(3, (width - 36) // 2)
    turned = Metric(-trade, None, None, metric.unit, "", metric.quality, metric.age_s)
    return fit(
        (
            (f" {text:<10}", "text"),
            ("dealers ", "dim"),
            side,
            (f"{quality_mark(metric, frame.stale).strip() + money(abs(trade), plus=False):>8}", frame.shade("text")),
            ("   ", "text"),
            *_bar(turned, scale, half, frame),
        ),
        width,
    )


def _calibration(s: FlowSnapshot, width: int) -> Row:
    hpp = s.metrics.hpp
    word = "" if hpp.calibrated else " uncalibrated"
    left: list[Run] = [(f" a {hpp.alpha:.2g}  b {hpp.beta:.2g}", "dim"), (word, "warn")]
    if s.metrics.unwind.value is not None:
        left.append((f"   unwind {money(s.metrics.unwind.value)}", "dim"))
    half = max(3, (width - 36) // 2)
    right: list[Run] = [("buy", "neg"), (" │ ", "axis"), ("sell", "pos")]
    return spread(left, [*right, (" " * max(1, half - 5 if width >= 52 else 1), "text")], width)


def _model(frame: Frame, s: FlowSnapshot, width: int) -> list[Run]:
    """`flow  cover 93%  age 0.4s`: on whose word the numbers stand."""
    p = s.positions
    cover = "cover n/a" if p.coverage is None else f"cover {percent(p.coverage, 0, plus=False)}"
    thin = p.warming or (p.coverage is not None and p.coverage < 0.9)
    age = frame.stale_s if frame.stale_s is not None else s.metrics.ngi.age_s
    cover = f"{cover}!" if thin else cover
    parts: list[tuple[int, tuple[Run, ...]]] = [
        (0, ((f" {foreign(p.model, 10)}", "strong"),)),
        (1, ((cover, "warn" if thin else "dim"),)),
        (2, (("warming", "warn"),) if p.warming else ()),
    ]
    if age is not None:
        parts.append((3, ((f"age {duration(age)}", "warn" if frame.stale else "dim"),)))
    return by_priority(parts, width - 1)
