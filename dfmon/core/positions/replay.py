"""Starts of options other than from the first open interest: from all their prints, or from an earlier estimate."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np

from dfmon.core.positions import position_state as columns
from dfmon.core.positions.advance import UNSEEN_INTEREST_SHARE, advance
from dfmon.core.positions.netting_filter import (
    COV,
    MEAN_G,
    MEAN_Q,
    NETTING_SD,
    VAR_G,
    VAR_Q,
    bounded,
    known_moments,
)
from dfmon.core.positions.position_state import PositionState, board_measures, with_options
from dfmon.core.positions.print_alignment import InterestColumns, LastInterest, PrintColumns
from dfmon.core.positions.print_kinds import PositionPriors
from dfmon.model.frames import F64, I64


def with_histories(state: PositionState, prints: PrintColumns, priors: PositionPriors) -> PositionState:
    """The state with every option of `prints` replaced by its life: all prints since its listing, in any order.

    Open interest of the past is not known: it is taken to have grown with the volume to its present value, and u is
    unknown. Rates are those of the present and nothing is learned but the measures of the board that need no u.

    Domain: rows of the state; prints up to its time. Prints that wait and are in the history are left out.
    """
    rows, sub_row = np.unique(prints.row, return_inverse=True)
    if not rows.size:
        return state
    prints = replace(prints, row=sub_row.astype(np.int64))
    first_ns = np.full(rows.size, np.iinfo(np.int64).max)
    np.minimum.at(first_ns, prints.row, prints.ts_ns)
    last_ns = np.zeros(rows.size, np.int64)
    np.maximum.at(last_ns, prints.row, prints.ts_ns)
    listing = replace(state.listing.take(rows.tolist()), listed_ns=np.maximum(first_ns, 1))
    value, value_ns = state.last.value[rows], state.last.ts_ns[rows]
    volume = np.bincount(prints.row, prints.size, rows.size)
    known = (value_ns > 0) & (volume > 0.0)
    share = np.where(known, np.minimum(value / np.maximum(volume, 1e-300), 1.0), UNSEEN_INTEREST_SHARE)
    start = replace(with_options(PositionState.empty(), listing), rates=state.rates)
    now_ns = max(state.now_ns, int(last_ns.max()))
    observed = InterestColumns(np.flatnonzero(known), np.maximum(value_ns, last_ns)[known], value[known])
    replayed = advance(start, prints, observed, now_ns, priors, frozen_share=share)
    return _merged(state, rows, replayed, listing.names, last_ns)


def _merged(
    state: PositionState, rows: I64, replayed: PositionState, names: tuple[str, ...], last_ns: I64
) -> PositionState:
    """The state with `rows` taken from `replayed`, whose expired options are gone."""
    row_of = {name: row for row, name in enumerate(replayed.listing.names)}
    alive = np.array([name in row_of for name in names])
    at, source = rows[alive], np.array([row_of[name] for name in names if name in row_of], np.intp)

    def put(name: str) -> F64:
        column: F64 = getattr(state, name).copy()
        column[at] = getattr(replayed, name)[source]
        return column

    last = {}
    for field in fields(LastInterest):
        last[field.name] = getattr(state.last, field.name).copy()
        last[field.name][at] = getattr(replayed.last, field.name)[source]
    moments = state.moments.copy()
    moments[:, :, at] = replayed.moments[:, :, source]
    listed_ns, revision = state.listing.listed_ns.copy(), state.revision.copy()
    listed_ns[at] = replayed.listing.listed_ns[source]
    revision[at] += 1
    row_in_state = np.zeros(replayed.size, np.int64)
    row_in_state[source] = at
    waiting = replace(replayed.pending, row=row_in_state[replayed.pending.row])
    newest = np.zeros(state.size, np.int64)
    newest[rows] = last_ns
    interest, sums = put("interest"), put("sums")
    rates = board_measures(state.rates, state.listing, sums, interest, state.now_ns)
    if rates != state.rates:
        revision += 1  # every position depends on them
    return replace(
        state,
        rates=rates,
        listing=replace(state.listing, listed_ns=listed_ns),
        last=LastInterest(**last),
        revision=revision,
        pending=state.pending.take(state.pending.ts_ns > newest[state.pending.row]).joined(waiting),
        moments=moments,
        interest=interest,
        first_interest=put("first_interest"),
        sums=sums,
        last_ns=put("last_ns").astype(np.int64),
    )


def with_start(state: PositionState, observed: InterestColumns, mean: F64, sd: F64) -> PositionState:
    """The state with the options of `observed` at an earlier estimate of the customers' position.

    Units: coins. Shapes: (k,) open interest, means and standard deviations.
    """
    rows, interest = observed.row, observed.value
    moments = known_moments(rows.size)
    moments[MEAN_Q] = moments[MEAN_G] = np.clip(mean, -interest, interest)
    moments[VAR_Q] = moments[COV] = sd * sd
    moments[VAR_G] = sd * sd + (NETTING_SD * interest) ** 2
    moments = bounded(moments, interest)
    all_moments, all_interest, first = state.moments.copy(), state.interest.copy(), state.first_interest.copy()
    sums, revision, value, ts_ns = (
        state.sums.copy(), state.revision.copy(), state.last.value.copy(), state.last.ts_ns.copy(),
    )  # fmt: skip
    all_moments[:, :, rows] = moments
    all_interest[rows] = first[rows] = value[rows] = interest
    ts_ns[rows] = observed.ts_ns
    sums[rows] = 0.0
    sums[rows, columns.FROM_START] = moments[MEAN_Q, 0]
    revision[rows] += 1
    return replace(
        state,
        moments=all_moments,
        interest=all_interest,
        first_interest=first,
        sums=sums,
        revision=revision,
        last=replace(state.last, value=value, ts_ns=ts_ns),
    )
