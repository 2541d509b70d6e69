"""Primitives of the compiled loops of the filter. No option of the compiler may change a rounding here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias, TypeVar

import numpy as np
from numba import float64, int64, njit, types
from numpy.typing import NDArray

from dfmon.core.positions.netting_filter import MAX_INDEX, MAX_VAR_G, MAX_VAR_Q
from dfmon.core.positions.opening_rates import GRID
from dfmon.model.frames import F64

Index: TypeAlias = NDArray[np.intp]
_Function = TypeVar("_Function", bound=Callable[..., object])
COLUMN: Final = types.Array(float64, 1, "C")
TABLE: Final = types.Array(float64, 2, "C")
MOMENTS: Final = types.Array(float64, 3, "C")
COUNTS: Final = types.Array(int64, 1, "C")
COLUMN_IN: Final = types.Array(float64, 1, "C", readonly=True)
TABLE_IN: Final = types.Array(float64, 2, "C", readonly=True)
ROWS_IN: Final = types.Array(int64, 1, "C", readonly=True)


def inline(function: _Function) -> _Function:
    """A part of a loop."""
    jitted: _Function = njit(error_model="numpy", forceinline=True)(function)
    return jitted


def loop(signature: object) -> Callable[[_Function], _Function]:
    """Decorator of kernels called from Python: compiled when their module is imported, or taken from disk."""

    def compiled(function: _Function) -> _Function:
        jitted: _Function = njit(signature, cache=True, error_model="numpy")(function)
        return jitted

    return compiled


@inline
def fold(v: F64) -> float:
    """Sum over the nodes, as `fold_nodes`.

    Shapes: (NODES,) -> scalar.
    """
    total: float = (((v[0] + v[6]) + (v[1] + v[5])) + (v[2] + v[4])) + v[3]
    return total


@inline
def within(value: float, low: float, high: float) -> float:
    """The value, or the bound that it is beyond."""
    return min(max(value, low), high)


@inline
def inverse_of(interest: float) -> float:
    """As `inverse_interest`."""
    return 0.0 if interest <= 0.0 else 1.0 / interest


@inline
def on_grid(value: float) -> float:
    """As `opening_rates.on_grid`."""
    return float(np.rint(value * GRID)) / GRID


@inline
def bound(out: F64, interest: float) -> None:
    """As `bounded`, for one option.

    Units: coins. Shapes: (6, NODES), scalar.
    """
    squared, index_limit = interest * interest, MAX_INDEX * interest
    for i in range(out.shape[1]):
        out[1, i] = within(out[1, i], -interest, interest)
        out[2, i] = within(out[2, i], -index_limit, index_limit)
        out[3, i] = within(out[3, i], 0.0, MAX_VAR_Q * squared)
        out[5, i] = within(out[5, i], 0.0, MAX_VAR_G * squared)
        limit = np.sqrt(out[3, i] * out[5, i])
        out[4, i] = within(out[4, i], -limit, limit)
