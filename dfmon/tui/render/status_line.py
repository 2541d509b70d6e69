"""The last two lines, state and keys, and the screen for a terminal that is too small."""

from __future__ import annotations

from dfmon.tui.actions import PANEL_GROUPS, Action, is_available
from dfmon.tui.layout import MIN_HEIGHT, MIN_WIDTH
from dfmon.tui.render.feed_status import backfill_runs, feed_runs, worst_feed_by_venue, worst_feed_runs
from dfmon.tui.render.formatting import (
    Row,
    Run,
    cell_text,
    coverage_run,
    fit,
    format_bytes,
    format_percent,
    format_price,
    format_time,
    format_usd,
    join_by_priority,
    truncate,
)
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.regime import flip_runs
from dfmon.tui.render.strip import mode_runs, speed_text
from dfmon.tui.sheets import ACTIONS, covers_panels
from dfmon.tui.view import View


def status_line(frame: Frame, width: int) -> list[Row]:
    """Feeds, drops, recorder, coverage and rate; a notice replaces them for a few seconds."""
    view = frame.view
    if view.notice and frame.now_ns < view.notice_until_ns:
        return [fit(((f" {view.notice} ", "notice"),), width)]
    latest_snapshot, runtime = frame.latest_snapshot, frame.runtime
    is_wide = width >= 120
    parts: list[tuple[int, tuple[Run, ...]]] = []
    if frame.mode == "replay":
        position_text = (
            "" if runtime.replay_position is None else f" {format_percent(runtime.replay_position, 0, plus=False)}"
        )
        status = "END" if runtime.finished else "PAUSED" if runtime.paused else "PLAYING"
        speed = speed_text(runtime.replay_speed)
        parts.append((0, ((f"◆ REPLAY {status}{position_text}", "replay"), (f" {speed}" if speed else "", "dim"))))
        parts.append((2, ((f"at {format_time(frame.clock_ns)}Z", "replay"),)))
    venue_feeds = worst_feed_by_venue(latest_snapshot.feeds) if latest_snapshot else []
    progress_runs = backfill_runs(runtime.backfill, is_wide)
    if (progress_runs or frame.mode == "replay") and not is_wide:
        parts += [(1, worst_feed_runs(venue_feeds))] if venue_feeds else []
        parts += [(1, progress_runs)] if progress_runs else []
    else:
        parts += [(1, feed_runs(name, feed)) for name, feed in venue_feeds]
        parts += [(1, progress_runs)] if progress_runs else []
    if not parts:
        parts.append((1, ((f"feeds: {cell_text(runtime.note, 40) or 'connecting'}", "dim"),)))
    parts += _counter_parts(frame, is_wide)
    return [fit(((" ", "text"), *join_by_priority(parts, width - 2, 3 if is_wide else 2)), width)]


def _counter_parts(frame: Frame, is_wide: bool) -> list[tuple[int, tuple[Run, ...]]]:
    runtime, snapshot = frame.runtime, frame.snapshot
    out: list[tuple[int, tuple[Run, ...]]] = []
    if frame.terminal_slow:
        out.append((2, ((f"screen slow, {frame.skipped_frames} skipped", "warn"),)))
    out.append((2 if runtime.dropped else 4, ((f"drop {runtime.dropped}", "bad" if runtime.dropped else "dim"),)))
    if runtime.recorded_bytes is not None:
        out.append((3, ((f"rec {format_bytes(runtime.recorded_bytes)}", "dim"),)))
    if snapshot is not None and frame.view.model == snapshot.positions.model:
        out.append((1, ((f"showing {cell_text(frame.view.model, 10)}", "warn"),)))
    if snapshot is not None and snapshot.positions.coverage is not None:
        p = snapshot.positions
        out.append((2 if p.warming or runtime.backfill else 4 if is_wide else 6, (coverage_run(p),)))
    if is_wide:
        if runtime.frames_per_s:
            out.append((6, ((f"{runtime.frames_per_s:,.0f} msg/s", "dim"),)))
        out.append((5, ((f"step {runtime.step_ms:.1f} ms", "dim"),)))
        out.append((7, ((f"draw {frame.draw_ms:.0f} ms", "dim"),)))
        if runtime.overruns:
            out.append((5, ((f"overruns {runtime.overruns}", "warn"),)))
        out += [(8, ((truncate(cell_text(sink), 24), "dim"),)) for sink in runtime.sinks]
        if runtime.note:
            out.append((9, ((truncate(cell_text(runtime.note), 40), "dim"),)))
    out.append((5, ((f"{frame.rate_hz:.1f} Hz", "dim"),)))
    return out


