"""Pairs prints with the change of open interest around them.

A print waits until a value of open interest at its time or later is there. The change between two values belongs to
all prints between them: u = change / sum of sizes, within +-1, and the rest is unexplained. A print whose value does
not come is released with u unknown two minutes after the poll that should have brought it, which is expected as long
after the last value as that came after the one before. A value that prints do not explain is in doubt until the next
one, and the prints before it wait; if the next one takes it back, it is left out (`interest_outliers`). Everything is
ordered by the time of release, so that the result does not depend on how the stream is cut into ticks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dfmon.core.positions.interest_outliers import verdicts
from dfmon.core.positions.observed_columns import InterestColumns, LastInterest, PrintColumns
from dfmon.model.frames import F64, I64
from dfmon.model.units import DAY, MILLISECOND, SECOND

WAIT_NS: Final = 120 * SECOND  # after the poll that should have brought open interest
MAX_POLL_NS: Final = DAY
MAX_DOUBT: Final = 16  # times the time since the value before: how long one in doubt waits for the next
EARLY_NS: Final = 10 * MILLISECOND  # by which the clock of open interest may be behind that of the prints
_ROUNDING: Final = 1e-9  # of the coins in question: less is no difference
_NEVER: Final = np.iinfo(np.int64).max
_DELAY: Final = 1  # an unmatched print is released just after its deadline


@dataclass(frozen=True, slots=True)
class Releases:
    """Events ready for the filter, by time of release, row and time. A size of 0 is a change without a print.

    `u` is NaN where it is unknown, `interest` the new open interest (NaN: as before), `limit` the bound of the
    position until then, `unexplained` the coins of the change that no print explains, `change` its size (0 of the first
    value shown), `first` marks the first value of a row whose listing was not seen.
    """

    release_ns: I64
    prints: PrintColumns
    u: F64
    interest: F64
    limit: F64
    unexplained: F64
    change: F64
    first: NDArray[np.bool_]

    @classmethod
    def empty(cls) -> Releases:
        floats, marks = np.zeros(0), np.zeros(0, np.bool_)
        times = np.zeros(0, np.int64)
        return cls(times, PrintColumns.empty(), floats, floats, floats, floats, floats, marks)

    def take(self, at: NDArray[np.intp] | NDArray[np.bool_]) -> Releases:
        """The events at these indices."""
        others = {name: getattr(self, name)[at] for name in self.__slots__ if name != "prints"}
        return Releases(prints=self.prints.take(at), **others)

    def in_order(self) -> Releases:
        """These events in the order of release, row and time, the first value of a row before its prints."""
        prints = self.prints
        return self.take(np.lexsort((prints.order, prints.ts_ns, ~self.first, prints.row, self.release_ns)))

    def joined(self, other: Releases) -> Releases:
        """These events and others."""
        names = [name for name in self.__slots__ if name != "prints"]
        columns = {name: np.concatenate([getattr(self, name), getattr(other, name)]) for name in names}
        return Releases(prints=self.prints.joined(other.prints), **columns)


def align(
    pending: PrintColumns, prints: PrintColumns, observed: InterestColumns, last: LastInterest, now_ns: int
) -> tuple[Releases, PrintColumns, LastInterest, int]:
    """The events that are ready, the prints that go on waiting, what each row has shown, the number of wrong values.

    Units: coins, ns. Domain: values finite and not negative; values older than the last of their row are ignored.
    """
    waiting = pending.joined(prints)
    if waiting.row.size > 1:
        waiting = waiting.take(np.lexsort((waiting.order, waiting.ts_ns, waiting.row)))
    if last.doubtful_ns.any():
        observed = last.in_doubt.joined(observed)
    shown = _Values.shown(at_their_prints(_newest_per_time(observed, last), waiting), last)
    before, after, gap_ns = _neighbours(waiting, shown, last)
    found = after < shown.row.size
    at = np.minimum(after, max(shown.row.size - 1, 0))
    shown_ns = np.where(found, shown.ts_ns[at] if found.any() else 0, _NEVER)
    deadline = waiting.ts_ns + gap_ns + WAIT_NS
    late = waiting.ts_ns <= last.ts_ns[waiting.row]
    paired = found & (shown_ns <= deadline) & ~late
    unpaired = ~paired & ~late & (deadline < now_ns)
    shown.add_coins(after[paired], waiting.size[paired], after[unpaired & found], waiting.size[unpaired & found])
    values, place, doubtful, settled_ns = shown.without_outliers(now_ns)
    value_of = np.where(paired, place[at] if found.any() else -1, -1)
    counts_ns = np.where(value_of >= 0, values.counts_ns[value_of] if values.row.size else 0, _NEVER)
    release = np.where(late, now_ns, np.where(paired, counts_ns, deadline + _DELAY))
    if settled_ns is not shown.ts_ns:  # some were in doubt
        release = np.where(unpaired & (before >= 0), np.maximum(release, settled_ns[before]), release)
    ready = release <= now_ns
    rest = PrintColumns.empty() if ready.all() else waiting.take(~ready)
    events = _assemble(waiting, release, ready, value_of, values)
    flushed = unpaired & ready & ~(found & (place[at] >= 0)) if found.any() else unpaired & ready
    next_last = _advance(last, values, doubtful, waiting, flushed)
    return events, rest, next_last, shown.row.size - values.row.size - doubtful.row.size


def _newest_per_time(observed: InterestColumns, last: LastInterest) -> InterestColumns:
    """Values by row and time, the last given one of equal times, without those that are not newer than the last."""
    if not observed.row.size:
        return observed
    if (observed.row[1:] > observed.row[:-1]).all():  # most ticks
        usable = observed.ts_ns > last.ts_ns[observed.row]
        if usable.all():
            return observed
        return observed.take(usable)
    order = np.lexsort((observed.ts_ns, observed.row))
    row, ts = observed.row[order], observed.ts_ns[order]
    usable = ts > last.ts_ns[row]
    usable[:-1] &= (row[1:] != row[:-1]) | (ts[1:] != ts[:-1])
    return observed.take(order[usable])


def at_their_prints(observed: InterestColumns, prints: PrintColumns) -> InterestColumns:
    """Values with those that a print follows within EARLY_NS at its time, where no print precedes them.

    A value whose change a print explains stays, and so does one that another follows before the print. Both arguments
    are in the order of row and time.
    """
    count, size = prints.row.size, observed.row.size
    if not count or not size:
        return observed
    first = np.minimum(np.searchsorted(observed.row, prints.row), size - 1)
    if not ((observed.row[first] == prints.row) & (observed.ts_ns[first] < prints.ts_ns)).any():
        return observed  # most ticks: no print follows a value
    is_value = np.concatenate([np.zeros(count, np.bool_), np.ones(size, np.bool_)])
    row, ts = np.concatenate([prints.row, observed.row]), np.concatenate([prints.ts_ns, observed.ts_ns])
    merged = is_value[np.lexsort((is_value, ts, row))]
    following = np.cumsum(~merged)[merged]  # the next print of each value
    at = np.minimum(following, count - 1)
    early = (following < count) & (prints.row[at] == observed.row)
    early &= prints.ts_ns[at] - observed.ts_ns <= EARLY_NS
    same_row = observed.row[1:] == observed.row[:-1]
    early[:-1] &= ~same_row | (prints.ts_ns[at[:-1]] < observed.ts_ns[1:])
    if not early.any():
        return observed
    explained = np.searchsorted(prints.row, observed.row)  # prints up to here belong to earlier values
    explained[1:][same_row] = following[:-1][same_row]
    moved_ns = observed.ts_ns.copy()
    for index in np.flatnonzero(early).tolist():
        if following[index] > explained[index]:
            continue
        moved_ns[index] = prints.ts_ns[at[index]]
        if index < size - 1 and same_row[index]:
            same = (prints.row == observed.row[index]) & (prints.ts_ns == moved_ns[index])
            explained[index + 1] += np.count_nonzero(same)
    return InterestColumns(observed.row, moved_ns, observed.value)


@dataclass(slots=True)
class _Values:
    """Values by row and time.

    With the one before (NaN: none), the time since it (0: none was shown), the coins that were printed and paired in
    between, those that were released without a value, and the time from which each counts.
    """

    row: I64
    ts_ns: I64
    value: F64
    before: F64
    gap_ns: I64
    printed: F64
    flushed: F64
    counts_ns: I64

    @classmethod
    def shown(cls, observed: InterestColumns, last: LastInterest) -> _Values:
        """All values of a tick."""
        row, ts = observed.row, observed.ts_ns
        same_row = row[1:] == row[:-1]
        before, before_ns, flushed = last.value[row], last.ts_ns[row], last.unmatched[row]
        if same_row.any():
            before[1:][same_row], before_ns[1:][same_row] = observed.value[:-1][same_row], ts[:-1][same_row]
            flushed[1:][same_row] = 0.0
        gap_ns = np.where(before_ns > 0, np.minimum(ts - before_ns, MAX_POLL_NS), 0)
        return cls(row, ts, observed.value, before, gap_ns, np.zeros(row.size), flushed, ts)

    def take(self, at: NDArray[np.intp]) -> _Values:
        """The values at these indices."""
        return _Values(*(getattr(self, name)[at] for name in self.__slots__))

    @property
    def change(self) -> F64:
        """Change since the value before, NaN for the first one of a row."""
        return self.value - self.before

    @property
    def moved(self) -> F64:
        """Size of the change, 0 for the first value that was shown: what came before it is not a change."""
        return np.where(self.gap_ns > 0, np.abs(self.change), 0.0)

    def add_coins(self, paired: I64, size: F64, unpaired: I64, size_unpaired: F64) -> None:
        """Adds prints to the values at these places."""
        if paired.size:
            self.printed += np.bincount(paired, size, self.row.size)
        if unpaired.size:
            self.flushed += np.bincount(unpaired, _on_grid(size_unpaired), self.row.size)

    def without_outliers(self, now_ns: int) -> tuple[_Values, NDArray[np.intp], InterestColumns, I64]:
        """The values that count, the place of each there (-1: in doubt), those in doubt, and the times of the verdicts.

        Prints before a wrong value go to the next one.
        """
        before = np.where(self.gap_ns > 0, self.before, np.nan)
        limit_ns = self.ts_ns + np.minimum(MAX_DOUBT * self.gap_ns, MAX_POLL_NS) + WAIT_NS
        explained = self.printed + self.flushed
        found = verdicts(self.row, self.ts_ns, before, self.value, explained, limit_ns, now_ns)
        if found is None:
            return self, np.arange(self.row.size), InterestColumns.empty(), self.ts_ns
        counting = np.flatnonzero(~found.wrong & ~found.in_doubt)
        place = np.full(self.row.size, -1)
        place[counting] = np.arange(counting.size)
        wrong = np.flatnonzero(found.wrong)
        place[wrong] = place[wrong + 1]
        before, printed, flushed = self.before.copy(), self.printed.copy(), self.flushed.copy()
        before[wrong + 1] = before[wrong]
        printed[wrong + 1] += printed[wrong]
        flushed[wrong + 1] += flushed[wrong]
        values = replace(self, before=before, printed=printed, flushed=flushed, counts_ns=found.counts_ns).take(
            counting
        )
        doubtful = InterestColumns(self.row, self.ts_ns, self.value).take(found.in_doubt)
        return values, place, doubtful, found.counts_ns


def _neighbours(prints: PrintColumns, values: _Values, last: LastInterest) -> tuple[I64, I64, I64]:
    """Values around each print of its row.

    Index of the last one before it (-1: none), and of the first one at its time or later (the number of values: none);
    time between the last two before it.
    """
    gap = last.gap_ns[prints.row]
    count, size = prints.row.size, values.row.size
    if not count or not size:
        return np.full(count, -1), np.full(count, size), gap
    if (values.row[1:] != values.row[:-1]).all():
        at = np.minimum(np.searchsorted(values.row, prints.row), size - 1)
        has_value = values.row[at] == prints.row
        is_after = values.ts_ns[at] >= prints.ts_ns
        before, after = np.where(has_value & ~is_after, at, -1), np.where(has_value & is_after, at, size)
    else:
        after = _next_value(prints, values)
        first_of_row = np.searchsorted(values.row, prints.row, side="left")
        end_of_row = np.searchsorted(values.row, prints.row, side="right")
        before = np.where(after < size, after, end_of_row) - 1
        before[before < first_of_row] = -1
    if (before >= 0).any():
        gap = np.where(before >= 0, values.gap_ns[before], gap)
    return before, after, gap


def _next_value(prints: PrintColumns, values: _Values) -> I64:
    """Index of the first value of the print's row at its time or later; the number of values where there is none."""
    count, size = prints.row.size, values.row.size
    row = np.concatenate([prints.row, values.row])
    ts = np.concatenate([prints.ts_ns, values.ts_ns])
    is_value = np.zeros(count + size, np.bool_)
    is_value[count:] = True
    order = np.lexsort((is_value, ts, row))
    index = np.where(order >= count, order - count, size)
    following = np.minimum.accumulate(index[::-1])[::-1]  # values are in the same order
    out = np.empty(count + size, np.int64)
    out[order] = following
    found = out[:count]
    other = values.row[np.minimum(found, size - 1)] != prints.row
    return np.asarray(np.where(other, size, found))


