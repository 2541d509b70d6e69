"""All results of one step, from which rules and snapshot are computed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from dfmon.core.book_exposure import Exposure, PricedBoard
from dfmon.core.columns import Columns
from dfmon.core.exposure.desks import HedgeShares
from dfmon.core.positions.dealer_net import DealerPositions, OpenInterestCheck
from dfmon.core.pricing.greek_calc import greeks
from dfmon.core.scenario.hpp_score import Scaling
from dfmon.core.scenario.liquidity import MarketView
from dfmon.core.scenario.lookback import SpotMoves
from dfmon.model.frames import F64, ChainFrame, FeedHealth, MarketFrame
from dfmon.model.units import SECOND, YEAR


@dataclass(frozen=True, slots=True)
class HedgeTrade:
    """Dealer trades since the look-back under full hedging: USD, + = bought. The parts add up to `linear`."""

    gamma: float
    vanna: float
    charm: float
    residual: float

    @property
    def linear(self) -> float:
        return self.gamma + self.vanna + self.charm


@dataclass(frozen=True, slots=True)
class BoardTick:
    """One underlying at one tick, whatever dealers hold.

    `atm` is by expiry, `sigma` the ATM volatility of tomorrow; decimals.
    """

    chain: ChainFrame
    market: MarketFrame
    feeds: tuple[FeedHealth, ...]
    warm_coverage: float
    stale_after_s: float
    venue_share: float
    file_positions: Mapping[str, float] | None
    open_interest_check: OpenInterestCheck
    board: PricedBoard
    atm: F64
    sigma: float
    liquidity: MarketView
    spot_moves: SpotMoves


@dataclass(frozen=True, slots=True)
class TickResult(BoardTick):
    """The same tick under one position model; `cols` has its book."""

    positions: DealerPositions
    cols: Columns
    exposure: Exposure
    hedge_shares: HedgeShares
    scaling: Scaling

    @property
    def model(self) -> str:
        """Name of the position model."""
        return self.positions.model

    @property
    def has_book(self) -> bool:
        """False without a priceable option, and while nothing is known of the positions."""
        return self.cols.size > 0 and self.positions.known

    @property
    def psi(self) -> float | None:
        """NGI over the depth within 1 %."""
        depth = self.liquidity.depth_usd
        return self.exposure.totals.ngi / depth if depth and self.has_book else None

    @property
    def age_s(self) -> float | None:
        """Age of the older of the index and the newest chain message; None while one of them is missing."""
        if not self.cols.size or not self.chain.spot_ns:
            return None
        newest = int(self.chain.data_ns.max())
        return max(self.chain.ts_ns - min(newest, self.chain.spot_ns), 0) / SECOND

    @property
    def warming(self) -> bool:
        """True while the position model rests on history and has observed too little of it."""
        coverage = self.positions.coverage
        return coverage is not None and coverage < self.warm_coverage

    def hedge_trade(self) -> HedgeTrade | None:
        """Expected dealer trade over the look-back, and the residual of a full reprice of the book."""
        move, points = self.spot_moves.ret_15m, self.spot_moves.iv_points
        if move is None or points is None or not self.has_book:
            return None
        days = self.spot_moves.span_s * SECOND / YEAR * 365.0
        total = self.exposure.totals
        gamma, vanna = -total.ngi * move * 100.0, -total.vss * points
        charm = -total.chl * days
        residual = self._repriced(move, points, days) - (gamma + vanna + charm)
        gamma_share, vanna_charm = self.hedge_shares.gamma, self.hedge_shares.vanna_charm
        return HedgeTrade(gamma_share * gamma, vanna_charm * vanna, vanna_charm * charm, vanna_charm * residual)

    def _repriced(self, move: float, points: float, days: float) -> float:
        """-(delta now - delta at the look-back) of the book at today's forwards, USD."""
        cols = self.cols
        now = greeks(cols.forward, cols.strike, cols.sigma, cols.tau, cols.option_type, with_price=False)
        then = greeks(
            cols.forward * math.exp(-move),
            cols.strike,
            np.maximum(cols.sigma - points / 100.0, 1e-3),
            cols.tau + days / 365.0,
            cols.option_type,
            with_price=False,
        )
        gained = np.nan_to_num((now.delta - then.delta) * cols.forward * cols.position)
        return -float(gained.sum())


def fields_of(tick: BoardTick) -> dict[str, Any]:
    """The fields of the board's tick by name, to which a model adds its own."""
    return {field.name: getattr(tick, field.name) for field in fields(BoardTick)}
