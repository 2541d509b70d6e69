"""The last two lines: can the screen be believed, and which keys are there. And the screen that is too small."""

from __future__ import annotations

from typing import Final

from dfmon.engine.hub import BackfillProgress
from dfmon.model.snapshot import Feed
from dfmon.tui.actions import footer
from dfmon.tui.layout import MIN_HEIGHT, MIN_WIDTH
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.strip import flip_runs, mode_runs, speed_word
from dfmon.tui.render.text import (
    Row,
    Run,
    by_priority,
    clock,
    covered,
    cut,
    duration,
    fit,
    foreign,
    money,
    percent,
    price,
    size_bytes,
)

SLOW_S: Final = 5.0


def health(feed: Feed) -> tuple[str, str, str]:
    """Glyph, style and word of a feed; no word when all is well."""
    if feed.state == "live":
        if feed.age_s is not None and feed.age_s > SLOW_S:
            return "◐", "warn", "slow"
        return "●", "ok", ""
    if feed.state in {"connecting", "syncing"}:
        return "◐", "warn", feed.state
    return "○", "bad", foreign(feed.state, 12)


def venues(feeds: tuple[Feed, ...]) -> list[tuple[str, Feed]]:
    """One feed per venue, the worst: a venue is the first word of a feed's name."""
    worst: dict[str, Feed] = {}
    rank = {"●": 0, "◐": 1, "○": 2}
    for feed in feeds:
        name = foreign(feed.name, 24).replace(".", " ").replace(":", " ").replace("/", " ").split(" ")[0] or "?"
        old = worst.get(name)
        if old is None or (rank[health(feed)[0]], feed.age_s or 0.0) > (rank[health(old)[0]], old.age_s or 0.0):
            worst[name] = feed
    return list(worst.items())


def feed_runs(name: str, feed: Feed) -> tuple[Run, ...]:
    glyph, style, word = health(feed)
    age = "" if feed.age_s is None else f" {duration(feed.age_s)}"
    return (
        (f"{name[:10]} ", "text"),
        (glyph, style),
        (age if word != "down" else "", "dim"),
        (f" {word}" if word else "", style),
    )


def worst(seen: list[tuple[str, Feed]]) -> tuple[Run, ...]:
    """All venues in few cells: the one that is worst off, and how many others there are."""
    rank = {"●": 0, "◐": 1, "○": 2}
    name, feed = max(seen, key=lambda item: (rank[health(item[1])[0]], item[1].age_s or 0.0))
    more = f" +{len(seen) - 1}" if len(seen) > 1 else ""
    return (*feed_runs(name, feed), (more, "dim"))


def backfill(progress: BackfillProgress | None, wide: bool = True) -> tuple[Run, ...]:
    """`backfill 412/1,852 · 31 k prints · 3 min left` while one runs; nothing when it is done or none does."""
    if progress is None or progress.done >= progress.total > 0:
        return ()
    p = progress
    done: Run = (f"backfill {p.done:,}/{p.total:,}", "strong")
    if p.trouble:
        return done, (f" · {cut(foreign(p.trouble, 300), 120 if wide else 24)}", "warn")
    count = (
        f"{p.prints / 1e6:.1f} M"
        if p.prints >= 999_500
        else f"{p.prints / 1e3:.0f} k"
        if p.prints >= 9_950
        else f"{p.prints:,}"
    )
    rate = f", {p.per_s:,.0f}/s" if wide and p.per_s > 0 else ""
    return done, (f" · {count} prints{rate}{_left(p.left_s)}", "dim")


