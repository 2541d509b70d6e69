"""The call and the put of one strike and expiry, priced once while their inputs agree.

Comes after the listing (prepared once for it) and before gamma_flip, whose cost halves: at r = 0 the two have the
same gamma, vega, theta, vanna, charm and volga when forward, sigma and time are equal. Checked at each refresh.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from dfmon.core.pricing.black import F64, Mask

Index: TypeAlias = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Points:
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
    def alone(cls, size: int) -> Points:
        """Each of `size` options on a point of its own.

        Units: none.
        Shapes: scalar.
        Domain: size >= 0.
        Source: definition.
        """
        nobody = np.empty(0, dtype=np.intp)
        return cls.of(nobody, nobody, size)

    @classmethod
    def of(cls, second: Index, shared_with: Index, size: int) -> Points:
        """Points of `size` options of which `second` lie where `shared_with` do.

        Units: none.
        Shapes: (s,), (s,).
        Domain: row numbers, none in both columns.
        Source: definition.
        """
        own = np.ones(size, dtype=np.bool_)
        own[second] = False
        option = np.flatnonzero(own)
        point = np.empty(size, dtype=np.intp)
        point[option] = np.arange(option.shape[0])
        point[second] = point[shared_with]
        return cls(option, point, second, point[second])

    def add(self, exposure: F64) -> F64:
        """Exposure of each point: the sum over its options.

        Units: any, additive.
        Shapes: (n,) or (n, M) -> (points,) or (points, M).
        Domain: any floats.
        Source: linearity of the sum.
        """
        if exposure.ndim == 1:
            return np.asarray(np.bincount(self.point, exposure, self.option.shape[0]))
        merged = exposure[self.option]
        merged[self.shared] += exposure[self.second]  # at most one further option a point: none repeats
        return np.asarray(merged)


@dataclass(frozen=True, slots=True)
class Pairing:
    """Options of one listing in pairs: `second[i]` has the strike and expiry of `first[i]` and the other type.

    `first` are calls, ascending.
    """

    first: Index
    second: Index
    size: int
    all_merged: Points
    """The points while every pair agrees, which is the usual case."""
    partner: Index
    """For each of these points the other option on it, or the only one once more."""
    sides: tuple[Index | slice, Index | slice]
    """`first` and `second`, as slices where the listing is regular: what reads columns fastest."""

    @classmethod
    def of(cls, strike: F64, expiry: NDArray[np.generic], option_type: F64) -> Pairing:
        """Pair calls with puts; an option without a partner stays alone.

        Units: strike in quote currency; expiry any sortable label; option type +1 call, -1 put.
        Shapes: (n,) each.
        Domain: labels without NaN.
        Source: put-call parity.

        >>> Pairing.of(np.array([9.0, 8.0, 9.0]), np.array([1, 1, 1]), np.array([-1.0, 1.0, 1.0])).second
        array([0])
        """
        order = np.lexsort((-option_type, strike, expiry))
        left, right = order[:-1], order[1:]
        partner = (strike[left] == strike[right]) & (expiry[left] == expiry[right])
        partner &= (option_type[left] > 0.0) & (option_type[right] < 0.0)
        listed = np.argsort(left[partner])
        first, second, size = left[partner][listed], right[partner][listed], strike.shape[0]
        merged = Points.of(second, first, size)
        other = merged.option.copy()
        other[merged.point[second]] = second
        return cls(first, second, size, merged, other, (regular(first), regular(second)))

    def points(self, *columns: F64, apart: Mask | None = None) -> Points:
        """Distinct points at this refresh: a pair counts as one only where its columns agree to the last bit.

        Units: those of the columns: forward, sigma and, where the listing does not imply it, time.
        Shapes: (n,) each.
        Domain: any floats; a NaN agrees with nothing; pairs whose first option is in `apart` are kept apart.
        Source: put-call parity.
        """
        calls, puts = self.sides
        agree = np.empty((len(columns), self.first.shape[0]), dtype=np.bool_)
        for row, column in zip(agree, columns):
            np.equal(column[calls], column[puts], row)
        if np.count_nonzero(agree) == agree.size and (apart is None or not apart.any()):
            return self.all_merged
        merged = np.logical_and.reduce(agree, axis=0)
        if apart is not None:
            merged &= ~apart[calls]
        return Points.of(self.second[merged], self.first[merged], self.size)


def regular(rows: Index) -> Index | slice:
    """The same rows as a slice, if they ascend in equal steps: what reads columns fastest.

    Units: none.
    Shapes: (n,).
    Domain: row numbers.
    Source: none; book-keeping.

    >>> regular(np.array([1, 3, 5]))
    slice(1, 6, 2)
    """
    if rows.shape[0] < 2:
        return rows
    step = int(rows[1] - rows[0])
    if step <= 0 or (np.diff(rows) != step).any():
        return rows
    return slice(int(rows[0]), int(rows[-1]) + 1, step)