def _on_grid(coins: F64) -> F64:
    """Sizes rounded to 2^-26 coins, whose sums are exact: they may be added in several calls."""
    return np.asarray(np.rint(coins * 2.0**26) / 2.0**26)


def _explain(change: F64, printed: F64, flushed: F64) -> tuple[F64, F64]:
    """The u of the prints before each value, and the coins that they leave unexplained."""
    total = printed + flushed
    size = np.abs(change)
    rounding = _ROUNDING * (total + size)
    unexplained = size - total
    unexplained = np.where(unexplained > rounding, unexplained, 0.0)
    known = np.isfinite(change)
    u = np.minimum(np.maximum(change / np.where(total > 0.0, total, 1.0), -1.0), 1.0)
    u = np.where(size <= rounding, 0.0, np.where(np.abs(size - total) <= rounding, np.sign(change), u))
    u = np.where(known & (printed > 0.0), u, np.nan)
    return u, unexplained if known.all() else np.where(known, unexplained, 0.0)


def _assemble(
    waiting: PrintColumns, release: I64, ready: NDArray[np.bool_], value_of: I64, values: _Values
) -> Releases:
    """Events in the order of release. The new open interest stands with the last print before it, else alone."""
    if not ready.all():
        at = np.flatnonzero(ready)
        waiting, release, value_of = waiting.take(at), release[at], value_of[at]
    if not values.row.size:
        count = release.size
        unknown, zeros = np.full(count, np.nan), np.zeros(count)
        events = Releases(release, waiting, unknown, unknown, unknown, zeros, zeros, np.zeros(count, np.bool_))
        return events if _ascending(release) else events.in_order()
    change = values.change
    u, unexplained = _explain(change, values.printed, values.flushed)
    first = np.isnan(values.before)
    has_value = value_of >= 0
    shown = has_value & ~first[value_of]  # with the last print before it
    shown[:-1] &= value_of[1:] != value_of[:-1]
    events = Releases(
        release,
        waiting,
        u=np.where(has_value, u[value_of], np.nan),
        interest=np.where(shown, values.value[value_of], np.nan),
        limit=np.where(has_value, np.fmax(values.before, values.value)[value_of], np.nan),
        unexplained=np.where(shown, unexplained[value_of], 0.0),
        change=np.where(shown, values.moved[value_of], 0.0),
        first=np.zeros(release.size, np.bool_),
    )
    alone = first | ((values.printed == 0.0) & (change != 0.0))
    if not alone.any():
        return events if _ascending(release) else events.in_order()
    return events.joined(_lone_changes(values, np.flatnonzero(alone), unexplained)).in_order()


