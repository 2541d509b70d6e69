"""Net gamma counted in coin: the premium-adjusted gamma of inverse options as a function of log spot.

The hedge of an option whose premium is paid in coin is delta - V/F = th (K/F) N(th d2). Its dollar gamma for 1 % is
that of `gamma_profile` less 0.01 K th N(th d2), where th N(th d2) = N(d2) - 1 for puts and N(d2) for calls.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from dfmon.core.flip.gamma_profile import GammaBumps, GammaDerivatives
from dfmon.core.pricing.black import F64, Mask
from dfmon.core.pricing.normal import cdf

_LEVELS_PER_BATCH: Final = 16
_SLOPE_STEP: Final = 1e-5


class CoinOptions(NamedTuple):
    """Option type (+1 call, -1 put) and the options that settle in coin, (n,) each."""

    option_type: F64
    inverse: Mask

    def take(self, rows: NDArray[np.intp]) -> CoinOptions:
        return CoinOptions(self.option_type[rows], self.inverse[rows])


class SeparateBumps(GammaBumps, Protocol):
    """Bumps that can be had one by one."""

    def unit_gammas(self, y: F64) -> tuple[F64, F64]:
        """Dollar gamma for 1 % of one unit of each option at each spot, and d2: (r,) -> (r, n), (r, n)."""


@dataclass(frozen=True, slots=True)
class CoinGamma:
    """Unit gammas of n live options less the gamma of their premium."""

    bumps: SeparateBumps
    premium: F64
    """0.01 K of inverse options, 0 of others."""
    is_put: F64

    @classmethod
    def from_options(cls, bumps: SeparateBumps, strike: F64, options: CoinOptions) -> CoinGamma:
        """Units: strike in USD. Shapes: (n,) each, in the order of the bumps."""
        return cls(bumps, 0.01 * strike * options.inverse, (options.option_type < 0.0).astype(np.float64))

    @property
    def log_strike_over_forward(self) -> F64:
        """Centre of each bump: the y at which its forward reaches its strike."""
        return self.bumps.log_strike_over_forward

    def profile(self, y: F64, exposure: F64, absolute: int = 0) -> F64:
        """Net gamma on log-spot nodes; the last `absolute` columns are summed over the sizes of the unit gammas.

        Units: exposure in units of underlying; result USD per 1 %. Shapes: y (m,), exposure (n, k) -> (k, m).
        """
        net = np.empty((exposure.shape[1], y.shape[0]))
        signed = exposure.shape[1] - absolute
        for start in range(0, y.shape[0], _LEVELS_PER_BATCH):
            at = slice(start, start + _LEVELS_PER_BATCH)
            unit = self._unit(y[at])
            net[:signed, at] = exposure[:, :signed].T @ unit.T
            net[signed:, at] = exposure[:, signed:].T @ np.abs(unit).T
        return net

    def error_bound(self, exposure: F64) -> float:
        """Zero, since every option is evaluated at every node. USD per 1 %."""
        return 0.0

    def gamma_derivatives(self, y: F64, exposure: F64) -> GammaDerivatives:
        """Net gamma and its slope at r points; the slope is a central difference, the curvature NaN.

        Units: USD per 1 %, and per unit of y. Shapes: y (r,), exposure (n,) or (n, r) -> three (r,).
        """
        shifts = (-_SLOPE_STEP, 0.0, _SLOPE_STEP)
        lower, centre, upper = ((self._unit(y + shift) * exposure.T).sum(axis=1) for shift in shifts)
        return GammaDerivatives(centre, (upper - lower) / (2.0 * _SLOPE_STEP), np.full_like(centre, np.nan))

    def _unit(self, y: F64) -> F64:
        gamma, d2 = self.bumps.unit_gammas(y)
        return np.asarray(gamma - self.premium * (cdf(d2) - self.is_put))
