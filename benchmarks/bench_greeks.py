"""Seven greeks of 2,500 options: ours, the peers that are installed, scipy.stats as it is usually written, and exp."""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"

from collections.abc import Callable

import numpy as np
from quant_chain import Chain, chain, interleaved, show

from dfmon.core.pricing.greek_buffers import GreekBuffers
from dfmon.core.pricing.greek_calc import greeks
from dfmon.core.pricing.pair_greeks import PairBuffers, PairedChain, pair_greeks
from dfmon.core.pricing.pairing import Pairing

Run = Callable[[], object]


def textbook_greeks(c: Chain) -> Run:
    """What a first version looks like: scipy.stats, a temporary an operation."""
    from scipy.stats import norm

    F, K, vol, T, th = c.columns

    def run() -> object:
        d1 = (np.log(F / K) + 0.5 * vol**2 * T) / (vol * np.sqrt(T))
        d2 = d1 - vol * np.sqrt(T)
        pdf = norm.pdf(d1)
        vega = F * pdf * np.sqrt(T)
        theta, charm = -F * pdf * vol / (2 * np.sqrt(T)), pdf * d2 / (2 * T)
        return (
            th * norm.cdf(th * d1),
            pdf / (F * vol * np.sqrt(T)),
            vega,
            theta,
            -pdf * d2 / vol,
            charm,
            vega * d1 * d2 / vol,
        )

    return run


def opengreeks(c: Chain) -> Run | None:
    """All seven, one call for each and for each option type."""
    try:
        from opengreeks import black76
    except ImportError:
        return None
    calls = [getattr(black76, f"{g}_array") for g in ("delta", "gamma", "vega", "theta", "vanna", "charm", "vomma")]
    sides = []
    for flag, rows in (("c", c.option_type > 0), ("p", c.option_type < 0)):
        sides.append((flag, c.forward[rows], c.strike[rows], c.tau[rows], 0.0, c.sigma[rows]))
    return lambda: [call(*side) for side in sides for call in calls]


def fast_vollib(c: Chain) -> Run | None:
    """Delta, gamma, vega, theta and rho only: it has no vanna, charm or volga."""
    try:
        from fast_vollib import get_all_greeks
    except ImportError:
        return None
    flags, rate = np.where(c.option_type > 0, "c", "p"), np.zeros_like(c.tau)
    return lambda: get_all_greeks(
        flags, c.forward, c.strike, c.tau, rate, c.sigma, model="black", return_as="dict", backend="numpy"
    )


def runs(c: Chain) -> dict[str, Run]:
    """Ours in its forms, the limit, the way it is usually written, and the peers that are installed."""
    size = c.strike.shape[0]
    buffers = GreekBuffers(size)
    strike_time = buffers.strike_time.fill(c.strike, c.tau)
    price_pairs = PairedChain(c.strike, c.tau, c.option_type).set_tau(c.tau)
    pairing = Pairing.from_listing(c.strike, c.tau, c.option_type)
    points = pairing.points(c.forward, c.sigma, c.tau).option
    forward, strike, sigma, tau, _ = (column[points] for column in c.columns)
    pairs = PairBuffers(points.size)
    of_points = pairs.strike_time.fill(strike, tau)
    exponents = -0.5 * np.random.default_rng(0).normal(0.0, 1.5, size) ** 2
    room = np.empty_like(exponents)
    made: dict[str, Run] = {
        "dfmon, 2,500 as pairs, checked": lambda: price_pairs.greeks(c.forward, c.sigma),
        "dfmon, columns of 2,500": lambda: greeks(*c.columns, with_price=False, strike_time=strike_time, out=buffers),
        "dfmon, 1,250 pairs": lambda: pair_greeks(forward, strike, sigma, tau, strike_time=of_points, out=pairs),
        "dfmon, columns, nothing prepared": lambda: greeks(*c.columns, with_price=False, out=buffers),
        "dfmon, columns and price": lambda: greeks(*c.columns, out=buffers),
        "dfmon, preparing strikes and times": lambda: strike_time.fill(c.strike, c.tau),
        "dfmon, checking the pairs": lambda: pairing.points(c.forward, c.sigma, c.tau),
        "bare np.exp(n)": lambda: np.exp(exponents, out=room),
        "numpy with scipy.stats": textbook_greeks(c),
    }
    for name, make in (("opengreeks, seven", opengreeks), ("fast-vollib numpy, five", fast_vollib)):
        run = make(c)
        if run is not None:
            made[name] = run
    return made


def main() -> None:
    c = chain()
    made = runs(c)
    times = interleaved(made)
    print(f"{c.strike.shape[0]} options, one core, medians of interleaved runs")
    bounds = {"opengreeks, seven": ("at least", 8.0), "fast-vollib numpy, five": ("at least", 4.0)}
    for ours in ("dfmon, 2,500 as pairs, checked", "dfmon, columns of 2,500"):
        show(times, ours, bounds | {"bare np.exp(n)": ("at most", 20.0)})


if __name__ == "__main__":
    main()
