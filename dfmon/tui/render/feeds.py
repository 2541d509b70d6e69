"""The feeds sheet: each connection, the pipeline, the option book, and the reason for each missing number."""

from __future__ import annotations

import textwrap

from dfmon.model.snapshot import Feed
from dfmon.tui.render.feed_status import backfill_runs, feed_health
from dfmon.tui.render.formatting import (
    Row,
    Run,
    cell_text,
    fit,
    format_bytes,
    format_duration,
    format_percent,
    row_width,
)
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.order_flow import order_flow_text


def feed_rows(frame: Frame, width: int) -> list[Row]:
    """All lines of the sheet."""
    snapshot = frame.latest_snapshot
    if snapshot is None:
        return [(), ((f"  {frame.waiting_text()}", "dim"),)]
    name = min(30, max(16, max((len(f.name) for f in snapshot.feeds), default=0) + 1))
    head = f" {'FEED':<{name}} STATE         AGE LAG ms    FRAMES  REJ RECON  NOTE"
    body: list[Row] = [fit(((head, "head"),), width)]
    for feed in snapshot.feeds:
        body += _rows_of_feed(feed, name, width)
    flow_text = cell_text(order_flow_text(snapshot.micro), 900)
    flow_rows = [_section_rule("ORDER FLOW", width), *_wrap_rows(" ", "text", flow_text, width, "text")]
    return [*body, fit((), width), *flow_rows, *_pipeline_rows(frame, width), *_missing_rows(frame, width)]


def _rows_of_feed(feed: Feed, name: int, width: int) -> list[Row]:
    """One line; a note too long for it goes below."""
    glyph, style, status = feed_health(feed)
    lag = "-" if feed.lag_ms is None else f"{feed.lag_ms:,.0f}"
    age = "-" if feed.age_s is None else format_duration(feed.age_s)
    runs: list[Run] = [
        (f" {cell_text(feed.name, name):<{name}} ", "text"),
        (f"{glyph} {status or 'live':<9}", style),
        (f"{age:>6} {lag:>6} {feed.frames:>9,}", "text"),
        (f" {feed.rejected:>4}", "warn" if feed.rejected else "text"),
        (f" {feed.reconnects:>5}  ", "warn" if feed.reconnects else "text"),
    ]
    note = cell_text(feed.note, 600)
    if len(note) <= width - row_width(runs):
        return [fit((*runs, (note, "dim")), width)]
    return [fit(runs, width), *_wrap_rows("   └ ", "edge", note, width)]


def _wrap_rows(prefix: str, prefix_style: str, text: str, width: int, style: str = "dim") -> list[Row]:
    """Text wrapped to the width, indented after the first line."""
    lines = textwrap.wrap(text, max(10, width - len(prefix) - 1)) or [""]
    return [
        fit(((prefix if i == 0 else " " * len(prefix), prefix_style), (line, style)), width)
        for i, line in enumerate(lines)
    ]


def _section_rule(text: str, width: int) -> Row:
    return fit((("─ ", "edge"), (text, "title"), (" " + "─" * width, "edge")), width)


def _pipeline_rows(frame: Frame, width: int) -> list[Row]:
    runtime, snapshot = frame.runtime, frame.latest_snapshot
    recorder = "not recording" if runtime.recorded_bytes is None else f"recorder {format_bytes(runtime.recorded_bytes)}"
    step = f"{runtime.step_ms:.1f} ms" + (" compiled" if runtime.compiled else "")
    received = f" {runtime.frames_per_s:,.0f} msg/s -> step {step} -> snapshot {snapshot.seq if snapshot else 0:,}"
    computed: list[list[Run]] = [
        [(received, "text")],
        [
            (f" {recorder}, ", "text"),
            (f"{runtime.dropped} dropped", "bad" if runtime.dropped else "text"),
            (f", {runtime.overruns} overruns", "warn" if runtime.overruns else "text"),
        ],
    ]
    drawn = f" screen {frame.rate_hz:.1f} Hz, draw {frame.draw_ms:.0f} ms, {frame.skipped_frames} frames skipped"
    lines = [*([] if runtime.attached else computed), [(drawn, "text")]]
    rows = [_section_rule("PIPELINE", width), *(fit(line, width) for line in lines)]
    for sink in runtime.sinks:
        rows += _wrap_rows(" ", "text", cell_text(sink, 300), width, "text")
    if progress_runs := backfill_runs(runtime.backfill):
        rows += _wrap_rows(" ", "text", "".join(text for text, _ in progress_runs), width, "text")
    if runtime.note:
        rows += _wrap_rows(" ", "text", cell_text(runtime.note, 600), width)
    if frame.view.config_error:
        rows += _wrap_rows(" configuration: ", "bad", cell_text(frame.view.config_error, 600), width, "text")
    for fault in frame.faults:
        rows += _wrap_rows(" screen error in ", "bad", cell_text(fault, 600), width, "text")
    return rows


def _missing_rows(frame: Frame, width: int) -> list[Row]:
    snapshot = frame.latest_snapshot
    if snapshot is None:
        return []
    p = snapshot.positions
    coverage_text = "n/a" if p.coverage is None else format_percent(p.coverage, 0, plus=False)
    warming_text = ", warming up: older history not loaded yet" if p.warming else ""
    model = (
        f" {snapshot.instruments:,} options   positions {cell_text(p.model, 12)}, coverage "
        f"{coverage_text}{warming_text}"
    )
    rows = [_section_rule("BOOK AND MISSING DATA", width), fit(((model, "text"),), width)]
    for text in snapshot.unavailable:
        rows += _wrap_rows(" n/a: ", "warn", cell_text(text, 600), width)
    if not snapshot.unavailable:
        rows.append(fit(((" nothing is missing", "dim"),), width))
    return rows
