"""The seven greeks of options, of pairs and of a listing, each row in one pass."""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import types

from dfmon.core.pricing.black import F64
from dfmon.core.pricing.compiled.parts import COLUMN, INDEX, ROW, Index, forms, loop, on_contiguous

EIGHT: Final = types.UniTuple(ROW, 8)


@loop(types.int64(*[COLUMN] * 5, EIGHT, ROW))
def _seven(forward: F64, strike: F64, sigma: F64, tau: F64, option_type: F64, rows: tuple[F64, ...], x: F64) -> int:
    _, delta, gamma, vega, theta, vanna, charm, volga = rows
    wrong = 0
    for i in range(forward.shape[0]):
        far, gamma[i], vega[i], theta[i], vanna[i], charm[i], volga[i], d1, x[i], fine = forms(
            forward[i], strike[i], sigma[i], tau[i]
        )
        side = option_type[i]
        near = 1.0 - far
        delta[i] = side * (near if side * d1 >= 0.0 else far)
        wrong |= not (fine & (abs(side) == 1.0))
    return wrong


@loop(types.int64(*[COLUMN] * 4, EIGHT))
def _seven_of_pairs(forward: F64, strike: F64, sigma: F64, tau: F64, rows: tuple[F64, ...]) -> int:
    put, call, gamma, vega, theta, vanna, charm, volga = rows
    wrong = 0
    for i in range(forward.shape[0]):
        far, gamma[i], vega[i], theta[i], vanna[i], charm[i], volga[i], d1, _, fine = forms(
            forward[i], strike[i], sigma[i], tau[i]
        )
        up = d1 >= 0.0
        near = 1.0 - far
        call[i] = near if up else far
        put[i] = -far if up else -near
        wrong |= not fine
    return wrong


@loop(types.int64(*[COLUMN] * 2, *[INDEX] * 2, *[COLUMN] * 2, EIGHT))
def _seven_of_listing(
    forward: F64, sigma: F64, option: Index, partner: Index, strike: F64, tau: F64, rows: tuple[F64, ...]
) -> int:
    at = np.empty((2, option.shape[0]))
    apart = 0
    for i in range(option.shape[0]):
        here, there = np.uint64(option[i]), np.uint64(partner[i])
        at[0, i], at[1, i] = forward[here], sigma[here]
        apart |= (forward[there] != forward[here]) | (sigma[there] != sigma[here])
    return 1 if apart else _seven_of_pairs(at[0], strike, at[1], tau, rows)


def seven(forward: F64, strike: F64, sigma: F64, tau: F64, option_type: F64, rows: tuple[F64, ...], x: F64) -> bool:
    """Delta, gamma, vega, theta, vanna, charm and volga into the last seven `rows`, ln(F/K) into `x`.

    False if a row is out of order: what has been written is then to be priced anew.

    Units: as greeks.
    Shapes: (n,) each, eight rows of (n,).
    Domain: any floats.
    Source: closed_forms; the tail as normal.tail_ratio.
    """
    return not on_contiguous(_seven, (forward, strike, sigma, tau, option_type), rows, x)


def seven_of_pairs(forward: F64, strike: F64, sigma: F64, tau: F64, rows: tuple[F64, ...]) -> bool:
    """The same for the call and the put of each point; the first of the rows is the put's delta.

    Units, domain, source: as `seven`.
    Shapes: (m,) each, eight rows of (m,).
    """
    return not on_contiguous(_seven_of_pairs, (forward, strike, sigma, tau), rows)


def seven_of_listing(
    forward: F64, sigma: F64, option: Index, partner: Index, strike: F64, tau: F64, rows: tuple[F64, ...]
) -> bool:
    """The same from the columns of all options: point i lies on `option[i]`, and False too if `partner[i]` differs.

    Units, domain, source: as `seven`.
    Shapes: (n,), (n,); the others (m,), eight rows of (m,).
    """
    try:
        return not _seven_of_listing(forward, sigma, option, partner, strike, tau, rows)
    except TypeError:  # columns of another layout
        return False
