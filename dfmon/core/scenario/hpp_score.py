"""HPP, the hedge-pressure projection: sign(dS) NGI + a VSS + b CHL. Positive: dealers must sell.

a and b put the three terms on one scale by their inter-quartile ranges; they are published with every value, because
a number scaled by hidden factors cannot be checked.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from dfmon.core.scenario.dimensions import UsdPerDay, UsdPerPercent, UsdPerPoint
from dfmon.core.scenario.move_scale import MoveScale
from dfmon.core.scenario.rolling import RollingWindow
from dfmon.model.frames import F64
from dfmon.model.units import DAY, HOUR, MINUTE

WINDOW_MINUTES: Final = 30 * 24 * 60
MIN_CALIBRATION_MINUTES: Final = 24 * 60  # with less than a day of samples the factors stay 1, "uncalibrated"
IQR_FLOOR_SHARE: Final = 0.05  # lower bound of an inter-quartile range, as a share of the median size
MAX_DAILY_FACTOR: Final = 3.0  # limit on the change of a and b in a day
DEAD_BAND: Final = 0.25  # of sigma sqrt(look-back): a smaller move has no sign


@dataclass(frozen=True, slots=True)
class Scaling:
    """a and b in force, the hour they were set, and the samples of (NGI, VSS, CHL) they come from."""

    alpha: float
    beta: float
    calibrated: bool
    set_ns: int
    window: RollingWindow

    @classmethod
    def initial(cls) -> Scaling:
        return cls(1.0, 1.0, False, 0, RollingWindow.empty(MINUTE, WINDOW_MINUTES, 3))


def update_scaling(scaling: Scaling, ts_ns: int, ngi: float, vss: float, chl: float) -> Scaling:
    """The scaling after one more minute; a and b are updated once an hour.

    Units: USD of each roll-up. Domain: finite values; the caller leaves gaps out.
    Source: IQR/1.349 estimates a standard deviation and is robust to outliers.
    """
    window = scaling.window.push(ts_ns, (ngi, vss, chl))
    scaling = replace(scaling, window=window)
    if window.times.size < MIN_CALIBRATION_MINUTES or ts_ns - scaling.set_ns < HOUR:
        return scaling
    iqr = _interquartile_ranges(window.values)
    if not iqr.all():
        return scaling
    elapsed_days = (ts_ns - scaling.set_ns) / DAY if scaling.calibrated else math.inf
    max_factor = MAX_DAILY_FACTOR ** min(elapsed_days, 1.0) if scaling.calibrated else math.inf
    alpha = _rate_limited(iqr[0] / iqr[1], scaling.alpha, max_factor)
    beta = _rate_limited(iqr[0] / iqr[2], scaling.beta, max_factor)
    return replace(scaling, alpha=alpha, beta=beta, calibrated=True, set_ns=ts_ns)


def _interquartile_ranges(values: F64) -> F64:
    low, high = np.percentile(values, (25, 75), axis=0)
    floor = IQR_FLOOR_SHARE * np.median(np.abs(values), axis=0)
    ranges: F64 = np.maximum(high - low, floor)
    return ranges


def _rate_limited(target: float, current: float, factor: float) -> float:
    return float(min(max(target, current / factor), current * factor))


def move_sign(log_return: float, sigma: float, span_years: float) -> int:
    """Sign of a spot move, 0 inside the dead band of a quarter of a standard deviation.

    Without a dead band HPP would change sign at every tick.

    Units: log return; sigma decimal; span in years. Domain: NaN anywhere gives 0.

    >>> move_sign(0.002, 0.5, 15 / 525600), move_sign(0.0001, 0.5, 15 / 525600), move_sign(-0.01, 0.5, 15 / 525600)
    (1, 0, -1)
    """
    band = DEAD_BAND * sigma * math.sqrt(max(span_years, 0.0))
    return 1 if log_return > band else -1 if log_return < -band else 0


def hedge_pressure(
    ds_sign: int,
    ngi: F64,
    vss: F64,
    chl: F64,
    scaling: Scaling,
    gamma_share: float = 1.0,
    vanna_charm_share: float = 1.0,
) -> F64:
    """HPP of each row of roll-ups, in which it is linear.

    `gamma_share` and `vanna_charm_share` are the shares of the hedge that is traded.

    Units: USD, + = dealers must sell. Shapes: (m,) each -> (m,). Domain: NaN stays NaN.
    """
    return ds_sign * gamma_share * ngi + vanna_charm_share * (scaling.alpha * vss + scaling.beta * chl)


def remembered_sign(previous: int, log_return: float | None, sigma: float, span_years: float) -> int:
    """Sign of the move of spot: inside the dead band that of the last move that left it.

    Units: log return; sigma decimal; span in years. Domain: without a move there is no sign, 0; with one inside the
    band and nothing to remember it is 0 too.

    >>> quarter = 15 / 525600
    >>> remembered_sign(1, -0.0005, 0.5, quarter), remembered_sign(1, -0.0007, 0.5, quarter)
    (1, -1)
    """
    if log_return is None:
        return 0
    return move_sign(log_return, sigma, span_years) or previous


@dataclass(frozen=True, slots=True)
class PressureTerms:
    """HPP by cause: delta that dealers must sell per 1 % of spot."""

    gamma: UsdPerPercent
    vanna: UsdPerPercent
    charm: UsdPerPercent

    @property
    def total(self) -> UsdPerPercent:
        return self.gamma + self.vanna + self.charm


def pressure_terms(
    ds_sign: int,
    ngi: UsdPerPercent,
    vss: UsdPerPoint,
    chl: UsdPerDay,
    scale: MoveScale,
    gamma_share: float = 1.0,
    vanna_charm_share: float = 1.0,
) -> PressureTerms:
    """The three terms of HPP, each linear in its own roll-up. Positive: dealers must sell.

    `gamma_share` and `vanna_charm_share` are the shares of the hedge that is traded.
    """
    return PressureTerms(
        gamma=ngi.scaled(ds_sign * gamma_share),
        vanna=vss.per_percent(scale.alpha).scaled(vanna_charm_share),
        charm=chl.per_percent(scale.beta).scaled(vanna_charm_share),
    )
