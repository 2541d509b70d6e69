"""The last two lines: can the screen be believed, and which keys are there. And the screen that is too small."""

from __future__ import annotations

from typing import Final

from dfmon.engine.hub import BackfillProgress
from dfmon.model.snapshot import Feed
from dfmon.tui.actions import footer_entries
from dfmon.tui.layout import MIN_HEIGHT, MIN_WIDTH
from dfmon.tui.render.formatting import (
    Row,
    Run,
    cell_text,
    coverage_run,
    fit,
    format_bytes,
    format_duration,
    format_percent,
    format_price,
    format_time,
    format_usd,
    join_by_priority,
    truncate,
)
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.strip import flip_runs, mode_runs, speed_text

SLOW_FEED_AGE_S: Final = 5.0


def feed_health(feed: Feed) -> tuple[str, str, str]:
    """Glyph, style and word of a feed; no word when all is well."""
    if feed.state == "live":
        if feed.age_s is not None and feed.age_s > SLOW_FEED_AGE_S:
            return "◐", "warn", "slow"
        return "●", "ok", ""
    if feed.state in {"connecting", "syncing"}:
        return "◐", "warn", feed.state
    return "○", "bad", cell_text(feed.state, 12)


def worst_feed_by_venue(feeds: tuple[Feed, ...]) -> list[tuple[str, Feed]]:
    """One feed per venue, the worst: a venue is the first word of a feed's name."""
    worst_feeds: dict[str, Feed] = {}
    rank = {"●": 0, "◐": 1, "○": 2}
    for feed in feeds:
        name = cell_text(feed.name, 24).replace(".", " ").replace(":", " ").replace("/", " ").split(" ")[0] or "?"
        current_worst = worst_feeds.get(name)
        if current_worst is None or (rank[feed_health(feed)[0]], feed.age_s or 0.0) > (
            rank[feed_health(current_worst)[0]],
            current_worst.age_s or 0.0,
        ):
            worst_feeds[name] = feed
    return list(worst_feeds.items())


def feed_runs(name: str, feed: Feed) -> tuple[Run, ...]:
    glyph, style, status = feed_health(feed)
    age = "" if feed.age_s is None else f" {format_duration(feed.age_s)}"
    return (
        (f"{name[:10]} ", "text"),
        (glyph, style),
        (age if status != "down" else "", "dim"),
        (f" {status}" if status else "", style),
    )


def worst_feed_runs(venue_feeds: list[tuple[str, Feed]]) -> tuple[Run, ...]:
    """All venues in few cells: the one that is worst off, and how many others there are."""
    rank = {"●": 0, "◐": 1, "○": 2}
    name, feed = max(venue_feeds, key=lambda item: (rank[feed_health(item[1])[0]], item[1].age_s or 0.0))
    others_text = f" +{len(venue_feeds) - 1}" if len(venue_feeds) > 1 else ""
    return (*feed_runs(name, feed), (others_text, "dim"))


def backfill_runs(progress: BackfillProgress | None, is_wide: bool = True) -> tuple[Run, ...]:
    """`backfill 412/1,852 · 31 k prints · 3 min left` while one runs; nothing when it is done or none does."""
    if progress is None or progress.done >= progress.total > 0:
        return ()
    p = progress
    done: Run = (f"backfill {p.done:,}/{p.total:,}", "strong")
    if p.error:
        return done, (f" · {truncate(cell_text(p.error, 300), 120 if is_wide else 24)}", "warn")
    count = (
        f"{p.prints / 1e6:.1f} M"
        if p.prints >= 999_500
        else f"{p.prints / 1e3:.0f} k"
        if p.prints >= 9_950
        else f"{p.prints:,}"
    )
    rate = f", {p.prints_per_s:,.0f}/s" if is_wide and p.prints_per_s > 0 else ""
    return done, (f" · {count} prints{rate}{_time_left(p.eta_s)}", "dim")


def _time_left(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 90:
        return f" · {max(1, seconds):.0f} s left"
    return f" · {seconds / 60:.0f} min left" if seconds < 5400 else f" · {seconds / 3600:.1f} h left"


def status_line(frame: Frame, width: int) -> list[Row]:
    """Feeds with glyph and age, drops, recorder, coverage, rate; a notice takes the line for a few seconds."""
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
    """The footer, from the action table: the ranked ones that work here and fit. A prompt takes its place."""
    if frame.view.prompt:
        return [_prompt_row(frame, width)]
    runs: list[Run] = [(" ", "text")]
    parts: list[tuple[int, tuple[Run, ...]]] = []
    for rank, key, text in footer_entries(frame.mode, frame.view.sheet, frame.view.zoom):
        parts.append((rank, ((key, "key"), (f" {text}", "dim"))))
    runs += join_by_priority(parts, width - 2, 3 if width >= 120 else 2)
    return [fit(runs, width)]


def _prompt_row(frame: Frame, width: int) -> Row:
    """What is typed, and beside it what is wrong or what is allowed; a long text shows its end."""
    view = frame.view
    tail = f"  {cell_text(view.prompt_error, 160)}" if view.prompt_error else f"   {frame.prompt_hint}"
    available = max(width // 3, width - 4 - len(tail))
    prompt_text = cell_text(view.prompt_text, 200)[-available:]
    style_name = "warn" if view.prompt_error else "dim"
    return fit(((f" {view.prompt}", "key"), (prompt_text, "strong"), ("█", "spot"), (tail, style_name)), width)


def small_screen(frame: Frame, width: int, height: int) -> list[Row]:
    """Too small for the panels: the essentials, the size needed, and that nothing is lost."""
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
                (f"{snapshot.scenario.bucket} {cell_text(snapshot.scenario.name, 16)}", frame.dim_if_stale("strong")),
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
        [(f"window {width} x {height}, the screen needs {MIN_WIDTH} x {MIN_HEIGHT}", "warn")],
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
