"""Loops of the search for zeros around the profile: which options count, and where net gamma changes sign."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numba import float64, types

from dfmon.core.pricing.black import F64
from dfmon.core.pricing.compiled.primitives import (
    COLUMN_TYPE,
    ROW_TYPE,
    Index,
    call_with_contiguous,
    inline,
    log,
    loop,
    scale_strike_to_forward,
)
from dfmon.core.pricing.compiled.profile_loops import long_short_sums
from dfmon.core.pricing.normal import INV_SQRT_2PI

_UNIT_HEIGHT: Final = 0.01 * INV_SQRT_2PI
_INDEX_OUT_TYPE: Final = types.Array(types.intp, 1, "C")


# ---- options ---------------------------------------------------------------------------------------------------------


@inline
def _in_bounds(value: float, low: float, high: float) -> bool:
    return (value > low) & (value <= high)


@loop(types.int64(*[COLUMN_TYPE] * 7, _INDEX_OUT_TYPE, types.UniTuple(ROW_TYPE, 5)))
def _flip_inputs(
    forward: F64, strike: F64, sigma: F64, tau: F64, exposure: F64, low: F64, high: F64, rows: Index,
    bumps: tuple[F64, ...],
) -> int:  # fmt: skip
    x, total_sd, height, a, b = bumps
    included = np.empty(forward.shape[0], np.bool_)
    for i in range(forward.shape[0]):
        width = a[i] = sigma[i] * math.sqrt(tau[i])
        included[i] = (
            _in_bounds(forward[i], low[0], high[0])
            & _in_bounds(strike[i], low[1], high[1])
            & _in_bounds(sigma[i], low[2], high[2])
            & _in_bounds(tau[i], low[3], high[3])
            & _in_bounds(width, low[4], high[4])
            & _in_bounds(abs(exposure[i]), low[5], high[5])
        )
    count = 0
    for i in range(forward.shape[0]):
        rows[count] = i
        x[count], height[count], total_sd[count] = forward[i], strike[i], a[i]
        count += included[i]
    for i in range(count):
        f, k = x[i], height[i]
        scaled_strike, n = scale_strike_to_forward(f, k)
        x[i] = log((f - scaled_strike) / (f + scaled_strike), n)
        a[i] = 1.0 / total_sd[i]
        b[i] = x[i] * a[i] - 0.5 * total_sd[i]
        height[i] = _UNIT_HEIGHT * k * a[i]
    return count


def flip_inputs(
    forward: F64, strike: F64, sigma: F64, tau: F64, exposure: F64, bounds: F64
) -> tuple[Index, tuple[F64, F64, F64, F64, F64]]:
    """Rows whose columns lie above the lower and not above the upper bounds, and their bumps.

    Bounds of forward, strike, sigma, tau, total deviation and size of the exposure. Bumps: the columns of
    gamma_profile.StickyStrike.

    Units, source: as grid.flip_inputs and StickyStrike.of.
    Shapes: (n,) each, (2, 6) -> (r,), five of (r,).
    """
    size = forward.shape[0]
    rows, bumps = np.empty(size, dtype=np.intp), np.empty((5, size))
    count = call_with_contiguous(_flip_inputs, (forward, strike, sigma, tau, exposure, *bounds), rows, tuple(bumps))
    x, total_sd, height, a, b = bumps[:, :count]
    return rows[:count], (x, total_sd, height, a, b)


# ---- changes of sign -------------------------------------------------------------------------------------------------


@inline
def _has_dips(y: F64, net: F64, signs: F64, share: float) -> bool:
    """True for a dip between nodes of one sign that comes down to this share of its node: see
    scan.find_dip_minima.
    """
    any_dip = False
    for i in range(1, y.shape[0] - 1):
        size_before, size_at, size_after = abs(net[i - 1]), abs(net[i]), abs(net[i + 1])
        same_sign = (signs[i] != 0.0) & (signs[i - 1] == signs[i]) & (signs[i + 1] == signs[i])
        step_after = y[i + 1] - y[i]
        slope_after = (size_after - size_at) / step_after
        second_difference = ((size_before - size_at) / (y[i] - y[i - 1]) + slope_after) / (y[i + 1] - y[i - 1])
        slope_at = slope_after - second_difference * step_after
        any_dip |= (
            same_sign
            & (size_at <= size_before)
            & (size_at <= size_after)
            & (slope_at * slope_at >= (4.0 - 4.0 * share) * second_difference * size_at)
        )
    return any_dip


@loop(
    types.UniTuple(types.int64, 3)(
        *[COLUMN_TYPE] * 5, *[float64] * 4, ROW_TYPE, ROW_TYPE, ROW_TYPE, _INDEX_OUT_TYPE, _INDEX_OUT_TYPE
    )
)
def _scan_profile(
    a: F64, b: F64, height: F64, exposure: F64, y: F64, noise: float, cut: float, share: float, flat: float,
    net: F64, gross: F64, signs: F64, low: Index, high: Index,
) -> tuple[int, bool, bool]:  # fmt: skip
    long_short_sums(a, b, height, exposure, y, net, gross)
    error_bound, max_net, max_gross = 0.0, 0.0, 0.0
    for i in range(a.shape[0]):
        error_bound += cut * height[i] * abs(exposure[i])
    bracket_count, last_signed = 0, -1
    for j in range(y.shape[0]):
        long, short = net[j], gross[j]
        net[j], gross[j] = long - short, long + short
        max_net, max_gross = max(max_net, abs(net[j])), max(max_gross, gross[j])
        signs[j] = np.sign(net[j]) if abs(net[j]) > noise * gross[j] + error_bound else 0.0
        if signs[j] != 0.0:
            if last_signed >= 0 and signs[last_signed] != signs[j]:
                low[bracket_count], high[bracket_count] = last_signed, j
                bracket_count += 1
            last_signed = j
    return bracket_count, max_net < flat * max_gross, _has_dips(y, net, signs, share)


def scan_profile(
    a: F64, b: F64, height: F64, exposure: F64, y: F64, noise: float, cut: float, share: float, flat: float
) -> tuple[F64, F64, F64, Index, Index, bool, bool]:
    """Net and gross gamma on the nodes, the signs of net, the nodes around each change of sign; whether net is flat,
    and whether it has dips. `cut` as StickyStrike.error_bound, `share` as scan.find_dip_minima, `flat` as
    Scan.flat.

    Units, source: as scan.scan_profile.
    Shapes: a, b, height, exposure (n,), y (m,) -> three (m,), two (r,).
    Domain: as scan.scan_profile.
    """
    net, gross, signs = np.empty((3, y.shape[0]))
    low, high = np.empty((2, y.shape[0]), dtype=np.intp)
    columns = a, b, height, exposure, y
    bracket_count, is_flat, has_dips = call_with_contiguous(
        _scan_profile, columns, noise, cut, share, flat, net, gross, signs, low, high
    )
    return net, gross, signs, low[:bracket_count], high[:bracket_count], bool(is_flat), bool(has_dips)
