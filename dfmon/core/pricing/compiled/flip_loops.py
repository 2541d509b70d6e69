"""What a search for zeros does around the profile: which options count, and where net gamma changes sign."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numba import float64, types

from dfmon.core.pricing.black import F64
from dfmon.core.pricing.compiled.parts import (
    COLUMN,
    ROW,
    Index,
    inline,
    log,
    loop,
    nearest,
    on_contiguous,
)
from dfmon.core.pricing.compiled.profile_loops import both_sides
from dfmon.core.pricing.normal import INV_SQRT_2PI

_PEAK: Final = 0.01 * INV_SQRT_2PI
_PLACES: Final = types.Array(types.intp, 1, "C")


# ---- options ---------------------------------------------------------------------------------------------------------


@inline
def _within(value: float, low: float, high: float) -> bool:
    return (value > low) & (value <= high)


@loop(types.int64(*[COLUMN] * 7, _PLACES, types.UniTuple(ROW, 5)))
def _ground(
    forward: F64, strike: F64, sigma: F64, tau: F64, exposure: F64, low: F64, high: F64, rows: Index,
    bumps: tuple[F64, ...],
) -> int:  # fmt: skip
    x, total_sd, height, a, b = bumps
    counts = np.empty(forward.shape[0], np.bool_)
    for i in range(forward.shape[0]):
        width = a[i] = sigma[i] * math.sqrt(tau[i])
        counts[i] = (
            _within(forward[i], low[0], high[0])
            & _within(strike[i], low[1], high[1])
            & _within(sigma[i], low[2], high[2])
            & _within(tau[i], low[3], high[3])
            & _within(width, low[4], high[4])
            & _within(abs(exposure[i]), low[5], high[5])
        )
    count = 0
    for i in range(forward.shape[0]):
        rows[count] = i
        x[count], height[count], total_sd[count] = forward[i], strike[i], a[i]
        count += counts[i]
    for i in range(count):
        f, k = x[i], height[i]
        near, n = nearest(f, k)
        x[i] = log((f - near) / (f + near), n)
        a[i] = 1.0 / total_sd[i]
        b[i] = x[i] * a[i] - 0.5 * total_sd[i]
        height[i] = _PEAK * k * a[i]
    return count


def ground(
    forward: F64, strike: F64, sigma: F64, tau: F64, exposure: F64, bounds: F64
) -> tuple[Index, tuple[F64, F64, F64, F64, F64]]:
    """Rows whose columns lie above the lower and not above the upper bounds, and their bumps.

    Bounds of forward, strike, sigma, tau, total deviation and size of the exposure. Bumps: the columns of
    gamma_profile.StickyStrike.

    Units, source: as flip_grid.ground and StickyStrike.of.
    Shapes: (n,) each, (2, 6) -> (r,), five of (r,).
    Domain: any floats.
    """
    size = forward.shape[0]
    rows, bumps = np.empty(size, dtype=np.intp), np.empty((5, size))
    count = on_contiguous(_ground, (forward, strike, sigma, tau, exposure, *bounds), rows, tuple(bumps))
    x, total_sd, height, a, b = bumps[:, :count]
    return rows[:count], (x, total_sd, height, a, b)


# ---- changes of sign -------------------------------------------------------------------------------------------------


@inline
def _dips(y: F64, net: F64, signs: F64, share: float) -> bool:
    """Whether a dip between nodes of one sign comes down to this share of its node: see flip_scan.bottoms."""
    found = False
    for i in range(1, y.shape[0] - 1):
        falling, at, rising = abs(net[i - 1]), abs(net[i]), abs(net[i + 1])
        alike = (signs[i] != 0.0) & (signs[i - 1] == signs[i]) & (signs[i + 1] == signs[i])
        onward = y[i + 1] - y[i]
        up = (rising - at) / onward
        bend = ((falling - at) / (y[i] - y[i - 1]) + up) / (y[i + 1] - y[i - 1])
        tilt = up - bend * onward
        found |= alike & (at <= falling) & (at <= rising) & (tilt * tilt >= (4.0 - 4.0 * share) * bend * at)
    return found


@loop(types.UniTuple(types.int64, 3)(*[COLUMN] * 5, *[float64] * 4, ROW, ROW, ROW, _PLACES, _PLACES))
def _scan(
    a: F64, b: F64, height: F64, exposure: F64, y: F64, noise: float, cut: float, share: float, flat: float,
    net: F64, gross: F64, signs: F64, low: Index, high: Index,
) -> tuple[int, bool, bool]:  # fmt: skip
    both_sides(a, b, height, exposure, y, net, gross)
    blur, largest, whole = 0.0, 0.0, 0.0
    for i in range(a.shape[0]):
        blur += cut * height[i] * abs(exposure[i])
    found, last = 0, -1
    for j in range(y.shape[0]):
        long, short = net[j], gross[j]
        net[j], gross[j] = long - short, long + short
        largest, whole = max(largest, abs(net[j])), max(whole, gross[j])
        signs[j] = np.sign(net[j]) if abs(net[j]) > noise * gross[j] + blur else 0.0
        if signs[j] != 0.0:
            if last >= 0 and signs[last] != signs[j]:
                low[found], high[found] = last, j
                found += 1
            last = j
    return found, largest < flat * whole, _dips(y, net, signs, share)


def scan(
    a: F64, b: F64, height: F64, exposure: F64, y: F64, noise: float, cut: float, share: float, flat: float
) -> tuple[F64, F64, F64, Index, Index, bool, bool]:
    """Net and gross gamma on the nodes, the signs of net, the nodes around each change of sign; whether net is flat,
    and whether it has dips. `cut` as StickyStrike.blur, `share` as flip_scan.bottoms, `flat` as Scan.flat.

    Units, source: as flip_scan.scan.
    Shapes: a, b, height, exposure (n,), y (m,) -> three (m,), two (r,).
    Domain: as flip_scan.scan.
    """
    net, gross, signs = np.empty((3, y.shape[0]))
    low, high = np.empty((2, y.shape[0]), dtype=np.intp)
    columns = a, b, height, exposure, y
    found, even, dips = on_contiguous(_scan, columns, noise, cut, share, flat, net, gross, signs, low, high)
    return net, gross, signs, low[:found], high[:found], bool(even), bool(dips)
