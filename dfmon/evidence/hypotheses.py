"""The registered hypotheses: what is tested, on which target, with which sign, before any data are read."""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple


class Hypothesis(NamedTuple):
    """One claim. `predicted` is the coefficient that theory gives, or its sign as a text."""

    name: str
    claim: str
    predicted: str


HYPOTHESES: Final = (
    Hypothesis("P1", "z(t+1) falls with z(t) psi(t): dealers' hedges answer the last minute", "-1"),
    Hypothesis("P1-24h", "the same with psi of the positions of 24 hours before as the instrument", "-1"),
    Hypothesis("P2", "log RV(5 min) - log RV(1 min) of the next hour falls with psi", "below 0"),
    Hypothesis("S1", "log RV of the next hour falls with psi, beyond its past, implied volatility and hour", "below 0"),
    Hypothesis("S2", "the move of the last half hour is undone in the next where psi is high", "below 0"),
    Hypothesis("B1", "the next absolute return is larger where the convention calls dealers short gamma", "above 0"),
    Hypothesis("B1-size", "the same by the size of NGI, per standard deviation", "below 0"),
    Hypothesis("B2", "spot ends beyond the flip as often as a diffusion with the implied volatility", "difference 0"),
    Hypothesis("D1", "what customers bought is dearer than a smooth smile", "above 0"),
)
"""P1 is primary, the others are secondary. A changed or added line is another registration."""


def registry_digest() -> str:
    """SHA-256 of the hypotheses as text."""
    text = "\n".join("\t".join(hypothesis) for hypothesis in HYPOTHESES)
    return hashlib.sha256(text.encode()).hexdigest()
