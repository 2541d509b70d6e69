"""Books of the simulated families as the estimator sees them: positions, members, and the true book, on some days."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from position_snapshots import Watched, kept_watch

from dfmon.core.positions.estimate import PositionEstimate, estimate
from dfmon.model.units import DAY

F64 = NDArray[np.float64]
MEMBERS: Final = 128


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


def book_of(watched: Watched) -> WorldBook:
    """The estimated book under the present calibration beside the true one."""
    state = watched.state
    found = estimate(state, PositionEstimate.initial(watched.underlying, MEMBERS))
    rows = np.flatnonzero((watched.interest > 1e-9) & (state.interest > 0.0))
    listing = state.listing.take(rows.tolist())
    return WorldBook(
        watched.family, watched.seed, watched.day, watched.spot, listing.strike, listing.option_type,
        (listing.expiry_ns - state.now_ns) / DAY, watched.interest[rows], found.net[rows],
        found.members[rows].astype(np.float32), -watched.customers[rows],
    )  # fmt: skip


def many_books(cells: Iterable[tuple[str, int]], cache: Path | None) -> Iterator[list[WorldBook]]:
    """The books of several worlds (family, seed), one after the other; a directory keeps the worlds."""
    for cell in cells:
        yield [book_of(watched) for watched in kept_watch(cell, cache) if not watched.archived]
