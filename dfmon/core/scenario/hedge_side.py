"""The side of the expected hedges in one word, only where it is certain and the same whichever way spot moves."""

from __future__ import annotations

from typing import TypeAlias

from dfmon.model.scenario import HedgeSide

Amount: TypeAlias = tuple[float, float | None, float | None]


def hedge_side(up: Amount, down: Amount) -> HedgeSide:
    """The word: "buy" or "sell" where both amounts agree, "two-sided" where they differ, "unsure" where a band holds 0.

    Units: each amount is USD with its 5-95 % band, + = dealers buy, if spot rises and if it falls. Domain: without a
    band the amount itself decides.

    >>> hedge_side((-2e6, -3e6, -1e6), (2e6, 1e6, 3e6)), hedge_side((-2e6, -3e6, 1e6), (2e6, 1e6, 3e6))
    ('two-sided', 'unsure')
    """
    first, second = _sign(up), _sign(down)
    if not first or not second:
        return "unsure"
    if first != second:
        return "two-sided"
    return "buy" if first > 0 else "sell"


def _sign(amount: Amount) -> int:
    value, low, high = amount
    if low is None or high is None:
        low = high = value
    return 1 if low > 0.0 else -1 if high < 0.0 else 0
