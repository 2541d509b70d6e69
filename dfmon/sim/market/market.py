"""The simulated market: all currencies on one clock, deterministic given a seed and a start.

`advance` moves in fixed steps, so the state at a market time does not depend on how it was reached. There is no wall
clock here; the server decides how fast market time runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from dfmon.model.units import MILLISECOND
from dfmon.sim.faults import Faults
from dfmon.sim.market.currency import CurrencyMarket, Happenings
from dfmon.sim.market.linear import LinearMarket
from dfmon.sim.market.listing import base_of
from dfmon.sim.market.specs import SPECS, board_name
from dfmon.sim.market.surface import FloatArray

STEP_NS: Final = 100 * MILLISECOND


class Market:
    """The truth behind the simulated venues."""

    def __init__(
        self, seed: int, start_ns: int, currencies: Sequence[str] = ("BTC", "ETH"), history: float = 1.0
    ) -> None:
        names = {board_name(name) for name in currencies}
        if not names or not names <= SPECS.keys():
            raise ValueError(f"currencies: found {list(currencies)}, allowed {sorted(SPECS)}")
        self.start_ns = start_ns - start_ns % STEP_NS
        self.now_ns = self.start_ns
        seeds = np.random.SeedSequence(seed).spawn(len(SPECS))
        self.currencies: dict[str, CurrencyMarket] = {}
        for (name, spec), child in zip(SPECS.items(), seeds):
            if name in names:
                leader = self.currencies.get(base_of(name))
                path = leader.path if leader else None
                self.currencies[name] = CurrencyMarket(spec, self.start_ns, STEP_NS, child, history, path)
        self._happened = Happenings()

    def advance(self, to_ns: int) -> None:
        """Run every whole step up to `to_ns`."""
        while self.now_ns + STEP_NS <= to_ns:
            self.now_ns += STEP_NS
            for currency in self.currencies.values():
                currency.step(self.now_ns, self._happened)

    def hold(self) -> None:
        """Let a moment pass in which nothing changes, while the books still speak."""
        for currency in self.currencies.values():
            for market in (*currency.hedges, *currency.futures.values()):
                market.book.touch()

    def strike(self, blows: Faults) -> None:
        """Deal the blows that change the market itself; they show from the next step on."""
        for currency in self.currencies.values():
            if blows.pull_quotes:
                currency.board.pull_quotes(self.now_ns)
            if blows.roll:
                currency.roll_now(self._happened)
            if blows.list_strike:
                currency.list_strike(self._happened)
            if blows.cascade:
                currency.cascade(blows.cascade)

    def take(self) -> Happenings:
        """What happened since the last call."""
        happened, self._happened = self._happened, Happenings()
        return happened

    def linear(self, venue: str) -> dict[str, LinearMarket]:
        """The hedging markets of one venue by symbol."""
        return {m.spec.symbol: m for c in self.currencies.values() for m in c.venue(venue)}

    def indexed(self, index: str) -> CurrencyMarket | None:
        """The board whose index is called so; the USDC indices of BTC and ETH are pegged to the USD ones."""
        base = index.partition("_")[0].upper()
        found = [c for c in self.currencies.values() if c.base == base]
        return next((c for c in found if c.price_index == index), found[0] if found else None)

    def dealer_positions(self, currency: str) -> dict[str, float]:
        """The true dealer position of every listed option, coins, + long: what an estimator should find."""
        market = self.currencies[currency]
        position: FloatArray = market.ledger.dealer_position
        return dict(zip(market.board.names, position.tolist()))

    def desk_positions(self, currency: str) -> tuple[dict[str, float], ...]:
        """The same, desk by desk: they add up to the true dealer position."""
        market = self.currencies[currency]
        held: FloatArray = market.ledger.desk_long - market.ledger.desk_short
        return tuple(dict(zip(market.board.names, desk)) for desk in held.tolist())
