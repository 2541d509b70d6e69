"""The gamma regime on the screen: its sentence in the first lines, its edges on the chart."""

from __future__ import annotations

from dfmon.model.flip import RegimeEdge
from dfmon.model.hedging import holds_zero
from dfmon.model.snapshot import FlowSnapshot
from dfmon.tui.render.formatting import Run, format_level

_OTHER_SIDE = {"long": "short", "short": "long"}


def side_run(snapshot: FlowSnapshot) -> Run:
    """`LONG`, `SHORT?` where the sign of positions is not measured, `UNSURE` where the band of net gamma holds 0."""
    side, ngi = snapshot.regime.side, snapshot.metrics.ngi
    if side is None:
        return "n/a", "absent"
    if holds_zero(ngi.lo, ngi.hi):
        return "UNSURE", "warn"
    doubt = "?" if snapshot.positions.sign_caveat else ""
    return f"{side.upper()}{doubt}", {"long": "pos", "short": "neg"}[side]


def regime_runs(snapshot: FlowSnapshot, *, is_long: bool, beyond: bool) -> list[Run]:
    """`LONG GAMMA 87,802..91,187, short outside`: the regime at spot between its edges.

    `UNSURE edge 91,187 [90,819..91,424]` where the band of net gamma holds 0. `beyond` adds what lies outside.
    """
    regime, ngi = snapshot.regime, snapshot.metrics.ngi
    if regime.side is None:
        return [("GAMMA n/a" if is_long else "n/a", "absent")]
    if holds_zero(ngi.lo, ngi.hi):
        return _unsure_runs(snapshot, is_long)
    gamma = " GAMMA" if is_long else ""
    other = _OTHER_SIDE[regime.side]
    side, style = side_run(snapshot)
    out: list[Run] = [(f"{side}{gamma} ", style)]
    if regime.below is not None and regime.above is not None:
        out += [(format_level(regime.below.level), "flip"), ("..", "dim"), (format_level(regime.above.level), "flip")]
        suffix = f", {other} outside"
    elif regime.below is not None:
        out += [("above ", "text"), (format_level(regime.below.level), "flip")]
        suffix = f", {other} below"
    elif regime.above is not None:
        out += [("below ", "text"), (format_level(regime.above.level), "flip")]
        suffix = f", {other} above"
    else:
        searched = snapshot.flip.searched
        suffix = "" if searched is None else f" {format_level(searched[0])}..{format_level(searched[1])}"
        out.append(("no edge", "flip"))
    return [*out, (suffix, "dim")] if beyond else out


def _unsure_runs(snapshot: FlowSnapshot, is_long: bool) -> list[Run]:
    """The edge that is nearest to spot, with its band."""
    edges = [edge for edge in (snapshot.regime.below, snapshot.regime.above) if edge is not None]
    spot = snapshot.spot
    out: list[Run] = [side_run(snapshot)]
    if not edges or spot is None:
        return [*out, (f", maybe {snapshot.regime.side}", "dim")]
    edge = min(edges, key=lambda item: abs(item.level - spot))
    out += [(" edge ", "dim"), (format_level(edge.level), "flip")]
    if is_long and edge.lo is not None and edge.hi is not None:
        out.append((f" [{format_level(edge.lo)}..{format_level(edge.hi)}]", "dim"))
    return out


def edges_of(snapshot: FlowSnapshot) -> list[RegimeEdge]:
    """The edges of the regime; the flip alone where the snapshot has no regime."""
    regime, flip = snapshot.regime, snapshot.flip
    edges = [edge for edge in (regime.below, regime.above) if edge is not None]
    if regime.side is None and flip.level is not None:
        root = next((root for root in flip.roots if root.level == flip.level), None)
        return [RegimeEdge(flip.level, flip.lo, flip.hi, "up" if root is None else root.direction, None)]
    return edges
