"""Hour-of-week profile of the volume of the hedging venues: V_1h = 24 h volume / 24 x the factor of the hour.

The profile is flat until whole hours have been seen. Five weeks of hourly volumes are kept.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from dfmon.core.scenario.rolling import RollingWindow
from dfmon.model.frames import F64, I64
from dfmon.model.units import DAY, HOUR, MINUTE

WEEK_HOURS: Final = 7 * 24
WINDOW_WEEKS: Final = 5
PRIOR_WEEKS: Final = 1.0  # weight of the flat profile in an hour of the week
FACTOR_BOUNDS: Final = (0.2, 5.0)
MONDAY_NS: Final = 4 * DAY  # the epoch was a Thursday


@dataclass(frozen=True, slots=True)
class VolumeProfile:
    """Hourly volumes, USD, each at the end of its hour, and the factor of each hour of the week from Monday 00:00.

    `mark_usd` is the running sum of traded volume at `mark_ns`, the beginning of the hour under way; 0 before one.
    """

    volumes: RollingWindow
    factors: F64  # (168,)
    mark_ns: int
    mark_usd: float

    @classmethod
    def initial(cls) -> VolumeProfile:
        return cls(RollingWindow.empty(HOUR, WINDOW_WEEKS * WEEK_HOURS, 1), np.ones(WEEK_HOURS), 0, 0.0)

    def factor(self, ts_ns: int) -> float:
        """Volume of the hour around `ts_ns` over the mean volume of an hour."""
        return float(self.factors[int(hour_of_week(np.array([ts_ns]))[0])])


def hour_of_week(times: I64) -> I64:
    """Hour of the week, 0 at Monday 00:00 UTC.

    Units: ns. Shapes: (k,).

    >>> hour_of_week(np.array([1_769_085_005 * 10**9])).tolist()  # Thursday 22 January 2026, 12:30
    [84]
    """
    return np.asarray((times - MONDAY_NS) // HOUR % WEEK_HOURS, np.int64)


def track_volume(profile: VolumeProfile, ts_ns: int, traded_usd: float, since_ns: int) -> VolumeProfile:
    """The profile after this tick: an hour that has ended is added where its whole volume was seen.

    `traded_usd` is a running sum over all markets that last began anew at `since_ns`.

    Units: USD. Domain: an hour whose first or last minute has no tick, or in which the sum began anew, is left out.
    """
    hour_start = ts_ns // HOUR * HOUR
    if hour_start <= profile.mark_ns:
        return profile
    covers_hour = 0 < since_ns <= profile.mark_ns == hour_start - HOUR
    at_edge = ts_ns - hour_start < MINUTE
    if covers_hour and at_edge:
        profile = add_hour(profile, hour_start, traded_usd - profile.mark_usd)
    # an hour that was not entered at its beginning is marked as not seen by a sum that no volume can start from
    return replace(profile, mark_ns=hour_start, mark_usd=traded_usd if at_edge else math.inf)


def add_hour(profile: VolumeProfile, end_ns: int, volume_usd: float) -> VolumeProfile:
    """The profile with the volume of the hour that ended at `end_ns`.

    Each volume is taken against the mean hour of its own week, so growing markets do not tilt the profile. The factor
    of an hour is the geometric mean over the weeks and one flat week, scaled to a mean of 1.

    Units: USD. Domain: an hour without volume says that a feed was down, and is left out.
    """
    if not volume_usd > 0.0:
        return profile
    volumes = profile.volumes.push(end_ns, (volume_usd,))
    hours = hour_of_week(volumes.times - HOUR)
    week = (volumes.times - int(volumes.times[-1]) - 1) // (WEEK_HOURS * HOUR)
    _, week_code = np.unique(week, return_inverse=True)
    values = volumes.values[:, 0]
    mean_of_week = np.bincount(week_code, values) / np.bincount(week_code)
    log_ratio = np.log(values / mean_of_week[week_code])
    counts = np.bincount(hours, minlength=WEEK_HOURS)
    factors = np.exp(np.bincount(hours, log_ratio, WEEK_HOURS) / (counts + PRIOR_WEEKS))
    return replace(profile, volumes=volumes, factors=np.clip(factors / factors.mean(), *FACTOR_BOUNDS))
