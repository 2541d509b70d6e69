"""The step of the filter for prints of distinct options, compiled: the sums of numpy in the same order, bit for bit.

`apply_prints`, `board_terms`, `option_terms` and `advance` have the formulas. No option of the compiler may change a
rounding here, and the hyperbolic tangent is numpy's: `apply` takes the values that `tangents` gives.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numba import float64, types

from dfmon.core.positions import position_state as columns
from dfmon.core.positions.loop_primitives import (
    COLUMN,
    COLUMN_IN,
    COUNTS,
    MOMENTS,
    ROWS_IN,
    TABLE,
    TABLE_IN,
    Index,
    bound,
    fold,
    inline,
    inverse_of,
    loop,
    on_grid,
    within,
)
from dfmon.core.positions.netting_filter import (
    DIRECTIONS,
    KNOWN_SD,
    NETTED_MOVE,
    NETTING_SD,
    NODE_PRIOR,
    NODES,
    OPENING_BOUNDS,
    PARTY_TILTS,
    POINT_WEIGHTS,
    POINTS,
    REVERSION_SCALE,
    TINY,
    TRANSFER_SHARE,
)
from dfmon.core.positions.opening_rates import MIN_INTEREST_RATIO, SUMS
from dfmon.core.positions.print_kinds import BLOCK, COMBO, DIRECTION_WEIGHTS, RFQ
from dfmon.core.positions.print_terms import SOURCE_OF_KIND, SPREAD_FACTOR
from dfmon.model.frames import F64, I64

_P: Final = POINTS.size
_LOWEST, _HIGHEST = OPENING_BOUNDS
_ROUNDING: Final = 1.0 + 1e-9


def tangents(moments: F64, at: Index, rows: I64, interest: F64) -> F64:
    """Hyperbolic tangents at the points of each node, and at the mean of the position; from numpy, for its bits.

    Shapes: (6, NODES, n), k places in rows -> (points x NODES + 1, k).
    """
    arguments = np.empty((_P * NODES + 1, at.size))
    _fill_arguments(moments, at, rows, interest, arguments)
    return np.asarray(np.tanh(arguments, out=arguments))


@loop(types.void(MOMENTS, ROWS_IN, ROWS_IN, COLUMN_IN, TABLE))
def _fill_arguments(moments: F64, at: Index, rows: I64, interest: F64, arguments: F64) -> None:
    parts = np.empty((2, NODES))
    for j in range(at.size):
        row = rows[at[j]]
        inverse = inverse_of(interest[row])
        for i in range(NODES):
            weight, mean_q, var_q = moments[0, i, row], moments[1, i, row], moments[3, i, row]
            slope = moments[4, i, row] / max(math.sqrt(moments[5, i, row]), TINY)
            for p in range(_P):
                arguments[p * NODES + i, j] = (mean_q + POINTS[p] * slope) * (REVERSION_SCALE * inverse)
            parts[0, i] = mean_q * weight
            parts[1, i] = (var_q + mean_q * mean_q) * weight
        mean_q, square = fold(parts[0]), fold(parts[1])
        variance = max(square - mean_q * mean_q, 0.0) * inverse * inverse
        arguments[_P * NODES, j] = REVERSION_SCALE * (mean_q * inverse) / math.sqrt(1.0 + SPREAD_FACTOR * variance)


@inline
def _board(
    moments: F64, row: int, kind: int, side: float, size: float, u: float, known: float, interest: float,
    reduction: float, shares: F64, parts: F64, terms: F64, hour_sums: F64,
) -> None:  # fmt: skip
    """As `board_terms`, added to the sums of the hour."""
    taken, made, customers, dealers = shares[0, kind], shares[1, kind], shares[2, kind], shares[3, kind]
    inverse = inverse_of(interest)
    for i in range(NODES):
        weight = moments[0, i, row]
        parts[0, i] = DIRECTIONS[i] * weight
        parts[1, i] = moments[2, i, row] * weight
    informative = DIRECTION_WEIGHTS[kind]
    direction = fold(parts[0]) * informative
    index = within(fold(parts[1]) * inverse, -1.0, 1.0)
    tilt = side * direction
    l0, l1 = 0.5 * taken * (1.0 + tilt), 0.5 * made * (1.0 - tilt)
    y = side * index * (l0 - l1) / (l0 + l1 + 0.5 * (customers + dealers))
    asymmetry = taken - made
    x = -asymmetry * (direction + reduction) if informative > 0.0 else 0.0
    regular = known if interest > MIN_INTEREST_RATIO * size else 0.0
    terms[0], terms[1], terms[3] = regular, regular * y, regular * u
    terms[2], terms[4], terms[5] = terms[1] * y, terms[3] * y, terms[3] * u
    terms[6], terms[7] = x * x, x * (side - asymmetry * direction)
    terms[8], terms[9], terms[10], terms[11] = known, u, u * u, 1.0
    for index in range(SUMS):
        hour_sums[index] += on_grid(terms[index])


@inline
def _likelihood(
    mean_g: float, deviation: float, point: float, side_inverse: float, size_u: float, slope: float, base: float,
    takes: float, dealers: float, made: float, customers: float,
) -> float:  # fmt: skip
    """As `_interest_likelihood`."""
    index = within((mean_g + point * deviation) * side_inverse, -1.0, 1.0) * slope
    a = within(PARTY_TILTS[0] * index + base, _LOWEST, _HIGHEST)
    b = within(PARTY_TILTS[1] * index + base, _LOWEST, _HIGHEST)
    c = within(PARTY_TILTS[2] * index + base, _LOWEST, _HIGHEST)
    d = within(PARTY_TILTS[3] * index + base, _LOWEST, _HIGHEST)
    two, one = 3.0 * size_u - 2.0, 1.0 - size_u
    first, second = (a * b * two + (a + b) * one) * takes, (b * c * two + (b + c) * one) * dealers
    third, fourth = (c * d * two + (c + d) * one) * made, (d * a * two + (d + a) * one) * customers
    return (first + second) + (third + fourth)


@inline
def _quadrature(
    moments: F64, row: int, j: int, kind: int, side: float, u: float, known: float, interest: float,
    tangents: F64, half_shares: F64, direction: F64, reversion: F64, base: float, slope: float, stack: F64, sums: F64,
) -> None:  # fmt: skip
    """As `_quadrature` of numpy."""
    dealers, customers = half_shares[1, kind], half_shares[3, kind]
    falls = u < 0.0
    slope_u, base_u = (-slope, 1.0 - base) if falls else (slope, base)
    inverse = inverse_of(interest)
    for node in range(NODES):
        weight, mean_g = moments[0, node, row], moments[2, node, row]
        deviation = math.sqrt(moments[5, node, row])
        for p in range(_P):
            bias = (tangents[p * NODES + node, j] * -reversion[kind] + direction[node, kind]) * side
            takes, made = half_shares[0, kind] * (1.0 + bias), half_shares[2, kind] * (1.0 - bias)
            against = takes + made
            side_mass = against + (dealers + customers)
            weighted = POINT_WEIGHTS[p] * weight
            stack[6, p] = weighted * side_mass
            stack[7, p] = stack[6, p] * POINTS[p]
            mass = stack[6, p]
            if known > 0.0:
                mass = weighted * _likelihood(
                    mean_g, deviation, POINTS[p], side * inverse, abs(u), slope_u, base_u, takes, dealers, made,
                    customers,
                )  # fmt: skip
            stack[0, p] = mass
            stack[1, p] = (takes - made) / side_mass * mass
            stack[5, p] = against / side_mass * mass
            stack[2, p] = mass * POINTS[p]
            stack[3, p] = stack[2, p] * POINTS[p]
            stack[4, p] = stack[1, p] * POINTS[p]
        for s in range(8):
            sums[s, node] = ((stack[s, 0] + stack[s, 4]) + (stack[s, 1] + stack[s, 3])) + stack[s, 2]


@inline
def _moved(
    moments: F64, row: int, side: float, size: float, sums: F64, out: F64, parts: F64, means: F64
) -> tuple[float, float]:
    """As `apply_prints` after its sums: writes the moments into `out`, returns how the mean moved."""
    signed, squared = side * size, size * size
    for i in range(NODES):
        mean_q = moments[1, i, row]
        slope = moments[4, i, row] / max(math.sqrt(moments[5, i, row]), TINY)
        parts[0, i], parts[1, i] = sums[0, i], sums[6, i]
        parts[2, i] = sums[6, i] * mean_q + slope * sums[7, i]
        parts[3, i] = moments[0, i, row] * mean_q
    total, side_total = fold(parts[0]), fold(parts[1])
    given_side, mean_before = fold(parts[2]) / side_total, fold(parts[3])
    for i in range(NODES):
        mass = max(sums[0, i], TINY)
        moved, first, second = sums[1, i] / mass, sums[2, i] / mass, sums[3, i] / mass
        moved_first, moving = sums[4, i] / mass, sums[5, i] / mass
        deviation = math.sqrt(moments[5, i, row])
        slope = moments[4, i, row] / max(deviation, TINY)
        var_point = max(second - first * first, 0.0)
        cov_point = signed * (moved_first - moved * first)
        var_move = squared * max(moving - moved * moved, 0.0)
        out[0, i] = sums[0, i] / total
        shifted = moments[1, i, row] + slope * first
        out[1, i] = shifted + signed * moved
        out[2, i] = moments[2, i, row] + deviation * first + NETTED_MOVE * signed * moved
        residual = max(moments[3, i, row] - slope * slope, 0.0)
        out[3, i] = residual + slope * slope * var_point + 2.0 * slope * cov_point + var_move
        out[4, i] = (
            slope * deviation * var_point + (NETTED_MOVE * slope + deviation) * cov_point + NETTED_MOVE * var_move
        )
        out[5, i] = (
            moments[5, i, row] * var_point
            + 2.0 * NETTED_MOVE * deviation * cov_point
            + NETTED_MOVE * NETTED_MOVE * (var_move + squared * moving)
        )
        means[0, i], means[1, i] = out[0, i] * moved, out[0, i] * shifted
    return signed * fold(means[0]) + (given_side - mean_before), fold(means[1]) - given_side


@inline
def _widen(out: F64, unexplained: float) -> None:
    """As `add_unexplained`."""
    widened = (TRANSFER_SHARE * unexplained) * (TRANSFER_SHARE * unexplained)
    for i in range(NODES):
        out[3, i], out[4, i], out[5, i] = out[3, i] + widened, out[4, i] + widened, out[5, i] + widened


@inline
def _store(moments: F64, sums: F64, row: int, limit: float, unexplained: float, out: F64, part: F64) -> bool:
    """As `_bound`; true where the position was above the limit."""
    for i in range(NODES):
        part[i] = out[0, i] * out[1, i]
    before = fold(part)
    _widen(out, unexplained)
    bound(out, limit)
    for i in range(NODES):
        part[i] = out[0, i] * out[1, i]
        for m in range(6):
            moments[m, i, row] = out[m, i]
    sums[row, columns.FROM_TRANSFERS] += fold(part) - before
    return abs(before) > limit * _ROUNDING


@inline
def _limits(interest: float, shown: float, limit: float, growth: float) -> tuple[float, float]:
    """Bound of the position, and open interest after the print."""
    if not np.isnan(shown):
        return shown, shown
    return (interest + growth, interest + growth) if np.isnan(limit) else (limit, interest)


@inline
def _known(out: F64) -> float:
    """As `known_positions`, for one option."""
    known = 0.0
    for i in range(NODES):
        size = abs(out[1, i])
        if out[3, i] <= (KNOWN_SD * size) * (KNOWN_SD * size):
            known = max(known, size)
    return known


@inline
def _add_option(
    sums: F64, row: int, kind: int, side: float, size: float, u: float, known: float, by_print: float,
    by_interest: float, unexplained: float, change: float, terms: F64, learning: bool,
) -> None:  # fmt: skip
    """As `option_terms`, added to the option's sums."""
    flow = side * size
    sums[row, columns.COUNT_U] += known
    sums[row, columns.RECENT_COUNT] += known
    sums[row, columns.SIDE_U] += side * u
    sums[row, columns.RECENT_SIDE_U] += side * u
    sums[row, columns.SIDE_OF_U] += side * known
    sums[row, columns.RECENT_SIDE] += side * known
    sums[row, columns.FLOW] += flow
    sums[row, columns.FLOW_U] += flow * u
    sums[row, columns.FLOW_MIXED] += flow * (1.0 - abs(u)) * known
    sums[row, columns.SIDES] += side
    sums[row, columns.COUNT] += 1.0
    sums[row, columns.VOLUME] += size
    if kind in (BLOCK, RFQ):
        sums[row, columns.BLOCK_FLOW] += flow
    if kind == COMBO:
        sums[row, columns.COMBO_FLOW] += flow
    sums[row, SOURCE_OF_KIND[kind]] += by_print
    sums[row, columns.FROM_OPENINGS] += by_interest
    if change > 0.0:
        sums[row, columns.UNEXPLAINED] += unexplained
    sums[row, columns.CHANGE] += change
    if learning:
        for index in range(5):
            sums[row, columns.REGRESSED + index] += terms[index]


