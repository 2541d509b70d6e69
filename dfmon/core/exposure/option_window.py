"""Samples of columns over the options of one underlying, kept by option: what each was worth a quarter of an hour ago.

Immutable. The listing changes between samples; a column is found by the number of its option, and an option that has
expired stays as long as a sample has it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dfmon.model.frames import F64, I64

GAP_STEPS: Final = 2  # samples further apart than so many steps are not interpolated between


@dataclass(frozen=True, slots=True)
class OptionWindow:
    """Samples at most every `step_ns`, at most `rows` of them; times ascend.

    `uid` (n,) ascends. `values` (k, fields, n) are NaN where an option had none. `shared` (k, numbers) belongs to the
    sample and not to an option.
    """

    step_ns: int
    rows: int
    uid: I64
    times: I64
    values: F64
    shared: F64

    @classmethod
    def empty(cls, step_ns: int, rows: int, fields: int, numbers: int = 0) -> OptionWindow:
        no_rows = np.zeros(0, np.int64)
        return cls(step_ns, rows, no_rows, no_rows, np.zeros((0, fields, 0)), np.zeros((0, numbers)))

    def push(self, ts_ns: int, uid: I64, columns: F64, numbers: tuple[float, ...] = ()) -> OptionWindow:
        """The window with this sample, or the same window while the next one is not due.

        A clock that was set back begins a new window.

        Shapes: (n,), (fields, n). Domain: `uid` in any order, none twice.
        """
        if self.times.size and ts_ns < self.times[-1]:
            window = OptionWindow.empty(self.step_ns, self.rows, self.values.shape[1], self.shared.shape[1])
            return window.push(ts_ns, uid, columns, numbers)
        if self.times.size and ts_ns - self.times[-1] < self.step_ns:
            return self
        oldest = max(self.times.size + 1 - self.rows, 0)
        window = self._with_options(uid, oldest)
        row = np.full((1, *window.values.shape[1:]), np.nan)
        row[0][:, np.searchsorted(window.uid, uid)] = columns
        return replace(
            window,
            times=np.append(window.times[oldest:], np.int64(ts_ns)),
            values=np.concatenate([window.values[oldest:], row]),
            shared=np.concatenate([window.shared[oldest:], [numbers]]),
        )

    def _with_options(self, uid: I64, oldest: int) -> OptionWindow:
        """The window with places for these options, without those that no sample from `oldest` on has."""
        sampled = np.isfinite(self.values[oldest:]).any(axis=(0, 1))
        union = np.union1d(self.uid[sampled], uid)
        if np.array_equal(union, self.uid):
            return self
        values = np.full((*self.values.shape[:2], union.size), np.nan)
        values[:, :, np.searchsorted(union, self.uid[sampled])] = self.values[:, :, sampled]
        return replace(self, uid=union, values=values)

    def at(self, ts_ns: int) -> tuple[int, F64, F64] | None:
        """Time, columns (fields, n) and shared numbers at `ts_ns`, linear between the samples around it.

        The first sample after `ts_ns` where that lies before the window or in a gap; None if there is none. A value
        that only one of the two samples has is taken from it.
        """
        after = int(np.searchsorted(self.times, ts_ns))
        if after == self.times.size:
            return None
        time, before = int(self.times[after]), after - 1
        if time == ts_ns or before < 0 or time - int(self.times[before]) > GAP_STEPS * self.step_ns:
            return time, self.values[after], self.shared[after]
        weight = (ts_ns - int(self.times[before])) / (time - int(self.times[before]))
        columns, numbers = (_between(x[before], x[after], weight) for x in (self.values, self.shared))
        return ts_ns, columns, numbers

    def last_values(self) -> F64:
        """The newest value that each option had, (fields, n); NaN for none."""
        values = np.full(self.values.shape[1:], np.nan)
        for sample in self.values:
            np.copyto(values, sample, where=np.isfinite(sample))
        return values

    def find(self, uid: I64) -> NDArray[np.intp]:
        """The column of each of these options, -1 for one without."""
        if not self.uid.size:
            return np.full(uid.shape, -1)
        column = np.minimum(np.searchsorted(self.uid, uid), self.uid.size - 1)
        return np.where(self.uid[column] == uid, column, -1)


def _between(before: F64, after: F64, weight: float) -> F64:
    both = before + weight * (after - before)
    return np.where(np.isnan(before), after, np.where(np.isnan(after), before, both))


def pick(values: F64, column: NDArray[np.intp]) -> F64:
    """Values at these columns, NaN at -1. Shapes: (..., n), (m,) -> (..., m)."""
    if not values.shape[-1]:
        return np.full((*values.shape[:-1], column.size), np.nan)
    return np.where(column >= 0, values[..., column], np.nan)
