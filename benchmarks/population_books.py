"""Books of the simulated families as the estimator sees them: positions, members, and the true book, on some days."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dfmon.api.tape_columns import read_tape
from dfmon.core.positions.advance import advance
from dfmon.core.positions.estimate import PositionEstimate, estimate
from dfmon.core.positions.position_state import PositionState, with_options
from dfmon.core.positions.print_kinds import PositionPriors
from dfmon.model.units import DAY, MILLISECOND
from dfmon.sim.populations import FAMILIES, simulate

F64 = NDArray[np.float64]
MEMBERS: Final = 128
DAYS: Final = (1.0, 5.0, 15.0, 25.0)


@dataclass(frozen=True)
class WorldBook:
    """Options with open interest of one world on one day. Dealers' positions in coins, + long; times in days."""

    family: str
    seed: int
    day: float
    spot: float
    strike: F64
    option_type: F64
    days_left: F64
    interest: F64
    position: F64
    members: F64
    truth: F64


def books_of(family: str, seed: int, days: Sequence[float] = DAYS) -> list[WorldBook]:
    """One world, watched from day 0."""
    world = simulate(FAMILIES[family], seed, days=max(days))
    tape = read_tape(world.trades, world.open_interest, world.instruments)
    state, current = with_options(PositionState.empty(), tape.listing), PositionEstimate.initial("BTC", MEMBERS)
    index = {name: row for row, name in enumerate(world.instruments["name"].tolist())}
    books = []
    for day in days:
        at_ms = world.start_ms + round(day * DAY / MILLISECOND)
        now_ns = at_ms * MILLISECOND
        state = advance(state, *tape.until(state, now_ns), now_ns, PositionPriors())
        current = estimate(state, current)
        of_world = np.array([index[name] for name in state.listing.names])
        interest = world.open_interest_at(at_ms)[of_world]
        rows = np.flatnonzero((interest > 1e-9) & (state.interest > 0.0))
        books.append(
            WorldBook(
                family, seed, day, world.spot, state.listing.strike[rows], state.listing.option_type[rows],
                (state.listing.expiry_ns[rows] - now_ns) / DAY, interest[rows], current.net[rows],
                current.members[rows].astype(np.float32), -world.customer_net(at_ms)[of_world][rows],
            )
        )  # fmt: skip
    return books


def many_books(cells: Iterable[tuple[str, int]], cache: Path | None) -> Iterator[list[WorldBook]]:
    """The books of several worlds (family, seed), one after the other; a directory keeps them."""
    for family, seed in cells:
        path = None if cache is None else cache / f"{family}{seed}.pickle"
        if path is not None and path.exists():
            stored: list[WorldBook] = pickle.loads(path.read_bytes())
            yield stored
            continue
        books = books_of(family, seed)
        if path is not None:
            path.write_bytes(pickle.dumps(books))
        yield books
