"""Random listed books, and their net gamma by the definition."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dfmon.core.pricing.black import F64, Mask

SPOT = 100_000.0


class Listing(NamedTuple):
    """The columns of a chain."""

    forward: F64
    strike: F64
    sigma: F64
    tau: F64


def listed_book(
    seed: int = 0, n: int = 400, days: tuple[float, ...] = (0.6, 1.6, 5.0, 9.0, 30.0, 90.0, 180.0)
) -> tuple[Listing, F64]:
    """A chain and a position of either sign: long above spot, short below, of random size."""
    rng = np.random.default_rng(seed)
    tau = rng.choice(days, n) / 365.0
    forward = SPOT * np.exp(0.05 * tau)
    strike = np.round(forward * np.exp(rng.normal(0.0, 0.8, n) * 0.6 * np.sqrt(tau)), -2)
    sigma = 0.5 + 0.2 * np.log(strike / forward) ** 2
    position = np.where(strike > 0.98 * SPOT, 1.0, -1.0) * rng.lognormal(3.0, 1.0, n)
    return Listing(forward, strike, sigma, tau), position


def net_gamma(levels: F64, chain: Listing, positions: F64) -> F64:
    """D gamma F'^2 1 % summed over the options, every forward moved in proportion: (levels, books)."""
    forward, strike, sigma, tau = chain
    moved = forward * (levels[:, None] / SPOT)
    v = sigma * np.sqrt(tau)
    d1 = np.log(moved / strike) / v + v / 2
    gamma = np.exp(-0.5 * d1 * d1) / np.sqrt(2 * np.pi) / (moved * v)
    return np.asarray(gamma * moved**2 * 0.01 @ positions)


def dense_roots(levels: F64, net: F64) -> tuple[F64, Mask]:
    """Zeros and directions of one profile on a dense grid, by the chord between neighbours of opposite signs."""
    at = np.flatnonzero(np.sign(net[:-1]) != np.sign(net[1:]))
    zero = levels[at] - net[at] * (levels[at + 1] - levels[at]) / (net[at + 1] - net[at])
    return zero, net[at] < 0.0
