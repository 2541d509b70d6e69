"""Changes of a book in the snapshot: by strike, by expiry, the largest of each look-back, the last roll."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

import numpy as np

from dfmon.core.columns import group_sums
from dfmon.core.exposure.changes import BookChanges, BookSample, changes_since
from dfmon.core.scenario.tick_result import TickResult
from dfmon.model.frames import F64
from dfmon.model.metrics import EXPOSURE_INDEX
from dfmon.model.tables import ChangeRow, Changes, LargestChange, RollReport
from dfmon.model.units import expiry_label, iso

LOOKBACK_NAMES: Final = ("m1", "m5", "m15", "h1", "roll")


def book_sample(tick: TickResult) -> BookSample:
    """Net gamma of this tick by strike and expiry."""
    cols, sums = tick.cols, tick.exposure.sums
    ngi, unwind = EXPOSURE_INDEX["ngi"], EXPOSURE_INDEX["unwind"]
    return BookSample(
        ts_ns=tick.chain.ts_ns,
        strikes=cols.strikes,
        ngi_by_strike=sums.by_strike[ngi],
        expiries=cols.expiries,
        ngi_by_expiry=sums.by_expiry[ngi],
        unwind=sums.by_expiry[unwind],
        open_interest=group_sums(cols.expiry_code, cols.open_interest, cols.expiries.size),
    )


def change_tables(changes: BookChanges) -> Changes:
    """Rows of every strike and expiry; none without a book."""
    current = changes.newest
    if current is None:
        return Changes()
    by_strike, by_expiry = _change_columns(changes, current)
    strikes = (f"{strike:g}" for strike in current.strikes.tolist())
    expiries = (expiry_label(ns) for ns in current.expiries.tolist())
    return Changes(
        by_strike=_rows(strikes, current.ngi_by_strike, by_strike),
        by_expiry=_rows(expiries, current.ngi_by_expiry, by_expiry),
    )


def largest_changes(changes: BookChanges) -> tuple[LargestChange, ...]:
    """The strike that changed most over each look-back that is known."""
    if changes.newest is None:
        return ()
    by_strike, _ = _change_columns(changes, changes.newest)
    found = []
    for name, column in zip(LOOKBACK_NAMES, by_strike):
        if np.isfinite(column).any():
            top = int(np.nanargmax(np.abs(column)))
            found.append(LargestChange(name, float(changes.newest.strikes[top]), float(column[top])))
    return tuple(found)


def roll_report(changes: BookChanges) -> RollReport | None:
    """The last roll; None until one has been seen."""
    roll = changes.roll
    if roll is None:
        return None
    return RollReport(
        ts=iso(roll.ts_ns),
        expired=tuple(map(expiry_label, roll.expired)),
        listed=tuple(map(expiry_label, roll.listed)),
        gamma_gone=roll.gamma_gone,
        unwind=roll.unwind,
        rehedged=roll.hedge_lifted - roll.unwind,
        hedge_lifted=roll.hedge_lifted,
        open_interest=roll.open_interest,
    )


def _change_columns(changes: BookChanges, current: BookSample) -> tuple[F64, F64]:
    """Changes by (look-back, strike) and (look-back, expiry)."""
    columns = [changes_since(reference, current) for reference in changes.references(current.ts_ns)]
    return np.array([strikes for strikes, _ in columns]), np.array([expiries for _, expiries in columns])


def _rows(keys: Iterable[str], ngi: F64, change: F64) -> tuple[ChangeRow, ...]:
    rows = []
    for key, value, changed in zip(keys, ngi.tolist(), change.T.tolist()):
        flips = tuple(name for name, step in zip(LOOKBACK_NAMES, changed) if value * (value - step) < 0.0)
        m1, m5, m15, h1, roll = (None if math.isnan(step) else step for step in changed)
        rows.append(ChangeRow(key, value, m1, m5, m15, h1, roll, flips))
    return tuple(rows)
