"""The estimator against lives whose true books are known: one trial, and the figures it is judged by."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfmon.core.exposure.unit_exposure import UnitExposure, unit_exposures
from dfmon.core.flip.gamma_flip import find_flip
from dfmon.core.flip.joint_search import find_flips
from dfmon.core.flip.matching import match_roots
from dfmon.core.flip.member_roots import MemberRoots
from dfmon.core.flip.regime import find_regime
from dfmon.core.positions.dealer_net import DealerPositions, dealer_positions
from dfmon.core.positions.position_book import PositionBook, advance_book
from dfmon.core.positions.print_kinds import PositionPriors
from dfmon.model.frames import ChainFrame, TradeColumns
from dfmon.model.units import DAY, SECOND
from dfmon.sim.populations.classes import (
    BLOCK,
    COMBO,
    LIQUIDATION,
    RFQ,
    PopulationHistory,
    simulate_population,
)
from dfmon.sim.populations.history import SPOT

F64 = NDArray[np.float64]
START_NS = 1_770_000_000 * SECOND
SIGMA = 0.5
DELAY = 60.0 / 86_400.0  # open interest is up to a minute old


def trades(life: PopulationHistory, rows: NDArray[np.intp]) -> TradeColumns:
    """These prints as the engine would hand them over."""
    kind = life.kind[rows]
    return TradeColumns(
        uid=life.option[rows],
        seq=life.seq[rows],
        key=life.event[rows].astype(np.uint64),
        exch_ns=START_NS + (life.time[rows] * DAY).astype(np.int64),
        side=life.side[rows].astype(np.int8),
        size=life.size[rows],
        price=np.full(rows.size, 0.01),
        sigma=np.full(rows.size, SIGMA),
        block=(kind == BLOCK) | (kind == RFQ),
        rfq=kind == RFQ,
        combo=kind == COMBO,
        liquidation=tuple(np.where(kind == LIQUIDATION, "T", "").tolist()),
    )


def frames_of(
    life: PopulationHistory, seed: int, every: float = 0.25, drop: float = 0.0
) -> Iterator[tuple[float, ChainFrame]]:
    """What the engine shows of a life every so many days; open interest is late, `drop` of the prints lost."""
    rng = np.random.default_rng(seed)
    n = life.strike.size
    spot, names = SPOT, tuple(f"SIM-{i}" for i in range(n))
    observed_prints = life.print_rows[life.time[life.print_rows] > 0.0]
    dropped = rng.random(observed_prints.size) < drop
    missing = np.full(n, np.nan)
    start = 0
    for tick in range(round(life.time[-1] / every) + 1):
        day = tick * every
        spot *= math.exp(SIGMA * math.sqrt(every / 365.0) * rng.standard_normal())
        end = int(np.searchsorted(life.time[observed_prints], day, side="right"))
        chunk, received = observed_prints[start:end], ~dropped[start:end]
        start = end
        observed_oi = life.state_at(day, life.open_interest)
        for row in chunk[life.time[chunk] > day - DELAY]:  # what a minute may hide
            if rng.random() < 0.5:
                observed_oi[life.option[row]] = life.state_at(float(life.time[row]) - 1e-9, life.open_interest)[
                    life.option[row]
                ]
        yield day, ChainFrame(
            ts_ns=START_NS + round(day * DAY), underlying="SIM", spot=spot, spot_ns=START_NS + round(day * DAY),
            vol_index=SIGMA, delivery_average=math.nan, uid=np.arange(n), names=names,
            expiry_ns=START_NS + (life.expiry * DAY).astype(np.int64), strike=life.strike,
            option_type=life.option_type.astype(np.int8), inverse=np.ones(n, np.bool_), forward=np.full(n, spot),
            sigma=np.full(n, SIGMA), bid_sigma=missing, ask_sigma=missing, mark=missing, bid=missing, ask=missing,
            open_interest=observed_oi, volume=missing, data_ns=np.full(n, START_NS), first_seen_ns=np.full(n, START_NS),
            full_history=life.listed >= 0.0,
            listed_ns=np.where(life.listed >= 0.0, START_NS + (np.maximum(life.listed, 0.0) * DAY).astype(np.int64), 0),
            interest=observed_oi, interest_ns=np.full(n, START_NS + round(day * DAY)),
            lost_prints=np.bincount(life.option[chunk[~received]],
            minlength=n).astype(np.float64),
            trades=trades(life, chunk[received]),
        )  # fmt: skip


@dataclass
class TrialSample:
    """Truth and estimate at one moment. Dealers' positions in coins, roll-ups in USD."""

    day: float
    open_interest: F64
    truth: F64
    estimate: DealerPositions
    clipped: F64
    ngi: tuple[float, float, float, float]  # truth, mean, 5 %, 95 %
    flip: tuple[float | None, float | None, float | None, float | None] | None = None  # truth, 5 %, 95 %, share without


