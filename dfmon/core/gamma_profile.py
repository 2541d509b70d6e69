"""Net gamma of a book as a function of spot: a sum of Gaussian bumps in log spot.

Comes after positions and settlement_terms, before gamma_flip, which looks for the zeros. With y = ln(S'/S), every
forward moved by the same factor and F phi(d1) = K phi(d2), the dollar gamma of one option for 1 % is

    0.01 F e^y phi(d1) / v  =  c exp(-d2(y)^2 / 2),    d2 = (ln(F/K) + y)/v - v/2,    c = 0.01 K / (v sqrt(2 pi)).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from dfmon.core.black import F64, log_moneyness
from dfmon.core.normal import INV_SQRT_2PI

TILE: Final = 128
"""Options per tile: 128 x 201 cells of eight bytes stay in the second-level cache."""
_SHARP: Final = 0.004
"""Bumps narrower than this would lose digits in the expanded square; they are evaluated as they stand."""

_SMOOTH: Final = ((0.25, 48),)
"""Width of a bump as a share of the half-range, and the Chebyshev nodes that carry it to 1e-15 of its height."""
_WORTHWHILE: Final = 64
_CUT: Final = 1e-14


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
        """Net gamma and derivatives at r points; exposure (n,) for all of them, or (r, n), one row for each."""


def chebyshev(count: int, at: F64) -> tuple[F64, F64]:
    """Chebyshev nodes on [-1, 1], and the matrix that takes values there to the points `at` of that interval.

    Units: none.
    Shapes: (m,) -> (count,), (count, m).
    Domain: -1 <= at <= 1; count >= 1.
    Source: Berrut & Trefethen, Barycentric Lagrange interpolation (SIAM Review, 2004), eqs. 4.2 and 5.3.

    >>> nodes, spread = chebyshev(8, np.array([0.0, 0.3]))
    >>> (nodes**5 @ spread).round(12).tolist()
    [0.0, 0.00243]
    """
    angle = (np.arange(count) + 0.5) * (np.pi / count)
    nodes = np.cos(angle)
    gap = at - nodes[:, None]
    if not gap.all():
        gap[gap == 0.0] = 1e-30  # so large a weight that the value at the node is all that counts
    weights = np.sin(angle)
    weights[1::2] *= -1.0
    spread = np.divide(weights[:, None], gap, gap)
    spread *= 1.0 / spread.sum(axis=0)
    return nodes, spread


@dataclass(frozen=True, slots=True)
class StickyStrike:
    """Every option keeps its volatility while spot moves."""

    x: F64
    total_sd: F64
    height: F64

    @classmethod
    def of(cls, forward: F64, strike: F64, sigma: F64, tau: F64) -> StickyStrike:
        """Bumps of valid live options.

        Units: forward, strike in USD; sigma decimal; tau in years. Heights in USD per 1 % and unit of underlying.
        Shapes: (n,) each.
        Domain: all positive and finite.
        Source: Black (1976); F phi(d1) = K phi(d2).
        """
        total_sd = sigma * np.sqrt(tau)
        return cls(log_moneyness(forward, strike), total_sd, 0.01 * INV_SQRT_2PI * strike / total_sd)

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
        Domain: |y| <= 1.
        Source: as the class.
        """
        if y.shape[0] <= 2 * max(count for _, count in _SMOOTH):
            return self._summed(np.arange(self.x.shape[0]), y, exposure)
        middle, reach = 0.5 * (y.min() + y.max()), 0.5 * (y.max() - y.min())
        net = np.zeros((exposure.shape[1], y.shape[0]))
        rest = np.ones(self.x.shape[0], dtype=np.bool_)
        for width, count in _SMOOTH:
            rows = np.flatnonzero(rest & (self.total_sd >= width * reach))
            if rows.shape[0] >= _WORTHWHILE:
                nodes, spread = chebyshev(count, (y - middle) / reach)
                net += self._summed(rows, middle + reach * nodes, exposure) @ spread
                rest[rows] = False
        return net + self._summed(np.flatnonzero(rest), y, exposure)

    def blur(self, exposure: F64) -> float:
        """Most by which `profile` may be off through its Chebyshev sums, for one exposure column.

        Units: USD per 1 %.
        Shapes: (n,) -> scalar.
        Domain: any.
        Source: each bump's series is cut below 1e-15 of its height.
        """
        return float(_CUT * (self.height @ np.abs(exposure)))

    def _summed(self, rows: NDArray[np.intp], y: F64, exposure: F64) -> F64:
        """Net gamma of some rows, every option evaluated at every node.

        -d2^2/2 + ln c is a quadratic in y: one small matrix product a tile writes all exponents, one exp and one
        product with the exposures follow. No array of all n x m cells is ever made.
        """
        total_sd, height, exposure = self.total_sd[rows], self.height[rows], exposure[rows]
        a = 1.0 / total_sd
        b = self.x[rows] * a - 0.5 * total_sd
        net = np.zeros((exposure.shape[1], y.shape[0]))
        sharp = np.flatnonzero(total_sd < _SHARP)
        for few in np.split(sharp, range(TILE, sharp.size, TILE)):
            d2 = np.multiply.outer(a[few], y) + b[few, None]
            net += exposure[few].T @ (height[few, None] * np.exp(-0.5 * d2 * d2))
        if sharp.size:
            keep = np.flatnonzero(total_sd >= _SHARP)
            a, b, exposure, height = a[keep], b[keep], exposure[keep], height[keep]
        quadratic = np.empty((a.shape[0], 3))
        quadratic[:, 0] = -0.5 * a * a
        quadratic[:, 1] = -a * b
        quadratic[:, 2] = -0.5 * b * b + np.log(height)
        powers = np.stack([y * y, y, np.ones_like(y)])
        cells = np.empty((TILE, y.shape[0]))
        weights = np.ascontiguousarray(exposure.T)
        for start in range(0, a.shape[0], TILE):
            tile = quadratic[start : start + TILE]
            exponents = np.matmul(tile, powers, out=cells[: tile.shape[0]])
            net += weights[:, start : start + TILE] @ np.exp(exponents, out=exponents)
        return net

    def local(self, y: F64, exposure: F64) -> Local:
        """Net gamma and two derivatives at r points, every option evaluated.

        Units: USD per 1 %, and per unit of y once and twice.
        Shapes: y (r,), exposure (n,) or (r, n) -> three (r,).
        Domain: any.
        Source: as the class; Hermite polynomials of the Gaussian.
        """
        a = 1.0 / self.total_sd
        d2 = np.multiply.outer(y, a)
        d2 += self.x * a - 0.5 * self.total_sd
        squared = d2 * d2
        bump = np.exp(-0.5 * squared)
        bump *= exposure
        d2 *= bump
        squared -= 1.0
        squared *= bump
        slope, curvature = self.height * a, self.height * a * a
        return Local(bump @ self.height, -(d2 @ slope), squared @ curvature)
