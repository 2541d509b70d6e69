"""Net gamma under a smile that moves with its forward: sigma is read at ln(K/F') as spot moves.

The alternative to `gamma_profile.StickyStrike`, with the same methods.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dfmon.core.flip.gamma_profile import GammaDerivatives
from dfmon.core.pricing.black import F64, log_moneyness
from dfmon.core.pricing.normal import INV_SQRT_2PI

_LEVELS_PER_BATCH: Final = 16
_SLOPE_STEP: Final = 1e-5


class Smile(NamedTuple):
    """One expiry: its options, and sigma on ascending nodes of k = ln(K/F), linear between and flat outside."""

    rows: NDArray[np.intp]
    k: F64
    sigma: F64


@dataclass(frozen=True, slots=True)
class StickyMoneyness:
    """Bumps of options that take the volatility of their new moneyness as spot moves."""

    x: F64
    root_tau: F64
    height: F64
    smiles: tuple[Smile, ...]

    @classmethod
    def from_options(
        cls, forward: F64, strike: F64, sigma: F64, tau: F64, expiry: NDArray[np.generic]
    ) -> StickyMoneyness:
        """Bumps of valid live options and the smile of each expiry; several quotes of one strike are averaged.

        Units: forward, strike in USD; sigma decimal; tau in years; expiry any label. Heights are not yet divided by
        sigma.
        Shapes: (n,) each. Domain: all positive and finite.
        Source: Derman, Regimes of Volatility (1999): the sticky-moneyness rule.
        """
        x, root_tau = log_moneyness(forward, strike), np.sqrt(tau)
        return cls(x, root_tau, 0.01 * INV_SQRT_2PI * strike / root_tau, expiry_smiles(-x, sigma, expiry))

    @property
    def log_strike_over_forward(self) -> F64:
        """Centre of each bump: the y at which its forward reaches its strike."""
        return -self.x

    def profile(self, y: F64, exposure: F64, absolute: int = 0) -> F64:
        """Net gamma on log-spot nodes, computed in batches of levels; no unit gamma is negative.

        Units: exposure in units of underlying; result USD per 1 %. Shapes: y (m,), exposure (n, k) -> (k, m). Domain:
        |y| <= 1.
        """
        batches = [
            exposure.T @ self.unit_gammas(y[start : start + _LEVELS_PER_BATCH])[0].T
            for start in range(0, y.shape[0], _LEVELS_PER_BATCH)
        ]
        return np.concatenate(batches, axis=1) if batches else np.zeros((exposure.shape[1], 0))

    def error_bound(self, exposure: F64) -> float:
        """Zero, since every option is evaluated at every node. USD per 1 %."""
        return 0.0

    def gamma_derivatives(self, y: F64, exposure: F64) -> GammaDerivatives:
        """Net gamma and its slope at r points; the slope is a central difference, accurate enough to steer a search.

        The curvature is NaN: it jumps at every node of a smile.

        Units: USD per 1 %, and per unit of y. Shapes: y (r,), exposure (n,) or (n, r) -> three (r,).
        """
        shifts = (-_SLOPE_STEP, 0.0, _SLOPE_STEP)
        lower, centre, upper = ((self.unit_gammas(y + shift)[0] * exposure.T).sum(axis=1) for shift in shifts)
        return GammaDerivatives(centre, (upper - lower) / (2.0 * _SLOPE_STEP), np.full_like(centre, np.nan))

    def unit_gammas(self, y: F64) -> tuple[F64, F64]:
        """Dollar gamma for 1 % of one unit of each option at each spot, and d2: (r,) -> (r, n), (r, n)."""
        moneyness = self.x + y[:, None]
        sigma = np.empty_like(moneyness)
        for smile in self.smiles:
            sigma[:, smile.rows] = np.interp(-moneyness[:, smile.rows], smile.k, smile.sigma)
        total_sd = sigma * self.root_tau
        d2 = moneyness / total_sd - 0.5 * total_sd
        return np.exp(-0.5 * d2 * d2) * self.height / sigma, d2


def expiry_smiles(k: F64, sigma: F64, expiry: NDArray[np.generic]) -> tuple[Smile, ...]:
    """The quoted smile of each expiry.

    Units: k = ln(K/F); sigma decimal. Shapes: (n,) each.

    >>> smile, = expiry_smiles(np.array([0.1, 0.0, 0.1]), np.array([0.6, 0.5, 0.8]), np.zeros(3))
    >>> smile.k.tolist(), smile.sigma.round(12).tolist()
    ([0.0, 0.1], [0.5, 0.7])
    """
    smiles = []
    for label in np.unique(expiry):
        rows = np.flatnonzero(expiry == label)
        nodes, node_index = np.unique(k[rows], return_inverse=True)
        mean = np.bincount(node_index, sigma[rows]) / np.bincount(node_index)
        smiles.append(Smile(rows, nodes, mean))
    return tuple(smiles)
