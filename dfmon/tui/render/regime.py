"""The gamma regime on the screen: its sentence in the first lines, its edges on the chart."""

from __future__ import annotations

import math

from dfmon.model.flip import Flip
from dfmon.model.regime_text import snapshot_regime
from dfmon.model.snapshot import FlowSnapshot
from dfmon.tui.render.formatting import Run, format_level, format_percent


def flip_runs(flip: Flip, spot: float | None, verbose: bool = True) -> list[Run]:
    """`flip 100,900 up (-2.5%, -1.2 sd)`: the distance of spot from the flip; "up" is short below and long above."""
    if flip.level is None:
        if flip.quality == "absent":
            return [("flip ", "dim"), ("n/a", "absent")]
        side = "long" if flip.net > 0 else "short" if flip.net < 0 else "flat"
        return [("no flip", "flip"), (f", {side} gamma throughout" if verbose else f", {side} gamma", "text")]
    out: list[Run] = [("flip ", "dim"), (format_level(flip.level), "flip")]
    direction = next((root.direction for root in flip.roots if root.level == flip.level), None)
    if direction is not None:
        out.append((f" {direction}", "dim"))
    if spot is not None:
        out.append((f" ({_distance(flip, spot, verbose)})", "text"))
    if len(flip.roots) > 1 and verbose:
        out.append((f" +{len(flip.roots) - 1} more", "dim"))
    return out


def _distance(flip: Flip, spot: float, verbose: bool) -> str:
    assert flip.level is not None
    distance = spot / flip.level - 1
    sigma = f", {math.copysign(abs(flip.distance_sigma), distance):+.1f} sd" if flip.distance_sigma is not None else ""
    return f"{format_percent(distance)}{sigma if verbose else ''}"


def regime_runs(snapshot: FlowSnapshot, is_wide: bool = True) -> list[Run]:
    """`long gamma 78,664 to 82,284, short above (-0.9%, -0.4 sd)`: the distance is that of spot from the nearer edge.

    Narrow, the side and the flip; without a regime the flip alone.
    """
    sentence, flip, spot = snapshot_regime(snapshot), snapshot.flip, snapshot.spot
    if sentence is None:
        return flip_runs(flip, spot)
    if flip.level is None or spot is None:
        return [(sentence, "flip")]
    if not is_wide:
        return [(f"{snapshot.regime.side} gamma, ", "text"), *flip_runs(flip, spot, verbose=False)]
    return [(sentence, "flip"), (f" ({_distance(flip, spot, verbose=True)})", "text")]


def regime_forms(snapshot: FlowSnapshot, is_wide: bool = True) -> tuple[list[Run], ...]:
    """`regime_runs`, and shorter forms for a line that has no room: without the distance, then the side alone."""
    full = regime_runs(snapshot, is_wide)
    undistanced = [run for run in full if not run[0].startswith(" (")]
    side = snapshot.regime.side
    return full, undistanced, [] if side is None else [(f"{side} gamma", "text")]


def edge_labels(snapshot: FlowSnapshot) -> list[tuple[float, str]]:
    """Level and label of the edges of the regime, such as "short above 82,284"; the flip alone without a regime."""
    regime, flip = snapshot.regime, snapshot.flip
    if regime.side is None:
        return [] if flip.level is None else [(flip.level, f"flip {format_level(flip.level)}")]
    beyond = {"long": "short", "short": "long"}[regime.side]
    edges = (("below", regime.below), ("above", regime.above))
    return [(edge.level, f"{beyond} {place} {format_level(edge.level)}") for place, edge in edges if edge is not None]
