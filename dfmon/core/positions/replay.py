"""Starts of options other than from the first open interest: from all their prints, or from an earlier estimate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from dfmon.core.positions import position_state as columns
from dfmon.core.positions.advance import UNSEEN_INTEREST_SHARE, aged, aligned, ranks, replay
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
from dfmon.core.positions.observed_columns import InterestColumns, LastInterest, PrintColumns
from dfmon.core.positions.position_state import (
    PositionState,
    board_measures,
    renumbered,
    with_options,
    with_rows,
    without_expired,
)
from dfmon.core.positions.print_alignment import Releases
from dfmon.core.positions.print_kinds import PositionPriors
from dfmon.model.frames import F64, I64
from dfmon.model.units import DAY

STEPS, EVENTS = 256, 8_192
"""Bounds of a tick: prints of one option, and prints of all of them."""


@dataclass(frozen=True, slots=True)
class Replays:
    """Options whose whole lives are being replayed apart from the board, a part of them each tick.

    `state` has their rows, `events` are left of their lives, in the order of each option; `aged_ns` (k,) is the time of
    their moments, `share` (k,) the part of the volume that is still open, `newest_ns` (k,) the time of the last print.
    `later` are prints that came since the life, `lost` (k,) the number of those that were lost.
    """

    state: PositionState
    events: Releases
    aged_ns: I64
    share: F64
    newest_ns: I64
    later: PrintColumns
    lost: F64

    @classmethod
    def empty(cls) -> Replays:
        times, floats = np.zeros(0, np.int64), np.zeros(0)
        return cls(PositionState.empty(), Releases.empty(), times, floats, times, PrintColumns.empty(), floats)

    @property
    def names(self) -> tuple[str, ...]:
        return self.state.listing.names

    @property
    def done(self) -> NDArray[np.bool_]:
        """Marks of options with no event left, (k,)."""
        return np.asarray(np.bincount(self.events.prints.row, minlength=self.state.size) == 0)

    def rows_of(self, names: Sequence[str]) -> I64:
        """The row of each option, -1 for none."""
        row_of = {name: row for row, name in enumerate(self.names)}
        return np.array([row_of.get(name, -1) for name in names], np.int64)

    def take(self, mask: NDArray[np.bool_]) -> Replays:
        """The marked options alone."""
        if mask.all() or not mask.any():
            return self if mask.all() else Replays.empty()
        events, later = self.events.take(mask[self.events.prints.row]), self.later.take(mask[self.later.row])
        return Replays(
            with_rows(self.state, mask),
            replace(events, prints=replace(events.prints, row=renumbered(events.prints.row, mask))),
            self.aged_ns[mask], self.share[mask], self.newest_ns[mask],
            replace(later, row=renumbered(later.row, mask)), self.lost[mask],
        )  # fmt: skip


def with_histories(state: PositionState, prints: PrintColumns, priors: PositionPriors) -> PositionState:
    """The state with every option of `prints` replaced by its life: all prints since its listing, in any order.

    Open interest of the past is not known: it is taken to have grown with the volume to its present value, and u is
    unknown. Rates are those of the present and nothing is learned but the measures of the board that need no u.

    Domain: rows of the state; prints up to its time. Prints that wait and are in the history are left out.
    """
    replays = with_replays(Replays.empty(), state, prints, priors)
    count = replays.events.release_ns.size
    return merged(state, advanced(replays, priors, count, count), priors)


def with_replays(replays: Replays, state: PositionState, prints: PrintColumns, priors: PositionPriors) -> Replays:
    """The replays with those of the options of `prints`, as `with_histories`, yet to begin.

    Rates are those of the time when the first of the replays began.
    """
    rows, sub_row = np.unique(prints.row, return_inverse=True)
    if not rows.size:
        return replays
    listing, count, first = state.listing.take(rows.tolist()), rows.size, replays.state.size
    oldest_ns, newest_ns = np.full(count, np.iinfo(np.int64).max), np.zeros(count, np.int64)
    np.minimum.at(oldest_ns, sub_row, prints.ts_ns)
    np.maximum.at(newest_ns, sub_row, prints.ts_ns)
    value, value_ns = state.last.value[rows], state.last.ts_ns[rows]
    volume = np.bincount(sub_row, prints.size, count)
    known = (value_ns > 0) & (volume > 0.0)
    share = np.where(known, np.minimum(value / np.maximum(volume, 1e-300), 1.0), UNSEEN_INTEREST_SHARE)
    now_ns = max(state.now_ns, int(newest_ns.max()))
    observed = InterestColumns(first + np.flatnonzero(known), np.maximum(value_ns, newest_ns)[known], value[known])
    start = replays.state if first else replace(PositionState.empty(), rates=state.rates)
    start = with_options(start, replace(listing, listed_ns=np.maximum(oldest_ns, 1)))
    start, events = aligned(start, replace(prints, row=first + sub_row), observed, now_ns, priors)
    aged_ns = np.concatenate([replays.aged_ns, np.full(count, now_ns)])
    np.minimum.at(aged_ns, events.prints.row, events.release_ns)
    return Replays(
        start, replays.events.joined(events), aged_ns, np.concatenate([replays.share, share]),
        np.concatenate([replays.newest_ns, newest_ns]), replays.later, np.concatenate([replays.lost, np.zeros(count)]),
    )  # fmt: skip


def advanced(replays: Replays, priors: PositionPriors, steps: int = STEPS, events: int = EVENTS) -> Replays:
    """The replays some steps on, each with the next print of every option, as long as they are not too many prints."""
    taken: list[NDArray[np.intp]] = []
    count = 0
    for at in islice(ranks(replays.events.prints.row), steps):
        count += at.size
        if taken and count > events:
            break
        taken.append(at)
    left = np.ones(replays.events.release_ns.size, np.bool_)
    for at in taken:
        left[at] = False
    state, aged_ns = replay(replays.state, replays.events, taken, replays.aged_ns, replays.share, priors)
    return replace(replays, state=state, aged_ns=aged_ns, events=replays.events.take(left))


def merged(state: PositionState, replays: Replays, priors: PositionPriors) -> PositionState:
    """The state with the options of finished replays taken from them."""
    if not replays.names:
        return state
    now_ns = max(state.now_ns, int(replays.newest_ns.max()))
    replayed = aged(replays.state, np.maximum(now_ns - replays.aged_ns, 0) / DAY, priors)
    row_of = {name: row for row, name in enumerate(state.listing.names)}
    rows = np.array([row_of[name] for name in replays.names], np.int64)
    return _merged(state, rows, without_expired(replayed, now_ns), replays.names, replays.newest_ns)


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
