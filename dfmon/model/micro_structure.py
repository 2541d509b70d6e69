"""Micro-structure of the hedging markets as the snapshot shows it."""

from __future__ import annotations

from typing import Literal

import msgspec


class MicroWindow(msgspec.Struct, frozen=True):
    """Flow of the last `minutes`, USD, summed over markets; `covered` is the share of that time which was seen.

    `imbalance_usd` is the order-flow imbalance at the best quotes, + = buying. `sign_autocorrelation` is that of
    consecutive taker signs.
    """

    minutes: int
    covered: float
    imbalance_usd: float | None
    taker_buy_usd: float | None
    taker_sell_usd: float | None
    sign_autocorrelation: float | None
    long_liquidated_usd: float | None
    short_liquidated_usd: float | None
    open_interest_change_usd: float | None


class MicroQuotes(msgspec.Struct, frozen=True):
    """Best quotes of one market: `micro_price` USD is weighted by the opposite queues; the imbalance is in [-1, 1]."""

    venue: str
    market: str
    mid: float
    spread_bps: float
    queue_imbalance: float
    micro_price: float


class Perpetual(msgspec.Struct, frozen=True):
    """Funding (fraction per 8 h) and open interest (USD) of one perpetual."""

    venue: str
    market: str
    funding_8h: float | None
    open_interest_usd: float | None


class KyleRow(msgspec.Struct, frozen=True):
    """Return per signed taker volume, basis points per million USD, with its 5-95 % band.

    `of_depth` is its ratio to the return per USD that the books' depth implies.
    """

    value: float
    lo: float
    hi: float
    minutes: int
    of_depth: float | None


class ImpactRow(msgspec.Struct, frozen=True):
    """Move that the hedge of +1 % spot, `usd`, makes by two laws, per cent; `value` is by the law in force.

    Below a trade of `crossing_usd` the square root is the larger one.
    """

    usd: float
    law: Literal["linear", "sqrt"]
    value: float
    linear: float
    sqrt: float
    crossing_usd: float


class Micro(msgspec.Struct, frozen=True):
    """Order flow of the hedging markets beside the model of hedging.

    Spread, queue imbalance and micro-price (its distance from the mid, basis points) are means over `quotes`, weighted
    by 24 h volume. `sources` are the markets whose prints are summed, `missing` those whose prints stopped within the
    hour. `disagreement` is the sentence for a flow against the hedge pressure, empty for none.
    """

    windows: tuple[MicroWindow, ...] = ()
    spread_bps: float | None = None
    queue_imbalance: float | None = None
    micro_price_bps: float | None = None
    quotes: tuple[MicroQuotes, ...] = ()
    perpetuals: tuple[Perpetual, ...] = ()
    kyle: KyleRow | None = None
    impact: ImpactRow | None = None
    sources: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    disagreement: str = ""

    def window(self, minutes: int) -> MicroWindow | None:
        """The window of so many minutes."""
        return next((window for window in self.windows if window.minutes == minutes), None)
