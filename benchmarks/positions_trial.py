"""The estimator against lives whose true books are known: one trial, and the figures it is judged by."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dfmon.core.exposure.unit_exposure import UnitExposure, unit_exposures
from dfmon.core.flip.gamma_flip import find_flip, flip_band, flip_members
from dfmon.core.positions.attribution import Priors
from dfmon.core.positions.dealer_net import DealerPositions, dealer_positions
from dfmon.core.positions.inventory import Inventory
from dfmon.core.positions.update import observe
from dfmon.model.frames import ChainFrame, TradeColumns
from dfmon.model.units import DAY, SECOND
from dfmon.sim.market.population import BLOCK, COMBO, LIQUIDATION, RFQ, SPOT, Life, live

F64 = NDArray[np.float64]
START_NS = 1_770_000_000 * SECOND
SIGMA = 0.5
DELAY = 60.0 / 86_400.0  # open interest is up to a minute old


def trades(life: Life, rows: NDArray[np.intp]) -> TradeColumns:
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


def frames(life: Life, seed: int, every: float = 0.25, drop: float = 0.0) -> Iterator[tuple[float, ChainFrame]]:
    """What the engine shows of a life every so many days; open interest is late, `drop` of the prints lost."""
    rng = np.random.default_rng(seed)
    n = life.strike.size
    spot, names = SPOT, tuple(f"SIM-{i}" for i in range(n))
    watched = life.prints[life.time[life.prints] > 0.0]
    gone = rng.random(watched.size) < drop
    nothing = np.full(n, np.nan)
    done = 0
    for tick in range(round(life.time[-1] / every) + 1):
        day = tick * every
        spot *= math.exp(SIGMA * math.sqrt(every / 365.0) * rng.standard_normal())
        upto = int(np.searchsorted(life.time[watched], day, side="right"))
        part, kept = watched[done:upto], ~gone[done:upto]
        done = upto
        seen = life.at(day, life.interest)
        for row in part[life.time[part] > day - DELAY]:  # what a minute may hide
            if rng.random() < 0.5:
                seen[life.option[row]] = life.at(float(life.time[row]) - 1e-9, life.interest)[life.option[row]]
        yield day, ChainFrame(
            ts_ns=START_NS + round(day * DAY), underlying="SIM", spot=spot, spot_ns=START_NS + round(day * DAY),
            vol_index=SIGMA, settling=math.nan, uid=np.arange(n), names=names,
            expiry_ns=START_NS + (life.expiry * DAY).astype(np.int64), strike=life.strike,
            option_type=life.option_type.astype(np.int8), inverse=np.ones(n, np.bool_), forward=np.full(n, spot),
            sigma=np.full(n, SIGMA), bid_sigma=nothing, ask_sigma=nothing, mark=nothing, bid=nothing, ask=nothing,
            open_interest=seen, volume=nothing, data_ns=np.full(n, START_NS), seen_ns=np.full(n, START_NS),
            whole_life=life.listed >= 0.0, lost=np.bincount(life.option[part[~kept]], minlength=n).astype(np.float64),
            trades=trades(life, part[kept]),
        )  # fmt: skip


@dataclass
class Shot:
    """Truth and estimate at one moment. Dealers' positions in coins, roll-ups in USD."""

    day: float
    interest: F64
    truth: F64
    found: DealerPositions
    clipped: F64
    ngi: tuple[float, float, float, float]  # truth, mean, 5 %, 95 %
    flip: tuple[float | None, float | None, float | None, float] | None = None  # truth, 5 %, 95 %, share without


def trial(
    seed: int, *, priors: Priors | None = None, shots: Sequence[float] = (5.0, 15.0, 30.0), flips: bool = False,
    every: float = 0.25, drop: float = 0.0, **world: object,
) -> list[Shot]:  # fmt: skip
    """One life watched from day 0."""
    life = live(seed, **world)  # type: ignore[arg-type]
    inventory, wanted, out = Inventory.empty(), list(shots), []
    for day, frame in frames(life, seed, every, drop):
        inventory = observe(inventory, frame, priors or Priors())
        if wanted and day >= wanted[0]:
            wanted.pop(0)
            out.append(_shot(life, day, frame, dealer_positions("flow", inventory, frame), flips))
    return out


def _shot(life: Life, day: float, frame: ChainFrame, found: DealerPositions, flips: bool) -> Shot:
    truth = -life.at(day, life.customers)
    assert found.members is not None
    tau = life.expiry / 365.0 - day / 365.0
    board = frame.forward, frame.strike, frame.sigma, tau
    unit = unit_exposures(*board, life.option_type)
    band = None
    if flips:
        true = find_flip(frame.spot, *board, truth)
        band = true.level, *flip_band(flip_members(frame.spot, *board, found.members))
    return Shot(day, frame.open_interest, truth, found, clipped(life, day), _ngi(unit, truth, found), band)


def _ngi(unit: UnitExposure, truth: F64, found: DealerPositions) -> tuple[float, float, float, float]:
    assert found.members is not None
    members = unit.ngi @ found.members
    low, high = np.quantile(members, (0.05, 0.95))
    return float(unit.ngi @ truth), float(unit.ngi @ found.position), float(low), float(high)


def clipped(life: Life, day: float) -> F64:
    """The peer's rule: minus the takers' net flow since the watch began, bounded by open interest at every print."""
    held = [0.0] * life.strike.size
    rows = life.prints[(life.time[life.prints] > 0.0) & (life.time[life.prints] <= day)]
    for row, bought, most in zip(
        life.option[rows].tolist(), (life.side[rows] * life.size[rows]).tolist(), life.interest[rows].tolist()
    ):
        held[row] = min(max(held[row] - bought, -most), most)
    return np.array(held)


@dataclass(frozen=True)
class Figures:
    """What the estimator is judged by, over all options of some shots."""

    rmse: float  # of position / open interest
    rmse_clipped: float
    sign: float  # share of |position| whose sign is right
    coverage: float  # of the 90 % band

    @classmethod
    def of(cls, shots: Sequence[Shot]) -> Figures:
        keep = [shot.interest > 0.0 for shot in shots]

        def column(of: Sequence[F64 | None]) -> F64:
            return np.concatenate([values[k] for values, k in zip(of, keep) if values is not None])

        interest, truth = column([s.interest for s in shots]), column([s.truth for s in shots])
        found, low, high = (column([getattr(s.found, name) for s in shots]) for name in ("position", "low", "high"))
        grain = 1e-9 * interest
        return cls(
            rmse=float(np.sqrt(np.mean(((found - truth) / interest) ** 2))),
            rmse_clipped=float(np.sqrt(np.mean(((column([s.clipped for s in shots]) - truth) / interest) ** 2))),
            sign=float(np.abs(truth[np.sign(found) == np.sign(truth)]).sum() / np.abs(truth).sum()),
            coverage=float(np.mean((truth >= low - grain) & (truth <= high + grain))),
        )


def net_gamma(shots: Sequence[Shot]) -> tuple[float, float]:
    """Correlation of inferred with true NGI, and how often its band holds the truth."""
    truth, mean, low, high = np.array([shot.ngi for shot in shots]).T
    return float(np.corrcoef(truth, mean)[0, 1]), float(np.mean((truth >= low) & (truth <= high)))


def flip_coverage(shots: Sequence[Shot]) -> tuple[float, int]:
    """Share of the snapshots with a true flip whose band holds it, and their number."""
    held = [
        low is not None and high is not None and low <= level <= high
        for level, low, high, _ in (shot.flip for shot in shots if shot.flip is not None)
        if level is not None
    ]
    return float(np.mean(held)) if held else math.nan, len(held)
