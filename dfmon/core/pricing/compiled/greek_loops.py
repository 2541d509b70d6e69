"""The greeks of options, with their price or without, each row or each pair in one pass."""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import types

from dfmon.core.pricing.black import F64
from dfmon.core.pricing.compiled.primitives import (
    COLUMN_TYPE,
    ROW_TYPE,
    call_with_contiguous,
    inline,
    loop,
    row_closed_forms,
    row_symmetric,
    row_tail_and_otm_price,
    wide_vectors,
)

EIGHT_ROWS_TYPE: Final = types.UniTuple(ROW_TYPE, 8)
_APART, _ADJACENT, _HALVES = 0, 1, 2
_TWO, _SECOND = np.uint64(2), np.uint64(1)  # an index without a sign needs no test for one below 0
_BLOCK: Final = 256
"""Points priced at a time: their inputs and results stay in the first-level cache."""


@loop(types.int64(*[COLUMN_TYPE] * 5, EIGHT_ROWS_TYPE, ROW_TYPE))
def _fill_greeks(
    forward: F64, strike: F64, sigma: F64, tau: F64, option_type: F64, rows: tuple[F64, ...], x: F64
) -> int:
    wide_vectors()
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


@loop(types.int64(*[COLUMN_TYPE] * 5, ROW_TYPE))
def _fill_delta(forward: F64, strike: F64, sigma: F64, tau: F64, option_type: F64, delta: F64) -> int:
    wide_vectors()
    out_of_domain = 0
    for i in range(forward.shape[0]):
        tail_probability, _, _, _, _, _, _, d1, _, in_domain = row_closed_forms(forward[i], strike[i], sigma[i], tau[i])
        side = option_type[i]
        complement = 1.0 - tail_probability
        delta[i] = side * (complement if side * d1 >= 0.0 else tail_probability)
        out_of_domain |= not (in_domain & (abs(side) == 1.0))
    return out_of_domain


@inline
def _priced_row(forward: float, strike: float, sigma: float, tau: float) -> tuple[float, ...]:
    """Prices and deltas of the call and of the put, what they share, and whether the row is in order."""
    gamma, vega, theta, vanna, charm, volga, d1, _, in_domain, density, h, t = row_symmetric(
        forward, strike, sigma, tau
    )
    tail_probability, otm = row_tail_and_otm_price(forward, strike, d1, density, h, t)
    complement, up = 1.0 - tail_probability, d1 >= 0.0
    call, put = complement if up else tail_probability, -tail_probability if up else -complement
    excess = forward - strike
    return (
        otm + max(excess, 0.0), otm + max(-excess, 0.0), call, put,
        gamma, vega, theta, vanna, charm, volga, in_domain,
    )  # fmt: skip


@inline
def _pair_layout(forward: F64, strike: F64, sigma: F64, tau: F64, option_type: F64) -> int:
    """Layout of calls and puts that agree; where some do not, all count as apart."""
    wide_vectors()
    n = forward.shape[0]
    m = n // 2
    if n == 0 or n != 2 * m or abs(option_type[0]) != 1.0:
        return _APART
    adjacent = m == 1 or option_type[0] != option_type[1]
    first, differs = option_type[0], 0
    if adjacent:
        for i in range(m):
            j, k = 2 * i, 2 * i + 1
            differs |= (option_type[j] != first) | (option_type[k] != -first) | (strike[j] != strike[k])
            differs |= (forward[j] != forward[k]) | (sigma[j] != sigma[k]) | (tau[j] != tau[k])
        return _APART if differs else _ADJACENT
    for i in range(m):
        k = m + i
        differs |= (option_type[i] != first) | (option_type[k] != -first) | (strike[i] != strike[k])
        differs |= (forward[i] != forward[k]) | (sigma[i] != sigma[k]) | (tau[i] != tau[k])
    return _APART if differs else _HALVES


@inline
def _price_block(block: F64, count: int) -> int:
    """Price points, of which forward, strike, sigma and time are the first four rows; nonzero if one is invalid."""
    wide_vectors()
    forward, strike, sigma, tau = block[0], block[1], block[2], block[3]
    call_price, call_delta, put_price, put_delta = block[4], block[5], block[6], block[7]
    gamma, vega, theta, vanna, charm, volga = block[8], block[9], block[10], block[11], block[12], block[13]
    out_of_domain = 0
    for i in range(count):
        (
            call_price[i], put_price[i], call_delta[i], put_delta[i],
            gamma[i], vega[i], theta[i], vanna[i], charm[i], volga[i], in_domain,
        ) = _priced_row(forward[i], strike[i], sigma[i], tau[i])  # fmt: skip
        out_of_domain |= not in_domain
    return out_of_domain


