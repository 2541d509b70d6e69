"""What a trader wants to be told: a new scenario, spot through the flip, a feed lost or back. Bounded, newest first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dfmon.core.flip.gamma_flip import Flip
from dfmon.core.scenario.rules import Bucket, RuleState
from dfmon.model.events import FeedState
from dfmon.model.frames import FeedHealth
from dfmon.model.snapshot import Alert

KEPT: Final = 50


@dataclass(frozen=True, slots=True)
class Watch:
    """What was true at the last tick, and the alerts since the start, newest first. `side`: sign of net gamma."""

    bucket: Bucket | None
    side: int
    down: frozenset[str]
    alerts: tuple[Alert, ...]

    @classmethod
    def initial(cls) -> Watch:
        return cls(None, 0, frozenset(), ())


def watch(
    before: Watch,
    rules: RuleState,
    flip: Flip | None,
    spot: float,
    feeds: tuple[FeedHealth, ...],
    reasons: tuple[str, ...],
    ts_ns: int,
) -> Watch:
    """The alerts after this tick.

    Units: none. Shapes: at most KEPT alerts. Domain: the first scenario and the first side are not changes.
    Source: none.
    """
    fresh: list[Alert] = []
    if before.bucket is not None and rules.bucket is not None and rules.bucket is not before.bucket:
        fresh.append(Alert(ts_ns, "SCENE", f"{before.bucket.title} -> {rules.bucket.title}: {reasons[0]}"))
    side = before.side
    if flip is not None and flip.level is not None:
        side, level = flip.sign, flip.level
    if before.side and side != before.side:
        word = "above" if spot > level else "below"
        fresh.append(Alert(ts_ns, "FLIP", f"spot crossed {word} the flip {level:,.0f}"))
    down = frozenset(feed.source for feed in feeds if feed.state is FeedState.DOWN)
    for feed in feeds:
        if feed.source in down - before.down:
            fresh.append(Alert(ts_ns, "FEED", f"{feed.source} down: {feed.reason or 'no reason given'}"))
        elif feed.source in before.down - down:
            fresh.append(Alert(ts_ns, "FEED", f"{feed.source} is back"))
    return Watch(rules.bucket, side, down, (*fresh, *before.alerts)[:KEPT])
