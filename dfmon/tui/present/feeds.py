"""The feeds screen: can I believe what I see? Each connection, the chain's freshness, the pipeline, what is missing."""

from __future__ import annotations

from dfmon.model.snapshot import Feed
from dfmon.tui.plan import Rect
from dfmon.tui.present.box import framed, inner
from dfmon.tui.present.frame import Frame
from dfmon.tui.present.state import health
from dfmon.tui.present.text import Row, Run, duration, fit, foreign, percent, size_bytes


def feeds(frame: Frame, rect: Rect) -> list[Row]:
    """The sheet at any size."""
    width, height = inner(rect)
    s = frame.newest
    title: list[Run] = [("FEEDS AND HEALTH", "title")]
    if s is None:
        return framed(rect, title, [(), ((f"  {frame.waiting()}", "dim"),)], focus=False)
    name = min(30, max(16, max((len(f.name) for f in s.feeds), default=0) + 1))
    head = f" {'FEED':<{name}} STATE         AGE LAG ms    FRAMES  REJ RECON  NOTE"
    body: list[Row] = [fit(((head, "head"),), width)]
    tail = [*_pipeline(frame, width), *_missing(frame, width)]
    room = max(3, height - 1 - len(tail))
    body += [_line(f, name, width) for f in s.feeds[:room]]
    if len(s.feeds) > room:
        body[-1] = fit(((f" and {len(s.feeds) - room + 1} more", "dim"),), width)
    body += [fit((), width)] if len(body) + len(tail) < height else []
    return framed(rect, title, [*body, *tail], focus=False)


def _line(feed: Feed, name: int, width: int) -> Row:
    glyph, style, word = health(feed)
    lag = "-" if feed.lag_ms is None else f"{feed.lag_ms:,.0f}"
    age = "-" if feed.age_s is None else duration(feed.age_s)
    return fit(
        (
            (f" {foreign(feed.name, name):<{name}} ", "text"),
            (f"{glyph} {word or 'live':<9}", style),
            (f"{age:>6} {lag:>6} {feed.frames:>9,}", "text"),
            (f" {feed.rejected:>4}", "warn" if feed.rejected else "text"),
            (f" {feed.reconnects:>5}  ", "warn" if feed.reconnects else "text"),
            (foreign(feed.note, 80), "dim"),
        ),
        width,
    )


def _rule(text: str, width: int) -> Row:
    return fit((("─ ", "edge"), (text, "title"), (" " + "─" * width, "edge")), width)


def _pipeline(frame: Frame, width: int) -> list[Row]:
    run, s = frame.runtime, frame.newest
    recorder = "not recording" if run.recorded_bytes is None else f"recorder {size_bytes(run.recorded_bytes)}"
    rows: list[list[Run]] = [
        [(f" {run.frames_per_s:,.0f} msg/s -> step {run.step_ms:.1f} ms -> snapshot {s.seq if s else 0:,}", "text")],
        [
            (f" {recorder}, ", "text"),
            (f"{run.dropped} dropped", "bad" if run.dropped else "text"),
            (f", {run.overruns} overruns", "warn" if run.overruns else "text"),
            *((f"   {foreign(sink, 30)}", "text") for sink in run.sinks),
        ],
        [(f" screen {frame.rate_hz:.1f} Hz, draw {frame.draw_ms:.0f} ms, {frame.skipped} frames skipped", "text")],
    ]
    if run.note:
        rows.append([(f" {foreign(run.note, 150)}", "dim")])
    rows += [[(" screen fault in ", "bad"), (foreign(fault, 150), "text")] for fault in frame.faults]
    return [_rule("PIPELINE", width), *(fit(row, width) for row in rows)]


def _missing(frame: Frame, width: int) -> list[Row]:
    s = frame.newest
    if s is None:
        return []
    p = s.positions
    cover = "n/a" if p.coverage is None else percent(p.coverage, 0, plus=False)
    warm = ", warming: older history not seen yet" if p.warming else ""
    rows: list[list[Run]] = [
        [(f" {s.instruments:,} options   positions {foreign(p.model, 12)}, coverage {cover}{warm}", "text")],
    ]
    rows += [[(" n/a: ", "warn"), (foreign(text, 150), "dim")] for text in s.unavailable[:4]]
    if not s.unavailable:
        rows.append([(" nothing is missing", "dim")])
    return [_rule("BOOK, AND WHAT IS MISSING", width), *(fit(row, width) for row in rows)]
