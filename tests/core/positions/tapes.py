"""Small random tapes for the tests of the position filter."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from dfmon.core.positions.advance import advance
from dfmon.core.positions.observed_columns import InterestColumns, PrintColumns
from dfmon.core.positions.position_state import Listing, PositionState, with_options
from dfmon.core.positions.print_kinds import PositionPriors
from dfmon.model.units import DAY, HOUR, MINUTE

START = 1_700_000_000 * 1_000_000_000 // HOUR * HOUR
END = START + 2 * DAY + 3 * HOUR
SYMMETRIC = PositionPriors(start_mean=0.0)


def listing(count: int, *, seen: int = 0, expiry_days: float = 40.0) -> Listing:
    """Options A0, A1, ..; the first `seen` are listed a minute before the start."""
    listed = np.zeros(count, np.int64)
    listed[:seen] = START - MINUTE
    strikes, types = np.arange(100.0, 100.0 + count), np.where(np.arange(count) % 2, -1.0, 1.0)
    names = tuple(f"A{index}" for index in range(count))
    return Listing(names, strikes, np.full(count, START + int(expiry_days * DAY)), types, listed)


def tape(seed: int, options: int = 6, prints: int = 400, days: float = 2.0) -> tuple[PrintColumns, InterestColumns]:
    """Prints of a random board, and open interest after each of two in three, at times of no particular order."""
    rng = np.random.default_rng(seed)
    ts = np.sort(rng.integers(START, START + int(days * DAY), prints))
    row = rng.integers(0, options, prints)
    size = np.round(rng.pareto(1.7, prints) + 0.1, 1)
    change = size * rng.choice([-1.0, 0.0, 1.0], prints)
    interest = np.full(options, 60.0)
    values = np.empty(prints)
    for index in range(prints):
        moved = interest[row[index]] + change[index] + (rng.random() < 0.05) * rng.normal()
        values[index] = interest[row[index]] = max(moved, 0.0)
    side = rng.choice([-1.0, 1.0], prints)
    seen = rng.random(prints) < 0.67
    first = InterestColumns(np.arange(options), np.full(options, START - 1), np.full(options, 60.0))
    observed = InterestColumns(
        np.concatenate([first.row, row[seen]]),
        np.concatenate([first.ts_ns, ts[seen] + rng.integers(0, 30, int(seen.sum())) * 1_000_000_000]),
        np.concatenate([first.value, values[seen]]),
    )
    return PrintColumns(row, ts, side, size, rng.integers(0, 7, prints), np.arange(prints)), observed


def until(
    prints: PrintColumns, observed: InterestColumns, start: int, end: int
) -> tuple[PrintColumns, InterestColumns]:
    """The part of a tape after `start` and up to `end`."""
    part = (observed.ts_ns > start) & (observed.ts_ns <= end)
    return prints.take((prints.ts_ns > start) & (prints.ts_ns <= end)), InterestColumns(
        observed.row[part], observed.ts_ns[part], observed.value[part]
    )


def run(
    options: Listing,
    prints: PrintColumns,
    observed: InterestColumns,
    ends: list[int],
    priors: PositionPriors = SYMMETRIC,
) -> PositionState:
    """The state after advancing to each of `ends`."""
    state, start = with_options(PositionState.empty(), options), 0
    for end in ends:
        new_row = np.array([*map(dict(zip(state.listing.names, range(state.size))).get, options.names)], float)
        rows = np.where(np.isnan(new_row), -1, new_row).astype(np.int64)
        part, shown = until(prints, observed, start, end)
        part, at = replace(part, row=rows[part.row]), rows[shown.row] >= 0
        shown = InterestColumns(rows[shown.row][at], shown.ts_ns[at], shown.value[at])
        state = advance(state, part.take(part.row >= 0), shown, end, priors)
        start = end
    return state


def state_arrays(state: PositionState) -> dict[str, Any]:
    """Everything that must be equal to the bit."""
    return {
        "moments": state.moments, "interest": state.interest, "sums": state.sums, "board": state.board_sums,
        "hour": state.hour_sums, "faults": state.faults, "rates": np.array([repr(state.rates)]),
        "last": state.last_ns, "pending": state.pending.ts_ns, "value": state.last.value, "gap": state.last.gap_ns,
        "unmatched": state.last.unmatched, "doubtful": state.last.doubtful, "doubtful_ns": state.last.doubtful_ns,
    }  # fmt: skip
