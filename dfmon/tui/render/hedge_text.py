"""Hedges of dealers in words: an exposure has a sign, a hedge has a verb, and never the other way round."""

from __future__ import annotations

from typing import Final

from dfmon.tui.render.formatting import NOT_AVAILABLE, Run, format_usd

FLAT_BELOW_USD: Final = 0.25e6


def holds_zero(low: float | None, high: float | None) -> bool:
    """True for a band with 0 in it."""
    return low is not None and high is not None and low <= 0.0 <= high


def hedge_verb(value: float | None, low: float | None = None, high: float | None = None) -> str:
    """`buy`, `sell`, `flat` below a quarter of a million, `unsure` where the band holds 0; USD, + = dealers buy."""
    if value is None:
        return NOT_AVAILABLE
    if abs(value) < FLAT_BELOW_USD:
        return "flat"
    if holds_zero(low, high):
        return "unsure"
    return "buy" if value > 0.0 else "sell"


def hedge_run(value: float | None, low: float | None = None, high: float | None = None) -> Run:
    """`sell 15.8M` in the colour of its side."""
    verb = hedge_verb(value, low, high)
    if value is None or verb not in ("buy", "sell"):
        return verb, "absent" if value is None else "dim"
    return f"{verb} {format_usd(abs(value), plus=False)}", verb
