"""Greeks of a chain in which every option is in order: one pass over the columns, without a mask.

A call and a put that agree in forward, strike, sigma and time, side by side or half a chain apart, are priced once.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TypeAlias

import numpy as np

from dfmon.core.pricing.black import F64
from dfmon.core.pricing.closed_forms import (
    fill_call_put_deltas,
    fill_density,
    fill_distances,
    fill_log_moneyness,
    fill_one_sided_delta,
    fill_price,
    fill_probability_between,
    fill_sensitivities,
    fill_tail,
    finite,
)
from dfmon.core.pricing.greek_buffers import GreekBuffers, PairScratch
from dfmon.core.pricing.workspace import Sizes, Workspace, sizes_in_domain

_Sides: TypeAlias = tuple[slice, slice]


@np.errstate(all="ignore")
def fill_orderly(
    forward: F64, strike: F64, sigma: F64, tau: F64, option_type: F64, with_price: bool, buffers: GreekBuffers
) -> bool:
    """Fills the result columns as if every row were in order; False if some are not.

    Units, shapes: as greeks.
    """
    columns, sides = (forward, strike, sigma, tau), call_put_sides(option_type) if with_price else None
    if sides is not None:
        scratch = buffers.scratch.pairs(option_type.shape[0] // 2)
        if all_pairs_agree(columns, sides, scratch):
            return _fill_pairs(sides, scratch, buffers)
    if not valid_option_types(option_type):
        return False
    work, (price, delta, *_) = buffers.work, buffers.rows
    sizes = _fill_symmetric(forward, strike, sigma, tau, with_price, work, buffers.rows)
    if sizes is None:
        return False
    fill_tail(work)
    fill_one_sided_delta(option_type, work, delta)
    if with_price:
        fill_price(delta, work, price)
        if not sizes.normal_density:
            np.maximum(price, 0.0, out=price)
    else:
        price.fill(np.nan)
    return True


def _fill_symmetric(
    forward: F64, strike: F64, sigma: F64, tau: F64, with_price: bool, work: Workspace, rows: tuple[F64, ...]
) -> Sizes | None:
    """Fills the six greeks that a call shares with its put, and what delta and price take from the scratch.

    None if some row is out of order.
    """
    fill_log_moneyness(forward, strike, work)
    fill_distances(forward, sigma, tau, work)
    sizes = sizes_in_domain(sigma, work)
    count = sizes.nodes if sizes is not None and with_price else 0
    if sizes is None or count is None:
        return None
    fill_density(work)
    if count:
        fill_probability_between(count, strike, work)
    fill_sensitivities(forward, sigma, work, rows)
    return sizes if finite(rows) else None


def valid_option_types(option_type: F64) -> bool:
    """True if all are +1 or -1, as far as the sum of the squares tells.

    Shapes: (n,).
    """
    return bool(option_type @ option_type == option_type.shape[0])


# ---- pairs -----------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=8)
def _alternating_types(pairs: int, adjacent: bool) -> tuple[bytes, bytes]:
    """Option types of a chain that begins with a call, and of one that begins with a put."""
    types = np.tile([1.0, -1.0], pairs) if adjacent else np.repeat([1.0, -1.0], pairs)
    return types.tobytes(), (-types).tobytes()


def call_put_sides(option_type: F64) -> _Sides | None:
    """Rows of the calls and of the puts, where they alternate or stand half a chain apart; else None.

    Units: +1 call, -1 put.

    >>> call_put_sides(np.array([-1.0, 1.0, -1.0, 1.0]))
    (slice(1, None, 2), slice(0, None, 2))
    """
    pairs, odd = divmod(option_type.shape[0], 2)
    if odd or not pairs:
        return None
    adjacent = pairs == 1 or bool(option_type[0] != option_type[1])
    types, (call_first, put_first) = option_type.tobytes(), _alternating_types(pairs, adjacent)
    first, second = (slice(0, None, 2), slice(1, None, 2)) if adjacent else (slice(0, pairs), slice(pairs, None))
    return (first, second) if types == call_first else (second, first) if types == put_first else None


def all_pairs_agree(columns: tuple[F64, ...], sides: _Sides, scratch: PairScratch) -> bool:
    """Takes the columns of calls and puts apart; True where they are the same to the last bit, which a NaN is not.

    Shapes: (n,) each.
    """
    calls, puts = sides
    for column, call, put in zip(columns, scratch.calls, scratch.puts):
        call[: scratch.count], put[: scratch.count] = column[calls], column[puts]
    return bool(np.logical_and.reduce(scratch.calls == scratch.puts, axis=None))


def _fill_pairs(sides: _Sides, scratch: PairScratch, buffers: GreekBuffers) -> bool:
    """Price each call with its put, and fill the columns of both."""
    (calls, puts), work, (forward, strike, sigma, tau) = sides, scratch.work, scratch.inputs
    sizes = _fill_symmetric(forward, strike, sigma, tau, True, work, scratch.rows[:-2])
    if sizes is None:
        return False
    call_price, call_delta, *_, put_price, put_delta = scratch.rows
    fill_call_put_deltas(work, call_delta, put_delta)
    fill_price(call_delta, work, call_price)
    fill_price(put_delta, work, put_price)
    if not sizes.normal_density:
        np.maximum(call_price, 0.0, out=call_price)
        np.maximum(put_price, 0.0, out=put_price)
    buffers.columns[:, calls] = scratch.results[:-2]
    buffers.columns[2:, puts] = scratch.results[2:-2]
    buffers.columns[:2, puts] = scratch.results[-2:]
    return True