def footer_line(frame: Frame, width: int) -> list[Row]:
    """The footer: the ranked actions that work here and fit. An open prompt takes its place."""
    if frame.view.prompt:
        return [_prompt_row(frame, width)]
    actions = sorted(footer_actions(frame.mode, frame.view), key=lambda action: action.footer_rank)
    parts = [(a.footer_rank, ((a.key_label, "key"), (f" {a.footer_label}", "dim"))) for a in actions]
    return [fit(((" ", "text"), *join_by_priority(parts, width - 2, 3 if width >= 120 else 2)), width)]


def footer_actions(mode: str, view: View) -> list[Action]:
    """The footer's actions that work now, in the order of the table."""
    can_go_back, panels_hidden = bool(view.sheet) or view.zoom, covers_panels(view.sheet)
    return [
        action
        for action in ACTIONS
        if action.footer_rank
        and is_available(action, mode, view.sheet)
        and (action.id != "app.back" or can_go_back)
        and not (panels_hidden and action.group in PANEL_GROUPS)
    ]


def _prompt_row(frame: Frame, width: int) -> Row:
    """The input line with its error or hint; only the end of a long text."""
    view = frame.view
    message, style_name = (view.prompt_error, "warn") if view.prompt_error else (frame.prompt_hint, "dim")
    message = cell_text(message, 160)
    available = max(width // 3, width - 7 - len(message))
    prompt_text = cell_text(view.prompt_text[-available:], available)
    tail = f"   {truncate(message, width - 6 - len(prompt_text))}"
    return fit(((f" {view.prompt}", "key"), (prompt_text, "strong"), ("█", "spot"), (tail, style_name)), width)


def small_screen(frame: Frame, width: int, height: int) -> list[Row]:
    """The screen of a small terminal: the essentials and the size that the panels need."""
    snapshot = frame.snapshot
    mode = mode_runs(frame)[0]
    name = cell_text(frame.view.underlying, 8)
    if snapshot is None:
        lines: list[list[Run]] = [[(f"{name} ", "strong"), mode], [(frame.waiting_text(), "dim")]]
    else:
        mark = "~" if frame.stale else ""
        return_text = "" if snapshot.context.return_1h is None else f" {format_percent(snapshot.context.return_1h, 2)}"
        lines = [
            [
                (f"{name} ", "strong"),
                (mark + format_price(snapshot.spot), frame.dim_if_stale("strong")),
                (f"{return_text}   ", "text"),
                mode,
            ],
            [
                (
                    f"{snapshot.scenario.bucket or ''} {cell_text(snapshot.scenario.name, 16)}".strip(),
                    frame.dim_if_stale("strong"),
                ),
                ("" if snapshot.scenario.side == "none" else f"  dealers {snapshot.scenario.side.upper()}", "text"),
            ],
            [
                *flip_runs(snapshot.flip, snapshot.spot, verbose=False),
                ("  NGI ", "dim"),
                (mark + format_usd(snapshot.metrics.ngi.value), frame.dim_if_stale("text")),
            ],
        ]
    if height < 8 or width < 24:
        return [fit(line, width) for line in lines[:height]] + [fit((), width)] * max(0, height - len(lines))
    m = [snapshot.metrics.vss, snapshot.metrics.chl, snapshot.metrics.hpp] if snapshot else []
    if m and height >= 11:
        names = ("VSS", "CHL", "HPP")
        lines.append([(f"{n} {format_usd(x.value)}  ", "text") for n, x in zip(names, m, strict=True)])
    lines += [
        [],
        [(f"terminal {width} x {height}, panels need {MIN_WIDTH} x {MIN_HEIGHT}", "warn")],
        [("data and recording continue", "dim")],
        [("q", "key"), (" quit   or use: dfmon snapshot", "dim")],
    ]
    return _boxed_rows(lines, width, height)


def _boxed_rows(lines: list[list[Run]], width: int, height: int) -> list[Row]:
    inner_width = width - 4
    rows_above = max(0, min(1, (height - 2 - len(lines)) // 2))
    body = [fit((), inner_width)] * rows_above + [fit(line, inner_width) for line in lines]
    body = (body + [fit((), inner_width)] * height)[: height - 2]
    top = (("┌ ", "edge"), ("dfmon", "title"), (" " + "─" * (width - 9) + "┐", "edge"))
    bottom = (("└" + "─" * (width - 2) + "┘", "edge"),)
    return [fit(top, width), *(fit((("│ ", "edge"), *row, (" │", "edge")), width) for row in body), bottom]
