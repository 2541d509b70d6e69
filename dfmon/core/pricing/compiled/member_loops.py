"""Loops over the profiles of an ensemble: every zero of every member, read off nodes that are there already."""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import float64, types
from numpy.typing import NDArray

from dfmon.core.pricing.black import F64, Mask
from dfmon.core.pricing.compiled.primitives import COLUMN_TYPE, ROW_TYPE, Index, inline, loop

_NEWTON_STEPS: Final = 5
_TABLE_TYPE: Final = types.Array(float64, 2, "A", readonly=True)
_INDEX_OUT_TYPE: Final = types.Array(types.intp, 1, "C")
_FLAGS_OUT_TYPE: Final = types.Array(types.boolean, 1, "C")


@inline
def _cubic_zero(y: F64, net: F64, low: int, high: int) -> float:
    """As `member_roots._cubic_zeros`, relative to the node `low`."""
    first = min(max(low - 1, 0), y.shape[0] - 4)
    x0, x1, x2, x3 = y[first] - y[low], y[first + 1] - y[low], y[first + 2] - y[low], y[first + 3] - y[low]
    v0, v1, v2, v3 = net[first], net[first + 1], net[first + 2], net[first + 3]
    first0, first1, first2 = (v1 - v0) / (x1 - x0), (v2 - v1) / (x2 - x1), (v3 - v2) / (x3 - x2)
    second0, second1 = (first1 - first0) / (x2 - x0), (first2 - first1) / (x3 - x1)
    third = (second1 - second0) / (x3 - x0)
    left, right = 0.0, y[high] - y[low]
    zero: float = right * (net[low] / (net[low] - net[high]))
    if high != low + 1:
        return zero
    rising = net[high] > 0.0
    for _ in range(_NEWTON_STEPS):
        d0, d1, d2 = zero - x0, zero - x1, zero - x2
        inner = second0 + d2 * third
        at = v0 + d0 * (first0 + d1 * inner)
        if (at < 0.0) == rising:
            left = zero
        else:
            right = zero
        target = zero - at / (first0 + (d0 + d1) * inner + d0 * d1 * third)
        zero = target if (target >= left) and (target <= right) else 0.5 * (left + right)
    return zero


@inline
def _sorted_in(zero: F64, rising: Mask, start: int, count: int, y: float, rises: bool) -> None:
    """Puts a zero in its place among those of the member, which begin at `start`."""
    at = count
    while at > start and zero[at - 1] > y:
        zero[at], rising[at] = zero[at - 1], rising[at - 1]
        at -= 1
    zero[at], rising[at] = y, rises


@loop(types.int64(COLUMN_TYPE, _TABLE_TYPE, COLUMN_TYPE, _INDEX_OUT_TYPE, ROW_TYPE, _FLAGS_OUT_TYPE))
def _member_zeros(y: F64, net: F64, min_size: F64, member: Index, zero: F64, rising: Mask) -> int:
    count, nodes = 0, y.shape[0]
    for i in range(net.shape[0]):
        row, start, last = net[i], count, -1
        for j in range(nodes):
            if abs(row[j]) > min_size[j]:
                if last >= 0 and (row[j] > 0.0) != (row[last] > 0.0):
                    _sorted_in(zero, rising, start, count, y[last] + _cubic_zero(y, row, last, j), row[j] > 0.0)
                    count += 1
                last = j
        for j in range(1, nodes - 1):
            before, at, after = row[j - 1], row[j], row[j + 1]
            if (
                abs(after) > abs(at)
                and not abs(at) > abs(before)
                and before * at > 0.0
                and after * at > 0.0
                and abs(at) > min_size[j]
            ):
                left, right = y[j - 1] - y[j], y[j + 1] - y[j]
                slope_left, slope_right = (before - at) / left, (after - at) / right
                curvature = (slope_right - slope_left) / (right - left)
                slope = slope_left - curvature * left
                discriminant = slope * slope - 4.0 * curvature * at
                if discriminant > 0.0:
                    middle = y[j] - slope / (2.0 * curvature)
                    half_width = np.sqrt(discriminant) / (2.0 * abs(curvature))
                    _sorted_in(zero, rising, start, count, middle - half_width, at <= 0.0)
                    _sorted_in(zero, rising, start, count + 1, middle + half_width, at > 0.0)
                    count += 2
        member[start:count] = i
    return count


def member_zeros(y: F64, net: F64, min_size: F64) -> tuple[Index, F64, NDArray[np.bool_]]:
    """Member, place and direction of every zero, by member and place, as `member_roots.member_roots`.

    Units, source: as there. Shapes: (m,), (M, m), (m,) -> three (r,). Domain: m >= 4.
    """
    capacity = 2 * net.size  # a pair at a node at most
    member, zero, rising = np.empty(capacity, np.intp), np.empty(capacity), np.empty(capacity, np.bool_)
    count = _member_zeros(np.ascontiguousarray(y), net, np.ascontiguousarray(min_size), member, zero, rising)
    return member[:count].copy(), zero[:count].copy(), rising[:count].copy()
