"""Leads a market through the phases of a script: path, orders, forced orders, lost feeds."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from dfmon.model.units import MINUTE, SECOND
from dfmon.sim.market.board_specs import CurrencySpec
from dfmon.sim.market.currency_market import CurrencyMarket, MarketEvents
from dfmon.sim.market.flow import Order, book_orders
from dfmon.sim.market.linear_market import MEAN_LIQUIDATION_USD
from dfmon.sim.market.script import Phase, Script

ORDERS_NS: Final = 3 * MINUTE  # in which the orders of a phase trade


def adapt_spec(spec: CurrencySpec, script: Script) -> CurrencySpec:
    """The board of a coin as a script begins with it."""
    return replace(
        spec,
        path=replace(spec.path, spot=script.spot, vol=script.vol),
        book=script.book,
        volume_scale=script.volume_scale,
        depth_scale=script.depth_scale,
    )


class ScriptDirector:
    """Applies a script to the market of its coin."""

    def __init__(self, script: Script, market: CurrencyMarket, rng: np.random.Generator) -> None:
        self._script, self._market, self._rng = script, market, rng
        self._index: int | None = None
        self._led_ns = script.start_ns
        self._orders: list[tuple[int, Order]] = []  # with their times, the latest first

    @property
    def phase(self) -> Phase | None:
        """The phase under way; None after the last."""
        return None if self._index is None else self._script.phases[self._index]

    def lead(self, now_ns: int, events: MarketEvents) -> None:
        """Sets the path's target and trades what is due."""
        market, index = self._market, self._script.phase_index(now_ns)
        market.path.target = self._script.targets(now_ns)
        if index != self._index:
            self._index = index
            self._orders = [] if index is None else self._schedule_orders(self._script.phases[index], now_ns)
        while self._orders and self._orders[-1][0] <= now_ns:
            market.execute(self._orders.pop()[1], events)
        if (phase := self.phase) is not None and phase.liquidations:
            self._liquidate(phase.liquidations * (now_ns - self._led_ns) / MINUTE, events)
        self._led_ns = now_ns

    def _schedule_orders(self, phase: Phase, now_ns: int) -> list[tuple[int, Order]]:
        orders = book_orders(self._market.board, phase.orders, self._script.start_ns)
        times = now_ns + SECOND + (self._rng.random(len(orders)) * ORDERS_NS).astype(np.int64)
        return [(int(times[n]), orders[n]) for n in np.argsort(-times, kind="stable")]

    def _liquidate(self, usd: float, events: MarketEvents) -> None:
        side = 1 if usd > 0.0 else -1
        perpetuals = [m for m in self._market.hedges if m.spec.kind == "perpetual"]
        count = int(self._rng.poisson(abs(usd) / MEAN_LIQUIDATION_USD))
        for n in self._rng.integers(0, len(perpetuals), count).tolist():
            events.liquidations.append(perpetuals[n].liquidate(self._market.now_ns, side))
