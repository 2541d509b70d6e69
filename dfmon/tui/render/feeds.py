"""The feeds screen: can I believe what I see? Each connection, the chain's freshness, the pipeline, what is missing."""

from __future__ import annotations

import textwrap

from dfmon.model.snapshot import Feed
from dfmon.tui.layout import Rect
from dfmon.tui.render.box import framed, inner, scrolled
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.state import backfill, health
from dfmon.tui.render.text import Row, Run, duration, fit, foreign, percent, size_bytes, width_of


def feeds(frame: Frame, rect: Rect) -> list[Row]:
    """The sheet at any size; what does not fit is scrolled to."""
    width, height = inner(rect)
    title: list[Run] = [("FEEDS AND HEALTH", "title")]
    if frame.newest is None:
        return framed(rect, title, [(), ((f"  {frame.waiting()}", "dim"),)], focus=False)
    rows = feed_rows(frame, width)
    shown, place = scrolled(rows, height, frame.view.scroll)
    return framed(rect, [*title, (place, "dim")], shown, focus=False)


def feed_rows(frame: Frame, width: int) -> list[Row]:
    """All lines of the sheet: each connection with its whole note, the pipeline, and every reason for a gap."""
    s = frame.newest
    if s is None:
        return []
    name = min(30, max(16, max((len(f.name) for f in s.feeds), default=0) + 1))
    head = f" {'FEED':<{name}} STATE         AGE LAG ms    FRAMES  REJ RECON  NOTE"
    body: list[Row] = [fit(((head, "head"),), width)]
    for feed in s.feeds:
        body += _feed(feed, name, width)
    return [*body, fit((), width), *_pipeline(frame, width), *_missing(frame, width)]


def _feed(feed: Feed, name: int, width: int) -> list[Row]:
    """One line; a note that does not fit beside the numbers goes below them."""
    glyph, style, word = health(feed)
    lag = "-" if feed.lag_ms is None else f"{feed.lag_ms:,.0f}"
    age = "-" if feed.age_s is None else duration(feed.age_s)
    runs: list[Run] = [
        (f" {foreign(feed.name, name):<{name}} ", "text"),
        (f"{glyph} {word or 'live':<9}", style),
        (f"{age:>6} {lag:>6} {feed.frames:>9,}", "text"),
        (f" {feed.rejected:>4}", "warn" if feed.rejected else "text"),
        (f" {feed.reconnects:>5}  ", "warn" if feed.reconnects else "text"),
    ]
    note = foreign(feed.note, 600)
    if len(note) <= width - width_of(runs):
        return [fit((*runs, (note, "dim")), width)]
    return [fit(runs, width), *_wrapped("   └ ", "edge", note, width)]


def _wrapped(lead: str, lead_style: str, text: str, width: int, style: str = "dim") -> list[Row]:
    """A text in as many lines as it needs, indented after the first."""
    lines = textwrap.wrap(text, max(10, width - len(lead) - 1)) or [""]
    return [
        fit(((lead if i == 0 else " " * len(lead), lead_style), (line, style)), width) for i, line in enumerate(lines)
    ]


def _rule(text: str, width: int) -> Row:
    return fit((("─ ", "edge"), (text, "title"), (" " + "─" * width, "edge")), width)


def _pipeline(frame: Frame, width: int) -> list[Row]:
    run, s = frame.runtime, frame.newest
    recorder = "not recording" if run.recorded_bytes is None else f"recorder {size_bytes(run.recorded_bytes)}"
    step = f"{run.step_ms:.1f} ms" + (" compiled" if run.compiled else "")
    lines: list[list[Run]] = [
        [(f" {run.frames_per_s:,.0f} msg/s -> step {step} -> snapshot {s.seq if s else 0:,}", "text")],
        [
            (f" {recorder}, ", "text"),
            (f"{run.dropped} dropped", "bad" if run.dropped else "text"),
            (f", {run.overruns} overruns", "warn" if run.overruns else "text"),
        ],
        [(f" screen {frame.rate_hz:.1f} Hz, draw {frame.draw_ms:.0f} ms, {frame.skipped} frames skipped", "text")],
    ]
    rows = [_rule("PIPELINE", width), *(fit(line, width) for line in lines)]
    for sink in run.sinks:
        rows += _wrapped(" ", "text", foreign(sink, 300), width, "text")
    if filling := backfill(run.backfill):
        rows += _wrapped(" ", "text", "".join(text for text, _ in filling), width, "text")
    if run.note:
        rows += _wrapped(" ", "text", foreign(run.note, 600), width)
    for fault in frame.faults:
        rows += _wrapped(" screen fault in ", "bad", foreign(fault, 600), width, "text")
    return rows


def _missing(frame: Frame, width: int) -> list[Row]:
    s = frame.newest
    if s is None:
        return []
    p = s.positions
    cover = "n/a" if p.coverage is None else percent(p.coverage, 0, plus=False)
    warm = ", warming: older history not seen yet" if p.warming else ""
    model = f" {s.instruments:,} options   positions {foreign(p.model, 12)}, coverage {cover}{warm}"
    rows = [_rule("BOOK, AND WHAT IS MISSING", width), fit(((model, "text"),), width)]
    for text in s.unavailable:
        rows += _wrapped(" n/a: ", "warn", foreign(text, 600), width)
    if not s.unavailable:
        rows.append(fit(((" nothing is missing", "dim"),), width))
    return rows
