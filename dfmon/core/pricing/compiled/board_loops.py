"""What a refresh sums over the board: exposures of each option, the roll-up, the heat-map's kernel and its scatter."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numba import float64, types

from dfmon.core.pricing.black import F64, Mask
from dfmon.core.pricing.compiled.parts import (
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
    summed,
    tail,
)
from dfmon.core.pricing.settlement import DAY, EUROPEAN_ABOVE, WINDOW

_SEVEN: Final = types.UniTuple(types.Array(float64, 1, "C"), 7)
_BOARD: Final = types.Array(float64, 2, "C")
_FIELDS: Final = types.Array(float64, 3, "C")
_WEIGHTS: Final = types.Array(float64, 4, "C")
_LISTED: Final = types.Array(types.boolean, 2, "C")


# ---- exposures -------------------------------------------------------------------------------------------------------


@inline
def _averaged(left: float, average: bool) -> float:
    """Time that prices before the settlement window: see settlement_terms."""
    return left - WINDOW * (2.0 / 3.0) if average and left < EUROPEAN_ABOVE else left


@loop(types.int64(*[COLUMN] * 5, types.boolean, _SEVEN))
def _exposures(
    forward: F64, strike: F64, sigma: F64, tau: F64, option_type: F64, average: bool, rows: tuple[F64, ...]
) -> int:
    ngi, vss, chl, volg, vega, theta, unwind = rows
    wrong = 0
    for i in range(forward.shape[0]):
        f, side, vol, left = forward[i], option_type[i], sigma[i], tau[i]
        expires = left <= DAY
        after = DAY if expires else left - DAY  # any valid time: these go to their settlement delta instead
        far, gamma, of_vol, of_time, vanna, _, volga, d1, x, fine = forms(f, strike[i], vol, _averaged(left, average))
        delta = side * (1.0 - far if side * d1 >= 0.0 else far)
        total_sd = vol * math.sqrt(_averaged(after, average))
        d = ROOT_HALF * (x / total_sd + 0.5 * total_sd)
        rest = tail(abs(d)) * (INV_ROOT_PI * exp(-d * d))
        goes_on = side * (1.0 - rest if side * d >= 0.0 else rest)
        settled = side if side * x > 0.0 else 0.0
        ngi[i], vss[i] = 0.01 * f * f * gamma, 0.01 * f * vanna
        chl[i] = f * ((settled if expires else goes_on) - delta)
        volg[i], vega[i], theta[i] = 1e-4 * volga, 0.01 * of_vol, DAY * of_time
        unwind[i] = f * delta if expires else 0.0
        before = (left >= WINDOW) & (after >= WINDOW)
        wrong |= not (fine & before & (abs(side) == 1.0) & (total_sd < 200.0) & (total_sd > 1e-20))
    return wrong


def exposures(forward: F64, strike: F64, sigma: F64, tau: F64, option_type: F64, average: bool, matrix: F64) -> bool:
    """The seven exposures of +1 unit into the rows of `matrix`; False if a row is out of order.

    `average`: settled on the average of the last half hour. Rows in it, now or a day on, are out of order.

    Units: as unit_exposure.UnitExposure.
    Shapes: (n,) each, (7, n).
    Domain: any floats.
    Source: as unit_exposure.unit_exposures.
    """
    columns = forward, strike, sigma, tau, option_type
    return not on_contiguous(_exposures, columns, average, tuple(matrix))


@summed
def _sum(row: F64) -> float:
    total = 0.0
    for n in range(row.shape[0]):
        total += row[n]
    return total


@loop(types.void(types.Array(float64, 2, "A"), COLUMN, INDEX, _FIELDS, _BOARD, _BOARD))
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
    held, at = np.ascontiguousarray(exposure), np.ascontiguousarray(cell)
    _roll_up(matrix, held, at, cells, by_expiry, by_strike)
    return cells, by_expiry, by_strike


# ---- heat-map --------------------------------------------------------------------------------------------------------


@loop(types.void(*[COLUMN] * 4, INDEX, types.UniTuple(float64, 3), _WEIGHTS))
def _stencil(
    strike: F64, forward: F64, tau: F64, atm_sigma: F64, neighbour: Index, bandwidths: tuple[float, ...], weights: F64
) -> None:
    expiries, strikes = weights.shape[2:]
    across, along, reach = bandwidths
    step = np.log(strike[1:] / strike[:-1])
    for e in range(expiries):
        other = neighbour[e]
        gap = math.log(tau[other] / tau[e]) / along
        fade = -0.5 * gap * gap if abs(gap) <= reach and expiries > 1 else -np.inf
        scale = ROOT_HALF / (across * atm_sigma[e] * math.sqrt(tau[e]))
        basis = math.log(forward[other] / forward[e])
        for n in range(strikes - 1):
            apart, near, far = step[n] * scale, (step[n] - basis) * scale, (step[n] + basis) * scale
            beside = exp(-apart * apart)
            weights[0, 2, e, n] = weights[0, 0, e, n + 1] = beside
            weights[1, 2, e, n] = exp(fade - near * near)
            weights[1, 0, e, n + 1] = exp(fade - far * far)
        middle = exp(fade - (basis * scale) ** 2)
        for n in range(strikes):
            weights[0, 1, e, n] = 1.0
            weights[1, 1, e, n] = middle
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
    on_contiguous(_stencil, (strike, forward, tau, atm_sigma), neighbour, bandwidths, weights)
    return weights


@inline
def _give(below: F64, same: F64, above: F64, row: F64, out: F64) -> None:
    """Add to each node of an expiry the weights with which the nodes of `row` take from it."""
    for n in range(out.shape[0]):
        out[n] += same[n] * row[n]
    for n in range(1, out.shape[0]):
        out[n] += above[n - 1] * row[n - 1]
    for n in range(out.shape[0] - 1):
        out[n] += below[n + 1] * row[n + 1]


@inline
def _finite(value: float) -> float:
    return value if abs(value) < np.inf else 0.0


@loop(types.void(_WEIGHTS, INDEX, _FIELDS, _LISTED, float64, _BOARD, _BOARD, _FIELDS, _FIELDS))
def _scatter(
    weights: F64, neighbour: Index, mass: F64, listed: Mask, least: float, receives: F64, given: F64, share: F64,
    spread: F64,
) -> None:  # fmt: skip
    """`share` becomes what each node gives of each field for a unit of weight: its mass over all that it gives away.

    Its rows begin and end with a 0, so that every node has a neighbour below and above.
    """
    fields, expiries, strikes = mass.shape
    for e in range(expiries):
        for n in range(strikes):
            receives[e, n] = listed[e, n]
        for f in range(fields):
            for n in range(strikes):
                receives[e, n] = 1.0 if _finite(mass[f, e, n]) != 0.0 else receives[e, n]
    for e in range(expiries):
        for k, source in ((0, e), (1, neighbour[e])):
            _give(weights[k, 0, e], weights[k, 1, e], weights[k, 2, e], receives[e], given[source])
    for e in range(expiries):
        for n in range(strikes):
            given[e, n] = 1.0 / max(given[e, n], least)
        for f in range(fields):
            share[f, e, 0] = share[f, e, strikes + 1] = 0.0
            for n in range(strikes):
                share[f, e, n + 1] = _finite(mass[f, e, n]) * given[e, n]
    for e in range(expiries):
        below, same, above = weights[0, 0, e], weights[0, 1, e], weights[0, 2, e]
        beneath, beside, over = weights[1, 0, e], weights[1, 1, e], weights[1, 2, e]
        takes = receives[e]
        for f in range(fields):
            row, along, out = share[f, e], share[f, neighbour[e]], spread[f, e]
            for n in range(strikes):
                here = below[n] * row[n] + same[n] * row[n + 1] + above[n] * row[n + 2]
                there = beneath[n] * along[n] + beside[n] * along[n + 1] + over[n] * along[n + 2]
                out[n] = takes[n] * (here + there)


def scatter(weights: F64, neighbour: Index, mass: F64, listed: Mask, least: float) -> F64:
    """Every node gives all it has to those of its neighbours that are listed or have something themselves.

    Units: of the mass.
    Shapes: (2, 3, E, N), (E,), (k, E, N), (E, N) -> (k, E, N).
    Domain: any floats; no weight below `least` counts.
    Source: as surface_grid.scatter.
    """
    mass, listed, (fields, expiries, strikes) = np.ascontiguousarray(mass), np.ascontiguousarray(listed), mass.shape
    receives, given = np.empty(listed.shape), np.zeros(listed.shape)
    share, spread = np.empty((fields, expiries, strikes + 2)), np.empty(mass.shape)
    _scatter(weights, neighbour, mass, listed, least, receives, given, share, spread)
    return spread
