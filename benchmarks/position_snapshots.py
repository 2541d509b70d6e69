"""Worlds of the simulated families as the estimator sees them: a snapshot of estimate and truth on some days."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dfmon.api.tape_columns import TapeColumns, read_tape
from dfmon.core.exposure.unit_exposure import unit_exposures
from dfmon.core.positions import position_state as columns
from dfmon.core.positions.advance import advance
from dfmon.core.positions.bands import factor_loadings
from dfmon.core.positions.estimate import PositionEstimate, estimate
from dfmon.core.positions.observed_columns import InterestColumns, PrintColumns
from dfmon.core.positions.opening_rates import OpeningRates
from dfmon.core.positions.position_state import PositionState, with_options
from dfmon.core.positions.print_kinds import PositionPriors
from dfmon.core.positions.readout import read_out, sum_features, unpaired_share
from dfmon.core.positions.replay import with_histories
from dfmon.model.units import DAY, MILLISECOND
from dfmon.sim.populations import FAMILIES, MarketTape, simulate

F64 = NDArray[np.float64]
DAYS: Final = (1.0, 5.0, 15.0, 25.0)
DAY_MS: Final = DAY // MILLISECOND
SIGMA: Final = 0.5  # of every option, for the roll-ups
ROLL_UPS: Final = ("ngi", "vss", "chl", "volg")


@dataclass(frozen=True)
class Snapshot:
    """Options with open interest at one time. `truth` and `mean` are the customers' position over open interest."""

    family: str
    seed: int
    day: float
    truth: F64
    interest: F64
    mean: F64
    """Of the filter alone, before the read-out."""
    sd: F64
    drift: F64
    unpaired: F64
    """Share of the prints without open interest around them."""
    features: F64
    factors: F64
    """Loadings before the calibration, (factors, n)."""
    units: F64
    """Roll-ups of one coin, (roll-ups, n)."""
    rates: OpeningRates
    found: PositionEstimate
    taker_flow: F64
    """The peer's rule: takers' net flow, bounded by open interest at every print; over open interest."""
    rows: NDArray[np.intp]
    """Of the state."""
    archived: bool

    @property
    def group(self) -> str:
        """The family, apart for lives from an archive."""
        return f"{self.family} archived" if self.archived else self.family

    @property
    def share(self) -> F64:
        """The estimate over open interest."""
        return self.found.share[self.rows]

    @property
    def members(self) -> F64:
        """Customers' position over open interest of each member."""
        return np.asarray(-self.found.members[self.rows] / self.interest[:, None])


Columns = Mapping[str, NDArray[Any]]
Disturbance = Callable[[MarketTape, np.random.Generator], tuple[Columns, Columns]]


def _without(share: float) -> Disturbance:
    def lost(world: MarketTape, rng: np.random.Generator) -> tuple[Columns, Columns]:
        kept = rng.random(world.trades["ts_ms"].size) >= share
        return {name: column[kept] for name, column in world.trades.items()}, world.open_interest

    return lost


def _repeated(world: MarketTape, rng: np.random.Generator) -> tuple[Columns, Columns]:
    """One print in twenty comes twice, and nothing tells: the numbers of the prints are missing."""
    again = np.flatnonzero(rng.random(world.trades["ts_ms"].size) < 0.05)
    trades = {name: np.concatenate([column, column[again]]) for name, column in world.trades.items() if name != "seq"}
    return trades, world.open_interest


def _wrong_interest(world: MarketTape, rng: np.random.Generator) -> tuple[Columns, Columns]:
    """One value in twenty is off by up to the size of a typical print: both changes around it are random."""
    value = world.open_interest["value"]
    wrong = (rng.random(value.size) < 0.05) * rng.uniform(-1.0, 1.0, value.size) * np.mean(world.trades["amount"])
    return world.trades, {**world.open_interest, "value": np.maximum(value + wrong, 0.0)}


