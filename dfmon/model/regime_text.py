"""The gamma regime as a sentence, for screens and plain text."""

from __future__ import annotations

from dfmon.model.hedging import holds_zero
from dfmon.model.snapshot import FlowSnapshot

_OTHER_SIDE = {"long": "short", "short": "long"}


def snapshot_regime(snapshot: FlowSnapshot) -> str | None:
    """The sentence on a snapshot; None where it has no regime."""
    regime = snapshot.regime
    if regime.side is None:
        return None
    below, above = (None if edge is None else edge.level for edge in (regime.below, regime.above))
    ngi = snapshot.metrics.ngi
    if holds_zero(ngi.lo, ngi.hi):
        edges = [level for level in (below, above) if level is not None]
        spot = snapshot.spot or 0.0
        nearest = f", nearest edge {_level(min(edges, key=lambda level: abs(level - spot)))}" if edges else ""
        return f"gamma unsure at spot: its band holds 0{nearest}"
    return regime_sentence(regime.side, below, above, snapshot.spot, snapshot.flip.searched)


def regime_sentence(
    side: str | None,
    below: float | None,
    above: float | None,
    spot: float | None = None,
    searched: tuple[float, float] | None = None,
) -> str:
    """Sentence on the range around spot where dealers are long or short gamma, and on what lies beyond its nearer edge.

    Units: USD; `side` is that of net gamma at spot, "long", "short" or None for undetermined. `searched` is the range
    that has no edge where both are None.

    >>> regime_sentence("long", 78_664.2, 82_283.9, 81_500.0)
    'long gamma 78,664 to 82,284, short above'
    >>> regime_sentence("short", 78_664.2, None), regime_sentence("short", None, 3.25)
    ('short gamma above 78,664, long below', 'short gamma below 3.2500, long above')
    >>> regime_sentence("long", None, None, searched=(4e4, 1.2e5)), regime_sentence(None, None, None)
    ('long gamma 40,000 to 120,000, no flip', 'gamma undetermined')
    """
    if side is None:
        return "gamma undetermined"
    own, other = f"{side} gamma", _OTHER_SIDE[side]
    if below is not None and above is not None:
        nearer_above = spot is None or above / spot <= spot / below
        return f"{own} {_level(below)} to {_level(above)}, {other} {'above' if nearer_above else 'below'}"
    if below is not None:
        return f"{own} above {_level(below)}, {other} below"
    if above is not None:
        return f"{own} below {_level(above)}, {other} above"
    if searched is None:
        return f"{own} throughout"
    return f"{own} {_level(searched[0])} to {_level(searched[1])}, no flip"


def _level(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000.0 else f"{value:,.2f}" if value >= 10.0 else f"{value:.4f}"


def two_sided_text(snapshot: FlowSnapshot, *, is_long: bool = True) -> str:
    """The two sides of hedges that differ with the move of spot: against it, or with it."""
    rising = next((row.value or 0.0 for row in snapshot.outlook if row.case == "+1 sd"), 0.0)
    if rising < 0.0:
        return "SELL rises, BUY falls" if is_long else "fade moves"
    return "BUY rises, SELL falls" if is_long else "chase moves"
