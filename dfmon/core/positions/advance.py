"""Advances the position estimator by prints and open interest, hour by hour.

Within an hour options do not touch each other: the r-th events of all options are one step. At its end rates are
learned from its prints, then every option ages by an hour. Hours are those of the release of a print, by the venue's
clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dfmon.core.positions import position_state as columns
from dfmon.core.positions.compiled_filter import FilterLoops, active_loops
from dfmon.core.positions.netting_filter import (
    MEAN_Q,
    WEIGHT,
    FilterInput,
    add_unexplained,
    age,
    ageing,
    apply_prints,
    bounded,
    fold_nodes,
    known_positions,
    print_tables,
    start_moments,
)
from dfmon.core.positions.observed_columns import InterestColumns, LastInterest, PrintColumns
from dfmon.core.positions.opening_rates import SUMS, learn, on_grid
from dfmon.core.positions.position_state import PositionState, board_measures, without_expired
from dfmon.core.positions.print_alignment import Releases, align
from dfmon.core.positions.print_kinds import PositionPriors, share_table
from dfmon.core.positions.print_terms import board_terms, option_terms
from dfmon.model.frames import F64, I64
from dfmon.model.units import DAY, HOUR

RECENT_DAYS: Final = 8.0
UNSEEN_INTEREST_SHARE: Final = 0.85  # of the volume: how far open interest may have grown unseen
MAX_QUANTITY: Final = 1e12  # larger sizes and values are errors of the feed
_UNSEEN: Final = np.array([UNSEEN_INTEREST_SHARE])
_JUMP_SHARE: Final = 0.5  # of open interest
_LEARNED: Final = [
    columns.COUNT_U, columns.SIDE_OF_U, columns.SIDE_U,
    *range(columns.REGRESSED, columns.REGRESSED_UY + 1),
]  # fmt: skip


def advance(
    state: PositionState,
    prints: PrintColumns,
    observed: InterestColumns,
    now_ns: int,
    priors: PositionPriors,
) -> PositionState:
    """The state at `now_ns`, after everything up to then.

    Units: coins, ns. Domain: rows of the state; a bad print or value is counted and left out. Given everything in the
    order of time, the result is the same to the bit however it is cut into calls.
    """
    update = _Update(state, priors)
    prints, observed = update.checked(prints, observed)
    releases, pending, last, wrong = align(state.pending, prints, observed, state.last, now_ns)
    alive = releases.release_ns < state.listing.expiry_ns[releases.prints.row]
    if not alive.all():
        releases = releases.take(np.flatnonzero(alive))
    update.count_faults(prints, observed, releases, wrong)
    hours = releases.release_ns // HOUR
    hour = state.now_ns // HOUR if state.now_ns else int(hours[0]) if hours.size else now_ns // HOUR
    if hours.size:
        for start, end in _runs(hours):
            update.close_hours(hour, max(int(hours[start]), hour))
            hour = max(int(hours[start]), hour)
            update.apply(releases, start, end)
    update.close_hours(hour, now_ns // HOUR)
    return without_expired(update.finish(pending, last, now_ns), now_ns)


def aligned(
    state: PositionState, prints: PrintColumns, observed: InterestColumns, now_ns: int, priors: PositionPriors
) -> tuple[PositionState, Releases]:
    """The events of options that had none before, and the state that they have yet to change."""
    update = _Update(state, priors)
    releases, pending, last, _ = align(PrintColumns.empty(), *update.checked(prints, observed), state.last, now_ns)
    alive = releases.release_ns < state.listing.expiry_ns[releases.prints.row]
    return update.finish(state.pending.joined(pending), last, now_ns), releases.take(alive)


def replay(
    state: PositionState,
    releases: Releases,
    steps: Iterable[NDArray[np.intp]],
    aged_ns: I64,
    share: F64,
    priors: PositionPriors,
) -> tuple[PositionState, I64]:
    """The state after events from which nothing is learned, and the time of each option's moments.

    Each of the `steps` has events of distinct options, which age by their own times. Of the volume of an option, the
    `share` is still open.

    Units: coins, ns. Shapes: (n,) each.
    """
    update, aged_ns = _Update(state, priors, share), aged_ns.copy()
    for at in steps:
        rows = releases.prints.row[at]
        update.age(rows, (releases.release_ns[at] - aged_ns[rows]) / DAY)
        aged_ns[rows] = releases.release_ns[at]
        update.step(releases, at)
    return update.finish(state.pending, state.last, state.now_ns), aged_ns


def aged(state: PositionState, days: F64, priors: PositionPriors) -> PositionState:
    """The state after so many days of each option without a print, from which nothing is learned.

    Units: days. Shapes: (n,).
    """
    update = _Update(state, priors)
    update.age(np.arange(state.size), days)
    return update.finish(state.pending, state.last, state.now_ns)


def _runs(codes: I64) -> Iterator[tuple[int, int]]:
    """Start and end of each run of equal codes."""
    if codes[0] == codes[-1] and (codes == codes[0]).all():
        return iter([(0, codes.size)])
    bounds = [0, *(np.flatnonzero(np.diff(codes)) + 1).tolist(), codes.size]
    return pairwise(bounds)


def ranks(rows: I64) -> Iterator[NDArray[np.intp]]:
    """Places of the first events of all rows, of the second ones, and so on, each in the order of the rows."""
    order = np.argsort(rows, kind="stable")
    ordered = rows[order]
    if not (ordered[1:] == ordered[:-1]).any():
        yield order
        return
    run = np.flatnonzero(np.diff(ordered, prepend=-1))
    rank = np.arange(ordered.size) - np.repeat(run, np.diff(run, append=ordered.size))
    by_rank = np.argsort(rank, kind="stable")
    for first, last in _runs(rank[by_rank]):
        yield order[by_rank[first:last]]


class _Update:
    """One advance in progress; arrays are copied when they are first changed."""

    def __init__(self, state: PositionState, priors: PositionPriors, share: F64 | None = None) -> None:
        self._frozen_share = share
        self._state, self._priors, self._rates = state, priors, state.rates
        self._moments, self._interest, self._sums = state.moments, state.interest, state.sums
        self._first_interest, self._last_ns, self._revision = state.first_interest, state.last_ns, state.revision
        self._board_sums, self._hour_sums = state.board_sums, state.hour_sums
        self._faults = state.faults.copy()
        self._copied = False
        self._loops = active_loops()

    def checked(self, prints: PrintColumns, observed: InterestColumns) -> tuple[PrintColumns, InterestColumns]:
        """Prints and values without those that cannot be true."""
        good = (prints.size > 0.0) & (prints.size < MAX_QUANTITY) & (np.abs(prints.side) == 1.0)
        if not good.all():
            self._faults[columns.BAD_PRINTS] += np.count_nonzero(~good)
            prints = prints.take(good)
        good = (observed.value >= 0.0) & (observed.value < MAX_QUANTITY)
        if not good.all():
            self._faults[columns.BAD_INTEREST] += np.count_nonzero(~good)
            observed = observed.take(good)
        return prints, observed

    def count_faults(self, prints: PrintColumns, observed: InterestColumns, releases: Releases, wrong: int) -> None:
        """Counts input that contradicts itself; `wrong` values were taken back by the next one."""
        state, faults = self._state, self._faults
        faults[columns.JUMPS] += wrong
        if prints.row.size:
            faults[columns.BEFORE_LISTING] += np.count_nonzero(prints.ts_ns < state.listing.listed_ns[prints.row])
            faults[columns.LATE_PRINTS] += np.count_nonzero(prints.ts_ns <= state.last.ts_ns[prints.row])
        if observed.row.size:
            faults[columns.LATE_INTEREST] += np.count_nonzero(observed.ts_ns < state.last.ts_ns[observed.row])
        size = releases.prints.size
        if not size.size:
            return
        faults[columns.NO_INTEREST] += np.count_nonzero((size > 0.0) & np.isnan(releases.limit))
        faults[columns.ABOVE_INTEREST] += np.count_nonzero(size > releases.limit * (1.0 + 1e-9))
        jump = releases.unexplained > _JUMP_SHARE * np.fmax(releases.interest, releases.change)
        faults[columns.JUMPS] += np.count_nonzero(jump & (releases.unexplained > 0.0))

    def close_hours(self, hour: int, now: int) -> None:
        """Learns from the hour and ages every option, for each hour until `now` at whose end some option is alive.

        Of the hours after the first one nothing is to be learned but that options expired.
        """
        if now <= hour:
            return
        expiry_ns = self._state.listing.expiry_ns
        end = min(now, int(expiry_ns.max(initial=0) - 1) // HOUR)
        expires_in = set(((expiry_ns - 1) // HOUR).tolist())
        for closing in range(hour, end):
            self._copy()
            if closing == hour or closing in expires_in:
                self._learn((closing + 1) * HOUR)
            self._age_by_an_hour()
        self._revision = self._revision + 1

    def _age_by_an_hour(self) -> None:
        rows, days = np.arange(self._state.size), np.full(self._state.size, 1.0 / 24.0)
        if self._loops is not None:
            self.age(rows, days)
            return
        self._moments = age(self._moments, self._interest, days)
        self._sums[:, columns.RECENT_COUNT : columns.RECENT_SIDE + 1] *= np.exp(-days / RECENT_DAYS)[:, None]
        self._sums[:, columns.DRIFT] += (self._priors.drift * self._interest) ** 2 * days

    def _learn(self, now_ns: int) -> None:
        """Rates of the next hour, and the measures of the board that are frozen with them, from unexpired options."""
        self._board_sums = self._board_sums + self._hour_sums
        self._hour_sums = np.zeros(SUMS)
        listing = self._state.listing
        rates = learn(self._board_sums, self._sums[listing.expiry_ns > now_ns][:, _LEARNED].T, self._rates)
        self._rates = board_measures(rates, listing, self._sums, self._interest, now_ns)

    def _copy(self) -> None:
        if not self._copied:
            self._moments, self._interest, self._sums = self._moments.copy(), self._interest.copy(), self._sums.copy()
            self._first_interest, self._last_ns = self._first_interest.copy(), self._last_ns.copy()
            self._revision, self._hour_sums = self._revision.copy(), self._hour_sums.copy()
            self._copied = True

    def apply(self, releases: Releases, start: int, end: int) -> None:
        """The events of one hour."""
        for at in ranks(releases.prints.row[start:end]):
            self.step(releases, start + at)

    def age(self, rows: I64, days: F64) -> None:
        """Ages options, each by its own time."""
        self._copy()
        recent, drift = np.exp(-days / RECENT_DAYS), self._priors.drift
        if self._loops is not None:
            self._loops.age(self._moments, self._sums, rows, self._interest, (*ageing(days), recent, days), drift)
            return
        self._moments[:, :, rows] = age(self._moments.take(rows, axis=2), self._interest[rows], days)
        self._sums[rows, columns.RECENT_COUNT : columns.RECENT_SIDE + 1] *= recent[:, None]
        self._sums[rows, columns.DRIFT] += (drift * self._interest[rows]) ** 2 * days

    def step(self, releases: Releases, at: NDArray[np.intp]) -> None:
        """Events of distinct options."""
        self._copy()
        first = releases.first[at]
        if first.any():
            self._start(releases.prints.row[at[first]], releases.interest[at[first]])
            at = at[~first]
        is_print = releases.prints.size[at] > 0.0
        if is_print.all():
            self._print(releases, at)
            return
        if is_print.any():
            self._print(releases, at[is_print])
        self._change_interest(releases, at[~is_print])

    def _start(self, rows: I64, interest: F64) -> None:
        """The first open interest of options whose listing was not seen."""
        moments = start_moments(interest, self._priors)
        self._moments[:, :, rows] = moments
        self._interest[rows] = self._first_interest[rows] = interest
        self._sums[rows, columns.FROM_SCREEN :] = 0.0
        self._sums[rows, columns.FROM_START] = fold_nodes(moments[WEIGHT] * moments[MEAN_Q])
        self._revision[rows] += 1

    def _print(self, releases: Releases, at: NDArray[np.intp]) -> None:
        if self._loops is not None:
            self._print_compiled(self._loops, releases, at)
            return
        prints = releases.prints
        rows, side, size, kind, u = prints.row[at], prints.side[at], prints.size[at], prints.kind[at], releases.u[at]
        interest, shown = self._interest[rows], releases.interest[at]
        limit = np.where(np.isnan(shown), releases.limit[at], shown)
        unmatched = np.isnan(limit)
        if unmatched.any():
            share = UNSEEN_INTEREST_SHARE if self._frozen_share is None else self._frozen_share[rows]
            limit[unmatched] = (interest + share * size)[unmatched]
        moments = self._moments.take(rows, axis=2)
        given = FilterInput(side, size, kind, u, interest)
        board = board_terms(moments, given, self._priors) if self._frozen_share is None else None
        if board is not None:
            self._hour_sums = self._hour_sums + on_grid(board).sum(axis=1)
        moments, by_print, by_interest = apply_prints(moments, given, self._rates, self._priors)
        terms = option_terms(given, by_print, by_interest, board)
        between = np.isnan(shown)
        if between.any():
            known = known_positions(moments)
            limit = np.where(between, np.maximum(limit, known), limit)
            shown = np.where(between, np.where(unmatched, limit, np.maximum(interest, known)), shown)
        self._bound(rows, moments, releases.unexplained[at], limit)
        terms[:, columns.UNEXPLAINED], terms[:, columns.CHANGE] = _of_changes(releases, at), releases.change[at]
        self._interest[rows] = shown
        self._sums[rows] += terms
        self._last_ns[rows] = np.maximum(self._last_ns[rows], prints.ts_ns[at])
        self._revision[rows] += 1

    def _print_compiled(self, loops: FilterLoops, releases: Releases, at: NDArray[np.intp]) -> None:
        """The same, to the bit."""
        prints, tables = releases.prints, print_tables(self._rates, self._priors)
        learning = self._frozen_share is None
        loops.apply(
            at,
            (prints.row, prints.ts_ns, prints.side, prints.size, prints.kind),
            (releases.u, releases.interest, releases.limit, releases.unexplained, releases.change),
            _UNSEEN if self._frozen_share is None else self._frozen_share,
            learning,
            loops.tangents(self._moments, at, prints.row, self._interest),
            (share_table(self._priors), tables.half_shares, tables.direction, tables.reversion),
            tables.base,
            tables.slope,
            self._moments,
            self._interest,
            self._sums,
            (self._last_ns, self._revision, self._faults),
            self._hour_sums,
        )

    def _bound(self, rows: I64, moments: F64, unexplained: F64, limit: F64) -> None:
        """Stores moments widened by unexplained open interest, within the new one."""
        before = fold_nodes(moments[WEIGHT] * moments[MEAN_Q])
        self._faults[columns.BELOW_POSITION] += np.count_nonzero(np.abs(before) > limit * (1.0 + 1e-9))
        add_unexplained(moments, unexplained)
        bounded(moments, limit)
        self._moments[:, :, rows] = moments
        self._sums[rows, columns.FROM_TRANSFERS] += fold_nodes(moments[WEIGHT] * moments[MEAN_Q]) - before

    def _change_interest(self, releases: Releases, at: NDArray[np.intp]) -> None:
        rows, interest = releases.prints.row[at], releases.interest[at]
        self._bound(rows, self._moments.take(rows, axis=2), releases.unexplained[at], interest)
        self._interest[rows] = interest
        self._sums[rows, columns.UNEXPLAINED] += _of_changes(releases, at)
        self._sums[rows, columns.CHANGE] += releases.change[at]
        self._revision[rows] += 1

    def finish(self, pending: PrintColumns, last: LastInterest, now_ns: int) -> PositionState:
        """The next state."""
        return replace(
            self._state,
            moments=self._moments,
            interest=self._interest,
            last=last,
            first_interest=self._first_interest,
            last_ns=self._last_ns,
            sums=self._sums,
            revision=self._revision,
            pending=pending,
            board_sums=self._board_sums,
            hour_sums=self._hour_sums,
            rates=self._rates,
            now_ns=max(now_ns, self._state.now_ns),
            faults=self._faults,
        )


def _of_changes(releases: Releases, at: NDArray[np.intp]) -> F64:
    """Coins that no print explains of what is counted as a change."""
    return np.asarray(np.where(releases.change[at] > 0.0, releases.unexplained[at], 0.0))
