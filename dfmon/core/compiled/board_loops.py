"""What a refresh sums over the board: exposures of each option, sums by cell, the heat-map's kernel and its scatter."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numba import float64, types

from dfmon.core.black import F64
from dfmon.core.compiled.parts import (
    COLUMN,
    INDEX,
    INV_ROOT_PI,
    ROOT_HALF,
    Index,
    exp,
    forms,
    inline,
    loop,
    on_contiguous,
    tail,
)
from dfmon.core.settlement import DAY

_SEVEN: Final = types.UniTuple(types.Array(float64, 1, "C"), 7)
_BOARD: Final = types.Array(float64, 2, "C")
_FIELDS: Final = types.Array(float64, 3, "C")
_WEIGHTS: Final = types.Array(float64, 4, "C")


# ---- exposures -------------------------------------------------------------------------------------------------------


@loop(types.int64(*[COLUMN] * 7, _SEVEN))
def _exposures(
    forward: F64, strike: F64, sigma: F64, tau: F64, later: F64, left: F64, option_type: F64, rows: tuple[F64, ...]
) -> int:
    ngi, vss, chl, volg, vega, theta, unwind = rows
    wrong = 0
    for i in range(forward.shape[0]):
        f, side, vol = forward[i], option_type[i], sigma[i]
        far, gamma, of_vol, of_time, vanna, _, volga, d1, x, fine = forms(f, strike[i], vol, tau[i])
        delta = side * (1.0 - far if side * d1 >= 0.0 else far)
        total_sd = vol * math.sqrt(later[i])
        d = ROOT_HALF * (x / total_sd + 0.5 * total_sd)
        rest = tail(abs(d)) * (INV_ROOT_PI * exp(-d * d))
        goes_on = side * (1.0 - rest if side * d >= 0.0 else rest)
        settled = side if side * x > 0.0 else 0.0
        expires = left[i] <= DAY
        ngi[i], vss[i] = 0.01 * f * f * gamma, 0.01 * f * vanna
        chl[i] = f * ((settled if expires else goes_on) - delta)
        volg[i], vega[i], theta[i] = 1e-4 * volga, 0.01 * of_vol, DAY * of_time
        unwind[i] = f * delta if expires else 0.0
        wrong |= not (fine & (abs(side) == 1.0) & (later[i] > 0.0) & (total_sd < 200.0) & (total_sd > 1e-20))
    return wrong


def exposures(
    forward: F64, strike: F64, sigma: F64, tau: F64, later: F64, left: F64, option_type: F64, matrix: F64
) -> bool:
    """The seven exposures of +1 unit into the rows of `matrix`; False if a row is out of order.

    `tau` is the time that prices now, `later` that of a day on, `left` the time to expiry, all on the same strikes.

    Units: as vanna_charm_volga.UnitExposure.
    Shapes: (n,) each, (7, n).
    Domain: any floats.
    Source: as vanna_charm_volga.unit_exposures.
    """
    columns = forward, strike, sigma, tau, later, left, option_type
    return not on_contiguous(_exposures, columns, tuple(matrix))


@loop(types.void(types.Array(float64, 2, "A"), COLUMN, INDEX, _BOARD))
def _group_sums(matrix: F64, exposure: F64, codes: Index, sums: F64) -> None:
    for row, total in zip(range(matrix.shape[0]), range(sums.shape[0])):
        for i in range(codes.shape[0]):
            sums[total, codes[i]] += matrix[row, i] * exposure[i]


def group_sums(matrix: F64, exposure: F64, codes: Index, groups: int) -> F64:
    """Sums of the rows of `matrix`, times `exposure`, by group.

    Units: as vanna_charm_volga.group_totals.
    Shapes: (k, n), (n,), (n,) -> (k, groups).
    Domain: codes in [0, groups).
    Source: definition.
    """
    sums = np.zeros((matrix.shape[0], groups))
    _group_sums(matrix, np.ascontiguousarray(exposure), np.ascontiguousarray(codes), sums)
    return sums


# ---- heat-map --------------------------------------------------------------------------------------------------------


@loop(types.void(COLUMN, COLUMN, COLUMN, COLUMN, _WEIGHTS))
def _stencil(step: F64, scale: F64, basis: F64, along: F64, weights: F64) -> None:
    expiries, strikes = weights.shape[2:]
    for e in range(expiries):
        for n in range(strikes - 1):
            apart, near, far = step[n] * scale[e], (step[n] - basis[e]) * scale[e], (step[n] + basis[e]) * scale[e]
            beside = exp(-apart * apart)
            weights[0, 2, e, n] = weights[0, 0, e, n + 1] = beside
            weights[1, 2, e, n] = exp(along[e] - near * near)
            weights[1, 0, e, n + 1] = exp(along[e] - far * far)
        middle = exp(along[e] - (basis[e] * scale[e]) ** 2)
        for n in range(strikes):
            weights[0, 1, e, n] = 1.0
            weights[1, 1, e, n] = middle
        for k in range(2):
            weights[k, 0, e, 0] = weights[k, 2, e, strikes - 1] = 0.0


def stencil(step: F64, scale: F64, basis: F64, along: F64) -> F64:
    """Weights of the six neighbours: exp(-(distance x scale)^2), times exp(along) in the neighbour expiry.

    Units: step and basis in ln K.
    Shapes: step (N - 1,), the others (E,) -> (2, 3, E, N).
    Domain: finite, `along` also -inf; N >= 1.
    Source: as surface_grid.stencil.
    """
    weights = np.empty((2, 3, scale.shape[0], step.shape[0] + 1))
    on_contiguous(_stencil, (step, scale, basis, along), weights)
    return weights


@inline
def _take(below: F64, same: F64, above: F64, row: F64, out: F64) -> None:
    """Add to each node what it takes from its neighbours in one expiry."""
    last = out.shape[0] - 1
    for n in range(1, last):
        out[n] += below[n] * row[n - 1] + same[n] * row[n] + above[n] * row[n + 1]
    out[0] += same[0] * row[0]
    if last:
        out[0] += above[0] * row[1]
        out[last] += below[last] * row[last - 1] + same[last] * row[last]


@inline
def _give(below: F64, same: F64, above: F64, row: F64, out: F64) -> None:
    """Add to each node of an expiry the weights with which others take from it: `_take` the other way."""
    last = out.shape[0] - 1
    for n in range(1, last):
        out[n] += above[n - 1] * row[n - 1] + same[n] * row[n] + below[n + 1] * row[n + 1]
    out[0] += same[0] * row[0]
    if last:
        out[0] += below[1] * row[1]
        out[last] += above[last - 1] * row[last - 1] + same[last] * row[last]


@loop(types.void(_WEIGHTS, INDEX, _FIELDS, _BOARD, float64, _BOARD, _FIELDS))
def _scatter(weights: F64, neighbour: Index, mass: F64, receives: F64, least: float, given: F64, spread: F64) -> None:
    """`given` becomes what each node gives away, then `mass` what it gives of each field for a unit of weight."""
    fields, expiries, strikes = mass.shape
    for e in range(expiries):
        for k, source in ((0, e), (1, neighbour[e])):
            _give(weights[k, 0, e], weights[k, 1, e], weights[k, 2, e], receives[e], given[source])
    for e in range(expiries):
        for n in range(strikes):
            given[e, n] = 1.0 / max(given[e, n], least)
    for f in range(fields):
        for e in range(expiries):
            for n in range(strikes):
                mass[f, e, n] *= given[e, n]
        for e in range(expiries):
            for k, source in ((0, e), (1, neighbour[e])):
                _take(weights[k, 0, e], weights[k, 1, e], weights[k, 2, e], mass[f, source], spread[f, e])
            for n in range(strikes):
                spread[f, e, n] *= receives[e, n]


def scatter(weights: F64, neighbour: Index, mass: F64, receives: F64, least: float) -> F64:
    """Every node gives all it has to its neighbours that receive.

    Units: of the mass.
    Shapes: (2, 3, E, N), (E,), (k, E, N), (E, N) -> (k, E, N).
    Domain: finite; `receives` 0 or 1; no weight below `least` counts.
    Source: as surface_grid.scatter.
    """
    share, given, spread = mass.copy(), np.zeros(mass.shape[1:]), np.zeros(mass.shape)
    _scatter(weights, neighbour, share, receives, least, given, spread)
    return spread
