"""One world of a family."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from dfmon.sim.populations.accounts import AccountMarket
from dfmon.sim.populations.classes import NOT_A_PRINT, simulate_population
from dfmon.sim.populations.family import ClassSwitches, Family
from dfmon.sim.populations.history import DAY_MS, UNPRINTED, Listing, MarketHistory
from dfmon.sim.populations.orders import draw
from dfmon.sim.populations.tape import MarketTape, observe


def simulate(family: Family, seed: int, days: float = 25.0) -> MarketTape:
    """The tape of a world watched for `days`; the same seed gives the same world."""
    market_rng, observation_rng = np.random.default_rng(seed).spawn(2)
    if family.accounts is not None and (family.classes is None or seed % 2):
        drawn: dict[str, Any] = {name: draw(market_rng, bounds) for name, bounds in family.drawn.items()}
        history = AccountMarket(replace(family.accounts, **drawn), days, market_rng).run()
    else:
        assert family.classes is not None, "a family has switches of at least one kind"
        history = _simulate_classes(family.classes, seed, days, market_rng)
    return observe(history, family.interest_every_s, family.lost, observation_rng)


def _simulate_classes(switches: ClassSwitches, seed: int, days: float, rng: np.random.Generator) -> MarketHistory:
    takers = None if switches.takers is None else (draw(rng, switches.takers[0]), draw(rng, switches.takers[1]))
    population = simulate_population(
        seed,
        options=switches.options,
        days=days,
        listed_before_days=switches.run_in_days,
        prints_per_day=switches.prints_per_day,
        persistent=bool(rng.random() >= switches.undirected),
        screen=takers,
        closing=draw(rng, switches.closing),
        unprinted_per_day=draw(rng, switches.unprinted),
    )
    is_print = population.kind != NOT_A_PRINT
    nobody = np.full(population.time.size, -1)
    return MarketHistory(
        Listing(population.strike, population.expiry, population.option_type, population.listed),
        np.round(population.time * DAY_MS).astype(np.int64),
        population.option,
        np.where(is_print, population.side, 0),
        population.size,
        np.where(is_print, population.kind, UNPRINTED),
        population.event,
        population.open_interest,
        population.customer_net,
        nobody,
        nobody,
        0,
    )