def trial(
    seed: int, *, priors: PositionPriors | None = None, shots: Sequence[float] = (5.0, 15.0, 30.0), flips: bool = False,
    every: float = 0.25, drop: float = 0.0, **world: Any,
) -> list[TrialSample]:  # fmt: skip
    """One life watched from day 0."""
    life = simulate_population(seed, **world)
    book, pending_days, samples = PositionBook.empty(), list(shots), []
    for day, frame in frames_of(life, seed, every, drop):
        book = advance_book(book, frame, priors or PositionPriors())
        if pending_days and day >= pending_days[0]:
            pending_days.pop(0)
            samples.append(_sample(life, day, frame, dealer_positions("flow", book, frame), flips))
        if not pending_days:
            break
    return samples


def _sample(
    life: PopulationHistory, day: float, frame: ChainFrame, estimate: DealerPositions, flips: bool
) -> TrialSample:
    truth = -life.state_at(day, life.customer_net)
    assert estimate.members is not None
    tau = life.expiry / 365.0 - day / 365.0
    board = frame.forward, frame.strike, frame.sigma, tau
    unit = unit_exposures(*board, life.option_type)
    band = None
    if flips:
        band = _flip_band(frame.spot, board, truth, estimate)
    return TrialSample(day, frame.open_interest, truth, estimate, clipped(life, day), _ngi(unit, truth, estimate), band)


def _flip_band(
    spot: float, board: tuple[F64, F64, F64, F64], truth: F64, estimate: DealerPositions
) -> tuple[float | None, float | None, float | None, float | None]:
    """Level of the estimated flip in the true book, its band, and the share of members without it."""
    found = find_flips(spot, *board, estimate.position[:, None], estimate.members)
    regime = find_regime(spot, found.flips[0], found.roots, found.profiles)
    edge, roots = regime.nearest, find_flip(spot, *board, truth).roots
    if edge is None:
        return None, None, None, regime.p_none
    true_roots = MemberRoots.from_rows(
        1, [0] * len(roots), [root.level for root in roots], [root.rising for root in roots]
    )
    levels = np.array([one.level for one in regime.edges])
    matched = match_roots(levels, np.array([one.rising for one in regime.edges]), true_roots)
    level = float(matched[int(np.flatnonzero(levels == edge.level)[0]), 0])
    return None if math.isnan(level) else level, edge.low, edge.high, regime.p_none


def _ngi(unit: UnitExposure, truth: F64, estimate: DealerPositions) -> tuple[float, float, float, float]:
    assert estimate.members is not None
    members = unit.ngi @ estimate.members
    low, high = np.quantile(members, (0.05, 0.95))
    return float(unit.ngi @ truth), float(unit.ngi @ estimate.position), float(low), float(high)


def clipped(life: PopulationHistory, day: float) -> F64:
    """The peer's rule: minus the takers' net flow since the watch began, bounded by open interest at every print."""
    position = [0.0] * life.strike.size
    rows = life.print_rows[(life.time[life.print_rows] > 0.0) & (life.time[life.print_rows] <= day)]
    for row, signed_size, limit in zip(
        life.option[rows].tolist(), (life.side[rows] * life.size[rows]).tolist(), life.open_interest[rows].tolist()
    ):
        position[row] = min(max(position[row] - signed_size, -limit), limit)
    return np.array(position)


@dataclass(frozen=True)
class TrialScore:
    """What the estimator is judged by, over all options of some shots."""

    rmse: float  # of position / open interest
    rmse_clipped: float
    sign: float  # share of |position| whose sign is right
    coverage: float  # of the 90 % band

    @classmethod
    def of(cls, shots: Sequence[TrialSample]) -> TrialScore:
        nonzero = [shot.open_interest > 0.0 for shot in shots]

        def column(of: Sequence[F64 | None]) -> F64:
            return np.concatenate([values[k] for values, k in zip(of, nonzero) if values is not None])

        open_interest, truth = column([s.open_interest for s in shots]), column([s.truth for s in shots])
        estimate, low, high = (
            column([getattr(s.estimate, name) for s in shots]) for name in ("position", "low", "high")
        )
        tolerance = 1e-9 * open_interest
        return cls(
            rmse=float(np.sqrt(np.mean(((estimate - truth) / open_interest) ** 2))),
            rmse_clipped=float(np.sqrt(np.mean(((column([s.clipped for s in shots]) - truth) / open_interest) ** 2))),
            sign=float(np.abs(truth[np.sign(estimate) == np.sign(truth)]).sum() / np.abs(truth).sum()),
            coverage=float(np.mean((truth >= low - tolerance) & (truth <= high + tolerance))),
        )


def net_gamma(shots: Sequence[TrialSample]) -> tuple[float, float]:
    """Correlation of inferred with true NGI, and how often its band holds the truth."""
    truth, mean, low, high = np.array([shot.ngi for shot in shots]).T
    return float(np.corrcoef(truth, mean)[0, 1]), float(np.mean((truth >= low) & (truth <= high)))


def flip_coverage(shots: Sequence[TrialSample]) -> tuple[float, int]:
    """Share of the bands of the flip that hold it in the true book, and their number."""
    covered = [
        low <= level <= high
        for level, low, high, _ in (shot.flip for shot in shots if shot.flip is not None)
        if level is not None and low is not None and high is not None
    ]
    return float(np.mean(covered)) if covered else math.nan, len(covered)
