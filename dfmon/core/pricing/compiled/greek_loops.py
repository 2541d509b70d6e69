"""The seven greeks of options, of pairs and of a listing, each row in one pass."""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import types

from dfmon.core.pricing.black import F64
from dfmon.core.pricing.compiled.primitives import (
    COLUMN_TYPE,
    INDEX_TYPE,
    ROW_TYPE,
    Index,
    call_with_contiguous,
    loop,
    row_closed_forms,
)

EIGHT_ROWS_TYPE: Final = types.UniTuple(ROW_TYPE, 8)


@loop(types.int64(*[COLUMN_TYPE] * 5, EIGHT_ROWS_TYPE, ROW_TYPE))
def _fill_greeks(
    forward: F64, strike: F64, sigma: F64, tau: F64, option_type: F64, rows: tuple[F64, ...], x: F64
) -> int:
    _, delta, gamma, vega, theta, vanna, charm, volga = rows
    out_of_domain = 0
    for i in range(forward.shape[0]):
        tail_probability, gamma[i], vega[i], theta[i], vanna[i], charm[i], volga[i], d1, x[i], in_domain = (
            row_closed_forms(forward[i], strike[i], sigma[i], tau[i])
        )
        side = option_type[i]
        complement = 1.0 - tail_probability
        delta[i] = side * (complement if side * d1 >= 0.0 else tail_probability)
        out_of_domain |= not (in_domain & (abs(side) == 1.0))
    return out_of_domain


@loop(types.int64(*[COLUMN_TYPE] * 4, EIGHT_ROWS_TYPE))
def _fill_pair_greeks(forward: F64, strike: F64, sigma: F64, tau: F64, rows: tuple[F64, ...]) -> int:
    put, call, gamma, vega, theta, vanna, charm, volga = rows
    out_of_domain = 0
    for i in range(forward.shape[0]):
        tail_probability, gamma[i], vega[i], theta[i], vanna[i], charm[i], volga[i], d1, _, in_domain = (
            row_closed_forms(forward[i], strike[i], sigma[i], tau[i])
        )
        up = d1 >= 0.0
        complement = 1.0 - tail_probability
        call[i] = complement if up else tail_probability
        put[i] = -tail_probability if up else -complement
        out_of_domain |= not in_domain
    return out_of_domain


@loop(types.int64(*[COLUMN_TYPE] * 2, *[INDEX_TYPE] * 2, *[COLUMN_TYPE] * 2, EIGHT_ROWS_TYPE))
def _fill_listing_greeks(
    forward: F64, sigma: F64, option: Index, partner: Index, strike: F64, tau: F64, rows: tuple[F64, ...]
) -> int:
    at = np.empty((2, option.shape[0]))
    differs = 0
    for i in range(option.shape[0]):
        row, partner_row = np.uint64(option[i]), np.uint64(partner[i])
        at[0, i], at[1, i] = forward[row], sigma[row]
        differs |= (forward[partner_row] != forward[row]) | (sigma[partner_row] != sigma[row])
    return 1 if differs else _fill_pair_greeks(at[0], strike, at[1], tau, rows)


def fill_greeks(
    forward: F64, strike: F64, sigma: F64, tau: F64, option_type: F64, rows: tuple[F64, ...], x: F64
) -> bool:
    """Delta, gamma, vega, theta, vanna, charm and volga into the last seven `rows`, ln(F/K) into `x`.

    False if a row is out of order: what has been written is then to be priced anew.

    Units: as greeks.
    Shapes: (n,) each, eight rows of (n,).
    Source: closed_forms; the tail as normal.tail_ratio.
    """
    return not call_with_contiguous(_fill_greeks, (forward, strike, sigma, tau, option_type), rows, x)


def fill_pair_greeks(forward: F64, strike: F64, sigma: F64, tau: F64, rows: tuple[F64, ...]) -> bool:
    """The same for the call and the put of each point; the first of the rows is the put's delta.

    Units, domain, source: as `fill_greeks`.
    Shapes: (m,) each, eight rows of (m,).
    """
    return not call_with_contiguous(_fill_pair_greeks, (forward, strike, sigma, tau), rows)


def fill_listing_greeks(
    forward: F64, sigma: F64, option: Index, partner: Index, strike: F64, tau: F64, rows: tuple[F64, ...]
) -> bool:
    """The same from the columns of all options: point i lies on `option[i]`, and False too if `partner[i]` differs.

    Units, domain, source: as `fill_greeks`.
    Shapes: (n,), (n,); the others (m,), eight rows of (m,).
    """
    try:
        return not _fill_listing_greeks(forward, sigma, option, partner, strike, tau, rows)
    except TypeError:  # columns of another layout
        return False