def _far_off(world: MarketTape, rng: np.random.Generator) -> tuple[Columns, Columns]:
    """One value in a hundred is anything from zero to three times itself."""
    value = world.open_interest["value"]
    factor = np.where(rng.random(value.size) < 0.01, rng.uniform(0.0, 3.0, value.size), 1.0)
    return world.trades, {**world.open_interest, "value": value * factor}


DISTURBANCES: Final[Mapping[str, Disturbance]] = {
    "as it is": lambda world, rng: (world.trades, world.open_interest),
    "1 % of the prints lost": _without(0.01),
    "20 % lost": _without(0.20),
    "5 % repeated": _repeated,
    "5 % of open interest wrong": _wrong_interest,
    "1 % of it up to threefold": _far_off,
}


@dataclass(frozen=True)
class Watched:
    """The estimator's state at one time of a world, and the truth of its options in coins.

    `archived`: of whole lives that were read at that time, with open interest only then.
    """

    family: str
    seed: int
    day: float
    underlying: str
    spot: float
    state: PositionState
    interest: F64
    customers: F64
    taker_flow: F64
    archived: bool = False


def watch(
    family: str,
    seed: int,
    days: Sequence[float] = DAYS,
    disturbance: str = "as it is",
    archive_days: Sequence[float] = (),
) -> list[Watched]:
    """One world, watched from day 0; then its lives as an archive has them on other days."""
    world = simulate(FAMILIES[family], seed, days=max(days))
    trades, interest = DISTURBANCES[disturbance](world, np.random.default_rng(seed))
    tape = read_tape(trades, interest, world.instruments)
    state = with_options(PositionState.empty(), tape.listing)
    index = {name: row for row, name in enumerate(world.instruments["name"].tolist())}
    out = []
    for day, flow in zip(days, _clipped_flow(world, days)):
        at_ms = world.start_ms + round(day * DAY_MS)
        now_ns = at_ms * MILLISECOND
        state = advance(state, *tape.until(state, now_ns), now_ns, PositionPriors())
        rows = np.array([index[name] for name in state.listing.names])
        truth = (world.open_interest_at(at_ms)[rows], world.customer_net(at_ms)[rows], flow[rows])
        out.append(Watched(family, seed, day, tape.underlying, world.spot, state, *truth))
    for day, flow in zip(archive_days, _clipped_flow(world, archive_days)):
        at_ms = world.start_ms + round(day * DAY_MS)
        rows, state = archived_lives(tape, world.open_interest_at(at_ms), at_ms * MILLISECOND)
        truth = (world.open_interest_at(at_ms)[rows], world.customer_net(at_ms)[rows], flow[rows])
        out.append(Watched(family, seed, day, tape.underlying, world.spot, state, *truth, archived=True))
    return out


def archived_lives(tape: TapeColumns, interest: F64, now_ns: int) -> tuple[NDArray[np.intp], PositionState]:
    """Rows of the options listed in view, and the state that begins with their whole lives and this open interest."""
    listing = tape.listing
    rows = np.flatnonzero((listing.listed_ns > 0) & (listing.listed_ns < now_ns) & (listing.expiry_ns > now_ns))
    of_life = replace(listing.take(rows.tolist()), listed_ns=np.zeros(rows.size, np.int64))
    row = np.full(len(listing.names), -1)
    row[rows] = np.arange(rows.size)
    prints = tape.prints.take((row[tape.prints.row] >= 0) & (tape.prints.ts_ns <= now_ns))
    observed = InterestColumns(np.arange(rows.size), np.full(rows.size, now_ns), interest[rows])
    priors = PositionPriors()
    state = advance(with_options(PositionState.empty(), of_life), PrintColumns.empty(), observed, now_ns, priors)
    return rows, with_histories(state, replace(prints, row=row[prints.row]), priors)


def snapshots(family: str, seed: int, days: Sequence[float] = DAYS) -> list[Snapshot]:
    """Estimates of one world."""
    return [snapshot(watched) for watched in watch(family, seed, days)]


