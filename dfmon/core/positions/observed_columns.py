"""Prints and open interest by row and time, as the estimator takes them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dfmon.model.frames import F64, I64


@dataclass(frozen=True, slots=True)
class PrintColumns:
    """Prints of known rows: time, taker side +-1, size in coins, kind code, and their order at equal times."""

    row: I64
    ts_ns: I64
    side: F64
    size: F64
    kind: I64
    order: I64

    @classmethod
    def empty(cls) -> PrintColumns:
        return cls(*(np.zeros(0, dtype) for dtype in (np.int64, np.int64, float, float, np.int64, np.int64)))

    def take(self, at: NDArray[np.intp] | NDArray[np.bool_]) -> PrintColumns:
        """The prints at these indices, in this order."""
        return PrintColumns(
            self.row[at], self.ts_ns[at], self.side[at], self.size[at], self.kind[at], self.order[at]
        )  # fmt: skip

    def joined(self, other: PrintColumns) -> PrintColumns:
        """These prints and others."""
        if not self.row.size:
            return other
        if not other.row.size:
            return self
        pairs = ((getattr(self, name), getattr(other, name)) for name in self.__slots__)
        return PrintColumns(*(np.concatenate(pair) for pair in pairs))


@dataclass(frozen=True, slots=True)
class InterestColumns:
    """Observed open interest of known rows in coins; a value includes the prints at its time."""

    row: I64
    ts_ns: I64
    value: F64

    @classmethod
    def empty(cls) -> InterestColumns:
        return cls(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))

    def take(self, at: NDArray[np.intp] | NDArray[np.bool_]) -> InterestColumns:
        """The values at these indices, in this order."""
        return InterestColumns(self.row[at], self.ts_ns[at], self.value[at])

    def joined(self, other: InterestColumns) -> InterestColumns:
        """These values and others."""
        pairs = ((getattr(self, name), getattr(other, name)) for name in self.__slots__)
        return InterestColumns(*(np.concatenate(pair) for pair in pairs))


@dataclass(frozen=True, slots=True)
class LastInterest:
    """The last open interest of each row.

    Value (coins), its time (0: never), time since the value before it, and the coins printed since then that were
    released without one; then a newer value that is in doubt, and its time (0: none).
    """

    value: F64
    ts_ns: I64
    gap_ns: I64
    unmatched: F64
    doubtful: F64
    doubtful_ns: I64

    @classmethod
    def never_shown(cls, value: F64) -> LastInterest:
        """Rows that have shown none and are taken to be at these values; NaN where that is not known."""
        floats, times = np.zeros(value.size), np.zeros(value.size, np.int64)
        return cls(value, times, times, floats, floats, times)

    @property
    def newest_ns(self) -> I64:
        """Time of the newest value, in doubt or not."""
        return np.maximum(self.ts_ns, self.doubtful_ns)

    @property
    def in_doubt(self) -> InterestColumns:
        """The values that are in doubt."""
        rows = np.flatnonzero(self.doubtful_ns)
        return InterestColumns(rows, self.doubtful_ns[rows], self.doubtful[rows])
