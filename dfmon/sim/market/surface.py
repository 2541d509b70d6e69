"""The implied volatility surface of the simulated exchange, and Black-76 on it.

SSVI (Gatheral and Jacquier 2014) with a power-law phi: `eta (1 + |rho|) <= 2` and a total variance that grows with
time rule out static arbitrage for every state the market can reach, so no quote has to be repaired afterwards.
Volatility is a decimal per sqrt(year), time is years, `k = ln(K / F)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from dfmon.core.pricing.normal import cdf

FloatArray = npt.NDArray[np.float64]

SQRT_2PI: Final = 2.5066282746310002


@dataclass(frozen=True, slots=True)
class Smile:
    """The surface at one moment: spot variance `v0` reverts to `v_inf` at speed `kappa` (1/year)."""

    v0: float
    v_inf: float
    kappa: float = 6.0
    rho: float = -0.15
    eta: float = 1.1

    def __post_init__(self) -> None:
        if self.eta * (1.0 + abs(self.rho)) > 2.0:
            raise ValueError(f"eta (1 + |rho|) = {self.eta * (1.0 + abs(self.rho)):.3f} > 2 admits butterfly arbitrage")
        if min(self.v0, self.v_inf) <= 0.0:
            raise ValueError("variances must be positive: total variance has to grow with time")

    def theta(self, T: FloatArray) -> FloatArray:
        """At-the-money total variance; its slope lies between v0 and v_inf, so it always grows."""
        return self.v_inf * T - (self.v0 - self.v_inf) * np.expm1(-self.kappa * T) / self.kappa

    def total_variance(self, k: FloatArray, T: FloatArray) -> FloatArray:
        """w(k, theta) = theta/2 (1 + rho phi k + sqrt((phi k + rho)^2 + 1 - rho^2))."""
        theta = self.theta(T)
        x = self._phi(theta) * k
        return 0.5 * theta * (1.0 + self.rho * x + np.sqrt((x + self.rho) ** 2 + 1.0 - self.rho**2))

    def volatility(self, k: FloatArray, T: FloatArray) -> FloatArray:
        """Implied volatility, decimal."""
        vol: FloatArray = np.sqrt(self.total_variance(k, T) / T)
        return vol

    def durrleman_g(self, k: FloatArray, T: FloatArray) -> FloatArray:
        """Durrleman's g(k): the risk-neutral density is positive exactly where g is."""
        theta = self.theta(T)
        phi = self._phi(theta)
        x = phi * k
        root = np.sqrt((x + self.rho) ** 2 + 1.0 - self.rho**2)
        w = 0.5 * theta * (1.0 + self.rho * x + root)
        w1 = 0.5 * theta * phi * (self.rho + (x + self.rho) / root)
        w2 = 0.5 * theta * phi**2 * (1.0 - self.rho**2) / root**3
        g: FloatArray = (1.0 - 0.5 * k * w1 / w) ** 2 - 0.25 * w1**2 * (1.0 / w + 0.25) + 0.5 * w2
        return g

    def _phi(self, theta: FloatArray) -> FloatArray:
        phi: FloatArray = self.eta / np.sqrt(theta * (1.0 + theta))
        return phi


class GreekColumns(NamedTuple):
    """Black-76 value (USD) and greeks in Deribit's units: vega per vol point, theta per day, rho per 1 %."""

    value: FloatArray
    delta: FloatArray
    gamma: FloatArray
    vega: FloatArray
    theta: FloatArray
    rho: FloatArray


def black76(F: FloatArray, K: FloatArray, T: FloatArray, vol: FloatArray, sign: FloatArray) -> FloatArray:
    """Undiscounted value in USD of calls (`sign` +1) and puts (-1)."""
    v = vol * np.sqrt(T)
    d1 = np.log(F / K) / v + 0.5 * v
    value: FloatArray = sign * (F * cdf(sign * d1) - K * cdf(sign * (d1 - v)))
    return np.maximum(value, 0.0)


def greeks(F: FloatArray, K: FloatArray, T: FloatArray, vol: FloatArray, sign: FloatArray) -> GreekColumns:
    """Value and greeks, r = 0, forward delta (not premium adjusted).

    Theta is the smaller of one day's and the whole remaining life's, as Deribit defines it.
    """
    v = vol * np.sqrt(T)
    d1 = np.log(F / K) / v + 0.5 * v
    d2 = d1 - v
    density = np.exp(-0.5 * d1 * d1) / SQRT_2PI
    N1, N2 = cdf(sign * d1), cdf(sign * d2)
    return GreekColumns(
        value=np.maximum(sign * (F * N1 - K * N2), 0.0),
        delta=sign * N1,
        gamma=density / (F * v),
        vega=F * density * np.sqrt(T) / 100.0,
        theta=-F * density * vol / (2.0 * np.sqrt(T)) * np.minimum(1.0 / 365.0, T),
        rho=sign * K * T * N2 / 100.0,
    )
