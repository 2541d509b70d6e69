"""Adaptive thresholds of one feature: its trailing 30-day quantiles, re-read every hour and kept from running away.

The caller keeps one series for each feature, underlying and position model, and two for the gamma feature, by the sign
of net gamma. The window is exact: one sample in five minutes, as float32, is 35 kB of 30 days for a series.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from dfmon.model.frames import F64
from dfmon.model.units import DAY, HOUR, MINUTE

QUANTILES: Final = (0.50, 0.75, 0.90)
SAMPLE_NS: Final = 5 * MINUTE
WINDOW_SAMPLES: Final = 30 * DAY // SAMPLE_NS
PRIOR_DAYS: Final = 3.0  # days of samples during which the prior stands
BLEND_DAYS: Final = 4.0  # days after that until it is gone: a week has then been seen
MAX_CHANGE: Final = 0.10  # of the value, in one update
LONG_RUN_BOUNDS: Final = (0.5, 2.0)  # of the long-run value
LONG_RUN_DAYS: Final = 30
MIN_DAY_SAMPLES: Final = 12  # an hour of samples makes a day that counts for the long run
SMALLEST: Final = 1e-6  # below it a threshold would stop moving, as its changes are proportional
MAX_CHANGES: Final = 30 * 24  # a month of changes


class Levels(NamedTuple):
    """Low, middle and high threshold."""

    lo: float
    mid: float
    hi: float


class Thresholds(msgspec.Struct, frozen=True):
    """Thresholds before they are measured: of each phi, a share of hourly volume, and of forced orders."""

    gamma_lo: float = 0.01
    gamma_mid: float = 0.03
    gamma_hi: float = 0.06
    liquidations_hi: float = 0.01

    @property
    def phi(self) -> Levels:
        return Levels(self.gamma_lo, self.gamma_mid, self.gamma_hi)


PRIOR: Final = Thresholds().phi


class ThresholdChange(NamedTuple):
    """One update. `bound` tells that the long-run value limited it."""

    ts_ns: int
    before: Levels
    after: Levels
    bound: bool


@dataclass(frozen=True, slots=True)
class ThresholdSeries:
    """Thresholds of one series, and the samples and days behind them.

    `samples` is one value per SAMPLE_NS from the slot `first_slot` on, NaN where there was none. `day_sum` adds up the
    daily quantiles of the `days` that ended. `bound_since_ns` is 0 while the long-run value limits nothing.
    """

    prior: Levels
    levels: Levels
    update_ns: int
    first_slot: int
    samples: NDArray[np.float32]
    days: int
    day_sum: Levels
    bound_since_ns: int
    changes: tuple[ThresholdChange, ...]

    @classmethod
    def initial(cls, prior: Levels = PRIOR) -> ThresholdSeries:
        return cls(prior, prior, 0, 0, np.zeros(0, np.float32), 0, Levels(0.0, 0.0, 0.0), 0, ())

    def is_drifting(self, ts_ns: int) -> bool:
        """True where the long-run value has limited the thresholds for a day."""
        return self.bound_since_ns > 0 and ts_ns - self.bound_since_ns >= DAY


@dataclass(frozen=True, slots=True)
class PhiThresholds:
    """The series of one book: phi_gamma by the sign of NGI, phi_vanna and phi_charm."""

    long_gamma: ThresholdSeries
    short_gamma: ThresholdSeries
    vanna: ThresholdSeries
    charm: ThresholdSeries

    @classmethod
    def initial(cls, prior: Levels = PRIOR) -> PhiThresholds:
        series = ThresholdSeries.initial(prior)
        return cls(series, series, series, series)

    def gamma(self, ngi: float) -> ThresholdSeries:
        """The series of phi_gamma for this sign of NGI."""
        return self.long_gamma if ngi > 0.0 else self.short_gamma


def update_phi_thresholds(
    thresholds: PhiThresholds,
    ts_ns: int,
    ngi: float,
    phis: tuple[float | None, float | None, float | None],
    prior: Levels = PRIOR,
    phase_ns: int = 0,
) -> PhiThresholds:
    """All series of a book with phi_gamma, phi_vanna and phi_charm of this tick, each re-read at its own minute."""
    gamma, vanna, charm = phis
    samples = gamma if ngi > 0.0 else None, gamma if ngi < 0.0 else None, vanna, charm
    names = tuple(field.name for field in fields(PhiThresholds))
    return PhiThresholds(
        *(
            update_thresholds(with_prior(getattr(thresholds, name), prior), ts_ns, value, phase_ns + index * MINUTE)
            for index, (name, value) in enumerate(zip(names, samples))
        )
    )


def with_prior(series: ThresholdSeries, prior: Levels) -> ThresholdSeries:
    """The series under another prior, which stands at once where nothing else has been in force yet."""
    if series.prior == prior:
        return series
    return replace(series, prior=prior, levels=prior if series.levels == series.prior else series.levels)


def update_thresholds(series: ThresholdSeries, ts_ns: int, value: float | None, phase_ns: int = 0) -> ThresholdSeries:
    """The series with this value, and with new thresholds where an hour has begun since the last update.

    `phase_ns` shifts the beginning of the hour, so that not every series is re-read at one tick.

    Units: of the feature. Domain: None leaves the sample out; a clock that steps back waits until it has caught up.
    """
    if value is not None:
        series = _with_sample(series, ts_ns, value)
    if (ts_ns - phase_ns) // HOUR <= (series.update_ns - phase_ns) // HOUR:
        return series
    if not series.update_ns:
        return replace(series, update_ns=ts_ns)
    return _reread(series, ts_ns)


def _with_sample(series: ThresholdSeries, ts_ns: int, value: float) -> ThresholdSeries:
    """At most one sample in a slot; a slot that begins a day first closes the day before."""
    slot = ts_ns // SAMPLE_NS
    count = series.samples.size
    if not count or slot - series.first_slot >= count + WINDOW_SAMPLES:
        closed = _close_day(series) if count else series
        return replace(closed, first_slot=slot, samples=np.array([value], np.float32))
    last_slot = series.first_slot + count - 1
    if slot <= last_slot:
        return series
    if slot * SAMPLE_NS // DAY > last_slot * SAMPLE_NS // DAY:
        series = _close_day(series)
    gap = np.full(slot - last_slot - 1, np.nan, np.float32)
    samples = np.concatenate([series.samples, gap, np.array([value], np.float32)])
    excess = max(samples.size - WINDOW_SAMPLES, 0)
    return replace(series, first_slot=series.first_slot + excess, samples=samples[excess:])


def _close_day(series: ThresholdSeries) -> ThresholdSeries:
    """Adds the quantiles of the day of the last sample to the long run."""
    last_slot = series.first_slot + series.samples.size - 1
    day_start = last_slot * SAMPLE_NS // DAY * DAY // SAMPLE_NS
    of_day = series.samples[max(day_start - series.first_slot, 0) :]
    of_day = of_day[np.isfinite(of_day)]
    if of_day.size < MIN_DAY_SAMPLES:
        return series
    day = np.quantile(of_day.astype(np.float64), QUANTILES).tolist()
    return replace(series, days=series.days + 1, day_sum=Levels(*(a + b for a, b in zip(series.day_sum, day))))


def _reread(series: ThresholdSeries, ts_ns: int) -> ThresholdSeries:
    before, target = np.array(series.levels), _blended_quantiles(series, ts_ns)
    bounded = target
    if series.days >= LONG_RUN_DAYS:
        low, high = (share * np.array(series.day_sum) / series.days for share in LONG_RUN_BOUNDS)
        bounded = np.clip(target, low, high)
    is_bound = bool((bounded != target).any())
    new_levels = np.clip(bounded, before * (1.0 - MAX_CHANGE), before * (1.0 + MAX_CHANGE))
    levels = Levels(*np.maximum(new_levels, SMALLEST).tolist())
    changes = series.changes
    if levels != series.levels:
        changes = (*changes[1 - MAX_CHANGES :], ThresholdChange(ts_ns, series.levels, levels, is_bound))
    return replace(
        series,
        levels=levels,
        update_ns=ts_ns,
        bound_since_ns=(series.bound_since_ns or ts_ns) if is_bound else 0,
        changes=changes,
    )


def _blended_quantiles(series: ThresholdSeries, ts_ns: int) -> F64:
    """Geometric mean of the prior and the quantiles of the window, by the days of samples in it."""
    prior = np.array(series.prior)
    oldest = max(ts_ns // SAMPLE_NS - WINDOW_SAMPLES + 1 - series.first_slot, 0)
    known = series.samples[oldest:]
    known = known[np.isfinite(known)]
    weight = min((known.size * SAMPLE_NS / DAY - PRIOR_DAYS) / BLEND_DAYS, 1.0)
    if weight <= 0.0:
        return prior
    measured = np.maximum(np.quantile(known.astype(np.float64), QUANTILES), SMALLEST)
    return np.asarray(np.exp((1.0 - weight) * np.log(prior) + weight * np.log(measured)))
