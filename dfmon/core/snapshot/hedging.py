"""Hedging to come: the outlook if spot moves, the hedge that settlement lifts, and the beta of volatility used."""

from __future__ import annotations

from typing import Final

import numpy as np

from dfmon.core.exposure.bands import NORMAL_95
from dfmon.core.exposure.volatility_move import TENOR_BOUNDS
from dfmon.core.pricing.settlement import DAY, WINDOW
from dfmon.core.scenario.tick_result import TickResult
from dfmon.model.hedging import OutlookRow, TenorBeta, Unwind
from dfmon.model.metrics import EXPOSURE_INDEX, EXPOSURE_NAMES

WINDOW_MINUTES: Final = 30.0


def outlook_rows(tick: TickResult) -> tuple[OutlookRow, ...]:
    """The hedge trade of the book in each case; none without a book."""
    return tuple(OutlookRow(row.name, row.value, row.lo, row.hi, row.spot) for row in tick.flows.outlook)


def unwind(tick: TickResult) -> Unwind:
    """Hedge that settlement lifts within a day, now and as it will be; all None without a book."""
    if not tick.has_book:
        return Unwind()
    total = tick.exposure.totals
    unit = np.eye(len(EXPOSURE_NAMES))
    current, lifted = unit[EXPOSURE_INDEX["unwind"]], unit[EXPOSURE_INDEX["unwind_at_window"]]
    (low, high), (lifted_low, lifted_high), (until_low, until_high) = (
        tick.exposure.band(weights, "unwind") for weights in (current, lifted, current - lifted)
    )
    settling = tick.cols.tau[tick.cols.tau < WINDOW]
    minutes = round(float(settling.min()) / WINDOW * WINDOW_MINUTES, 6) if settling.size else 0.0
    return Unwind(
        value=total.unwind,
        lo=low,
        hi=high,
        at_window=total.unwind_at_window,
        at_window_lo=lifted_low,
        at_window_hi=lifted_high,
        until_window=total.unwind - total.unwind_at_window,
        until_window_lo=until_low,
        until_window_hi=until_high,
        left=total.unwind_left,
        per_minute=total.unwind_left / minutes if minutes else 0.0,
        minutes_left=minutes,
    )


def tenor_betas(tick: TickResult) -> tuple[TenorBeta, ...]:
    """Beta of volatility to spot by tenor, with its band and the weight of what was measured."""
    starts = (0.0, *(bound / DAY for bound in TENOR_BOUNDS))
    return tuple(
        TenorBeta(start, value, value - NORMAL_95 * sd, value + NORMAL_95 * sd, pairs)
        for start, value, sd, pairs in zip(starts, *(column.tolist() for column in tick.moves.beta))
    )
