"""The call and the put of one strike and expiry, priced once while their inputs agree.

At r = 0 the two have the same gamma, vega, theta, vanna, charm and volga when forward, sigma and time are equal. The
pairs are found once for a listing; that they agree is checked at each refresh.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from dfmon.core.pricing.black import F64, Mask

Index: TypeAlias = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class PricingPoints:
    """Distinct (forward, strike, sigma, time) points of a chain at one refresh."""

    option: Index
    """For each point, an option that lies on it."""
    point: Index
    """For each option, its point."""
    second: Index
    """The options that share the point of another one."""
    shared: Index
    """Their points."""

    @classmethod
    def unmerged(cls, size: int) -> PricingPoints:
        """Each of `size` options on a point of its own.

        Domain: size >= 0.
        """
        no_rows = np.empty(0, dtype=np.intp)
        return cls.from_merged(no_rows, no_rows, size)

    @classmethod
    def from_merged(cls, second: Index, partner_rows: Index, size: int) -> PricingPoints:
        """Points of `size` options of which `second` lie where `partner_rows` do.

        Shapes: (s,), (s,).
        Domain: row numbers, none in both columns.
        """
        is_representative = np.ones(size, dtype=np.bool_)
        is_representative[second] = False
        option = np.flatnonzero(is_representative)
        point = np.empty(size, dtype=np.intp)
        point[option] = np.arange(option.shape[0])
        point[second] = point[partner_rows]
        return cls(option, point, second, point[second])

    def sum_exposure(self, exposure: F64) -> F64:
        """Exposure of each point: the sum over its options.

        Units: any, additive.
        Shapes: (n,) or (n, M) -> (points,) or (points, M).
        Source: linearity of the sum.
        """
        if exposure.ndim == 1:
            return np.asarray(np.bincount(self.point, exposure, self.option.shape[0]))
        option, second, shared = as_slice(self.option), as_slice(self.second), as_slice(self.shared)
        merged = np.array(exposure[option])
        merged[shared] += exposure[second]  # at most one further option a point: none repeats
        return merged


@dataclass(frozen=True, slots=True)
class Pairing:
    """Options of one listing in pairs: `second[i]` has the strike and expiry of `first[i]` and the other type.

    `first` are calls, ascending.
    """

    first: Index
    second: Index
    size: int
    all_merged: PricingPoints
    """The points while every pair agrees, which is the usual case."""
    sides: tuple[Index | slice, Index | slice]
    """`first` and `second`, as slices where the listing is regular: what reads columns fastest."""

    @classmethod
    def from_listing(cls, strike: F64, expiry: NDArray[np.generic], option_type: F64) -> Pairing:
        """Pair calls with puts; an option without a partner stays alone.

        Units: strike in quote currency; expiry any sortable label; option type +1 call, -1 put.
        Shapes: (n,) each.
        Domain: labels without NaN.
        Source: put-call parity.

        >>> Pairing.from_listing(np.array([9.0, 8.0, 9.0]), np.array([1, 1, 1]), np.array([-1.0, 1.0, 1.0])).second
        array([0])
        """
        order = np.lexsort((-option_type, strike, expiry))
        left, right = order[:-1], order[1:]
        is_pair = (strike[left] == strike[right]) & (expiry[left] == expiry[right])
        is_pair &= (option_type[left] > 0.0) & (option_type[right] < 0.0)
        call_order = np.argsort(left[is_pair])
        first, second, size = left[is_pair][call_order], right[is_pair][call_order], strike.shape[0]
        merged = PricingPoints.from_merged(second, first, size)
        return cls(first, second, size, merged, (as_slice(first), as_slice(second)))

    def points(self, *columns: F64, keep_separate: Mask | None = None) -> PricingPoints:
        """Distinct points at this refresh: a pair counts as one only where its columns agree to the last bit.

        Units: those of the columns: forward, sigma and, where the listing does not imply it, time.
        Shapes: (n,) each.
        Domain: any floats; a NaN agrees with nothing; pairs whose first option is in `keep_separate` are kept apart.
        Source: put-call parity.
        """
        calls, puts = self.sides
        equal = np.empty((len(columns), self.first.shape[0]), dtype=np.bool_)
        for row, column in zip(equal, columns):
            np.equal(column[calls], column[puts], row)
        if np.count_nonzero(equal) == equal.size and (keep_separate is None or not keep_separate.any()):
            return self.all_merged
        merged = np.logical_and.reduce(equal, axis=0)
        if keep_separate is not None:
            merged &= ~keep_separate[calls]
        return PricingPoints.from_merged(self.second[merged], self.first[merged], self.size)


def as_slice(rows: Index) -> Index | slice:
    """The same rows as a slice, if they ascend in equal steps: what reads columns fastest.

    Shapes: (n,).
    Domain: row numbers.

    >>> as_slice(np.array([1, 3, 5]))
    slice(1, 6, 2)
    """
    if rows.shape[0] < 2:
        return rows
    step = int(rows[1] - rows[0])
    if step <= 0 or (np.diff(rows) != step).any():
        return rows
    return slice(int(rows[0]), int(rows[-1]) + 1, step)
