"""Memory of the greeks of a chain: result columns and scratch, owned by the caller and used again at each refresh.

Comes before greek_calc and pair_greeks, which write into it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from dfmon.core.pricing.black import F64, Mask
from dfmon.core.pricing.closed_forms import Prepared, Work, aligned

TILE: Final = 4096
"""Options priced at a time: all their columns and the scratch stay in a second-level cache."""
COLUMNS: Final = ("price", "delta", "gamma", "vega", "theta", "vanna", "charm", "volga")


class Greeks(NamedTuple):
    """One column per greek; NaN in every column of a masked row.

    vega and vanna per 1.00 of sigma; theta and charm are calendar derivatives per year; price is NaN unless asked for.
    """

    price: F64
    delta: F64
    gamma: F64
    vega: F64
    theta: F64
    vanna: F64
    charm: F64
    volga: F64
    valid: Mask
    invalid: int


class GreekBuffers:
    """Memory for the greeks of n options, owned by the caller and overwritten at each refresh.

    Above TILE options the work is done in `parts` that share one scratch, so that it stays in the cache.
    """

    __slots__ = ("at", "columns", "in_one_pass", "parts", "prepared", "result", "rows", "valid", "work")

    def __init__(self, n: int, tile: int = TILE) -> None:
        results, scratch = len(COLUMNS), Work.ROWS + Prepared.ROWS
        if n <= tile:  # in one piece, so that no two rows collide
            memory = aligned(results + scratch, n)
            self.stand_on(memory[:results], memory[results:], np.ones(n, dtype=np.bool_), slice(0, n))
            self.parts: tuple[GreekBuffers, ...] = ()
            return
        columns, room, valid = aligned(results, n), aligned(scratch, tile), np.ones(n, dtype=np.bool_)
        self.parts = tuple(
            GreekBuffers._part(columns, room, valid, slice(start, min(start + tile, n))) for start in range(0, n, tile)
        )
        self.stand_on(columns, room, valid, slice(0, n))

    @classmethod
    def _part(cls, columns: F64, room: F64, valid: Mask, at: slice) -> GreekBuffers:
        made = cls.__new__(cls)
        made.stand_on(columns[:, at], room[:, : at.stop - at.start], valid[at], at)
        made.parts = ()
        return made

    def stand_on(self, columns: F64, room: F64, valid: Mask, at: slice) -> None:
        """Use this memory, for the options `at` of the whole."""
        self.at, self.columns, self.valid = at, columns, valid
        self.work = Work(room[: Work.ROWS])
        self.prepared = Prepared(room.shape[1], room[Work.ROWS :])
        self.in_one_pass = False
        """Whether the last call found every row in order; then `work.x` is ln(F/K)."""
        self.rows = price, delta, gamma, vega, theta, vanna, charm, volga = tuple(columns)
        self.result = Greeks(price, delta, gamma, vega, theta, vanna, charm, volga, valid, 0)
