"""Feeds and backfill in a few cells, for the state line and the feeds sheet."""

from __future__ import annotations

from dfmon.engine.hub import BackfillProgress
from dfmon.model.snapshot import Feed
from dfmon.tui.render.formatting import Run, cell_text, format_duration, truncate


def feed_health(feed: Feed) -> tuple[str, str, str]:
    """Glyph, style and status of a feed; an empty status for a healthy one. A disabled one is no fault."""
    if feed.state == "disabled":
        return "○", "dim", feed.state
    if feed.state == "live":
        return "●", "ok", ""
    if feed.state in {"connecting", "syncing", "slow"}:
        return "◐", "warn", feed.state
    return "○", "bad", cell_text(feed.state, 12)


def worst_feed_by_venue(feeds: tuple[Feed, ...]) -> list[tuple[str, Feed]]:
    """The worst feed of each venue; the venue is the first word of a feed's name."""
    worst_feeds: dict[str, Feed] = {}
    for feed in feeds:
        name = cell_text(feed.name, 24).replace(".", " ").replace(":", " ").replace("/", " ").split(" ")[0] or "?"
        current_worst = worst_feeds.get(name)
        if current_worst is None or _severity(feed) > _severity(current_worst):
            worst_feeds[name] = feed
    return list(worst_feeds.items())


def _severity(feed: Feed) -> tuple[int, float]:
    return {"dim": 0, "ok": 1, "warn": 2, "bad": 3}[feed_health(feed)[1]], feed.age_s or 0.0


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
    """All venues in few cells: the worst one, and the number of others."""
    name, feed = max(venue_feeds, key=lambda item: _severity(item[1]))
    others_text = f" +{len(venue_feeds) - 1}" if len(venue_feeds) > 1 else ""
    return (*feed_runs(name, feed), (others_text, "dim"))


def backfill_runs(progress: BackfillProgress | None, is_wide: bool = True) -> tuple[Run, ...]:
    """`backfill 412/1,852 · 31 k prints · 3 min left`; nothing where no backfill is running."""
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
