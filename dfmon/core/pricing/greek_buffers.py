"""Memory of the greeks of a chain: result columns and scratch, owned by the caller and used again at each refresh."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from dfmon.core.pricing.black import F64, Mask
from dfmon.core.pricing.closed_forms import aligned_rows
from dfmon.core.pricing.workspace import Workspace

TILE: Final = 4096
"""Options priced at a time: all their columns and the scratch stay in a second-level cache."""
_PADDING: Final = np.array([[1.0], [1.0], [0.1], [1.0]])
"""Forward, strike, sigma and time that no sum of a chain takes more nodes for."""
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


class PairScratch:
    """Scratch of the pairs of a tile: forward, strike, sigma and time of both sides; greeks of the call; price and
    delta of the put.

    Rows are priced to the end of the last cache line, where an ordinary option stands, so that rows in sequence are one
    array.
    """

    __slots__ = ("calls", "count", "inputs", "puts", "results", "rows", "work")

    def __init__(self, count: int) -> None:
        self.count = count
        inputs_end = 2 * len(_PADDING)
        results_end = inputs_end + len(COLUMNS) + 2
        memory = aligned_rows(results_end + Workspace.ROWS, (-(-count // 8) | 1) * 8)
        self.calls, self.puts = memory[: len(_PADDING)], memory[len(_PADDING) : inputs_end]
        self.calls[:] = self.puts[:] = _PADDING
        self.inputs = tuple(self.calls)
        self.results = memory[inputs_end:results_end, :count]
        self.rows = tuple(memory[inputs_end:results_end])
        self.work = Workspace(memory[results_end:])


class Scratch:
    """Scratch for chains of n options; above TILE they are priced in tiles that share it, so it stays in the cache."""

    __slots__ = ("_pairs", "full", "rest", "size", "tile")

    def __init__(self, n: int, tile: int = TILE) -> None:
        self.size, self.tile = n, tile
        rows = aligned_rows(Workspace.ROWS, min(n, tile))
        self.full = Workspace(rows)
        self.rest = Workspace(rows[:, : n % tile]) if n > tile and n % tile else self.full
        self._pairs: dict[int, PairScratch] = {}

    def pairs(self, count: int) -> PairScratch:
        """Scratch of so many pairs, made at the first use."""
        if count not in self._pairs:
            self._pairs[count] = PairScratch(count)
        return self._pairs[count]


class GreekBuffers:
    """Memory for the greeks of n options, owned by the caller and overwritten at each refresh.

    Above TILE options the work is done in `tiles` that share one scratch.
    """

    __slots__ = ("at", "columns", "result", "rows", "scratch", "single_pass", "tiles", "valid", "work")

    def __init__(self, n: int, tile: int = TILE, scratch: Scratch | None = None) -> None:
        self.scratch = Scratch(n, tile) if scratch is None else scratch
        columns = aligned_rows(len(COLUMNS), n) if scratch is None else np.empty((len(COLUMNS), n))
        self.bind(columns, np.empty(n, dtype=np.bool_), slice(0, n), self.scratch.full)
        tile = self.scratch.tile
        self.tiles = () if n <= tile else tuple(self._tile_view(slice(i, min(i + tile, n))) for i in range(0, n, tile))

    def _tile_view(self, at: slice) -> GreekBuffers:
        view = GreekBuffers.__new__(GreekBuffers)
        view.scratch, view.tiles = self.scratch, ()
        full = at.stop - at.start == self.scratch.tile
        view.bind(self.columns[:, at], self.valid[at], at, self.scratch.full if full else self.scratch.rest)
        return view

    def bind(self, columns: F64, valid: Mask, at: slice, work: Workspace) -> None:
        """Uses this memory, for the rows `at` of the whole."""
        self.at, self.columns, self.valid, self.work = at, columns, valid, work
        self.single_pass = False
        """True after a call that found every row valid; then `work.x` is ln(F/K), unless pairs were priced."""
        self.rows = price, delta, gamma, vega, theta, vanna, charm, volga = tuple(columns)
        self.result = Greeks(price, delta, gamma, vega, theta, vanna, charm, volga, valid, 0)