def snapshot(watched: Watched) -> Snapshot:
    """The estimate under the present calibration, beside the truth."""
    state = watched.state
    found = estimate(state, PositionEstimate.initial(watched.underlying, 128))
    rows = np.flatnonzero((watched.interest > 1e-9) & (state.interest > 0.0))
    interest = watched.interest[rows]
    read = read_out(state, rows)
    inverse = 1.0 / state.interest[rows]
    strike, option_type = state.listing.strike[rows], state.listing.option_type[rows]
    days_left = (state.listing.expiry_ns[rows] - state.now_ns) / DAY
    spot = np.full(rows.size, watched.spot)
    unit = unit_exposures(spot, strike, np.full(rows.size, SIGMA), days_left / 365.0, option_type)
    log_strike = state.rates.log_strike or np.log(watched.spot)
    return Snapshot(
        family=watched.family,
        seed=watched.seed,
        day=watched.day,
        truth=watched.customers[rows] / interest,
        interest=interest,
        mean=read.filter_mean,
        sd=read.filter_sd,
        drift=state.sums[rows, columns.DRIFT] * inverse * inverse,
        unpaired=unpaired_share(state.sums[rows]),
        features=sum_features(state.sums[rows], inverse, state.rates.mean_u),
        factors=factor_loadings(read.share, option_type, np.log(strike) - log_strike, days_left),
        units=np.stack([unit.column(name) for name in ROLL_UPS]),
        rates=state.rates,
        found=found,
        taker_flow=watched.taker_flow[rows] / interest,
        rows=rows,
        archived=watched.archived,
    )


def _clipped_flow(world: MarketTape, days: Sequence[float]) -> list[F64]:
    """Takers' net flow of each instrument at each day, bounded by the open interest of the newest value."""
    names = world.instruments["name"].tolist()
    index = {name: row for row, name in enumerate(names)}
    flow, limit = [0.0] * len(names), [0.0] * len(names)
    trades, interest = world.trades, world.open_interest
    time = np.concatenate([interest["ts_ms"], trades["ts_ms"]])
    row = [index[name] for name in (*interest["instrument"].tolist(), *trades["instrument"].tolist())]
    value = np.concatenate([interest["value"], trades["side"] * trades["amount"]]).tolist()
    first_trade, order = len(interest["ts_ms"]), np.argsort(time, kind="stable").tolist()
    out, pending = [], [world.start_ms + round(day * DAY_MS) for day in days]
    for at in order:
        while pending and time[at] > pending[0]:
            out.append(np.array(flow))
            pending.pop(0)
        option = row[at]
        if at < first_trade:
            limit[option] = value[at]
        else:
            flow[option] = min(max(flow[option] + value[at], -limit[option]), limit[option])
    return out + [np.array(flow)] * len(pending)


def many(
    cells: Iterable[tuple[str, int]],
    folder: Path | None = None,
    processes: int = 2,
    archive_days: Sequence[float] = (),
) -> list[list[Snapshot]]:
    """The snapshots of several worlds (family, seed), in parallel; `folder` keeps the states of the estimator."""
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    run = partial(_cell, folder, archive_days)
    if processes == 1:
        return [run(cell) for cell in cells]
    with ProcessPoolExecutor(processes) as pool:
        return list(pool.map(run, cells, chunksize=1))


def _cell(folder: Path | None, archive_days: Sequence[float], cell: tuple[str, int]) -> list[Snapshot]:
    return [snapshot(one) for one in kept_watch(cell, folder, archive_days)]


def kept_watch(cell: tuple[str, int], folder: Path | None = None, archive_days: Sequence[float] = ()) -> list[Watched]:
    """One world (family, seed), as `watch`; `folder` keeps it."""
    kept = None if folder is None else folder / f"{cell[0]}{cell[1]}.pickle"
    if kept is not None and kept.exists():
        stored: list[Watched] = pickle.loads(kept.read_bytes())
        return stored
    watched = watch(*cell, archive_days=archive_days)
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(pickle.dumps(watched))
    return watched
