"""Price and greeks of 2,500 options: `dfmon.greeks` as users call it, the peers that are installed, and scipy.stats."""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"

from collections.abc import Callable
from functools import partial
from typing import Final

import numpy as np
from quant_chain import F64, Chain, chain, interleaved, show

import dfmon
from dfmon.core.pricing.greek_buffers import GreekBuffers
from dfmon.core.pricing.greek_calc import greeks

Run = Callable[[], object]

OURS: Final = "dfmon.greeks, each call beside its put"
HALVES: Final = "dfmon.greeks, all calls, then all puts"
SHUFFLED: Final = "dfmon.greeks, in random order"
ORDERS: Final = (OURS, HALVES, SHUFFLED)
OPENGREEKS: Final = "opengreeks, price and seven"
FAST_VOLLIB: Final = "fast-vollib numpy, price and five"
EXP: Final = "bare np.exp(n)"


def textbook_greeks(c: Chain) -> Run:
    """What a first version looks like: scipy.stats, a temporary an operation."""
    from scipy.stats import norm

    F, K, vol, T, th = c.columns

    def run() -> object:
        d1 = (np.log(F / K) + 0.5 * vol**2 * T) / (vol * np.sqrt(T))
        d2 = d1 - vol * np.sqrt(T)
        pdf, n1 = norm.pdf(d1), norm.cdf(th * d1)
        vega = F * pdf * np.sqrt(T)
        theta, charm = -F * pdf * vol / (2 * np.sqrt(T)), pdf * d2 / (2 * T)
        return (
            th * (F * n1 - K * norm.cdf(th * d2)),
            th * n1,
            pdf / (F * vol * np.sqrt(T)),
            vega,
            theta,
            -pdf * d2 / vol,
            charm,
            vega * d1 * d2 / vol,
        )

    return run


def opengreeks(c: Chain) -> dict[str, Run]:
    """The seven greeks with the price and without, one call for each and for each option type."""
    try:
        from opengreeks import black76
    except ImportError:
        return {}
    names = ("delta", "gamma", "vega", "theta", "vanna", "charm", "vomma")
    seven = [getattr(black76, f"{name}_array") for name in names]
    eight = [black76.black_array, *seven]
    sides = []
    for flag, rows in (("c", c.option_type > 0), ("p", c.option_type < 0)):
        sides.append((flag, c.forward[rows], c.strike[rows], c.tau[rows], 0.0, c.sigma[rows]))
    return {
        OPENGREEKS: lambda: [call(*side) for side in sides for call in eight],
        "opengreeks, seven": lambda: [call(*side) for side in sides for call in seven],
    }


def fast_vollib(c: Chain) -> dict[str, Run]:
    """Delta, gamma, vega, theta and rho only, with the price and without: it has no vanna, charm or volga."""
    try:
        from fast_vollib import fast_black, get_all_greeks
    except ImportError:
        return {}
    flags, rate = np.where(c.option_type > 0, "c", "p"), np.zeros_like(c.tau)
    columns = flags, c.forward, c.strike, c.tau, rate, c.sigma

    def five() -> object:
        return get_all_greeks(*columns, model="black", return_as="dict", backend="numpy")

    def price() -> object:
        return fast_black(*columns, return_as="numpy", backend="numpy")

    return {FAST_VOLLIB: lambda: (price(), five()), "fast-vollib numpy, five": five}


def orders(c: Chain) -> dict[str, tuple[F64, ...]]:
    """The columns of the board in the orders in which they are priced."""
    random = np.random.default_rng(0).permutation(c.strike.shape[0])
    return {
        OURS: c.columns,
        HALVES: tuple(np.concatenate([column[::2], column[1::2]]) for column in c.columns),
        SHUFFLED: tuple(column[random] for column in c.columns),
    }


def runs(c: Chain) -> dict[str, Run]:
    """Ours in each order of the rows, the kernels as the monitor calls them, and the peers that are installed."""
    size = c.strike.shape[0]
    out = GreekBuffers(size)
    exponents = -0.5 * np.random.default_rng(0).normal(0.0, 1.5, size) ** 2
    room = np.empty_like(exponents)
    made: dict[str, Run] = {name: partial(dfmon.greeks, *columns) for name, columns in orders(c).items()}
    return {
        **made,
        "the same into memory that is kept": lambda: greeks(*c.columns, out=out),
        "without the price, as the monitor calls it": lambda: greeks(*c.columns, with_price=False, out=out),
        EXP: lambda: np.exp(exponents, out=room),
        "numpy with scipy.stats": textbook_greeks(c),
        **opengreeks(c),
        **fast_vollib(c),
    }


def main() -> None:
    c = chain()
    times = interleaved(runs(c))
    print(f"{c.strike.shape[0]} options, one core, least of interleaved runs")
    for ours in ORDERS:
        show(times, ours, {OPENGREEKS: ("at least", 8.0), FAST_VOLLIB: ("at least", 4.0)})


if __name__ == "__main__":
    main()
