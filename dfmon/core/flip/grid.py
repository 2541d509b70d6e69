"""Inputs of the zero search: the options with gamma, their bumps, and the nodes in log spot."""

from __future__ import annotations

import math
from typing import Final, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dfmon.core.flip.coin_gamma import CoinGamma, CoinOptions, SeparateBumps
from dfmon.core.flip.gamma_profile import GammaBumps, StickyStrike
from dfmon.core.flip.sticky_moneyness import StickyMoneyness
from dfmon.core.pricing import compiled
from dfmon.core.pricing.black import F64
from dfmon.core.pricing.workspace import MAX_SIGMA

Stickiness: TypeAlias = Literal["strike", "moneyness"]
Index: TypeAlias = NDArray[np.intp]

STEP: Final = 0.002
"""Grid step in ln S; nodes are whole multiples of it, so they stay in place while spot ticks."""
SHORT_EXPIRY: Final = 2.0 / 365.0
MIN_RESOLVED_STEPS: Final = 4.0
"""Within two days of expiry, a bump narrower than this many steps could fall between nodes: its strike is added."""
_INPUT_BOUNDS: Final = np.array([[1e-60, 1e-60, 0.0, 0.0, 1e-9, 0.0], [1e60, 1e60, MAX_SIGMA, 1e60, np.inf, 1e60]])
"""Forward, strike, sigma, time, total deviation and size of the exposure: above the first, up to the second."""


class FlipInputs(NamedTuple):
    """The options with gamma and a position, prepared for the search."""

    rows: Index
    """Rows from wide to narrow bumps; in the original order where compiled loops sum a single book."""
    book: GammaBumps
    extra_nodes: F64
    """Strikes added as nodes, y = ln(S'/S), ascending."""


def flip_inputs(
    forward: F64,
    strike: F64,
    sigma: F64,
    tau: F64,
    exposure: F64,
    stickiness: Stickiness = "strike",
    expiry: NDArray[np.generic] | None = None,
    coin: CoinOptions | None = None,
) -> FlipInputs | None:
    """The options with gamma and a position, and their bumps; None if there is none.

    Units, domain: as `gamma_flip.find_flip`. Shapes: columns (n,); exposure (n,), or (n, M) for an ensemble.
    """
    kernels = compiled.active_kernels()
    if kernels is not None and stickiness == "strike" and exposure.ndim == 1 and coin is None:
        rows, bumps = kernels.flip_inputs(forward, strike, sigma, tau, exposure, _INPUT_BOUNDS)
        if not rows.size:
            return None
        book: GammaBumps = StickyStrike(*bumps)
        return FlipInputs(rows, book, _extra_nodes(book, tau[rows], bumps[1]))
    with np.errstate(all="ignore"):
        total_sd, size = sigma * np.sqrt(tau), np.abs(exposure)
        if size.ndim == 2:
            size = size.max(axis=1)
        columns = np.array([forward, strike, sigma, tau, total_sd, size])
        low, high = _INPUT_BOUNDS[..., None]
        rows = np.flatnonzero(((columns > low) & (columns <= high)).all(axis=0))
    if not rows.size:
        return None
    rows = rows[np.argsort(-total_sd[rows], kind="stable")]
    forward, strike, sigma, tau, total_sd, _ = np.take(columns, rows, axis=1)
    separate: SeparateBumps
    if stickiness == "strike":
        separate = StickyStrike.from_options(forward, strike, sigma, tau)
    else:
        separate = StickyMoneyness.from_options(forward, strike, sigma, tau, tau if expiry is None else expiry[rows])
    book = separate if coin is None else CoinGamma.from_options(separate, strike, coin.take(rows))
    return FlipInputs(rows, book, _extra_nodes(book, tau, total_sd))


def _extra_nodes(book: GammaBumps, tau: F64, total_sd: F64) -> F64:
    if np.minimum.reduce(total_sd) >= MIN_RESOLVED_STEPS * STEP:
        return np.empty(0)
    narrow = np.flatnonzero((tau < SHORT_EXPIRY) & (total_sd < MIN_RESOLVED_STEPS * STEP))
    return np.unique(book.log_strike_over_forward[narrow])


def log_spot_nodes(spot: float, search_range: float, extra_nodes: F64) -> F64:
    """Log-spot nodes over at least +-reach: whole multiples of the step in ln S, and the strikes of near expiries.

    Units: spot in USD; reach a share of it; y = ln(S'/S). Shapes: near (k,) -> (m,), ascending.
    Domain: spot > 0; reach in (0, 1).

    >>> log_spot_nodes(1.0, 0.004, np.array([0.003])).round(6).tolist()
    [-0.006, -0.004, -0.002, 0.0, 0.002, 0.003, 0.004]
    """
    anchor = math.log(spot)
    origin = math.floor(anchor / STEP)
    first = math.floor((anchor + math.log1p(-search_range)) / STEP) - origin
    last = math.ceil((anchor + math.log1p(search_range)) / STEP) - origin
    shift = anchor - origin * STEP  # rounded once, so all nodes shift by the same amount
    grid: F64 = np.arange(first, last + 1, dtype=np.float64) * STEP - shift
    return (
        np.union1d(grid, extra_nodes[(extra_nodes > grid[0]) & (extra_nodes < grid[-1])]) if extra_nodes.size else grid
    )
