"""All results of one step, from which rules and snapshot are computed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np

from dfmon.core.book_exposure import Exposure, PricedBoard
from dfmon.core.columns import Columns
from dfmon.core.exposure.desks import HedgeShares
from dfmon.core.flip.grid import Stickiness
from dfmon.core.positions.dealer_net import DealerPositions, OpenInterestCheck, sign_decided
from dfmon.core.positions.opening_rates import OpeningRates
from dfmon.core.positions.provenance import Provenance
from dfmon.core.pricing.greek_calc import Numeraire
from dfmon.core.scenario.book_history import BookFlows
from dfmon.core.scenario.impact import Impact, ImpactLaw, impact
from dfmon.core.scenario.liquidity import MarketView
from dfmon.core.scenario.lookback import SpotMoves
from dfmon.core.scenario.market_moves import MarketMoves
from dfmon.core.scenario.micro_structure import MicroView
from dfmon.core.scenario.move_scale import MoveScale
from dfmon.model.frames import F64, ChainFrame, FeedHealth, MarketFrame
from dfmon.model.freshness import Freshness


@dataclass(frozen=True, slots=True)
class BoardTick:
    """One underlying at one tick, whatever dealers hold.

    `atm` is by expiry, `sigma` the ATM volatility of the next 24 hours; decimals. `provenance` is that of the flow
    model, of the options that can be priced.
    """

    chain: ChainFrame
    market: MarketFrame
    feeds: tuple[FeedHealth, ...]
    warm_coverage: float
    freshness: Freshness
    venue_share: float
    numeraire: Numeraire
    stickiness: Stickiness
    file_positions: Mapping[str, float] | None
    open_interest_check: OpenInterestCheck
    provenance: Provenance
    rates: OpeningRates
    board: PricedBoard
    atm: F64
    sigma: float
    liquidity: MarketView
    spot_moves: SpotMoves
    moves: MarketMoves
    micro: MicroView
    impact_law: ImpactLaw


@dataclass(frozen=True, slots=True)
class TickResult(BoardTick):
    """The same tick under one position model; `cols` has its book.

    `ds_sign` is the sign of the last move of spot that left its dead band.
    """

    positions: DealerPositions
    cols: Columns
    exposure: Exposure
    hedge_shares: HedgeShares
    flows: BookFlows
    scale: MoveScale
    ds_sign: int

    @property
    def model(self) -> str:
        """Name of the position model."""
        return self.positions.model

    @property
    def has_book(self) -> bool:
        """False without a priceable option, and while nothing is known of the positions."""
        return self.cols.size > 0 and self.positions.known

    @property
    def changed_open_interest(self) -> F64:
        """Open interest of the options that have shown two values or more, else 0. Units: coins. Shapes: (n,)."""
        return np.asarray(np.where(self.provenance.change > 0.0, self.cols.open_interest, 0.0))

    @property
    def decided(self) -> bool | None:
        """`sign_decided` of the board, None also where the positions are a convention."""
        return sign_decided(self.rates) if self.model == "flow" else None

    @property
    def psi(self) -> float | None:
        """`psi_of` the NGI of the book."""
        return self.psi_of(self.exposure.totals.ngi) if self.has_book else None

    def psi_of(self, ngi: float) -> float | None:
        """Per cent that the hedge of a move of 1 % moves the price, + = against it; by the depth NGI over depth."""
        depth = self.liquidity.depth_usd
        if self.impact_law == "linear":
            return ngi / depth if depth else None
        impact = self.impact(ngi)
        return None if impact is None else math.copysign(100.0 * impact.sqrt, ngi)

    def impact(self, usd: float) -> Impact | None:
        """Impact of a trade of `usd` at this depth, volume and volatility."""
        depth, volume = self.liquidity.depth_usd, self.liquidity.adv_usd
        return None if depth is None or volume is None else impact(usd, depth, volume, self.sigma)

    @property
    def age_s(self) -> float | None:
        """Age of the older of spot and marks; None while one of them is missing."""
        spot_s, marks_s = self.freshness.spot.age_s, self.freshness.marks.age_s
        return None if not self.cols.size or spot_s is None or marks_s is None else max(spot_s, marks_s)

    @property
    def warming(self) -> bool:
        """True while the position model rests on history and has observed too little of it."""
        coverage = self.positions.coverage
        return coverage is not None and coverage < self.warm_coverage


_BOARD_FIELDS: Final = tuple(field.name for field in fields(BoardTick))


def fields_of(tick: BoardTick) -> dict[str, Any]:
    """The fields of the board's tick by name, to which a model adds its own."""
    return {name: getattr(tick, name) for name in _BOARD_FIELDS}
