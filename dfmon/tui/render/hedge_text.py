"""Hedges of dealers in words: an exposure has a sign, a hedge has a verb, and never the other way round."""

from __future__ import annotations

from dfmon.model.hedging import hedge_verb
from dfmon.tui.render.formatting import NOT_AVAILABLE, Run, format_usd


def hedge_run(value: float | None, low: float | None, high: float | None, flat_usd: float) -> Run:
    """`sell 15.8M` in the colour of its side."""
    if value is None:
        return NOT_AVAILABLE, "absent"
    verb = hedge_verb(value, low, high, flat_usd)
    if verb not in ("buy", "sell"):
        return verb, "dim"
    return f"{verb} {format_usd(abs(value), plus=False)}", verb
