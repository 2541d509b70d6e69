"""The last two lines: can the screen be believed, and which keys are there. And the screen that is too small."""

from __future__ import annotations

from dfmon.model.snapshot import Feed
from dfmon.tui.actions import footer
from dfmon.tui.plan import MIN_HEIGHT, MIN_WIDTH
from dfmon.tui.present.frame import Frame
from dfmon.tui.present.strip import flip_runs, mode_runs, speed_word
from dfmon.tui.present.text import (
    Row,
    Run,
    by_priority,
    duration,
    fit,
    foreign,
    money,
    percent,
    price,
    size_bytes,
)

SLOW_S = 5.0


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
    for name, feed in venues(newest.feeds) if newest else ():
        parts.append((1, feed_runs(name, feed)))
    if not parts:
        parts.append((1, ((f"feeds: {foreign(run.note, 40) or 'connecting'}", "dim"),)))
    parts += _counts(frame, wide)
    return [fit(((" ", "text"), *by_priority(parts, width - 2, 3 if wide else 2)), width)]


def _counts(frame: Frame, wide: bool) -> list[tuple[int, tuple[Run, ...]]]:
    run, s = frame.runtime, frame.snapshot
    out: list[tuple[int, tuple[Run, ...]]] = []
    if frame.slow:
        out.append((2, ((f"screen slow, {frame.skipped} skipped", "warn"),)))
    out.append((2, ((f"drop {run.dropped}", "bad" if run.dropped else "dim"),)))
    if run.recorded_bytes is not None:
        out.append((3, ((f"rec {size_bytes(run.recorded_bytes)}", "dim"),)))
    if s is not None and s.positions.coverage is not None:
        p = s.positions
        text = f"cover {percent(p.coverage, 0, plus=False)}{' warming' if p.warming else ''}"
        out.append((4 if wide or p.warming else 6, ((text, "warn" if p.warming else "dim"),)))
    if wide:
        if run.frames_per_s:
            out.append((6, ((f"{run.frames_per_s:,.0f} msg/s", "dim"),)))
        out.append((5, ((f"step {run.step_ms:.1f} ms", "dim"),)))
        out.append((7, ((f"draw {frame.draw_ms:.0f} ms", "dim"),)))
        if run.overruns:
            out.append((5, ((f"overruns {run.overruns}", "warn"),)))
        out += [(8, ((foreign(sink, 24), "dim"),)) for sink in run.sinks]
        if run.note:
            out.append((9, ((foreign(run.note, 40), "dim"),)))
    out.append((5, ((f"{frame.rate_hz:.1f} Hz", "dim"),)))
    return out


def keys(frame: Frame, width: int) -> list[Row]:
    """The footer, from the action table: the ranked ones that work here and fit."""
    runs: list[Run] = [(" ", "text")]
    parts: list[tuple[int, tuple[Run, ...]]] = []
    for rank, key, text in footer(frame.mode, frame.view.sheet, frame.view.zoom):
        parts.append((rank, ((key, "key"), (f" {text}", "dim"))))
    runs += by_priority(parts, width - 2, 3 if width >= 120 else 2)
    return [fit(runs, width)]


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
