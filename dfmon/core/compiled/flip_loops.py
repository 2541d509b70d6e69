"""What a search for zeros does before and after the profile: which options count, and where two zeros may hide."""

from __future__ import annotations

import math

import numpy as np
from numba import float64, types

from dfmon.core.black import F64
from dfmon.core.compiled.parts import COLUMN, ROW, Index, loop, on_contiguous


@loop(types.int64(*[COLUMN] * 7, types.Array(types.intp, 1, "C"), types.UniTuple(ROW, 6)))
def _counting(
    forward: F64, strike: F64, sigma: F64, tau: F64, exposure: F64, low: F64, high: F64, rows: Index,
    kept: tuple[F64, ...],
) -> int:  # fmt: skip
    count = 0
    for i in range(forward.shape[0]):
        columns = forward[i], strike[i], sigma[i], tau[i], sigma[i] * math.sqrt(tau[i]), abs(exposure[i])
        inside = True
        for k in range(6):
            inside &= (columns[k] > low[k]) & (columns[k] <= high[k])
            kept[k][count] = columns[k]
        rows[count] = i
        count += inside
    return count


def counting(forward: F64, strike: F64, sigma: F64, tau: F64, exposure: F64, bounds: F64) -> tuple[Index, F64]:
    """Rows whose columns lie above the lower and not above the upper bounds, and these columns.

    Forward, strike, sigma, tau, total deviation and size of the exposure, as gamma_flip bounds them.

    Units: as gamma_flip.find_flip.
    Shapes: (n,) each, (2, 6, 1) -> (r,), (6, r).
    Domain: any floats.
    Source: definition.
    """
    size = forward.shape[0]
    rows, kept = np.empty(size, dtype=np.intp), np.empty((6, size))
    low, high = bounds.reshape(2, 6)
    columns = forward, strike, sigma, tau, exposure, low, high
    count = on_contiguous(_counting, columns, rows, tuple(kept))
    return rows[:count], kept[:, :count]


@loop(types.boolean(COLUMN, COLUMN, COLUMN, float64))
def _dips(y: F64, net: F64, signs: F64, share: float) -> bool:
    found = False
    for i in range(1, y.shape[0] - 1):
        left, at, right = abs(net[i - 1]), abs(net[i]), abs(net[i + 1])
        alike = (signs[i] != 0.0) & (signs[i - 1] == signs[i]) & (signs[i + 1] == signs[i])
        below, above = y[i] - y[i - 1], y[i + 1] - y[i]
        down, up = (left - at) / below, (right - at) / above
        bend, tilt = (down + up) / (below + above), (up * below - down * above) / (below + above)
        close = (bend <= 0.0) | (at - tilt * tilt / (4.0 * bend) <= share * at)
        found |= alike & (at <= left) & (at <= right) & close
    return found


def dips(y: F64, net: F64, signs: F64, share: float) -> bool:
    """Whether any dip between nodes of one sign comes down to this share of its node.

    Units, domain, source: as flip_roots.bottoms.
    Shapes: (m,) each.
    """
    return on_contiguous(_dips, (y, net, signs), share)