@loop(
    types.void(
        ROWS_IN, types.Tuple((ROWS_IN, ROWS_IN, COLUMN_IN, COLUMN_IN, ROWS_IN)), types.UniTuple(COLUMN_IN, 5),
        COLUMN_IN, types.boolean, TABLE, types.Tuple((TABLE_IN, TABLE_IN, TABLE_IN, COLUMN_IN)), float64, float64,
        MOMENTS, COLUMN, TABLE, types.UniTuple(COUNTS, 3), COLUMN,
    )
)  # fmt: skip
def apply(
    at: Index, prints: tuple[I64, I64, F64, F64, I64], events: tuple[F64, F64, F64, F64, F64],
    unseen_share: F64, learning: bool, values: F64, tables: tuple[F64, F64, F64, F64],
    base: float, slope: float, moments: F64, all_interest: F64, all_sums: F64, counts: tuple[I64, I64, I64],
    hour_sums: F64,
) -> None:  # fmt: skip
    """Applies prints to the arrays of the state, as `_print`. Coins. `values` are the `tangents`, `unseen_share` is
    that of each row, or one for all where the board learns.
    """
    (rows, times, sides, sizes, kinds), (last_ns, revision, faults) = prints, counts
    all_u, shown, limits, unexplained, changes = events
    shares, half_shares, direction, reversion = tables
    stack, sums, out = np.empty((8, _P)), np.empty((8, NODES)), np.empty((6, NODES))
    parts, means, terms = np.empty((4, NODES)), np.empty((2, NODES)), np.empty(SUMS)
    for j in range(at.size):
        k = at[j]
        row, side, size, kind = rows[k], sides[k], sizes[k], kinds[k]
        interest = all_interest[row]
        growth = unseen_share[0 if learning else row] * size
        limit, next_interest = _limits(interest, shown[k], limits[k], growth)
        known = 0.0 if np.isnan(all_u[k]) else 1.0
        u = all_u[k] if known > 0.0 else 0.0
        if learning:
            mean = values[_P * NODES, j]
            _board(moments, row, kind, side, size, u, known, interest, mean, shares, parts, terms, hour_sums)
        _quadrature(
            moments, row, j, kind, side, u, known, interest, values, half_shares, direction, reversion, base, slope,
            stack, sums,
        )  # fmt: skip
        by_print, by_interest = _moved(moments, row, side, size, sums, out, parts, means)
        if np.isnan(shown[k]):
            position = _known(out)
            limit, next_interest = max(limit, position), max(next_interest, position)
        faults[columns.BELOW_POSITION] += _store(moments, all_sums, row, limit, unexplained[k], out, parts[0])
        _add_option(
            all_sums, row, kind, side, size, u, known, by_print, by_interest, unexplained[k], changes[k], terms,
            learning,
        )  # fmt: skip
        all_interest[row] = next_interest
        last_ns[row] = max(last_ns[row], times[k])
        revision[row] += 1