def _ascending(times: I64) -> bool:
    return bool((times[1:] >= times[:-1]).all())


def _lone_changes(values: _Values, at: NDArray[np.intp], unexplained: F64) -> Releases:
    """Values that no print precedes, as events of their own."""
    count, ts = at.size, values.ts_ns[at]
    zeros = np.zeros(count)
    prints = PrintColumns(
        values.row[at], ts, np.ones(count), zeros, np.zeros(count, np.int64), np.full(count, _NEVER)
    )  # fmt: skip
    first = np.isnan(values.before[at])
    change, unknown = np.where(first, 0.0, values.moved[at]), np.full(count, np.nan)
    return Releases(values.counts_ns[at], prints, unknown, values.value[at], unknown, unexplained[at], change, first)


def _advance(
    last: LastInterest, values: _Values, doubtful: InterestColumns, waiting: PrintColumns, flushed: NDArray[np.bool_]
) -> LastInterest:
    """The last open interest of each row after these values; `flushed` prints come after the last one."""
    if not values.row.size and not doubtful.row.size and not flushed.any():
        return last
    value, ts, gap, unmatched = last.value.copy(), last.ts_ns.copy(), last.gap_ns.copy(), last.unmatched.copy()
    value[values.row], ts[values.row], gap[values.row] = values.value, values.ts_ns, values.gap_ns
    unmatched[values.row] = 0.0
    np.add.at(unmatched, waiting.row[flushed], _on_grid(waiting.size[flushed]))
    in_doubt, in_doubt_ns = np.zeros(value.size), np.zeros(value.size, np.int64)
    in_doubt[doubtful.row], in_doubt_ns[doubtful.row] = doubtful.value, doubtful.ts_ns
    return LastInterest(value, ts, gap, unmatched, in_doubt, in_doubt_ns)
