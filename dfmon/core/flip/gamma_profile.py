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

from dfmon.core.pricing import chebyshev, compiled
from dfmon.core.pricing.black import F64, log_moneyness
from dfmon.core.pricing.normal import INV_SQRT_2PI

CELLS: Final = 128 * 201
"""Options times levels per tile: so many cells of eight bytes stay in the second-level cache."""
_SHARP: Final = 0.004
"""Bumps narrower than this would lose digits in the expanded square; they are evaluated as they stand."""

_SMOOTH: Final = ((0.7, 26), (0.25, 46), (0.1, 90))
"""Least width of a bump as a share of the half-range, and the Chebyshev nodes that carry it to 1e-15 of its height."""
_MANY: Final = 96
"""On so few nodes every bump is summed where it is asked for."""
CUT: Final = 1e-14
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


def _powers(z: F64) -> F64:
    """What the columns of StickyStrike.exponents are multiplied with: (m,) -> (3, m)."""
    return np.array([-0.5 * z * z, -z, np.ones_like(z)])


@lru_cache
def _powers_on(count: int) -> F64:
    return _powers(chebyshev.nodes(count))


class _Grid(NamedTuple):
    """Points of [-1, 1]: their powers, and the matrix that brings the sums on the last nodes of _SMOOTH there."""

    z: F64
    powers: F64
    spread: F64


def _grid_on(z: F64) -> _Grid:
    return _Grid(z, _powers(z), chebyshev.spread(_SMOOTH[-1][1], z))


@lru_cache
def _even_grid(points: int) -> _Grid:
    return _grid_on(np.linspace(-1.0, 1.0, points))


def _grid(z: F64) -> _Grid:
    """Points in equal steps are remembered: the grid of every tick on which no strike is a node."""
    even = _even_grid(z.shape[0])
    return even if np.abs(z - even.z).max() <= _EVEN else _grid_on(z)


@dataclass(frozen=True, slots=True)
class StickyStrike:
    """Every option keeps its volatility while spot moves."""

    x: F64
    total_sd: F64
    height: F64
    a: F64
    """Scale of each bump: d2 = a y + b."""
    b: F64
    descending: bool = False
    """Bumps stand from wide to narrow: those of some width are then a slice of all columns."""

    @classmethod
    def of(cls, forward: F64, strike: F64, sigma: F64, tau: F64) -> StickyStrike:
        """Bumps of valid live options.

        Units: forward, strike in USD; sigma decimal; tau in years. Heights in USD per 1 % and unit of underlying.
        Shapes: (n,) each.
        Domain: all positive and finite.
        Source: Black (1976); F phi(d1) = K phi(d2).
        """
        total_sd = sigma * np.sqrt(tau)
        x, a = log_moneyness(forward, strike), 1.0 / total_sd
        height, b = (0.01 * INV_SQRT_2PI) * strike * a, x * a - 0.5 * total_sd
        return cls(x, total_sd, height, a, b, bool((total_sd[:-1] >= total_sd[1:]).all()))

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
        low, high = float(y[0]), float(y[-1])
        middle, reach = 0.5 * (low + high), 0.5 * (high - low) or 1.0
        z, exponents = (y - middle) / reach, self._exponents(middle, reach)
        widths = [max(width * reach, _SHARP) for width, _ in _SMOOTH] if y.shape[0] > _MANY else []
        *wide, narrow, sharp = self._by_width([*widths, _SHARP])
        if not widths:
            return _summed(exponents, narrow, _powers(z), exposure) + self._as_they_stand(sharp, y, exposure)
        grid, smooth, nodes = _grid(z), np.zeros((exposure.shape[1], 1)), 1
        for rows, (_, count) in zip(wide, _SMOOTH):
            here = _summed(exponents, rows, _powers_on(count), exposure)
            smooth = here + smooth @ chebyshev.between(nodes, count)
            nodes = count
        net = smooth @ grid.spread
        net += _summed(exponents, narrow, grid.powers, exposure)
        net += self._as_they_stand(sharp, y, exposure)
        return np.asarray(net)

    def _exponents(self, middle: float, reach: float) -> F64:
        """(3, n): -d2^2/2 + ln c at y = middle + reach z is the product with the powers -z^2/2, -z and 1."""
        squared, crossed, rest = columns = np.empty((3, self.a.shape[0]))
        scale, at_middle = self.a * reach, self.a * middle
        at_middle += self.b
        np.multiply(scale, scale, squared)
        np.multiply(scale, at_middle, crossed)
        np.multiply(at_middle, at_middle, rest)
        rest *= -0.5
        rest += np.log(self.height)
        return columns

    def _by_width(self, least: Sequence[float]) -> Sequence[NDArray[np.intp] | slice]:
        """Bumps at least as wide as each of these, widest first, and the narrower rest."""
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
        return float(CUT * (self.height @ np.abs(exposure)))

    def _as_they_stand(self, rows: NDArray[np.intp] | slice, y: F64, exposure: F64) -> F64:
        """Net gamma of sharp bumps, whose exponents are squared as they stand."""
        a, b, height, exposure = self.a[rows, None], self.b[rows, None], self.height[rows, None], exposure[rows]
        net = np.zeros((exposure.shape[1], y.shape[0]))
        tile = max(CELLS // y.shape[0], 1)
        for start in range(0, a.shape[0], tile):
            at = slice(start, start + tile)
            d2 = a[at] * y + b[at]
            net += exposure[at].T @ (height[at] * np.exp(-0.5 * d2 * d2))
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
        exponents, powers = self._exponents(0.0, 1.0), _powers(y)
        sums = np.zeros((moments.shape[0], y.shape[0]))
        tile = max(CELLS // max(y.shape[0], 1), 1)
        for start in range(0, a.shape[0], tile):
            stop = start + tile
            bumps = exponents[:, start:stop].T @ powers
            np.exp(bumps, bumps)
            bumps *= exposure[start:stop]
            sums += moments[:, start:stop] @ bumps
        value, aa, ab, fourth, third, second = sums
        return Local(value, -(aa * y + ab), (fourth * y + third) * y + second)


def _summed(exponents: F64, rows: NDArray[np.intp] | slice, powers: F64, exposure: F64) -> F64:
    """Sum of some bumps, each evaluated at every node: (3, n), (3, m), (n, k) -> (k, m).

    One small matrix product a tile writes all exponents, one exp and one product with the exposures follow. No array
    of all n x m cells is ever made.
    """
    exponents, exposure = exponents[:, rows], exposure[rows]
    size, nodes = exposure.shape[0], powers.shape[1]
    net = np.zeros((exposure.shape[1], nodes))
    tile = max(CELLS // nodes, 1)
    cells = np.empty((min(tile, size), nodes))
    for start in range(0, size, tile):
        few = exponents[:, start : start + tile]
        bumps = np.matmul(few.T, powers, out=cells[: few.shape[1]])
        net += exposure[start : start + tile].T @ np.exp(bumps, bumps)
    return net
