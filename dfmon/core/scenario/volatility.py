"""At-the-money volatility at a constant horizon, from the expiries on either side of it."""

from __future__ import annotations

import math

import numpy as np

from dfmon.model.frames import F64
from dfmon.model.units import DAY, YEAR


def constant_horizon_sigma(tau: F64, atm: F64, horizon: float = DAY / YEAR) -> float:
    """Volatility over the `horizon` from now: total variance is linear in time between expiries, and 0 at time 0.

    It does not jump when an expiry settles, as the volatility of the nearest expiry does.

    Units: years, decimal per sqrt(year). Shapes: (k,), (k,) -> scalar, `tau` ascending and positive.
    Domain: NaN without expiries; beyond the last one its volatility.

    >>> tau, atm = np.array([0.5, 2.0]) / 365.0, np.array([0.4, 0.6])
    >>> round(constant_horizon_sigma(tau, atm) ** 2, 6)  # variance of a day: (0.5 * 0.16 + (2 * 0.36 - 0.5 * 0.16) / 3)
    0.293333
    """
    if not tau.size:
        return math.nan
    if horizon >= tau[-1]:
        return float(atm[-1])
    variance = np.interp(horizon, np.concatenate([[0.0], tau]), np.concatenate([[0.0], atm**2 * tau]))
    return math.sqrt(float(variance) / horizon)
