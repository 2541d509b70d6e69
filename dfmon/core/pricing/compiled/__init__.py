"""Choice of the pricing path: numpy, or the same formulas compiled by numba where the extra `fast` is installed.

Numpy is the default, whatever is installed, and what is fallen back on without a word. Both give the same numbers to
1e-12 of their scale but not the same bits, so the choice is a parameter of a step and stands in its journal: a replay
prices as the session did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from dfmon.core.pricing.black import F64, Mask

Index: TypeAlias = NDArray[np.intp]
_Result = TypeVar("_Result")


class Kernels(Protocol):
    """The functions of `kernels`, where they are told what they do. False means: not priced, let numpy do it."""

    def fill_greeks(
        self, forward: F64, strike: F64, sigma: F64, tau: F64, option_type: F64, rows: tuple[F64, ...], x: F64
    ) -> bool: ...
    def fill_delta(self, forward: F64, strike: F64, sigma: F64, tau: F64, option_type: F64, delta: F64) -> bool: ...
    def fill_priced(
        self, forward: F64, strike: F64, sigma: F64, tau: F64, option_type: F64, rows: tuple[F64, ...]
    ) -> bool: ...
    def profile(self, a: F64, b: F64, height: F64, y: F64, exposure: F64) -> F64: ...
    def gamma_derivatives(self, a: F64, b: F64, height: F64, y: F64, exposure: F64) -> tuple[F64, F64, F64]: ...
    def polish(
        self,
        a: F64,
        b: F64,
        height: F64,
        exposure: F64,
        low: F64,
        high: F64,
        net_low: F64,
        net_high: F64,
        tolerance: float,
    ) -> tuple[F64, F64]: ...
    def flip_inputs(
        self, forward: F64, strike: F64, sigma: F64, tau: F64, exposure: F64, bounds: F64
    ) -> tuple[Index, tuple[F64, F64, F64, F64, F64]]: ...
    def scan_profile(
        self, a: F64, b: F64, height: F64, exposure: F64, y: F64, noise: float, cut: float, share: float, flat: float
    ) -> tuple[F64, F64, F64, Index, Index, bool, bool]: ...
    def member_zeros(self, y: F64, net: F64, min_size: F64) -> tuple[Index, F64, Mask]: ...
    def exposures(
        self, forward: F64, strike: F64, sigma: F64, tau: F64, option_type: F64, average: bool, matrix: F64
    ) -> bool: ...
    def roll_up(self, matrix: F64, exposure: F64, cell: Index, expiries: int, strikes: int) -> tuple[F64, F64, F64]: ...
    def stencil(
        self, strike: F64, forward: F64, tau: F64, atm_sigma: F64, neighbour: Index, bandwidths: tuple[float, ...]
    ) -> F64: ...
    def scatter(self, weights: F64, neighbour: Index, mass: F64, listed: Mask, min_weight: float) -> F64: ...


_process_kernels: Kernels | None = None
_step_kernels: ContextVar[Kernels | None] = ContextVar("kernels of this step")


def active_kernels() -> Kernels | None:
    """The compiled kernels where they are to price, else None."""
    return _step_kernels.get(_process_kernels)


def select_kernels(enabled: bool = True) -> bool:
    """Choose for this process, outside of steps, which state their own choice; True where compiled kernels price."""
    global _process_kernels
    _process_kernels = load_kernels() if enabled else None
    return _process_kernels is not None


@contextmanager
def kernels_for_step(enabled: bool) -> Iterator[None]:
    """Price with the compiled kernels, or without, whatever the process has chosen."""
    with _use_kernels(load_kernels() if enabled else None):
        yield


def bound_to_kernels(function: Callable[[], _Result]) -> Callable[[], _Result]:
    """The function, pricing with the kernels that are active now whenever it is called."""
    kernels = active_kernels()

    def bound() -> _Result:
        with _use_kernels(kernels):
            return function()

    return bound


@contextmanager
def _use_kernels(kernels: Kernels | None) -> Iterator[None]:
    token = _step_kernels.set(kernels)
    try:
        yield
    finally:
        _step_kernels.reset(token)


@cache
def load_kernels() -> Kernels | None:
    """The compiled kernels, None where they are unavailable: a second from the cache, several the first time."""
    try:
        from dfmon.core.pricing.compiled import kernels
    except (ImportError, RuntimeError, OSError):  # no numba, one for another numpy, or nowhere to keep machine code
        return None
    return kernels