# ---- time without prints -------------------------------------------------------------------------------------------


@loop(types.void(MOMENTS, TABLE, ROWS_IN, COLUMN_IN, types.UniTuple(COLUMN_IN, 4), float64))
def age(
    moments: F64, all_sums: F64, rows: I64, all_interest: F64, ageing: tuple[F64, F64, F64, F64], drift: float
) -> None:
    """Ages options, as `advance` does: `ageing` are the decay of netting noise, the share of directions that turned,
    the decay of recent sums, and the days.

    Units: coins, days. Shapes: (6, NODES, n), (n, SUMS), (k,), (n,), four of (k,).
    """
    decay, turned, recent, days = ageing
    out, parts, spread = np.empty((6, NODES)), np.empty((2, NODES)), np.empty((3, NODES))
    for j in range(rows.size):
        row, netting, turn = rows[j], decay[j], turned[j]
        interest = all_interest[row]
        noise = (NETTING_SD * interest) * (NETTING_SD * interest) * (1.0 - netting * netting)
        for i in range(NODES):
            weight, mean_q, var_q, cov = moments[0, i, row], moments[1, i, row], moments[3, i, row], moments[4, i, row]
            out[2, i] = mean_q + netting * (moments[2, i, row] - mean_q)
            var_g = (
                var_q + 2.0 * netting * (cov - var_q) + netting * netting * ((moments[5, i, row] - 2.0 * cov) + var_q)
            )
            out[5, i], out[4, i] = var_g + noise, var_q + netting * (cov - var_q)
            parts[0, i], parts[1, i] = weight * mean_q, weight * out[2, i]
        all_q, all_g = fold(parts[0]), fold(parts[1])
        for i in range(NODES):
            weight, from_q, from_g = moments[0, i, row], moments[1, i, row] - all_q, out[2, i] - all_g
            spread[0, i] = weight * (moments[3, i, row] + from_q * from_q)
            spread[1, i] = weight * (out[4, i] + from_q * from_g)
            spread[2, i] = weight * (out[5, i] + from_g * from_g)
        spread_q, spread_c, spread_g = fold(spread[0]), fold(spread[1]), fold(spread[2])
        for i in range(NODES):
            weight, from_q, from_g = moments[0, i, row], moments[1, i, row] - all_q, out[2, i] - all_g
            out[0, i] = weight + turn * (NODE_PRIOR[i] - weight)
            stay, enter = (1.0 - turn) * weight / out[0, i], turn * NODE_PRIOR[i] / out[0, i]
            both = stay * enter
            out[1, i], out[2, i] = moments[1, i, row] - enter * from_q, out[2, i] - enter * from_g
            out[3, i] = stay * moments[3, i, row] + enter * spread_q + both * from_q * from_q
            out[4, i] = stay * out[4, i] + enter * spread_c + both * from_q * from_g
            out[5, i] = stay * out[5, i] + enter * spread_g + both * from_g * from_g
        bound(out, interest)
        for i in range(NODES):
            for m in range(6):
                moments[m, i, row] = out[m, i]
        for column in range(columns.RECENT_COUNT, columns.RECENT_SIDE + 1):
            all_sums[row, column] *= recent[j]
        all_sums[row, columns.DRIFT] += (drift * interest) * (drift * interest) * days[j]
