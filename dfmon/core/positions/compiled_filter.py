"""Choice of the filter's path: numpy, or `filter_loops` where the compiled kernels price. Both give the same bits."""

from __future__ import annotations

from functools import cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dfmon.core.pricing.compiled import active_kernels
from dfmon.model.frames import F64, I64


class FilterLoops(Protocol):
    """The functions of `filter_loops`, where they are told what they do."""

    def tangents(self, moments: F64, at: NDArray[np.intp], rows: I64, interest: F64) -> F64: ...
    def apply(
        self,
        at: NDArray[np.intp],
        prints: tuple[I64, I64, F64, F64, I64],
        events: tuple[F64, F64, F64, F64, F64],
        unseen_share: F64,
        learning: bool,
        values: F64,
        tables: tuple[F64, F64, F64, F64],
        base: float,
        slope: float,
        moments: F64,
        all_interest: F64,
        all_sums: F64,
        counts: tuple[I64, I64, I64],
        hour_sums: F64,
    ) -> None: ...
    def age(
        self, moments: F64, all_sums: F64, rows: I64, all_interest: F64, ageing: tuple[F64, F64, F64, F64], drift: float
    ) -> None: ...


def active_loops() -> FilterLoops | None:
    """The compiled loops where compiled kernels price, else None."""
    return None if active_kernels() is None else load_loops()


@cache
def load_loops() -> FilterLoops | None:
    """The compiled loops, None where they are unavailable: a second from the cache, several the first time."""
    try:
        from dfmon.core.positions import filter_loops
    except (ImportError, RuntimeError, OSError):  # as for the pricing kernels
        return None
    return filter_loops
