"""Figures of estimates against true positions, and their spread over worlds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from position_snapshots import ROLL_UPS, Snapshot

from dfmon.core.positions import calibration

F64 = NDArray[np.float64]


@dataclass(frozen=True)
class Cell:
    """A figure over the worlds of a cell: its value, pooled, and its standard error by leaving out one world."""

    value: float
    error: float
    worlds: int

    def __str__(self) -> str:
        return f"{self.value:.3f} ± {self.error:.3f}"

    def at_least(self, limit: float) -> bool:
        """Whether the limit lies inside the mean and one standard error, or below."""
        return self.value + self.error >= limit

    def at_most(self, limit: float) -> bool:
        return self.value - self.error <= limit


def pooled(figure: Callable[[Sequence[Snapshot]], float], worlds: Sequence[Snapshot]) -> Cell:
    """The figure over all snapshots with its jackknife error; one snapshot a world."""
    value = figure(worlds)
    count = len(worlds)
    if count < 2:
        return Cell(value, float("nan"), count)
    without = np.array([figure([*worlds[:index], *worlds[index + 1 :]]) for index in range(count)])
    return Cell(value, float(np.sqrt((count - 1) / count * ((without - without.mean()) ** 2).sum())), count)


Estimates = Callable[[Snapshot], F64]


def columns(shots: Sequence[Snapshot], estimate: Estimates) -> tuple[F64, F64, F64]:
    """Truth and estimate over open interest, and open interest, of the options of all snapshots."""
    truth, found = np.concatenate([s.truth for s in shots]), np.concatenate([estimate(s) for s in shots])
    return truth, found, np.concatenate([s.interest for s in shots])


def sign(shots: Sequence[Snapshot], estimate: Estimates = lambda shot: shot.share) -> float:
    """Share of |position| whose sign is right."""
    truth, found, interest = columns(shots, estimate)
    weight = np.abs(truth) * interest
    return float(weight[np.sign(truth) == np.sign(found)].sum() / weight.sum())


def rmse(shots: Sequence[Snapshot], estimate: Estimates = lambda shot: shot.share) -> float:
    truth, found, _ = columns(shots, estimate)
    return float(np.sqrt(np.mean((truth - found) ** 2)))


def multiple(shots: Sequence[Snapshot], estimate: Estimates = lambda shot: shot.share) -> float:
    """RMSE over that of always saying zero."""
    truth, found, _ = columns(shots, estimate)
    return float(np.sqrt(np.mean((truth - found) ** 2) / np.mean(truth**2)))


def zero(shots: Sequence[Snapshot]) -> float:
    return rmse(shots, lambda shot: np.zeros_like(shot.truth))


def half_flow(shots: Sequence[Snapshot]) -> float:
    return rmse(shots, lambda shot: 0.5 * shot.taker_flow)


def slope(shots: Sequence[Snapshot]) -> float:
    """Of truth on estimate, through the origin."""
    truth, found, _ = columns(shots, lambda shot: shot.share)
    return float((truth * found).sum() / (found * found).sum())


def coverage(shots: Sequence[Snapshot]) -> float:
    """Share of positions inside their 90 % band."""
    inside = []
    for shot in shots:
        dealers, tolerance = -shot.truth * shot.interest, 1e-9 * shot.interest
        low, high = shot.found.low[shot.rows] - tolerance, shot.found.high[shot.rows] + tolerance
        inside.append((dealers >= low) & (dealers <= high))
    return float(np.concatenate(inside).mean())


@dataclass(frozen=True)
class RollUp:
    """A roll-up of one snapshot over its gross value."""

    truth: float
    mean: float
    low: float
    high: float
    members: F64


def roll_up(shot: Snapshot, name: str) -> RollUp:
    unit = shot.units[ROLL_UPS.index(name)] * shot.interest
    gross = float(np.abs(unit).sum())
    members = unit @ shot.members / gross
    members = members.mean() + calibration.ROLL_UP_SCALES[name] * (members - members.mean())
    low, high = np.quantile(members, (0.05, 0.95))
    return RollUp(float(unit @ shot.truth) / gross, float(unit @ shot.share) / gross, float(low), float(high), members)


def roll_up_coverage(name: str) -> Callable[[Sequence[Snapshot]], float]:
    def figure(shots: Sequence[Snapshot]) -> float:
        rolled = [roll_up(shot, name) for shot in shots]
        return float(np.mean([one.low <= one.truth <= one.high for one in rolled]))

    return figure


def correlation(shots: Sequence[Snapshot]) -> float:
    """Of inferred with true NGI over gross, over the worlds."""
    rolled = [roll_up(shot, "ngi") for shot in shots]
    return float(np.corrcoef([one.mean for one in rolled], [one.truth for one in rolled])[0, 1])


def crps(members: F64, truth: float) -> float:
    """Continuous ranked probability score of an ensemble; Gneiting & Raftery (2007)."""
    ordered = np.sort(members)
    count = ordered.size
    spread = float((ordered * (2.0 * np.arange(count) - count + 1.0)).sum()) / count**2
    return float(np.abs(ordered - truth).mean()) - spread


def crps_ratio(name: str, climatology: F64) -> Callable[[Sequence[Snapshot]], float]:
    """CRPS over that of the true values of other worlds."""

    def figure(shots: Sequence[Snapshot]) -> float:
        rolled = [roll_up(shot, name) for shot in shots]
        own = np.mean([crps(one.members, one.truth) for one in rolled])
        return float(own / np.mean([crps(climatology, one.truth) for one in rolled]))

    return figure


LONG_BINS: Final = 10


def long_table(shots: Sequence[Snapshot]) -> list[tuple[float, float, int]]:
    """Mean stated chance of dealers being long, its outcome, and the number, in ten bins."""
    stated = np.concatenate([shot.found.p_long[shot.rows] for shot in shots])
    outcome = np.concatenate([shot.truth < 0.0 for shot in shots])
    certain = np.concatenate([np.abs(shot.truth) > 0.0 for shot in shots])
    stated, outcome = stated[certain], outcome[certain]
    bins = np.minimum((stated * LONG_BINS).astype(int), LONG_BINS - 1)
    return [
        (float(stated[bins == b].mean()), float(outcome[bins == b].mean()), int((bins == b).sum()))
        for b in range(LONG_BINS)
        if (bins == b).any()
    ]


SIGN_TARGETS: Final[Mapping[tuple[str, float], float]] = {
    ("A", 25.0): 0.72, ("B", 25.0): 0.86, ("C", 25.0): 0.78, ("D", 25.0): 0.92, ("O", 25.0): 0.965,
    ("A", 5.0): 0.72, ("B", 5.0): 0.80, ("C", 5.0): 0.69, ("D", 5.0): 0.88, ("O", 5.0): 0.89, ("A", 1.0): 0.61,
}  # fmt: skip
MULTIPLE_TARGETS: Final[Mapping[tuple[str, float], float]] = {
    ("A", 25.0): 0.89, ("B", 25.0): 0.66, ("C", 25.0): 0.81, ("D", 25.0): 0.48, ("O", 25.0): 0.39,
    ("A", 5.0): 0.89, ("B", 5.0): 0.78, ("C", 5.0): 0.89, ("D", 5.0): 0.63, ("O", 5.0): 0.60, ("A", 1.0): 0.96,
}  # fmt: skip
CORRELATION_TARGETS: Final = {"A": 0.80, "B": 0.93, "C": 0.87, "D": 0.97, "O": 0.93}
