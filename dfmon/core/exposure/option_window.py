"""Samples of columns over the options of one underlying, kept by option: what each was worth a quarter of an hour ago.

Immutable. The listing changes between samples; a column is found by the key of its option, which follows from its terms
and so outlives a restart, and an option that has expired stays as long as a sample has it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dfmon.core.pricing.black import Mask
from dfmon.model.frames import F64, I64

GAP_STEPS: Final = 2  # samples further apart than so many steps are not interpolated between


def option_keys(expiry_ns: I64, strike: F64, option_type: NDArray[np.generic], inverse: Mask) -> I64:
    """A number for each option of an underlying, the same in every session: its terms, mixed bit by bit.

    Shapes: (n,) each -> (n,). Domain: two options of an underlying share a number with probability 2^-64.
    Source: the finaliser of splitmix64 (Steele, Lea and Flood, 2014).
    """
    sides = (np.asarray(option_type) > 0).astype(np.uint64) * np.uint64(2) + inverse.astype(np.uint64)
    bits = np.ascontiguousarray(strike, np.float64).view(np.uint64)
    mixed = _mix(_mix(expiry_ns.astype(np.uint64) + sides) ^ bits)
    return mixed.view(np.int64)


def _mix(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        bits = (bits ^ (bits >> np.uint64(shift))) * np.uint64(factor)
    return bits ^ (bits >> np.uint64(31))


@dataclass(frozen=True, slots=True)
class OptionWindow:
    """Samples at most every `step_ns`, at most `rows` of them; times ascend.

    `key` (n,) ascends. `values` (k, fields, n) are NaN where an option had none. `shared` (k, numbers) belongs to the
    sample and not to an option.
    """

    step_ns: int
    rows: int
    key: I64
    times: I64
    values: F64
    shared: F64

    @classmethod
    def empty(cls, step_ns: int, rows: int, fields: int, numbers: int = 0) -> OptionWindow:
        no_rows = np.zeros(0, np.int64)
        return cls(step_ns, rows, no_rows, no_rows, np.zeros((0, fields, 0)), np.zeros((0, numbers)))

    def push(self, ts_ns: int, key: I64, columns: F64, numbers: tuple[float, ...] = ()) -> OptionWindow:
        """The window with this sample, or the same window while the next one is not due.

        A clock that was set back begins a new window.

        Shapes: (n,), (fields, n). Domain: `key` in any order, none twice.
        """
        if self.times.size and ts_ns < self.times[-1]:
            window = OptionWindow.empty(self.step_ns, self.rows, self.values.shape[1], self.shared.shape[1])
            return window.push(ts_ns, key, columns, numbers)
        if self.times.size and ts_ns - self.times[-1] < self.step_ns:
            return self
        oldest = max(self.times.size + 1 - self.rows, 0)
        window = self._with_options(key, oldest)
        row = np.full((1, *window.values.shape[1:]), np.nan)
        row[0][:, np.searchsorted(window.key, key)] = columns
        return replace(
            window,
            times=np.append(window.times[oldest:], np.int64(ts_ns)),
            values=np.concatenate([window.values[oldest:], row]),
            shared=np.concatenate([window.shared[oldest:], [numbers]]),
        )

    def _with_options(self, key: I64, oldest: int) -> OptionWindow:
        """The window with places for these options, without those that no sample from `oldest` on has."""
        sampled = np.isfinite(self.values[oldest:]).any(axis=(0, 1))
        union = np.union1d(self.key[sampled], key)
        if np.array_equal(union, self.key):
            return self
        values = np.full((*self.values.shape[:2], union.size), np.nan)
        values[:, :, np.searchsorted(union, self.key[sampled])] = self.values[:, :, sampled]
        return replace(self, key=union, values=values)

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

    def find(self, key: I64) -> NDArray[np.intp]:
        """The column of each of these options, -1 for one without."""
        if not self.key.size:
            return np.full(key.shape, -1)
        column = np.minimum(np.searchsorted(self.key, key), self.key.size - 1)
        return np.where(self.key[column] == key, column, -1)


def _between(before: F64, after: F64, weight: float) -> F64:
    both = before + weight * (after - before)
    return np.where(np.isnan(before), after, np.where(np.isnan(after), before, both))


def pick(values: F64, column: NDArray[np.intp]) -> F64:
    """Values at these columns, NaN at -1. Shapes: (..., n), (m,) -> (..., m)."""
    if not values.shape[-1]:
        return np.full((*values.shape[:-1], column.size), np.nan)
    return np.where(column >= 0, values[..., column], np.nan)
