"""Market alerts: scenario changes, flip crossings, feeds down and back. Bounded, newest first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dfmon.core.flip.gamma_flip import GammaFlip
from dfmon.core.scenario.rules import Bucket, RuleState
from dfmon.model.events import FeedState
from dfmon.model.frames import FeedHealth
from dfmon.model.snapshot import Alert

MAX_ALERTS: Final = 50


@dataclass(frozen=True, slots=True)
class AlertState:
    """State of the last tick, and the alerts since the start, newest first. `side`: sign of net gamma."""

    bucket: Bucket | None
    side: int
    down_feeds: frozenset[str]
    alerts: tuple[Alert, ...]

    @classmethod
    def initial(cls) -> AlertState:
        return cls(None, 0, frozenset(), ())


def update_alerts(
    previous: AlertState,
    rules: RuleState,
    flip: GammaFlip | None,
    spot: float,
    feeds: tuple[FeedHealth, ...],
    reasons: tuple[str, ...],
    ts_ns: int,
    *,
    feeds_only: bool = False,
) -> AlertState:
    """The alerts after this tick, at most MAX_ALERTS.

    `feeds_only`: the inputs are stale or warming, so that only feeds may raise an alert; what changes in the market
    meanwhile raises none afterwards either.

    Domain: the first scenario and the first side are not changes; `ts_ns` in ns.
    """
    new_alerts: list[Alert] = []
    if (
        not feeds_only
        and previous.bucket is not None
        and rules.bucket is not None
        and rules.bucket is not previous.bucket
    ):
        new_alerts.append(Alert(ts_ns, "SCENE", f"{previous.bucket.title} -> {rules.bucket.title}: {reasons[0]}"))
    side = 0 if feeds_only else previous.side
    if not feeds_only and flip is not None and flip.level is not None:
        side, level = flip.sign, flip.level
    if previous.side and side and side != previous.side:
        direction = "above" if spot > level else "below"
        new_alerts.append(Alert(ts_ns, "FLIP", f"spot crossed {direction} the flip {level:,.0f}"))
    down_feeds = frozenset(feed.source for feed in feeds if feed.state is FeedState.DOWN)
    for feed in feeds:
        if feed.source in down_feeds - previous.down_feeds:
            new_alerts.append(Alert(ts_ns, "FEED", f"{feed.source} down: {feed.reason or 'no reason given'}"))
        elif feed.source in previous.down_feeds - down_feeds:
            new_alerts.append(Alert(ts_ns, "FEED", f"{feed.source} is back"))
    return AlertState(rules.bucket, side, down_feeds, (*new_alerts, *previous.alerts)[:MAX_ALERTS])