@inline
def _fill_adjacent(columns: tuple[F64, ...], rows: tuple[F64, ...], call_first: bool) -> int:
    """Price a chain in which each call stands beside its put."""
    wide_vectors()
    price, delta, gamma, vega, theta, vanna, charm, volga = rows
    block, out_of_domain, points = np.empty((14, _BLOCK)), 0, columns[0].shape[0] // 2
    first, second = (4, 6) if call_first else (6, 4)
    for start in range(0, points, _BLOCK):
        count = min(_BLOCK, points - start)
        for column, to in zip(columns, (0, 1, 2, 3)):
            row, pairs = block[to], column[2 * start : 2 * (start + count)]
            for i in range(count):
                row[i] = pairs[_TWO * np.uint64(i)]
        out_of_domain |= _price_block(block, count)
        for column, one, other in (
            (price, first, second), (delta, first + 1, second + 1),
            (gamma, 8, 8), (vega, 9, 9), (theta, 10, 10), (vanna, 11, 11), (charm, 12, 12), (volga, 13, 13),
        ):  # fmt: skip
            left, right, pairs = block[one], block[other], column[2 * start : 2 * (start + count)]
            for i in range(count):
                pairs[_TWO * np.uint64(i)] = left[i]
                pairs[_TWO * np.uint64(i) + _SECOND] = right[i]
    return out_of_domain


@inline
def _fill_halves(columns: tuple[F64, ...], rows: tuple[F64, ...], call_first: bool) -> int:
    """Price a chain whose second half are the puts of the first, or the other way round."""
    wide_vectors()
    price, delta, gamma, vega, theta, vanna, charm, volga = rows
    block, out_of_domain, points = np.empty((14, _BLOCK)), 0, columns[0].shape[0] // 2
    first, second = (4, 6) if call_first else (6, 4)
    for start in range(0, points, _BLOCK):
        count = min(_BLOCK, points - start)
        for column, to in zip(columns, (0, 1, 2, 3)):
            row, part = block[to], column[start : start + count]
            for i in range(count):
                row[i] = part[i]
        out_of_domain |= _price_block(block, count)
        for column, one, other in (
            (price, first, second), (delta, first + 1, second + 1),
            (gamma, 8, 8), (vega, 9, 9), (theta, 10, 10), (vanna, 11, 11), (charm, 12, 12), (volga, 13, 13),
        ):  # fmt: skip
            left, right = block[one], block[other]
            low, high = column[start : start + count], column[points + start : points + start + count]
            for i in range(count):
                low[i] = left[i]
                high[i] = right[i]
    return out_of_domain


@inline
def _fill_apart(columns: tuple[F64, ...], option_type: F64, rows: tuple[F64, ...]) -> int:
    """Price each option for itself."""
    wide_vectors()
    forward, strike, sigma, tau = columns
    price, delta, gamma, vega, theta, vanna, charm, volga = rows
    out_of_domain = 0
    for i in range(forward.shape[0]):
        call, put, call_delta, put_delta, gamma[i], vega[i], theta[i], vanna[i], charm[i], volga[i], in_domain = (
            _priced_row(forward[i], strike[i], sigma[i], tau[i])
        )
        side = option_type[i]
        price[i], delta[i] = call if side > 0.0 else put, call_delta if side > 0.0 else put_delta
        out_of_domain |= not (in_domain & (abs(side) == 1.0))
    return out_of_domain


@loop(types.int64(*[COLUMN_TYPE] * 5, EIGHT_ROWS_TYPE))
def _fill_priced(forward: F64, strike: F64, sigma: F64, tau: F64, option_type: F64, rows: tuple[F64, ...]) -> int:
    wide_vectors()
    layout, columns = _pair_layout(forward, strike, sigma, tau, option_type), (forward, strike, sigma, tau)
    if layout == _ADJACENT:
        return _fill_adjacent(columns, rows, option_type[0] > 0.0)
    if layout == _HALVES:
        return _fill_halves(columns, rows, option_type[0] > 0.0)
    return _fill_apart(columns, option_type, rows)


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


def fill_delta(forward: F64, strike: F64, sigma: F64, tau: F64, option_type: F64, delta: F64) -> bool:
    """Delta alone; False if a row is out of order, as for `fill_greeks`.

    Units, source: as `fill_greeks`.
    Shapes: (n,) each.
    """
    return not call_with_contiguous(_fill_delta, (forward, strike, sigma, tau, option_type), delta)


def fill_priced(forward: F64, strike: F64, sigma: F64, tau: F64, option_type: F64, rows: tuple[F64, ...]) -> bool:
    """The same with the price in the first row; a call and a put that agree are priced once, if adjacent or in halves.

    Units, domain: as `fill_greeks`.
    Shapes: (n,) each, eight rows of (n,).
    Source: black.otm_price; put-call parity.
    """
    return not call_with_contiguous(_fill_priced, (forward, strike, sigma, tau, option_type), rows)
