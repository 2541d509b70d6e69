"""Endpoints on recorded boards: absolute returns by the convention's sign, and spot beyond the flip."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np

from dfmon.core.pricing.black import F64
from dfmon.core.pricing.normal import cdf
from dfmon.evidence.board_panel import BoardPanel
from dfmon.evidence.findings import Bin, Finding, Forecasts
from dfmon.evidence.regression import I64, block_sums, estimate, t_quantile
from dfmon.model.units import DAY, HOUR

_YEAR_HOURS: Final = 8_760.0
_BINS: Final = 5
_PAST_BOARDS: Final = (1, 4, 28)
"""The last six hours, day and week, in boards."""


class _BoardHypothesis(NamedTuple):
    """A hypothesis on boards; `sign` is that which speaks for the convention."""

    name: str
    title: str
    sign: int


_SHORT: Final = _BoardHypothesis(
    "B1", "|return| of the next six hours, %: short less long gamma by the naive convention", 1
)
_SIZE: Final = _BoardHypothesis("B1-size", "|return| of the next six hours, %, per standard deviation of naive NGI", -1)


def board_findings(panel: BoardPanel) -> list[Finding]:
    """Mean absolute return of the next six hours: naive short less long gamma, and by the size of naive NGI."""
    short, every = (panel.ngi < 0.0).astype(np.float64), np.ones(panel.ngi.size, np.bool_)
    return [
        _finding(panel, _SHORT, short, "", every),
        _finding(panel, _SIZE, panel.ngi / panel.ngi.std(), "", every),
        *(_finding(panel, _SHORT, short, name, rows) for name, rows in _strata(panel).items()),
    ]


def _finding(
    panel: BoardPanel, hypothesis: _BoardHypothesis, tested: F64, stratum: str, rows: np.typing.NDArray[np.bool_]
) -> Finding:
    target = np.where(rows, absolute_return(panel), np.nan)
    base = np.stack([np.ones(tested.size), tested], axis=1)
    controls, day = _controls(panel), panel.day
    used = np.isfinite(target) & np.isfinite(controls).all(axis=1)
    varying = controls[used].std(axis=0) > 0.0 if used.any() else np.ones(controls.shape[1], np.bool_)
    controlled = np.column_stack([base, controls[:, varying]])
    return Finding(
        hypothesis.name,
        panel.underlying,
        hypothesis.title,
        stratum,
        hypothesis.sign,
        None,
        estimate(block_sums(target, controlled, day), 1),
        estimate(block_sums(target, base, day), 1),
    )


def absolute_return(panel: BoardPanel) -> F64:
    """Absolute return up to the next board, per cent, scaled to six hours."""
    return np.asarray(100.0 * np.abs(panel.log_return) / np.sqrt(panel.hours / 6.0))


def _controls(panel: BoardPanel) -> F64:
    """Implied volatility and its change, gross gamma, past absolute returns, hour, weekend, hours to expiry."""
    move = absolute_return(panel)
    hour = (panel.ts_ns % DAY) / HOUR
    weekday = (panel.ts_ns // DAY + 3) % 7  # the epoch was a Thursday
    past = [_mean_before(move, boards) for boards in _PAST_BOARDS]
    change = np.diff(panel.implied_vol, prepend=panel.implied_vol[:1])
    to_expiry = (8.0 - hour) % 24.0
    return np.stack(
        [
            panel.implied_vol, change, panel.gross / 1e9, *past, np.sin(hour * math.pi / 12.0),
            np.cos(hour * math.pi / 12.0), (weekday > 4).astype(np.float64), to_expiry,
        ],
        axis=1,
    )  # fmt: skip


def _mean_before(values: F64, count: int) -> F64:
    """Mean of the last `count` values that are over when a row begins."""
    known = np.isfinite(values)
    sums = np.concatenate([[0.0], np.cumsum(np.where(known, values, 0.0))])
    counts = np.concatenate([[0], np.cumsum(known)])
    last = np.arange(values.size)
    first = np.maximum(last - count, 0)
    n = counts[last] - counts[first]
    return np.where(n > 0, (sums[last] - sums[first]) / np.maximum(n, 1), np.nan)


def _strata(panel: BoardPanel) -> dict[str, np.typing.NDArray[np.bool_]]:
    """Trend of 30 days and implied volatility in terciles, weekend, and the day before an expiry of a Friday."""
    weekday = (panel.ts_ns // DAY + 3) % 7
    trend = _trend(panel)
    return {
        **_terciles("30-day return", trend),
        **_terciles("implied volatility", panel.implied_vol),
        "weekend": weekday > 4,
        "weekday": weekday <= 4,
    }


def _trend(panel: BoardPanel) -> F64:
    """Log return of the 30 days before; of what is there, at least a week."""
    then = np.searchsorted(panel.ts_ns, panel.ts_ns - 30 * DAY)
    trend = np.log(panel.spot / panel.spot[then])
    return np.where(panel.ts_ns - panel.ts_ns[then] >= 7 * DAY, trend, np.nan)


def _terciles(name: str, values: F64) -> dict[str, np.typing.NDArray[np.bool_]]:
    low, high = np.nanquantile(values, (1.0 / 3.0, 2.0 / 3.0))
    return {
        f"{name} low": values <= low,
        f"{name} middle": (values > low) & (values < high),
        f"{name} high": values >= high,
    }


def flip_forecasts(panel: BoardPanel) -> Forecasts | None:
    """Does spot end beyond the flip as often as a diffusion with the implied volatility would?"""
    distance = np.log(panel.flip / panel.spot)
    sd = panel.implied_vol * np.sqrt(panel.hours / _YEAR_HOURS)
    probability = np.asarray(cdf(-np.abs(distance) / sd))
    beyond = np.where(distance > 0.0, panel.log_return > distance, panel.log_return < distance).astype(np.float64)
    known = np.isfinite(probability) & np.isfinite(panel.log_return)
    if known.sum() < _BINS:
        return None
    return score(
        panel.underlying, "spot beyond the flip after six hours, against diffusion",
        probability[known], beyond[known], panel.day[known],
    )  # fmt: skip


def score(underlying: str, title: str, probability: F64, outcome: F64, day: I64) -> Forecasts:
    """Mean, Brier score and reliability in bins of equal size."""
    order = np.argsort(probability, kind="stable")
    bins = tuple(
        Bin(rows.size, float(probability[rows].mean()), float(outcome[rows].mean()))
        for rows in np.array_split(order, _BINS)
        if rows.size
    )
    days, by_day = np.unique(day, return_inverse=True)
    excess = np.bincount(by_day, outcome - probability)
    mean = float(excess.sum()) / outcome.size
    spread = excess - mean * np.bincount(by_day)
    half = t_quantile(max(days.size - 1, 5)) * math.sqrt(float(spread @ spread)) / outcome.size
    frequency = float(outcome.mean())
    return Forecasts(
        underlying, title, outcome.size, float(probability.mean()), frequency, mean - half, mean + half,
        float(np.mean((probability - outcome) ** 2)), frequency * (1.0 - frequency), bins, np.unique(days // 7).size,
    )  # fmt: skip
