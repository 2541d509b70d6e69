"""Endpoints of a market by minutes: the primary one with second stage, strata and placebos; secondary ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from dfmon.core.pricing.black import F64
from dfmon.evidence.findings import Finding, Placebo
from dfmon.evidence.hourly import hourly_table
from dfmon.evidence.interaction import DayPairs, instrumented, interaction
from dfmon.evidence.minute_series import MinuteSeries
from dfmon.evidence.regression import block_sums, estimate

_DAY: Final = 1_440
_SHIFT_DAYS: Final = 7
_DRAWS: Final = 200
_MAX_AS_GOOD: Final = 0.05

Mask = np.typing.NDArray[np.bool_]


def minute_findings(series: MinuteSeries, underlying: str, progress: Callable[[], None]) -> list[Finding]:
    """All findings of one underlying. `progress` is called at each step."""
    missing = ", ".join(series.missing)
    title = "response of the next minute, z(t+1) on z(t) psi(t)"

    def primary(part: MinuteSeries, stratum: str) -> Finding:
        controlled, bare = interaction(part), interaction(part, controlled=False)
        progress()
        return Finding("P1", underlying, title, stratum, -1, -1.0, controlled, bare, missing)

    staged = instrumented(series) if np.isfinite(series.psi_stale).any() else None
    second = f"{title}, by {'psi' if series.stale_psi else 'positions'} of 24 hours before"
    found = [primary(series, ""), Finding("P1-24h", underlying, second, "", -1, -1.0, staged, None, missing)]
    found += [primary(series.where(rows), name) for name, rows in _strata(series).items()]
    found += _hourly_findings(series, underlying)
    progress()
    return found


def _strata(series: MinuteSeries) -> dict[str, Mask]:
    """Trend of 30 days, volatility, weekend, the hours around 08:00, and the sign of psi."""
    weekday = (series.day + 3) % 7
    hours = series.hours_to_expiry
    scale = series.scale
    low, high = np.nanquantile(scale, (1.0 / 3.0, 2.0 / 3.0)) if np.isfinite(scale).any() else (np.nan, np.nan)
    trend = series.trend_of_days(30)
    strata = {
        "volatility low": scale <= low,
        "volatility middle": (scale > low) & (scale < high),
        "volatility high": scale >= high,
        "weekend": weekday > 4,
        "weekday": weekday <= 4,
        "within two hours of an expiry": (hours <= 2.0) | (hours > 22.0),
        "psi below 0": series.psi < 0.0,
        "psi above 0": series.psi > 0.0,
    }
    if np.isfinite(trend).any():
        low, high = np.nanquantile(trend, (1.0 / 3.0, 2.0 / 3.0))
        strata |= {"30-day return low": trend <= low, "30-day return high": trend >= high}
    return {name: rows for name, rows in strata.items() if np.count_nonzero(rows) > _DAY}


def _hourly_findings(series: MinuteSeries, underlying: str) -> list[Finding]:
    table = hourly_table(series)
    titles = {
        "P2": "log RV of 5 minutes less log RV of 1 minute, next hour, on psi",
        "S1": "log RV of the next hour on psi",
        "S2": "return of the next half hour on that of the last one times psi",
    }
    found = []
    for name, title in titles.items():
        target, base, controls = table.endpoint(name)
        column = base.shape[1] - 1
        controlled = estimate(block_sums(target, np.column_stack([base, controls]), table.day), column)
        bare = estimate(block_sums(target, base, table.day), column)
        found.append(Finding(name, underlying, title, "", -1, None, controlled, bare, ", ".join(series.missing)))
    return found


def placebos(series: MinuteSeries, underlying: str, other: F64 | None, progress: Callable[[], None]) -> list[Placebo]:
    """Psi that must find nothing: shifted by a week, of another coin, in another order of days; and -psi, which must
    find the opposite.
    """
    real = interaction(series)
    rows = [_placebo(underlying, "psi of seven days before", series, np.roll(series.psi, _SHIFT_DAYS * _DAY))]
    if other is not None:
        rows.append(_placebo(underlying, "psi of the other coin", series, other))
    progress()
    reversed_sign = interaction(series, -series.psi)
    opposite = (
        reversed_sign is not None and real is not None and np.isclose(reversed_sign.value, -real.value, rtol=1e-6)
    )
    rows.append(Placebo(underlying, "psi with the opposite sign", reversed_sign, None, bool(opposite)))
    progress()
    rows.append(_shuffled(series, underlying))
    progress()
    return rows


def _placebo(underlying: str, title: str, series: MinuteSeries, psi: F64) -> Placebo:
    found = interaction(series, psi)
    return Placebo(underlying, title, found, None, found is None or not found.rejects_zero)


def _shuffled(series: MinuteSeries, underlying: str) -> Placebo:
    """Days of psi in random order: the share of draws whose t is as far from 0 as that of the real order."""
    sums = DayPairs(series)
    rng = np.random.default_rng(1)
    real = sums.t_of(np.arange(sums.days))
    draws = [abs(sums.t_of(rng.permutation(sums.days))) >= abs(real) for _ in range(_DRAWS)]
    share = sum(map(bool, draws)) / _DRAWS
    return Placebo(underlying, f"days of psi in another order, {_DRAWS} draws", None, share, share <= _MAX_AS_GOOD)
