"""Net gamma of a book as a function of spot: a sum of Gaussian bumps in log spot.

Comes after positions and settlement_terms, before gamma_flip, which looks for the zeros. With y = ln(S'/S), every
forward moved by the same factor and F phi(d1) = K phi(d2), the dollar gamma of one option for 1 % is

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

from dfmon.core import compiled
from dfmon.core.black import F64, log_moneyness
from dfmon.core.normal import INV_SQRT_2PI

CELLS: Final = 128 * 201
"""Options times levels per tile: so many cells of eight bytes stay in the second-level cache."""
_SHARP: Final = 0.004
"""Bumps narrower than this would lose digits in the expanded square; they are evaluated as they stand."""

_SMOOTH: Final = ((0.5, 32), (0.25, 48))
"""Least width of a bump as a share of the half-range, and the Chebyshev nodes that carry it to 1e-15 of its height."""
_CUT: Final = 1e-14
_EVEN: Final = 1e-15
"""Of the half-range: points moved by so little change no digit that the cut leaves."""
_FEW: Final = 2
"""So many books are summed one by one where loops are compiled; more of them are a matrix product."""


class Local(NamedTuple):
    """Net gamma at some spots with its first two derivatives in y = ln(S'/S)."""

    value: F64
    slope: F64
    curvature: F64


class Book(Protocol):
    """Unit dollar gammas of n live options as functions of log spot."""

    @property
    def log_strike_over_forward(self) -> F64:
        """Where each bump sits: y at which its forward reaches its strike."""

    def profile(self, y: F64, exposure: F64) -> F64:
        """Net gamma on m log-spot nodes for k exposure columns: (m,), (n, k) -> (k, m)."""

    def blur(self, exposure: F64) -> float:
        """Most by which the profile may be off for (n,) exposures beyond rounding."""

    def local(self, y: F64, exposure: F64) -> Local:
        """Net gamma and derivatives at r points; exposure (n,) for all of them, or (n, r), a column for each."""


@lru_cache
def chebyshev_nodes(count: int) -> F64:
    """Chebyshev nodes of the first kind on [-1, 1], descending.

    Units: none.
    Shapes: -> (count,).
    Domain: count >= 1.
    Source: Berrut & Trefethen, Barycentric Lagrange interpolation (SIAM Review, 2004), section 5.
    """
    return np.asarray(np.cos((np.arange(count) + 0.5) * (np.pi / count)))


def spread_from(count: int, at: F64) -> F64:
    """The matrix that takes values on the Chebyshev nodes to the points `at` of [-1, 1].

    Units: none.
    Shapes: (m,) -> (count, m).
    Domain: -1 <= at <= 1; count >= 1.
    Source: Berrut & Trefethen, Barycentric Lagrange interpolation (SIAM Review, 2004), eqs. 4.2 and 5.3.

    >>> (chebyshev_nodes(8) ** 5 @ spread_from(8, np.array([0.0, 0.3]))).round(12).tolist()
    [0.0, 0.00243]
    """
    gap = at - chebyshev_nodes(count)[:, None]
    if not gap.all():
        gap[gap == 0.0] = 1e-30  # so large a weight that the value at the node is all that counts
    weights = np.sin((np.arange(count) + 0.5) * (np.pi / count))
    weights[1::2] *= -1.0
    spread = np.divide(weights[:, None], gap, gap)
    spread *= 1.0 / spread.sum(axis=0)
    return np.asarray(spread)


@lru_cache
def _between(count: int, finer: int) -> F64:
    """From one set of Chebyshev nodes to a finer one."""
    return spread_from(count, chebyshev_nodes(finer))


@lru_cache
def _even(points: int) -> F64:
    return np.linspace(-1.0, 1.0, points)


@lru_cache
def _spread_evenly(count: int, points: int) -> F64:
    return spread_from(count, _even(points))


def _spread(count: int, at: F64) -> F64:
    """`spread_from`, remembered for points in equal steps: the grid of every tick on which no strike is a node."""
    if np.abs(at - _even(at.shape[0])).max() <= _EVEN:
        return _spread_evenly(count, at.shape[0])
    return spread_from(count, at)


@dataclass(frozen=True, slots=True)
class StickyStrike:
    """Every option keeps its volatility while spot moves."""

    x: F64
    total_sd: F64
    height: F64
    a: F64
    """Scale of each bump: d2 = a y + b."""
    b: F64
    quadratic: F64
    """(3, n): the exponent -d2^2/2 + ln c in powers y^2, y, 1."""
    descending: bool
    """Bumps stand from wide to narrow: those of some width are then a slice of all columns."""

    @classmethod
    def of(cls, forward: F64, strike: F64, sigma: F64, tau: F64) -> StickyStrike:
        """Bumps of valid live options.

        Units: forward, strike in USD; sigma decimal; tau in years. Heights in USD per 1 % and unit of underlying.
        Shapes: (n,) each.
        Domain: all positive and finite.
        Source: Black (1976); F phi(d1) = K phi(d2).
        """
        kernels = compiled.in_use()
        if kernels is not None:
            columns = kernels.bumps(forward, strike, sigma, tau)
            return cls(*columns, bool((columns[1][:-1] >= columns[1][1:]).all()))
        total_sd = sigma * np.sqrt(tau)
        x, height, a = log_moneyness(forward, strike), 0.01 * INV_SQRT_2PI * strike / total_sd, 1.0 / total_sd
        b = x * a - 0.5 * total_sd
        quadratic = np.stack([-0.5 * a * a, -a * b, np.log(height) - 0.5 * b * b])
        return cls(x, total_sd, height, a, b, quadratic, bool((total_sd[:-1] >= total_sd[1:]).all()))

    @property
    def log_strike_over_forward(self) -> F64:
        """Where each bump sits: y at which its forward reaches its strike."""
        return -self.x

    def profile(self, y: F64, exposure: F64) -> F64:
        """Net gamma on log-spot nodes.

        Bumps that are wide against the range are smooth: they are summed on a few Chebyshev nodes, and one matrix
        product takes the sum to all the others. The rest are summed where they are asked for.

        Units: exposure in units of underlying; result USD per 1 %.
        Shapes: y (m,), exposure (n, k) -> (k, m).
        Domain: |y| <= 1, ascending.
        Source: as the class.
        """
        kernels = compiled.in_use()
        if kernels is not None and exposure.shape[1] <= _FEW:
            return kernels.profile(self.a, self.b, self.height, y, exposure)
        if y.shape[0] <= 2 * _SMOOTH[-1][1]:
            return self._summed(slice(None), y, exposure)
        low, high = float(y[0]), float(y[-1])
        middle, reach = 0.5 * (low + high), 0.5 * (high - low)
        *wide, narrow = self._by_width(reach)
        smooth, nodes = np.zeros((exposure.shape[1], 1)), 1
        for rows, (_, count) in zip(wide, _SMOOTH):
            here = self._summed(rows, middle + reach * chebyshev_nodes(count), exposure)
            smooth = here + smooth @ _between(nodes, count)
            nodes = count
        return self._summed(narrow, y, exposure) + smooth @ _spread(nodes, (y - middle) / reach)

    def _by_width(self, reach: float) -> Sequence[NDArray[np.intp] | slice]:
        """Bumps of each width of _SMOOTH, widest first, and the narrower rest."""
        least = [width * reach for width, _ in _SMOOTH]
        size = self.total_sd.shape[0]
        if not self.descending:
            kind = np.searchsorted(-np.array(least), -self.total_sd)
            return [np.flatnonzero(kind == k) for k in range(len(least) + 1)]
        narrower = np.searchsorted(self.total_sd[::-1], least).tolist()
        ends = [0, *(size - count for count in narrower), size]
        return [slice(start, stop) for start, stop in pairwise(ends)]

    def blur(self, exposure: F64) -> float:
        """Most by which `profile` may be off through its Chebyshev sums, for one exposure column.

        Units: USD per 1 %.
        Shapes: (n,) -> scalar.
        Domain: any.
        Source: each bump's series is cut below 1e-15 of its height.
        """
        return float(_CUT * (self.height @ np.abs(exposure)))

    def _summed(self, rows: NDArray[np.intp] | slice, y: F64, exposure: F64) -> F64:
        """Net gamma of some rows, every option evaluated at every node.

        -d2^2/2 + ln c is a quadratic in y: one small matrix product a tile writes all exponents, one exp and one
        product with the exposures follow. No array of all n x m cells is ever made.
        """
        quadratic, exposure, total_sd = self.quadratic[:, rows], exposure[rows], self.total_sd[rows]
        net = np.zeros((exposure.shape[1], y.shape[0]))
        size = total_sd.shape[0]
        if not size:
            return net
        if np.minimum.reduce(total_sd) < _SHARP:
            sharp = total_sd < _SHARP
            net += self._summed_as_they_stand(np.arange(self.x.shape[0])[rows][sharp], y, exposure[sharp])
            quadratic, exposure = quadratic[:, ~sharp], exposure[~sharp]
            size = exposure.shape[0]
        powers = np.stack([y * y, y, np.ones_like(y)])
        tile = max(CELLS // y.shape[0], 1)
        cells = np.empty((min(tile, size), y.shape[0]))
        for start in range(0, size, tile):
            few = quadratic[:, start : start + tile]
            exponents = np.matmul(few.T, powers, out=cells[: few.shape[1]])
            net += exposure[start : start + tile].T @ np.exp(exponents, out=exponents)
        return net

    def _summed_as_they_stand(self, rows: NDArray[np.intp], y: F64, exposure: F64) -> F64:
        net = np.zeros((exposure.shape[1], y.shape[0]))
        tile = max(CELLS // y.shape[0], 1)
        for start in range(0, rows.shape[0], tile):
            few = rows[start : start + tile]
            d2 = np.multiply.outer(self.a[few], y) + self.b[few, None]
            net += exposure[start : start + tile].T @ (self.height[few, None] * np.exp(-0.5 * d2 * d2))
        return net

    def local(self, y: F64, exposure: F64) -> Local:
        """Net gamma and two derivatives at r points, every option evaluated.

        Units: USD per 1 %, and per unit of y once and twice.
        Shapes: y (r,), exposure (n,) or (n, r) -> three (r,).
        Domain: any.
        Source: as the class; Hermite polynomials of the Gaussian.
        """
        if exposure.ndim == 2:
            return self._local_each(y, exposure)
        kernels = compiled.in_use()
        if kernels is not None:
            return Local(*kernels.local(self.a, self.b, self.height, y, exposure))
        d2 = np.multiply.outer(y, self.a)
        d2 += self.b
        squared = d2 * d2
        bump = np.exp(-0.5 * squared)
        bump *= exposure
        d2 *= bump
        squared -= 1.0
        squared *= bump
        slope = self.height * self.a
        return Local(bump @ self.height, -(d2 @ slope), squared @ (slope * self.a))

    def _local_each(self, y: F64, exposure: F64) -> Local:
        """`local` of r books, each at its own point: d2 is expanded in powers of y, so that products of matrices do.

        The derivatives, and the value of bumps narrower than _SHARP, lose some digits by it.
        """
        a, b = self.a, self.b
        moments = np.stack([np.ones_like(a), a * a, a * b, a**4, 2.0 * a**3 * b, a * a * (b * b - 1.0)])
        powers = np.stack([y * y, y, np.ones_like(y)])
        sums = np.zeros((moments.shape[0], y.shape[0]))
        tile = max(CELLS // max(y.shape[0], 1), 1)
        for start in range(0, a.shape[0], tile):
            stop = start + tile
            bumps = self.quadratic[:, start:stop].T @ powers
            np.exp(bumps, bumps)
            bumps *= exposure[start:stop]
            sums += moments[:, start:stop] @ bumps
        value, aa, ab, fourth, third, second = sums
        return Local(value, -(aa * y + ab), (fourth * y + third) * y + second)
