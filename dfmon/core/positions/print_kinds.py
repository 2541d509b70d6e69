"""Kinds of prints, and the assumed parties to each.

A print has one of four classes: a customer took from a dealer, a dealer took a customer's order, both were customers,
both were dealers. Nothing public identifies the parties, so their shares are assumed and never learned.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final, TypeAlias

import msgspec
import numpy as np

from dfmon.model.frames import F64, I64, TradeColumns

ClassShares: TypeAlias = tuple[float, float, float, float]
KIND_NAMES: Final = (
    "screen", "block", "rfq", "combo", "liquidation_taker", "liquidation_maker", "liquidation_both",
)  # fmt: skip
SCREEN, BLOCK, RFQ, COMBO, TAKER_LIQUIDATED, MAKER_LIQUIDATED, BOTH_LIQUIDATED = range(len(KIND_NAMES))
DIRECTION_WEIGHTS: Final = np.array([1.0, 1.0, 1.0, 0.5, 0.0, 0.0, 0.0])
"""Part of the customers' direction in the side of each kind: a leg follows its combo, a liquidation is forced."""
_LIQUIDATION_KINDS: Final = {"T": TAKER_LIQUIDATED, "M": MAKER_LIQUIDATED, "MT": BOTH_LIQUIDATED}
_SUM_TOLERANCE: Final = 1e-6


class PositionPriors(msgspec.Struct, frozen=True):
    """Assumptions of the estimator before the first print. Shares add up to 1, in the order of the classes.

    Customers of an option whose listing was not seen start `start_mean` +- `start_sd` of open interest long, plus
    `trend_coefficient` times the direction of their trading. `drift` is the share of open interest that moves unseen
    in a day (one standard deviation).
    """

    screen: ClassShares = (0.70, 0.15, 0.09, 0.06)
    block: ClassShares = (0.50, 0.30, 0.14, 0.06)
    rfq: ClassShares = (0.55, 0.27, 0.13, 0.05)
    combo: ClassShares = (0.66, 0.17, 0.10, 0.07)
    liquidation_taker: ClassShares = (0.80, 0.04, 0.14, 0.02)
    liquidation_maker: ClassShares = (0.02, 0.75, 0.22, 0.01)
    liquidation_both: ClassShares = (0.01, 0.01, 0.97, 0.01)
    start_mean: float = -0.10
    start_sd: float = 0.55
    trend_coefficient: float = 0.90
    drift: float = 0.015

    def with_shares(self, shares: Mapping[str, ClassShares]) -> PositionPriors:
        """The same priors with other class shares for some kinds; ValueError for what is no distribution."""
        rows = {}
        for kind, given in shares.items():
            if kind not in KIND_NAMES:
                raise ValueError(f"{kind!r} is no kind of print; one of {', '.join(KIND_NAMES)} is expected")
            try:
                rows[kind] = row = tuple(map(float, given))
            except (TypeError, ValueError, OverflowError):
                raise ValueError(f"{kind}: four numbers are expected, not {given!r}"[:200]) from None
            is_row = len(row) == 4 and all(np.isfinite(share) and share >= 0.0 for share in row)
            if not is_row or abs(sum(row) - 1.0) > _SUM_TOLERANCE:
                raise ValueError(f"{kind}: {row} is no distribution; four shares >= 0 that add up to 1 are expected")
        return msgspec.structs.replace(self, **rows)


@lru_cache(maxsize=8)
def share_table(priors: PositionPriors) -> F64:
    """Class shares of every kind as columns.

    Shapes: (4, kinds).
    """
    table = np.array([getattr(priors, kind) for kind in KIND_NAMES]).T.copy()
    table.flags.writeable = False
    return table


def print_kinds(trades: TradeColumns) -> I64:
    """The kind of each print: a liquidation before a block, a block before a combo.

    Shapes: (k,) -> (k,). Source: the venue's flags.
    """
    kinds = np.where(trades.combo, COMBO, SCREEN)
    kinds = np.where(trades.block, np.where(trades.rfq, RFQ, BLOCK), kinds)
    if any(trades.liquidation):
        forced = np.array([_LIQUIDATION_KINDS.get(flag, -1) for flag in trades.liquidation])
        kinds = np.where(forced >= 0, forced, kinds)
    return kinds.astype(np.int64)
