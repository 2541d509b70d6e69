"""Market alerts of one position model: changes of the scene and crossings of the flip, with coin, model and cause."""

from __future__ import annotations

from typing import Final

from dfmon.core.scenario.buckets import Scene
from dfmon.core.scenario.flip_crossing import Crossing
from dfmon.model.snapshot import Alert

MAX_ALERTS: Final = 50


def scene_alert(
    ts_ns: int, underlying: str, model: str, before: Scene | None, after: Scene | None, reasons: tuple[str, ...]
) -> Alert | None:
    """The alert of a change of scene; None for the first scene, and for a squeeze that is only armed."""
    if before is None or after is None or after == before or after.armed:
        return None
    text = f"{underlying} {model}: {before.title} -> {after.title}: {'; '.join(reasons)}"
    return Alert(ts_ns, "SCENE", text, underlying, model, "scenario")


def flip_alert(ts_ns: int, underlying: str, model: str, spot: float, crossing: Crossing) -> Alert:
    """The alert of a crossing, which tells a move of spot from one of the flip."""
    edge, side = crossing.edge, "long" if crossing.side > 0 else "short"
    level = "" if edge is None else f" {edge.level:,.0f}"
    if edge is not None and edge.low is not None and edge.high is not None:
        level = f" band {edge.low:,.0f} to {edge.high:,.0f}"
    if crossing.cause == "spot":
        event = f"spot {spot:,.0f} left the flip{level} {'upward' if crossing.up else 'downward'}"
    else:
        event = f"positions or volatility moved the flip{level} through spot {spot:,.0f}"
    return Alert(
        ts_ns, "FLIP", f"{underlying} {model}: {event}, dealers {side} gamma", underlying, model, crossing.cause
    )


def threshold_alert(ts_ns: int, underlying: str, model: str, feature: str) -> Alert:
    """The alarm that a threshold has been at the bound of its long-run value for a day."""
    text = f"{underlying} {model}: the thresholds of {feature} have been at their long-run bound for a day"
    return Alert(ts_ns, "LIMIT", text, underlying, model, "thresholds")


def newest_alerts(*groups: tuple[Alert, ...]) -> tuple[Alert, ...]:
    """All of them, newest first, at most MAX_ALERTS."""
    merged = sorted((alert for group in groups for alert in group), key=lambda alert: -alert.ts_ns)
    return tuple(merged[:MAX_ALERTS])
