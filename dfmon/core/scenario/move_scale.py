"""Scale of the hourly moves of spot and volatility, measured over thirty days, and the factors a and b of HPP.

a = s(dsigma_1h) / s(ret_1h) and b = (1/24 day) / s(ret_1h), with s the inter-quartile range over 1.349. Until the
moves are measured s is a prior: 0.75 points, and the hour of the at-the-money volatility. Prior and measurement are
blended geometrically by the effective number of hours that were seen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from dfmon.core.scenario.dimensions import DaysPerPercent, PointsPerPercent
from dfmon.core.scenario.rolling import RollingWindow
from dfmon.model.frames import F64
from dfmon.model.units import DAY, HOUR, MINUTE

WINDOW_MINUTES: Final = 30 * 24 * 60
PRIOR_POINTS: Final = 0.75  # s(dsigma_1h) before any measurement
PRIOR_HOURS: Final = 30.0  # weight of the prior, in effective hours
IQR_OF_NORMAL: Final = 1.349
MEAN_SIZE_OF_NORMAL: Final = math.sqrt(2.0 / math.pi)
MAX_DAILY_FACTOR: Final = 3.0  # limit on the change of a and b in a day
HOUR_ROWS: Final = HOUR // MINUTE
PERSISTENCE_PRIOR: Final = 0.3  # autocorrelation of the size of hourly moves, worth PERSISTENCE_HOURS of samples
PERSISTENCE_HOURS: Final = 24.0


@dataclass(frozen=True, slots=True)
class MoveScale:
    """Factors in force, `set_ns` when they were set, and the samples (ret_1h in %, dsigma_1h in points) behind them.

    `hours` is the effective number of independent hours, `weight` its share against the prior. `mean_return` and
    `mean_points` are the mean sizes of an hourly move, in % and in points.
    """

    alpha: PointsPerPercent
    beta: DaysPerPercent
    weight: float
    hours: float
    mean_return: float
    mean_points: float
    set_ns: int
    window: RollingWindow

    @classmethod
    def initial(cls) -> MoveScale:
        """Without samples and without a volatility to derive the prior from: both factors are 0."""
        window = RollingWindow.empty(MINUTE, WINDOW_MINUTES, 2)
        return cls(PointsPerPercent(0.0), DaysPerPercent(0.0), 0.0, 0.0, 0.0, 0.0, 0, window)

    @property
    def is_set(self) -> bool:
        """False before the first volatility, of which the prior is made."""
        return self.set_ns != 0

    @property
    def status(self) -> str:
        """Origin of the factors: "prior", or "measured n %" with the weight of the measurement."""
        percent = round(100.0 * self.weight)
        return f"measured {percent} %" if percent else "prior"


def update_move_scale(
    scale: MoveScale,
    ts_ns: int,
    sigma_1h_pct: float,
    ret_1h_pct: float | None,
    points_1h: float | None,
    prior_points: float = PRIOR_POINTS,
) -> MoveScale:
    """The scale after one more minute; the factors are set at once, and again every hour.

    The hours of neighbouring samples overlap; `effective_hours` takes that into account. Gaps and stale inputs are the
    caller's to leave out, as None.

    Units: % and points of an hour. Domain: without a positive `sigma_1h_pct` nothing is set.
    """
    if ret_1h_pct is not None and points_1h is not None:
        scale = replace(scale, window=scale.window.push(ts_ns, (ret_1h_pct, points_1h)))
    elapsed_ns = max(ts_ns - scale.set_ns, 0)
    if not sigma_1h_pct > 0.0 or (scale.set_ns and elapsed_ns < HOUR):
        return scale
    rows = scale.window.since(ts_ns - WINDOW_MINUTES * MINUTE)
    hours = effective_hours(rows)
    spread = _interquartile_ranges(rows) / IQR_OF_NORMAL if hours else np.zeros(2)
    weight = hours / (hours + PRIOR_HOURS) if spread.all() else 0.0
    priors = np.array([sigma_1h_pct, prior_points])
    s_return, s_points = _blend(priors, spread, weight)
    sizes = np.abs(rows).mean(axis=0) if hours else np.zeros(2)
    mean_return, mean_points = _blend(MEAN_SIZE_OF_NORMAL * priors, sizes, weight)
    max_factor = MAX_DAILY_FACTOR ** min(elapsed_ns / DAY, 1.0) if scale.set_ns else math.inf
    return replace(
        scale,
        alpha=PointsPerPercent(_rate_limited(s_points / s_return, scale.alpha.value, max_factor)),
        beta=DaysPerPercent(_rate_limited(HOUR / DAY / s_return, scale.beta.value, max_factor)),
        weight=weight,
        hours=hours,
        mean_return=mean_return,
        mean_points=mean_points,
        set_ns=ts_ns,
    )


def effective_hours(rows: F64) -> float:
    """Independent hours behind samples of hourly moves, one a minute.

    The hours of samples less than 60 minutes apart overlap, so there is one for each 60 samples. Large moves cluster:
    a first-order autocorrelation r of their sizes, from hour to hour, leaves a share (1 - r) / (1 + r) of them. r is
    shrunk to 0.3 by the weight of a day and is the larger one of the two columns.

    Units: of the columns. Shapes: (k, 2) -> scalar. Source: variance of the mean of an AR(1) series.
    """
    hours = rows.shape[0] / HOUR_ROWS
    persistence = PERSISTENCE_PRIOR
    if hours >= 3.0:
        sizes = np.abs(rows) - np.abs(rows).mean(axis=0)
        variance = np.mean(sizes**2, axis=0)
        covariance = np.mean(sizes[HOUR_ROWS:] * sizes[:-HOUR_ROWS], axis=0)
        measured = float(np.max(np.divide(covariance, variance, out=np.zeros(2), where=variance > 0.0)))
        persistence = (hours * measured + PERSISTENCE_HOURS * PERSISTENCE_PRIOR) / (hours + PERSISTENCE_HOURS)
    persistence = min(max(persistence, 0.0), 0.95)
    return float(hours * (1.0 - persistence) / (1.0 + persistence))


def _interquartile_ranges(rows: F64) -> F64:
    low, high = np.quantile(rows, (0.25, 0.75), axis=0)
    return np.asarray(high - low)


def _blend(prior: F64, measured: F64, weight: float) -> tuple[float, float]:
    """Geometric means of prior and measurement; the prior alone where the weight is 0."""
    if not weight or not measured.all():
        return float(prior[0]), float(prior[1])
    first, second = np.exp((1.0 - weight) * np.log(prior) + weight * np.log(measured)).tolist()
    return first, second


def _rate_limited(target: float, current: float, factor: float) -> float:
    return min(max(target, current / factor), current * factor) if math.isfinite(factor) else target
