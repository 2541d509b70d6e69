"""The sheet of transitions: when the scenario changed, from what and why, how long each lasted, and the thresholds."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Final

from dfmon.core.scenario.buckets import Bucket
from dfmon.model.scenario import ScenarioChange, ShareOfVolume
from dfmon.model.snapshot import FlowSnapshot
from dfmon.model.units import DAY, SECOND
from dfmon.tui.metric_series import rows_since
from dfmon.tui.render.box import divider
from dfmon.tui.render.chart import bin_values, scene_ribbon, time_axis
from dfmon.tui.render.formatting import (
    NOT_AVAILABLE,
    Row,
    Run,
    cell_text,
    fit,
    format_duration,
    format_moment,
    format_percent,
)
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.headline import BUCKET_STYLE

_NUMBERS: Final = {bucket.title: int(bucket) for bucket in Bucket}
_THRESHOLDS: Final = (("phi_gamma", "phi_g gamma"), ("phi_vanna", "phi_v vanna"), ("phi_charm", "phi_c charm"))
_DECIDED: Final = ("phi_gamma", "phi_vanna", "phi_charm", "z", "flip_distance")  # features printed of each change
_HEAD_WIDTH: Final = 45


def transition_rows(frame: Frame, width: int) -> list[Row]:
    """All lines of the sheet."""
    snapshot, detail = frame.snapshot, frame.detail
    if snapshot is None:
        return [fit(((f" {frame.waiting_text()}", "dim"),), width)]
    changes = detail.transitions if detail is not None else ()
    rows = [*_ribbon_rows(frame, width), _header_row(width)]
    for change, next_ns in zip(changes, [frame.clock_ns, *(_ts_ns(change) for change in changes)]):
        rows += _change_rows(frame, change, next_ns, width)
    if not changes:
        rows.append(fit(((" no change recorded since dfmon first ran here", "dim"),), width))
    rows += [fit((), width), *_share_rows(frame, width)]
    return [*rows, fit((), width), *_threshold_rows(snapshot, width)]


def _ts_ns(change: ScenarioChange) -> int | None:
    """The time of a change; None where the program that made the snapshot wrote something else."""
    try:
        return round(datetime.fromisoformat(change.ts).timestamp() * 1e9)
    except (ValueError, OverflowError):
        return None


def _ribbon_rows(frame: Frame, width: int) -> list[Row]:
    """Scenario and alerts over a day, as under the chart."""
    columns = width - 6
    start_ns = frame.clock_ns - DAY
    rows = rows_since(frame.rows, start_ns)
    if not rows:
        return []
    bin_ns = DAY // columns
    ribbon = scene_ribbon(frame, rows, bin_values(rows, "spot", start_ns, bin_ns, columns), start_ns, bin_ns)
    times = time_axis(start_ns, bin_ns, columns)
    return [fit(((" ", "text"), *ribbon, (" now", "dim")), width), fit(((" ", "text"), *times), width)]


def _header_row(width: int) -> Row:
    return fit(((f" {'SINCE':<15}{'SCENARIO':<20}{'LASTED':>8}  FROM, WHY, WHAT DECIDED", "head"),), width)


def _change_rows(frame: Frame, change: ScenarioChange, next_ns: int | None, width: int) -> list[Row]:
    """One change: its reasons in full, and the features of then."""
    ts_ns = _ts_ns(change)
    number = _NUMBERS.get(change.after.partition(" (")[0])
    style = BUCKET_STYLE.get(number or 0, "scene.unknown")
    head: list[Run] = [
        (f" {NOT_AVAILABLE if ts_ns is None else format_moment(ts_ns, frame.clock_ns):<15}", "dim"),
        (f" {number or '?'} {cell_text(change.after, 17)} ", style),
    ]
    used = sum(len(text) for text, _ in head)
    lasted = None if ts_ns is None or next_ns is None else (next_ns - ts_ns) / SECOND
    head.append((f"{'':<{max(0, 36 - used)}}{format_duration(lasted):>7}  ", "text"))
    reasons = cell_text("; ".join(change.reasons), 400)
    text = f"from {cell_text(change.before or 'none', 16)}: {reasons}"
    decided = [f"{name} {change.features[name]:.4g}" for name in _DECIDED if change.features.get(name) is not None]
    lines = textwrap.wrap(text, max(20, width - _HEAD_WIDTH - 2)) or [""]
    rows = [fit((*fit(head, _HEAD_WIDTH + 1), (lines[0], "text")), width)]
    rows += [fit(((" " * (_HEAD_WIDTH + 1), "text"), (line, "text")), width) for line in lines[1:]]
    if decided and width >= 100:
        rows.append(fit(((" " * (_HEAD_WIDTH + 1), "text"), (cell_text("  ".join(decided), 300), "dim")), width))
    return rows


def _share_rows(frame: Frame, width: int) -> list[Row]:
    """The share of a day in each scenario, of the time that has one."""
    rows = rows_since(frame.rows, frame.clock_ns - DAY)
    spans: dict[int, int] = {}
    for row, later in pairwise(rows):
        spans[row.bucket] = spans.get(row.bucket, 0) + min(later.ts_ns - row.ts_ns, DAY // 24)
    total = sum(span for bucket, span in spans.items() if bucket)
    title: list[Run] = [("TIME IN EACH", "title"), (f"  {_covered(total)}", "dim")]
    out = [divider(title, (), width)]
    for bucket in Bucket:
        share = spans.get(int(bucket), 0) / total if total else 0.0
        bar = "█" * round(share * max(10, width - 40))
        runs: list[Run] = [(f" {int(bucket)} {bucket.title:<12}", "label")]
        runs += [(f"{format_percent(share, 0, plus=False):>5}  ", "text"), (bar, "dim")]
        out.append(fit(runs, width))
    return out


def _covered(total_ns: int) -> str:
    return f"of {format_duration(total_ns / SECOND)} of the last 24 h" if total_ns else "no scenario in the last 24 h"


def _threshold_rows(snapshot: FlowSnapshot, width: int) -> list[Row]:
    """Value of each share of volume against its quantiles of 30 days, on one scale."""
    title: list[Run] = [
        ("THRESHOLDS", "title"),
        ("  now against lo, mid, hi: quantiles of 30 days, re-read hourly", "dim"),
    ]
    rows = [divider(title, (), width)]
    cells = max(12, width - 66)
    features: Sequence[tuple[str, ShareOfVolume]] = [
        (label, getattr(snapshot.features, name)) for name, label in _THRESHOLDS
    ]
    numbers = [v for _, f in features for v in (f.value, f.hi) if v is not None]
    largest = max(numbers, default=0.0)
    for label, feature in features:
        runs: list[Run] = [(f" {label:<12}", "label"), (f"{_share(feature.value):>8}", "strong")]
        for name in ("lo", "mid", "hi"):
            runs += [(f"  {name} ", "dim"), (f"{_share(getattr(feature, name)):>7}", "text")]
        rows.append(fit([*runs, ("  ", "text"), *_scale(feature, largest, cells)], width))
    return rows


def _share(value: float | None) -> str:
    return NOT_AVAILABLE if value is None else f"{value:.4f}"


def _scale(feature: ShareOfVolume, largest: float, cells: int) -> list[Run]:
    """`··l···m··●···h`."""
    line: list[Run] = [("·", "faint")] * cells
    for name, value in (("l", feature.lo), ("m", feature.mid), ("h", feature.hi), ("●", feature.value)):
        if value is not None and largest > 0.0:
            line[min(cells - 1, round(value / largest * (cells - 1)))] = (name, "strong" if name == "●" else "text")
    return line
