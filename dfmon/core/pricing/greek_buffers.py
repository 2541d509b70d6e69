"""Memory of the greeks of a chain: result columns and scratch, owned by the caller and used again at each refresh.

Comes before greek_calc and pair_greeks, which write into it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from dfmon.core.pricing.black import F64, Mask
from dfmon.core.pricing.closed_forms import StrikeTimeTerms, Workspace, aligned_rows

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

    Above TILE options the work is done in `tiles` that share one scratch, so that it stays in the cache.
    """

    __slots__ = ("at", "columns", "result", "rows", "single_pass", "strike_time", "tiles", "valid", "work")

    def __init__(self, n: int, tile: int = TILE) -> None:
        results, scratch = len(COLUMNS), Workspace.ROWS + StrikeTimeTerms.ROWS
        if n <= tile:  # in one piece, so that no two rows collide
            memory = aligned_rows(results + scratch, n)
            self.bind_memory(memory[:results], memory[results:], np.ones(n, dtype=np.bool_), slice(0, n))
            self.tiles: tuple[GreekBuffers, ...] = ()
            return
        columns, scratch_rows, valid = aligned_rows(results, n), aligned_rows(scratch, tile), np.ones(n, dtype=np.bool_)
        self.tiles = tuple(
            GreekBuffers._tile_view(columns, scratch_rows, valid, slice(start, min(start + tile, n)))
            for start in range(0, n, tile)
        )
        self.bind_memory(columns, scratch_rows, valid, slice(0, n))

    @classmethod
    def _tile_view(cls, columns: F64, scratch_rows: F64, valid: Mask, at: slice) -> GreekBuffers:
        tile_buffers = cls.__new__(cls)
        tile_buffers.bind_memory(columns[:, at], scratch_rows[:, : at.stop - at.start], valid[at], at)
        tile_buffers.tiles = ()
        return tile_buffers

    def bind_memory(self, columns: F64, scratch_rows: F64, valid: Mask, at: slice) -> None:
        """Use this memory, for the options `at` of the whole."""
        self.at, self.columns, self.valid = at, columns, valid
        self.work = Workspace(scratch_rows[: Workspace.ROWS])
        self.strike_time = StrikeTimeTerms(scratch_rows.shape[1], scratch_rows[Workspace.ROWS :])
        self.single_pass = False
        """True after a call that found every row valid; then `work.x` is ln(F/K)."""
        self.rows = price, delta, gamma, vega, theta, vanna, charm, volga = tuple(columns)
        self.result = Greeks(price, delta, gamma, vega, theta, vanna, charm, volga, valid, 0)
