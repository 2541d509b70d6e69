"""The last two lines of every screen: feeds and health, and the keys."""

from __future__ import annotations

from typing import Final

from dfmon.tui.actions import PANEL_GROUPS, Action, is_available
from dfmon.tui.render.feed_status import backfill_runs, feed_runs, worst_feed_by_venue, worst_feed_runs
from dfmon.tui.render.formatting import (
    Row,
    Run,
    cell_text,
    fit,
    format_bytes,
    format_percent,
    format_time,
    join_by_priority,
    linked,
    truncate,
)
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.headline import speed_text
from dfmon.tui.sheets import covers_panels, keymap_of
from dfmon.tui.view import View

_BAR_CELLS: Final = 24  # of the place in a recording


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
        if is_wide and runtime.replay_position is not None:
            parts.append((2, _position_runs(runtime.replay_position)))
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
    parts.append((2, ((_caveat_text(frame, is_wide), "caveat"),)))
    health = join_by_priority(parts, width - 2, 3 if is_wide else 2)
    return [fit(((" ", "text"), *linked(health, "app.feeds")), width)]


def _position_runs(share: float) -> tuple[Run, ...]:
    """`├────●───────┤`: the place in the recording."""
    at = round(min(1.0, max(0.0, share)) * (_BAR_CELLS - 1))
    return ("├" + "─" * at, "dim"), ("●", "replay"), ("─" * (_BAR_CELLS - 1 - at) + "┤", "dim")


def _caveat_text(frame: Frame, is_wide: bool) -> str:
    """Limits of the model: the venue of the book, and what it does not see."""
    venue = cell_text(frame.snapshot.options_venue, 12) if frame.snapshot is not None else ""
    if not is_wide:
        return "a model: OTC, ETF, CME unseen"
    return f"a model: {venue or 'one venue'} only, one desk; OTC, ETF, CME unseen"


def _counter_parts(frame: Frame, is_wide: bool) -> list[tuple[int, tuple[Run, ...]]]:
    runtime = frame.runtime
    out: list[tuple[int, tuple[Run, ...]]] = []
    if frame.view.config_error:
        out.append((2, (("config: broken edit, see feeds", "bad"),)))
    if frame.terminal_slow:
        out.append((2, ((f"screen slow, {frame.skipped_frames} skipped", "warn"),)))
    out.append((2 if runtime.dropped else 4, ((f"drop {runtime.dropped}", "bad" if runtime.dropped else "dim"),)))
    if runtime.recorded_bytes is not None:
        out.append((3, ((f"rec {format_bytes(runtime.recorded_bytes)}", "dim"),)))
    if is_wide:
        if runtime.frames_per_s:
            out.append((6, ((f"{runtime.frames_per_s:,.0f} msg/s", "dim"),)))
        if not runtime.attached:
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
    parts: list[tuple[int, tuple[Run, ...]]] = [(0, ((frame.view.count, "strong"),))] if frame.view.count else []
    parts += [
        (a.footer_rank, tuple(linked(((a.key_label, "key"), (f" {a.footer_label}", "dim")), a.id))) for a in actions
    ]
    return [fit(((" ", "text"), *join_by_priority(parts, width - 2, 3 if width >= 120 else 2)), width)]


def footer_actions(mode: str, view: View) -> list[Action]:
    """The footer's actions that work now, in the order of the table."""
    can_go_back, panels_hidden = bool(view.sheet) or view.zoom, covers_panels(view.sheet)
    return [
        action
        for action in keymap_of(view).actions
        if action.footer_rank
        and action.keys
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
