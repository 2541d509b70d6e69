"""Sums of a refresh over the board: exposures of each option, the roll-up, the heat-map's kernel and its scatter."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numba import float64, types

from dfmon.core.pricing.black import F64, Mask
from dfmon.core.pricing.compiled.primitives import (
    COLUMN_TYPE,
    INDEX_TYPE,
    INV_ROOT_PI,
    ROOT_HALF,
    Index,
    call_with_contiguous,
    exp,
    inline,
    loop,
    row_closed_forms,
    sum_inline,
    tail,
    wide_vectors,
)
from dfmon.core.pricing.settlement import AVERAGE_DELAY, BLEND_SPAN, DAY, EUROPEAN_ABOVE, HOUR, WINDOW

_ROWS_TYPE: Final = types.UniTuple(types.Array(float64, 1, "C"), 10)
_BOARD_TYPE: Final = types.Array(float64, 2, "C")
_FIELDS_TYPE: Final = types.Array(float64, 3, "C")
_WEIGHTS_TYPE: Final = types.Array(float64, 4, "C")
_LISTED_TYPE: Final = types.Array(types.boolean, 2, "C")


# ---- exposures -------------------------------------------------------------------------------------------------------


@inline
def _pricing_time(time_left: float, average: bool) -> float:
    """Time that prices before the settlement window: see settlement_terms."""
    blend = max(min((EUROPEAN_ABOVE - time_left) / BLEND_SPAN, 1.0), 0.0)
    return time_left - AVERAGE_DELAY * blend if average else time_left


@inline
def _delta_later(side: float, x: float, total_sd: float) -> float:
    """Delta of an option whose ln(F/K) is known."""
    d = ROOT_HALF * (x / total_sd + 0.5 * total_sd)
    tail_probability = tail(abs(d)) * (INV_ROOT_PI * exp(-d * d))
    return side * (1.0 - tail_probability if side * d >= 0.0 else tail_probability)


@loop(types.int64(*[COLUMN_TYPE] * 5, types.boolean, _ROWS_TYPE))
def _exposures(
    forward: F64, strike: F64, sigma: F64, tau: F64, option_type: F64, average: bool, rows: tuple[F64, ...]
) -> int:
    wide_vectors()
    ngi, vss, chl, volg, vega, theta, unwind, chl_1h, unwind_at_window, unwind_left = rows
    out_of_domain = 0
    for i in range(forward.shape[0]):
        f, side, vol, time_left = forward[i], option_type[i], sigma[i], tau[i]
        expires = time_left <= DAY
        in_day, in_hour = max(time_left - DAY, WINDOW), max(time_left - HOUR, WINDOW)
        tail_probability, gamma, vega_per_vol, theta_per_year, vanna, _, volga, d1, x, in_domain = row_closed_forms(
            f, strike[i], vol, _pricing_time(time_left, average)
        )
        delta = side * (1.0 - tail_probability if side * d1 >= 0.0 else tail_probability)
        total_sd = vol * math.sqrt(_pricing_time(in_day, average))  # the shortest: it decides about all
        delta_in_day = _delta_later(side, x, total_sd)
        delta_in_hour = _delta_later(side, x, vol * math.sqrt(_pricing_time(in_hour, average)))
        ngi[i], vss[i] = 0.01 * f * f * gamma, 0.01 * f * vanna
        chl[i], chl_1h[i] = f * (delta_in_day - delta), f * (delta_in_hour - delta)
        volg[i], vega[i], theta[i] = 1e-4 * volga, 0.01 * vega_per_vol, DAY * theta_per_year
        unwind[i], unwind_at_window[i] = (f * delta, f * delta_in_day) if expires else (0.0, 0.0)
        unwind_left[i] = 0.0  # only rows in their window have any, and these are out of order here
        outside_window = time_left >= WINDOW
        out_of_domain |= not (in_domain & outside_window & (abs(side) == 1.0) & (total_sd < 200.0) & (total_sd > 1e-20))
    return out_of_domain


def exposures(forward: F64, strike: F64, sigma: F64, tau: F64, option_type: F64, average: bool, matrix: F64) -> bool:
    """The ten exposures of +1 unit into the rows of `matrix`; False if a row is out of order.

    `average`: settled on the average of the last half hour. Rows in it are out of order.

    Units: as unit_exposure.UnitExposure.
    Shapes: (n,) each, (10, n).
    Source: as unit_exposure.unit_exposures.
    """
    columns = forward, strike, sigma, tau, option_type
    return not call_with_contiguous(_exposures, columns, average, tuple(matrix))


@sum_inline
def _sum(row: F64) -> float:
    total = 0.0
    for n in range(row.shape[0]):
        total += row[n]
    return total


@loop(types.void(types.Array(float64, 2, "A"), COLUMN_TYPE, INDEX_TYPE, _FIELDS_TYPE, _BOARD_TYPE, _BOARD_TYPE))
def _roll_up(matrix: F64, exposure: F64, cell: Index, cells: F64, by_expiry: F64, by_strike: F64) -> None:
    metrics, expiries, strikes = cells.shape
    for k in range(metrics):
        board = cells[k].reshape(expiries * strikes)
        for i in range(cell.shape[0]):
            board[cell[i]] += matrix[k, i] * exposure[i]
        for e in range(expiries):
            by_expiry[k, e] = _sum(cells[k, e])
            for n in range(strikes):
                by_strike[k, n] += cells[k, e, n]


def roll_up(matrix: F64, exposure: F64, cell: Index, expiries: int, strikes: int) -> tuple[F64, F64, F64]:
    """Sums of the rows of `matrix`, times `exposure`, by cell of the board, by expiry and by strike.

    Units, domain, source: as vanna_charm_volga.roll_up.
    Shapes: (k, n), (n,), (n,) -> (k, expiries, strikes), (k, expiries), (k, strikes).
    """
    metrics = matrix.shape[0]
    cells, by_expiry = np.zeros((metrics, expiries, strikes)), np.empty((metrics, expiries))
    by_strike = np.zeros((metrics, strikes))
    contiguous_exposure, contiguous_cell = np.ascontiguousarray(exposure), np.ascontiguousarray(cell)
    _roll_up(matrix, contiguous_exposure, contiguous_cell, cells, by_expiry, by_strike)
    return cells, by_expiry, by_strike


# ---- heat-map --------------------------------------------------------------------------------------------------------


@loop(types.void(*[COLUMN_TYPE] * 4, INDEX_TYPE, types.UniTuple(float64, 3), _WEIGHTS_TYPE))
def _stencil(
    strike: F64, forward: F64, tau: F64, atm_sigma: F64, neighbour: Index, bandwidths: tuple[float, ...], weights: F64
) -> None:
    expiries, strikes = weights.shape[2:]
    across, along, max_bandwidths = bandwidths
    step = np.log(strike[1:] / strike[:-1])
    for e in range(expiries):
        other = neighbour[e]
        gap = math.log(tau[other] / tau[e]) / along
        expiry_exponent = -0.5 * gap * gap if abs(gap) <= max_bandwidths and expiries > 1 else -np.inf
        scale = ROOT_HALF / (across * atm_sigma[e] * math.sqrt(tau[e]))
        basis = math.log(forward[other] / forward[e])
        for n in range(strikes - 1):
            same_expiry, other_up, other_down = step[n] * scale, (step[n] - basis) * scale, (step[n] + basis) * scale
            kernel_weight = exp(-same_expiry * same_expiry)
            weights[0, 2, e, n] = weights[0, 0, e, n + 1] = kernel_weight
            weights[1, 2, e, n] = exp(expiry_exponent - other_up * other_up)
            weights[1, 0, e, n + 1] = exp(expiry_exponent - other_down * other_down)
        expiry_weight = exp(expiry_exponent - (basis * scale) ** 2)
        for n in range(strikes):
            weights[0, 1, e, n] = 1.0
            weights[1, 1, e, n] = expiry_weight
        for k in range(2):
            weights[k, 0, e, 0] = weights[k, 2, e, strikes - 1] = 0.0


def stencil(
    strike: F64, forward: F64, tau: F64, atm_sigma: F64, neighbour: Index, bandwidths: tuple[float, ...]
) -> F64:
    """Weights of the six neighbours in log-moneyness.

    Bandwidths: across strikes in deviations, along expiries in ln T, and how many of the latter an expiry reaches.

    Units, domain, source: as surface_grid.stencil.
    Shapes: strike (N,), the others (E,) -> (2, 3, E, N).
    """
    weights = np.empty((2, 3, tau.shape[0], strike.shape[0]))
    call_with_contiguous(_stencil, (strike, forward, tau, atm_sigma), neighbour, bandwidths, weights)
    return weights


@inline
def _add_neighbour_weights(below: F64, same: F64, above: F64, row: F64, out: F64) -> None:
    """Adds to each node of an expiry the weights with which the nodes of `row` take from it."""
    for n in range(out.shape[0]):
        out[n] += same[n] * row[n]
    for n in range(1, out.shape[0]):
        out[n] += above[n - 1] * row[n - 1]
    for n in range(out.shape[0] - 1):
        out[n] += below[n + 1] * row[n + 1]


@inline
def _finite(value: float) -> float:
    return value if abs(value) < np.inf else 0.0


@loop(
    types.void(
        _WEIGHTS_TYPE,
        INDEX_TYPE,
        _FIELDS_TYPE,
        _LISTED_TYPE,
        float64,
        _BOARD_TYPE,
        _BOARD_TYPE,
        _FIELDS_TYPE,
        _FIELDS_TYPE,
    )
)
def _scatter(
    weights: F64, neighbour: Index, mass: F64, listed: Mask, min_weight: float, receivers: F64, weight_sums: F64, share:
    F64, smoothed: F64,
) -> None:  # fmt: skip
    """`share` becomes what each node gives of each field for a unit of weight: its mass over all that it gives away.

    Its rows begin and end with a 0, so that every node has a neighbour below and above.
    """
    fields, expiries, strikes = mass.shape
    for e in range(expiries):
        for n in range(strikes):
            receivers[e, n] = listed[e, n]
        for f in range(fields):
            for n in range(strikes):
                receivers[e, n] = 1.0 if _finite(mass[f, e, n]) != 0.0 else receivers[e, n]
    for e in range(expiries):
        for k, source in ((0, e), (1, neighbour[e])):
            _add_neighbour_weights(
                weights[k, 0, e], weights[k, 1, e], weights[k, 2, e], receivers[e], weight_sums[source]
            )
    for e in range(expiries):
        for n in range(strikes):
            weight_sums[e, n] = 1.0 / max(weight_sums[e, n], min_weight)
        for f in range(fields):
            share[f, e, 0] = share[f, e, strikes + 1] = 0.0
            for n in range(strikes):
                share[f, e, n + 1] = _finite(mass[f, e, n]) * weight_sums[e, n]
    for e in range(expiries):
        below, same, above = weights[0, 0, e], weights[0, 1, e], weights[0, 2, e]
        other_below, other_same, other_above = weights[1, 0, e], weights[1, 1, e], weights[1, 2, e]
        row_receivers = receivers[e]
        for f in range(fields):
            row, along, out = share[f, e], share[f, neighbour[e]], smoothed[f, e]
            for n in range(strikes):
                own_sum = below[n] * row[n] + same[n] * row[n + 1] + above[n] * row[n + 2]
                other_sum = other_below[n] * along[n] + other_same[n] * along[n + 1] + other_above[n] * along[n + 2]
                out[n] = row_receivers[n] * (own_sum + other_sum)


def scatter(weights: F64, neighbour: Index, mass: F64, listed: Mask, min_weight: float) -> F64:
    """Every node gives all it has to those of its neighbours that are listed or have something themselves.

    Units: of the mass.
    Shapes: (2, 3, E, N), (E,), (k, E, N), (E, N) -> (k, E, N).
    Domain: any floats; no weight below `min_weight` counts.
    Source: as surface_grid.scatter.
    """
    mass, listed, (fields, expiries, strikes) = np.ascontiguousarray(mass), np.ascontiguousarray(listed), mass.shape
    receivers, weight_sums = np.empty(listed.shape), np.zeros(listed.shape)
    share, smoothed = np.empty((fields, expiries, strikes + 2)), np.empty(mass.shape)
    _scatter(weights, neighbour, mass, listed, min_weight, receivers, weight_sums, share, smoothed)
    return smoothed
