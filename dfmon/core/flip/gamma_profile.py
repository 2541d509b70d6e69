"""Net gamma of a book as a function of spot: a sum of Gaussian bumps in log spot.

With y = ln(S'/S), every forward moved by the same factor and F phi(d1) = K phi(d2), the dollar gamma of one option
for 1 % is

    0.01 F e^y phi(d1) / v  =  c exp(-d2(y)^2 / 2),    d2 = (ln(F/K) + y)/v - v/2,    c = 0.01 K / (v sqrt(2 pi)).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from dfmon.core.pricing import chebyshev, compiled
from dfmon.core.pricing.black import F64, log_moneyness
from dfmon.core.pricing.normal import INV_SQRT_2PI

TILE_CELLS: Final = 128 * 201
"""Options times levels per tile: cells of eight bytes that fit the second-level cache."""
_NARROW_WIDTH: Final = 0.004
"""Narrower bumps would lose digits in the expanded square; their exponents are squared directly."""

_CHEBYSHEV_LEVELS: Final = ((0.7, 26), (0.25, 46), (0.1, 90))
"""Minimum bump width as a share of the half-range, and the number of Chebyshev nodes exact to 1e-15 of its height."""
_MIN_CHEBYSHEV_NODES: Final = 96
"""Up to this number of nodes or of bumps, every bump is summed at each node: the interpolation would cost more."""
CHEBYSHEV_CUTOFF: Final = 1e-14
_EQUAL_STEP_TOLERANCE: Final = 1e-15
"""As a share of the half-range: moving a point by less changes no significant digit."""
_MAX_STEPS_PER_POINT: Final = 4
"""A grid of more whole steps to a point is not a scan with a part left out."""
_MAX_COMPILED_BOOKS: Final = 2
"""Up to this number of books, compiled loops sum them one by one; beyond it a matrix product is faster."""


class GammaDerivatives(NamedTuple):
    """Net gamma at some spots with its first two derivatives in y = ln(S'/S)."""

    value: F64
    slope: F64
    curvature: F64


class GammaBumps(Protocol):
    """Unit dollar gammas of n live options as functions of log spot."""

    @property
    def log_strike_over_forward(self) -> F64:
        """Centre of each bump: the y at which its forward reaches its strike."""

    def profile(self, y: F64, exposure: F64, absolute: int = 0) -> F64:
        """Net gamma on m log-spot nodes for k exposure columns: (m,), (n, k) -> (k, m).

        The last `absolute` columns are summed over the sizes of the unit gammas, which differ where some are negative.
        """

    def error_bound(self, exposure: F64) -> float:
        """Upper bound on the error of the profile for (n,) exposures, beyond rounding."""

    def gamma_derivatives(self, y: F64, exposure: F64) -> GammaDerivatives:
        """Net gamma and derivatives at r points; exposure (n,) for all of them, or (n, r), one column per point."""


def _powers(z: F64) -> F64:
    """Powers that the columns of `StickyStrike.exponents` are multiplied by: (m,) -> (3, m)."""
    return np.array([-0.5 * z * z, -z, np.ones_like(z)])


@lru_cache
def _node_powers(count: int) -> F64:
    return _powers(chebyshev.nodes(count))


class _ChebyshevGrid(NamedTuple):
    """Points of [-1, 1], their powers, and the matrix that interpolates sums on the finest Chebyshev nodes to them."""

    z: F64
    powers: F64
    interpolation: F64


def _make_grid(z: F64) -> _ChebyshevGrid:
    return _ChebyshevGrid(z, _powers(z), chebyshev.interpolation_matrix(_CHEBYSHEV_LEVELS[-1][1], z))


@lru_cache
def _equal_step_grid(points: int) -> _ChebyshevGrid:
    return _make_grid(np.linspace(-1.0, 1.0, points))


@lru_cache
def _stepped_grid(steps: bytes) -> _ChebyshevGrid:
    """Grid of points on whole steps, given as the bytes of int32."""
    step = np.frombuffer(steps, np.int32)
    return _make_grid(2.0 * step / step[-1] - 1.0)


def _cached_grid(z: F64) -> _ChebyshevGrid:
    """Grid of points on whole steps, cached: every tick without a strike among the nodes uses the same ones."""
    equal_step = _equal_step_grid(z.shape[0])
    if np.abs(z - equal_step.z).max() <= _EQUAL_STEP_TOLERANCE:
        return equal_step
    steps = np.rint((z - z[0]) / (z[1] - z[0]))
    is_scan = steps[-1] <= _MAX_STEPS_PER_POINT * z.shape[0]
    if is_scan and np.abs(z - (2.0 * steps / steps[-1] - 1.0)).max() <= _EQUAL_STEP_TOLERANCE:
        return _stepped_grid(steps.astype(np.int32).tobytes())
    return _make_grid(z)


@dataclass(frozen=True, slots=True)
class StickyStrike:
    """Bumps of options that keep their volatility while spot moves."""

    x: F64
    total_sd: F64
    height: F64
    a: F64
    """Scale of each bump: d2 = a y + b."""
    b: F64
    descending: bool = False
    """Order of the bumps, wide to narrow, so that a range of widths is a slice."""

    @classmethod
    def from_options(cls, forward: F64, strike: F64, sigma: F64, tau: F64) -> StickyStrike:
        """Bumps of valid live options.

        Units: forward, strike in USD; sigma decimal; tau in years. Heights in USD per 1 % and unit of underlying.
        Shapes: (n,) each. Domain: all positive and finite. Source: Black (1976); F phi(d1) = K phi(d2).
        """
        total_sd = sigma * np.sqrt(tau)
        x, a = log_moneyness(forward, strike), 1.0 / total_sd
        height, b = (0.01 * INV_SQRT_2PI) * strike * a, x * a - 0.5 * total_sd
        return cls(x, total_sd, height, a, b, bool((total_sd[:-1] >= total_sd[1:]).all()))

    @property
    def log_strike_over_forward(self) -> F64:
        """Centre of each bump: the y at which its forward reaches its strike."""
        return -self.x

    def profile(self, y: F64, exposure: F64, absolute: int = 0) -> F64:
        """Net gamma on log-spot nodes; `absolute` changes nothing, since no unit gamma is negative.

        Bumps that are wide against the range are smooth: they are summed on a few Chebyshev nodes, and one matrix
        product interpolates the sum to all nodes. The rest are summed at every node.

        Units: exposure in units of underlying; result USD per 1 %.
        Shapes: y (m,), exposure (n, k) -> (k, m). Domain: |y| <= 1, ascending.
        """
        kernels = compiled.active_kernels()
        if kernels is not None and exposure.shape[1] <= _MAX_COMPILED_BOOKS:
            return kernels.profile(self.a, self.b, self.height, y, exposure)
        low, high = float(y[0]), float(y[-1])
        middle, half_range = 0.5 * (low + high), 0.5 * (high - low) or 1.0
        z, exponents = (y - middle) / half_range, self._exponents(middle, half_range)
        widths = (
            [max(width * half_range, _NARROW_WIDTH) for width, _ in _CHEBYSHEV_LEVELS]
            if min(y.shape[0], self.a.shape[0]) > _MIN_CHEBYSHEV_NODES
            else []
        )
        *wide, narrow, narrowest = self._rows_by_width([*widths, _NARROW_WIDTH])
        if not widths:
            return _sum_bumps(exponents, narrow, _powers(z), exposure) + self._sum_narrow(narrowest, y, exposure)
        grid, smooth, nodes = _cached_grid(z), np.zeros((exposure.shape[1], 1)), 1
        for rows, (_, count) in zip(wide, _CHEBYSHEV_LEVELS):
            level_sum = _sum_bumps(exponents, rows, _node_powers(count), exposure)
            smooth = level_sum + smooth @ chebyshev.refinement_matrix(nodes, count)
            nodes = count
        net = smooth @ grid.interpolation
        net += _sum_bumps(exponents, narrow, grid.powers, exposure)
        net += self._sum_narrow(narrowest, y, exposure)
        return np.asarray(net)

    def _exponents(self, middle: float, half_range: float) -> F64:
        """(3, n): -d2^2/2 + ln c at y = middle + reach z is the product with the powers -z^2/2, -z and 1."""
        squared, cross, constant = columns = np.empty((3, self.a.shape[0]))
        scale, at_middle = self.a * half_range, self.a * middle
        at_middle += self.b
        np.multiply(scale, scale, squared)
        np.multiply(scale, at_middle, cross)
        np.multiply(at_middle, at_middle, constant)
        constant *= -0.5
        constant += np.log(self.height)
        return columns

    def _rows_by_width(self, min_widths: Sequence[float]) -> Sequence[NDArray[np.intp] | slice]:
        """Row ranges of the bumps at least as wide as each limit, widest first, and of the narrower rest."""
        size = self.total_sd.shape[0]
        if not self.descending:
            group = np.searchsorted(-np.array(min_widths), -self.total_sd)
            return [np.flatnonzero(group == k) for k in range(len(min_widths) + 1)]
        narrower = np.searchsorted(self.total_sd[::-1], min_widths).tolist()
        ends = [0, *(size - count for count in narrower), size]
        return [slice(start, stop) for start, stop in pairwise(ends)]

    def unit_gammas(self, y: F64) -> tuple[F64, F64]:
        """Dollar gamma for 1 % of one unit of each option at each spot, and d2: (r,) -> (r, n), (r, n)."""
        d2 = np.multiply.outer(y, self.a)
        d2 += self.b
        return self.height * np.exp(-0.5 * d2 * d2), d2

    def error_bound(self, exposure: F64) -> float:
        """Upper bound on the error of `profile` from its Chebyshev sums, for one exposure column.

        Units: USD per 1 %. Shapes: (n,) -> scalar. Source: each bump's series is cut below 1e-15 of its height.
        """
        return float(CHEBYSHEV_CUTOFF * (self.height @ np.abs(exposure)))

    def _sum_narrow(self, rows: NDArray[np.intp] | slice, y: F64, exposure: F64) -> F64:
        """Net gamma of narrow bumps, from their exponents squared directly."""
        a, b, height, exposure = self.a[rows, None], self.b[rows, None], self.height[rows, None], exposure[rows]
        net = np.zeros((exposure.shape[1], y.shape[0]))
        tile = max(TILE_CELLS // y.shape[0], 1)
        for start in range(0, a.shape[0], tile):
            at = slice(start, start + tile)
            d2 = a[at] * y + b[at]
            net += exposure[at].T @ (height[at] * np.exp(-0.5 * d2 * d2))
        return net

    def gamma_derivatives(self, y: F64, exposure: F64) -> GammaDerivatives:
        """Net gamma and two derivatives at r points, every option evaluated.

        Units: USD per 1 %, and per unit of y once and twice.
        Shapes: y (r,), exposure (n,) or (n, r) -> three (r,).
        Source: as the class; Hermite polynomials of the Gaussian.
        """
        if exposure.ndim == 2:
            return self._derivatives_per_book(y, exposure)
        kernels = compiled.active_kernels()
        if kernels is not None:
            return GammaDerivatives(*kernels.gamma_derivatives(self.a, self.b, self.height, y, exposure))
        d2 = np.multiply.outer(y, self.a)
        d2 += self.b
        squared = d2 * d2
        bump = np.exp(-0.5 * squared)
        bump *= exposure
        d2 *= bump
        squared -= 1.0
        squared *= bump
        slope = self.height * self.a
        return GammaDerivatives(bump @ self.height, -(d2 @ slope), squared @ (slope * self.a))

    def _derivatives_per_book(self, y: F64, exposure: F64) -> GammaDerivatives:
        """`gamma_derivatives` of r books, each at its own point, as matrix products of d2 expanded in powers of y.

        The expansion costs a few digits of the derivatives, and of the value of bumps narrower than _NARROW_WIDTH.
        """
        a, b = self.a, self.b
        moments = np.stack([np.ones_like(a), a * a, a * b, a**4, 2.0 * a**3 * b, a * a * (b * b - 1.0)])
        exponents, powers = self._exponents(0.0, 1.0), _powers(y)
        sums = np.zeros((moments.shape[0], y.shape[0]))
        tile = max(TILE_CELLS // max(y.shape[0], 1), 1)
        for start in range(0, a.shape[0], tile):
            stop = start + tile
            bumps = exponents[:, start:stop].T @ powers
            np.exp(bumps, bumps)
            bumps *= exposure[start:stop]
            sums += moments[:, start:stop] @ bumps
        value, aa, ab, fourth, third, second = sums
        return GammaDerivatives(value, -(aa * y + ab), (fourth * y + third) * y + second)


def _sum_bumps(exponents: F64, rows: NDArray[np.intp] | slice, powers: F64, exposure: F64) -> F64:
    """Sum of bumps, each evaluated at every node: (3, n), (3, m), (n, k) -> (k, m).

    Per tile: one small matrix product for the exponents, one exp, one product with the exposures. The full n x m
    array is never allocated.
    """
    exponents, exposure = exponents[:, rows], exposure[rows]
    size, nodes = exposure.shape[0], powers.shape[1]
    net = np.zeros((exposure.shape[1], nodes))
    tile = max(TILE_CELLS // nodes, 1)
    cells = np.empty((min(tile, size), nodes))
    for start in range(0, size, tile):
        tile_exponents = exponents[:, start : start + tile]
        bumps = np.matmul(tile_exponents.T, powers, out=cells[: tile_exponents.shape[1]])
        net += exposure[start : start + tile].T @ np.exp(bumps, bumps)
    return net
