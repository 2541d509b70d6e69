"""A second reprice of a board, written from the definitions alone: what the flows of the engine are held against."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

F64 = NDArray[np.float64]
HOUR = 1.0 / 8760.0
WINDOW = 0.5 * HOUR


class Market(NamedTuple):
    """Forward, volatility, time left in years, mean of the fixings so far."""

    forward: F64
    sigma: F64
    tau: F64
    average: F64


def open_part(tau: F64) -> F64:
    return np.minimum(np.maximum(tau, 0.0) / WINDOW, 1.0)


def delta_on_open_part(strike: F64, side: F64, market: Market) -> F64:
    """N(d1) of the option that the rest of the average is an option on, +-1 or 0 once nothing is left."""
    forward, sigma, tau, average = market
    share = open_part(tau)
    inside = tau < WINDOW
    time = np.where(inside, tau / 3.0, tau - HOUR / 3.0 * np.clip((6.0 * HOUR - tau) / (3.0 * HOUR), 0.0, 1.0))
    with np.errstate(all="ignore"):
        level = np.where(inside, (strike - (1.0 - share) * average) / share, strike)
        sd = sigma * np.sqrt(time)
        delta = side * ndtr(side * (np.log(forward / level) / sd + 0.5 * sd))
        delta = np.where(level <= 0.0, np.maximum(side, 0.0), delta)
    settled = side * (0.5 + 0.5 * np.sign(side * (average - strike)))
    return np.where(tau <= 0.0, settled, delta)


def trades(position: F64, strike: F64, side: F64, then: Market, now: Market) -> dict[str, float]:
    """Gamma, vanna, charm and settlement parts of the dealers' trade from then to now, USD, + = bought."""

    def value(market: Market) -> F64:
        return delta_on_open_part(strike, side, market)

    moved = then._replace(forward=now.forward)
    repriced = moved._replace(sigma=now.sigma)
    was_open, is_open = open_part(then.tau), open_part(now.tau)
    dollars = -position * now.forward
    return {
        "gamma": float((dollars * was_open * (value(moved) - value(then))).sum()),
        "vanna": float((dollars * was_open * (value(repriced) - value(moved))).sum()),
        "charm": float((dollars * was_open * (value(now) - value(repriced))).sum()),
        "settlement": float((dollars * (is_open - was_open) * value(now)).sum()),
    }