def _left(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 90:
        return f" · {max(1, seconds):.0f} s left"
    return f" · {seconds / 60:.0f} min left" if seconds < 5400 else f" · {seconds / 3600:.1f} h left"


def state(frame: Frame, width: int) -> list[Row]:
    """Feeds with glyph and age, drops, recorder, coverage, rate; a notice takes the line for a few seconds."""
    view = frame.view
    if view.notice and frame.now_ns < view.notice_until_ns:
        return [fit(((f" {view.notice} ", "notice"),), width)]
    newest, run = frame.newest, frame.runtime
    wide = width >= 120
    parts: list[tuple[int, tuple[Run, ...]]] = []
    if frame.mode == "replay":
        done = "" if run.replay_position is None else f" {percent(run.replay_position, 0, plus=False)}"
        word = "END" if run.finished else "PAUSED" if run.paused else "PLAYING"
        speed = speed_word(run.replay_speed)
        parts.append((0, ((f"◆ REPLAY {word}{done}", "replay"), (f" {speed}" if speed else "", "dim"))))
        parts.append((2, ((f"at {clock(frame.clock_ns)}Z", "replay"),)))
    seen = venues(newest.feeds) if newest else []
    filling = backfill(run.backfill, wide)
    if (filling or frame.mode == "replay") and not wide:
        parts += [(1, worst(seen))] if seen else []
        parts += [(1, filling)] if filling else []
    else:
        parts += [(1, feed_runs(name, feed)) for name, feed in seen]
        parts += [(1, filling)] if filling else []
    if not parts:
        parts.append((1, ((f"feeds: {foreign(run.note, 40) or 'connecting'}", "dim"),)))
    parts += _counts(frame, wide)
    return [fit(((" ", "text"), *by_priority(parts, width - 2, 3 if wide else 2)), width)]


def _counts(frame: Frame, wide: bool) -> list[tuple[int, tuple[Run, ...]]]:
    run, s = frame.runtime, frame.snapshot
    out: list[tuple[int, tuple[Run, ...]]] = []
    if frame.slow:
        out.append((2, ((f"screen slow, {frame.skipped} skipped", "warn"),)))
    out.append((2 if run.dropped else 4, ((f"drop {run.dropped}", "bad" if run.dropped else "dim"),)))
    if run.recorded_bytes is not None:
        out.append((3, ((f"rec {size_bytes(run.recorded_bytes)}", "dim"),)))
    if s is not None and s.positions.coverage is not None:
        p = s.positions
        out.append((2 if p.warming or run.backfill else 4 if wide else 6, (covered(p),)))
    if wide:
        if run.frames_per_s:
            out.append((6, ((f"{run.frames_per_s:,.0f} msg/s", "dim"),)))
        out.append((5, ((f"step {run.step_ms:.1f} ms", "dim"),)))
        out.append((7, ((f"draw {frame.draw_ms:.0f} ms", "dim"),)))
        if run.overruns:
            out.append((5, ((f"overruns {run.overruns}", "warn"),)))
        out += [(8, ((cut(foreign(sink), 24), "dim"),)) for sink in run.sinks]
        if run.note:
            out.append((9, ((cut(foreign(run.note), 40), "dim"),)))
    out.append((5, ((f"{frame.rate_hz:.1f} Hz", "dim"),)))
    return out


def keys(frame: Frame, width: int) -> list[Row]:
    """The footer, from the action table: the ranked ones that work here and fit. A prompt takes its place."""
    if frame.view.prompt:
        return [_prompt(frame, width)]
    runs: list[Run] = [(" ", "text")]
    parts: list[tuple[int, tuple[Run, ...]]] = []
    for rank, key, text in footer(frame.mode, frame.view.sheet, frame.view.zoom):
        parts.append((rank, ((key, "key"), (f" {text}", "dim"))))
    runs += by_priority(parts, width - 2, 3 if width >= 120 else 2)
    return [fit(runs, width)]


def _prompt(frame: Frame, width: int) -> Row:
    """What is typed, and beside it what is wrong or what is allowed; a long text shows its end."""
    view = frame.view
    tail = f"  {foreign(view.wrong, 160)}" if view.wrong else f"   {frame.allowed}"
    room = max(width // 3, width - 4 - len(tail))
    typed = foreign(view.typed, 200)[-room:]
    tone = "warn" if view.wrong else "dim"
    return fit(((f" {view.prompt}", "key"), (typed, "strong"), ("█", "spot"), (tail, tone)), width)


def small(frame: Frame, width: int, height: int) -> list[Row]:
    """Too small for the panels: the essentials, the size needed, and that nothing is lost."""
    s = frame.snapshot
    mode = mode_runs(frame)[0]
    name = foreign(frame.view.underlying, 8)
    if s is None:
        lines: list[list[Run]] = [[(f"{name} ", "strong"), mode], [(frame.waiting(), "dim")]]
    else:
        mark = "~" if frame.stale else ""
        move = "" if s.context.return_1h is None else f" {percent(s.context.return_1h, 2)}"
        lines = [
            [(f"{name} ", "strong"), (mark + price(s.spot), frame.shade("strong")), (f"{move}   ", "text"), mode],
            [
                (f"{s.scenario.bucket} {foreign(s.scenario.name, 16)}", frame.shade("strong")),
                ("" if s.scenario.side == "none" else f"  dealers {s.scenario.side.upper()}", "text"),
            ],
            [
                *flip_runs(s.flip, s.spot, long=False),
                ("  NGI ", "dim"),
                (mark + money(s.metrics.ngi.value), frame.shade("text")),
            ],
        ]
    if height < 8 or width < 24:
        return [fit(line, width) for line in lines[:height]] + [fit((), width)] * max(0, height - len(lines))
    m = [s.metrics.vss, s.metrics.chl, s.metrics.hpp] if s else []
    if m and height >= 11:
        names = ("VSS", "CHL", "HPP")
        lines.append([(f"{n} {money(x.value)}  ", "text") for n, x in zip(names, m, strict=True)])
    lines += [
        [],
        [(f"window {width} x {height}, the screen needs {MIN_WIDTH} x {MIN_HEIGHT}", "warn")],
        [("data and recording continue", "dim")],
        [("q", "key"), (" quit   or use: dfmon snapshot", "dim")],
    ]
    return _boxed(lines, width, height)


def _boxed(lines: list[list[Run]], width: int, height: int) -> list[Row]:
    inside = width - 4
    above = max(0, min(1, (height - 2 - len(lines)) // 2))
    body = [fit((), inside)] * above + [fit(line, inside) for line in lines]
    body = (body + [fit((), inside)] * height)[: height - 2]
    top = (("┌ ", "edge"), ("dfmon", "title"), (" " + "─" * (width - 9) + "┐", "edge"))
    bottom = (("└" + "─" * (width - 2) + "┘", "edge"),)
    return [fit(top, width), *(fit((("│ ", "edge"), *row, (" │", "edge")), width) for row in body), bottom]
