"""The simulated market: all currencies on one clock, deterministic given a seed and a start.

`advance` moves in fixed steps, so the state at a market time does not depend on how it was reached. There is no wall
clock here; the server decides how fast market time runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from dfmon.model.units import MILLISECOND, SECOND
from dfmon.sim.faults import Faults
from dfmon.sim.market.board_specs import SPECS, check_currencies, resolve_board, widen_strikes
from dfmon.sim.market.currency_market import CurrencyMarket, MarketEvents
from dfmon.sim.market.director import ScriptDirector, adapt_spec
from dfmon.sim.market.linear_market import LinearMarket
from dfmon.sim.market.listing import base_coin
from dfmon.sim.market.script import Script
from dfmon.sim.market.surface import FloatArray

STEP_NS: Final = 100 * MILLISECOND
_DIRECTOR_STREAM: Final = 1  # of the seed: what a script draws changes no other draw


class SimulatedMarket:
    """The state that the simulated venues publish."""

    def __init__(
        self,
        seed: int,
        start_ns: int,
        currencies: Sequence[str] = ("BTC", "ETH"),
        history: float = 1.0,
        script: Script | None = None,
        step_ns: int = STEP_NS,
        strike_spacing: float = 1.0,
        feedback: float = 0.0,
    ) -> None:
        """A `script` takes the place of start, currencies and history, and leads the market.

        `step_ns` divides a second or is whole seconds; a coarser market is computed faster. So is one with fewer
        strikes: `strike_spacing` multiplies the distance between two. `feedback` is the share of the dealers' hedges
        that acts on the price.
        """
        self._step_ns = step_ns
        if script is not None:
            start_ns, currencies, history = script.start_ns, (script.currency,), script.history
        check_currencies(currencies)
        names = {resolve_board(name) for name in currencies}
        self.start_ns = start_ns - start_ns % STEP_NS
        self.now_ns = self.start_ns
        seeds = np.random.SeedSequence(seed).spawn(len(SPECS))
        self.currencies: dict[str, CurrencyMarket] = {}
        for (name, spec), child in zip(SPECS.items(), seeds):
            if name in names:
                spec = spec if script is None else adapt_spec(spec, script)
                spec = widen_strikes(spec, strike_spacing)
                leader = self.currencies.get(base_coin(name))
                path = leader.path if leader else None
                self.currencies[name] = CurrencyMarket(spec, self.start_ns, step_ns, child, history, path, feedback)
        self._events = MarketEvents()
        self.director: ScriptDirector | None = None
        if script is not None:
            rng = np.random.default_rng([seed, _DIRECTOR_STREAM])
            self.director = ScriptDirector(script, self.currencies[script.currency], rng)

    def advance(self, to_ns: int) -> None:
        """Runs every whole step up to `to_ns`."""
        while self.now_ns + self._step_ns <= to_ns:
            self.now_ns += self._step_ns
            if self.director is not None and self.now_ns % SECOND == 0:
                self.director.lead(self.now_ns, self._events)
            for currency in self.currencies.values():
                currency.step(self.now_ns, self._events)

    def refresh_books(self) -> None:
        """Repeats the books' touch while nothing else changes."""
        for currency in self.currencies.values():
            for market in (*currency.hedges, *currency.futures.values()):
                market.book.refresh_touch()

    def apply_one_shots(self, one_shots: Faults) -> None:
        """Applies the one-shots that change the market itself; they take effect with the next step."""
        for currency in self.currencies.values():
            if one_shots.pull_quotes:
                currency.board.pull_quotes(self.now_ns)
            if one_shots.roll:
                currency.roll_now(self._events)
            if one_shots.list_strike:
                currency.list_strike(self._events)
            if one_shots.cascade:
                currency.cascade(one_shots.cascade)

    def drain_events(self) -> MarketEvents:
        """Returns the events since the last call."""
        events, self._events = self._events, MarketEvents()
        return events

    def linear_markets(self, venue: str) -> dict[str, LinearMarket]:
        """The hedging markets of one venue by symbol."""
        return {m.spec.symbol: m for c in self.currencies.values() for m in c.venue(venue)}

    def currency_by_index(self, index: str) -> CurrencyMarket | None:
        """The board of an index name; the USDC indices of BTC and ETH are pegged to the USD ones."""
        base = index.partition("_")[0].upper()
        boards = [c for c in self.currencies.values() if c.base == base]
        return next((c for c in boards if c.price_index == index), boards[0] if boards else None)

    def true_dealer_positions(self, currency: str) -> dict[str, float]:
        """The true dealer position of every listed option, coins, + long: the target of an estimator."""
        market = self.currencies[currency]
        position: FloatArray = market.ledger.dealer_position
        return dict(zip(market.board.names, position.tolist()))

    def true_desk_positions(self, currency: str) -> tuple[dict[str, float], ...]:
        """The same, desk by desk: they add up to the true dealer position."""
        market = self.currencies[currency]
        net: FloatArray = market.ledger.desk_long - market.ledger.desk_short
        return tuple(dict(zip(market.board.names, desk)) for desk in net.tolist())
